//! Names in the mailbox: of homes from account keys, of message files, and the UIDLs drawn from them (docs/mailbox.md, *Layout*, *Its name*).

use lib_mail::QueueId;

/// Octets that a directory entry may have on every Linux file system.
const MAX_ENTRY: usize = 255;
/// Characters of a UIDL (RFC 1939 §7).
const MAX_UID: usize = 70;
/// A size in a name has at most this many digits: more cannot be the size of a file.
const MAX_DIGITS: usize = 18;

/// The two directory names of an account's home, or `None` where the key is no `user@domain` or is too long for a directory.
pub(crate) fn home(account: &str) -> Option<(String, String)> {
    let (user, domain) = account.rsplit_once('@')?;
    let (user, domain) = (directory(user), directory(domain));
    (user.len() <= MAX_ENTRY && domain.len() <= MAX_ENTRY).then_some((domain, user))
}

/// Writes as `%` and two digits what cannot stand in a directory name, or would hide it, or is the mark itself.
fn directory(part: &str) -> String {
    let mut name = String::with_capacity(part.len());
    for (at, c) in part.char_indices() {
        if c.is_ascii_control() || c == '/' || c == '%' || (c == '.' && at == 0) {
            name.push_str(&format!("%{:02x}", u32::from(c)));
        } else {
            name.push(c);
        }
    }
    if name.is_empty() { "%".to_owned() } else { name }
}

/// The key of the account whose home has these two directory names; `None` where no account has such a home.
pub(crate) fn account(domain: &str, user: &str) -> Option<String> {
    let key = format!("{}@{}", decoded(user)?, decoded(domain)?);
    // Only the form that `home` writes counts, so that one account never has two homes.
    (home(&key)? == (domain.to_owned(), user.to_owned())).then_some(key)
}

fn decoded(name: &str) -> Option<String> {
    if name == "%" {
        return Some(String::new());
    }
    let mut parts = name.split('%');
    let mut text = parts.next()?.to_owned();
    for part in parts {
        let code = u8::from_str_radix(part.get(..2)?, 16).ok().filter(u8::is_ascii)?;
        text.push(char::from(code));
        text.push_str(&part[2..]);
    }
    Some(text)
}

/// The name of a delivered copy in `new/`; its part before the first comma is its name in `tmp/` and its UIDL.
pub(crate) fn delivered(id: &QueueId, disk: u64, wire: u64) -> String {
    format!("{id},S={disk},W={wire}")
}

/// What a file name says of its message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Parsed<'a> {
    /// What the name begins with, up to the first `,` or `:`. A tool that sets flags or moves the message leaves it alone.
    pub(crate) base: &'a str,
    /// Octets on disk.
    pub(crate) disk: Option<u64>,
    /// Octets in wire form.
    pub(crate) wire: Option<u64>,
}

/// Reads a file name; any name has a base. `None` for names that are no message's: those that begin with a dot.
pub(crate) fn parse(name: &str) -> Option<Parsed<'_>> {
    if name.starts_with('.') || name.is_empty() {
        return None;
    }
    // Flags follow a colon and hold no sizes.
    let unflagged = name.split(':').next().unwrap_or(name);
    let mut fields = unflagged.split(',');
    let base = fields.next().unwrap_or(unflagged);
    let mut parsed = Parsed { base, disk: None, wire: None };
    for field in fields {
        match field.split_once('=') {
            Some(("S", digits)) => parsed.disk = size(digits),
            Some(("W", digits)) => parsed.wire = size(digits),
            _ => {}
        }
    }
    Some(parsed)
}

fn size(digits: &str) -> Option<u64> {
    let fits = !digits.is_empty() && digits.len() <= MAX_DIGITS && digits.bytes().all(|b| b.is_ascii_digit());
    if fits { digits.parse().ok() } else { None }
}

/// The UIDL of a base: itself where POP3 can say it, else a digest of it.
pub(crate) fn uid(base: &str) -> String {
    let sayable = (1..=MAX_UID).contains(&base.len()) && base.bytes().all(|b| (0x21..=0x7e).contains(&b));
    if sayable { base.to_owned() } else { format!("~{:032x}", digest(base)) }
}

/// FNV-1a with 128 bits: the owner's own tools name the files, so spread is enough and no secret is needed.
fn digest(text: &str) -> u128 {
    text.bytes().fold(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d, |hash, byte| {
        (hash ^ u128::from(byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b)
    })
}

#[cfg(test)]
mod tests {
    use lib_mail::Timestamp;

    use super::*;

    #[test]
    fn homes() {
        for (key, domain, user) in [
            ("minji@example.kr", "example.kr", "minji"),
            ("a/b@example.kr", "example.kr", "a%2fb"),
            ("..@example.kr", "example.kr", "%2e."),
            (".@x", "x", "%2e"),
            ("a%2fb@example.kr", "example.kr", "a%252fb"),
            ("a@x@b.example", "b.example", "a@x"),
            ("a b\u{7f}@b.example", "b.example", "a b%7f"),
            ("민지@xn--bj0bj06e.example", "xn--bj0bj06e.example", "민지"),
            ("a@[127.0.0.1]", "[127.0.0.1]", "a"),
            ("@b.example", "b.example", "%"),
            ("a..b.@docomo.example", "docomo.example", "a..b."),
        ] {
            assert_eq!(home(key), Some((domain.to_owned(), user.to_owned())), "{key}");
            assert_eq!(account(domain, user).as_deref(), Some(key));
        }
        assert_eq!(home("minji"), None);
        assert_eq!(home(&format!("{}@x", "/".repeat(86))), None);
        for (domain, user) in [("x", ".a"), ("x", "%zz"), ("x", "%"), ("x", "%2f%"), ("x", "%61"), ("lost+found", "")] {
            let found = account(domain, user);
            assert!(found.is_none() || found.as_deref() == Some("@x"), "{domain} {user}");
        }
    }

    #[test]
    fn ours_is_read_back() {
        let id = QueueId::new(Timestamp(1_795_401_000_123), 7, 42);
        let name = delivered(&id, 1000, 1020);
        assert_eq!(parse(&name), Some(Parsed { base: id.as_str(), disk: Some(1000), wire: Some(1020) }));
        assert_eq!(uid(id.as_str()), id.as_str());
    }

    #[test]
    fn names_of_other_tools() {
        let named = |base, disk, wire| Some(Parsed { base, disk, wire });
        for (name, want) in [
            ("1795.M5P6.host,S=10,W=12:2,S", named("1795.M5P6.host", Some(10), Some(12))),
            ("1795.M5P6.host:2,FS", named("1795.M5P6.host", None, None)),
            ("1795.host", named("1795.host", None, None)),
            ("1795.host,S=10", named("1795.host", Some(10), None)),
            ("1795.host,W=12,S=10:2,", named("1795.host", Some(10), Some(12))),
            ("1795.host,S=,W=-1", named("1795.host", None, None)),
            ("1795.host,S=9999999999999999999", named("1795.host", None, None)),
            ("1795.host:2,S=5", named("1795.host", None, None)),
            (",S=5", named("", Some(5), None)),
            (".hidden", None),
            ("", None),
        ] {
            assert_eq!(parse(name), want, "{name}");
        }
    }

    #[test]
    fn every_uid_can_be_said() {
        let long = "x".repeat(71);
        for (base, kept) in
            [("1795.host", true), ("", false), ("a b", false), ("민지", false), (long.as_str(), false), ("~", true)]
        {
            let uid = uid(base);
            assert_eq!(uid == base, kept, "{base}");
            assert!((1..=70).contains(&uid.len()) && uid.bytes().all(|b| (0x21..=0x7e).contains(&b)));
        }
        assert_ne!(uid("a b"), uid("a c"));
    }
}
