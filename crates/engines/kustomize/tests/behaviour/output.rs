//! Cases of `cases/output.txt`.

use super::check;

const TOPIC: &str = "output";

/// covers: KE-128
#[test]
fn keys_are_in_natural_order() {
    check(TOPIC, "KE-128");
}

/// covers: KE-129
#[test]
fn words_of_yaml_1_1_are_quoted_as_keys_too() {
    check(TOPIC, "KE-129");
}

/// covers: KE-130
#[test]
fn long_texts_with_spaces_are_folded() {
    check(TOPIC, "KE-130");
}

/// covers: KE-131
#[test]
fn a_block_that_begins_with_a_space_says_how_deep_it_is() {
    check(TOPIC, "KE-131");
}

/// covers: KE-132
#[test]
fn dates_become_times() {
    check(TOPIC, "KE-132");
}

/// covers: KE-133
#[test]
fn floats_are_written_anew_but_not_in_annotations() {
    check(TOPIC, "KE-133");
}

/// covers: KE-134
#[test]
fn octal_numbers_are_converted() {
    check(TOPIC, "KE-134");
}

/// covers: KE-135
#[test]
fn whole_numbers_up_to_64_bits() {
    check(TOPIC, "KE-135");
}

/// covers: KE-136
#[test]
fn keys_that_are_no_text() {
    check(TOPIC, "KE-136");
}

/// covers: KE-137
#[test]
fn empty_annotations_vanish_a_templates_stay() {
    check(TOPIC, "KE-137");
}

/// covers: KE-138
#[test]
fn comments_do_not_survive() {
    check(TOPIC, "KE-138");
}

/// covers: KE-139
#[test]
fn separators_stand_between_documents_only() {
    check(TOPIC, "KE-139");
}

/// covers: KE-140
#[test]
fn fields_that_are_null_stay() {
    check(TOPIC, "KE-140");
}

/// covers: KE-141
#[test]
fn lines_that_end_in_spaces_or_hold_tabs_are_quoted() {
    check(TOPIC, "KE-141");
}

/// covers: KE-142
#[test]
fn a_null_timestamp_stays() {
    check(TOPIC, "KE-142");
}

/// covers: KE-143
#[test]
fn annotations_that_upstream_keeps_its_books_in_are_taken_away() {
    check(TOPIC, "KE-143");
}

/// covers: KE-144
#[test]
fn where_an_object_came_from_is_said_when_asked_for() {
    check(TOPIC, "KE-144");
}
