//! What templates print.

use std::collections::BTreeMap;

use api::image::ImageReference;

use super::*;
use crate::setters::{self, Changed, Chosen};

fn changed(path: &str, text: &str) -> Changed {
    let image = |name: &str, tag: &str| ImageReference {
        name: name.into(),
        tag: tag.into(),
        digest: None,
    };
    let chosen: Chosen = [
        ("app".to_owned(), image("helloworld", "v1.0.0")),
        ("side".to_owned(), image("ghcr.io/org/side", "2")),
    ]
    .into();
    setters::set(path, text.as_bytes(), "ns", &chosen)
        .changed
        .unwrap()
}

fn files() -> Vec<Changed> {
    vec![changed(
        "deploy.yaml",
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: test}\nspec:\n  image: helloworld:1 # {\"$imagepolicy\": \"ns:app\"}\n  side: x:1 # {\"$imagepolicy\": \"ns:side\"}\n",
    )]
}

fn say(template: &str) -> Result<String, MessageError> {
    let values: BTreeMap<String, String> = [("cluster".to_owned(), "prod".to_owned())].into();
    let files = files();
    let facts = Facts {
        automation: ("ns", "update"),
        files: &files,
        values: Some(&values),
    };
    render(Some(template), &facts, jiff::Timestamp::UNIX_EPOCH, [0; 32])
}

/// covers: IA-119, IA-120, IA-147
#[test]
fn templates_of_the_older_api_still_work() {
    for (template, expected) in [
        (
            "Update image to {{range .Updated.Images}}{{.}}{{end}}",
            "Update image to helloworld:v1.0.0ghcr.io/org/side:2",
        ),
        (
            "{{range .Updated.Images}}{{println .}}{{end}}",
            "helloworld:v1.0.0\nghcr.io/org/side:2\n",
        ),
        (
            "{{range .Changed.ImageResult.Images}}{{.Registry}} {{.Repository}} {{.Identifier}} {{.Name}} {{.Policy.Name}} {{.Policy}};{{end}}",
            "index.docker.io library/helloworld v1.0.0 index.docker.io/library/helloworld:v1.0.0 app ns/app;ghcr.io org/side 2 ghcr.io/org/side:2 side ns/side;",
        ),
        (
            "{{range $f, $r := .Updated.Files}}{{$f}}{{range $o, $i := $r.Objects}} {{$o.Kind | lower}} {{$o.Name}} {{len $i}}{{end}}{{end}}",
            "deploy.yaml deployment test 2",
        ),
        (
            "{{range $o, $i := .Updated.Objects}}{{$o}}{{end}}",
            "{{{apps/v1 Deployment} {test }}}",
        ),
    ] {
        assert_eq!(say(template).unwrap(), expected, "{template}");
    }
}

/// covers: IA-118
#[test]
fn templates_see_files_objects_and_changes() {
    for (template, expected) in [
        (
            "{{ .AutomationObject }} {{ .AutomationObject.Name }} {{ .Values.cluster | upper }} {{ .Values.absent }}",
            "ns/update update PROD <no value>",
        ),
        (
            "{{range .Changed.Changes}}{{print .OldValue}} -> {{println .NewValue}}{{end}}",
            "helloworld:1 -> helloworld:v1.0.0\nx:1 -> ghcr.io/org/side:2\n",
        ),
        (
            "{{range $f, $os := .Changed.FileChanges}}{{$f}}{{range $o, $cs := $os}} {{$o.GetKind}} {{range $cs}}{{.Setter}} {{end}}{{end}}{{end}}",
            "deploy.yaml Deployment ns:app ns:side ",
        ),
        (
            "{{range $o, $cs := .Changed.Objects}}{{$o.APIVersion}} {{len $cs}}{{end}}",
            "apps/v1 2",
        ),
        (
            "{{ .Changed.Objects }}",
            "map[{{{apps/v1 Deployment} {test }}}:[{helloworld:1 helloworld:v1.0.0 ns:app} {x:1 ghcr.io/org/side:2 ns:side}]]",
        ),
    ] {
        assert_eq!(say(template).unwrap(), expected, "{template}");
    }
}

#[test]
fn templates_that_fail_say_where() {
    assert_eq!(
        say("{{ .Absent }}").unwrap_err().to_string(),
        "failed to run template from spec: template: commit message:1:3: executing \"commit message\" at <.Absent>: can't evaluate field Absent in type source.TemplateData"
    );
    let error = say("{{ now }}").unwrap_err().to_string();
    assert!(
        error.starts_with(
            "unable to create commit message template from spec: template: commit message:1"
        ),
        "{error}"
    );
    let files = files();
    let facts = Facts {
        automation: ("ns", "update"),
        files: &files,
        values: None,
    };
    let render = |template| render(template, &facts, jiff::Timestamp::UNIX_EPOCH, [0; 32]).unwrap();
    assert_eq!(render(None), "Update from image update automation");
    assert_eq!(render(Some("")), "Update from image update automation");
}
