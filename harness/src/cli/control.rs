//! The socket over which `fault`, `traffic`, `books` and `down` speak to the topology that `up` keeps running.
//!
//! One request a connection: a line of words; the answer is text, its last line `ok` or `error …`.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;

use crate::Result;

/// Longest request line.
const REQUEST: u64 = 4096;
/// How long one request may take to arrive.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long an answer may take: a node may have to start or to end first.
const ANSWER: Duration = Duration::from_secs(120);

/// Where the socket is unless somebody says otherwise: one running topology for each user.
pub fn default_socket() -> PathBuf {
    let user = rustix::process::geteuid().as_raw();
    let dir = std::env::var_os("XDG_RUNTIME_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
    dir.join(format!("bongsu-harness-{user}.sock"))
}

/// Listens; a socket that nobody answers any more is replaced, one that is answered is an error.
pub fn listen(at: &Path) -> Result<UnixListener> {
    if UnixStream::connect(at).is_ok() {
        anyhow::bail!("a topology runs already (its socket is {}): end it with `bongsu-harness down`", at.display());
    }
    // What is left of a run that was killed.
    let _ = std::fs::remove_file(at);
    UnixListener::bind(at).with_context(|| at.display().to_string())
}

/// Serves one connection: reads the words and writes what `answer` says of them.
pub fn serve(stream: UnixStream, answer: impl FnOnce(&[&str]) -> Result<String>) -> Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut line = String::new();
    BufReader::new((&stream).take(REQUEST)).read_line(&mut line)?;
    let words: Vec<&str> = line.split_whitespace().collect();
    let text = match answer(&words) {
        Ok(text) => format!("{text}{}ok\n", if text.is_empty() || text.ends_with('\n') { "" } else { "\n" }),
        Err(error) => format!("error {error:#}\n"),
    };
    Ok((&stream).write_all(text.as_bytes())?)
}

/// Asks the running topology; the text of the answer.
pub fn ask(at: &Path, words: &[&str]) -> Result<String> {
    let none = || format!("no topology runs here ({}): start one with `bongsu-harness up three-mx`", at.display());
    let mut stream = UnixStream::connect(at).with_context(none)?;
    stream.set_read_timeout(Some(ANSWER))?;
    stream.write_all(format!("{}\n", words.join(" ")).as_bytes())?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    if let Some(text) = text.strip_suffix("ok\n") {
        return Ok(text.to_owned());
    }
    anyhow::bail!("{}", text.trim_start_matches("error ").trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_go_over_and_answers_come_back() {
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path().join("socket");
        let listener = listen(&at).unwrap();
        let server = std::thread::spawn(move || {
            for _ in 0..2 {
                let (stream, _) = listener.accept().unwrap();
                let answer = |words: &[&str]| {
                    anyhow::ensure!(words != ["no"], "not so");
                    Ok(words.join("+"))
                };
                serve(stream, answer).unwrap();
            }
        });
        assert_eq!(ask(&at, &["kill", "primary"]).unwrap(), "kill+primary\n");
        assert_eq!(ask(&at, &["no"]).unwrap_err().to_string(), "not so");
        server.join().unwrap();
        assert!(ask(&at, &["x"]).unwrap_err().to_string().contains("bongsu-harness up"));
    }
}
