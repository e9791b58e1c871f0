//! Renders charts as the oracle in `hack/oracles/helm` does: a JSON request a line in, a JSON
//! answer a line out. `cargo xtask differential helm` compares the two.

use std::io::{BufRead as _, Write as _};

use helm::capabilities::Capabilities;
use helm::chart::{File, from_files};
use helm::render::{Mode, Release, Settings};
use helm::template::{Request, render_files};
use serde_json::{Map, Value as Json, json};

fn answer(line: &str) -> Result<Json, String> {
    let request: Json = serde_json::from_str(line).map_err(|e| format!("request: {e}"))?;
    let no_files = Map::new();
    let files = request["files"].as_object().unwrap_or(&no_files);
    let files: Vec<File> = files
        .iter()
        .map(|(name, text)| File::new(name.as_str(), text.as_str().unwrap_or_default().as_bytes()))
        .collect();
    let chart = from_files(&files).map_err(|e| format!("load: {e}"))?;
    let values = request["values"].as_str().unwrap_or_default();
    let values =
        helm::values::read(values.as_bytes(), "values").map_err(|e| format!("values: {e}"))?;
    let request = Request {
        values,
        release: Release {
            name: "rel".to_owned(),
            namespace: "ns".to_owned(),
            revision: 1,
            is_upgrade: false,
        },
        capabilities: Capabilities::default(),
        settings: Settings {
            mode: Mode::Normal,
            now: go::time::Time::from_unix(1_700_000_000, 0),
            seed: [1; 32],
            limits: gotemplate::Limits::default(),
            lookup: None,
        },
        skip_schema: false,
        sub_notes: false,
    };
    let rendered = render_files(chart, &request).map_err(|e| e.to_string())?;
    Ok(rendered
        .into_iter()
        .map(|file| (file.path, json!(file.text)))
        .collect::<Map<_, _>>()
        .into())
}

fn main() -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        let answer = match answer(&line?) {
            Ok(files) => json!({ "out": files }),
            Err(error) => json!({ "err": error }),
        };
        writeln!(out, "{answer}")?;
    }
    Ok(())
}
