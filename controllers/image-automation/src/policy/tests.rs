//! What each policy chooses.

use api::image::{Alphabetical, Numerical, Order, PolicyChoice, SemVer, TagFilter};

use super::{Policy, PolicyError};

fn own(tags: &[&str]) -> Vec<String> {
    tags.iter().map(|&tag| tag.to_owned()).collect()
}

fn semver(range: &str) -> PolicyChoice {
    PolicyChoice {
        semver: Some(SemVer {
            range: range.into(),
        }),
        ..PolicyChoice::default()
    }
}

fn alphabetical(order: Option<Order>) -> PolicyChoice {
    PolicyChoice {
        alphabetical: Some(Alphabetical { order }),
        ..PolicyChoice::default()
    }
}

fn numerical(order: Option<Order>) -> PolicyChoice {
    PolicyChoice {
        numerical: Some(Numerical { order }),
        ..PolicyChoice::default()
    }
}

fn filter(pattern: &str, extract: &str) -> TagFilter {
    TagFilter {
        pattern: Some(pattern.into()),
        extract: Some(extract.into()),
    }
}

fn latest(
    choice: &PolicyChoice,
    filter: Option<&TagFilter>,
    tags: &[&str],
) -> Result<String, String> {
    let policy = Policy::new(choice, filter).map_err(|error| error.to_string())?;
    let latest = policy.latest(&own(tags)).map(str::to_owned);
    latest.map_err(|error| error.to_string())
}

/// covers: IA-084, IA-091, IA-095, IA-099
#[test]
fn highest_version_in_range_wins_and_keeps_its_spelling() {
    let choose = |range: &str, tags: &[&str]| latest(&semver(range), None, tags);
    for (range, tags, expected) in [
        (
            "1.0.x",
            &["1.0.0", "1.0.1", "2.0.0", "1.1.0-rc1"][..],
            "1.0.1",
        ),
        ("v1.0.x", &["1.0.0", "1.0.1"], "1.0.1"),
        ("1.0.x", &["v1.0.0", "v1.0.1"], "v1.0.1"),
        (">=1.0.0", &["1.0.0", "2.0.0-rc1"], "1.0.0"),
        (">=1.0.0-0", &["1.0.0", "2.0.0-rc1"], "2.0.0-rc1"),
        (
            "*",
            &["1.0.0.1", "1.0.0p", "latest", "1.2", "0.1.0"],
            "0.1.0",
        ),
        (">0,<2.0", &["2.0.0", "1.9.9"], "1.9.9"),
    ] {
        assert_eq!(choose(range, tags).unwrap(), expected, "{range} {tags:?}");
    }
    let error = choose("1.x", &["b1.2.3", "2.0.0"]).unwrap_err();
    assert!(
        error.starts_with("unable to determine latest version from provided list"),
        "{error}"
    );
    assert!(error.contains("'1.x'"), "{error}");
}

/// covers: IA-096, IA-098
#[test]
fn policies_that_cannot_be_used_are_told_from_those_that_find_nothing() {
    for range in ["1.0.x", "^1.0", "=1.0.0", "~1.0", ">=1.0", ">0,<2.0", "*"] {
        assert!(Policy::new(&semver(range), None).is_ok(), "{range}");
    }
    for range in ["1.0.0p", "1x", "x1", "-1", "a", "", "*-*"] {
        let error = Policy::new(&semver(range), None).unwrap_err();
        assert!(error.is_invalid(), "{range:?}");
    }
    let error = Policy::new(&PolicyChoice::default(), None).unwrap_err();
    assert_eq!(
        error.to_string(),
        "invalid policy: given ImagePolicyChoice object is invalid"
    );
    let error = Policy::new(&semver("*"), Some(&filter("^(.*", ""))).unwrap_err();
    assert!(error.is_invalid());
    let policy = Policy::new(&semver("*"), None).unwrap();
    let error = policy.latest(&[]).unwrap_err();
    assert!(!error.is_invalid() && matches!(error, PolicyError::Empty(_)));
    assert_eq!(error.to_string(), "version list argument cannot be empty");
}

/// covers: IA-092, IA-093
#[test]
fn alphabetical_takes_the_last_in_the_order_of_bytes() {
    let choose = |order, tags: &[&str]| latest(&alphabetical(order), None, tags).unwrap();
    assert_eq!(choose(None, &["artful", "zesty", "bionic"]), "zesty");
    assert_eq!(
        choose(Some(Order::Desc), &["artful", "zesty", "bionic"]),
        "artful"
    );
    assert_eq!(
        choose(Some(Order::Asc), &["16.04", "20.10", "18.04"]),
        "20.10"
    );
    assert_eq!(choose(None, &["b", "B", "a"]), "b");
    let chosen = latest(
        &alphabetical(None),
        Some(&filter("^test-(.*)$", "$1")),
        &["test-a", "test-c", "test-b", "z"],
    );
    assert_eq!(chosen.unwrap(), "test-c");
}

/// covers: IA-094, IA-102
#[test]
fn numerical_compares_numbers_as_precise_as_they_are_written() {
    let choose = |order, tags: &[&str]| latest(&numerical(order), None, tags);
    assert_eq!(choose(None, &["9", "10", "-5"]).unwrap(), "10");
    assert_eq!(choose(Some(Order::Desc), &["9", "10", "-5"]).unwrap(), "-5");
    assert_eq!(choose(None, &["1.5", "1.25", "1e0"]).unwrap(), "1.5");
    let long = [
        "20240101120000123",
        "20240101120000125",
        "20240101120000124",
    ];
    assert_eq!(choose(None, &long).unwrap(), "20240101120000125");
    assert_eq!(
        choose(Some(Order::Desc), &long).unwrap(),
        "20240101120000123"
    );
    assert_eq!(
        choose(None, &["1", "1a"]).unwrap_err(),
        "failed to parse invalid numeric value '1a'"
    );
}

/// covers: IA-085, IA-097
#[test]
fn pattern_chooses_the_tags_and_what_of_them_is_compared() {
    let tags = ["ver1", "ver12", "ver3", "rel99"];
    let choose = |pattern: &str, extract: &str| {
        latest(&numerical(None), Some(&filter(pattern, extract)), &tags)
    };
    assert_eq!(choose(r"^ver(\d+)", "$1").unwrap(), "ver12");
    assert_eq!(choose(r"^ver(?P<number>\d+)", "$number").unwrap(), "ver12");
    assert_eq!(choose(r"^\Qver\E(?<n>\d)$", "${n}").unwrap(), "ver3");
    assert_eq!(
        choose(r"^ver(\d+)", "$1x").unwrap_err(),
        "failed to parse invalid numeric value ''"
    );
    let error = choose("^v[0-9]", "").unwrap_err();
    assert_eq!(
        error,
        "version list argument cannot be empty: none of 4 tags matches the pattern '^v[0-9]', such as 'ver3', 'ver12', 'ver1'"
    );
}

/// covers: IA-100
#[test]
fn equals_always_give_the_same_answer() {
    let orders = [
        ["1.0.0", "v1.0.0", "1.0.0+b"],
        ["v1.0.0", "1.0.0+b", "1.0.0"],
        ["1.0.0+b", "1.0.0", "v1.0.0"],
    ];
    for tags in orders {
        assert_eq!(latest(&semver("*"), None, &tags).unwrap(), "v1.0.0");
    }
    for tags in [["1.0", "1.00"], ["1.00", "1.0"]] {
        assert_eq!(latest(&numerical(None), None, &tags).unwrap(), "1.00");
    }
}
