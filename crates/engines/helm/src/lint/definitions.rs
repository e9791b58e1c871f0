//! `crds/`.

use super::templates::is_empty;
use super::{Report, Severity};
use crate::chart::{Chart, File};
use crate::manifest::{Head, split};

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
        for document in split(&crd.text()) {
            let head = match Head::read(document) {
                Ok(head) => head,
                Err(reason) => {
                    let text = format!("unable to parse YAML: {reason}");
                    return report.add(Severity::Error, &crd.name, text);
                }
            };
            if is_empty(document) {
                continue;
            }
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
