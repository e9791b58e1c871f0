//! The API server goes away and comes back. A binary of its own: no other test shares that server.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "lifecycle/bench.rs"]
#[expect(
    dead_code,
    reason = "shared with the tests of the lifecycle, which use all of it"
)]
mod bench;

use std::time::Duration;

use bench::{Bench, spec};

#[tokio::test]
async fn controller_outlives_an_api_server_that_is_gone_for_half_a_minute() {
    let plane = testkit::control_plane().await;
    let bench = Bench::start(plane).await;
    let repository = bench.server.repository("app").unwrap();
    let first = repository
        .commit("main", "first")
        .write("a", "1")
        .push()
        .unwrap();
    let mut often = spec(repository.url());
    often.interval = "2s".parse().unwrap();
    bench.create("app", often).await;
    let published = bench.ready("app", &format!("main@sha1:{first}")).await;

    plane.stop_api_server();
    let second = repository
        .commit("main", "second")
        .write("a", "2")
        .push()
        .unwrap();
    tokio::time::sleep(Duration::from_secs(30)).await;
    bench.controller.still_runs().unwrap();
    assert_eq!(
        bench.files(&published).await,
        ["a"],
        "what is published stays available"
    );

    plane.start_api_server().await.unwrap();
    let published = bench.ready("app", &format!("main@sha1:{second}")).await;
    assert_eq!(bench.files(&published).await, ["a"]);
}
