//! Mail addresses as the envelope carries them (RFC 5321 §4.1.2, RFC 6531 §3.3).
//!
//! An address keeps the octets it was given, quotes included: what came in is what goes out. It compares without regard to case,
//! because every mailbox here is matched so (R4.5). Odd dots (`a..b@docomo.example`) are taken: such mailboxes exist and must be
//! deliverable and bounceable. Source routes never reach this type: the SMTP wire strips or refuses them.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Octets of an address without angle brackets (RFC 5321 §4.5.3.1.3 allows a path of 256 with them).
const MAX_ADDRESS: usize = 254;
const MAX_DOMAIN: usize = 253;
const MAX_LABEL: usize = 63;

/// The sender of a message; `None` is the null reverse-path `<>` of notifications.
pub type ReversePath = Option<Address>;

/// Why a text is no address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// No `@` outside quotes.
    #[error("an address is local-part@domain")]
    NoDomain,
    /// The part before the `@` is empty, badly quoted, or holds a character that must be quoted.
    #[error("the part before the @ is not a mailbox name")]
    LocalPart,
    /// The part behind the `@` is no host name and no address literal.
    #[error("the part after the @ is not a domain")]
    Domain,
    /// Over 254 octets.
    #[error("the address is too long")]
    TooLong,
}

/// A mailbox name and a domain, in the form they were given.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Address {
    text: String,
    /// Place of the `@`: `text[at] == '@'`.
    at: usize,
}

impl Address {
    /// Joins a local part in wire form (dot-atom or quoted string) and a domain.
    pub fn new(local: &str, domain: &Domain) -> Result<Address, AddressError> {
        check_local(local)?;
        let text = format!("{local}@{domain}");
        if text.len() > MAX_ADDRESS { Err(AddressError::TooLong) } else { Ok(Address { text, at: local.len() }) }
    }

    /// The whole address as given, without angle brackets.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The local part as given, quotes and backslashes included.
    pub fn local(&self) -> &str {
        &self.text[..self.at]
    }

    /// The local part as a mailbox name: without quotes and backslashes. It may hold any character but CR, LF and NUL.
    pub fn mailbox(&self) -> String {
        match self.local().strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
            None => self.local().to_owned(),
            Some(quoted) => {
                let mut name = String::with_capacity(quoted.len());
                let mut chars = quoted.chars();
                while let Some(c) = chars.next() {
                    name.extend(if c == '\\' { chars.next() } else { Some(c) });
                }
                name
            }
        }
    }

    /// The domain as given.
    pub fn domain(&self) -> Domain {
        Domain(self.text[self.at + 1..].to_owned())
    }

    /// The form under which addresses are compared and looked up: mailbox name without quotes and domain as A-labels, both in
    /// lower case.
    pub fn key(&self) -> String {
        format!("{}@{}", self.mailbox().to_lowercase(), self.domain().key())
    }

    /// Whether every octet is ASCII, so that no SMTPUTF8 is needed to pass it on.
    pub fn is_ascii(&self) -> bool {
        self.text.is_ascii()
    }
}

impl FromStr for Address {
    type Err = AddressError;
    fn from_str(text: &str) -> Result<Address, AddressError> {
        let at = if text.starts_with('"') {
            let close = quoted_end(text).ok_or(AddressError::LocalPart)?;
            if text.as_bytes().get(close) == Some(&b'@') { close } else { return Err(AddressError::NoDomain) }
        } else {
            text.find('@').ok_or(AddressError::NoDomain)?
        };
        if text.len() > MAX_ADDRESS {
            return Err(AddressError::TooLong);
        }
        check_local(&text[..at])?;
        text[at + 1..].parse::<Domain>()?;
        Ok(Address { text: text.to_owned(), at })
    }
}

/// The index behind the closing quote of a text that begins with one.
fn quoted_end(text: &str) -> Option<usize> {
    let mut escaped = false;
    for (index, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return Some(index + 1),
            _ => {}
        }
    }
    None
}

fn check_local(local: &str) -> Result<(), AddressError> {
    let quoted = local.starts_with('"');
    let fits = if quoted {
        quoted_end(local) == Some(local.len()) && local.chars().all(|c| !c.is_control())
    } else {
        !local.is_empty() && local.chars().all(|c| !c.is_ascii() && !c.is_control() || is_atext(c) || c == '.')
    };
    if fits { Ok(()) } else { Err(AddressError::LocalPart) }
}

/// RFC 5322 §3.2.3.
fn is_atext(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c)
}

impl PartialEq for Address {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text || self.key() == other.key()
    }
}
impl Eq for Address {}
impl Hash for Address {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}
impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{}>", self.text)
    }
}
impl TryFrom<String> for Address {
    type Error = AddressError;
    fn try_from(text: String) -> Result<Self, AddressError> {
        text.parse()
    }
}
impl From<Address> for String {
    fn from(address: Address) -> String {
        address.text
    }
}

/// A host or mail domain (`example.net`, `메일.example`), or an address literal (`[192.0.2.1]`, `[IPv6:2001:db8::1]`), as given.
/// Compares without regard to case, and U-labels as equal to their A-labels. A single trailing dot is refused.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Domain(String);

impl Domain {
    /// The domain as given.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The address of an address literal, `None` for a name.
    pub fn literal(&self) -> Option<IpAddr> {
        literal(&self.0)
    }

    /// Whether it is `above`, or a name below it.
    pub fn is_within(&self, above: &Domain) -> bool {
        let (key, above) = (self.key(), above.key());
        key.strip_suffix(&above).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    }

    /// The form under which domains are compared, looked up in DNS and put into maps: A-labels in lower case.
    pub fn key(&self) -> String {
        if self.0.is_ascii() {
            self.0.to_ascii_lowercase()
        } else {
            idna::domain_to_ascii(&self.0).unwrap_or_else(|_| self.0.to_lowercase())
        }
    }
}

fn literal(text: &str) -> Option<IpAddr> {
    let inner = text.strip_prefix('[')?.strip_suffix(']')?;
    match inner.get(..5) {
        Some(tag) if tag.eq_ignore_ascii_case("IPv6:") => inner[5..].parse().ok().map(IpAddr::V6),
        _ => inner.parse().ok().map(IpAddr::V4),
    }
}

impl FromStr for Domain {
    type Err = AddressError;
    fn from_str(text: &str) -> Result<Domain, AddressError> {
        if text.starts_with('[') {
            return literal(text).map(|_| Domain(text.to_owned())).ok_or(AddressError::Domain);
        }
        // An underscore stands in real host names, so it is taken; nothing else beyond letters, digits and hyphens is. The rule holds
        // for the A-labels too: the mapping to them makes ASCII of full-width characters (`＞` becomes `>`), and it is the A-form
        // that is looked up and that a next hop without SMTPUTF8 would read.
        let hyphens = |label: &str| !label.is_empty() && !label.starts_with('-') && !label.ends_with('-');
        let ldh = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        let given = |label: &str| hyphens(label) && label.chars().all(|c| ldh(c) || !c.is_ascii() && !c.is_control());
        let mapped = |label: &str| hyphens(label) && label.chars().all(ldh) && label.len() <= MAX_LABEL;
        let ascii =
            if text.is_ascii() { text.to_owned() } else { idna::domain_to_ascii(text).map_err(|_| AddressError::Domain)? };
        let fits = ascii.len() <= MAX_DOMAIN && text.split('.').all(given) && ascii.split('.').all(mapped);
        if fits { Ok(Domain(text.to_owned())) } else { Err(AddressError::Domain) }
    }
}

impl PartialEq for Domain {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0 || self.key() == other.key()
    }
}
impl Eq for Domain {}
impl Hash for Domain {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}
impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}
impl fmt::Debug for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl TryFrom<String> for Domain {
    type Error = AddressError;
    fn try_from(text: String) -> Result<Self, AddressError> {
        text.parse()
    }
}
impl From<Domain> for String {
    fn from(domain: Domain) -> String {
        domain.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_an_address() {
        let long_local = format!("{}@a.example", "x".repeat(240));
        for (text, want) in [
            ("minji@example.kr", Ok(("minji", "minji", "example.kr"))),
            ("a..b.@docomo.example", Ok(("a..b.", "a..b.", "docomo.example"))),
            ("\"a@x\"@b.example", Ok(("\"a@x\"", "a@x", "b.example"))),
            ("\"a\\\"b\"@b.example", Ok(("\"a\\\"b\"", "a\"b", "b.example"))),
            ("\"\"@b.example", Ok(("\"\"", "", "b.example"))),
            ("a@[127.0.0.1]", Ok(("a", "a", "[127.0.0.1]"))),
            ("a@[IPv6:2001:db8::1]", Ok(("a", "a", "[IPv6:2001:db8::1]"))),
            ("민지@메일.example", Ok(("민지", "민지", "메일.example"))),
            ("a%b@c.example", Ok(("a%b", "a%b", "c.example"))),
            ("a@b_c.example", Ok(("a", "a", "b_c.example"))),
            ("minji", Err(AddressError::NoDomain)),
            ("@b.example", Err(AddressError::LocalPart)),
            ("a b@c.example", Err(AddressError::LocalPart)),
            ("\"a@c.example", Err(AddressError::LocalPart)),
            ("\"a\"b@c.example", Err(AddressError::NoDomain)),
            ("a@b@c.example", Err(AddressError::Domain)),
            ("a@b..c", Err(AddressError::Domain)),
            ("a@-b.c", Err(AddressError::Domain)),
            ("a@b.c.", Err(AddressError::Domain)),
            ("a@[127.0.0.256]", Err(AddressError::Domain)),
            ("a@[IPv6:127.0.0.1]", Err(AddressError::Domain)),
            ("a@b\r\nc", Err(AddressError::Domain)),
            ("a\r@b", Err(AddressError::LocalPart)),
            ("\"a\nb\"@b", Err(AddressError::LocalPart)),
            ("bob@victim.example＞　orcpt＝rfc822；x.backup.example", Err(AddressError::Domain)),
            ("bob@victim.example＠x.backup.example", Err(AddressError::Domain)),
            ("bob@a。b.example", Ok(("bob", "bob", "a。b.example"))),
            ("bob@ａ.example", Ok(("bob", "bob", "ａ.example"))),
            (long_local.as_str(), Ok(("", "", "a.example"))),
        ] {
            match (text.parse::<Address>(), want) {
                (Ok(got), Ok((local, mailbox, domain))) => {
                    assert_eq!(got.as_str(), text);
                    assert_eq!(got.domain().as_str(), domain);
                    if !local.is_empty() {
                        assert_eq!((got.local(), got.mailbox().as_str()), (local, mailbox));
                    }
                    assert_eq!(Address::new(got.local(), &got.domain()).unwrap(), got);
                }
                (got, want) => assert_eq!(got.map(|_| ()), want.map(|_| ()), "{text}"),
            }
        }
        assert_eq!(format!("{}@a.example", "x".repeat(250)).parse::<Address>(), Err(AddressError::TooLong));
    }

    #[test]
    fn what_is_below_a_domain() {
        for (domain, above, want) in [
            ("a.example", "A.Example", true),
            ("mx.a.example", "a.example", true),
            ("ba.example", "a.example", false),
            ("example", "a.example", false),
            ("x.한글.example", "xn--bj0bj06e.example", true),
            ("[192.0.2.1]", "[192.0.2.1]", true),
        ] {
            assert_eq!(domain.parse::<Domain>().unwrap().is_within(&above.parse().unwrap()), want, "{domain} {above}");
        }
    }

    #[test]
    fn a_key_is_an_address_of_its_own() {
        for text in ["Minji@메일.example", "a@ａ.example", "bob@a。b.example", "x@b_c.example"] {
            let key = text.parse::<Address>().unwrap().key();
            assert!(key.is_ascii() && key.parse::<Address>().is_ok_and(|address| address.key() == key), "{text}: {key}");
        }
    }

    #[test]
    fn case_and_idna_do_not_part_addresses() {
        let equal = |a: &str, b: &str| a.parse::<Address>().unwrap() == b.parse::<Address>().unwrap();
        assert!(equal("Minji@Example.KR", "minji@example.kr"));
        assert!(equal("a@xn--bj0bj06e.example", "A@한글.example"));
        assert!(equal("\"minji\"@example.kr", "minji@example.kr"));
        assert!(!equal("minji@example.kr", "minji@example.net"));
    }
}
