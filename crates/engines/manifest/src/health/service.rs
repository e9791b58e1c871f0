//! Services and volume claims.

use serde_json::Value;

use super::Health;
use crate::object;

pub(super) fn service(value: &Value) -> Health {
    let kind = object::str_at(value, &["spec", "type"]).unwrap_or("ClusterIP");
    let address = object::str_at(value, &["spec", "clusterIP"]).unwrap_or_default();
    if kind == "LoadBalancer" && address.is_empty() {
        Health::in_progress(
            "NoIPAssigned",
            "ClusterIP not set. Service type: LoadBalancer",
        )
    } else {
        Health::current("Service is ready")
    }
}

pub(super) fn claim(value: &Value) -> Health {
    let phase = object::str_at(value, &["status", "phase"]).unwrap_or("unknown");
    if phase == "Bound" {
        Health::current("PVC is Bound")
    } else {
        Health::in_progress("NotBound", format!("PVC is not Bound. phase: {phase}"))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::{Status, tests::check};

    /// covers: KC-115
    #[test]
    fn a_load_balancer_needs_a_cluster_ip() {
        let service = |spec| json!({"apiVersion": "v1", "kind": "Service", "spec": spec});
        check(
            &service(json!({})),
            (Status::Current, "", "Service is ready"),
        );
        check(
            &service(json!({"type": "LoadBalancer", "clusterIP": "10.0.0.1"})),
            (Status::Current, "", "Service is ready"),
        );
        check(
            &service(json!({"type": "LoadBalancer"})),
            (
                Status::InProgress,
                "NoIPAssigned",
                "ClusterIP not set. Service type: LoadBalancer",
            ),
        );
    }

    /// covers: KC-115
    #[test]
    fn a_claim_must_be_bound() {
        let claim =
            |status| json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "status": status});
        check(
            &claim(json!({"phase": "Bound"})),
            (Status::Current, "", "PVC is Bound"),
        );
        check(
            &claim(json!({"phase": "Pending"})),
            (
                Status::InProgress,
                "NotBound",
                "PVC is not Bound. phase: Pending",
            ),
        );
        check(
            &claim(json!({})),
            (
                Status::InProgress,
                "NotBound",
                "PVC is not Bound. phase: unknown",
            ),
        );
    }
}
