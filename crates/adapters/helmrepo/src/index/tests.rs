use std::fmt::Write as _;

use super::*;

fn file(text: &str) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

fn published(text: &str) -> Result<String, String> {
    let mut out = Vec::new();
    publish(&mut file(text), &std::env::temp_dir(), &mut out).map_err(|error| error.to_string())?;
    Ok(String::from_utf8(out).unwrap())
}

const YAML: &str = "apiVersion: v1
generated: \"2026-01-01T00:00:00Z\"
entries:
  zeta:
  - {apiVersion: v2, name: zeta, version: 1.0.0, urls: [zeta.tgz]}
  demo:
  - {apiVersion: v2, name: demo, version: 0.1.0, urls: [demo-0.1.0.tgz], created: \"2026-01-01T00:00:00Z\"}
  - name: demo
    version: 0.10.0
    apiVersion: v2
    urls:
    - demo-0.10.0.tgz
  -
  - {name: demo, version: not-a-version}
  - {name: demo, version: 0.2.0, urls: [demo-0.2.0.tgz]}
";

const EXPECTED: &str = r#"{
  "apiVersion": "v1",
  "generated": "2026-01-01T00:00:00Z",
  "entries": {
    "demo": [
      {
        "apiVersion": "v2",
        "created": "0001-01-01T00:00:00Z",
        "name": "demo",
        "urls": [
          "demo-0.10.0.tgz"
        ],
        "version": "0.10.0"
      },
      {
        "apiVersion": "v1",
        "created": "0001-01-01T00:00:00Z",
        "name": "demo",
        "urls": [
          "demo-0.2.0.tgz"
        ],
        "version": "0.2.0"
      },
      {
        "apiVersion": "v2",
        "created": "2026-01-01T00:00:00Z",
        "name": "demo",
        "urls": [
          "demo-0.1.0.tgz"
        ],
        "version": "0.1.0"
      }
    ],
    "zeta": [
      {
        "apiVersion": "v2",
        "created": "0001-01-01T00:00:00Z",
        "name": "zeta",
        "urls": [
          "zeta.tgz"
        ],
        "version": "1.0.0"
      }
    ]
  }
}"#;

/// covers: SC-152
#[test]
fn index_is_published_sorted_and_without_invalid_versions_whatever_its_form() {
    assert_eq!(published(YAML).unwrap(), EXPECTED);
    let anchored = YAML.replace("urls: [zeta.tgz]", "urls: &u [zeta.tgz]");
    assert_eq!(published(&anchored).unwrap(), EXPECTED);
    let flow = YAML
        .replace("  zeta:\n  - {", "  zeta: [{")
        .replace("[zeta.tgz]}", "[zeta.tgz]}]");
    assert_eq!(published(&flow).unwrap(), EXPECTED);
    // What is published can be read again, as JSON.
    assert_eq!(published(EXPECTED).unwrap(), EXPECTED);
}

/// covers: SC-152
#[test]
fn indexes_of_no_use_are_refused() {
    let refused = |text: &str| published(text).unwrap_err();
    assert_eq!(refused(""), "empty index.yaml file");
    assert_eq!(refused("entries: {}\n"), "no API version specified");
    assert_eq!(refused("{\"entries\": {}}"), "no API version specified");
    let twice = "apiVersion: v1\nentries:\n  a:\n  - {name: a, version: 1.0.0}\n  a:\n  - {name: a, version: 1.0.0}\n";
    assert!(
        refused(twice).contains("already set in map"),
        "{}",
        refused(twice)
    );
    let twice = "apiVersion: v1\nentries:\n  a:\n  - {name: a, name: b, version: 1.0.0}\n";
    assert!(
        refused(twice).contains("already set in map"),
        "{}",
        refused(twice)
    );
    assert!(refused("apiVersion: v1\nentries:\n  a:\n  - {name: a\n").contains("yaml"));
    assert!(
        published("apiVersion: v1\n")
            .unwrap()
            .contains("\"entries\": {\n  }")
    );
}

#[test]
fn published_chart_is_found_without_the_others() {
    let mut file = file(EXPECTED);
    let mut names = |chart: &str| {
        let found = lookup(&mut file, chart).unwrap();
        found.map(|list| {
            list.into_iter()
                .map(|each| each.version)
                .collect::<Vec<_>>()
        })
    };
    assert_eq!(names("demo").unwrap(), ["0.10.0", "0.2.0", "0.1.0"]);
    assert_eq!(names("zeta").unwrap(), ["1.0.0"]);
    assert_eq!(names("dem"), None);
    assert_eq!(names("name"), None);
}

#[test]
fn chart_is_found_wherever_it_lies() {
    let mut yaml = String::from("apiVersion: v1\nentries:\n");
    for chart in 0..3000 {
        write!(
            yaml,
            "  c{chart}:\n  - name: c{chart}\n    version: 1.0.0\n    description: {}\n",
            "x".repeat(chart % 200)
        )
        .unwrap();
    }
    let mut published = file(&published(&yaml).unwrap());
    for chart in (0..3000).step_by(97) {
        let found = lookup(&mut published, &format!("c{chart}"))
            .unwrap()
            .unwrap();
        assert_eq!(found[0].name, format!("c{chart}"));
    }
}

#[test]
fn later_creation_counts_more() {
    let listed = |created: &str| Listed {
        created: created.into(),
        ..Listed::default()
    };
    let at = |created| listed(created).candidate().created;
    assert!(at("2026-01-01T00:00:00Z") < at("2026-01-01T00:00:00.5+00:00"));
    assert!(at("") < at("1999-01-01T00:00:00Z"));
}
