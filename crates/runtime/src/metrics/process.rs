//! What the process itself uses, as every Prometheus client library tells it.

use std::{fmt, fs};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
};

/// Reads `/proc` when somebody asks; what cannot be read is left out.
#[derive(Debug)]
pub(super) struct Process;

/// Figures of a process.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Usage {
    cpu_seconds: f64,
    start_seconds: f64,
    resident_bytes: u64,
    virtual_bytes: u64,
    open_files: u64,
}

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Some(usage) = usage() else {
            return Ok(());
        };
        let name = "process_cpu_seconds";
        let help = "Processor time that the process has used";
        let metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        ConstCounter::new(usage.cpu_seconds).encode(metric)?;
        #[expect(
            clippy::cast_precision_loss,
            reason = "gauges are floating-point numbers"
        )]
        for (name, help, value) in [
            (
                "process_start_time_seconds",
                "When the process began",
                usage.start_seconds,
            ),
            (
                "process_resident_memory_bytes",
                "Memory of the process",
                usage.resident_bytes as f64,
            ),
            (
                "process_virtual_memory_bytes",
                "Addresses of the process",
                usage.virtual_bytes as f64,
            ),
            (
                "process_open_fds",
                "Open files of the process",
                usage.open_files as f64,
            ),
        ] {
            let metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            ConstGauge::new(value).encode(metric)?;
        }
        Ok(())
    }
}

fn usage() -> Option<Usage> {
    let text = |path| fs::read_to_string(path).ok();
    let files = fs::read_dir("/proc/self/fd").ok()?.count();
    let (stat, status) = (text("/proc/self/stat")?, text("/proc/self/status")?);
    parse(&stat, &status, &text("/proc/stat")?, files as u64)
}

/// Reads fields of proc_pid_stat(5), proc_pid_status(5) and proc_stat(5).
fn parse(stat: &str, status: &str, system: &str, open_files: u64) -> Option<Usage> {
    // The second field, a name in parentheses, may hold anything.
    let fields = stat.rsplit_once(')')?.1.split_whitespace();
    let fields = fields.collect::<Vec<_>>();
    let ticks = |number: usize| fields.get(number - 3)?.parse::<u32>().ok();
    let bytes = |key| {
        let mut lines = status.lines();
        let value = lines.find_map(|line| line.strip_prefix(key))?;
        let kibibytes: u64 = value.trim().strip_suffix(" kB")?.parse().ok()?;
        Some(kibibytes * 1024)
    };
    let booted = system
        .lines()
        .find_map(|line| line.strip_prefix("btime "))?;
    let booted = f64::from(booted.trim().parse::<u32>().ok()?);
    Some(Usage {
        cpu_seconds: (f64::from(ticks(14)?) + f64::from(ticks(15)?)) / TICKS,
        start_seconds: booted + f64::from(ticks(22)?) / TICKS,
        virtual_bytes: bytes("VmSize:")?,
        resident_bytes: bytes("VmRSS:")?,
        open_files,
    })
}

/// Ticks of a second, as Linux shows them to programs.
const TICKS: f64 = 100.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_read_past_a_strange_name() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194560 100 0 0 0 250 51 0 0 20 0 4 0 1050 1 2 3";
        let status = "Name:\tb\nVmSize:\t    8000 kB\nVmRSS:\t    1200 kB\n";
        let system = "cpu 1 2\nbtime 1790000000\n";
        let usage = parse(stat, status, system, 9).unwrap();
        let expected = Usage {
            cpu_seconds: 3.01,
            start_seconds: 1_790_000_010.5,
            resident_bytes: 1200 * 1024,
            virtual_bytes: 8000 * 1024,
            open_files: 9,
        };
        assert_eq!(usage, expected);
        for (stat, status, system) in [
            ("7 (a) S 1", status, system),
            (stat, "Name:\tb", system),
            (stat, status, "cpu 1 2"),
        ] {
            assert_eq!(parse(stat, status, system, 0), None);
        }
    }

    #[test]
    fn this_process_uses_something() {
        let usage = usage().unwrap();
        assert!(
            usage.resident_bytes > 1 << 20 && usage.open_files > 2,
            "{usage:?}"
        );
    }
}
