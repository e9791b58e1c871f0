use proptest::prelude::*;

use super::*;

/// Whether `path` (a trailing `/` marks a directory) is left out under the patterns of `spec.ignore`.
fn excluded(ignore: &str, path: &str) -> bool {
    let rules = IgnoreRules::new(Some(ignore));
    match path.strip_suffix('/') {
        Some(directory) => rules.excludes(directory, true),
        None => rules.excludes(path, false),
    }
}

fn check(ignore: &str, out: &[&str], kept: &[&str]) {
    for path in out {
        assert!(excluded(ignore, path), "{ignore:?} should leave out {path}");
    }
    for path in kept {
        assert!(!excluded(ignore, path), "{ignore:?} should keep {path}");
    }
}

/// covers: SC-181
#[test]
fn last_matching_pattern_wins() {
    check(
        "**/middle/v[uo]l?ano\n!volcano",
        &["head/middle/vulkano"],
        &["head/middle/volcano"],
    );
    check("*.txt\n!keep.txt\nkeep.txt", &["keep.txt"], &[]);
}

/// covers: SC-182
#[test]
fn anchored_pattern_matches_descendants_only_from_the_scope_root() {
    check(
        "/value/vul?ano",
        &["value/vulkano", "value/vulkano/", "value/vulkano/tail"],
        &["value/value/vulkano", "value/volcano", "value/"],
    );
}

/// covers: SC-183
#[test]
fn file_patterns_apply_only_below_their_directory() {
    let mut rules = IgnoreRules::new(None);
    rules.add_file("head/middle", "value/volcano\n");
    assert!(rules.excludes("head/middle/value/volcano", false));
    assert!(!rules.excludes("value/volcano", false));
    assert!(!rules.excludes("head/tail/value/volcano", false));
    assert!(
        !rules.excludes("head/middle", true),
        "the scope itself never matches"
    );
}

/// covers: SC-184
#[test]
fn trailing_slash_means_directory_and_everything_beneath() {
    check(
        "x/",
        &["x/", "x/a", "deep/x/", "deep/x/a/b"],
        &["x", "deep/x"],
    );
    check("/a/x/", &["a/x/", "a/x/y"], &["a/x", "x/"]);
}

/// covers: SC-185
#[test]
fn any_depth_component_matches_zero_or_more_directories() {
    check(
        "/*lue/vol?ano/**",
        &["value/volcano/tail", "value/volcano/", "value/volcano"],
        &["value/vulkano/tail"],
    );
    check(
        "/*lue/**/vol?ano",
        &["value/volcano", "value/a/volcano", "value/a/b/volcano/tail"],
        &["value/a/vulkano", "volcano"],
    );
}

/// covers: SC-186
#[test]
fn impossible_malformed_and_differently_cased_patterns_do_not_match() {
    check(
        "/*lue/**foo/vol?ano",
        &[],
        &["value/foo/volcano", "value/afoo/volcano"],
    );
    check("[a-\n/v[ou/x\n**/a[", &[], &["a", "[a-", "vo/x", "b/a["]);
    check("README.md", &["README.md"], &["readme.md"]);
    check("/**\n**/**", &[], &["a", "a/b"]);
}

/// covers: SC-187
#[test]
fn pattern_that_ends_inside_a_path_does_not_match() {
    check(
        "**/android/**/GeneratedPluginRegistrant.java",
        &["app/android/src/GeneratedPluginRegistrant.java"],
        &[
            "app/android/src",
            "app/android/src/gradle/wrapper.jar",
            "app/android/build.gradle",
        ],
    );
}

/// covers: SC-188
#[test]
fn comments_and_blank_lines_are_no_patterns() {
    assert!(patterns("# one\n\n  \n\t\n").is_empty());
    check("# *.md\n *.md", &[" a.md"], &["a.md"]);
    check("*.md   \n", &["a.md"], &[]);
    check("a\\ ", &["a "], &["a"]);
    check("*.md\r\n*.txt\r\n", &["a.md", "a.txt"], &[]);
}

/// covers: SC-075
#[test]
fn deeper_files_override_shallower_ones_and_the_object_overrides_both() {
    let mut rules = IgnoreRules::new(Some("!sub/deep/last.txt"));
    rules.add_file("", "*.txt");
    rules.add_file("sub", "!*.txt");
    rules.add_file("sub/deep", "*.txt");
    assert!(rules.excludes("a.txt", false));
    assert!(!rules.excludes("sub/a.txt", false));
    assert!(rules.excludes("sub/deep/a.txt", false));
    assert!(!rules.excludes("sub/deep/last.txt", false));
}

#[test]
fn defaults_apply_only_without_any_user_pattern() {
    let kept_by_pattern = ["pic.jpg", ".github/x", "deploy/.sops.yaml", "a.tar.gz"];
    let mut with_file = IgnoreRules::new(None);
    with_file.add_file("deep/down", "x");
    let mut with_comment = IgnoreRules::new(Some("# nothing\n"));
    with_comment.add_file("", "\n");
    for path in kept_by_pattern {
        assert!(IgnoreRules::new(None).excludes(path, false), "{path}");
        assert!(with_comment.excludes(path, false), "{path}");
        assert!(!with_file.excludes(path, false), "{path}");
        assert!(!IgnoreRules::new(Some("y")).excludes(path, false), "{path}");
        assert!(
            !IgnoreRules::version_control_only().excludes(path, false),
            "{path}"
        );
    }
    assert!(!IgnoreRules::new(None).excludes("pic.PNG", false));
}

/// covers: SC-045
#[test]
fn version_control_files_are_left_out_at_any_depth_unless_taken_back() {
    for rules in [IgnoreRules::new(None), IgnoreRules::new(Some("x"))] {
        for path in [
            ".gitignore",
            "a/.gitattributes",
            ".gitmodules",
            ".git/config",
            "a/.git/HEAD",
        ] {
            assert!(rules.excludes(path, false), "{path}");
        }
        assert!(rules.excludes(".git", true));
        assert!(!rules.excludes("test/.gitkeep", false));
    }
    check("!.gitignore", &[".gitattributes"], &[".gitignore"]);
}

/// covers: SC-074
#[test]
fn file_below_an_excluded_directory_can_be_taken_back() {
    check(
        "/*\n!/deploy\n",
        &["docs/", "docs/a"],
        &["deploy/", "deploy/a/b"],
    );
    check(
        "vendor/\n!vendor/keep/x.yaml",
        &["vendor/", "vendor/keep/"],
        &["vendor/keep/x.yaml"],
    );
}

#[test]
fn root_is_never_left_out() {
    assert!(!excluded("*", "/"));
    assert!(excluded("*", "a"));
}

proptest! {
    #[test]
    fn any_pattern_and_path_give_an_answer(ignore in ".{0,40}", path in "[^/]{0,5}(/[^/]{0,5}){0,4}") {
        let mut rules = IgnoreRules::new(Some(&ignore));
        rules.add_file("a", &ignore);
        let _ = rules.excludes(&path, true);
        let _ = rules.excludes(&path, false);
    }

    #[test]
    fn excluding_everything_then_including_everything_keeps_all(path in "[a-z]{1,5}(/[a-z]{1,5}){0,4}") {
        prop_assert!(excluded("*", &path));
        prop_assert!(!excluded("*\n!*", &path));
    }
}
