use super::*;

fn words(json: &str) -> String {
    let error = TrustPolicy::parse(json.as_bytes()).map(|_| ()).unwrap_err();
    let cause = std::error::Error::source(&error);
    cause.map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"))
}

fn one(level: &str, rest: &str) -> String {
    format!(
        r#"{{"version":"1.0","trustPolicies":[{{"name":"a","registryScopes":["*"],"signatureVerification":{level}{rest}}}]}}"#
    )
}

fn check(level: &str, rest: &str, expected: &str) {
    let words = words(&one(level, rest));
    assert!(words.contains(expected), "{level} {rest}: {words}");
}

const STRICT: &str = r#"{"level":"strict"}"#;
const TRUST: &str = r#","trustStores":["ca:x"],"trustedIdentities":["*"]"#;

/// covers: SC-137
#[test]
fn policies_without_their_parts_are_told() {
    let empty = "trust policy document has empty version, version must be specified";
    assert_eq!(words("{}"), empty);
    assert!(words("").starts_with("error occurred while parsing trustpolicy.json: "));
    assert!(words("x").starts_with("error occurred while parsing trustpolicy.json: "));
    assert!(words(r#"{"version":"2.0"}"#).contains("unsupported version \"2.0\""));
    assert!(words(r#"{"version":"1.0"}"#).contains("zero trust policy statements"));
    check(STRICT, "", "missing trust stores or trusted identities");
    check("{}", TRUST, "level is empty or missing");
}

#[test]
fn stores_and_identities_have_their_forms() {
    let stores = |stores: &str| format!(r#","trustStores":["{stores}"],"trustedIdentities":["*"]"#);
    check(STRICT, &stores("x"), "malformed trust store value");
    check(STRICT, &stores("x:x"), "unsupported trust store type");
    check(STRICT, &stores("ca:../x"), "unsupported trust store name");
    let who = |who: &str| format!(r#","trustStores":["ca:x"],"trustedIdentities":[{who}]"#);
    let name = r#""x509.subject:C=DE,ST=x,O=y""#;
    let longer = r#""x509.subject:C=DE,ST=x,O=y,CN=z""#;
    check(
        STRICT,
        &who(&format!(r#""*",{name}"#)),
        "wildcard trusted identity",
    );
    check(STRICT, &who(&format!("{name},{longer}")), "overlapping");
    check(
        STRICT,
        &who(r#""x509.subject:C=DE""#),
        "no mandatory RDN attribute for \"ST\"",
    );
    check(STRICT, &who(r#""x""#), "missing separator");
    check(STRICT, &who(r#""""#), "an empty trusted identity");
    check(
        STRICT,
        &who(r#""x509.subject:""#),
        "without an identity value",
    );
}

#[test]
fn levels_can_be_changed_within_bounds_only() {
    let changed = |level: &str, check: &str, action: &str| {
        format!(r#"{{"level":"{level}","override":{{"{check}":"{action}"}}}}"#)
    };
    check(
        r#"{"level":"x"}"#,
        TRUST,
        "invalid signature verification level \"x\"",
    );
    check(
        &changed("strict", "integrity", "log"),
        TRUST,
        "can not be overridden",
    );
    check(
        &changed("strict", "expiry", "skip"),
        TRUST,
        "can not be skipped",
    );
    check(
        &changed("strict", "expiry", "x"),
        TRUST,
        "verification action \"x\"",
    );
    check(
        &changed("strict", "x", "log"),
        TRUST,
        "verification type \"x\"",
    );
    check(
        &changed("skip", "expiry", "log"),
        "",
        "can't be used to customize",
    );
    check(
        r#"{"level":"strict","verifyTimestamp":"never"}"#,
        TRUST,
        "verifyTimestamp must be",
    );
}

#[test]
fn scopes_are_repositories_and_each_is_named_once() {
    let scopes = |scopes: &str| {
        words(&format!(
            r#"{{"version":"1.0","trustPolicies":[{{"name":"a","registryScopes":[{scopes}],"signatureVerification":{STRICT}{TRUST}}}]}}"#
        ))
    };
    assert!(scopes("").contains("zero registry scopes"));
    assert!(scopes(r#""*","host/x""#).contains("cannot be used in conjunction"));
    assert!(scopes(r#""host/x","host/x""#).contains("present in multiple"));
    for bad in [
        "host",
        "host/*",
        "host/X",
        "host/x:1",
        "https://host/x",
        "-host/x",
        "host:x/y",
        "host//x",
    ] {
        let words = scopes(&format!("{bad:?}"));
        assert!(words.contains("is not valid"), "{bad}: {words}");
    }
}

#[test]
fn named_repository_counts_before_the_wildcard() {
    let json = r#"{"version":"1.0","trustPolicies":[
        {"name":"all","registryScopes":["*"],"signatureVerification":{"level":"skip"}},
        {"name":"one","registryScopes":["host:5000/org/app"],"signatureVerification":{"level":"permissive","override":{"revocation":"skip"}},"trustStores":["ca:x"],"trustedIdentities":["*"]}]}"#;
    let policy = TrustPolicy::parse(json.as_bytes()).unwrap();
    let name = |repository| {
        let statement = policy.applicable(repository, "sha256:x").unwrap();
        statement.name.clone()
    };
    assert_eq!(name("host:5000/org/app"), "one");
    assert_eq!(name("host:5000/org/other"), "all");
    let one = policy.applicable("host:5000/org/app", "").unwrap();
    assert_eq!(one.level.action(Check::Authenticity), Action::Enforce);
    assert_eq!(one.level.action(Check::Expiry), Action::Log);
    assert_eq!(one.level.action(Check::Revocation), Action::Skip);
    let only = TrustPolicy {
        statements: policy.statements[1..].to_vec(),
    };
    let error = only.applicable("host/x", "sha256:1").unwrap_err();
    let start = "artifact \"host/x@sha256:1\" has no applicable";
    assert!(error.to_string().starts_with(start));
}
