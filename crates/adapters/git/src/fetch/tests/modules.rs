//! Submodules from a real server.

use super::*;

impl Bench {
    async fn with_modules(&self, remote: &Remote) -> Result<Snapshot, String> {
        let snapshot = self.tip(remote, "refs/heads/main").await?;
        let fetched = self.git.fetch_modules(remote, snapshot, soon()).await;
        fetched.map_err(|error| text(&error))
    }
}

fn module_file(path: &str, url: &str) -> String {
    format!("[submodule \"{path}\"]\n\tpath = {path}\n\turl = {url}\n")
}

/// covers: SC-096
#[tokio::test]
async fn submodules_are_fetched_by_relative_and_absolute_url_at_every_depth() {
    let server = GitServer::start().unwrap();
    let inner = server.repository("org/inner").unwrap();
    let inner_id = inner
        .commit("main", "inner")
        .write("deep", "3")
        .push()
        .unwrap();
    let lib = server.repository("org/lib").unwrap();
    let lib_id = lib
        .commit("main", "lib")
        .write("file", "2")
        .write("skip.md", "no")
        .write(".sourceignore", "*.md\n")
        .write(".gitmodules", module_file("sub/inner", "../inner.git"))
        .submodule("sub/inner", &inner_id)
        .push()
        .unwrap();
    // What is fetched is the commit of the tree, not the tip.
    lib.commit("main", "later")
        .write("file", "later")
        .push()
        .unwrap();
    let app = server.repository("org/app").unwrap();
    let file = module_file("vendor/lib", &format!("{}/org/lib.git", server.url()))
        + &module_file("not/in/tree", "../gone.git");
    app.commit("main", "app")
        .write("a", "1")
        .write("read.md", "yes")
        .write(".gitmodules", file)
        .submodule("vendor/lib", &lib_id)
        .submodule("unnamed", &inner_id)
        .push()
        .unwrap();
    let bench = bench();
    let snapshot = bench.with_modules(&remote(app.url())).await.unwrap();
    assert_eq!(
        entries(&snapshot, None, &[]).unwrap(),
        [
            "./",
            "a 1",
            "read.md yes",
            "unnamed/",
            "vendor/",
            "vendor/lib/",
            "vendor/lib/.sourceignore *.md\n",
            "vendor/lib/file 2",
            "vendor/lib/sub/",
            "vendor/lib/sub/inner/",
            "vendor/lib/sub/inner/deep 3",
        ]
    );
    assert_eq!(
        entries(&snapshot, None, &["vendor/lib"]).unwrap()[1..3],
        ["vendor/", "vendor/lib/"]
    );
    let within = entries(&snapshot, None, &["vendor/lib/sub"]).unwrap();
    assert_eq!(within.last().unwrap(), "vendor/lib/sub/inner/deep 3");
    entries(&snapshot, None, &["vendor/lib/none"]).unwrap_err();
}

#[tokio::test]
async fn submodule_that_cannot_be_had_is_named() {
    let server = GitServer::start().unwrap();
    let app = server.repository("app").unwrap();
    let id = "5394cb7f48332b2de7c17dd8b8384bbc84b7e738";
    for (url, cause) in [
        ("../gone.git", "repository not found: "),
        ("ssh://git@127.0.0.1:1/x", "no SSH credentials"),
        (
            "ext::sh -c touch% /tmp/x",
            "'ext::sh -c touch% /tmp/x' is not the URL of a repository",
        ),
        ("../../../x", "'../../../x' is not the URL of a repository"),
        (
            "-u./payload",
            "'-u./payload' is not the URL of a repository",
        ),
    ] {
        app.commit("main", "app")
            .write(".gitmodules", module_file("lib", url))
            .submodule("lib", id)
            .push()
            .unwrap();
        let error = bench().with_modules(&remote(app.url())).await.unwrap_err();
        assert_eq!(error, format!("submodule 'lib': {cause}"), "{url}");
    }
}

/// CVE-2018-11235 and the like: the name of a submodule is no path here, and nothing is written by it.
#[tokio::test]
async fn submodules_that_hold_themselves_end() {
    let server = GitServer::start().unwrap();
    let app = server.repository("app").unwrap();
    let first = app
        .commit("main", "app")
        .write("a", "1")
        .write(
            ".gitmodules",
            "[submodule \"../../evil\"]\npath = lib\nurl = ./../app.git\n",
        )
        .push()
        .unwrap();
    app.commit("main", "next")
        .submodule("lib", &first)
        .push()
        .unwrap();
    let snapshot = bench().with_modules(&remote(app.url())).await.unwrap();
    let seen = entries(&snapshot, None, &[]).unwrap();
    assert_eq!(seen, ["./", "a 1", "lib/", "lib/a 1"]);
}

#[tokio::test]
async fn credentials_do_not_follow_a_submodule_to_another_host() {
    let (server, other) = (GitServer::start().unwrap(), GitServer::start().unwrap());
    let lib = other.repository("lib").unwrap();
    let id = lib.commit("main", "lib").write("b", "2").push().unwrap();
    let app = server.repository("app").unwrap();
    app.commit("main", "app")
        .write(".gitmodules", module_file("lib", lib.url()))
        .submodule("lib", &id)
        .push()
        .unwrap();
    server.demand(Some(Credentials::Bearer("t0ken".into())));
    let remote = Remote {
        auth: Some(Auth::Bearer("t0ken".into())),
        ..remote(app.url())
    };
    let snapshot = bench().with_modules(&remote).await.unwrap();
    assert!(
        entries(&snapshot, None, &[])
            .unwrap()
            .contains(&"lib/b 2".to_owned())
    );
    assert!(other.request_count() > 0);
    assert!(
        other
            .requests()
            .iter()
            .all(|each| each.authorization.is_none())
    );
}
