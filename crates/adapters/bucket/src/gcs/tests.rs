use axum::http::StatusCode;
use axum::response::IntoResponse;
use rsa::pkcs1v15::{Signature, VerifyingKey};
use rsa::pkcs8::{EncodePrivateKey, LineEnding};
use rsa::signature::Verifier;
use serde_json::{Value, json};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use super::*;
use crate::Store;
use crate::fake::{Asked, Fake, client, soon};

/// Answers as the documentation of the JSON API says: two pages of objects, their content, and refusals.
fn answer(asked: &Asked) -> axum::response::Response {
    assert_eq!(asked.method, "GET");
    let refused = |code: u16, reason: &str, message: &str| {
        let error = json!({ "error": { "code": code, "message": message, "errors": [
            { "domain": "global", "reason": reason, "message": message }] } });
        (StatusCode::from_u16(code).unwrap(), error.to_string()).into_response()
    };
    let object = |name: &str| json!({ "name": name, "etag": format!("C{name}="), "size": "7" });
    match asked.path.as_str() {
        "/storage/v1/b/things" => json!({ "name": "things" }).to_string().into_response(),
        "/storage/v1/b/things/o" if asked.query("pageToken") == "p/2" => {
            json!({ "items": [object("b")] })
                .to_string()
                .into_response()
        }
        "/storage/v1/b/things/o" => {
            json!({ "items": [object("a b/c"), object("a")], "nextPageToken": "p/2" })
                .to_string()
                .into_response()
        }
        "/storage/v1/b/things/o/a%20b%2Fc" if asked.query("alt") == "media" => {
            assert_eq!(asked.query("generation"), "42");
            "content".into_response()
        }
        "/storage/v1/b/things/o/a%20b%2Fc" => {
            json!({ "etag": "Cnew=", "generation": "42", "size": "7" })
                .to_string()
                .into_response()
        }
        "/storage/v1/b/closed" => refused(403, "forbidden", "no storage.buckets.get access"),
        _ => refused(404, "notFound", "No such object"),
    }
}

fn store(fake: &Fake, bucket: &str, identity: GcsIdentity) -> Store {
    Store::Gcs(Gcs::new(
        client(),
        Some(&fake.url),
        bucket,
        identity,
        soon(),
    ))
}

/// covers: SC-115
#[tokio::test]
async fn bucket_is_listed_and_read_by_the_documented_requests() {
    let fake = Fake::start(answer).await;
    let store_of = |bucket| store(&fake, bucket, GcsIdentity::Token("t0ken".into()));
    let things = store_of("things");
    assert!(things.exists().await.unwrap());
    let objects = things.list("a/").await.unwrap();
    let keys: Vec<_> = objects.iter().map(|object| object.key.as_str()).collect();
    assert_eq!(keys, ["a b/c", "a", "b"]);
    assert_eq!((objects[1].etag.as_str(), objects[1].size), ("Ca=", 7));
    let found = things.get("a b/c", 10).await.unwrap();
    assert_eq!(found.content, b"content");
    assert_eq!(
        found.etag, "Cnew=",
        "the tag of a listing, of what was read"
    );
    for asked in fake.seen() {
        assert_eq!(asked.header("authorization"), "Bearer t0ken");
    }
    let pages: Vec<_> = fake
        .seen()
        .into_iter()
        .filter(|asked| asked.path.ends_with("/o"))
        .collect();
    assert_eq!(pages.len(), 2);
    assert_eq!(pages[0].query("prefix"), "a/");
    assert_eq!(pages[1].query("pageToken"), "p/2");

    assert!(things.get("gone", 10).await.unwrap_err().is_not_found());
    assert!(matches!(
        things.get("a b/c", 3).await,
        Err(Error::TooLarge { .. })
    ));
    assert!(!store_of("missing").exists().await.unwrap());
    let error = store_of("closed").exists().await.unwrap_err();
    assert_eq!(error.to_string(), "no storage.buckets.get access");
}

#[tokio::test]
async fn service_account_shows_a_signed_claim_once_and_then_its_token() {
    let key = rsa::RsaPrivateKey::new(&mut rsa::rand_core::OsRng, 2048).unwrap();
    let public = key.to_public_key();
    let fake = Fake::start(move |asked| {
        if asked.path.as_str() == "/token" {
            assert_eq!(asked.method, "POST");
            assert_eq!(
                asked.header("content-type"),
                "application/x-www-form-urlencoded"
            );
            let form: std::collections::BTreeMap<String, String> =
                url::form_urlencoded::parse(asked.body.as_bytes())
                    .into_owned()
                    .collect();
            assert_eq!(
                form["grant_type"],
                "urn:ietf:params:oauth:grant-type:jwt-bearer"
            );
            let (text, signature) = form["assertion"].rsplit_once('.').unwrap();
            let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
            let signature = Signature::try_from(signature.as_slice()).unwrap();
            VerifyingKey::<rsa::sha2::Sha256>::new(public.clone())
                .verify(text.as_bytes(), &signature)
                .unwrap();
            let claims = URL_SAFE_NO_PAD
                .decode(text.split_once('.').unwrap().1)
                .unwrap();
            let claims: Value = serde_json::from_slice(&claims).unwrap();
            assert_eq!(claims["iss"], "robot@project.example");
            assert_eq!(
                claims["scope"],
                "https://www.googleapis.com/auth/devstorage.read_only"
            );
            json!({ "access_token": "given", "expires_in": 3599, "token_type": "Bearer" })
                .to_string()
                .into_response()
        } else {
            assert_eq!(asked.header("authorization"), "Bearer given");
            answer(asked)
        }
    })
    .await;
    let file = json!({
        "type": "service_account",
        "client_email": "robot@project.example",
        "private_key_id": "k1",
        "private_key": *key.to_pkcs8_pem(LineEnding::LF).unwrap(),
        "token_uri": format!("{}/token", fake.url),
    });
    let account = ServiceAccount::parse(file.to_string().as_bytes()).unwrap();
    let identity = GcsIdentity::ServiceAccount(Arc::new(account));
    let things = store(&fake, "things", identity);
    assert!(things.exists().await.unwrap());
    assert_eq!(things.list("").await.unwrap().len(), 3);
    let tokens = fake
        .seen()
        .iter()
        .filter(|asked| asked.path == "/token")
        .count();
    assert_eq!(tokens, 1);
}
