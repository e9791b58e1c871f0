//! How long it takes from a hand edit to the message about it in a chat, and from a `git push` to its revision applied.
//! Prints the median, the 90th percentile and the longest of each.
//!
//! `BENCH_ROUNDS` says how often each is done (default: 20). The binaries are those of the bench's own profile:
//! `cargo bench --profile dev …` measures debug builds.

#![expect(clippy::unwrap_used, reason = "a measurement that cannot go on ends")]

use std::time::{Duration, Instant};

#[path = "../tests/told/world.rs"]
mod world;

use world::{PATIENCE, World};

const PROMISED: Duration = Duration::from_secs(3);

#[tokio::main]
async fn main() {
    let rounds = std::env::var("BENCH_ROUNDS").ok();
    let rounds: usize = rounds.and_then(|text| text.parse().ok()).unwrap_or(20);
    edits(rounds).await;
    pushes(rounds).await;
}

async fn edits(rounds: usize) {
    let world = World::new().await;
    world.alert().await;
    world.sync().await;
    let mut took = Vec::new();
    // The first one may come before the object is watched, and is no part of it.
    for round in 0..=rounds {
        let replicas = 5 + round;
        let words = format!("/spec/replicas: {replicas} instead of 3");
        let began = Instant::now();
        world.edit(&format!("hand-{round}"), replicas).await;
        let told = world.told(&words, PATIENCE / 4).await;
        let elapsed = began.elapsed();
        assert!(told.is_some() || round == 0, "round {round} is not told");
        if round > 0 {
            took.push(elapsed);
        } else if told.is_none() {
            continue;
        }
        world.as_in_git().await;
    }
    let known = world.messages().len();
    print("hand edit to message", took);
    assert!(known >= rounds);
}

async fn pushes(rounds: usize) {
    let world = World::new().await;
    world.sync().await;
    world.hook().await;
    let checkout = world.checkout();
    let mut took = Vec::new();
    // Before the first one the controller may not know the hook.
    for round in 0..=rounds {
        checkout.commit(10 + round);
        let began = Instant::now();
        checkout.push();
        world.applied(&world.head()).await;
        if round > 0 {
            took.push(began.elapsed());
        }
        let live = world.deployments().get("web").await.unwrap();
        assert_eq!(live.spec.unwrap().replicas, i32::try_from(10 + round).ok());
    }
    print("git push to applied", took);
}

#[expect(clippy::print_stdout, reason = "this is what it is for")]
fn print(what: &str, mut took: Vec<Duration>) {
    took.sort_unstable();
    let at = |part: usize| took[(took.len() - 1) * part / 100].as_millis();
    let kept = took.iter().filter(|t| **t <= PROMISED).count();
    println!(
        "{what}: median {} ms, 90 % {} ms, longest {} ms; {kept} of {} within {} s",
        at(50),
        at(90),
        at(100),
        took.len(),
        PROMISED.as_secs(),
    );
}
