//! What the controllers take of memory and handles, from the calm at the start to the calm at the end.

use crate::world::{CONTROLLERS, World, say};

const MIB: u64 = 1 << 20;
/// A controller may take this many times what it took when all was applied for the first time, and [`ROOM`] more.
const TIMES: u64 = 2;
const ROOM: u64 = 32 * MIB;
/// How many handles a controller may have more than at the start.
const HANDLES: usize = 48;

#[derive(Clone, Copy, Debug, Default)]
struct Taken {
    bytes: u64,
    handles: usize,
}

/// At the start and at most, by controller.
pub(crate) struct Memory {
    start: Vec<Taken>,
    most: Vec<Taken>,
}

impl Memory {
    pub(crate) fn new(world: &World) -> Self {
        let start = taken(world);
        Self {
            most: start.clone(),
            start,
        }
    }

    pub(crate) fn sample(&mut self, world: &World) {
        for (most, now) in self.most.iter_mut().zip(taken(world)) {
            most.bytes = most.bytes.max(now.bytes);
            most.handles = most.handles.max(now.handles);
        }
    }

    /// Prints what was taken. Fails where it has grown.
    pub(crate) fn judge(mut self, world: &World) {
        self.sample(world);
        let end = taken(world);
        say("controller                    MiB: start  most  end   handles: start most  end");
        for (number, (_, name)) in CONTROLLERS.iter().enumerate() {
            let (start, most, end) = (self.start[number], self.most[number], end[number]);
            say(&format!(
                "{name:<28} {:>10} {:>5} {:>4} {:>16} {:>4} {:>4}",
                start.bytes / MIB,
                most.bytes / MIB,
                end.bytes / MIB,
                start.handles,
                most.handles,
                end.handles,
            ));
        }
        for (number, (_, name)) in CONTROLLERS.iter().enumerate() {
            let (start, end) = (self.start[number], end[number]);
            let bound = start.bytes * TIMES + ROOM;
            assert!(
                end.bytes <= bound,
                "{name} takes {} bytes, more than {bound}",
                end.bytes
            );
            let bound = start.handles + HANDLES;
            assert!(
                end.handles <= bound,
                "{name} has {} handles, more than {bound}",
                end.handles
            );
        }
    }
}

/// A controller that is away takes nothing.
fn taken(world: &World) -> Vec<Taken> {
    let programs = world.programs.iter();
    programs
        .map(|program| {
            let handles = program.pid().and_then(|pid| {
                let entries = std::fs::read_dir(format!("/proc/{pid}/fd")).ok()?;
                Some(entries.count())
            });
            Taken {
                bytes: program.resident_bytes().unwrap_or(0),
                handles: handles.unwrap_or(0),
            }
        })
        .collect()
}
