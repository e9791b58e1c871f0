use proptest::prelude::*;

use super::*;

/// Files named `a`, `b`, … with their ages in seconds.
fn check(ages: &[u64], current: &str, ttl: u64, records: usize, expected: &[&str]) {
    let now = SystemTime::now();
    let files = ages
        .iter()
        .zip('a'..)
        .map(|(age, name)| Candidate {
            name: name.to_string(),
            modified: now - Duration::from_secs(*age),
        })
        .collect();
    let retention = Retention {
        ttl: Duration::from_secs(ttl),
        records,
    };
    assert_eq!(
        garbage(files, current, now, retention),
        expected,
        "{ages:?}"
    );
}

/// covers: SC-034, SC-049
#[test]
fn age_and_number_decide_and_the_current_file_stays() {
    check(&[50, 40, 30, 20, 10], "e", 3600, 2, &["a", "b", "c"]);
    check(&[40, 30, 20, 10], "d", 3600, 2, &["a", "b"]);
    check(&[500, 400, 300, 20, 10], "e", 60, 10, &["a", "b", "c"]);
    check(&[500, 400, 30, 20, 10], "e", 60, 2, &["a", "b", "c"]);
    check(&[500], "a", 60, 2, &[]);
    check(&[500, 10], "a", 60, 1, &["b"]);
    check(&[500, 10], "b", 60, 2, &["a"]);
    check(&[10, 5], "b", 60, 2, &[]);
    check(&[], "x", 60, 2, &[]);
}

#[test]
fn files_of_one_instant_do_not_shadow_each_other() {
    check(&[10, 10, 10, 10], "d", 60, 2, &["a", "b"]);
    check(&[100, 100, 100], "c", 60, 2, &["a", "b"]);
}

/// covers: SC-048
#[test]
fn lock_files_do_not_count_and_go_with_their_file() {
    let directory = tempfile::tempdir().unwrap();
    let storage = Storage::new(directory.path(), "host", crate::digest::Algorithm::Sha256).unwrap();
    let folder = directory.path().join("gitrepository/ns/name");
    fs::create_dir_all(&folder).unwrap();
    let old = SystemTime::now() - Duration::from_hours(1);
    for name in [
        "old",
        "old.lock",
        "old.known",
        "new",
        "new.lock",
        "new.known",
        "old.gz123",
    ] {
        fs::write(folder.join(name), "").unwrap();
        let file = fs::File::options()
            .write(true)
            .open(folder.join(name))
            .unwrap();
        file.set_modified(old).unwrap();
    }
    std::os::unix::fs::symlink("new", folder.join("latest")).unwrap();
    let current = ArtifactPath::new("GitRepository", "ns", "name", "new").unwrap();
    let removed = storage
        .collect(&current, Retention::default(), Duration::from_secs(5))
        .unwrap();
    assert_eq!(removed, ["old", "old.gz123"]);
    let mut left: Vec<_> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    left.sort();
    assert_eq!(left, ["latest", "new", "new.known", "new.lock"]);
}

/// covers: SC-050
#[test]
fn collection_stops_when_its_time_is_over() {
    let directory = tempfile::tempdir().unwrap();
    let storage = Storage::new(directory.path(), "host", crate::digest::Algorithm::Sha256).unwrap();
    let folder = directory.path().join("gitrepository/ns/name");
    fs::create_dir_all(&folder).unwrap();
    for name in ["a", "b", "c"] {
        fs::write(folder.join(name), "").unwrap();
    }
    let current = ArtifactPath::new("GitRepository", "ns", "name", "c").unwrap();
    let result = storage.collect(&current, Retention::default(), Duration::ZERO);
    assert!(
        matches!(result, Err(CollectError::Timeout(_))),
        "{result:?}"
    );
}

proptest! {
    #[test]
    fn current_stays_and_no_more_than_the_records_are_left(
        ages in prop::collection::vec(0u64..200, 0..12),
        current in 0usize..12,
        records in 1usize..5,
    ) {
        let now = SystemTime::now();
        let files: Vec<Candidate> = ages.iter().enumerate().map(|(at, age)| Candidate {
            name: at.to_string(),
            modified: now - Duration::from_secs(*age),
        }).collect();
        let retention = Retention { ttl: Duration::from_mins(1), records };
        let garbage = garbage(files.clone(), &current.to_string(), now, retention);
        prop_assert!(!garbage.contains(&current.to_string()));
        prop_assert!(files.len() - garbage.len() <= records.max(1) + 1);
        let newest_left_is_newer = files.iter()
            .filter(|file| !garbage.contains(&file.name) && file.name != current.to_string())
            .all(|kept| files.iter().filter(|file| garbage.contains(&file.name))
                .all(|gone| gone.modified <= kept.modified));
        prop_assert!(newest_left_is_newer);
    }
}
