//! Mail programs that are not ours, run as a user would run them.

use std::process::{Command, Output, Stdio};
use std::time::Duration;

use anyhow::Context;

use crate::Result;

/// What a program printed and how it ended.
#[derive(Debug, Clone)]
pub struct Ran {
    /// Its exit code; -1 where a signal ended it.
    pub code: i32,
    /// Standard output, then standard error.
    pub text: String,
    /// Standard output alone, as octets.
    pub stdout: Vec<u8>,
}

impl Ran {
    /// Itself where the exit code is 0, else an error that shows what was printed.
    pub fn ok(self) -> Result<Ran> {
        anyhow::ensure!(self.code == 0, "exit code {}: {}", self.code, self.text);
        Ok(self)
    }
}

/// Whether `program` is on the path.
pub fn have(program: &str) -> bool {
    std::env::var_os("PATH").is_some_and(|path| std::env::split_paths(&path).any(|dir| dir.join(program).is_file()))
}

/// Runs `program` with `args`, feeds `input`, and gives what it printed. `timeout` ends it by SIGKILL.
pub fn run(program: &str, args: &[&str], input: &[u8], timeout: Duration) -> Result<Ran> {
    let mut command = Command::new("timeout");
    command.arg("-s").arg("KILL").arg(timeout.as_secs().max(1).to_string()).arg(program).args(args);
    run_command(command, input).with_context(|| format!("running {program}"))
}

/// The first word that a program prints, as for its version.
pub fn first_word(program: &str, args: &[&str]) -> Result<String> {
    let ran = run(program, args, b"", Duration::from_secs(10))?.ok()?;
    Ok(String::from_utf8_lossy(&ran.stdout).split_whitespace().next().unwrap_or_default().to_owned())
}

/// Runs a prepared command, feeds `input`, and gives what it printed.
pub fn run_command(mut command: Command, input: &[u8]) -> Result<Ran> {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let mut stdin = child.stdin.take().context("no standard input")?;
    let input = input.to_vec();
    let feeder = std::thread::spawn(move || std::io::Write::write_all(&mut stdin, &input));
    let Output { status, stdout, stderr } = child.wait_with_output()?;
    // A program that does not read its input to the end is not at fault.
    let _ = feeder.join();
    let text = format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    Ok(Ran { code: status.code().unwrap_or(-1), text, stdout })
}
