//! `crds/`.

use super::{Report, Severity, documents};
use crate::chart::{Chart, File};

const FOLDER: &str = "crds/";

pub(super) fn check(files: &[File], loaded: &Result<Chart, String>, report: &mut Report) {
    if !files.iter().any(|file| file.name.starts_with(FOLDER)) {
        return;
    }
    let chart = match loaded {
        Ok(chart) => chart,
        Err(error) => return report.add(Severity::Error, FOLDER, error.as_str()),
    };
    for crd in chart.crds() {
        for head in documents::read(&crd.text()) {
            let head = match head {
                Ok(head) => head,
                Err(reason) => {
                    let text = format!("unable to parse YAML: {reason}");
                    return report.add(Severity::Error, &crd.name, text);
                }
            };
            if !head.api_version.starts_with("apiextensions.k8s.io") {
                let text = "apiVersion is not in 'apiextensions.k8s.io'";
                report.add(Severity::Error, &crd.name, text);
            }
            if head.kind != "CustomResourceDefinition" {
                let text = "object kind is not 'CustomResourceDefinition'";
                report.add(Severity::Error, &crd.name, text);
            }
        }
    }
}
