//! How a line of a header begins.

/// Octets of a line's beginning that are looked at. A field name longer than that ends the header.
pub const MAX_FIELD: usize = 1000;

/// What a line is, judged by its beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Begins<'a> {
    /// A header field with this name.
    Field(&'a [u8]),
    /// The field of the line before goes on.
    Folded,
    /// The empty line, or something that is no header: the body.
    Body,
}

/// Judges the beginning of a line: up to its colon, its LF, or `MAX_FIELD` octets, whichever comes first. `None` where more is needed.
pub(super) fn begins(line: &[u8]) -> Option<Begins<'_>> {
    match line.first()? {
        b' ' | b'\t' => return Some(Begins::Folded),
        b'\n' => return Some(Begins::Body),
        _ => {}
    }
    let line = &line[..line.len().min(MAX_FIELD)];
    match memchr::memchr2(b':', b'\n', line) {
        Some(end) if line[end] == b':' => {
            let name = line[..end].trim_ascii_end();
            let fits = !name.is_empty() && name.iter().all(|byte| matches!(byte, 33..=126));
            Some(if fits { Begins::Field(name) } else { Begins::Body })
        }
        Some(_) => Some(Begins::Body),
        None if line.len() == MAX_FIELD => Some(Begins::Body),
        None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_lines_begin() {
        let long = [b'x'; MAX_FIELD];
        for (line, expected) in [
            (&b"Date: x"[..], Some(Begins::Field(b"Date"))),
            (b"Date \t:", Some(Begins::Field(b"Date"))),
            (b"Date", None),
            (b"", None),
            (b"\r", None),
            (b"\r\n", Some(Begins::Body)),
            (b"\n", Some(Begins::Body)),
            (b" x", Some(Begins::Folded)),
            (b"\tx: y", Some(Begins::Folded)),
            (b"From x@y Mon\r\n", Some(Begins::Body)),
            (b"From x@y 12:00", Some(Begins::Body)),
            (b": x", Some(Begins::Body)),
            (b"D\xc3\xa4te: x", Some(Begins::Body)),
            (&long, Some(Begins::Body)),
        ] {
            assert_eq!(begins(line), expected, "{}", line.escape_ascii());
        }
    }
}
