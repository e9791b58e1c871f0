//! The Git services: which requests set a status or write a comment, and which show that there is nothing to do.

use testkit::{Answer, HttpSink, ReceivedRequest};

use super::*;

const COMMIT: &str = "69b59063470310ebbd88a9156325322a124e55a3";
const CONTEXT: &str = "gitrepository/webapp/0c9c2e41";

/// What Bitbucket names the status: its keys are short.
fn key() -> String {
    use sha1::Digest;
    hex::encode(sha1::Sha1::digest(CONTEXT))
}

/// The sample event about a commit.
fn about_commit(severity: &str) -> Notice {
    let mut notice = notice(severity);
    let revision = format!("main@sha1:{COMMIT}");
    notice.event.metadata.insert("revision".into(), revision);
    notice
}

/// Sends a notice to a service that gives these answers. Returns what came.
async fn tell(
    kind: ProviderKind,
    address: &str,
    notice: &Notice,
    answers: &[&'static str],
) -> Result<Vec<ReceivedRequest>, SendError> {
    let sink = HttpSink::start().unwrap();
    for answer in answers {
        sink.answer_once(match *answer {
            "404" => Answer::status(404),
            body => Answer::body(body),
        });
    }
    sink.answer(Answer::body("{}"));
    let mut settings = settings(kind, &format!("{}{address}", sink.url()));
    settings.token = match kind {
        ProviderKind::Bitbucket => "user:secret".into(),
        _ => "t0ken".into(),
    };
    let notifier = build(&Arc::new(settings)).unwrap_or_else(|e| panic!("{e}"));
    notifier.send(notice).await.map(|()| sink.requests())
}

fn refused(kind: ProviderKind, address: &str, token: &str) -> String {
    let mut settings = settings(kind, address);
    settings.token = token.into();
    build(&Arc::new(settings)).err().unwrap().to_string()
}

fn lines(requests: &[ReceivedRequest]) -> Vec<String> {
    let line = |r: &ReceivedRequest| format!("{} {}", r.method, r.target);
    requests.iter().map(line).collect()
}

fn body(request: &ReceivedRequest) -> Value {
    request.json().unwrap()
}

/// A commit status of one service: what is asked, what is set.
struct Status {
    kind: ProviderKind,
    address: &'static str,
    header: (&'static str, &'static str),
    list: String,
    set: String,
    /// What the list answers where there is nothing, and where the same is set already.
    answers: (&'static str, String),
    body: Value,
}

#[expect(clippy::too_many_lines, reason = "a table")]
fn statuses() -> Vec<Status> {
    let key = key();
    let words = "reconciliation failed";
    vec![
        Status {
            kind: ProviderKind::Github,
            address: "/org/repo",
            header: ("authorization", "Bearer t0ken"),
            list: format!("GET /api/v3/repos/org/repo/commits/{COMMIT}/statuses?per_page=50"),
            set: format!("POST /api/v3/repos/org/repo/statuses/{COMMIT}"),
            answers: (
                "[]",
                json!([{ "context": CONTEXT, "state": "failure", "description": words }]).to_string(),
            ),
            body: json!({ "state": "failure", "context": CONTEXT, "description": words }),
        },
        Status {
            kind: ProviderKind::Gitlab,
            address: "/group/sub/repo.git",
            header: ("private-token", "t0ken"),
            list: format!(
                "GET /api/v4/projects/group%2Fsub%2Frepo/repository/commits/{COMMIT}/statuses?name=gitrepository%2Fwebapp%2F0c9c2e41"
            ),
            set: format!("POST /api/v4/projects/group%2Fsub%2Frepo/statuses/{COMMIT}"),
            answers: (
                "[]",
                json!([{ "sha": COMMIT, "name": CONTEXT, "status": "failed", "description": words }]).to_string(),
            ),
            body: json!({ "state": "failed", "name": CONTEXT, "description": words }),
        },
        Status {
            kind: ProviderKind::Gitea,
            address: "/org/repo",
            header: ("authorization", "token t0ken"),
            list: format!("GET /api/v1/repos/org/repo/commits/{COMMIT}/statuses?limit=50&page=1"),
            set: format!("POST /api/v1/repos/org/repo/statuses/{COMMIT}"),
            answers: (
                "null",
                json!([{ "context": CONTEXT, "status": "failure", "description": words }]).to_string(),
            ),
            body: json!({ "state": "failure", "target_url": "", "context": CONTEXT, "description": words }),
        },
        Status {
            kind: ProviderKind::Bitbucket,
            address: "/org/repo",
            header: ("authorization", "Basic dXNlcjpzZWNyZXQ="),
            list: format!("GET /2.0/repositories/org/repo/commit/{COMMIT}/statuses/build/{key}"),
            set: format!("POST /2.0/repositories/org/repo/commit/{COMMIT}/statuses/build"),
            answers: (
                "404",
                json!({ "state": "FAILED", "description": words }).to_string(),
            ),
            body: json!({ "state": "FAILED", "key": key, "name": "gitrepository/webapp",
                "description": words, "url": "https://bitbucket.org" }),
        },
        Status {
            kind: ProviderKind::AzureDevops,
            address: "/org/project/_git/repo",
            header: ("authorization", "Basic OnQwa2Vu"),
            list: format!(
                "GET /org/project/_apis/git/repositories/repo/commits/{COMMIT}/statuses?api-version=7.1&latestOnly=true"
            ),
            set: format!(
                "POST /org/project/_apis/git/repositories/repo/commits/{COMMIT}/statuses?api-version=7.1"
            ),
            answers: (
                r#"{"value":[]}"#,
                json!({ "value": [{ "state": "error", "description": words,
                    "context": { "genre": "fluxcd", "name": CONTEXT } }] }).to_string(),
            ),
            body: json!({ "state": "error", "description": words,
                "context": { "genre": "fluxcd", "name": CONTEXT } }),
        },
    ]
}

/// covers: NC-095, NC-098, NC-099, NC-100, NC-102
#[tokio::test]
async fn status_is_set_once_and_not_again_while_it_says_the_same() {
    for status in statuses() {
        let kind = status.kind;
        let notice = about_commit("error");
        let (none, same) = status.answers;
        let requests = tell(kind, status.address, &notice, &[none]).await.unwrap();
        assert_eq!(
            lines(&requests),
            [status.list.clone(), status.set],
            "{kind:?}"
        );
        for request in &requests {
            assert_eq!(
                request.header(status.header.0),
                Some(status.header.1),
                "{kind:?}"
            );
        }
        assert_eq!(body(&requests[1]), status.body, "{kind:?}");
        let same: &'static str = Box::leak(same.into_boxed_str());
        let requests = tell(kind, status.address, &notice, &[same]).await.unwrap();
        assert_eq!(lines(&requests), [status.list], "{kind:?}");
    }
}

/// covers: NC-095, NC-098, NC-099, NC-101, NC-102
#[tokio::test]
async fn progress_sets_nothing_and_what_has_no_commit_or_state_is_refused() {
    for status in statuses() {
        let (kind, address) = (status.kind, status.address);
        let mut progress = about_commit("info");
        progress.event.reason = "Progressing".into();
        let requests = tell(kind, address, &progress, &[status.answers.0])
            .await
            .unwrap();
        if kind == ProviderKind::Gitea {
            assert_eq!(body(&requests[1])["state"], "pending");
        } else {
            assert!(requests.is_empty(), "{kind:?}");
        }
        let error = tell(kind, address, &notice("error"), &[])
            .await
            .unwrap_err();
        assert_eq!(error.to_string(), "missing revision metadata", "{kind:?}");
        let mut bad = notice("error");
        bad.event.metadata.insert("revision".into(), "main".into());
        let error = tell(kind, address, &bad, &[])
            .await
            .unwrap_err()
            .to_string();
        assert_eq!(error, "failed to extract commit hash from 'main' revision");
        let error = tell(kind, address, &about_commit("odd"), &[]).await;
        let error = error.unwrap_err().to_string();
        assert!(
            error.starts_with("can't convert to ") && error.ends_with(" state"),
            "{error}"
        );
        // The commit of the source's origin goes before the source's own.
        let mut origin = about_commit("info");
        let other = "0".repeat(40);
        let revision = format!("main@sha1:{other}");
        origin
            .event
            .metadata
            .insert("originRevision".into(), revision);
        let requests = tell(kind, address, &origin, &[status.answers.0])
            .await
            .unwrap();
        assert!(requests[1].target.contains(&other), "{kind:?}");
    }
}

/// covers: NC-101
#[tokio::test]
async fn bitbucket_server_is_told_below_any_context_path() {
    let kind = ProviderKind::BitbucketServer;
    let key = key();
    for context in ["", "/ctx", "/a/b", "/scm/ctx"] {
        let address = format!("{context}/scm/p/r.git");
        let notice = about_commit("info");
        let requests = tell(kind, &address, &notice, &["404"]).await.unwrap();
        let builds =
            format!("{context}/rest/api/latest/projects/p/repos/r/commits/{COMMIT}/builds");
        let expect = [format!("GET {builds}?key={key}"), format!("POST {builds}")];
        assert_eq!(lines(&requests), expect);
        for request in &requests {
            assert_eq!(request.header("authorization"), Some("Bearer t0ken"));
            assert_eq!(request.header("x-atlassian-token"), Some("no-check"));
            assert_eq!(request.header("x-requested-with"), Some("XMLHttpRequest"));
        }
        let set = body(&requests[1]);
        assert_eq!(
            (&set["key"], &set["state"]),
            (&json!(key), &json!("SUCCESSFUL"))
        );
        assert_eq!(set["name"], "gitrepository/webapp [reconciliation failed]");
        assert!(set["url"].as_str().unwrap().ends_with(&address));
    }
    let same = r#"{"state":"SUCCESSFUL","description":"reconciliation failed","name":"gitrepository/webapp [reconciliation failed]"}"#;
    let requests = tell(kind, "/scm/p/r.git", &about_commit("info"), &[same]).await;
    assert_eq!(requests.unwrap().len(), 1);
    let error = refused(kind, "https://b.org/scm/p/r.git", "");
    assert_eq!(
        error,
        "invalid credentials, expected to be one of username/password or API Token"
    );
}

/// covers: NC-095, NC-098, NC-099, NC-100, NC-102
#[test]
fn what_is_no_repository_or_token_is_refused() {
    use ProviderKind as Kind;
    for (kind, address, token, words) in [
        (
            Kind::Github,
            "https://github.com/a/b/c",
            "t",
            "invalid repository id 'a/b/c'",
        ),
        (
            Kind::Github,
            "https://github.com/a/b",
            "",
            "github token or github app details must be specified",
        ),
        (
            Kind::Gitlab,
            "https://gitlab.com/a/b",
            "",
            "gitlab token cannot be empty",
        ),
        (
            Kind::Gitea,
            "https://g/a/b",
            "",
            "gitea token cannot be empty",
        ),
        (
            Kind::Gitea,
            "https://g/a",
            "t",
            "invalid repository id \"a\"",
        ),
        (
            Kind::Bitbucket,
            "https://bitbucket.org/a/b",
            "t",
            "expected to be <user>:<password>",
        ),
        (
            Kind::Bitbucket,
            "https://bitbucket.org/a",
            "u:p",
            "invalid repository id 'a'",
        ),
        (
            Kind::AzureDevops,
            "https://dev.azure.com/a/b/c",
            "t",
            "invalid repository id 'a/b/c'",
        ),
    ] {
        let error = refused(kind, address, token);
        assert!(error.contains(words), "{kind:?}: {error}");
    }
}

/// covers: NC-103
#[tokio::test]
#[expect(clippy::too_many_lines, reason = "a table of services")]
async fn pull_request_gets_one_comment_that_is_brought_up_to_date() {
    let mut notice = about_commit("error");
    notice
        .event
        .metadata
        .insert("change_request".into(), "7".into());
    let text = "GitRepository/gitops-system/webapp";
    for (kind, marker, user, list, write, update, header) in [
        (
            ProviderKind::GithubPullRequestComment,
            "flux-pr-comment-key",
            (
                "GET /api/v3/user",
                r#"{"login":"bot"}"#,
                r#""user":{"login":"bot"}"#,
            ),
            "GET /api/v3/repos/org/repo/issues/7/comments?per_page=100&page=1&sort=created&direction=asc",
            "POST /api/v3/repos/org/repo/issues/7/comments",
            "PATCH /api/v3/repos/org/repo/issues/comments/5",
            ("authorization", "Bearer t0ken"),
        ),
        (
            ProviderKind::GiteaPullRequestComment,
            "flux-pr-comment-key",
            (
                "GET /api/v1/user",
                r#"{"login":"bot"}"#,
                r#""user":{"login":"bot"}"#,
            ),
            "GET /api/v1/repos/org/repo/issues/7/comments",
            "POST /api/v1/repos/org/repo/issues/7/comments",
            "PATCH /api/v1/repos/org/repo/issues/comments/5",
            ("authorization", "token t0ken"),
        ),
        (
            ProviderKind::GitlabMergeRequestComment,
            "flux-mr-comment-key",
            ("GET /api/v4/user", r#"{"id":3}"#, r#""author":{"id":3}"#),
            "GET /api/v4/projects/org%2Frepo/merge_requests/7/notes?per_page=100&page=1&sort=asc&order_by=created_at",
            "POST /api/v4/projects/org%2Frepo/merge_requests/7/notes",
            "PUT /api/v4/projects/org%2Frepo/merge_requests/7/notes/5",
            ("private-token", "t0ken"),
        ),
    ] {
        let requests = tell(kind, "/org/repo", &notice, &[user.1, "[]"])
            .await
            .unwrap();
        assert_eq!(lines(&requests), [user.0, list, write], "{kind:?}");
        assert!(
            requests
                .iter()
                .all(|r| r.header(header.0) == Some(header.1))
        );
        let own = format!("<!-- {marker}:0c9c2e41-d2f9/{text} -->");
        let written = body(&requests[2])["body"].as_str().unwrap().to_owned();
        assert!(
            written.starts_with(&format!("{own}\n\n## Flux Status\n\n⚠️ {text}")),
            "{written}"
        );
        assert!(!written.contains("change_request"), "{written}");
        // Somebody else's comment with the marker is not touched.
        let others = user.2.replace("bot", "other").replace('3', "4");
        let found = format!(
            r#"[{{"id":4,"body":"{own}",{others}}},{{"id":5,"body":"x {own} y",{}}}]"#,
            user.2
        );
        let found: &'static str = Box::leak(found.into_boxed_str());
        let requests = tell(kind, "/org/repo", &notice, &[user.1, found])
            .await
            .unwrap();
        assert_eq!(lines(&requests), [user.0, list, update], "{kind:?}");
        let mut bad = notice.clone();
        bad.event
            .metadata
            .insert("change_request".into(), "x".into());
        let error = tell(kind, "/org/repo", &bad, &[])
            .await
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("invalid \"change_request\" metadata value"),
            "{error}"
        );
        let mut nobody = settings(kind, "https://host.example/org/repo");
        nobody.uid = String::new();
        nobody.token = "t".into();
        let error = build(&Arc::new(nobody)).err().unwrap().to_string();
        assert_eq!(error, "provider UID cannot be empty");
    }
}

#[tokio::test]
async fn dispatch_carries_the_whole_event() {
    let notice = about_commit("info");
    let requests = tell(ProviderKind::GithubDispatch, "/org/repo", &notice, &[])
        .await
        .unwrap();
    assert_eq!(lines(&requests), ["POST /api/v3/repos/org/repo/dispatches"]);
    assert_eq!(requests[0].header("authorization"), Some("Bearer t0ken"));
    let sent = body(&requests[0]);
    assert_eq!(sent["event_type"], "GitRepository/webapp.gitops-system");
    let event: Value = serde_json::from_str(&notice.event.to_json()).unwrap();
    assert_eq!(sent["client_payload"], event);
}

const APP_KEY: &str = include_str!("../../../tests/data/rsa.pem");

/// The Secret of a GitHub App with all that it needs, but for one key.
fn app_without(absent: &str) -> BTreeMap<String, Vec<u8>> {
    let all = [
        ("githubAppID", "17"),
        ("githubAppInstallationID", "4711"),
        ("githubAppPrivateKey", APP_KEY),
    ];
    let kept = all.into_iter().filter(|(key, _)| *key != absent);
    kept.map(|(key, value)| (key.to_owned(), value.as_bytes().to_vec()))
        .collect()
}

/// covers: NC-096
#[test]
fn github_app_says_what_it_lacks() {
    for (absent, words) in [
        (
            "githubAppID",
            "github token or github app details must be specified",
        ),
        (
            "githubAppInstallationID",
            "app installation owner or ID must be provided to use github app authentication",
        ),
        (
            "githubAppPrivateKey",
            "private key must be provided to use github app authentication",
        ),
    ] {
        for kind in [
            ProviderKind::Github,
            ProviderKind::GithubDispatch,
            ProviderKind::GithubPullRequestComment,
        ] {
            let mut settings = settings(kind, "https://github.com/org/repo");
            settings.secret = app_without(absent);
            let error = build(&Arc::new(settings)).err().unwrap().to_string();
            assert_eq!(error, words, "{kind:?} without {absent}");
        }
    }
    let mut broken = settings(ProviderKind::Github, "https://github.com/org/repo");
    broken.secret = app_without("");
    let key = broken.secret.get_mut("githubAppPrivateKey").unwrap();
    key.truncate(100);
    let error = build(&Arc::new(broken)).err().unwrap().to_string();
    assert_eq!(error, "failed to parse private key");
}

/// Checks the token by which an app asks for one.
fn signed_by_app(authorization: &str) {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    let token = authorization.strip_prefix("Bearer ").unwrap();
    let (signed, tag) = token.rsplit_once('.').unwrap();
    let public = include_bytes!("../../../tests/data/rsa.pub.der");
    let algorithm = &ring::signature::RSA_PKCS1_2048_8192_SHA256;
    let key = ring::signature::UnparsedPublicKey::new(algorithm, public);
    let tag = URL_SAFE_NO_PAD.decode(tag).unwrap();
    key.verify(signed.as_bytes(), &tag).unwrap();
    let (_, claims) = signed.split_once('.').unwrap();
    let claims = URL_SAFE_NO_PAD.decode(claims).unwrap();
    let claims: Value = serde_json::from_slice(&claims).unwrap();
    let (from, to) = (
        claims["iat"].as_i64().unwrap(),
        claims["exp"].as_i64().unwrap(),
    );
    assert_eq!(claims["iss"], "17");
    assert!(
        to - from <= 600,
        "GitHub takes none that counts longer than ten minutes"
    );
}

/// covers: NC-096
#[tokio::test]
async fn github_app_asks_for_a_token_once_and_sets_statuses_with_it() {
    let sink = HttpSink::start().unwrap();
    sink.answer_once(
        Answer::body(r#"{"token":"ghs_x","expires_at":"2099-01-01T00:00:00Z"}"#)
            .header("content-type", "application/json"),
    );
    sink.answer(Answer::body("[]"));
    let mut settings = settings(ProviderKind::Github, &format!("{}/org/repo", sink.url()));
    settings.secret = app_without("");
    let settings = Arc::new(settings);
    for severity in ["error", "info"] {
        // Built anew, as after a change: the token stays.
        let notifier = build(&settings).unwrap_or_else(|e| panic!("{e}"));
        notifier.send(&about_commit(severity)).await.unwrap();
    }
    let requests = sink.requests();
    let list = format!("GET /api/v3/repos/org/repo/commits/{COMMIT}/statuses?per_page=50");
    let set = format!("POST /api/v3/repos/org/repo/statuses/{COMMIT}");
    let asked = "POST /api/v3/app/installations/4711/access_tokens".to_owned();
    let expect = [asked, list.clone(), set.clone(), list, set];
    assert_eq!(lines(&requests), expect);
    signed_by_app(requests[0].header("authorization").unwrap());
    for request in &requests[1..] {
        assert_eq!(request.header("authorization"), Some("Bearer ghs_x"));
    }
}
