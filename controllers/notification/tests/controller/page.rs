//! The page on alerts and webhooks: its examples are taken as they stand, and do what the page says.

use std::path::Path;

use serde_json::Value;

use crate::world::World;

/// Reads the objects of the page's examples.
fn examples() -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/notifications.md");
    let page = std::fs::read_to_string(path).unwrap();
    let blocks = page.split("```yaml\n").skip(1);
    let texts = blocks.map(|block| block.split("```").next().unwrap());
    let mut objects = Vec::new();
    for text in texts {
        let limits = yaml::Limits::default();
        let nodes = yaml::parse(text.as_bytes(), "page", yaml::Schema::Core, &limits).unwrap();
        objects.extend(nodes.iter().map(|node| yaml::to_json(node).unwrap()));
    }
    objects
}

#[tokio::test]
async fn examples_are_accepted_and_their_receivers_get_paths() {
    let world = World::new().await;
    let all = examples();
    let of = |kind: &str| {
        let named = all.iter().filter(|object| object["kind"] == kind);
        let names = named.map(|object| object["metadata"]["name"].as_str().unwrap().to_owned());
        names.collect::<Vec<_>>()
    };
    assert_eq!(of("Provider"), ["slack", "commits"]);
    assert_eq!(of("Alert"), ["production", "commits"]);
    for object in &all {
        // Server-side apply refuses fields that are not known.
        world.apply(object.clone()).await;
    }
    for name in of("Receiver") {
        world
            .until(&format!("{name} has a path"), || async {
                let receiver = world.receivers().get(&name).await.unwrap();
                let path = receiver.status.and_then(|s| s.webhook_path);
                path.is_some_and(|path| path.starts_with("/hook/"))
            })
            .await;
    }
}
