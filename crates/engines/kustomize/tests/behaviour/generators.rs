//! Cases of `cases/generators.txt`.

use super::check;

const TOPIC: &str = "generators";

/// covers: KE-097
#[test]
fn labels_annotations_namespace_and_immutability_do_not_change_the_hash() {
    check(TOPIC, "KE-097");
}

/// covers: KE-098
#[test]
fn the_hash_is_of_json_as_go_escapes_it() {
    check(TOPIC, "KE-098");
}

/// covers: KE-099
#[test]
fn a_secrets_type_changes_its_hash() {
    check(TOPIC, "KE-099");
}

/// covers: KE-100
#[test]
fn a_merged_map_is_hashed_where_both_sides_want_it() {
    check(TOPIC, "KE-100");
}

/// covers: KE-101
#[test]
fn a_plain_map_can_be_merged_into() {
    check(TOPIC, "KE-101");
}

/// covers: KE-102
#[test]
fn a_replaced_map_keeps_its_labels() {
    check(TOPIC, "KE-102");
}

/// covers: KE-103
#[test]
fn quotes_around_a_literal_go_in_env_files_they_stay() {
    check(TOPIC, "KE-103");
}

/// covers: KE-104
#[test]
fn env_keys_keep_what_trails_them() {
    check(TOPIC, "KE-104");
}

/// covers: KE-105
#[test]
fn bytes_that_are_no_text_are_wrapped_base64() {
    check(TOPIC, "KE-105");
}

/// covers: KE-106
#[test]
fn a_hash_that_is_off_for_all_stays_off() {
    check(TOPIC, "KE-106");
}

/// covers: KE-107
#[test]
fn a_key_twice_is_told_of_a_configmap_even_for_a_secret() {
    check(TOPIC, "KE-107");
}

/// covers: KE-108
#[test]
fn an_entrys_labels_are_over_those_of_all() {
    check(TOPIC, "KE-108");
}

/// covers: KE-109
#[test]
fn a_generators_namespace_is_part_of_what_it_names_then_gives_way() {
    check(TOPIC, "KE-109");
}

/// covers: KE-110
#[test]
fn the_annotation_of_a_plain_object_that_asks_for_a_hash() {
    check(TOPIC, "KE-110");
}
