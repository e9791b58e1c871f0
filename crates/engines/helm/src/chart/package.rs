//! Charts written as `helm package` writes them.

use std::io::{self, Write};
use std::sync::Arc;

use flate2::write::GzEncoder;
use flate2::{Compression, GzBuilder};
use serde_json::{Map, Value as Json};

use super::{Chart, ChartError, File};

const MODE: u32 = 0o644;
const VALUES: &str = "values.yaml";

/// Returns the .tgz of a chart with its subcharts.
///
/// Chart.yaml is printed anew, with the version that the metadata says; values.yaml is the raw file. The same chart
/// gives the same bytes: entries carry no time.
///
/// # Errors
/// A schema that is no JSON, a name too long for an archive.
///
/// Source: Helm 4.2 `pkg/chart/v2/util/save.go`, observed; the times are left out on purpose.
pub fn package(chart: &Chart) -> Result<Vec<u8>, ChartError> {
    let gzip = GzBuilder::new()
        .comment("Helm")
        .operating_system(255)
        .write(Vec::new(), Compression::default());
    let mut tar = tar::Builder::new(gzip);
    write_chart(&mut tar, chart, "")?;
    let done = tar.into_inner().and_then(GzEncoder::finish);
    done.map_err(|error| broken(&error))
}

fn broken(error: &io::Error) -> ChartError {
    ChartError::Archive(error.to_string())
}

fn write_chart<W: Write>(
    tar: &mut tar::Builder<W>,
    chart: &Chart,
    prefix: &str,
) -> Result<(), ChartError> {
    let base = format!("{prefix}{}", chart.metadata.name);
    let mut write = |name: &str, data: &[u8]| {
        append(tar, &format!("{base}/{name}"), data).map_err(|error| broken(&error))
    };
    write("Chart.yaml", metadata(chart)?.as_bytes())?;
    if let Some(lock) = chart
        .lock
        .as_ref()
        .filter(|_| chart.metadata.api_version == "v2")
    {
        write("Chart.lock", print(lock)?.as_bytes())?;
    }
    for file in chart.raw.iter().filter(|file| file.name == VALUES) {
        write(VALUES, &file.data)?;
    }
    if let Some(schema) = &chart.schema {
        if serde_json::from_slice::<Json>(schema).is_err() {
            let text = "invalid JSON in values.schema.json".to_owned();
            return Err(ChartError::Archive(text));
        }
        write("values.schema.json", schema)?;
    }
    for file in chart.templates.iter().chain(&chart.files) {
        write(&file.name, &file.data)?;
    }
    for dependency in &chart.dependencies {
        write_chart(tar, dependency, &format!("{base}/charts/"))?;
    }
    Ok(())
}

/// Charts of the first version keep their dependencies in requirements.yaml.
fn metadata(chart: &Chart) -> Result<String, ChartError> {
    let mut metadata = chart.metadata.to_json();
    if chart.metadata.api_version == "v1" {
        metadata.remove("dependencies");
    }
    print(&Json::Object(metadata))
}

fn print(json: &Json) -> Result<String, ChartError> {
    yaml::emit::v2(json).map_err(|error| ChartError::Archive(error.to_string()))
}

fn append<W: Write>(tar: &mut tar::Builder<W>, path: &str, data: &[u8]) -> io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Regular);
    header.set_mode(MODE);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(data.len() as u64);
    tar.append_data(&mut header, path, data)
}

/// Makes `values` the chart's own values. Returns whether that changed anything.
///
/// # Errors
/// A chart without values.yaml.
pub fn set_default_values(
    chart: &mut Chart,
    values: &Map<String, Json>,
) -> Result<bool, ChartError> {
    let text = if values.is_empty() {
        String::new()
    } else {
        print(&Json::Object(values.clone()))?
    };
    let file = chart.raw.iter_mut().find(|file| file.name == VALUES);
    let Some(file) = file else {
        let text = format!("failed to locate values file: {VALUES}");
        return Err(ChartError::Archive(text));
    };
    if *file.data == *text.as_bytes() {
        return Ok(false);
    }
    *file = File::new(VALUES, Arc::<[u8]>::from(text.into_bytes()));
    chart.values.clone_from(values);
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chart::{from_files, read_archive};

    fn chart(files: &[(&str, &str)]) -> Chart {
        let files: Vec<File> = files
            .iter()
            .map(|(name, data)| File::new(*name, data.as_bytes()))
            .collect();
        from_files(&files).unwrap()
    }

    fn sample() -> Chart {
        chart(&[
            (
                "Chart.yaml",
                "version: 1.0.0\nname: demo\napiVersion: v2\ndescription: x\nunknown: 1\ndependencies:\n- {name: sub, version: 1.x, import-values: [data, {child: a, parent: b}]}\n",
            ),
            ("values.yaml", "a: 1 # kept\n"),
            ("templates/cm.yaml", "kind: ConfigMap\n"),
            ("README.md", "text"),
            (
                "charts/sub/Chart.yaml",
                "apiVersion: v1\nname: sub\nversion: 1.2.3\n",
            ),
            ("charts/sub/values.yaml", "b: 2\n"),
        ])
    }

    fn names(bytes: &[u8]) -> Vec<String> {
        let mut tar = tar::Archive::new(flate2::read::GzDecoder::new(bytes));
        let entries = tar.entries().unwrap();
        entries
            .map(|entry| String::from_utf8(entry.unwrap().path_bytes().into_owned()).unwrap())
            .collect()
    }

    #[test]
    fn package_is_read_back_as_the_same_chart() {
        let mut chart = sample();
        chart.metadata.version = "1.0.0+abc.1".into();
        let bytes = package(&chart).unwrap();
        assert_eq!(bytes, package(&chart).unwrap());
        let back = read_archive("demo.tgz", &bytes).unwrap();
        assert_eq!(back.metadata, chart.metadata);
        assert_eq!(
            back.dependencies[0].metadata,
            chart.dependencies[0].metadata
        );
        assert_eq!(
            names(&bytes),
            [
                "demo/Chart.yaml",
                "demo/values.yaml",
                "demo/templates/cm.yaml",
                "demo/README.md",
                "demo/charts/sub/Chart.yaml",
                "demo/charts/sub/values.yaml",
            ]
        );
        let raw = back.raw.iter().find(|file| file.name == "values.yaml");
        assert_eq!(&*raw.unwrap().data, b"a: 1 # kept\n");
        let printed = back
            .raw
            .iter()
            .find(|file| file.name == "Chart.yaml")
            .unwrap();
        assert_eq!(
            String::from_utf8_lossy(&printed.data),
            "apiVersion: v2\ndependencies:\n- import-values:\n  - data\n  - child: a\n    parent: b\n  name: sub\n  repository: \"\"\n  version: 1.x\ndescription: x\nname: demo\nversion: 1.0.0+abc.1\n"
        );
    }

    /// covers: SC-176
    #[test]
    fn default_values_are_replaced_only_where_they_differ() {
        let mut chart = chart(&[
            ("Chart.yaml", "apiVersion: v2\nname: demo\nversion: 1.0.0\n"),
            ("values.yaml", "a: 1\nb:\n  c: x\n"),
        ]);
        let values = |json: Json| json.as_object().unwrap().clone();
        let same = values(serde_json::json!({"b": {"c": "x"}, "a": 1}));
        assert!(!set_default_values(&mut chart, &same).unwrap());
        let other = values(serde_json::json!({"a": 9, "list": [3]}));
        assert!(set_default_values(&mut chart, &other).unwrap());
        assert_eq!(&*chart.raw[1].data, b"a: 9\nlist:\n- 3\n");
        assert!(set_default_values(&mut chart, &Map::new()).unwrap());
        assert_eq!(&*chart.raw[1].data, b"");
        chart.raw.retain(|file| file.name != "values.yaml");
        let error = set_default_values(&mut chart, &other).unwrap_err();
        assert_eq!(
            error.to_string(),
            "failed to locate values file: values.yaml"
        );
    }
}
