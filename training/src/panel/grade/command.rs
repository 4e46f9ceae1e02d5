//! A user's program that grades: JSON in, a number out.
//!
//! In: a command line and an answer. Out: a quality from 0 to 1, or why there is none. The program is
//! given one JSON object on standard input, with `prompt`, `system` (a list), `answer`, `reference`,
//! `task`, `source` and `model`, and prints one number from 0 to 1. Invariant: its time and its output are
//! bounded, and it is ended when either is over; nothing that it prints is shown. Not here: a shell: the
//! line is divided at white space, and the program is run as it is.

use std::pin::pin;
use std::process::Stdio;
use std::time::Duration;

use pointsman::domain::Text;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};

use crate::panel::ask::Ask;

/// Most that is read of what a program prints: a number has a few dozen bytes.
const OUTPUT_BYTES_MAX: u64 = 4_096;

/// A program that grades.
#[derive(Debug, Clone, PartialEq)]
pub struct CommandGrader {
    /// The program and its arguments.
    pub line: String,
    /// The longest that it may take for one answer.
    pub timeout: Duration,
}

/// Why a program gave no grade.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// It cannot be started.
    #[error("the program cannot be started")]
    Start,
    /// It took too long.
    #[error("the program took too long")]
    Late,
    /// It failed.
    #[error("the program's exit code is not 0")]
    Failed,
    /// It printed something else.
    #[error("what the program printed is no number from 0 to 1")]
    NoGrade,
}

impl CommandGrader {
    /// Grades one answer.
    ///
    /// # Errors
    /// [`CommandError`].
    pub async fn grade(&self, ask: &Ask, model: &str, answer: &Text) -> Result<f64, CommandError> {
        let mut words = self.line.split_whitespace();
        let mut command = Command::new(words.next().unwrap_or_default());
        command.args(words).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.kill_on_drop(true).spawn().map_err(|_| CommandError::Start)?;
        let told = json!({
            "prompt": ask.prompt,
            "system": ask.system,
            "answer": answer,
            "reference": ask.reference,
            "task": ask.task,
            "source": ask.source,
            "model": model,
        });
        let graded = tokio::time::timeout(self.timeout, exchange(&mut child, told.to_string()));
        // Whoever is late is ended when `child` is dropped.
        graded.await.unwrap_or(Err(CommandError::Late))
    }
}

async fn exchange(child: &mut Child, told: String) -> Result<f64, CommandError> {
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    let (Some(mut stdin), Some(stdout)) = (stdin, stdout) else { return Err(CommandError::Start) };
    let tell = async move {
        // A program need not read what it does not need.
        let _ = stdin.write_all(told.as_bytes()).await;
    };
    let mut printed = Vec::new();
    let mut output = stdout.take(OUTPUT_BYTES_MAX + 1);
    let mut reading = pin!(output.read_to_end(&mut printed));
    // Who has said all need not have heard all.
    let read = tokio::select! {
        read = &mut reading => read,
        () = tell => reading.await,
    };
    read.map_err(|_| CommandError::Failed)?;
    if printed.len() as u64 > OUTPUT_BYTES_MAX {
        return Err(CommandError::NoGrade);
    }
    let status = child.wait().await.map_err(|_| CommandError::Failed)?;
    if !status.success() {
        return Err(CommandError::Failed);
    }
    let grade = std::str::from_utf8(&printed).ok().and_then(|it| it.trim().parse::<f64>().ok());
    grade.filter(|it| (0.0..=1.0).contains(it)).ok_or(CommandError::NoGrade)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// A script that is run as a program.
    fn script(folder: &tempfile::TempDir, body: &str) -> String {
        let path = folder.path().join("grade.sh");
        std::fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
        // Through the shell: a file that was just written may still be open in another test's child,
        // and cannot be executed then (ETXTBSY).
        format!("/bin/sh {}", path.display())
    }

    async fn graded(line: String, answer: &str) -> Result<f64, CommandError> {
        let ask = Ask { reference: Some("seven".into()), ..Ask::new(vec![], "3 + 4?".into()) };
        let grader = CommandGrader { line, timeout: Duration::from_secs(20) };
        grader.grade(&ask, "m", &Text::from(answer)).await
    }

    #[tokio::test]
    async fn a_program_sees_the_answer_and_says_what_it_is_worth() {
        let folder = tempfile::tempdir().unwrap();
        let line = script(&folder, "grep -q '\"answer\":\"right\"' && echo 0.75 || echo 0");
        assert_eq!(graded(line.clone(), "right").await, Ok(0.75));
        assert_eq!(graded(line, "wrong").await, Ok(0.0));
    }

    #[tokio::test]
    async fn whatever_else_it_does_is_no_grade() {
        let folder = tempfile::tempdir().unwrap();
        for (body, wanted) in [
            ("exit 3", CommandError::Failed),
            ("echo 1.5", CommandError::NoGrade),
            ("echo NaN", CommandError::NoGrade),
            ("echo very good", CommandError::NoGrade),
            (":", CommandError::NoGrade),
            // Endless output ends with its reader.
            ("yes", CommandError::NoGrade),
        ] {
            let found = graded(script(&folder, body), &"x".repeat(1 << 20)).await;
            assert_eq!(found, Err(wanted), "{body}");
        }
        assert_eq!(graded("/nowhere/at/all".to_owned(), "x").await, Err(CommandError::Start));
        assert_eq!(graded(String::new(), "x").await, Err(CommandError::Start));
    }

    #[tokio::test]
    async fn who_takes_too_long_is_ended() {
        let ask = Ask::new(vec![], "x".into());
        let line = "/bin/sleep 600".to_owned();
        let grader = CommandGrader { line, timeout: Duration::from_millis(20) };
        assert_eq!(grader.grade(&ask, "m", &Text::from("y")).await, Err(CommandError::Late));
    }
}
