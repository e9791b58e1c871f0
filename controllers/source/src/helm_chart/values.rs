//! Values files joined into the values of a chart.

use artifact::ArtifactTree;
use helm::chart::Chart;
use helm::values::{overlay, read};
use serde_json::{Map, Value as Json};

use crate::tree::confined;

const OWN: &str = "values.yaml";

/// The joined values, and the files that they came from.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Merged {
    pub(super) values: Map<String, Json>,
    pub(super) files: Vec<String>,
}

/// Says whether a list of values files is the one that every chart has.
pub(super) fn is_default(files: &[String]) -> bool {
    match files {
        [] => true,
        [one] => confined(one) == OWN,
        _ => false,
    }
}

/// Joins values files of the chart itself.
///
/// # Errors
/// A file that does not exist, unless those are left out, or that is no YAML mapping.
pub(super) fn of_chart(
    chart: &Chart,
    files: &[String],
    leave_out_missing: LeaveOutMissing,
) -> Result<Merged, String> {
    merge(
        files,
        leave_out_missing,
        |path| {
            let name = confined(path);
            if name == OWN {
                return Ok(Some(numbers(Json::Object(chart.values.clone()))));
            }
            let Some(file) = chart.files.iter().find(|file| file.name == name) else {
                return Ok(None);
            };
            parse(path, &file.data).map(Some)
        },
        |path| format!("no values file found at path '{path}'"),
    )
}

/// Joins values files of a source; paths start at its root.
///
/// # Errors
/// As [`of_chart`].
pub(super) fn of_source(
    tree: &ArtifactTree,
    files: &[String],
    leave_out_missing: LeaveOutMissing,
) -> Result<Merged, String> {
    merge(
        files,
        leave_out_missing,
        |path| match tree.content(&confined(path)) {
            Ok(content) => parse(path, &content).map(Some),
            Err(_) => Ok(None),
        },
        |path| {
            let name = confined(path);
            format!("no values file found at path '/{name}' (reference '{path}')")
        },
    )
}

/// Whether files that do not exist are left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LeaveOutMissing(pub(super) bool);

fn merge(
    files: &[String],
    leave_out_missing: LeaveOutMissing,
    read: impl Fn(&str) -> Result<Option<Json>, String>,
    missing: impl Fn(&str) -> String,
) -> Result<Merged, String> {
    let mut merged = Merged::default();
    for path in files {
        match read(path)? {
            Some(Json::Object(values)) => {
                overlay(&mut merged.values, values);
                merged.files.push(path.clone());
            }
            Some(_) => merged.files.push(path.clone()),
            None if leave_out_missing.0 => {}
            None => return Err(missing(path)),
        }
    }
    Ok(merged)
}

fn parse(path: &str, data: &[u8]) -> Result<Json, String> {
    read(data, path)
        .map(|values| numbers(Json::Object(values)))
        .map_err(|error| format!("unmarshaling values from '{path}' failed: {error}"))
}

/// Writes whole numbers as such: values are read as Go reads them, where every number is a float.
fn numbers(json: Json) -> Json {
    /// Beyond this a float does not hold every whole number, and Go prints it as it is.
    const EXACT: f64 = 1e15;
    match json {
        Json::Number(number) => match number.as_f64() {
            #[expect(clippy::cast_possible_truncation, reason = "whole and small")]
            Some(float) if float.fract() == 0.0 && float.abs() < EXACT => Json::from(float as i64),
            _ => Json::Number(number),
        },
        Json::Array(items) => items.into_iter().map(numbers).collect(),
        Json::Object(map) => map
            .into_iter()
            .map(|(key, value)| (key, numbers(value)))
            .collect(),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use helm::chart::{File, from_files};

    use super::*;

    fn chart() -> Chart {
        let file = |name: &str, data: &str| File::new(name, data.as_bytes());
        from_files(&[
            file("Chart.yaml", "apiVersion: v2\nname: demo\nversion: 1.0.0\n"),
            file(
                "values.yaml",
                "a: 1\nmap: {x: 1, z: 2}\nlist: [1, 2]\nf: 0.5\n",
            ),
            file("extra.yaml", "a: 2\nmap: {z: null}\nlist: [3]\n"),
            file("broken.yaml", "a: [\n"),
        ])
        .unwrap()
    }

    fn merged(files: &[&str], leave_out: bool) -> Result<Merged, String> {
        let files: Vec<String> = files.iter().map(|file| (*file).to_owned()).collect();
        of_chart(&chart(), &files, LeaveOutMissing(leave_out))
    }

    /// covers: SC-175
    #[test]
    fn later_files_win_and_maps_are_joined() {
        let both = merged(&["values.yaml", "./extra.yaml"], false).unwrap();
        assert_eq!(
            Json::Object(both.values),
            serde_json::json!({"a": 2, "map": {"x": 1, "z": null}, "list": [3], "f": 0.5})
        );
        assert_eq!(both.files, ["values.yaml", "./extra.yaml"]);
        let error = merged(&["broken.yaml"], false).unwrap_err();
        assert!(
            error.starts_with("unmarshaling values from 'broken.yaml' failed: "),
            "{error}"
        );
    }

    /// covers: SC-161
    #[test]
    fn missing_files_fail_or_are_left_out() {
        assert_eq!(
            merged(&["values.yaml", "no.yaml"], false).unwrap_err(),
            "no values file found at path 'no.yaml'"
        );
        assert_eq!(
            merged(&["no.yaml", "extra.yaml"], true).unwrap().files,
            ["extra.yaml"]
        );
        assert_eq!(merged(&["no.yaml"], true).unwrap(), Merged::default());
        let list = |files: &[&str]| {
            is_default(
                &files
                    .iter()
                    .map(|file| (*file).to_owned())
                    .collect::<Vec<_>>(),
            )
        };
        assert!(list(&[]) && list(&["values.yaml"]) && list(&["./values.yaml"]));
        assert!(!list(&["values.yaml", "values.yaml"]) && !list(&["x.yaml"]));
    }
}
