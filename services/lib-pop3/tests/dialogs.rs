//! The dialogue files for POP3, played against the session itself; tests/dialogs/README.md says what the lines mean.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail by panicking")]

use std::path::Path;

use lib_pop3::Rules;
use lib_pop3::fuzzing::{Bench, Mailbox, rules};

/// How a player cuts what the client sends.
#[derive(Debug, Clone, Copy)]
enum Cut {
    Whole,
    Octets,
}

struct Player {
    bench: Bench,
    cut: Cut,
    /// Octets of the output that were read.
    read: usize,
}

impl Player {
    fn send(&mut self, octets: &[u8]) {
        match self.cut {
            Cut::Whole => self.bench.give(octets),
            Cut::Octets => octets.chunks(1).for_each(|octet| self.bench.give(octet)),
        }
    }

    fn line(&mut self) -> Option<String> {
        let rest = &self.bench.output[self.read..];
        let end = rest.iter().position(|octet| *octet == b'\n')?;
        self.read += end + 1;
        Some(String::from_utf8_lossy(&rest[..end]).trim_end_matches('\r').to_owned())
    }

    fn step(&mut self, step: &str) {
        let (sign, text) = step.split_at(2);
        let text = text.strip_prefix(' ').unwrap_or(text);
        match sign {
            "C:" => self.send(format!("{text}\r\n").as_bytes()),
            "C~" => self.send(&unescaped(text)),
            "C#" => {
                let (times, text) = text.split_once(' ').unwrap();
                (0..times.parse().unwrap()).for_each(|_| self.send(format!("{text}\r\n").as_bytes()));
            }
            "S:" => {
                let line = self.line().unwrap_or_else(|| panic!("no reply for {step}"));
                assert!(is_like(&line, text), "{line:?} is not like {text:?}");
            }
            "S." => assert!(self.bench.closed && self.line().is_none(), "the session did not end"),
            "T." => assert!(std::mem::take(&mut self.bench.started_tls), "no handshake is due"),
            _ => panic!("no such step: {step}"),
        }
    }
}

fn unescaped(text: &str) -> Vec<u8> {
    let (mut octets, mut rest) = (Vec::new(), text);
    while let Some((before, escape)) = rest.split_once('\\') {
        octets.extend_from_slice(before.as_bytes());
        let taken = if escape.starts_with('x') { 3 } else { 1 };
        octets.push(match &escape[..taken] {
            "r" => b'\r',
            "n" => b'\n',
            "0" => 0,
            "t" => b'\t',
            "\\" => b'\\',
            code => u8::from_str_radix(&code[1..], 16).unwrap(),
        });
        rest = &escape[taken..];
    }
    octets.extend_from_slice(rest.as_bytes());
    octets
}

fn is_like(line: &str, pattern: &str) -> bool {
    match pattern.split_once('*') {
        None => line == pattern,
        Some((front, rest)) => line
            .strip_prefix(front)
            .is_some_and(|line| (0..=line.len()).any(|at| line.is_char_boundary(at) && is_like(&line[at..], rest))),
    }
}

/// The common settings, as far as the session knows them.
fn common(text: &str) -> Rules {
    let clear_passwords = !text.contains("pop3.plaintext_login = \"never\"");
    Rules { greeting: "mail.example.org POP3".into(), clear_passwords, bad_commands: 10, failed_logins: 10, ..rules() }
}

/// R5.1: the sessions of the files, whole and octet by octet.
#[test]
fn the_files_are_played_against_the_session() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/dialogs");
    let mut played = 0;
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if !(name.starts_with("pop3_") && name.ends_with(".dialog")) {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        for cut in [Cut::Whole, Cut::Octets] {
            println!("{name}, {cut:?}");
            let mailbox = Mailbox { messages: Vec::new(), ..Mailbox::default() };
            let mut player = Player { bench: Bench::new(common(&text), mailbox), cut, read: 0 };
            if text.contains("# Port: pop3s") {
                player.send(b"STLS\r\n");
                player.bench.started_tls = false;
                player.bench.output.truncate(player.bench.output.iter().position(|octet| *octet == b'\n').unwrap() + 1);
            }
            text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).for_each(|line| player.step(line));
            assert!(player.line().is_none(), "{name}: something unread is left");
            played += 1;
        }
    }
    assert!(played >= 20, "{played}");
}
