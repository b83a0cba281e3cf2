//! Plays the SMTP dialogues of `tests/dialogs` (its README says how they are written) against the session, without a server: each
//! step by step, all that the client says at once, and octet by octet.
#![allow(clippy::panic, clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use lib_mail::Enhanced;
use lib_smtp::fuzzing::{self, Bench, Event};
use lib_smtp::server::{AuthConfig, Config, Input, Mechanism, Role};

enum Step {
    Client(Vec<u8>),
    Line(String),
    Reply(String),
    Close,
    Handshake,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Cut {
    Steps,
    Together,
    Octets,
}

struct Dialogue {
    /// The number in the file, for messages, and the step.
    steps: Vec<(usize, Step)>,
    config: Config,
    unsplit: bool,
}

fn unescape(text: &str) -> Vec<u8> {
    let (mut out, mut rest) = (Vec::new(), text.as_bytes());
    while let Some((octet, after)) = rest.split_first() {
        rest = after;
        let (escaped, length) = match (octet, after) {
            (b'\\', [b'r', ..]) => (b'\r', 1),
            (b'\\', [b'n', ..]) => (b'\n', 1),
            (b'\\', [b't', ..]) => (b'\t', 1),
            (b'\\', [b'0', ..]) => (0, 1),
            (b'\\', [b'\\', ..]) => (b'\\', 1),
            (b'\\', [b'x', high, low, ..]) => {
                let digits = [*high, *low];
                (u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap(), 3)
            }
            (b'\\', _) => panic!("an unknown escape in {text}"),
            _ => (*octet, 0),
        };
        out.push(escaped);
        rest = &rest[length..];
    }
    out
}

/// `None` for a dialogue of another protocol.
fn read(text: &str) -> Option<Dialogue> {
    let mut dialogue = Dialogue { steps: Vec::new(), config: fuzzing::config(), unsplit: false };
    for (index, line) in text.lines().enumerate() {
        let (mark, rest) = line.split_at_checked(2).unwrap_or((line, ""));
        let rest = rest.strip_prefix(' ').unwrap_or(rest);
        let step = match mark {
            "" => continue,
            "# " => {
                if !comment(&mut dialogue, &line[2..]) {
                    return None;
                }
                continue;
            }
            "C:" => Step::Client([rest.as_bytes(), b"\r\n"].concat()),
            "C~" => Step::Client(unescape(rest)),
            "C#" => {
                let (times, text) = rest.split_once(' ').expect("a count and a text");
                Step::Client(format!("{text}\r\n").repeat(times.parse().unwrap()).into_bytes())
            }
            "S:" => Step::Line(rest.to_owned()),
            "S*" => Step::Reply(rest.to_owned()),
            "S." => Step::Close,
            "T." => Step::Handshake,
            _ => panic!("line {}: {line}", index + 1),
        };
        dialogue.steps.push((index + 1, step));
    }
    Some(dialogue)
}

fn comment(dialogue: &mut Dialogue, text: &str) -> bool {
    let config = &mut dialogue.config;
    match text.split_once(": ") {
        Some(("Port", "mx")) => {}
        Some(("Port", "submission")) => {
            config.role = Role::Submission;
            config.auth = AuthConfig { mechanisms: vec![Mechanism::Plain, Mechanism::Login], without_tls: false };
        }
        Some(("Port", _)) => return false,
        Some(("Unsplit", _)) => dialogue.unsplit = true,
        Some(("Setting", setting)) => match setting.split_once(" = ") {
            Some(("smtp.recipients_limit", value)) => config.max_recipients = value.parse().unwrap(),
            Some(("smtp.error_limit", value)) => config.max_errors = value.parse().unwrap(),
            Some(("smtp.refusal_limit", value)) => config.max_refusals = value.parse().unwrap(),
            // Both are the common settings of this driver.
            Some(("smtp.message_size_limit", "\"64 kB\"")) | Some(("smtp.privacy", "[\"goaway\"]")) => {}
            Some(("profile", "\"classic\"")) => config.oversize = Enhanced::new(5, 2, 3),
            _ => panic!("a setting that this test does not know: {setting}"),
        },
        _ => {}
    }
    true
}

/// `*` stands for any text.
fn is_like(line: &str, pattern: &str) -> bool {
    match pattern.split_once('*') {
        None => line == pattern,
        Some((start, rest)) => {
            let Some(tail) = line.strip_prefix(start) else { return false };
            (0..=tail.len()).filter(|at| tail.is_char_boundary(*at)).any(|at| is_like(&tail[at..], rest))
        }
    }
}

struct Player {
    bench: Bench,
    /// What the client has said and the session has not been given yet.
    waiting: Vec<u8>,
    /// How much of what the session said was read.
    read: usize,
    cut: Cut,
}

impl Player {
    fn send(&mut self) {
        let octets = std::mem::take(&mut self.waiting);
        let size = if self.cut == Cut::Octets { 1 } else { octets.len().max(1) };
        for piece in octets.chunks(size) {
            if !self.bench.is_over() {
                self.bench.feed(piece);
            }
        }
    }

    fn line(&mut self) -> Option<String> {
        let said = &self.bench.said[self.read..];
        let end = said.iter().position(|octet| *octet == b'\n')?;
        let line = std::str::from_utf8(&said[..end]).unwrap().strip_suffix('\r').expect("CR before LF").to_owned();
        self.read += end + 1;
        Some(line)
    }

    fn step(&mut self, step: &Step) -> Result<(), String> {
        match step {
            Step::Client(octets) => {
                self.waiting.extend_from_slice(octets);
                if self.cut != Cut::Together {
                    self.send();
                }
                return Ok(());
            }
            Step::Handshake => {
                self.send();
                if !matches!(self.bench.events.last(), Some((_, Event::StartTls))) {
                    return Err("no handshake was due".into());
                }
                self.bench.handle(Input::TlsStarted);
                return Ok(());
            }
            _ => self.send(),
        }
        match step {
            Step::Line(pattern) => match self.line() {
                Some(line) if is_like(&line, pattern) => Ok(()),
                line => Err(format!("wanted {pattern}, got {line:?}")),
            },
            Step::Reply(code) => loop {
                let line = self.line().ok_or(format!("wanted a reply {code}, got no more"))?;
                match line.strip_prefix(code.as_str()) {
                    Some(rest) if rest.starts_with('-') => {}
                    Some(rest) if rest.is_empty() || rest.starts_with(' ') => return Ok(()),
                    _ => return Err(format!("wanted a reply {code}, got {line}")),
                }
            },
            _ if self.bench.is_over() && self.read == self.bench.said.len() => Ok(()),
            _ => Err("the session did not close".into()),
        }
    }
}

fn play(name: &str, dialogue: &Dialogue, cut: Cut) {
    let mut player = Player { bench: Bench::new(dialogue.config.clone()), waiting: Vec::new(), read: 0, cut };
    player.bench.feed(b"");
    for (number, step) in &dialogue.steps {
        if let Err(problem) = player.step(step) {
            panic!("{name}:{number}, {cut:?}: {problem}");
        }
    }
    player.send();
    assert_eq!(player.line(), None, "{name}, {cut:?}: something was left unread");
}

fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/dialogs");
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "dialog"))
        .collect();
    files.sort();
    files
}

#[test]
fn every_dialogue_comes_out_as_written_however_it_is_cut() {
    let mut played = 0;
    for path in files() {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&path).unwrap();
        let Some(dialogue) = read(&text) else { continue };
        assert!(text.starts_with("# Goal: "), "{name} begins with its goal");
        assert!(text.contains("\n# Requirement: ") || text.contains("\n# Attack: "), "{name} names a requirement or an attack");
        let cuts: &[Cut] = if dialogue.unsplit { &[Cut::Steps] } else { &[Cut::Steps, Cut::Together, Cut::Octets] };
        cuts.iter().for_each(|cut| play(&name, &dialogue, *cut));
        played += 1;
    }
    assert!(played >= 70, "only {played} dialogues");
}

#[test]
fn every_attack_is_in_the_register_and_every_dialogue_named_there_exists() {
    let register = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/known-attacks.md");
    let register = std::fs::read_to_string(register).unwrap();
    let named: Vec<&str> = register.split('`').skip(1).step_by(2).collect();
    let mut names = Vec::new();
    for path in files() {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let is_named =
            |name: &str| named.contains(&name) || named.iter().any(|short| name.strip_prefix("smuggling_") == Some(short));
        if std::fs::read_to_string(&path).unwrap().contains("\n# Attack: ") {
            assert!(is_named(&name), "docs/known-attacks.md does not name {name}");
        }
        names.push(name);
    }
    let chapters = register.split("\n## ").filter(|chapter| chapter.starts_with("SMTP"));
    let smtp = chapters.flat_map(|chapter| chapter.lines().filter(|line| line.starts_with("| ")));
    for row in smtp.filter(|row| !row.starts_with("| ---")) {
        let column = row.trim_end_matches(" |").rsplit(" | ").next().unwrap();
        for name in column.split('`').skip(1).step_by(2).filter(|name| !name.contains("::") && !name.contains('…')) {
            let exists = names.iter().any(|known| known == name || known.strip_prefix("smuggling_") == Some(name));
            assert!(exists || name == "smtp_session", "docs/known-attacks.md names {name}, which is no dialogue");
        }
    }
}
