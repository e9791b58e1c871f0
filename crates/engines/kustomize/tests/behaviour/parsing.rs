//! Cases of `cases/parsing.txt`.

use super::check;

const TOPIC: &str = "parsing";

/// covers: KE-001
#[test]
fn words_of_yaml_1_1_are_booleans_in_a_kustomization_file() {
    check(TOPIC, "KE-001");
}

/// covers: KE-002
#[test]
fn field_names_in_any_case() {
    check(TOPIC, "KE-002");
}

/// covers: KE-003
#[test]
fn the_last_of_equal_keys_wins_in_a_kustomization_file() {
    check(TOPIC, "KE-003");
}

/// covers: KE-004
#[test]
fn a_kind_without_apiversion() {
    check(TOPIC, "KE-004");
}

/// covers: KE-005
#[test]
fn a_namespace_alone_is_something() {
    check(TOPIC, "KE-005");
}

/// covers: KE-006
#[test]
fn unknown_build_metadata_is_accepted() {
    check(TOPIC, "KE-006");
}

/// covers: KE-007
#[test]
fn a_comment_may_follow_a_separator() {
    check(TOPIC, "KE-007");
}

/// covers: KE-008
#[test]
fn items_of_a_list_come_after_the_files_other_documents() {
    check(TOPIC, "KE-008");
}

/// covers: KE-009
#[test]
fn a_kind_that_ends_in_list_and_has_no_items_is_an_object() {
    check(TOPIC, "KE-009");
}

/// covers: KE-010
#[test]
fn a_name_to_be_generated_is_no_name() {
    check(TOPIC, "KE-010");
}

/// covers: KE-011
#[test]
fn line_ends_of_windows_are_those_of_unix() {
    check(TOPIC, "KE-011");
}

/// covers: KE-012
#[test]
fn a_byte_order_mark_is_nothing() {
    check(TOPIC, "KE-012");
}

/// covers: KE-013
#[test]
fn merge_keys_and_aliases_are_expanded() {
    check(TOPIC, "KE-013");
}

/// covers: KE-014
#[test]
fn json_with_tabs() {
    check(TOPIC, "KE-014");
}

/// covers: KE-016
#[test]
fn a_directory_that_holds_itself() {
    check(TOPIC, "KE-016");
}

/// covers: KE-017
#[test]
fn the_same_base_by_two_paths() {
    check(TOPIC, "KE-017");
}

/// covers: KE-018
#[test]
fn why_an_entry_is_neither_file_nor_directory() {
    check(TOPIC, "KE-018");
}
