//! Messages: those of other people (fetched by `tests/corpus/fetch`, never committed) and those made here to hurt.

use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::Result;

/// A message to send, with CRLF line ends.
#[derive(Debug, Clone)]
pub struct Sample {
    /// Where it came from.
    pub name: String,
    /// The octets after DATA, before dot-stuffing.
    pub octets: Vec<u8>,
    /// It holds octets above 127 in its body.
    pub eight_bit: bool,
    /// Its header holds octets above 127, so it needs SMTPUTF8.
    pub utf8_header: bool,
}

impl Sample {
    /// A sample of exactly these octets.
    pub fn new(name: impl Into<String>, octets: Vec<u8>) -> Sample {
        let body = octets.windows(4).position(|window| window == b"\r\n\r\n").unwrap_or(octets.len());
        let utf8_header = !octets[..body].is_ascii();
        Sample { name: name.into(), eight_bit: !octets.is_ascii(), utf8_header, octets }
    }

    /// A file of another system, its line ends (LF, CR or CRLF) made CRLF and NUL taken out, since no SMTP client may send them
    /// otherwise; a last line without an end gets one.
    pub fn from_file(name: impl Into<String>, text: &[u8]) -> Sample {
        let mut octets = Vec::with_capacity(text.len() + text.len() / 40);
        let mut rest = text;
        while let Some((&octet, tail)) = rest.split_first() {
            rest = tail;
            match octet {
                b'\r' => {
                    rest = rest.strip_prefix(b"\n").unwrap_or(rest);
                    octets.extend_from_slice(b"\r\n");
                }
                b'\n' => octets.extend_from_slice(b"\r\n"),
                0 => {}
                octet => octets.push(octet),
            }
        }
        if !octets.ends_with(b"\r\n") {
            octets.extend_from_slice(b"\r\n");
        }
        Sample::new(name, octets)
    }
}

/// The messages of other people below `dir`, each named by its source package and path, sorted.
pub fn foreign(dir: &Path) -> Result<Vec<Sample>> {
    let mut files: Vec<PathBuf> = Vec::new();
    let mut todo = vec![dir.to_owned()];
    while let Some(at) = todo.pop() {
        for entry in std::fs::read_dir(&at).with_context(|| format!("{}: run tests/corpus/fetch first", at.display()))? {
            let path = entry?.path();
            if path.is_dir() { todo.push(path) } else { files.push(path) }
        }
    }
    files.sort();
    files
        .iter()
        .map(|path| {
            let name = path.strip_prefix(dir).unwrap_or(path).display().to_string();
            Ok(Sample::from_file(name, &std::fs::read(path)?))
        })
        .collect()
}

/// Messages made to hurt, and plain ones of many shapes. At least 100, the same at every call.
pub fn made() -> Vec<Sample> {
    let mut samples = shapes();
    samples.extend(torture());
    samples
}

fn header(subject: &str) -> String {
    format!(
        "From: Minji <minji@a.example>\r\nTo: <reader@b.example>\r\nSubject: {subject}\r\nDate: Mon, 23 Nov 2026 12:00:00 +0900\r\n\
         Message-ID: <{}@a.example>\r\n",
        subject.replace(|c: char| !c.is_ascii_alphanumeric(), "-")
    )
}

/// Every mix of charset, transfer encoding, structure and length that everyday mail has.
fn shapes() -> Vec<Sample> {
    const CHARSETS: [(&str, &[u8]); 5] = [
        ("us-ascii", b"plain words"),
        ("utf-8", "봉수대에 불이 올랐다".as_bytes()),
        ("euc-kr", b"\xba\xc0\xbc\xf6\xb4\xeb"),
        ("iso-8859-1", b"gr\xfc\xdfe"),
        ("iso-2022-jp", b"\x1b$B$3$s$K$A$O\x1b(B"),
    ];
    let mut samples = Vec::new();
    for (charset, words) in CHARSETS {
        for lines in [0usize, 1, 2, 40, 400] {
            for structure in ["plain", "alternative", "attachment", "nested"] {
                let name = format!("made {structure} {charset} {lines}");
                let mut body = Vec::new();
                for line in 0..lines {
                    body.extend_from_slice(if line % 7 == 3 { b"." } else { b"" });
                    body.extend_from_slice(words);
                    body.extend_from_slice(format!(" {line}\r\n").as_bytes());
                }
                samples.push(Sample::new(name.clone(), structured(&name, structure, charset, &body)));
            }
        }
    }
    samples
}

fn structured(name: &str, structure: &str, charset: &str, body: &[u8]) -> Vec<u8> {
    let mut text = header(name).into_bytes();
    let part = |text: &mut Vec<u8>, boundary: &str, kind: &str| {
        let head =
            format!("--{boundary}\r\nContent-Type: {kind}; charset={charset}\r\nContent-Transfer-Encoding: 8bit\r\n\r\n");
        text.extend_from_slice(head.as_bytes());
        text.extend_from_slice(body);
        text.extend_from_slice(b"\r\n");
    };
    text.extend_from_slice(b"MIME-Version: 1.0\r\n");
    match structure {
        "plain" => {
            text.extend_from_slice(format!("Content-Type: text/plain; charset={charset}\r\n\r\n").as_bytes());
            text.extend_from_slice(body);
        }
        "nested" => {
            text.extend_from_slice(
                b"Content-Type: multipart/mixed; boundary=out\r\n\r\n--out\r\nContent-Type: message/rfc822\r\n\r\n",
            );
            text.extend_from_slice(&structured("inner", "alternative", charset, body));
            text.extend_from_slice(b"--out--\r\n");
        }
        other => {
            text.extend_from_slice(format!("Content-Type: multipart/{other}; boundary=in\r\n\r\n").as_bytes());
            part(&mut text, "in", "text/plain");
            part(&mut text, "in", "text/html");
            text.extend_from_slice(b"--in--\r\n");
        }
    }
    text
}

fn torture() -> Vec<Sample> {
    let body = |subject: &str, body: &[u8]| Sample::new(subject, [header(subject).as_bytes(), b"\r\n", body].concat());
    let repeat = |unit: &str, times: usize| unit.repeat(times).into_bytes();
    let mut deep = String::from("MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b0\r\n\r\n");
    for level in 0..2000 {
        deep.push_str(&format!("--b{level}\r\nContent-Type: multipart/mixed; boundary=b{}\r\n\r\n", level + 1));
    }
    let many_fields: String = (0..100_000).map(|n| format!("X-Line-{n}: {n}\r\n")).collect();
    let every_octet: Vec<u8> = (1..=255u8).filter(|octet| !matches!(octet, b'\r' | b'\n')).collect();
    vec![
        body("torture dots only", b".\r\n..\r\n...\r\n.\r\n"),
        body("torture a dot and a space", b". \r\n.\t\r\n .\r\n"),
        body(
            "torture leading dots of every length",
            &(0..300).flat_map(|n| [repeat(".", n), b"\r\n".to_vec()].concat()).collect::<Vec<u8>>(),
        ),
        body("torture empty body", b""),
        body("torture one empty line", b"\r\n"),
        body("torture ten thousand empty lines", &repeat("\r\n", 10_000)),
        body("torture the end mark of DATA in pieces", b"\r\n.\r\nQUIT\r\n.\r\nMAIL FROM:<>\r\n"),
        body("torture a line of 998", &[repeat("x", 998), b"\r\n".to_vec()].concat()),
        body("torture a line of 999", &[repeat("x", 999), b"\r\n".to_vec()].concat()),
        body("torture a line of 100000", &[repeat("y", 100_000), b"\r\n".to_vec()].concat()),
        body("torture a line of 2000000", &[repeat("z", 2_000_000), b"\r\n".to_vec()].concat()),
        body(
            "torture lines around buffer sizes",
            &(4090..4104)
                .chain(8186..8200)
                .chain(65_530..65_545)
                .flat_map(|n| [repeat(".", n), b"\r\n".to_vec()].concat())
                .collect::<Vec<u8>>(),
        ),
        body("torture every octet but NUL CR LF", &[every_octet.repeat(40), b"\r\n".to_vec()].concat()),
        body("torture invalid utf-8", b"\xff\xfe\xc0\x80\xed\xa0\x80\r\n"),
        body("torture from lines", b"From a\r\n>From b\r\n>>From c\r\nFrom \r\n"),
        body("torture trailing spaces", b"a \r\nb\t\r\n \r\n"),
        body("torture deep mime", deep.as_bytes()),
        body(
            "torture 20 MiB",
            &repeat("0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcd\r\n", 20 * 1024 * 1024 / 64),
        ),
        Sample::new(
            "torture 100000 header fields",
            [header("torture fields").as_bytes(), many_fields.as_bytes(), b"\r\nbody\r\n"].concat(),
        ),
        Sample::new("torture header only", header("torture header only").into_bytes()),
        Sample::new("torture no header", b"\r\njust a body\r\n".to_vec()),
        Sample::new("torture no header, no empty line", b"this is no field\r\n".to_vec()),
        Sample::new("torture an empty message", Vec::new()),
        Sample::new(
            "torture a folded header of 200 lines",
            [header("torture folded").as_bytes(), b"X-Long: a\r\n", &repeat("\tb\r\n", 200), b"\r\nbody\r\n"].concat(),
        ),
        Sample::new(
            "torture utf-8 header",
            [header("torture utf-8").as_bytes(), "X-Name: 봉수 <봉수@예.example>\r\n\r\n불\r\n".as_bytes()].concat(),
        ),
        Sample::new(
            "torture a field of 500000",
            [header("torture field").as_bytes(), b"X-Wide: ", &repeat("w", 500_000), b"\r\n\r\nbody\r\n"].concat(),
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_made_ones_are_many_clean_and_distinct() {
        let samples = made();
        assert!(samples.len() >= 100, "{}", samples.len());
        for sample in &samples {
            let bare = sample.octets.iter().enumerate().any(|(at, octet)| match octet {
                b'\n' => at == 0 || sample.octets[at - 1] != b'\r',
                b'\r' => sample.octets.get(at + 1) != Some(&b'\n'),
                octet => *octet == 0,
            });
            assert!(!bare, "{}", sample.name);
            assert!(sample.octets.is_empty() || sample.octets.ends_with(b"\r\n"), "{}", sample.name);
        }
        let names: std::collections::BTreeSet<_> = samples.iter().map(|sample| &sample.name).collect();
        assert_eq!(names.len(), samples.len());
    }

    #[test]
    fn files_of_others_become_sendable() {
        assert_eq!(Sample::from_file("x", b"a\nb\r\nc\rd\0").octets, b"a\r\nb\r\nc\r\nd\r\n");
    }
}
