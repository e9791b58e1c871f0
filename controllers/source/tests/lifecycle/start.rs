//! Flags and variables, before anything is served.

use std::path::Path;
use std::process::{Command, Output};

use testkit::ControlPlane;

/// Runs a controller that cannot start, with these variables and flags.
fn start(plane: &ControlPlane, variables: &[(&str, &str)], flags: &[&str]) -> Output {
    let free = [
        "--metrics-addr=127.0.0.1:0",
        "--health-addr=127.0.0.1:0",
        "--storage-addr=127.0.0.1:0",
    ];
    Command::new(env!("CARGO_BIN_EXE_source-controller"))
        .env("KUBECONFIG", plane.kubeconfig_path())
        .env("RUNTIME_NAMESPACE", "default")
        .envs(variables.iter().copied())
        .args(free)
        .args(flags)
        .output()
        .unwrap()
}

/// covers: SC-052
#[tokio::test]
async fn flag_beats_its_variable_and_a_variable_that_is_empty_the_default_stands_for() {
    let plane = testkit::control_plane().await;
    let says = |variables: &[(&str, &str)], flags: &[&str]| {
        let output = start(plane, variables, flags);
        assert!(!output.status.success(), "{output:?}");
        let text = [output.stdout, output.stderr].concat();
        String::from_utf8_lossy(&text).into_owned()
    };
    let named = [("STORAGE_PATH", "/no/such/folder")];
    let text = says(&named, &[]);
    assert!(text.contains("invalid dir path: /no/such/folder"), "{text}");
    let text = says(&named, &["--storage-path=/no/other"]);
    assert!(text.contains("invalid dir path: /no/other"), "{text}");
    // Where the default is there, as in a container, the controller would start.
    if !Path::new("/data").exists() {
        for variables in [&[("STORAGE_PATH", "")][..], &[]] {
            let text = says(variables, &[]);
            assert!(text.contains("invalid dir path: /data"), "{text}");
        }
    }
}
