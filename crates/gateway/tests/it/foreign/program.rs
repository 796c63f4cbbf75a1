//! A child process with all its descendants: its lines are awaited with deadlines, and it ends with its owner.

use std::ffi::OsStr;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

/// A running program. Dropped, it and what it started are killed.
pub struct Program {
    name: String,
    child: Child,
    group: u32,
    lines: Lines<BufReader<ChildStdout>>,
    talk: PathBuf,
}

impl Program {
    /// Starts `program` in `folder`; what it says on stderr goes to the file `NAME.err` there.
    pub fn start<A: AsRef<OsStr>>(
        name: &str,
        program: impl AsRef<OsStr>,
        arguments: impl IntoIterator<Item = A>,
        folder: &Path,
    ) -> Self {
        Self::start_with(name, program, arguments, folder, &[])
    }

    /// [`Program::start`] with environment variables.
    pub fn start_with<A: AsRef<OsStr>>(
        name: &str,
        program: impl AsRef<OsStr>,
        arguments: impl IntoIterator<Item = A>,
        folder: &Path,
        environment: &[(&str, String)],
    ) -> Self {
        let talk = folder.join(format!("{name}.err"));
        let mut command = Command::new(program);
        command.args(arguments).current_dir(folder).envs(environment.iter().map(|(key, value)| (key, value)));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(File::create(&talk).unwrap());
        command.process_group(0).kill_on_drop(true);
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{name} does not start: {error}"));
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { name: name.to_owned(), group: child.id().unwrap(), child, lines, talk }
    }

    /// The next line of stdout; `None` at its end. Panics at the deadline.
    pub async fn line(&mut self, patience: Duration) -> Option<String> {
        match timeout(patience, self.lines.next_line()).await {
            Ok(line) => line.unwrap(),
            Err(_) => panic!("{} said nothing for {patience:?}; on stderr:\n{}", self.name, self.talk()),
        }
    }

    /// What stands behind `word` on the first line that begins with it. Panics when no such line comes.
    pub async fn line_after(&mut self, word: &str, patience: Duration) -> String {
        while let Some(line) = self.line(patience).await {
            if let Some(rest) = line.strip_prefix(word) {
                return rest.trim().to_owned();
            }
        }
        panic!("{} ended without a line {word}; on stderr:\n{}", self.name, self.talk());
    }

    /// [`Program::line_after`] as JSON.
    pub async fn json_after(&mut self, word: &str, patience: Duration) -> Value {
        let line = self.line_after(word, patience).await;
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{}: {error} in {line}", self.name))
    }

    /// All lines until it ends, and how it ended. Panics at the deadline.
    pub async fn finish(mut self, patience: Duration) -> (Vec<String>, ExitStatus) {
        let mut lines = Vec::new();
        let everything = async {
            while let Some(line) = self.lines.next_line().await.unwrap() {
                lines.push(line);
            }
            self.child.wait().await.unwrap()
        };
        match timeout(patience, everything).await {
            Ok(status) => (lines, status),
            Err(_) => {
                panic!("{} did not end in {patience:?}: {lines:?}; on stderr:\n{}", self.name, self.talk())
            }
        }
    }

    /// Asks it politely to end; [`Program::finish`] waits for that.
    pub fn terminate(&self) {
        if let Some(id) = self.child.id() {
            signal("-TERM", &id.to_string());
        }
    }

    /// Kills it; [`Program::finish`] waits until it is gone.
    pub fn kill(&self) {
        if let Some(id) = self.child.id() {
            signal("-KILL", &id.to_string());
        }
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.group
    }

    /// What it said on stderr, the last of it.
    pub fn talk(&self) -> String {
        let talk = std::fs::read_to_string(&self.talk).unwrap_or_default();
        let from = talk.char_indices().rev().nth(TALK_CHARS_MAX).map_or(0, |(at, _)| at);
        talk[from..].to_owned()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        signal("-KILL", &format!("-{}", self.group));
    }
}

/// Sends a signal to a process, or to a group by its negative number. One that is gone is no error.
fn signal(name: &str, target: &str) {
    let mut kill = std::process::Command::new("kill");
    let _ = kill.args([name, "--", target]).stderr(Stdio::null()).status();
}

const TALK_CHARS_MAX: usize = 3_000;
