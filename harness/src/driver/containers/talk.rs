//! What goes in and out of containers: standard input, output, and the log that is kept of it.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Context;
use futures_util::{Stream, StreamExt};
use testcontainers::bollard::Docker;
use testcontainers::bollard::container::{AttachContainerResults, LogOutput};
use testcontainers::bollard::errors::Error;
use testcontainers::bollard::exec::{CreateExecOptions, StartExecResults};
use testcontainers::bollard::query_parameters::AttachContainerOptionsBuilder;
use tokio::io::{AsyncWrite, AsyncWriteExt};

use crate::Result;
use crate::client::Ran;

/// Log lines kept for the report of a failure.
const LOG_LINES: usize = 20_000;

type Output = Pin<Box<dyn Stream<Item = std::result::Result<LogOutput, Error>> + Send>>;
type Input = Pin<Box<dyn AsyncWrite + Send>>;

/// Lines that a container printed. Copies are the same log.
#[derive(Debug, Clone, Default)]
pub(crate) struct Log {
    lines: Arc<Mutex<VecDeque<String>>>,
}

impl Log {
    /// Whether a line that holds `text` was printed.
    pub(crate) fn holds(&self, text: &str) -> bool {
        self.lines().iter().any(|line| line.contains(text))
    }

    /// The last lines, for the report of a failure.
    pub(crate) fn tail(&self, name: &str, lines: usize) -> String {
        let log = self.lines();
        let tail: Vec<&str> = log.iter().skip(log.len().saturating_sub(lines)).map(String::as_str).collect();
        format!("the last words of {name}:\n  {}", tail.join("\n  "))
    }

    fn push(&self, line: &[u8]) {
        let mut lines = self.lines();
        if lines.len() == LOG_LINES {
            lines.pop_front();
        }
        lines.push_back(String::from_utf8_lossy(line).trim_end().to_owned());
    }

    fn lines(&self) -> MutexGuard<'_, VecDeque<String>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Attaches to a container that is not started yet, so that nothing it says is missed.
pub(super) async fn attach(docker: &Docker, id: &str, fed: bool) -> Result<AttachContainerResults> {
    let options = AttachContainerOptionsBuilder::new().stream(true).stdin(fed).stdout(true).stderr(true).build();
    Ok(docker.attach_container(id, Some(options)).await?)
}

/// Writes what a container prints into its log, until it ends.
pub(super) async fn follow(mut output: Output, log: Log) {
    // A piece need not end where a line does.
    let mut rest: Vec<u8> = Vec::new();
    while let Some(Ok(piece)) = output.next().await {
        rest.extend_from_slice(piece.as_ref());
        while let Some(end) = rest.iter().position(|octet| *octet == b'\n') {
            let line: Vec<u8> = rest.drain(..=end).collect();
            log.push(&line);
        }
    }
    if !rest.is_empty() {
        log.push(&rest);
    }
}

/// Feeds a program and gathers what it prints. The exit code is not known yet: 0.
pub(super) async fn talk(mut output: Output, mut input: Input, text: &[u8]) -> Result<Ran> {
    let feed = async {
        // A program that does not read its input to the end is not at fault.
        let _ = input.write_all(text).await;
        let _ = input.shutdown().await;
    };
    let gather = async {
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        while let Some(piece) = output.next().await {
            match piece? {
                LogOutput::StdErr { message } => stderr.extend_from_slice(&message),
                other => stdout.extend_from_slice(other.as_ref()),
            }
        }
        let text = format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
        anyhow::Ok(Ran { code: 0, text, stdout })
    };
    tokio::join!(feed, gather).1
}

/// Runs a command within a container that runs.
pub(super) async fn exec(docker: &Docker, id: &str, command: &[&str], text: &[u8]) -> Result<Ran> {
    let options = CreateExecOptions {
        attach_stdin: Some(!text.is_empty()),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        cmd: Some(command.iter().map(|word| (*word).to_owned()).collect()),
        ..Default::default()
    };
    let created = docker.create_exec(id, options).await?;
    let StartExecResults::Attached { output, input } = docker.start_exec(&created.id, None).await? else {
        anyhow::bail!("the engine did not attach to the command")
    };
    let mut ran = talk(output, input, text).await?;
    let ended = docker.inspect_exec(&created.id).await?.exit_code.context("the command has no exit code")?;
    ran.code = i32::try_from(ended)?;
    Ok(ran)
}
