//! Files whose data key a cloud's key service has, opened by the identity of a service account.

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use k8s_openapi::api::core::v1::{Secret, ServiceAccount};
use kube::{
    Api,
    api::{Patch, PatchParams},
};
use serde_json::{Value, json};
use testkit::{Answer, ReceivedRequest};

use crate::world::{CLOUD, World, message};

const GOLDEN: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../crates/engines/sops/tests/golden"
);
const ARN: &str = "arn:aws:kms:eu-west-1:111122223333:key/1234";
const ROLE: &str = "arn:aws:iam::111122223333:role/decrypter";

fn golden(path: &str) -> String {
    std::fs::read_to_string(format!("{GOLDEN}/{path}")).unwrap()
}

/// The same Secret, encrypted to a key of AWS instead of an age key, and the data key that only the service knows.
fn sealed() -> (String, Vec<u8>) {
    let file = golden("encrypted/regex.yaml");
    let (head, rest) = file.split_once("    age:\n").unwrap();
    let (entry, tail) = rest.split_once("    encrypted_regex").unwrap();
    let lines = entry.lines().map(str::trim);
    let armored: String = lines
        .filter(|line| !line.starts_with("- enc") && !line.starts_with("recipient"))
        .flat_map(|line| [line, "\n"])
        .collect();
    let identities = sops::age::identities(&golden("keys/age.agekey")).unwrap();
    let key = sops::age::decrypt(armored.as_bytes(), &identities).unwrap();
    let kms = format!("    kms:\n        - arn: {ARN}\n          enc: Y2lwaGVy\n");
    (
        format!("{head}{kms}    encrypted_regex{tail}"),
        key.to_vec(),
    )
}

/// The cloud gives keys for the role, and then the data key.
fn answer(key: &[u8]) {
    let until = jiff::Timestamp::now() + jiff::SignedDuration::from_mins(30);
    CLOUD.answer_once(Answer::body(format!(
        "<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials>\
         <AccessKeyId>ASIAKEY</AccessKeyId><SecretAccessKey>k3y</SecretAccessKey>\
         <SessionToken>s3ssion</SessionToken><Expiration>{until}</Expiration>\
         </Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"
    )));
    let plain = STANDARD.encode(key);
    CLOUD.answer(Answer::body(json!({ "Plaintext": plain }).to_string()));
}

/// What the cloud was asked first is what its documentation says.
fn as_documented(world: &World, requests: &[ReceivedRequest]) {
    let form = String::from_utf8(requests[0].body.to_vec()).unwrap();
    let fields: Vec<_> = form.split('&').collect();
    assert_eq!(fields[0], "Action=AssumeRoleWithWebIdentity");
    let role = ROLE.replace(':', "%3A").replace('/', "%2F");
    assert_eq!(fields[2], format!("RoleArn={role}"));
    // The token is one of the cluster, for the token service alone.
    let token = fields[4].strip_prefix("WebIdentityToken=").unwrap();
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap());
    let claims: Value = serde_json::from_slice(&claims.unwrap()).unwrap();
    assert_eq!(claims["aud"], json!(["sts.amazonaws.com"]));
    let subject = format!("system:serviceaccount:{}:decrypter", world.ns());
    assert_eq!(claims["sub"], subject);
    let asked = &requests[1];
    assert_eq!(asked.header("x-amz-target"), Some("TrentService.Decrypt"));
    assert_eq!(asked.header("x-amz-security-token"), Some("s3ssion"));
    let shown = asked.header("authorization").unwrap();
    assert!(
        shown.starts_with("AWS4-HMAC-SHA256 Credential=ASIAKEY/")
            && shown.contains("/eu-west-1/kms/aws4_request"),
        "{shown}"
    );
    assert_eq!(
        asked.json::<Value>().unwrap(),
        json!({ "CiphertextBlob": "Y2lwaGVy", "KeyId": ARN })
    );
}

/// covers: KC-070
#[tokio::test]
async fn data_key_is_had_from_aws_as_the_service_account_that_decryption_names() {
    let world = World::new().await;
    let (secret, key) = sealed();
    let revision = world.publish(&[("s.yaml", &secret)]).await;
    let secrets = Api::<Secret>::namespaced(world.client.clone(), world.ns());
    let none = json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "none" } });
    secrets
        .patch("none", &PatchParams::apply("test"), &Patch::Apply(none))
        .await
        .unwrap();
    let decryption = json!({ "provider": "sops", "serviceAccountName": "decrypter",
        "secretRef": { "name": "none" } });
    let spec = json!({ "decryption": decryption, "retryInterval": "1h" });
    world.apply(spec).await;
    let failed = world.failed("app", "BuildFailed").await;
    let words = message(&failed, "Ready");
    let missing = format!("failed to get service account '{}/decrypter'", world.ns());
    assert!(words.contains(&missing), "{words}");
    assert!(CLOUD.requests().is_empty());

    answer(&key);
    let account = json!({ "apiVersion": "v1", "kind": "ServiceAccount",
        "metadata": { "name": "decrypter", "annotations": { "eks.amazonaws.com/role-arn": ROLE } } });
    let accounts = Api::<ServiceAccount>::namespaced(world.client.clone(), world.ns());
    accounts
        .patch(
            "decrypter",
            &PatchParams::apply("test"),
            &Patch::Apply(account),
        )
        .await
        .unwrap();
    world.request("app").await;
    world.applied("app", &revision).await;
    let live = secrets.get("s").await.unwrap().data.unwrap();
    assert_eq!(live["user"].0, b"admin");

    as_documented(&world, &CLOUD.requests());

    // The keys are kept: the next run asks the key service alone.
    world.request("app").await;
    world.applied("app", &revision).await;
    let later = CLOUD.requests().split_off(2);
    assert!(!later.is_empty());
    assert!(
        later
            .iter()
            .all(|r| r.header("x-amz-target") == Some("TrentService.Decrypt"))
    );

    // So is the data key, for all of the namespace that decrypt with the same.
    let before = CLOUD.requests().len();
    let decryption = json!({ "provider": "sops", "serviceAccountName": "decrypter",
        "secretRef": { "name": "none" } });
    let spec = json!({ "decryption": decryption, "namePrefix": "second-" });
    world.apply_named("second", spec).await;
    world.applied("second", &revision).await;
    let live = secrets.get("second-s").await.unwrap().data.unwrap();
    assert_eq!(live["user"].0, b"admin");
    assert_eq!(CLOUD.requests().len(), before, "nobody is asked again");
}
