//! What each service sends, in its own shape: genuine it is taken and filters see into it, forged it is refused.

use base64::{Engine, engine::general_purpose::STANDARD};
use kube::api::ObjectMeta;
use ring::hmac;
use serde_json::{Value, json};

use super::tests::{Issuer, TOKEN, receiver, request, sign, store};
use super::*;
use crate::receiver::filter::Filter;
use crate::server::webhooks::api_resource;

/// A call of a service, and what its receiver says of it.
struct Call {
    kind: &'static str,
    events: Value,
    headers: Vec<(&'static str, String)>,
    body: Value,
    /// An expression that holds for this call, and one that does not.
    filters: (&'static str, &'static str),
    /// How the call is spoiled.
    forged: Vec<Forgery>,
}

/// What somebody does who does not know the secret.
#[derive(Clone, Debug)]
enum Forgery {
    Body(Value),
    Header(&'static str, &'static str),
}

fn sha256(body: &Value) -> String {
    format!("sha256={}", sign(hmac::HMAC_SHA256, &body.to_string()))
}

#[expect(clippy::too_many_lines, reason = "a table")]
fn git() -> Vec<Call> {
    let github = json!({ "ref": "refs/heads/main", "before": "6113728f27ae82c7b1a177c8d03f9e96e0adf246",
        "after": "0000a2f27ae82c7b1a177c8d03f9e96e0adf246f",
        "repository": { "id": 186_853_002, "name": "app", "full_name": "org/app", "private": false,
            "owner": { "name": "org" }, "html_url": "https://github.com/org/app" },
        "pusher": { "name": "dev", "email": "dev@example.com" }, "created": false, "deleted": false,
        "commits": [{ "id": "0000a2f", "message": "fix <b>\"it\"</b>", "modified": ["deploy/a.yaml"] }] });
    let gitlab = json!({ "object_kind": "push", "event_name": "push", "ref": "refs/heads/main",
        "checkout_sha": "da1560886d4f094c3e6c9ef40349f7d38b5d27d7", "user_username": "dev",
        "project_id": 15, "project": { "id": 15, "name": "app", "path_with_namespace": "group/sub/app",
            "default_branch": "main" },
        "commits": [{ "id": "da15608", "message": "m", "added": ["a"] }], "total_commits_count": 1 });
    let bitbucket = json!({ "eventKey": "repo:refs_changed", "date": "2026-01-01T10:00:00+1100",
        "actor": { "name": "dev", "id": 1 },
        "repository": { "slug": "app", "id": 84, "project": { "key": "PRJ", "public": false } },
        "changes": [{ "ref": { "id": "refs/heads/main", "displayId": "main", "type": "BRANCH" },
            "fromHash": "ecddabb", "toHash": "178864a", "type": "UPDATE" }] });
    let json_type = ("content-type", "application/json; charset=utf-8".to_owned());
    vec![
        Call {
            kind: "github",
            events: json!(["push", "ping"]),
            headers: vec![
                json_type.clone(),
                ("x-github-event", "push".to_owned()),
                (
                    "x-github-delivery",
                    "72d3162e-cc78-11e3-81ab-4c9367dc0958".to_owned(),
                ),
                ("x-hub-signature-256", sha256(&github)),
            ],
            filters: (
                "req.ref == 'refs/heads/main' && req.commits[0].modified.exists(f, f.startsWith('deploy/'))",
                "req.repository.full_name == 'other/app'",
            ),
            forged: vec![
                Forgery::Body(json!({ "ref": "refs/heads/evil" })),
                Forgery::Header("x-github-event", "fork"),
                Forgery::Header("x-hub-signature-256", "sha256=00"),
            ],
            body: github,
        },
        Call {
            kind: "gitlab",
            events: json!(["Push Hook", "Tag Push Hook"]),
            headers: vec![
                json_type.clone(),
                ("x-gitlab-event", "Push Hook".to_owned()),
                ("x-gitlab-token", TOKEN.to_owned()),
            ],
            filters: (
                "req.project.path_with_namespace == 'group/sub/app' && req.total_commits_count == 1",
                "req.ref.startsWith('refs/tags/')",
            ),
            forged: vec![
                Forgery::Header("x-gitlab-token", "s3cres"),
                Forgery::Header("x-gitlab-event", "Issue Hook"),
            ],
            body: gitlab,
        },
        Call {
            kind: "bitbucket",
            events: json!(["repo:refs_changed"]),
            headers: vec![
                json_type,
                ("x-event-key", "repo:refs_changed".to_owned()),
                ("x-hub-signature", sha256(&bitbucket)),
            ],
            filters: (
                "req.changes[0].ref.displayId == 'main' && req.repository.project.key == 'PRJ'",
                "req.changes.size() > 1",
            ),
            forged: vec![
                Forgery::Body(json!({ "eventKey": "repo:refs_changed" })),
                Forgery::Header("x-event-key", "pr:opened"),
                Forgery::Header("x-hub-signature", ""),
            ],
            body: bitbucket,
        },
    ]
}

#[expect(clippy::too_many_lines, reason = "a table")]
fn registries() -> Vec<Call> {
    let harbor = json!({ "type": "PUSH_ARTIFACT", "occur_at": 1_680_501_893, "operator": "robot$ci",
        "event_data": { "resources": [{ "digest": "sha256:954b378c375d852eb3c63ab88978f640b4348b01c1b3456a024a81536dafbbf4",
            "tag": "1.2.4", "resource_url": "hub.example/team/app:1.2.4" }],
            "repository": { "name": "app", "namespace": "team", "repo_full_name": "team/app", "repo_type": "private" } } });
    let dockerhub = json!({ "callback_url": "https://registry.hub.docker.com/u/org/app/hook/1/",
        "push_data": { "pushed_at": 1_582_839_308, "pusher": "dev", "tag": "1.2.4", "images": [] },
        "repository": { "name": "app", "namespace": "org", "repo_name": "org/app", "is_private": false,
            "repo_url": "https://hub.docker.com/r/org/app", "star_count": 0, "status": "Active" } });
    let quay = json!({ "name": "app", "repository": "org/app", "namespace": "org",
        "docker_url": "quay.io/org/app", "homepage": "https://quay.io/repository/org/app",
        "updated_tags": ["1.2.4", "latest"] });
    let nexus = json!({ "timestamp": "2026-01-01T10:00:00.000+0000", "nodeId": "7FFA7361", "initiator": "admin/10.0.0.1",
        "repositoryName": "docker", "action": "CREATED",
        "component": { "id": "08909bf0", "componentId": "ZG9ja2Vy", "format": "docker", "name": "org/app",
            "group": null, "version": "1.2.4" } });
    let acr = json!({ "id": "cb8c3971-9adc-488b-xxxx-43cbb4974ff5", "timestamp": "2026-01-01T10:00:00.346624119Z",
        "action": "push", "target": { "mediaType": "application/vnd.docker.distribution.manifest.v2+json", "size": 524,
            "digest": "sha256:xxxxd5c8786bb9e621a45ece0dbxxxx1cdc624ad20da9fe62e9d25490f33xxxx",
            "length": 524, "repository": "app", "tag": "1.2.4" },
        "request": { "id": "3cbb6949", "host": "registry.azurecr.io", "method": "PUT", "useragent": "docker" } });
    let json_type = || ("content-type", "application/json".to_owned());
    vec![
        Call {
            kind: "harbor",
            events: json!([]),
            headers: vec![json_type(), ("authorization", TOKEN.to_owned())],
            filters: (
                "req.event_data.resources.exists(r, r.tag == '1.2.4')",
                "req.type == 'DELETE_ARTIFACT'",
            ),
            forged: vec![
                Forgery::Header("authorization", "Bearer s3cret"),
                Forgery::Header("authorization", ""),
            ],
            body: harbor,
        },
        Call {
            kind: "dockerhub",
            events: json!([]),
            headers: vec![json_type()],
            filters: (
                "req.repository.repo_name == 'org/app' && req.push_data.tag.startsWith('1.')",
                "req.repository.is_private",
            ),
            forged: vec![
                Forgery::Body(json!({ "push_data": { "tag": ["1.2.4"] } })),
                Forgery::Body(json!("push")),
            ],
            body: dockerhub,
        },
        Call {
            kind: "quay",
            events: json!([]),
            headers: vec![json_type()],
            filters: (
                "'1.2.4' in req.updated_tags",
                "req.docker_url == 'quay.io/x'",
            ),
            forged: vec![
                Forgery::Body(json!({ "docker_url": { "a": 1 } })),
                Forgery::Body(json!([])),
            ],
            body: quay,
        },
        Call {
            kind: "nexus",
            events: json!([]),
            headers: vec![
                json_type(),
                (
                    "x-nexus-webhook-signature",
                    sign(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &nexus.to_string()),
                ),
            ],
            filters: (
                "req.component.name == 'org/app' && req.component.version == '1.2.4'",
                "req.action == 'DELETED'",
            ),
            forged: vec![
                Forgery::Body(json!({ "repositoryName": "docker", "action": "CREATED" })),
                Forgery::Header("x-nexus-webhook-signature", ""),
            ],
            body: nexus,
        },
        Call {
            kind: "acr",
            events: json!([]),
            headers: vec![json_type()],
            filters: (
                "req.target.repository == 'app' && req.target.tag == '1.2.4'",
                "req.action == 'delete'",
            ),
            forged: vec![
                Forgery::Body(json!({ "action": 1 })),
                Forgery::Body(json!({ "target": "app" })),
            ],
            body: acr,
        },
    ]
}

fn cdevent() -> Call {
    let body = json!({ "context": { "version": "0.4.1", "id": "271069a8-fc18-44f1-b38f-9d70a1695819",
            "source": "/event/source/123", "type": "dev.cdevents.artifact.published.0.2.0",
            "timestamp": "2023-03-20T14:27:05.315384Z" },
        "subject": { "id": "pkg:golang/mygit.com/myorg/myapp@234fd47e07d1004f0aed9c", "source": "/event/source/123",
            "type": "artifact", "content": { "user": "mybot-myapp" } },
        "customData": { "key": "value" } });
    let bad = |pointer: &str| {
        let mut body = body.clone();
        *body.pointer_mut(pointer).unwrap() = Value::Null;
        Forgery::Body(body)
    };
    Call {
        kind: "cdevents",
        events: json!(["dev.cdevents.artifact.published.0.2.0"]),
        headers: vec![
            ("content-type", "application/json".to_owned()),
            (
                "ce-type",
                "dev.cdevents.artifact.published.0.2.0".to_owned(),
            ),
        ],
        filters: (
            "req.subject.content.user == 'mybot-myapp'",
            "req.context.type.contains('deleted')",
        ),
        forged: vec![
            bad("/context/id"),
            bad("/subject/id"),
            bad("/context/timestamp"),
            Forgery::Header("ce-type", "dev.cdevents.artifact.packaged.0.2.0"),
        ],
        body,
    }
}

/// A Pub/Sub push about an image, with a token of Google.
fn google(issuer: &Issuer) -> Call {
    let mut claims = issuer.claims();
    claims["iss"] = json!("https://accounts.google.com");
    claims["aud"] = json!("https://hook.example");
    claims["email"] = json!("pusher@x.iam.gserviceaccount.com");
    claims["email_verified"] = json!(true);
    let change = r#"{"action":"INSERT","digest":"europe-docker.pkg.dev/p/r/app@sha256:6ec128e2","tag":"europe-docker.pkg.dev/p/r/app:1.2.4"}"#;
    let body = json!({ "message": { "data": STANDARD.encode(change), "messageId": "136969346945",
            "publishTime": "2026-01-01T10:00:00.123Z", "attributes": {} },
        "subscription": "projects/p/subscriptions/s" });
    Call {
        kind: "gcr",
        events: json!([]),
        headers: vec![("authorization", format!("Bearer {}", issuer.token(&claims)))],
        // Filters see the message, not what it is wrapped in.
        filters: (
            "req.action == 'INSERT' && req.tag.endsWith(':1.2.4')",
            "has(req.message)",
        ),
        forged: vec![
            Forgery::Header("authorization", "Bearer e30.e30.e30"),
            Forgery::Header("authorization", ""),
            Forgery::Body(json!({ "message": { "data": "no base64!" } })),
            Forgery::Body(json!({ "message": { "data": STANDARD.encode("[]") } })),
        ],
        body,
    }
}

/// Whether the object of the receiver is asked for by a call, with this filter.
fn accepts(call: &Call, verified: &Verified, filter: &str) -> bool {
    let resource = json!({ "kind": "ImageRepository", "name": "app" });
    let receiver =
        receiver(json!({ "type": call.kind, "resources": [resource], "resourceFilter": filter }));
    let filter = Filter::of(&receiver, &received(call, None), verified).unwrap();
    let kind = api_resource(&receiver.spec.resources[0]).unwrap();
    filter.accepts(0, &kind, &ObjectMeta::default()).unwrap()
}

fn received(call: &Call, forgery: Option<&Forgery>) -> Received {
    let body = match forgery {
        Some(Forgery::Body(body)) => body.to_string(),
        _ => call.body.to_string(),
    };
    let headers = call.headers.iter().map(|(name, value)| match forgery {
        Some(Forgery::Header(forged, instead)) if forged == name => (*name, *instead),
        _ => (*name, value.as_str()),
    });
    request(&headers.collect::<Vec<_>>(), &body)
}

/// covers: NC-106, NC-107, NC-113
#[tokio::test]
async fn each_service_is_understood_and_nobody_else_is() {
    let issuer = Issuer::new();
    let keys = store().google_at(&issuer.url());
    keys.learn(&issuer.url(), issuer.key_set().as_bytes())
        .unwrap();
    let secret = Secret::from(
        [
            ("token", TOKEN),
            ("email", "pusher@x.iam.gserviceaccount.com"),
            ("audience", "https://hook.example"),
        ]
        .map(|(k, v)| (k.to_owned(), v.as_bytes().to_vec())),
    );
    let calls = git().into_iter().chain(registries());
    let calls = calls.chain([cdevent(), google(&issuer)]);
    let mut kinds = Vec::new();
    for call in calls {
        let own = receiver(json!({ "type": call.kind, "events": call.events }));
        let genuine = verify(&own, &secret, &received(&call, None), &keys).await;
        let genuine = genuine.unwrap_or_else(|why| panic!("{}: {why}", call.kind));
        let (holds, fails) = call.filters;
        assert!(accepts(&call, &genuine, holds), "{}: {holds}", call.kind);
        assert!(!accepts(&call, &genuine, fails), "{}: {fails}", call.kind);
        for forgery in &call.forged {
            let forged = received(&call, Some(forgery));
            let answer = verify(&own, &secret, &forged, &keys).await;
            let why = answer.expect_err(&format!("{} takes {forgery:?}", call.kind));
            assert!(!why.contains(TOKEN), "{why}");
        }
        kinds.push(call.kind);
    }
    let wanted = "github gitlab bitbucket harbor dockerhub quay nexus acr cdevents gcr";
    assert_eq!(kinds.join(" "), wanted);
}
