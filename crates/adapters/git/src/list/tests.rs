use super::*;

const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const B: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

fn read(lines: &[&str]) -> Result<(Advertised, Vec<Ref>), Error> {
    let lines = lines
        .iter()
        .map(|line| Bytes::copy_from_slice(line.as_bytes()));
    advertised::read(lines.collect())
}

#[test]
fn references_tags_and_capabilities_are_read() {
    let (server, refs) = read(&[
        &format!("{A} HEAD\0shallow allow-tip-sha1-in-want agent=git/2\n"),
        &format!("{A} refs/heads/main\n"),
        &format!("{B} refs/tags/v1\n"),
        &format!("{A} refs/tags/v1^{{}}\n"),
    ])
    .unwrap();
    let names: Vec<_> = refs.iter().map(|each| each.name.as_str()).collect();
    assert_eq!(names, ["HEAD", "refs/heads/main", "refs/tags/v1"]);
    assert_eq!(refs[2].object, B);
    assert_eq!(refs[2].peeled.as_deref(), Some(A));
    assert!(server.can("shallow") && !server.can("filter"));
    assert_eq!(server.protocol, Protocol::V0);
}

#[test]
fn version_2_tells_what_it_can_and_lists_when_asked() {
    let (server, none) = read(&[
        "version 2\n",
        "agent=git/2\n",
        "ls-refs=unborn\n",
        "fetch=shallow wait-for-done filter\n",
        "object-format=sha1\n",
    ])
    .unwrap();
    assert_eq!((server.protocol, none), (Protocol::V2, Vec::new()));
    assert!(server.can("shallow") && server.can("side-band-64k") && !server.can("filter"));
    let request = String::from_utf8(list_refs(&server, &["refs/tags/".to_owned()])).unwrap();
    assert!(request.contains("object-format=sha1") && request.contains("ref-prefix refs/tags/"));
    let lines = [
        format!("{A} refs/heads/main\n"),
        "unborn HEAD symref-target:refs/heads/x\n".to_owned(),
        format!("{B} refs/tags/v1 peeled:{A}\n"),
        format!("{A} HEAD symref-target:refs/heads/main\n"),
    ];
    let listed = refs(lines.into_iter().map(Bytes::from).collect()).unwrap();
    assert_eq!(listed.len(), 3);
    assert_eq!(
        (listed[1].object.as_str(), listed[1].peeled.as_deref()),
        (B, Some(A))
    );
    assert!(refs(vec![Bytes::from("xyz refs/heads/main")]).is_err());
}

#[test]
fn empty_repository_has_no_reference() {
    let zero = "0".repeat(40);
    let (server, refs) = read(&[&format!("{zero} capabilities^{{}}\0shallow\n")]).unwrap();
    assert!(refs.is_empty() && server.can("shallow"));
    assert!(read(&[]).unwrap().1.is_empty());
}

#[test]
fn other_object_formats_are_refused_by_name() {
    let line = format!("{} HEAD\0object-format=sha256\n", "a".repeat(64));
    for lines in [&[line.as_str()][..], &["version 2", "object-format=sha256"]] {
        let error = read(lines).unwrap_err();
        assert_eq!(error.to_string(), "object format 'sha256' is not supported");
    }
}

#[test]
fn malformed_lines_are_refused() {
    for line in ["nonsense\n", "xyz HEAD\n", ""] {
        assert!(matches!(read(&[line]), Err(Error::NotGit(_))), "{line}");
    }
}

proptest::proptest! {
    #[test]
    fn any_lines_give_a_listing_or_an_error(lines in proptest::collection::vec(".{0,60}", 0..6)) {
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        drop(read(&lines));
        drop(refs(lines.iter().map(|line| Bytes::copy_from_slice(line.as_bytes())).collect()));
    }
}
