//! Cases of `cases/images.txt`.

use super::check;

const TOPIC: &str = "images";

/// covers: KE-061
#[test]
fn containers_anywhere_in_any_kind() {
    check(TOPIC, "KE-061");
}

/// covers: KE-062
#[test]
fn but_not_in_definitions() {
    check(TOPIC, "KE-062");
}

/// covers: KE-063
#[test]
fn a_name_is_a_regular_expression() {
    check(TOPIC, "KE-063");
}

/// covers: KE-063, KE-153
#[test]
fn other_digests_than_sha256_are_not_known() {
    check(TOPIC, "KE-063 KE-153");
}

/// covers: KE-064
#[test]
fn tags_and_digests() {
    check(TOPIC, "KE-064");
}

/// covers: KE-065
#[test]
fn a_registrys_port_is_no_tag_and_hosts_are_compared_as_written() {
    check(TOPIC, "KE-065");
}

/// covers: KE-066
#[test]
fn a_suffix_for_an_image_without_tag() {
    check(TOPIC, "KE-066");
}

/// covers: KE-067
#[test]
fn entries_see_what_earlier_ones_made() {
    check(TOPIC, "KE-067");
}

/// covers: KE-068
#[test]
fn ephemeral_containers_stay() {
    check(TOPIC, "KE-068");
}

/// covers: KE-069
#[test]
fn containers_that_are_no_list() {
    check(TOPIC, "KE-069");
}

/// covers: KE-070
#[test]
fn image_volumes_but_not_a_cron_job_s() {
    check(TOPIC, "KE-070");
}

/// covers: KE-153
#[test]
fn an_admission_policy_is_in_a_namespace() {
    check(TOPIC, "KE-153");
}
