//! Measures reading and printing of the document on standard input.

#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a tool that measures"
)]

use std::hint::black_box;
use std::io::Read as _;
use std::time::Instant;
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
            let start = Instant::now();
            work();
            start.elapsed()
        });
        let best = best.min().unwrap_or_default().as_secs_f64();
        println!("{what:8} {:.0} MB/s", megabytes / best);
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
