//! Measures reading and printing of the document on standard input, in CPU time (Linux only), so that
//! a busy machine does not matter much.

#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a tool that measures"
)]

use std::hint::black_box;
use std::io::Read as _;
use yaml::{Limits, Reader, Schema, emit};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut text = Vec::new();
    std::io::stdin().lock().read_to_end(&mut text)?;
    let limits = Limits {
        max_bytes: 1 << 30,
        max_nodes: 1 << 30,
        ..Limits::default()
    };
    let reader = Reader::new(Schema::Core).limits(limits);
    let megabytes = f64::from(u32::try_from(text.len())?) / 1e6;
    let source = std::str::from_utf8(&text)?;
    let measure = |what: &str, work: &mut dyn FnMut()| {
        let best = (0..5).map(|_| {
            let start = cpu_nanoseconds();
            work();
            cpu_nanoseconds() - start
        });
        let best = best.min().unwrap_or_default();
        println!(
            "{what:8} {:.0} MB/s",
            megabytes * 1e9 / f64::from(u32::try_from(best).unwrap_or(u32::MAX))
        );
    };
    measure("steps", &mut || {
        drop(black_box(reader.visit(source, "f", &mut |_| ())));
    });
    measure("read", &mut || drop(black_box(reader.read(&text, "f"))));
    let documents = reader.read(&text, "f")?;
    measure("clone", &mut || drop(black_box(documents.clone())));
    measure("print", &mut || {
        for document in &documents {
            drop(black_box(emit::v2(document)));
        }
    });
    println!("{megabytes:.1} MB, {} documents", documents.len());
    Ok(())
}

/// Returns the CPU time this thread has used.
fn cpu_nanoseconds() -> u64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    stat.split(' ')
        .next()
        .and_then(|first| first.parse().ok())
        .unwrap_or(0)
}
