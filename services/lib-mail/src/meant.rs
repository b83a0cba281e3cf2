//! The domain that a mistyped one probably meant: `kebi.net` for `kebi.com`, `gmial.com` for `gmail.com` (R3.5).
//!
//! A guess, for people to read beside mail that waits or failed. Nothing may be routed by it.

use crate::Domain;

/// Domains with so many mailboxes that a name one slip away from theirs is more likely the slip. Also those of them that
/// are near each other and both right.
const WELL_KNOWN: &[&str] = &[
    "126.com",
    "163.com",
    "aol.com",
    "chol.com",
    "daum.net",
    "dreamwiz.com",
    "empal.com",
    "fastmail.com",
    "freechal.com",
    "gmail.com",
    "gmx.at",
    "gmx.com",
    "gmx.de",
    "gmx.net",
    "googlemail.com",
    "hanafos.com",
    "hanmail.net",
    "hanmir.com",
    "hotmail.co.jp",
    "hotmail.co.kr",
    "hotmail.co.uk",
    "hotmail.com",
    "hotmail.de",
    "hotmail.fr",
    "icloud.com",
    "kakao.com",
    "kebi.com",
    "korea.com",
    "korea.kr",
    "live.co.kr",
    "live.co.uk",
    "live.com",
    "lycos.co.kr",
    "mail.com",
    "mail.ru",
    "me.com",
    "msn.com",
    "nate.com",
    "naver.com",
    "navercorp.com",
    "netian.com",
    "orange.fr",
    "outlook.com",
    "outlook.kr",
    "paran.com",
    "proton.me",
    "protonmail.com",
    "qq.com",
    "t-online.de",
    "unitel.co.kr",
    "web.de",
    "yahoo.co.jp",
    "yahoo.co.kr",
    "yahoo.co.uk",
    "yahoo.com",
    "yahoo.de",
    "yahoo.fr",
    "yandex.com",
    "yandex.ru",
    "ymail.com",
];
/// Endings that people write for one another.
const ENDINGS: &[&str] = &["com", "net", "org", "kr", "co.kr", "or.kr", "ne.kr", "co", "cm", "con", "om", "comm", "ne", "nat"];
/// A shorter name is one letter away from too many others to be taken for one of them.
const LETTERS_FOR_A_SLIP: usize = 5;
/// A shorter name is somebody's own under several endings.
const LETTERS_FOR_AN_ENDING: usize = 4;

/// The well-known domain, or the one of `ours`, that `domain` is probably a slip for: one letter left out, added, changed, or two
/// swapped; or the same name under another common ending. `None` where it is one of them, or near none. In A-labels and
/// lower case, as [`Domain::key`] gives it; `ours` in the same form.
///
/// ```
/// use lib_mail::meant_domain;
/// assert_eq!(meant_domain(&"kebi.net".parse().unwrap(), []), Some("kebi.com"));
/// assert_eq!(meant_domain(&"example.org".parse().unwrap(), []), None);
/// ```
pub fn meant_domain<'a>(domain: &Domain, ours: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if domain.literal().is_some() {
        return None;
    }
    let typed = domain.key();
    let known: Vec<&str> = ours.into_iter().chain(WELL_KNOWN.iter().copied()).collect();
    // A name below one of them is theirs to give.
    let right = |known: &&str| typed.strip_suffix(*known).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    if known.iter().any(right) {
        return None;
    }
    let slip = known.iter().find(|known| name(known).len() >= LETTERS_FOR_A_SLIP && one_edit(&typed, known));
    slip.or_else(|| known.iter().find(|known| other_ending(&typed, known))).copied()
}

/// The first label.
fn name(domain: &str) -> &str {
    domain.split('.').next().unwrap_or_default()
}

fn other_ending(typed: &str, known: &str) -> bool {
    let (Some((typed, ending)), Some((name, right))) = (typed.split_once('.'), known.split_once('.')) else { return false };
    typed == name && name.len() >= LETTERS_FOR_AN_ENDING && ENDINGS.contains(&ending) && ENDINGS.contains(&right)
}

/// Whether one letter left out, added or changed, or two neighbours swapped, make one of the other.
fn one_edit(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let same = a.iter().zip(b).take_while(|(x, y)| x == y).count();
    let (a, b) = (&a[same..], &b[same..]);
    match (a, b) {
        ([], [_]) | ([_], []) => true,
        ([], _) | (_, []) => false,
        _ => {
            let swapped = a.len() > 1 && b.len() > 1 && a[0] == b[1] && a[1] == b[0] && a[2..] == b[2..];
            swapped || a[1..] == b[1..] || a[1..] == *b || *a == b[1..]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_meant() {
        for (typed, meant) in [
            // Another ending.
            ("kebi.net", Some("kebi.com")),
            ("hanmail.com", Some("hanmail.net")),
            ("daum.com", Some("daum.net")),
            ("naver.co.kr", Some("naver.com")),
            ("gmail.con", Some("gmail.com")),
            ("Gmail.CO", Some("gmail.com")),
            // A slip: left out, added, changed, swapped.
            ("gmai.com", Some("gmail.com")),
            ("gmaill.com", Some("gmail.com")),
            ("gnail.com", Some("gmail.com")),
            ("gmial.com", Some("gmail.com")),
            ("gmailcom", Some("gmail.com")),
            ("navre.com", Some("naver.com")),
            ("hotmal.com", Some("hotmail.com")),
            ("outlok.com", Some("outlook.com")),
            // Our own.
            ("seoulofice.kr", Some("seouloffice.kr")),
            ("seouloffice.com", Some("seouloffice.kr")),
            // Right, or near none.
            ("gmail.com", None),
            ("mail.com", None),
            ("mail.naver.com", None),
            ("seouloffice.kr", None),
            ("gmx.de", None),
            ("ma.com", None),
            ("moe.com", None),
            ("nade.com", None),
            ("gmail.example", None),
            ("example.org", None),
            ("a.example", None),
            ("", None),
            ("localhost", None),
            ("[192.0.2.1]", None),
            ("gmail.xn--3e0b707e", None),
        ] {
            let Ok(domain) = typed.parse::<Domain>() else {
                assert_eq!(meant, None, "{typed}");
                continue;
            };
            assert_eq!(meant_domain(&domain, ["seouloffice.kr"]), meant, "{typed}");
        }
    }

    #[test]
    fn one_edit_is_the_same_both_ways() {
        for (a, b, want) in [
            ("abc", "abc", false),
            ("abc", "abd", true),
            ("abc", "ab", true),
            ("abc", "xabc", true),
            ("abcd", "abdc", true),
            ("abcd", "badc", false),
            ("abc", "a", false),
            ("", "a", true),
            ("", "ab", false),
        ] {
            assert_eq!((one_edit(a, b), one_edit(b, a)), (want, want), "{a} {b}");
        }
    }

    #[test]
    fn the_list_is_in_order_and_in_lower_case() {
        assert!(WELL_KNOWN.is_sorted());
        for domain in WELL_KNOWN {
            assert_eq!(domain.parse::<Domain>().unwrap().key(), *domain);
        }
    }
}
