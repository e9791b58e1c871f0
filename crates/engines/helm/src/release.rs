//! Release records, as Helm keeps them in Secrets of type `helm.sh/release.v1`.
//!
//! A record is JSON, gzipped, in base64; the API adds another base64 around it. Records of Helm 3
//! and Helm 4 are read, those of Helm 4 are written.

use std::io::{Read as _, Write as _};

use base64::Engine as _;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde_json::{Map, Value as Json, json};

use crate::chart::{Chart, Dependency, File, Metadata};
use crate::manifest::Hook;

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

/// One revision of a release. Fields that templates do not decide are kept as JSON.
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
    /// The user's values.
    pub config: Map<String, Json>,
    /// The documents that are installed.
    pub manifest: String,
    /// The hooks, as the record holds them.
    pub hooks: Vec<Json>,
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
        let text = |of: &Json, name: &str| of[name].as_str().unwrap_or_default().to_owned();
        let info = &json["info"];
        // Helm 3 writes empty texts for times that were never set.
        let time = |name: &str| match info[name].as_str() {
            None | Some("" | ZERO_TIME) => String::new(),
            Some(time) => time.to_owned(),
        };
        let name = text(json, "name");
        if name.is_empty() {
            return Err(RecordError::Field("name"));
        }
        let config = match &json["config"] {
            Json::Null => Map::new(),
            Json::Object(map) => map.clone(),
            _ => return Err(RecordError::Field("config")),
        };
        Ok(Self {
            name,
            namespace: text(json, "namespace"),
            version: json["version"]
                .as_i64()
                .ok_or(RecordError::Field("version"))?,
            status: text(info, "status"),
            description: text(info, "description"),
            first_deployed: time("first_deployed"),
            last_deployed: time("last_deployed"),
            deleted: time("deleted"),
            notes: text(info, "notes"),
            config,
            manifest: text(json, "manifest"),
            hooks: json["hooks"].as_array().cloned().unwrap_or_default(),
            apply_method: match json["apply_method"].as_str() {
                Some("ssa") => ApplyMethod::ServerSide,
                _ => ApplyMethod::ClientSide,
            },
            chart: json["chart"].clone(),
        })
    }

    /// Writes the `release` key of a Secret.
    pub fn encode(&self) -> Result<Vec<u8>, RecordError> {
        let text = serde_json::to_vec(&self.to_json()).map_err(RecordError::Json)?;
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(&text).map_err(RecordError::Gzip)?;
        let bytes = encoder.finish().map_err(RecordError::Gzip)?;
        Ok(BASE64.encode(bytes).into_bytes())
    }

    fn to_json(&self) -> Json {
        let mut info = Map::new();
        let texts = [
            ("first_deployed", &self.first_deployed),
            ("last_deployed", &self.last_deployed),
            ("deleted", &self.deleted),
            ("description", &self.description),
            ("status", &self.status),
            ("notes", &self.notes),
        ];
        for (name, text) in texts {
            put_text(&mut info, name, text);
        }
        let mut out = Map::new();
        put_text(&mut out, "name", &self.name);
        out.insert("info".to_owned(), Json::Object(info));
        out.insert("chart".to_owned(), self.chart.clone());
        if !self.config.is_empty() {
            out.insert("config".to_owned(), Json::Object(self.config.clone()));
        }
        put_text(&mut out, "manifest", &self.manifest);
        if !self.hooks.is_empty() {
            out.insert("hooks".to_owned(), Json::Array(self.hooks.clone()));
        }
        out.insert("version".to_owned(), self.version.into());
        put_text(&mut out, "namespace", &self.namespace);
        let method = match self.apply_method {
            ApplyMethod::ClientSide => "csa",
            ApplyMethod::ServerSide => "ssa",
        };
        put_text(&mut out, "apply_method", method);
        Json::Object(out)
    }
}

fn put_text(map: &mut Map<String, Json>, name: &str, text: &str) {
    if !text.is_empty() {
        map.insert(name.to_owned(), Json::String(text.to_owned()));
    }
}

/// A hook as a record holds it, never run.
pub fn hook_json(hook: &Hook) -> Json {
    let events: Vec<&str> = hook.events.iter().map(|e| e.name()).collect();
    let mut out = Map::new();
    put_text(&mut out, "name", &hook.name);
    put_text(&mut out, "kind", &hook.kind);
    put_text(&mut out, "path", &hook.path);
    put_text(&mut out, "manifest", &hook.manifest);
    out.insert("events".to_owned(), json!(events));
    out.insert("last_run".to_owned(), json!({ "phase": "" }));
    if hook.weight != 0 {
        out.insert("weight".to_owned(), hook.weight.into());
    }
    let lists = [
        ("delete_policies", &hook.delete_policies),
        ("output_log_policies", &hook.output_log_policies),
    ];
    for (name, list) in lists {
        if !list.is_empty() {
            out.insert(name.to_owned(), json!(list));
        }
    }
    Json::Object(out)
}

/// A chart as a record holds it: without its subcharts, files in base64.
pub fn chart_json(chart: &Chart) -> Json {
    let files = |files: &[File]| -> Vec<Json> {
        files
            .iter()
            .map(
                |f| json!({ "name": f.name, "data": BASE64.encode(&f.data), "modtime": ZERO_TIME }),
            )
            .collect()
    };
    json!({
        "metadata": metadata_json(&chart.metadata),
        "lock": chart.lock,
        "templates": files(&chart.templates),
        "values": chart.values,
        "schema": chart.schema.as_ref().map(|s| BASE64.encode(s)),
        "schemamodtime": ZERO_TIME,
        "files": files(&chart.files),
    })
}

fn metadata_json(metadata: &Metadata) -> Json {
    let mut out = Map::new();
    let texts = [
        ("name", &metadata.name),
        ("home", &metadata.home),
        ("version", &metadata.version),
        ("description", &metadata.description),
        ("icon", &metadata.icon),
        ("apiVersion", &metadata.api_version),
        ("condition", &metadata.condition),
        ("tags", &metadata.tags),
        ("appVersion", &metadata.app_version),
        ("kubeVersion", &metadata.kube_version),
        ("type", &metadata.kind),
    ];
    for (name, text) in texts {
        put_text(&mut out, name, text);
    }
    for (name, list) in [
        ("sources", &metadata.sources),
        ("keywords", &metadata.keywords),
    ] {
        if !list.is_empty() {
            out.insert(name.to_owned(), json!(list));
        }
    }
    let maintainers: Vec<Json> = metadata
        .maintainers
        .iter()
        .flatten()
        .map(|m| {
            let mut one = Map::new();
            put_text(&mut one, "name", &m.name);
            put_text(&mut one, "email", &m.email);
            put_text(&mut one, "url", &m.url);
            Json::Object(one)
        })
        .collect();
    if !maintainers.is_empty() {
        out.insert("maintainers".to_owned(), Json::Array(maintainers));
    }
    if metadata.deprecated {
        out.insert("deprecated".to_owned(), Json::Bool(true));
    }
    if let Some(annotations) = metadata.annotations.as_ref().filter(|a| !a.is_empty()) {
        out.insert("annotations".to_owned(), Json::Object(annotations.clone()));
    }
    let dependencies: Vec<Json> = metadata
        .dependencies
        .iter()
        .flatten()
        .map(dependency_json)
        .collect();
    if !dependencies.is_empty() {
        out.insert("dependencies".to_owned(), Json::Array(dependencies));
    }
    Json::Object(out)
}

fn dependency_json(dependency: &Dependency) -> Json {
    let mut out = Map::new();
    out.insert("name".to_owned(), dependency.name.clone().into());
    put_text(&mut out, "version", &dependency.version);
    out.insert(
        "repository".to_owned(),
        dependency.repository.clone().into(),
    );
    put_text(&mut out, "condition", &dependency.condition);
    if !dependency.tags.is_empty() {
        out.insert("tags".to_owned(), json!(dependency.tags));
    }
    if dependency.enabled {
        out.insert("enabled".to_owned(), Json::Bool(true));
    }
    let imports: Vec<Json> = dependency
        .import_values
        .iter()
        .map(|i| json!({ "child": i.child, "parent": i.parent }))
        .collect();
    if !imports.is_empty() {
        out.insert("import-values".to_owned(), Json::Array(imports));
    }
    put_text(&mut out, "alias", &dependency.alias);
    Json::Object(out)
}

#[cfg(test)]
mod tests {
    use super::*;

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
