//! Programs and folders that never outlive the test.
//!
//! Each program is run by a small shell that reads from a pipe whose other end only the test process holds. When that
//! end closes (the value was dropped, the test ended, panicked, or was killed with SIGKILL) the shell kills the
//! program's whole process group. Nothing depends on the test process still being able to act.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result, bail};

const RUN: &str = include_str!("supervisor/run.sh");
const SWEEP: &str = include_str!("supervisor/sweep.sh");

/// How much of a log is shown when its program ended too early.
const LOG_TAIL_BYTES: u64 = 4 * 1024;

/// A signal that a test sends to a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Asks it to end in good order.
    Term,
    /// Ends it at once (`kill -9`).
    Kill,
    /// Halts it where it is.
    Stop,
    /// Lets it go on after [`Signal::Stop`].
    Continue,
}

impl Signal {
    fn name(self) -> &'static str {
        match self {
            Self::Term => "TERM",
            Self::Kill => "KILL",
            Self::Stop => "STOP",
            Self::Continue => "CONT",
        }
    }
}

/// A running program that ends at the latest when this value or the test process does.
///
/// Dropping it kills the program and everything that the program started, and waits until they are gone.
#[derive(Debug)]
pub struct Supervised {
    name: String,
    pid: u32,
    log: PathBuf,
    shell: Mutex<Child>,
}

impl Supervised {
    /// Starts `command`, whose output is appended to the file `log`.
    ///
    /// Program, arguments, environment changes and working folder are taken from `command`; its input is empty.
    ///
    /// # Errors
    /// When the shell cannot be started. A program that does not exist shows as one that ended with status 127.
    pub fn start(command: &Command, log: &Path) -> Result<Self> {
        let name = command.get_program().to_string_lossy().into_owned();
        let mut shell = Command::new("/bin/sh");
        shell.arg("-c").arg(RUN).arg("supervisor").arg(log);
        shell.arg(command.get_program()).args(command.get_args());
        for (key, value) in command.get_envs() {
            match value {
                Some(value) => shell.env(key, value),
                None => shell.env_remove(key),
            };
        }
        if let Some(folder) = command.get_current_dir() {
            shell.current_dir(folder);
        }
        shell
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0);
        let mut shell = shell.spawn().with_context(|| format!("starting {name}"))?;
        let mut line = String::new();
        if let Some(output) = shell.stdout.take() {
            BufReader::new(output)
                .read_line(&mut line)
                .with_context(|| format!("starting {name}"))?;
        }
        let pid = line
            .trim()
            .parse()
            .with_context(|| format!("starting {name}: no process id"))?;
        Ok(Self {
            name,
            pid,
            log: log.to_owned(),
            shell: Mutex::new(shell),
        })
    }

    /// Returns the program's process id.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Returns the file that holds the program's output.
    pub fn log_path(&self) -> &Path {
        &self.log
    }

    /// Returns the end of the program's output, for messages.
    pub fn log_tail(&self) -> String {
        tail(&self.log).unwrap_or_default()
    }

    /// Returns how the program ended, or `None` while it runs. A signal shows as status 128 + its number.
    ///
    /// # Errors
    /// When the system cannot tell.
    pub fn try_wait(&self) -> Result<Option<ExitStatus>> {
        self.shell()
            .try_wait()
            .with_context(|| format!("waiting for {}", self.name))
    }

    /// Fails with the end of its log when the program has ended.
    ///
    /// # Errors
    /// When it has ended.
    pub fn still_runs(&self) -> Result<()> {
        match self.try_wait()? {
            None => Ok(()),
            Some(status) => bail!("{} ended ({status}):\n{}", self.name, self.log_tail()),
        }
    }

    /// Sends `signal` to the program itself (not to what it started). A program that has ended is left alone.
    ///
    /// # Errors
    /// When the supervising shell is gone although the program is not known to have ended.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let mut shell = self.shell();
        if shell.try_wait()?.is_some() {
            return Ok(());
        }
        let Some(pipe) = shell.stdin.as_mut() else {
            return Ok(());
        };
        writeln!(pipe, "{}", signal.name()).with_context(|| format!("signalling {}", self.name))
    }

    /// Kills the program and everything it started, and returns when the program is gone.
    pub fn kill(&self) {
        let mut shell = self.shell();
        drop(shell.stdin.take());
        // The shell is in the killed group: its end is the program's end, or the program was gone before.
        shell.wait().ok();
    }

    fn shell(&self) -> MutexGuard<'_, Child> {
        self.shell.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Supervised {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A new folder that is removed at the latest when the test process ends, however it ends.
#[derive(Debug)]
pub(crate) struct ScratchFolder {
    path: PathBuf,
    sweeper: Child,
}

impl ScratchFolder {
    /// Makes a folder with a unique name that starts with `prefix` in the system's folder for temporary files.
    pub(crate) fn new(prefix: &str) -> Result<Self> {
        let path = tempfile::Builder::new()
            .prefix(prefix)
            .tempdir()
            .context("making a temporary folder")?
            .keep();
        let sweeper = Command::new("/bin/sh")
            .args(["-c", SWEEP, "sweeper"])
            .arg(&path)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .context("starting the shell that removes a temporary folder")?;
        Ok(Self { path, sweeper })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for ScratchFolder {
    fn drop(&mut self) {
        drop(self.sweeper.stdin.take());
        self.sweeper.wait().ok();
    }
}

fn tail(path: &Path) -> std::io::Result<String> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(LOG_TAIL_BYTES)))?;
    let mut bytes = Vec::new();
    file.take(LOG_TAIL_BYTES).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::time::{Duration, Instant};

    use super::{ScratchFolder, Signal, Supervised};

    fn shell(script: &str) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        command
    }

    fn wait_for(mut happened: impl FnMut() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while !happened() {
            assert!(Instant::now() < deadline, "did not happen");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn runs(pid: u32) -> bool {
        shell(&format!("kill -0 {pid}"))
            .output()
            .unwrap()
            .status
            .success()
    }

    #[test]
    fn output_and_status_are_reported() {
        let folder = ScratchFolder::new("supervisor-").unwrap();
        let log = folder.path().join("log");
        let program = Supervised::start(&shell("echo out; echo err >&2; exit 3"), &log).unwrap();
        wait_for(|| program.try_wait().unwrap().is_some());
        assert_eq!(
            program.try_wait().unwrap().and_then(|status| status.code()),
            Some(3)
        );
        assert_eq!(program.log_tail(), "out\nerr\n");
        let message = program.still_runs().unwrap_err().to_string();
        assert!(message.contains("out\nerr"), "{message}");
    }

    #[test]
    fn missing_program_ends_with_127() {
        let folder = ScratchFolder::new("supervisor-").unwrap();
        let log = folder.path().join("log");
        let program = Supervised::start(&Command::new("/nowhere/to/be/found"), &log).unwrap();
        wait_for(|| program.try_wait().unwrap().is_some());
        assert_eq!(
            program.try_wait().unwrap().and_then(|status| status.code()),
            Some(127)
        );
    }

    #[test]
    fn dropping_ends_the_program_and_what_it_started() {
        let folder = ScratchFolder::new("supervisor-").unwrap();
        let (log, child) = (folder.path().join("log"), folder.path().join("child"));
        let script = format!("sleep 1000 & echo $! >{}; wait", child.display());
        let program = Supervised::start(&shell(&script), &log).unwrap();
        let mut grandchild = None;
        wait_for(|| {
            grandchild = std::fs::read_to_string(&child)
                .ok()
                .and_then(|s| s.trim().parse().ok());
            grandchild.is_some()
        });
        let (pid, grandchild) = (program.pid(), grandchild.unwrap());
        assert!(runs(pid) && runs(grandchild));
        drop(program);
        assert!(!runs(pid));
        wait_for(|| !runs(grandchild));
    }

    #[test]
    fn program_can_refuse_to_go_until_killed() {
        let folder = ScratchFolder::new("supervisor-").unwrap();
        let log = folder.path().join("log");
        let script = "trap 'echo no' TERM; echo up; while :; do sleep 0.05; done";
        let program = Supervised::start(&shell(script), &log).unwrap();
        wait_for(|| program.log_tail().contains("up"));
        program.signal(Signal::Term).unwrap();
        wait_for(|| program.log_tail().contains("no"));
        program.still_runs().unwrap();
        program.signal(Signal::Kill).unwrap();
        wait_for(|| program.try_wait().unwrap().is_some());
        assert_eq!(
            program.try_wait().unwrap().and_then(|status| status.code()),
            Some(137)
        );
    }

    #[test]
    fn folder_goes_with_its_value() {
        let folder = ScratchFolder::new("supervisor-").unwrap();
        let path = folder.path().to_owned();
        std::fs::write(path.join("file"), "content").unwrap();
        drop(folder);
        assert!(!path.exists());
    }
}
