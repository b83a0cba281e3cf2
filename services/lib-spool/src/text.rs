//! Texts of any content within lines and between spaces.

use std::fmt::Write as _;

/// What a value is put into.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum In {
    /// The rest of a line: spaces stand for themselves.
    Line,
    /// A word among words: spaces and commas are written as the rest is.
    Word,
}

/// Writes a value behind `out`; `%`, control characters and what would end it become `%` and two hexadecimal digits an octet.
pub(crate) fn put(out: &mut String, value: &str, place: In) {
    let mut octets = [0; 4];
    for c in value.chars() {
        if c == '%' || c.is_control() || (place == In::Word && (c == ' ' || c == ',')) {
            for octet in c.encode_utf8(&mut octets).bytes() {
                let _ = write!(out, "%{octet:02x}");
            }
        } else {
            out.push(c);
        }
    }
}

/// The value that was put; `None` where it was not put so.
pub(crate) fn get(text: &str) -> Option<String> {
    if !text.contains('%') {
        return Some(text.to_owned());
    }
    let mut value = Vec::with_capacity(text.len());
    let mut octets = text.bytes();
    while let Some(octet) = octets.next() {
        if octet == b'%' {
            let digit = |octet: Option<u8>| char::from(octet?).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
            let (high, low) = (digit(octets.next())?, digit(octets.next())?);
            value.push(high << 4 | low);
        } else {
            value.push(octet);
        }
    }
    String::from_utf8(value).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_written_otherwise() {
        for (value, word) in [
            ("plain", "plain"),
            ("a b,c", "a%20b%2cc"),
            ("100%", "100%25"),
            ("a\r\nb\0", "a%0d%0ab%00"),
            ("봉수\u{85}", "봉수%c2%85"),
            ("", ""),
        ] {
            let mut out = String::new();
            put(&mut out, value, In::Word);
            assert_eq!(out, word);
        }
        for bad in ["%", "%4", "%zz", "a%ff"] {
            assert_eq!(get(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_text_comes_back(value in any::<String>()) {
            for place in [In::Line, In::Word] {
                let mut out = String::new();
                put(&mut out, &value, place);
                prop_assert!(!out.chars().any(char::is_control));
                prop_assert_eq!(get(&out), Some(value.clone()));
            }
        }

        #[test]
        fn no_text_panics(text in any::<String>()) {
            let _ = get(&text);
        }
    }
}
