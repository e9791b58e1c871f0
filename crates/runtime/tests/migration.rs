//! Objects of older stored versions are stored anew, and the older version can then be dropped.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::{
    api::core::v1::Event,
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api, Client, ResourceExt as _,
    api::{ApiResource, DynamicObject, ListParams, Patch, PatchParams, PostParams},
};
use runtime::{
    events::Recorder,
    migrate::{self, Migrated},
};
use serde_json::{Value, json};
use testkit::{ControlPlane, install_definitions};

const ALERTS: &str = "alerts.notification.toolkit.fluxcd.io";
const NAME: &str = "gitrepositories.source.toolkit.fluxcd.io";

/// Stores new objects at a version from now on.
async fn store_at(client: &Client, version: &str) -> Result<CustomResourceDefinition> {
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    let mut definition = definitions.get(NAME).await?;
    for one in &mut definition.spec.versions {
        one.storage = one.name == version;
    }
    Ok(definitions
        .replace(NAME, &PostParams::default(), &definition)
        .await?)
}

async fn stored_versions(client: &Client) -> Result<Vec<String>> {
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    let status = definitions.get(NAME).await?.status.context("no status")?;
    Ok(status.stored_versions.unwrap_or_default())
}

fn repositories(client: &Client) -> Api<DynamicObject> {
    let resource = ApiResource {
        group: "source.toolkit.fluxcd.io".into(),
        version: "v1".into(),
        api_version: "source.toolkit.fluxcd.io/v1".into(),
        kind: "GitRepository".into(),
        plural: "gitrepositories".into(),
    };
    Api::namespaced_with(client.clone(), "default", &resource)
}

async fn create(client: &Client, name: &str) -> Result<DynamicObject> {
    let object: DynamicObject = serde_json::from_value(json!({
        "apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "GitRepository", "metadata": { "name": name },
        "spec": { "interval": "1m", "url": "https://example.com/app", "accessFrom": { "namespaceSelectors": [{}] } },
    }))?;
    Ok(repositories(client)
        .create(&PostParams::default(), &object)
        .await?)
}

/// Takes versions out of the definition; the API server refuses while objects may be stored at them.
async fn drop_older(client: &Client) -> Result<()> {
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    let mut definition = definitions.get(NAME).await?;
    definition
        .spec
        .versions
        .retain(|version| version.name == "v1");
    definitions
        .replace(NAME, &PostParams::default(), &definition)
        .await?;
    Ok(())
}

/// What has to stay as it is.
fn kept(object: &DynamicObject) -> (Value, Option<String>, Option<i64>, usize) {
    let managers = object.managed_fields().len();
    (
        object.data.clone(),
        object.uid(),
        object.metadata.generation,
        managers,
    )
}

#[tokio::test]
async fn objects_of_older_versions_are_stored_anew_and_unchanged() -> Result<()> {
    let plane = ControlPlane::start().await?;
    let client = plane.client();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/crd/bases");
    install_definitions(&client, &folder).await?;
    store_at(&client, "v1beta1").await?;
    let mut created = Vec::new();
    for index in 0..3 {
        created.push(create(&client, &format!("app-{index}")).await?);
    }
    let definition = store_at(&client, "v1").await?;
    let mut before = stored_versions(&client).await?;
    before.sort();
    ensure!(before == ["v1", "v1beta1"], "{before:?}");
    ensure!(
        drop_older(&client).await.is_err(),
        "dropped a version that objects are stored at"
    );

    let done = migrate::migrate(&client, &definition).await?;
    let from = vec!["v1beta1".to_owned()];
    ensure!(
        done == Some(Migrated {
            from,
            to: "v1".into(),
            objects: 3
        }),
        "{done:?}"
    );
    ensure!(stored_versions(&client).await? == ["v1"]);
    drop_older(&client).await?;
    for old in &created {
        let read = repositories(&client).get(&old.name_any()).await?;
        ensure!(kept(&read) == kept(old), "{read:?} for {old:?}");
        ensure!(
            read.resource_version() != old.resource_version(),
            "it was not written"
        );
    }
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    let again = migrate::migrate(&client, &definitions.get(NAME).await?).await?;
    ensure!(again.is_none(), "{again:?}");
    Ok(())
}

#[tokio::test]
async fn nothing_is_written_where_it_is_turned_off_or_the_definition_moved_on() -> Result<()> {
    let plane = ControlPlane::start().await?;
    let client = plane.client();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/crd/bases");
    install_definitions(&client, &folder).await?;
    store_at(&client, "v1beta2").await?;
    let old = create(&client, "app").await?;
    let stale = store_at(&client, "v1").await?;

    let (recorder, events) = Recorder::start(client.clone(), "test", "pod".into(), None);
    migrate::run(&client, &recorder, api::served::kinds(), false).await;
    let read = repositories(&client).get("app").await?;
    ensure!(
        read.resource_version() == old.resource_version(),
        "it was written"
    );

    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    let note = json!({ "metadata": { "annotations": { "note": "changed" } } });
    definitions
        .patch(NAME, &PatchParams::default(), &Patch::Merge(&note))
        .await?;
    ensure!(
        migrate::migrate(&client, &stale).await.is_err(),
        "wrote the status of a stale copy"
    );
    ensure!(
        stored_versions(&client)
            .await?
            .contains(&"v1beta2".to_owned())
    );

    migrate::run(&client, &recorder, api::served::kinds(), true).await;
    ensure!(stored_versions(&client).await? == ["v1"]);
    drop(recorder);
    events.await?;
    ensure!(warnings(&client).await? == [] as [String; 0]);
    Ok(())
}

/// Returns the messages of the warnings about definitions.
async fn warnings(client: &Client) -> Result<Vec<String>> {
    let events: Api<Event> = Api::namespaced(client.clone(), "default");
    let about = "involvedObject.kind=CustomResourceDefinition,type=Warning";
    let found = events.list(&ListParams::default().fields(about)).await?;
    Ok(found
        .into_iter()
        .filter_map(|event| event.message)
        .collect())
}

#[tokio::test]
async fn a_definition_that_cuts_fields_is_warned_of_by_an_event() -> Result<()> {
    let plane = ControlPlane::start().await?;
    let client = plane.client();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/crd/bases");
    install_definitions(&client, &folder).await?;
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    let mut definition = definitions.get(ALERTS).await?;
    for version in &mut definition.spec.versions {
        let root = version
            .schema
            .as_mut()
            .and_then(|s| s.open_api_v3_schema.as_mut());
        let properties = root.and_then(|root| root.properties.as_mut());
        let spec = properties.and_then(|all| all.get_mut("spec"));
        let fields = spec.and_then(|spec| spec.properties.as_mut());
        fields.context("no spec")?.remove("recovered");
    }
    let params = PostParams::default();
    definitions.replace(ALERTS, &params, &definition).await?;

    let (recorder, events) = Recorder::start(client.clone(), "test", "pod".into(), None);
    migrate::run(&client, &recorder, api::served::kinds(), true).await;
    drop(recorder);
    events.await?;
    let expected = "Definition is narrower than the controller's: no spec.recovered in \
        v1beta1, v1beta2, v1beta3, use annotation lockgate.dev/recovered";
    let warnings = warnings(&client).await?;
    ensure!(warnings == [expected], "{warnings:?}");
    Ok(())
}
