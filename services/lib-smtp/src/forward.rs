//! What XFORWARD says: who the client was that the sender of a hand-over had the message from. Text ⇄ value.
//!
//! The command is Postfix's, documented with it: attributes `NAME=value`, the values in xtext (RFC 3461 §4). It is offered to peers of a
//! pair alone, for what it says is believed.

use std::fmt::{self, Write as _};
use std::net::IpAddr;

/// What EHLO offers.
pub const OFFER: &str = "XFORWARD NAME ADDR PORT PROTO HELO IDENT SOURCE";
/// Octets of a value, decoded.
const MAX_VALUE: usize = 255;
/// A value that the sender does not know.
const UNAVAILABLE: &str = "[UNAVAILABLE]";

/// The original client of a message. What is not known is `None`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Forward {
    /// Its host name, as a name server has it.
    pub name: Option<String>,
    /// Its address.
    pub address: Option<IpAddr>,
    /// Its port.
    pub port: Option<u16>,
    /// How it spoke: `SMTP`, `ESMTP`, `ESMTPS` …
    pub proto: Option<String>,
    /// The argument of its HELO.
    pub helo: Option<String>,
    /// The id of the message at the server that hands it over.
    pub ident: Option<String>,
    /// `REMOTE` or `LOCAL`.
    pub source: Option<String>,
}

impl Forward {
    /// Reads the argument of the command. At least one attribute, none twice.
    pub fn parse(argument: &str) -> Option<Forward> {
        let mut forward = Forward::default();
        let mut seen: Vec<String> = Vec::new();
        for attribute in argument.split(' ').filter(|attribute| !attribute.is_empty()) {
            let (name, value) = attribute.split_once('=')?;
            let name = name.to_ascii_uppercase();
            if seen.contains(&name) {
                return None;
            }
            let value = decoded(value)?;
            let known = ![UNAVAILABLE, "[TEMPUNAVAIL]"].iter().any(|none| value.eq_ignore_ascii_case(none));
            forward.set(&name, known.then_some(value))?;
            seen.push(name);
        }
        (!seen.is_empty()).then_some(forward)
    }

    fn set(&mut self, name: &str, value: Option<String>) -> Option<()> {
        match name {
            "NAME" => self.name = value,
            "PROTO" => self.proto = value,
            "HELO" => self.helo = value,
            "IDENT" => self.ident = value,
            "SOURCE" => self.source = value,
            "ADDR" => self.address = value.map(|text| address(&text).ok_or(())).transpose().ok()?,
            "PORT" => self.port = value.map(|text| text.parse()).transpose().ok()?,
            _ => return None,
        }
        Some(())
    }

    /// A second command adds to the first.
    pub(crate) fn and(self, more: Forward) -> Forward {
        Forward {
            name: more.name.or(self.name),
            address: more.address.or(self.address),
            port: more.port.or(self.port),
            proto: more.proto.or(self.proto),
            helo: more.helo.or(self.helo),
            ident: more.ident.or(self.ident),
            source: more.source.or(self.source),
        }
    }
}

fn address(text: &str) -> Option<IpAddr> {
    match text.split_at_checked(5) {
        Some((tag, rest)) if tag.eq_ignore_ascii_case("IPV6:") => rest.parse().ok().map(IpAddr::V6),
        _ => text.parse().ok().map(IpAddr::V4),
    }
}

/// The argument of the command. What cannot be said within a value's length is left out.
impl fmt::Display for Forward {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = self.address.map(|address| match address.to_canonical() {
            IpAddr::V4(address) => address.to_string(),
            IpAddr::V6(address) => format!("IPV6:{address}"),
        });
        let fits = |text: &Option<String>| text.clone().filter(|text| decoded(&encoded(text)).is_some());
        let mut separator = "";
        for (name, value) in [
            ("NAME", fits(&self.name)),
            ("ADDR", address),
            ("PORT", self.port.map(|port| port.to_string())),
            ("PROTO", fits(&self.proto)),
            ("HELO", fits(&self.helo)),
            ("IDENT", fits(&self.ident)),
            ("SOURCE", fits(&self.source)),
        ] {
            let Some(value) = value else { continue };
            write!(f, "{separator}{name}={}", encoded(&value))?;
            separator = " ";
        }
        if separator.is_empty() { write!(f, "NAME={UNAVAILABLE}") } else { Ok(()) }
    }
}

fn encoded(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for octet in value.bytes() {
        if octet.is_ascii_graphic() && octet != b'+' && octet != b'=' {
            text.push(char::from(octet));
        } else {
            let _ = write!(text, "+{octet:02X}");
        }
    }
    text
}

/// The value of an xtext: not empty, not too long, printable.
fn decoded(text: &str) -> Option<String> {
    let mut value = Vec::with_capacity(text.len());
    let mut octets = text.bytes();
    let hex = |octet: Option<u8>| char::from(octet?).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    while let Some(octet) = octets.next() {
        match octet {
            b'+' => value.push(hex(octets.next())? << 4 | hex(octets.next())?),
            // Postfix writes brackets as they are and other senders the letters beyond ASCII.
            _ => value.push(octet),
        }
    }
    let value = String::from_utf8(value).ok()?;
    let fits = !value.is_empty() && value.len() <= MAX_VALUE && !value.chars().any(char::is_control);
    fits.then_some(value)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_read_and_what_is_not() {
        let forward = Forward {
            address: Some("192.0.2.7".parse().unwrap()),
            port: Some(5000),
            proto: Some("ESMTP".into()),
            helo: Some("client.example".into()),
            ..Forward::default()
        };
        let v6 = Forward { address: Some("2001:db8::1".parse().unwrap()), ..Forward::default() };
        let helo = |text: &str| Forward { helo: Some(text.into()), ..Forward::default() };
        for (argument, want) in [
            ("ADDR=192.0.2.7 PORT=5000 PROTO=ESMTP HELO=client.example", Some(forward)),
            ("addr=ipv6:2001:db8::1", Some(v6)),
            ("HELO=a+20b+2B+3D NAME=[UNAVAILABLE] PORT=[unavailable]", Some(helo("a b+="))),
            ("HELO=+EB+B4+89", Some(helo("봉"))),
            ("HELO=[192.0.2.1]", Some(helo("[192.0.2.1]"))),
            ("NAME=[TEMPUNAVAIL]", Some(Forward::default())),
            ("", None),
            ("ADDR", None),
            ("ADDR=", None),
            ("ADDR=192.0.2", None),
            ("ADDR=2001:db8::1", None),
            ("PORT=70000", None),
            ("LOGIN=x", None),
            ("HELO=a HELO=b", None),
            ("HELO=a+0D+0Ab", None),
            ("HELO=+FF", None),
            ("HELO=+4", None),
        ] {
            assert_eq!(Forward::parse(argument), want, "{argument}");
        }
        assert_eq!(Forward::parse(&format!("HELO={}", "x".repeat(256))), None);
    }

    #[test]
    fn what_cannot_be_said_is_left_out() {
        let forward = Forward { helo: Some("x".repeat(256)), ident: Some("a\r\nb".into()), ..Forward::default() };
        assert_eq!(forward.to_string(), "NAME=[UNAVAILABLE]");
        let mapped = Forward { address: Some("::ffff:192.0.2.7".parse().unwrap()), ..Forward::default() };
        assert_eq!(mapped.to_string(), "ADDR=192.0.2.7");
    }

    proptest! {
        #[test]
        fn it_comes_back_as_printed(helo in "\\PC{1,80}", port in any::<u16>(), address in any::<u128>()) {
            let address = IpAddr::V6(address.into()).to_canonical();
            let forward = Forward { helo: Some(helo.clone()), port: Some(port), address: Some(address), ..Forward::default() };
            let read = Forward::parse(&forward.to_string()).unwrap();
            let known = !helo.eq_ignore_ascii_case(UNAVAILABLE) && helo.len() <= MAX_VALUE;
            prop_assert_eq!(read, Forward { helo: known.then_some(helo), ..forward });
        }

        #[test]
        fn nothing_panics(text in "\\PC*") {
            let _ = Forward::parse(&text);
        }
    }
}
