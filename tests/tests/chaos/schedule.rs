//! What goes wrong and when: all of it follows from the seed before anything runs.

use std::time::Duration;

use testkit::Weather;

use crate::dice::Dice;
use crate::world::{CONTROLLERS, LINKS};

/// What is done to a stored artifact.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Damage {
    /// A byte is another.
    Flip,
    /// The second half is missing.
    Cut,
    /// The file is gone.
    Remove,
}

/// Something that goes wrong for a while.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    /// A controller is killed (-9) and started again after the while.
    Kill(usize),
    /// A controller stands still.
    Freeze(usize),
    /// A link has this weather.
    Network(usize, Weather),
    /// The API server is away; the while is counted until it is started again.
    ApiServer,
    /// No byte more can be written to the disk.
    DiskFull,
    /// The Git server takes the old token no longer; the new one is known after the while.
    GitToken,
    /// The API server takes the controllers' token no longer; the new one is known after the while.
    ApiToken,
    /// A stored artifact is damaged. The number chooses which.
    Artifact(u64, Damage),
}

/// A fault with its time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    /// How long after the one before it on its lane has ended.
    pub(crate) pause: Duration,
    pub(crate) fault: Fault,
    pub(crate) lasts: Duration,
}

/// What can go wrong independently: faults of one lane come one after the other.
pub(crate) struct Lane {
    pub(crate) name: &'static str,
    /// Between two faults, in milliseconds.
    pause: (u64, u64),
    fault: fn(&mut Dice) -> (Fault, Duration),
}

pub(crate) const LANES: [Lane; 7] = [
    Lane {
        name: "processes",
        pause: (4_000, 15_000),
        fault: process,
    },
    Lane {
        name: "network",
        pause: (3_000, 12_000),
        fault: network,
    },
    Lane {
        name: "api server",
        pause: (60_000, 120_000),
        fault: |dice| (Fault::ApiServer, dice.time(0, 5_000)),
    },
    Lane {
        name: "disk",
        pause: (40_000, 80_000),
        fault: |dice| (Fault::DiskFull, dice.time(4_000, 12_000)),
    },
    Lane {
        name: "git token",
        pause: (40_000, 80_000),
        fault: |dice| (Fault::GitToken, dice.time(2_000, 10_000)),
    },
    Lane {
        name: "api token",
        pause: (90_000, 180_000),
        fault: |dice| (Fault::ApiToken, dice.time(1_000, 10_000)),
    },
    Lane {
        name: "artifacts",
        pause: (10_000, 30_000),
        fault: artifact,
    },
];

impl Lane {
    /// Returns the faults of this lane up to a time. What they do follows from the seed; the times of the later ones
    /// shift where an earlier one takes longer than planned.
    pub(crate) fn steps(&self, seed: u64, length: Duration) -> Vec<Step> {
        let mut dice = Dice::of(seed, self.name);
        let mut steps = Vec::new();
        let mut at = Duration::ZERO;
        loop {
            // The first comes sooner: short runs see every kind.
            let (from, to) = self.pause;
            let divisor = if steps.is_empty() { 4 } else { 1 };
            let pause = dice.time(from / divisor, to / divisor);
            let (fault, lasts) = (self.fault)(&mut dice);
            at += pause + lasts;
            if at > length {
                return steps;
            }
            steps.push(Step {
                pause,
                fault,
                lasts,
            });
        }
    }
}

fn process(dice: &mut Dice) -> (Fault, Duration) {
    let which = dice.index(CONTROLLERS.len());
    match dice.below(5) {
        0 => (Fault::Freeze(which), dice.time(2_000, 12_000)),
        _ => (Fault::Kill(which), dice.time(0, 3_000)),
    }
}

fn network(dice: &mut Dice) -> (Fault, Duration) {
    let which = dice.index(LINKS.len());
    let weather = match dice.below(3) {
        0 => Weather::Cut,
        1 => Weather::Stalled,
        _ => Weather::Slow {
            delay: dice.time(20, 300),
            bytes_per_second: u32::try_from(dice.below(200_000)).unwrap_or(0) + 20_000,
        },
    };
    (Fault::Network(which, weather), dice.time(500, 12_000))
}

fn artifact(dice: &mut Dice) -> (Fault, Duration) {
    let damage = match dice.below(3) {
        0 => Damage::Flip,
        1 => Damage::Cut,
        _ => Damage::Remove,
    };
    (
        Fault::Artifact(dice.below(1 << 32), damage),
        Duration::from_millis(100),
    )
}
