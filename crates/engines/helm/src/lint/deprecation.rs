//! Versions of Kubernetes' own kinds that a cluster is about to stop serving.

use crate::capabilities::KubeVersion;

/// A kind a line: apiVersion, kind, the versions of Kubernetes in which it was deprecated and removed,
/// and apiVersion and kind of what takes its place, if anything.
///
/// Source: the lifecycles that k8s.io/api v0.36 declares.
const KINDS: &str = include_str!("deprecated.txt");

pub(super) fn check(api_version: &str, kind: &str, cluster: &KubeVersion) -> Result<(), String> {
    let mut rows = KINDS.lines().map(|line| line.split(' '));
    let row = rows.find_map(|mut row| {
        let is_it = row.next() == Some(api_version) && row.next() == Some(kind);
        is_it.then(|| row.collect::<Vec<_>>())
    });
    let Some([since, until, replacement @ ..]) = row.as_deref() else {
        return Ok(());
    };
    let number = |text: &str| text.parse::<u64>().unwrap_or_default();
    let (major, minor) = since.split_once('.').unwrap_or((since, ""));
    if (number(&cluster.major), number(&cluster.minor)) < (number(major), number(minor)) {
        return Ok(());
    }
    let gone = match *until {
        "0.0" => String::new(),
        until => format!(", unavailable in v{until}+"),
    };
    let instead = match replacement {
        [version, kind] => format!("; use {version} {kind}"),
        _ => String::new(),
    };
    Err(format!(
        "{api_version} {kind} is deprecated in v{since}+{gone}{instead}"
    ))
}
