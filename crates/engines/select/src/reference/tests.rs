use super::*;

fn refs() -> Vec<Ref> {
    let listed = [
        ("HEAD", "a1", None),
        ("refs/heads/master", "a1", None),
        ("refs/heads/feature/x", "a2", None),
        ("refs/heads/staging", "a3", None),
        ("refs/pull/420/head", "a4", None),
        ("refs/tags/0.2.0", "b1", None),
        ("refs/tags/v1.0.0-alpha", "b2", None),
        ("refs/tags/v1.1.0", "t1", Some("b3")),
        ("refs/tags/v1.2", "b4", None),
        ("refs/tags/v2.0.0", "b5", None),
        ("refs/tags/latest", "b6", None),
    ];
    listed
        .map(|(name, object, peeled)| Ref {
            name: name.to_owned(),
            object: object.to_owned(),
            peeled: peeled.map(str::to_owned),
        })
        .to_vec()
}

/// Reads `field=value` pairs.
fn wanted(text: &str) -> Wanted {
    let mut wanted = Wanted::default();
    for pair in text.split(';').filter(|pair| !pair.is_empty()) {
        let (field, value) = pair.split_once('=').unwrap();
        let slot = match field {
            "commit" => &mut wanted.commit,
            "name" => &mut wanted.name,
            "tag" => &mut wanted.tag,
            "semver" => &mut wanted.semver,
            "branch" => &mut wanted.branch,
            other => panic!("no field {other}"),
        };
        *slot = Some(value.to_owned());
    }
    wanted
}

fn check(text: &str, expected: Result<&str, &str>) {
    let found = choose(&wanted(text), &refs());
    let found = found
        .map(|choice| choice.revision())
        .map_err(|error| error.to_string());
    let expected = expected.map(str::to_owned).map_err(str::to_owned);
    assert_eq!(found, expected, "{text}");
}

/// covers: SC-065, SC-066, SC-092
#[test]
fn each_form_of_reference_gives_its_revision() {
    for (text, revision) in [
        ("", "master@sha1:a1"),
        ("branch=;tag=", "master@sha1:a1"),
        ("branch=feature/x", "feature/x@sha1:a2"),
        ("tag=v1.1.0", "v1.1.0@sha1:b3"),
        ("tag=0.2.0", "0.2.0@sha1:b1"),
        ("name=refs/heads/master", "refs/heads/master@sha1:a1"),
        ("name=refs/pull/420/head", "refs/pull/420/head@sha1:a4"),
        ("name=refs/tags/v1.1.0", "refs/tags/v1.1.0@sha1:b3"),
        ("commit=c9", "sha1:c9"),
        ("commit=c9;branch=staging", "staging@sha1:c9"),
        (
            "commit=c9;branch=staging;name=refs/heads/other",
            "refs/heads/other@sha1:c9",
        ),
    ] {
        check(text, Ok(revision));
    }
}

/// covers: SC-065, SC-094
#[test]
fn ranges_choose_the_highest_version() {
    for (range, revision) in [
        ("*", "v2.0.0@sha1:b5"),
        ("<v0.2.1", "0.2.0@sha1:b1"),
        (">=1.0.0-0 <1.1.0-0", "v1.0.0-alpha@sha1:b2"),
        (">=1.0.0 <2", "v1.1.0@sha1:b3"),
    ] {
        check(&format!("semver={range}"), Ok(revision));
    }
    check("semver=>=3", Err("no match found for semver: >=3"));
    check("semver=not a range", Err("semver parse error"));
}

#[test]
fn tag_counts_before_a_range_and_a_name_before_both() {
    check("branch=staging;tag=0.2.0;semver=*", Ok("0.2.0@sha1:b1"));
    check("branch=staging;semver=1.x", Ok("v1.1.0@sha1:b3"));
    check(
        "name=refs/heads/staging;tag=0.2.0;semver=*",
        Ok("refs/heads/staging@sha1:a3"),
    );
}

/// covers: SC-095
#[test]
fn peeled_name_keeps_its_suffix() {
    check(
        "name=refs/tags/v1.1.0^{}",
        Ok("refs/tags/v1.1.0^{}@sha1:b3"),
    );
    check("name=refs/tags/0.2.0^{}", Ok("refs/tags/0.2.0^{}@sha1:b1"));
}

/// covers: SC-093
#[test]
fn annotated_tag_is_fetched_by_its_own_object() {
    let Ok(Choice::Tip(tip)) = choose(&wanted("tag=v1.1.0"), &refs()) else {
        panic!()
    };
    assert_eq!((tip.object.as_str(), tip.commit.as_str()), ("t1", "b3"));
}

#[test]
fn what_is_missing_is_named() {
    for (text, error) in [
        (
            "branch=invalid",
            "couldn't find remote ref \"refs/heads/invalid\"",
        ),
        (
            "tag=invalid",
            "couldn't find remote ref \"refs/tags/invalid\"",
        ),
        (
            "commit=c9;branch=invalid",
            "couldn't find remote ref \"refs/heads/invalid\"",
        ),
        (
            "name=refs/tags/v0.2.0",
            "unable to resolve ref 'refs/tags/v0.2.0' to a specific commit",
        ),
        (
            "name=/refs/heads/master",
            "ref /refs/heads/master is invalid; Git refs cannot begin or end with a slash '/'",
        ),
        (
            "name=refs/heads/",
            "ref refs/heads/ is invalid; Git refs cannot begin or end with a slash '/'",
        ),
    ] {
        check(text, Err(error));
    }
}

/// covers: SC-069
#[test]
fn revisions_of_before_1_0_are_recognised() {
    let commit = "5394cb7f48332b2de7c17dd8b8384bbc84b7e738";
    let old = format!("feature/x/{commit}");
    let new = format!("feature/x@sha1:{commit}");
    assert!(same_revision(&old, &new) && same_revision(&new, &new));
    assert!(!same_revision(&old, &format!("other@sha1:{commit}")));
    assert!(!same_revision("main/short", "main@sha1:short"));
}

#[test]
fn prefixes_name_what_can_matter() {
    let id = "5394cb7f48332b2de7c17dd8b8384bbc84b7e738";
    for (text, expected) in [
        ("", "refs/heads/master"),
        ("branch=main", "refs/heads/main"),
        ("tag=v1", "refs/tags/v1"),
        ("semver=1.x", "refs/tags/"),
        ("tag=v1;semver=1.x", "refs/tags/v1"),
        ("name=refs/pull/1/head", "refs/pull/1/head"),
        ("name=refs/tags/v1^{}", "refs/tags/v1"),
        ("name=refs/heads/x/", "HEAD"),
        ("branch=a b", "HEAD"),
        (&format!("commit={id}"), "HEAD"),
        (&format!("commit={id};branch=main"), "refs/heads/main"),
    ] {
        assert_eq!(wanted(text).prefixes(), [expected], "{text}");
    }
}

/// CVE-2026-45571 and the like: what is no name of a reference never leaves for a server.
#[test]
fn names_that_git_refuses_are_refused() {
    for name in [
        "",
        "@",
        "/a",
        "a/",
        "a//b",
        "a..b",
        "../a",
        "a/..",
        ".a",
        "a/.b",
        "a.lock",
        "a.lock/b",
        "a b",
        "a~1",
        "a^",
        "a:b",
        "a?",
        "a*",
        "a[",
        "a\\b",
        "a@{1}",
        "a.",
        "a\nb",
        "a\0b",
        "a\u{7f}",
        &"a".repeat(5000),
    ] {
        assert!(!is_name(name), "{name:?}");
    }
    for name in [
        "refs/heads/main",
        "refs/pull/420/head",
        "HEAD",
        "refs/heads/@",
        "refs/tags/v1.0.0+x",
        "refs/heads/ü",
    ] {
        assert!(is_name(name), "{name}");
    }
}
