//! A repository on the server, changed from the server's side.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

/// The time of a repository's first commit: 2023-11-14T22:13:20Z. Each further one is a minute later, so that the same
/// steps give the same ids.
const FIRST_COMMIT: u64 = 1_700_000_000;

/// A bare repository that the server serves.
#[derive(Clone, Debug)]
pub struct Repository {
    path: PathBuf,
    url: String,
}

/// A commit in the making: changes against its branch's tip.
#[derive(Debug)]
#[must_use = "a commit is made by Commit::push"]
pub struct Commit<'a> {
    repository: &'a Repository,
    branch: String,
    message: String,
    changes: Vec<u8>,
}

impl Repository {
    pub(crate) fn create(path: PathBuf, url: String) -> Result<Self> {
        let repository = Self { path, url };
        std::fs::create_dir_all(&repository.path).context("making a repository's folder")?;
        repository.git(&["init", "--quiet", "--bare", "--initial-branch=main"])?;
        for (key, value) in [
            ("http.receivepack", "true"),
            // Clients may ask for any commit, as at the large hosts.
            ("uploadpack.allowAnySHA1InWant", "true"),
            ("uploadpack.allowFilter", "true"),
        ] {
            repository.git(&["config", key, value])?;
        }
        Ok(repository)
    }

    /// Returns the URL that it is served at.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Returns the folder of the bare repository.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Starts a commit on `branch`, which is made when it does not exist.
    pub fn commit(&self, branch: &str, message: &str) -> Commit<'_> {
        Commit {
            repository: self,
            branch: branch.to_owned(),
            message: message.to_owned(),
            changes: Vec::new(),
        }
    }

    /// Commits exactly `files` (path → content) on `branch`: what else there was goes. Returns the commit's id.
    ///
    /// # Errors
    /// As [`Commit::push`].
    pub fn commit_files<'f>(
        &self,
        branch: &str,
        message: &str,
        files: impl IntoIterator<Item = (&'f str, &'f str)>,
    ) -> Result<String> {
        let mut commit = self.commit(branch, message).clear();
        for (path, content) in files {
            commit = commit.write(path, content);
        }
        commit.push()
    }

    /// Commits the opposite of the tip of `branch`, as `git revert` does. Returns the commit's id.
    ///
    /// # Errors
    /// When the tip is the first commit.
    pub fn revert(&self, branch: &str) -> Result<String> {
        let tree = self.git(&["rev-parse", &format!("refs/heads/{branch}~1^{{tree}}")])?;
        let mut commit = self.commit(branch, "Revert the last commit").clear();
        writeln!(commit.changes, "M 040000 {tree} \"\"")?;
        commit.push()
    }

    /// Returns the id of the commit that `reference` names: a branch, a tag, or anything Git understands.
    ///
    /// # Errors
    /// When it names none.
    pub fn id_of(&self, reference: &str) -> Result<String> {
        self.git(&["rev-parse", "--verify", &format!("{reference}^{{commit}}")])
    }

    /// Returns the content of the file `path` in the commit that `reference` names.
    ///
    /// # Errors
    /// When there is none.
    pub fn read(&self, reference: &str, path: &str) -> Result<String> {
        let mut content = self.run(&["cat-file", "blob", &format!("{reference}:{path}")], &[])?;
        content.shrink_to_fit();
        String::from_utf8(content).context("reading a file that is not text")
    }

    /// Makes `branch` point to `target`, whatever it pointed to before.
    ///
    /// # Errors
    /// When `target` names no commit.
    pub fn set_branch(&self, branch: &str, target: &str) -> Result<()> {
        self.git(&[
            "update-ref",
            &format!("refs/heads/{branch}"),
            &self.id_of(target)?,
        ])
        .map(drop)
    }

    /// Deletes `branch`.
    ///
    /// # Errors
    /// When there is none.
    pub fn delete_branch(&self, branch: &str) -> Result<()> {
        self.id_of(&format!("refs/heads/{branch}"))?;
        self.git(&["update-ref", "-d", &format!("refs/heads/{branch}")])
            .map(drop)
    }

    /// Makes the default branch (HEAD) `branch`.
    ///
    /// # Errors
    /// When it is no branch name.
    pub fn set_default_branch(&self, branch: &str) -> Result<()> {
        self.git(&["symbolic-ref", "HEAD", &format!("refs/heads/{branch}")])
            .map(drop)
    }

    /// Makes the lightweight tag `tag` point to `target`, whatever it pointed to before.
    ///
    /// # Errors
    /// When `target` names no commit.
    pub fn tag(&self, tag: &str, target: &str) -> Result<()> {
        self.git(&["tag", "--force", tag, &self.id_of(target)?])
            .map(drop)
    }

    /// Makes the annotated tag `tag` of `target`, whatever it pointed to before. Returns the tag object's id.
    ///
    /// # Errors
    /// When `target` names no commit.
    pub fn annotated_tag(&self, tag: &str, target: &str, message: &str) -> Result<String> {
        self.git(&[
            "tag",
            "--force",
            "--annotate",
            "--message",
            message,
            tag,
            &self.id_of(target)?,
        ])?;
        self.git(&["rev-parse", &format!("refs/tags/{tag}")])
    }

    /// Deletes the tag `tag`.
    ///
    /// # Errors
    /// When there is none.
    pub fn delete_tag(&self, tag: &str) -> Result<()> {
        self.git(&["tag", "--delete", tag]).map(drop)
    }

    /// Makes the repository vanish; its URL answers 404 from now on.
    ///
    /// # Errors
    /// When its folder cannot be removed.
    pub fn vanish(&self) -> Result<()> {
        std::fs::remove_dir_all(&self.path).context("removing a repository")
    }

    /// Runs `git` in the bare repository and returns what it prints, without the line's end.
    ///
    /// # Errors
    /// When it fails, with what it said.
    pub fn git(&self, arguments: &[&str]) -> Result<String> {
        let output = self.run(arguments, &[])?;
        Ok(String::from_utf8_lossy(&output).trim_end().to_owned())
    }

    /// Stores an object of `kind` (`commit`, `tree`, `tag`, `blob`) as it is, valid or not. Returns its id.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn store_object(&self, kind: &str, content: &[u8]) -> Result<String> {
        let arguments = ["hash-object", "-t", kind, "-w", "--stdin", "--literally"];
        let output = self.run(&arguments, content)?;
        Ok(String::from_utf8_lossy(&output).trim_end().to_owned())
    }

    fn run(&self, arguments: &[&str], input: &[u8]) -> Result<Vec<u8>> {
        let what = || format!("git {}", arguments.first().unwrap_or(&""));
        let mut command = Command::new("git");
        command.arg("--git-dir").arg(&self.path).args(arguments);
        isolate(&mut command, &self.path);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(what)?;
        let mut stdin = child.stdin.take().with_context(what)?;
        // What these commands print before they have read everything fits into a pipe.
        stdin.write_all(input).with_context(what)?;
        drop(stdin);
        let output = child.wait_with_output().with_context(what)?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{}: {}", what(), said.trim());
        Ok(output.stdout)
    }

    /// Returns the time of the next commit, in seconds since 1970.
    fn next_time(&self) -> Result<u64> {
        let commits = self.git(&["rev-list", "--all", "--count"])?;
        Ok(FIRST_COMMIT + 60 * commits.parse::<u64>().context("counting commits")?)
    }
}

impl Commit<'_> {
    /// Removes everything that the branch held.
    pub fn clear(mut self) -> Self {
        self.changes.extend_from_slice(b"deleteall\n");
        self
    }

    /// Writes a file.
    pub fn write(self, path: &str, content: impl AsRef<[u8]>) -> Self {
        self.put("100644", path, content.as_ref())
    }

    /// Writes a file that may be executed.
    pub fn write_executable(self, path: &str, content: impl AsRef<[u8]>) -> Self {
        self.put("100755", path, content.as_ref())
    }

    /// Writes a symbolic link to `target`.
    pub fn symlink(self, path: &str, target: &str) -> Self {
        self.put("120000", path, target.as_bytes())
    }

    /// Records the commit `id` of a submodule.
    pub fn submodule(mut self, path: &str, id: &str) -> Self {
        self.line(&format!("M 160000 {id} {}", quoted(path)));
        self
    }

    /// Removes a file or a folder.
    pub fn remove(mut self, path: &str) -> Self {
        self.line(&format!("D {}", quoted(path)));
        self
    }

    /// Makes the commit and moves the branch to it. Returns its id.
    ///
    /// # Errors
    /// When Git refuses a path.
    pub fn push(self) -> Result<String> {
        let reference = format!("refs/heads/{}", self.branch);
        let tip = self.repository.id_of(&reference).ok();
        let time = self.repository.next_time()?;
        let mut stream = Vec::new();
        writeln!(stream, "commit {reference}")?;
        writeln!(
            stream,
            "author Lockgate <lockgate@example.org> {time} +0000"
        )?;
        writeln!(
            stream,
            "committer Lockgate <lockgate@example.org> {time} +0000"
        )?;
        write_data(&mut stream, self.message.as_bytes());
        if let Some(tip) = tip {
            writeln!(stream, "from {tip}")?;
        }
        stream.extend_from_slice(&self.changes);
        stream.extend_from_slice(b"\ndone\n");
        self.repository.run(
            &["fast-import", "--quiet", "--done", "--date-format=raw"],
            &stream,
        )?;
        self.repository.id_of(&reference)
    }

    fn put(mut self, mode: &str, path: &str, content: &[u8]) -> Self {
        self.line(&format!("M {mode} inline {}", quoted(path)));
        write_data(&mut self.changes, content);
        self
    }

    fn line(&mut self, line: &str) {
        self.changes.extend_from_slice(line.as_bytes());
        self.changes.push(b'\n');
    }
}

/// Keeps the settings of the machine and its user out of a `git` command, and fixes who tags and when.
pub(super) fn isolate(command: &mut Command, folder: &Path) {
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("GIT_") {
            command.env_remove(name);
        }
    }
    command
        .env("HOME", folder)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("LC_ALL", "C")
        .env("GIT_COMMITTER_NAME", "Lockgate")
        .env("GIT_COMMITTER_EMAIL", "lockgate@example.org")
        .env("GIT_COMMITTER_DATE", format!("{FIRST_COMMIT} +0000"));
}

fn write_data(stream: &mut Vec<u8>, content: &[u8]) {
    stream.extend_from_slice(format!("data {}\n", content.len()).as_bytes());
    stream.extend_from_slice(content);
    stream.push(b'\n');
}

/// Quotes a path for fast-import, as in C.
fn quoted(path: &str) -> String {
    let mut quoted = String::from("\"");
    for byte in path.bytes() {
        match byte {
            b'"' | b'\\' => {
                quoted.push('\\');
                quoted.push(char::from(byte));
            }
            0x20..=0x7e => quoted.push(char::from(byte)),
            // Writing to a string cannot fail.
            _ => write!(quoted, "\\{byte:03o}").unwrap_or_default(),
        }
    }
    quoted.push('"');
    quoted
}
