//! Cases of `cases/ids.txt`.

use super::check;

const TOPIC: &str = "ids";

/// covers: KE-019, KE-023
#[test]
fn no_namespace_is_the_default_one() {
    check(TOPIC, "KE-019 KE-023");
}

/// covers: KE-020
#[test]
fn versions_of_one_kind_stand_beside_each_other() {
    check(TOPIC, "KE-020");
}

/// covers: KE-021
#[test]
fn a_kind_without_namespace_keeps_the_field() {
    check(TOPIC, "KE-021");
}

/// covers: KE-022
#[test]
fn custom_kinds_are_in_namespaces() {
    check(TOPIC, "KE-022");
}

/// covers: KE-024
#[test]
fn patches_find_an_object_by_any_name_it_had() {
    check(TOPIC, "KE-024");
}

/// covers: KE-025
#[test]
fn local_objects_feed_others_and_vanish() {
    check(TOPIC, "KE-025");
}
