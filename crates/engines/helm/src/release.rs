//! Release records, as Helm keeps them in Secrets of type `helm.sh/release.v1`.
//!
//! A record is JSON, gzipped, in base64; the API adds another base64 around it. Records of Helm 3
//! and Helm 4 are read, those of Helm 4 are written, byte for byte as Go writes them before they
//! are compressed. [`digest`] has the texts that Flux hashes.
//!
//! Source: helm v4.2.1, `pkg/release/v1` and `pkg/storage/driver`.

mod chart;
pub mod digest;
mod json;

pub use chart::chart_json;

use std::io::{Read as _, Write as _};

use base64::Engine as _;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde_json::{Map, Value as Json};

use crate::manifest::{Event, Hook};
use crate::values::floats;
use json::Object;

const BASE64: base64::engine::GeneralPurpose = base64::engine::general_purpose::STANDARD;

/// The largest record that is read, decompressed.
const MAX_RECORD_BYTES: u64 = 128 << 20;

/// What Go writes for a time that was never set.
const ZERO_TIME: &str = "0001-01-01T00:00:00Z";

/// A record that cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// The text is no base64.
    #[error("release record is no base64")]
    Base64(#[source] base64::DecodeError),
    /// The gzip stream is broken.
    #[error("release record does not decompress")]
    Gzip(#[source] std::io::Error),
    /// The record is larger than any release may be.
    #[error("release record is larger than {MAX_RECORD_BYTES} bytes")]
    TooLarge,
    /// The JSON is malformed.
    #[error("release record is no JSON")]
    Json(#[source] serde_json::Error),
    /// A field has another type than it must.
    #[error("release record has no proper {0}")]
    Field(&'static str),
}

/// How a release was applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ApplyMethod {
    /// Patches computed by the client, as Helm 3 does.
    #[default]
    ClientSide,
    /// Server-side apply.
    ServerSide,
}

/// A hook with its last execution.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RecordedHook {
    /// The hook.
    pub hook: Hook,
    /// When it last ran, and how that ended.
    pub last_run: Execution,
}

impl From<Hook> for RecordedHook {
    fn from(hook: Hook) -> Self {
        Self {
            hook,
            last_run: Execution::default(),
        }
    }
}

/// One execution of a hook.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Execution {
    /// When it began; RFC 3339, empty for never.
    pub started_at: String,
    /// When it ended; empty for not yet.
    pub completed_at: String,
    /// `Unknown`, `Running`, `Succeeded`, `Failed`, or empty for never run.
    pub phase: String,
}

/// One revision of a release.
///
/// Times are RFC 3339 with up to nine decimals, `2026-01-02T03:04:05.678Z`, trailing zeros trimmed.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Record {
    /// The release's name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// The revision, from 1.
    pub version: i64,
    /// `deployed`, `failed`, `pending-install` …
    pub status: String,
    /// One line about the last action.
    pub description: String,
    /// When the first revision was deployed; RFC 3339, empty for never.
    pub first_deployed: String,
    /// When this revision was deployed; empty for never.
    pub last_deployed: String,
    /// When the release was deleted; empty for never.
    pub deleted: String,
    /// The notes.
    pub notes: String,
    /// The user's values. Read from a record all numbers are floats.
    pub config: Map<String, Json>,
    /// The documents that are installed.
    pub manifest: String,
    /// The hooks.
    pub hooks: Vec<RecordedHook>,
    /// How it was applied.
    pub apply_method: ApplyMethod,
    /// The chart without its subcharts, as the record holds it.
    pub chart: Json,
}

impl Record {
    /// The name of the Secret that holds the record.
    pub fn secret_name(&self) -> String {
        format!("sh.helm.release.v1.{}.v{}", self.name, self.version)
    }

    /// Reads the `release` key of a Secret.
    pub fn decode(data: &[u8]) -> Result<Self, RecordError> {
        let bytes = BASE64
            .decode(data.trim_ascii())
            .map_err(RecordError::Base64)?;
        let text = if bytes.starts_with(&[0x1f, 0x8b, 0x08]) {
            let mut out = Vec::new();
            let limited = GzDecoder::new(bytes.as_slice()).take(MAX_RECORD_BYTES + 1);
            std::io::BufReader::new(limited)
                .read_to_end(&mut out)
                .map_err(RecordError::Gzip)?;
            out
        } else {
            bytes
        };
        if text.len() as u64 > MAX_RECORD_BYTES {
            return Err(RecordError::TooLarge);
        }
        let json: Json = serde_json::from_slice(&text).map_err(RecordError::Json)?;
        Self::from_json(&json)
    }

    fn from_json(json: &Json) -> Result<Self, RecordError> {
        let info = &json["info"];
        let name = text(json, "name");
        if name.is_empty() {
            return Err(RecordError::Field("name"));
        }
        let config = match floats(json["config"].clone()) {
            Json::Null => Map::new(),
            Json::Object(map) => map,
            _ => return Err(RecordError::Field("config")),
        };
        let mut chart = json["chart"].clone();
        if let Some(values) = chart.get_mut("values") {
            *values = floats(values.take());
        }
        Ok(Self {
            name,
            namespace: text(json, "namespace"),
            version: json["version"]
                .as_i64()
                .ok_or(RecordError::Field("version"))?,
            status: text(info, "status"),
            description: text(info, "description"),
            first_deployed: time(info, "first_deployed"),
            last_deployed: time(info, "last_deployed"),
            deleted: time(info, "deleted"),
            notes: text(info, "notes"),
            config,
            manifest: text(json, "manifest"),
            hooks: read_hooks(&json["hooks"])?,
            apply_method: match json["apply_method"].as_str() {
                Some("ssa") => ApplyMethod::ServerSide,
                _ => ApplyMethod::ClientSide,
            },
            chart,
        })
    }

    /// The chart's metadata, as the record holds it; null where there is none.
    pub fn chart_metadata(&self) -> &Json {
        &self.chart["metadata"]
    }

    /// Writes the `release` key of a Secret.
    pub fn encode(&self) -> Result<Vec<u8>, RecordError> {
        let text = self.to_json();
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder
            .write_all(text.as_bytes())
            .map_err(RecordError::Gzip)?;
        let bytes = encoder.finish().map_err(RecordError::Gzip)?;
        Ok(BASE64.encode(bytes).into_bytes())
    }

    /// The JSON inside the record.
    pub fn to_json(&self) -> String {
        let mut out = String::new();
        let mut object = Object::begin(&mut out);
        object.text("name", &self.name);
        self.write_info(object.field("info"));
        if !self.chart.is_null() {
            chart::write_chart(object.field("chart"), &self.chart);
        }
        if !self.config.is_empty() {
            json::map(object.field("config"), &self.config);
        }
        object.text("manifest", &self.manifest);
        if !self.hooks.is_empty() {
            let out = object.field("hooks");
            json::list(out, &self.hooks, write_hook);
        }
        object.integer("version", self.version);
        object.text("namespace", &self.namespace);
        let method = match self.apply_method {
            ApplyMethod::ClientSide => "csa",
            ApplyMethod::ServerSide => "ssa",
        };
        object.text("apply_method", method);
        object.end();
        out
    }

    fn write_info(&self, out: &mut String) {
        let mut info = Object::begin(out);
        info.text("first_deployed", &self.first_deployed);
        info.text("last_deployed", &self.last_deployed);
        info.text("deleted", &self.deleted);
        info.text("description", &self.description);
        info.text("status", &self.status);
        info.text("notes", &self.notes);
        info.end();
    }
}

fn text(of: &Json, name: &str) -> String {
    of[name].as_str().unwrap_or_default().to_owned()
}

/// A time; Helm 3 writes empty texts for those that were never set, Go the year 1.
fn time(of: &Json, name: &str) -> String {
    match of[name].as_str() {
        None | Some("" | ZERO_TIME) => String::new(),
        Some(time) => time.to_owned(),
    }
}

fn read_hooks(json: &Json) -> Result<Vec<RecordedHook>, RecordError> {
    let items = match json {
        Json::Null => return Ok(Vec::new()),
        Json::Array(items) => items,
        _ => return Err(RecordError::Field("hooks")),
    };
    let texts = |of: &Json, name: &str| -> Vec<String> {
        let items = of[name].as_array().map_or(&[][..], Vec::as_slice);
        items
            .iter()
            .filter_map(Json::as_str)
            .map(str::to_owned)
            .collect()
    };
    let one = |json: &Json| RecordedHook {
        hook: Hook {
            name: text(json, "name"),
            kind: text(json, "kind"),
            path: text(json, "path"),
            manifest: text(json, "manifest"),
            events: texts(json, "events")
                .iter()
                .filter_map(|name| Event::parse(name))
                .collect(),
            weight: json["weight"].as_i64().unwrap_or(0),
            delete_policies: texts(json, "delete_policies"),
            output_log_policies: texts(json, "output_log_policies"),
        },
        last_run: Execution {
            started_at: time(&json["last_run"], "started_at"),
            completed_at: time(&json["last_run"], "completed_at"),
            phase: text(&json["last_run"], "phase"),
        },
    };
    Ok(items.iter().map(one).collect())
}

fn write_hook(out: &mut String, recorded: &RecordedHook) {
    let (hook, run) = (&recorded.hook, &recorded.last_run);
    let events: Vec<&str> = hook.events.iter().map(|e| e.name()).collect();
    let mut object = Object::begin(out);
    object.text("name", &hook.name);
    object.text("kind", &hook.kind);
    object.text("path", &hook.path);
    object.text("manifest", &hook.manifest);
    object.texts("events", &events);
    let mut last = Object::begin(object.field("last_run"));
    last.text("started_at", &run.started_at);
    last.text("completed_at", &run.completed_at);
    json::string(last.field("phase"), &run.phase);
    last.end();
    object.integer("weight", hook.weight);
    object.texts("delete_policies", &hook.delete_policies);
    object.texts("output_log_policies", &hook.output_log_policies);
    object.end();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chart::Chart;

    /// covers: HE-119, HE-120
    #[test]
    fn records_survive_writing_and_reading() {
        let record = Record {
            name: "app".to_owned(),
            namespace: "ns".to_owned(),
            version: 3,
            status: "deployed".to_owned(),
            manifest: "---\na: <b>\n".to_owned(),
            apply_method: ApplyMethod::ServerSide,
            chart: chart_json(&Chart::default()),
            ..Record::default()
        };
        let data = record.encode().unwrap();
        assert_eq!(Record::decode(&data).unwrap(), record);
        assert_eq!(record.secret_name(), "sh.helm.release.v1.app.v3");
        assert!(BASE64.decode(&data).unwrap().starts_with(&[0x1f, 0x8b]));
    }

    #[test]
    fn records_of_helm_3_are_read() {
        let text = r#"{"name":"a","info":{"first_deployed":"2020-01-01T00:00:00Z","deleted":"","status":"failed"},"version":1}"#;
        let record = Record::decode(BASE64.encode(text).as_bytes()).unwrap();
        assert_eq!(
            (record.deleted.as_str(), record.status.as_str()),
            ("", "failed")
        );
        assert_eq!(record.apply_method, ApplyMethod::ClientSide);
    }

    #[test]
    fn broken_records_are_refused() {
        assert!(matches!(Record::decode(b"!"), Err(RecordError::Base64(_))));
        let broken = BASE64.encode([0x1f, 0x8b, 0x08, 0, 1]);
        assert!(matches!(
            Record::decode(broken.as_bytes()),
            Err(RecordError::Gzip(_))
        ));
        let text = BASE64.encode("{}");
        assert!(matches!(
            Record::decode(text.as_bytes()),
            Err(RecordError::Field("name"))
        ));
        let text = BASE64.encode("[");
        assert!(matches!(
            Record::decode(text.as_bytes()),
            Err(RecordError::Json(_))
        ));
    }
}
