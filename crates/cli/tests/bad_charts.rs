//! Charts that mean harm, or are merely broken, through the whole program: an error that says what is
//! wrong, within bounds of processor time and memory that the shell keeps.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends")]

use std::fs;
use std::path::Path;
use std::process::Command;

use flate2::{Compression, write::GzEncoder};

/// Seconds of processor time: none of these takes more than one, but builds of tests are slow.
const SECONDS: u32 = 60;
/// Address space in KiB, of which 1 GiB is the stack that rendering reserves and does not use.
const KIBIBYTES: u32 = 2_500_000;

const CHART: &str = "apiVersion: v2\nname: c\nversion: 1.0.0\n";

/// Runs `lockgate template`, which must refuse the chart on its own and say this.
fn refuses(chart: &Path, flags: &[&str], expect: &str) {
    let limits = format!("ulimit -t {SECONDS} && ulimit -v {KIBIBYTES} && exec \"$@\"");
    let output = Command::new("sh")
        .args(["-c", &limits, "sh", env!("CARGO_BIN_EXE_lockgate")])
        .args(["template", "rel"])
        .arg(chart)
        .args(flags)
        // The allocator reserves address space ahead.
        .env("MIMALLOC_ARENA_RESERVE", "65536")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    // A signal, which ends what is out of bounds, gives no code; a panic gives another.
    assert_eq!(output.status.code(), Some(1), "{flags:?} {expect}: {said}");
    assert!(said.contains(expect), "{flags:?} {expect}: {said}");
}

/// A chart's folder with these files beside Chart.yaml.
fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("Chart.yaml"), CHART).unwrap();
    for (name, text) in files {
        let file = folder.path().join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }
    folder
}

#[test]
fn templates_that_never_end_or_grow_are_stopped() {
    for (template, expect) in [
        (
            "{{ define \"r\" }}{{ include \"r\" . }}{{ end }}{{ include \"r\" . }}",
            "nested reference name: r",
        ),
        (
            "{{ define \"r\" }}{{ template \"r\" . }}{{ end }}{{ template \"r\" . }}",
            "exceeded maximum template depth",
        ),
        (
            "{{ range until 9999999 }}{{ range until 9999999 }}{{ end }}{{ end }}",
            "rendering",
        ),
        (
            "{{ repeat 999999999 \"xxxxxxxx\" }}",
            "error calling repeat",
        ),
        ("{{ indent 999999999 \"a\" }}", "error calling indent"),
    ] {
        let chart = folder(&[("templates/a.yaml", template)]);
        refuses(chart.path(), &[], expect);
    }
}

#[test]
fn settings_that_ask_for_too_much_are_refused() {
    let chart = folder(&[("templates/a.yaml", "a: 1\n")]);
    for (expression, expect) in [
        ("a[999999999]=x", "index of 999999999"),
        ("a[0][999999999]=x", "index of 999999999"),
        (&*format!("{}=1", ["a"; 100].join(".")), "nesting level"),
    ] {
        refuses(chart.path(), &["--set", expression], expect);
    }
}

#[test]
fn schemas_in_a_circle_and_broken_output_are_told() {
    let circle = r##"{"$defs":{"a":{"$ref":"#/$defs/b"},"b":{"$ref":"#/$defs/a"}},"$ref":"#/$defs/a","required":["x"]}"##;
    let chart = folder(&[("values.schema.json", circle), ("templates/a.yaml", "a: 1")]);
    refuses(chart.path(), &[], "values don't meet the specifications");
    let chart = folder(&[("templates/a.yaml", "a: b: c")]);
    refuses(chart.path(), &[], "YAML parse error on c/templates/a.yaml");
}

#[test]
fn chart_without_its_description_is_none() {
    let chart = folder(&[("templates/a.yaml", "a: 1\n")]);
    fs::remove_file(chart.path().join("Chart.yaml")).unwrap();
    refuses(chart.path(), &[], "Chart.yaml file is missing");
}

/// An archive with an entry of this name and kind after a good Chart.yaml.
fn archive(name: &str, kind: tar::EntryType, data: &[u8], times: usize) -> tempfile::NamedTempFile {
    let file = tempfile::Builder::new().suffix(".tgz").tempfile().unwrap();
    let mut archive =
        tar::Builder::new(GzEncoder::new(file.reopen().unwrap(), Compression::fast()));
    let mut add = |name: &str, kind: tar::EntryType, data: &[u8]| {
        let mut header = tar::Header::new_gnu();
        // The library's own setter refuses what is wanted here.
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(kind);
        header.set_size(data.len() as u64);
        header.set_mode(0o644);
        if kind.is_symlink() {
            header.set_link_name("/etc/passwd").unwrap();
        }
        header.set_cksum();
        archive.append(&header, data).unwrap();
    };
    add("c/Chart.yaml", tar::EntryType::Regular, CHART.as_bytes());
    for _ in 0..times {
        add(name, kind, data);
    }
    archive.into_inner().unwrap().finish().unwrap();
    file
}

#[test]
fn archives_lead_nowhere_and_stay_small() {
    let regular = tar::EntryType::Regular;
    let climbing = archive("c/../../etc/passwd", regular, b"x", 1);
    refuses(
        climbing.path(),
        &[],
        "chart illegally references parent directory",
    );
    let zeros = vec![0; 5 << 20];
    let bomb = archive("c/x", regular, &zeros, 25);
    assert!(fs::metadata(bomb.path()).unwrap().len() < 10 << 20);
    refuses(
        bomb.path(),
        &[],
        "decompressed chart is larger than the maximum size",
    );
    // A link is an empty file, whatever it leads to: this template renders nothing.
    let link = archive("c/templates/a.yaml", tar::EntryType::Symlink, b"", 1);
    let output = Command::new(env!("CARGO_BIN_EXE_lockgate"))
        .args(["template", "rel"])
        .arg(link.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "");
}
