//! All six controllers under everything that goes wrong in a cluster's life, while commits keep coming; in the end the
//! cluster is as Git says, and nothing was lost, doubled or orphaned.
//!
//! `make chaos` runs it. `CHAOS_SECONDS` says for how long things go wrong (600). `CHAOS_SEED` says what goes wrong and
//! what is committed; without it a seed is thrown, and printed, so that a failure can be run again. What runs when also
//! depends on the machine: the same seed makes the same faults in the same order, not the same interleaving. Logs are kept
//! in `target/chaos/<seed>`. `LOCKGATE_BIN_DIR` names the folder of other binaries than those of the debug build.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends")]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use serde_json::Value;
use testkit::{Signal, Weather};

#[path = "chaos/dice.rs"]
mod dice;
#[path = "chaos/disk.rs"]
mod disk;
#[path = "chaos/fleet.rs"]
mod fleet;
#[path = "chaos/memory.rs"]
mod memory;
#[path = "chaos/schedule.rs"]
mod schedule;
#[path = "chaos/verdict.rs"]
mod verdict;
#[path = "chaos/world.rs"]
mod world;

use dice::Dice;
use fleet::{Fleet, UNITS};
use memory::Memory;
use schedule::{Fault, LANES, Step};
use world::{CONTROLLERS, LINKS, World, insist, say};

const SECONDS: u64 = 600;
/// How long the cluster may take to be as Git says once nothing goes wrong any more. Shorter than any interval of what
/// applies: nothing may need one to be mended.
const QUIET: Duration = Duration::from_mins(5);
const PAUSE: Duration = Duration::from_secs(1);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes: run by make chaos"]
async fn cluster_equals_git_after_everything_went_wrong() {
    let length = Duration::from_secs(number("CHAOS_SECONDS").unwrap_or(SECONDS));
    let seed = number("CHAOS_SEED").unwrap_or_else(thrown);
    say(&format!(
        "CHAOS_SEED={seed} CHAOS_SECONDS={}",
        length.as_secs()
    ));
    let world = Arc::new(World::new().await);
    let outcome = tokio::spawn(run(Arc::clone(&world), seed, length)).await;
    keep_logs(&world, seed);
    say(&format!("CHAOS_SEED={seed}"));
    if let Err(failure) = outcome {
        std::panic::resume_unwind(failure.into_panic());
    }
}

async fn run(world: Arc<World>, seed: u64, length: Duration) {
    let mut dice = Dice::of(seed, "commits");
    let mut fleet = Fleet::new(&mut dice);
    commit(&world, &fleet, "first");
    world.commit_app();
    world.push_tag();
    world.follow().await;
    settled(&world, "at the start").await;
    let mut memory = Memory::new(&world);
    let keeper = Arc::clone(&world);
    let keeper = tokio::spawn(async move { keeper.keep_running().await });

    let lanes: Vec<_> = LANES
        .iter()
        .map(|lane| {
            let (world, steps) = (Arc::clone(&world), lane.steps(seed, length));
            tokio::spawn(async move { follow_lane(&world, steps).await })
        })
        .collect();
    let deadline = Instant::now() + length;
    let mut commits = 0;
    while Instant::now() < deadline {
        tokio::time::sleep(dice.time(500, 4_000)).await;
        fleet.change(&mut dice);
        commits += 1;
        commit(&world, &fleet, &format!("change {commits}"));
        if dice.below(10) == 0 {
            world.push_tag();
        }
        memory.sample(&world);
    }
    for lane in lanes {
        lane.await.unwrap();
    }
    world.say(&format!(
        "{commits} commits were made, and all faults are over"
    ));
    fleet.close(&mut dice);
    commit(&world, &fleet, "last");
    world.push_tag();
    settled(&world, "at the end").await;
    told(&world).await;
    memory.judge(&world);
    keeper.abort();
    let ended = world.ended.lock().unwrap().clone();
    assert!(ended.is_empty(), "{ended:#?}");
    for (program, (_, name)) in world.programs.iter().zip(CONTROLLERS) {
        let log = program.log().unwrap();
        let panicked = log.lines().find(|line| line.contains("panicked"));
        assert_eq!(panicked, None, "{name}");
    }
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok().filter(|t| !t.is_empty())?;
    Some(text.parse().unwrap())
}

fn thrown() -> u64 {
    let since = std::time::UNIX_EPOCH.elapsed().unwrap();
    u64::from(since.subsec_nanos()) ^ (since.as_secs() << 10)
}

fn commit(world: &World, fleet: &Fleet, message: &str) {
    let files = fleet.files();
    let files = files
        .iter()
        .map(|(path, text)| (path.as_str(), text.as_str()));
    world.fleet.commit_files("main", message, files).unwrap();
}

async fn follow_lane(world: &World, steps: Vec<Step>) {
    for step in steps {
        tokio::time::sleep(step.pause).await;
        let what = inflict(world, step.fault).await;
        world.say(&format!("{what}, for {:.1} s", step.lasts.as_secs_f64()));
        tokio::time::sleep(step.lasts).await;
        mend(world, step.fault).await;
    }
}

/// Makes something go wrong. Returns what.
async fn inflict(world: &World, fault: Fault) -> String {
    match fault {
        Fault::Kill(which) => {
            world.wanted[which].store(false, Ordering::SeqCst);
            world.programs[which].kill();
            format!("{} is killed", CONTROLLERS[which].1)
        }
        Fault::Freeze(which) => {
            // It may have ended by itself and not be back yet.
            world.programs[which].signal(Signal::Stop).ok();
            format!("{} stands still", CONTROLLERS[which].1)
        }
        Fault::Network(which, weather) => {
            world.links[which].set(weather);
            format!("the network to {} is {weather:?}", LINKS[which])
        }
        Fault::ApiServer => {
            world.plane.stop_api_server();
            "the API server is away".to_owned()
        }
        Fault::DiskFull if world.disk.fill() => "the disk is full".to_owned(),
        Fault::DiskFull => "the disk cannot be filled".to_owned(),
        Fault::GitToken => {
            world.expire_git_token();
            "the Git token is expired".to_owned()
        }
        Fault::ApiToken => {
            world.expire_api_token().await;
            "the API token is expired".to_owned()
        }
        Fault::Artifact(number, damage) => match world.disk.damage(number, damage) {
            Some(path) => format!("{damage:?} of {}", path.display()),
            None => "there is no artifact to damage".to_owned(),
        },
    }
}

async fn mend(world: &World, fault: Fault) {
    match fault {
        Fault::Kill(which) => {
            world.programs[which].launch().unwrap();
            world.wanted[which].store(true, Ordering::SeqCst);
        }
        Fault::Freeze(which) => {
            world.programs[which].signal(Signal::Continue).ok();
        }
        Fault::Network(which, _) => world.links[which].set(Weather::Fair),
        Fault::ApiServer => {
            insist("the API server", || world.plane.start_api_server()).await;
            world.say("the API server is back");
        }
        Fault::DiskFull => world.disk.free(),
        Fault::GitToken => world.renew_git_token().await,
        Fault::ApiToken => world.renew_api_token().await,
        Fault::Artifact(..) => {}
    }
}

/// Waits until all is as it has to be, and stays so.
async fn settled(world: &World, when: &str) {
    let began = Instant::now();
    let mut before = None;
    loop {
        let wrong = match verdict::differences(world).await {
            Ok(wrong) => wrong,
            Err(error) => vec![error.to_string()],
        };
        if wrong.is_empty() && before.as_ref().is_some_and(Vec::is_empty) {
            world.say(&format!(
                "all is as Git says {when}, after {:.1} s",
                began.elapsed().as_secs_f64()
            ));
            return;
        }
        assert!(began.elapsed() < QUIET, "{when}: {wrong:#?}");
        before = Some(wrong);
        tokio::time::sleep(PAUSE).await;
    }
}

/// Waits until what the last commit did was told of each unit.
async fn told(world: &World) {
    let tip = world.fleet.id_of("main").unwrap();
    let began = Instant::now();
    loop {
        let requests = world.sink.requests();
        let events: Vec<Value> = requests.iter().filter_map(|r| r.json().ok()).collect();
        let silent: Vec<_> = (0..UNITS)
            .map(World::unit)
            .filter(|unit| {
                !events.iter().any(|event| {
                    let revision = event["metadata"]["revision"].as_str().unwrap_or_default();
                    event["involvedObject"]["name"] == unit.as_str() && revision.ends_with(&tip)
                })
            })
            .collect();
        if silent.is_empty() {
            return world.say(&format!("{} events were told", events.len()));
        }
        assert!(began.elapsed() < QUIET, "nothing was told of {silent:?}");
        tokio::time::sleep(PAUSE).await;
    }
}

/// Keeps what the controllers wrote for whoever looks for a failure's cause.
fn keep_logs(world: &World, seed: u64) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/chaos");
    let folder = root.join(seed.to_string());
    std::fs::create_dir_all(&folder).unwrap();
    for (program, (_, name)) in world.programs.iter().zip(CONTROLLERS) {
        std::fs::write(folder.join(format!("{name}.log")), program.log().unwrap()).unwrap();
    }
}
