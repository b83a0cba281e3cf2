//! Reverse-path and forward-path (RFC 5321 §4.1.2): the `<…>` of MAIL and RCPT.
//!
//! Taken more freely than the grammar: spaces behind the colon, and a path without its angle brackets, because people type them by
//! hand. A source route (`<@a,@b:c@d>`) is cut off and never used (R1.11): what counts is the address behind it.

use lib_mail::{Address, ReversePath};

/// Octets of a path, angle brackets and source route included. RFC 5321 §4.5.3.1.3 asks for 256; a route may come on top.
const MAX_PATH: usize = 1000;

/// Who is to have a message, as RCPT names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ForwardPath {
    /// `<postmaster>` without a domain (RFC 5321 §4.1.1.3).
    Postmaster,
    /// An address.
    Address(Address),
}

/// The text is no path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadPath;

/// Reads the path at the front of `text`; what follows it (nothing, or a space and parameters) comes back as the second value.
fn split(text: &str) -> Result<(&str, &str), BadPath> {
    let text = text.trim_start_matches(' ');
    let (path, rest) = match text.strip_prefix('<') {
        Some(inner) => {
            let close = unquoted(inner, b'>').ok_or(BadPath)?;
            (&inner[..close], &inner[close + 1..])
        }
        None => text.split_at(unquoted(text, b' ').unwrap_or(text.len())),
    };
    let bare = !text.starts_with('<');
    let fits = path.len() <= MAX_PATH && (rest.is_empty() || rest.starts_with(' ')) && !(bare && path.is_empty());
    if fits { Ok((path, rest)) } else { Err(BadPath) }
}

/// The first place of `octet` outside of a quoted string.
fn unquoted(text: &str, octet: u8) -> Option<usize> {
    let (mut quoted, mut escaped) = (false, false);
    text.bytes().position(|b| {
        match b {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ => return b == octet && !quoted,
        }
        false
    })
}

/// Cuts `@a,@b:` off.
fn without_route(path: &str) -> Result<&str, BadPath> {
    if !path.starts_with('@') {
        return Ok(path);
    }
    // An address literal holds colons too, but a route is a list of names.
    let (route, address) = path.split_once(':').ok_or(BadPath)?;
    let hops = route.split(',').all(|hop| hop.strip_prefix('@').is_some_and(|name| name.parse::<lib_mail::Domain>().is_ok()));
    if hops { Ok(address) } else { Err(BadPath) }
}

/// A reverse-path and what follows it. `<>` is `None`.
pub fn reverse(text: &str) -> Result<(ReversePath, &str), BadPath> {
    let (path, rest) = split(text)?;
    if path.is_empty() {
        return Ok((None, rest));
    }
    let address = without_route(path)?.parse().map_err(|_| BadPath)?;
    Ok((Some(address), rest))
}

/// A forward-path and what follows it.
pub fn forward(text: &str) -> Result<(ForwardPath, &str), BadPath> {
    let (path, rest) = split(text)?;
    if path.eq_ignore_ascii_case("postmaster") {
        return Ok((ForwardPath::Postmaster, rest));
    }
    let address = without_route(path)?.parse().map_err(|_| BadPath)?;
    Ok((ForwardPath::Address(address), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reverse_paths() {
        for (text, want) in [
            ("<>", Some(("", ""))),
            ("<> SIZE=1", Some(("", " SIZE=1"))),
            ("<a@b.example>", Some(("a@b.example", ""))),
            (" <a@b.example> BODY=7BIT", Some(("a@b.example", " BODY=7BIT"))),
            ("a@b.example", Some(("a@b.example", ""))),
            ("  a@b.example SIZE=1", Some(("a@b.example", " SIZE=1"))),
            ("<\"a b>c\"@d.example>", Some(("\"a b>c\"@d.example", ""))),
            ("\"a b\"@d.example X", Some(("\"a b\"@d.example", " X"))),
            ("<\"a\\\">\"@d.example>", Some(("\"a\\\">\"@d.example", ""))),
            ("<@x.example:a@b.example>", Some(("a@b.example", ""))),
            ("<@x.example,@y.example:a@b.example>", Some(("a@b.example", ""))),
            ("<a@[IPv6:2001:db8::1]>", Some(("a@[IPv6:2001:db8::1]", ""))),
            ("<a%c.example@b.example>", Some(("a%c.example@b.example", ""))),
            ("", None),
            ("<", None),
            ("<a@b.example", None),
            ("<a@b.example>x", None),
            ("<a@b.example>>", None),
            ("<<a@b.example>>", None),
            ("a@b.example>", None),
            ("<a>", None),
            ("<postmaster>", None),
            ("<@x.example>", None),
            ("<@:a@b.example>", None),
            ("<@x.example,:a@b.example>", None),
            ("<@x.example,y.example:a@b.example>", None),
            ("<\"a@b.example>", None),
            ("< a@b.example>", None),
            ("<a@b.example >", None),
        ] {
            let got = reverse(text).ok().map(|(path, rest)| (path.map_or(String::new(), |a| a.to_string()), rest));
            assert_eq!(got.as_ref().map(|(path, rest)| (path.as_str(), *rest)), want, "{text}");
        }
    }

    #[test]
    fn forward_paths() {
        let address = |text: &str| Some(ForwardPath::Address(text.parse().unwrap()));
        for (text, want) in [
            ("<Postmaster>", Some(ForwardPath::Postmaster)),
            ("postmaster NOTIFY=NEVER", Some(ForwardPath::Postmaster)),
            ("<postmaster@b.example>", address("postmaster@b.example")),
            ("<@x.example:a@b.example>", address("a@b.example")),
            ("<>", None),
            ("<a>", None),
            ("<@x.example:postmaster>", None),
        ] {
            assert_eq!(forward(text).ok().map(|(path, _)| path), want, "{text}");
        }
        let long = format!("<@{}:a@b.example>", "x.".repeat(500));
        assert_eq!(forward(&long), Err(BadPath));
    }
}
