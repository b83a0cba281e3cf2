//! ESMTP parameters of MAIL and RCPT (RFC 5321 §4.1.2; SIZE 1870, BODY 6152, SMTPUTF8 6531, RET ENVID NOTIFY ORCPT 3461, AUTH 4954).

use lib_mail::{BodyType, Notify, Return};

use crate::command::{Mail, Problem, Rcpt};

/// Octets of ENVID= (RFC 3461 §4.4) and of ORCPT= (§4.2).
const MAX_ENVID: usize = 100;
pub(crate) const MAX_ORCPT: usize = 500;
/// Digits of SIZE= (RFC 1870 §4).
const MAX_SIZE_DIGITS: usize = 20;

/// The parameters of a command as (keyword in upper case, value); one that stands twice is refused.
fn each(text: &str, mut take: impl FnMut(&str, Option<&str>) -> Result<(), Problem>) -> Result<(), Problem> {
    let mut seen: Vec<String> = Vec::new();
    for parameter in text.split(' ').filter(|parameter| !parameter.is_empty()) {
        let (keyword, value) = match parameter.split_once('=') {
            Some((keyword, value)) => (keyword, Some(value)),
            None => (parameter, None),
        };
        let keyword = keyword.to_ascii_uppercase();
        if !is_keyword(&keyword) || seen.contains(&keyword) {
            return Err(Problem::Parameter);
        }
        take(&keyword, value)?;
        seen.push(keyword);
    }
    Ok(())
}

fn is_keyword(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

/// Fills in what MAIL was given.
pub(crate) fn mail(mail: &mut Mail, text: &str) -> Result<(), Problem> {
    each(text, |keyword, value| {
        match (keyword, value) {
            ("SIZE", Some(digits)) => mail.size = Some(size(digits).ok_or(Problem::Parameter)?),
            ("BODY", Some(value)) if value.eq_ignore_ascii_case("7BIT") => mail.body = BodyType::SevenBit,
            ("BODY", Some(value)) if value.eq_ignore_ascii_case("8BITMIME") => mail.body = BodyType::EightBitMime,
            ("BODY", Some(value)) if value.eq_ignore_ascii_case("BINARYMIME") => return Err(Problem::BinaryMime),
            ("SMTPUTF8", None) => mail.utf8 = true,
            ("RET", Some(value)) if value.eq_ignore_ascii_case("FULL") => mail.ret = Some(Return::Full),
            ("RET", Some(value)) if value.eq_ignore_ascii_case("HDRS") => mail.ret = Some(Return::Headers),
            ("ENVID", Some(value)) if value.len() <= MAX_ENVID && is_xtext(value) => mail.envid = Some(value.to_owned()),
            ("AUTH", Some(value)) if value == "<>" || is_xtext(value) => mail.auth = Some(value.to_owned()),
            ("SIZE" | "BODY" | "SMTPUTF8" | "RET" | "ENVID" | "AUTH", _) => return Err(Problem::Parameter),
            _ => return Err(Problem::UnknownParameter),
        }
        Ok(())
    })
}

/// Fills in what RCPT was given.
pub(crate) fn rcpt(rcpt: &mut Rcpt, text: &str) -> Result<(), Problem> {
    each(text, |keyword, value| {
        match (keyword, value) {
            ("NOTIFY", Some(value)) => rcpt.notify = notify(value).ok_or(Problem::Parameter)?,
            ("ORCPT", Some(value)) if is_orcpt(value) => rcpt.orcpt = Some(value.to_owned()),
            ("NOTIFY" | "ORCPT", _) => return Err(Problem::Parameter),
            _ => return Err(Problem::UnknownParameter),
        }
        Ok(())
    })
}

/// A number that is too large to count is as good as the largest.
fn size(digits: &str) -> Option<u64> {
    let fits = (1..=MAX_SIZE_DIGITS).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    fits.then(|| digits.parse().unwrap_or(u64::MAX))
}

fn notify(value: &str) -> Option<Notify> {
    if value.eq_ignore_ascii_case("NEVER") {
        return Some(Notify::Never);
    }
    let (mut success, mut failure, mut delay) = (false, false, false);
    for word in value.split(',') {
        match word.to_ascii_uppercase().as_str() {
            "SUCCESS" => success = true,
            "FAILURE" => failure = true,
            "DELAY" => delay = true,
            _ => return None,
        }
    }
    Some(Notify::On { success, failure, delay })
}

/// xtext (RFC 3461 §4) that is not empty. What it stands for must be printable: a CR or LF hidden as `+0D+0A` would come out in the
/// header of a notification.
fn is_xtext(value: &str) -> bool {
    let mut octets = value.bytes();
    let hex = |octet: Option<u8>| match octet? {
        digit @ b'0'..=b'9' => Some(digit - b'0'),
        digit @ b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    };
    while let Some(octet) = octets.next() {
        let printable = match octet {
            b'+' => match (hex(octets.next()), hex(octets.next())) {
                (Some(high), Some(low)) => (b' '..=b'~').contains(&(high << 4 | low)),
                _ => false,
            },
            b'=' => false,
            _ => octet.is_ascii_graphic(),
        };
        if !printable {
            return false;
        }
    }
    !value.is_empty()
}

/// `addr-type;xtext`; for type `utf-8` also the forms of RFC 6533 §3, where `\x{…}` stands for a character.
fn is_orcpt(value: &str) -> bool {
    let Some((kind, address)) = value.split_once(';') else { return false };
    let kind_fits = !kind.is_empty() && kind.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    let address_fits = if kind.eq_ignore_ascii_case("utf-8") {
        !address.is_empty()
            && address.chars().all(|c| !c.is_control() && !matches!(c, ' ' | '=' | '+'))
            && !hides_control(address)
    } else {
        is_xtext(address)
    };
    value.len() <= MAX_ORCPT && kind_fits && address_fits
}

/// Whether an embedded character `\x{…}` is a control character, or none at all.
fn hides_control(address: &str) -> bool {
    address.split("\\x{").skip(1).any(|rest| {
        let code = rest.split_once('}').and_then(|(digits, _)| u32::from_str_radix(digits, 16).ok());
        code.and_then(char::from_u32).is_none_or(char::is_control)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn xtext() {
        for (value, ok) in [
            ("a+2Bb", true),
            ("rfc822@x", true),
            ("+20", true),
            ("", false),
            ("a=b", false),
            ("a+2b", false),
            ("a+2", false),
            ("+", false),
            ("a+0D+0AX", false),
            ("a+00", false),
            ("+7F", false),
            ("+E9", false),
            ("é", false),
        ] {
            assert_eq!(is_xtext(value), ok, "{value}");
        }
    }

    #[test]
    fn original_recipients() {
        for (value, ok) in [
            ("rfc822;a@b.example", true),
            ("RFC822;a+2Bx@b.example", true),
            ("x400;/C=KR", false),
            ("x400;/C+3DKR", true),
            ("utf-8;민지@b.example", true),
            ("utf-8;\\x{BBFC}@b.example", true),
            ("utf-8;\\x{0A}@b.example", false),
            ("utf-8;\\x{D800}", false),
            ("utf-8;\\x{41", false),
            ("rfc822;민지@b.example", false),
            ("rfc822;", false),
            (";a", false),
            ("a@b.example", false),
            ("r f;a", false),
        ] {
            assert_eq!(is_orcpt(value), ok, "{value}");
        }
        assert!(!is_orcpt(&format!("rfc822;{}", "x".repeat(500))));
    }

    #[test]
    fn sizes() {
        for (digits, want) in [
            ("0", Some(0)),
            ("5024000", Some(5_024_000)),
            ("00000000000000000007", Some(7)),
            ("99999999999999999999", Some(u64::MAX)),
            ("999999999999999999999", None),
            ("", None),
            ("-1", None),
            ("+1", None),
            ("1k", None),
        ] {
            assert_eq!(size(digits), want, "{digits}");
        }
    }

    #[test]
    fn notifications() {
        let on = |success, failure, delay| Some(Notify::On { success, failure, delay });
        for (value, want) in [
            ("never", Some(Notify::Never)),
            ("SUCCESS", on(true, false, false)),
            ("success,Failure", on(true, true, false)),
            ("DELAY,FAILURE,SUCCESS", on(true, true, true)),
            ("NEVER,SUCCESS", None),
            ("SUCCESS,NEVER", None),
            ("SUCCESS,", None),
            ("", None),
        ] {
            assert_eq!(notify(value), want, "{value}");
        }
    }
}
