//! One version of a chart in an index.

use serde_json::{Map, Value as Json};
use yaml::{Node, Schema};

use crate::chart::fields;
use crate::chart::{ChartError, Metadata};

/// The time that Go prints where there is none.
const NO_TIME: &str = "0001-01-01T00:00:00Z";
const FILE: &str = "index.yaml";

/// One version of a chart as an index lists it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ChartVersion {
    /// What its Chart.yaml says.
    pub metadata: Metadata,
    /// Where its archive is; relative ones are relative to the repository.
    pub urls: Vec<String>,
    /// When it was made, RFC 3339; may be empty.
    pub created: String,
    /// Whether it was taken away.
    pub removed: bool,
    /// SHA-256 of its archive, in hex; may be empty.
    pub digest: String,
}

impl ChartVersion {
    /// Reads one item of an index; nothing for a null.
    ///
    /// # Errors
    /// Malformed YAML, a key that occurs twice, fields of the wrong type.
    pub fn parse(text: &[u8]) -> Result<Option<Self>, ChartError> {
        let reader = yaml::Reader::new(Schema::Legacy).duplicates(yaml::Duplicates::Error);
        let node = reader
            .read_first(text, FILE)
            .map_err(|error| ChartError::File {
                file: FILE.to_owned(),
                reason: error.go_text(),
            })?;
        Self::from_node(&node.unwrap_or_else(Node::null))
    }

    /// Reads one item of an index that was read already.
    ///
    /// # Errors
    /// Fields of the wrong type.
    pub fn from_node(node: &Node) -> Result<Option<Self>, ChartError> {
        if node.is_null() {
            return Ok(None);
        }
        if node.as_mapping().is_none() {
            return Err(ChartError::File {
                file: FILE.to_owned(),
                reason: "an entry is no mapping".to_owned(),
            });
        }
        let fields = fields(node, FILE, "ChartVersion");
        Ok(Some(Self {
            metadata: Metadata::from_node(node, FILE)?,
            urls: fields.texts("urls")?,
            created: fields.text("created")?,
            removed: fields.flag("removed")?,
            digest: fields.text("digest")?,
        }))
    }

    /// Returns whether the entry counts. One that is not valid is left out of the index; wrong dependencies do not matter
    /// here.
    pub fn is_valid(&self) -> bool {
        match self.metadata.validate() {
            Ok(()) => true,
            Err(error) => {
                let text = error.to_string();
                text.starts_with("validation: more than one dependency with name or alias")
                    || text.ends_with("has disallowed characters in the alias")
            }
        }
    }

    /// Returns the entry as it is published.
    pub fn to_json(&self) -> Map<String, Json> {
        let mut out = self.metadata.to_json();
        out.insert("urls".to_owned(), Json::from(self.urls.clone()));
        let created = match self.created.as_str() {
            "" => NO_TIME,
            created => created,
        };
        out.insert("created".to_owned(), Json::from(created));
        if self.removed {
            out.insert("removed".to_owned(), Json::Bool(true));
        }
        if !self.digest.is_empty() {
            out.insert("digest".to_owned(), Json::from(self.digest.as_str()));
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<ChartVersion, String> {
        match ChartVersion::parse(text.as_bytes()) {
            Ok(Some(version)) => Ok(version),
            Ok(None) => Err("null".into()),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn entry_is_read_and_published_without_what_is_empty() {
        let entry = parse(
            "  apiVersion: v2\n  name: demo\n  version: 1.0.0\n  appVersion: 1.20\n  urls:\n  - demo-1.0.0.tgz\n  created: 2026-01-01T00:00:00Z\n  unknown: x\n",
        )
        .unwrap();
        assert!(entry.is_valid());
        assert_eq!(
            Json::Object(entry.to_json()),
            serde_json::json!({"apiVersion": "v2", "name": "demo", "version": "1.0.0", "appVersion": "1.2",
                "urls": ["demo-1.0.0.tgz"], "created": "2026-01-01T00:00:00Z"})
        );
        let bare = parse("name: demo\nversion: 1.0.0\n").unwrap();
        assert_eq!(bare.to_json()["created"], NO_TIME);
        assert_eq!(bare.metadata.api_version, "v1");
    }

    /// covers: SC-153
    #[test]
    fn wrong_dependencies_do_not_make_an_entry_invalid() {
        for dependencies in ["[{name: a}, {name: a}]", "[{name: a, alias: \"a b\"}]"] {
            let text = format!("name: x\nversion: 1.0.0\ndependencies: {dependencies}\n");
            assert!(parse(&text).unwrap().is_valid(), "{dependencies}");
        }
        assert!(!parse("name: x\nversion: 0..1.0\n").unwrap().is_valid());
        assert!(!parse("version: 1.0.0\n").unwrap().is_valid());
    }

    #[test]
    fn nulls_are_told_apart_from_errors() {
        assert_eq!(parse("null").unwrap_err(), "null");
        assert_eq!(parse("").unwrap_err(), "null");
        assert!(parse("name: a\nname: b\n").unwrap_err().contains("name"));
        assert!(parse("- x\n").is_err());
    }
}
