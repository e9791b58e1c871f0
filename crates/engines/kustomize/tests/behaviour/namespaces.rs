//! Cases of `cases/namespaces.txt`.

use super::check;

const TOPIC: &str = "namespaces";

/// covers: KE-026
#[test]
fn a_namespace_takes_the_name() {
    check(TOPIC, "KE-026");
}

/// covers: KE-026, KE-034
#[test]
fn two_namespaces_clash() {
    check(TOPIC, "KE-026 KE-034");
}

/// covers: KE-027
#[test]
fn a_namespace_of_another_group_is_any_object() {
    check(TOPIC, "KE-027");
}

/// covers: KE-028
#[test]
fn which_subjects_move() {
    check(TOPIC, "KE-028");
}

/// covers: KE-029
#[test]
fn a_cluster_role_binding_has_none_its_subjects_have() {
    check(TOPIC, "KE-029");
}

/// covers: KE-030
#[test]
fn a_conversion_webhooks_namespace_only_where_it_stands() {
    check(TOPIC, "KE-030");
}

/// covers: KE-031
#[test]
fn a_webhooks_service_moves_with_a_service_that_is_built() {
    check(TOPIC, "KE-031");
}

/// covers: KE-032
#[test]
fn an_apiservices_namespace_is_made() {
    check(TOPIC, "KE-032");
}

/// covers: KE-033
#[test]
fn a_null_namespace_is_none() {
    check(TOPIC, "KE-033");
}
