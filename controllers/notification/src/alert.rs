//! The Alert kind: nothing is reconciled. Alerts of older versions lose the finalizer that nobody
//! would remove otherwise.

use std::time::Duration;

use api::notification::Alert;
use futures::StreamExt;
use kube::{
    Api, Client, ResourceExt,
    api::{Patch, PatchParams},
};
use runtime::{
    Note,
    drive::FINALIZER,
    events::Recorder,
    run::Server,
    watch::{self, Scope},
};
use serde_json::json;

const PAUSE: Duration = Duration::from_secs(5);

/// Returns the server that removes finalizers while this process leads.
pub(crate) fn migration(client: Client, scope: Scope, recorder: Recorder) -> Server {
    Server {
        name: "alerts",
        leader_only: true,
        serve: Box::new(move |stop| {
            Box::pin(async move {
                let mut alerts = watch::applied::<Alert>(client.clone(), &scope);
                loop {
                    let alert = tokio::select! {
                        () = stop.cancelled() => return Ok(()),
                        alert = alerts.next() => alert,
                    };
                    let Some(alert) = alert else {
                        anyhow::bail!("alerts are not watched any more");
                    };
                    if !is_due(&alert) {
                        continue;
                    }
                    if let Err(error) = release(&client, &alert, &recorder).await {
                        let cause = runtime::failure::chain(&error);
                        tracing::error!(error = cause, alert = %alert.name_any(), "finalizer not removed");
                        // The watch would bring it again only when it changes.
                        tokio::time::sleep(PAUSE).await;
                        alerts = watch::applied::<Alert>(client.clone(), &scope);
                    }
                }
            })
        }),
    }
}

/// A suspended alert keeps its finalizer until it is deleted.
fn is_due(alert: &Alert) -> bool {
    let has = alert.finalizers().iter().any(|f| f == FINALIZER);
    let suspended = alert.spec.suspend.unwrap_or_default();
    has && (!suspended || alert.metadata.deletion_timestamp.is_some())
}

async fn release(client: &Client, alert: &Alert, recorder: &Recorder) -> kube::Result<()> {
    let namespace = alert.namespace().unwrap_or_default();
    let api = Api::<Alert>::namespaced(client.clone(), &namespace);
    let mut left = alert.finalizers().to_vec();
    left.retain(|f| f != FINALIZER);
    let patch = json!({ "metadata": { "finalizers": Some(left).filter(|l| !l.is_empty()),
        "resourceVersion": alert.resource_version(), "uid": alert.uid() } });
    let params = PatchParams {
        field_manager: Some(crate::CONTROLLER.field_owner.to_owned()),
        ..PatchParams::default()
    };
    match api
        .patch(&alert.name_any(), &params, &Patch::Merge(patch))
        .await
    {
        Ok(_) => {
            let words = "removed finalizer from Alert to migrate to static Alert";
            recorder.emit(alert, Note::info("Migration", words));
            Ok(())
        }
        // Gone, or changed: then the watch brings the newer copy.
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alert(suspend: bool, deleted: bool, finalizer: &str) -> Alert {
        let mut meta = json!({ "name": "a", "finalizers": [finalizer] });
        if deleted {
            meta["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
        }
        serde_json::from_value(json!({ "metadata": meta, "spec": { "suspend": suspend,
            "providerRef": { "name": "p" }, "eventSources": [] } }))
        .unwrap()
    }

    #[test]
    fn suspended_alert_keeps_its_finalizer_until_deletion() {
        assert!(is_due(&alert(false, false, FINALIZER)));
        assert!(!is_due(&alert(true, false, FINALIZER)));
        assert!(is_due(&alert(true, true, FINALIZER)));
        assert!(!is_due(&alert(false, false, "other")));
    }
}
