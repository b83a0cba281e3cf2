//! Whether a server's words say that a block list names us: the one refusal that is about the sending host and about nothing that the
//! sender of the message did (R2.5).
//!
//! The words of remotes follow no standard, so this is a table of what they write. A guess, for people: nothing may be decided by it.

use crate::{By, Class, Status};

/// A block list by which a server refuses our mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockList<'a> {
    /// Who keeps it, as people know it; `None` where the words do not tell.
    pub name: Option<&'static str>,
    /// The page that the server gave, `http…`: printable ASCII, at most 300 octets.
    pub url: Option<&'a str>,
}

/// A longer URL is left out.
const MAX_URL: usize = 300;

/// Words that only a list of hosts goes with, and its name. In lower case; the first row that fits counts.
const LISTS: &[(&str, &str)] = &[
    ("pbl.spamhaus", "Spamhaus PBL"),
    ("spamhaus.org/pbl", "Spamhaus PBL"),
    ("sbl.spamhaus", "Spamhaus SBL"),
    ("spamhaus.org/sbl", "Spamhaus SBL"),
    ("xbl.spamhaus", "Spamhaus XBL"),
    ("spamhaus.org/xbl", "Spamhaus XBL"),
    ("cbl.abuseat", "Spamhaus XBL"),
    ("spamhaus", "Spamhaus"),
    ("spamcop", "SpamCop"),
    ("barracudacentral", "Barracuda"),
    ("barracudanetworks.com/reputation", "Barracuda"),
    ("barracuda reputation", "Barracuda"),
    ("spamlist.or.kr", "KISA RBL"),
    ("kisarbl", "KISA RBL"),
    ("kisa rbl", "KISA RBL"),
    ("kisa-rbl", "KISA RBL"),
    ("rbl.kisa", "KISA RBL"),
    ("(s3140)", "Microsoft (Outlook.com)"),
    ("(s3150)", "Microsoft (Outlook.com)"),
    ("banned sending ip", "Microsoft (Office 365)"),
    ("sender.office.com", "Microsoft (Office 365)"),
    ("sorbs.net", "SORBS"),
    ("uceprotect", "UCEPROTECT"),
    ("psbl.surriel", "PSBL"),
    ("spamrats", "SpamRATS"),
    ("mailspike", "Mailspike"),
    ("bl.manitu.net", "NiX Spam"),
    ("dnsbl.manitu.net", "NiX Spam"),
    ("ivmsip", "invaluement"),
    ("gbudb", "GBUdb"),
    ("ipcheck.proofpoint", "Proofpoint"),
    ("csi.cloudmark", "Cloudmark"),
    ("mail-abuse.com", "Trend Micro"),
    ("senderbase", "Cisco Talos"),
    ("talosintelligence", "Cisco Talos"),
];
/// Words of a list, whosever it is. They may also be about a sender's or a recipient's own list, so the text must speak of a host besides.
const WORDS: &[&str] = &[
    "blocked using",
    "rejected using",
    "dnsbl",
    "rbl",
    "blackhole",
    "blocklist",
    "block list",
    "block-list",
    "blacklist",
    "black list",
    "black-list",
    "denylist",
    "deny list",
    "listed at",
    "listed in",
    "listed on",
    "listed by",
];
/// What a text speaks of that speaks of the sending host.
const HOSTS: &[&str] = &[
    "client host",
    "sending host",
    "sending ip",
    "your ip",
    "ip address",
    "your host",
    "your server",
    "your mail server",
    "dnsbl",
    "rbl",
];
/// Lists of domains and links in the content: those name the message, not the host.
const OF_CONTENT: &[&str] =
    &["dbl.spamhaus", "spamhaus.org/dbl", "spamhaus dbl", "surbl", "uribl", "url listed", "link listed", "domain listed"];

/// The block list that a refusal tells of; `None` where it tells of none, or was not said by another server.
///
/// ```
/// use lib_mail::{By, Enhanced, Status, Timestamp, block_list};
/// let by = By::Remote("mx.example.kr [192.0.2.9]".into());
/// let words = "Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org";
/// let status = Status::new(554, Enhanced::new(5, 7, 1), by, words, Timestamp(0));
/// assert_eq!(block_list(&status).unwrap().name, Some("Spamhaus"));
/// ```
pub fn block_list(status: &Status) -> Option<BlockList<'_>> {
    // Most of what waits in a queue waits for a server that was not reached, and so has said nothing.
    let unreached = status.class() == Class::Temporary && status.enhanced.subject == 4;
    if status.is_success() || status.by == By::Local || unreached {
        return None;
    }
    let text = status.text.to_ascii_lowercase();
    let any = |words: &[&str]| words.iter().any(|word| has_word(&text, word));
    if any(OF_CONTENT) {
        return None;
    }
    let name = LISTS.iter().find(|(word, _)| has_word(&text, word)).map(|(_, name)| *name);
    let told = name.is_some() || any(WORDS) && (any(HOSTS) || names_an_address(&text));
    told.then(|| BlockList { name, url: url(&status.text) })
}

/// Whether `word` stands in `text` and does not begin in the middle of another word: `rbl` is not in `marble`, nor `surbl` in `kisarbl`.
fn has_word(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(at, _)| !text[..at].ends_with(|c: char| c.is_alphanumeric()))
}

/// Whether a word is an IP address, in brackets or not.
fn names_an_address(text: &str) -> bool {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '.' || c == ':'));
    words.map(|word| word.trim_matches(['.', ':'])).any(|word| word.parse::<std::net::IpAddr>().is_ok())
}

/// The first link in a text.
fn url(text: &str) -> Option<&str> {
    let start = ["https://", "http://"].iter().filter_map(|scheme| text.find(scheme)).min()?;
    let link = &text[start..];
    let end = link.find(|c: char| !c.is_ascii_graphic() || "<>\"[]()".contains(c)).unwrap_or(link.len());
    let link = link[..end].trim_end_matches(['.', ',', ';', ':', '!', '?', '\'']);
    (link.len() <= MAX_URL && link.split_once("//").is_some_and(|(_, rest)| !rest.is_empty())).then_some(link)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Enhanced, Timestamp};

    fn said(text: &str) -> Status {
        Status::new(550, Enhanced::new(5, 7, 1), By::Remote("mx.example.kr [192.0.2.9]".into()), text, Timestamp(0))
    }

    #[test]
    fn what_servers_write_when_a_list_names_us() {
        for (text, name, url) in [
            (
                "Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org; https://www.spamhaus.org/query/ip/192.0.2.1",
                Some("Spamhaus"),
                Some("https://www.spamhaus.org/query/ip/192.0.2.1"),
            ),
            (
                "blocked using pbl.spamhaus.org (http://www.spamhaus.org/query/bl?ip=192.0.2.1).",
                Some("Spamhaus PBL"),
                Some("http://www.spamhaus.org/query/bl?ip=192.0.2.1"),
            ),
            (
                "See http://www.spamhaus.org/sbl/query/SBL123.",
                Some("Spamhaus SBL"),
                Some("http://www.spamhaus.org/sbl/query/SBL123"),
            ),
            (
                "Blocked - see https://www.spamcop.net/bl.shtml?192.0.2.1",
                Some("SpamCop"),
                Some("https://www.spamcop.net/bl.shtml?192.0.2.1"),
            ),
            ("Client host [192.0.2.1] blocked using b.barracudacentral.org;", Some("Barracuda"), None),
            (
                "Your IP was rejected, see <http://www.barracudanetworks.com/reputation/?pr=1&ip=192.0.2.1>",
                Some("Barracuda"),
                Some("http://www.barracudanetworks.com/reputation/?pr=1&ip=192.0.2.1"),
            ),
            (
                "192.0.2.1 is listed in spamlist.or.kr, https://www.kisarbl.or.kr/",
                Some("KISA RBL"),
                Some("https://www.kisarbl.or.kr/"),
            ),
            ("KISA-RBL denied", Some("KISA RBL"), None),
            ("KISA RBL에 등록된 IP입니다. https://www.kisarbl.or.kr", Some("KISA RBL"), Some("https://www.kisarbl.or.kr")),
            (
                "Unfortunately, messages from [192.0.2.1] weren't sent. Please contact your Internet service provider since part of their \
                 network is on our block list (S3150). You can also refer your provider to http://mail.live.com/mail/troubleshooting.aspx#errors. [x.outlook.com]",
                Some("Microsoft (Outlook.com)"),
                Some("http://mail.live.com/mail/troubleshooting.aspx#errors"),
            ),
            ("... on our block list (S3140).", Some("Microsoft (Outlook.com)"), None),
            (
                "Access denied, banned sending IP [192.0.2.1]. To request removal visit https://sender.office.com/ and",
                Some("Microsoft (Office 365)"),
                Some("https://sender.office.com/"),
            ),
            ("Client host [2001:db8::1] blocked using bl.example.net", None, None),
            ("Your IP address is on our blacklist", None, None),
            ("Rejected by DNSBL", None, None),
            ("RBL: 192.0.2.1 listed at bl.example.net", None, None),
            ("Mail from 192.0.2.1 refused: listed in our blocklist, https://", None, None),
            (
                "Delivery time expired; the last attempt: 451 4.7.1 Client host blocked using zen.spamhaus.org",
                Some("Spamhaus"),
                None,
            ),
        ] {
            assert_eq!(block_list(&said(text)), Some(BlockList { name, url }), "{text}");
        }
    }

    #[test]
    fn what_is_about_something_else() {
        for text in [
            "No such user",
            "Sender address blacklisted by recipient",
            "The recipient has you on a block list",
            "Message refused: it holds a URL listed in SURBL, 192.0.2.1",
            "Domain x.example blocked using dbl.spamhaus.org",
            "Marble 192.0.2.1",
            "Mailing list closed, 192.0.2.1",
            "Greylisted; see http://postgrey.schweikert.ch/help/192.0.2.1.html",
            "Greylisted in action for 192.0.2.1",
            "",
        ] {
            assert_eq!(block_list(&said(text)), None, "{text}");
        }
        let words = "Client host [192.0.2.1] blocked using zen.spamhaus.org";
        assert_eq!(block_list(&Status { by: By::Local, ..said(words) }), None);
        assert_eq!(block_list(&Status { code: 250, ..said(words) }), None);
        assert_eq!(block_list(&Status { code: 421, enhanced: Enhanced::new(4, 4, 1), ..said(words) }), None);
    }

    #[test]
    fn links() {
        let long = format!("https://x.example/{}", "x".repeat(MAX_URL));
        for (text, want) in [
            ("see https://a.example/b?c=d#e.", Some("https://a.example/b?c=d#e")),
            ("https://a.example http://b.example", Some("https://a.example")),
            ("http://b.example https://a.example", Some("http://b.example")),
            ("(http://b.example/x)", Some("http://b.example/x")),
            ("http://", None),
            ("한 http://한.example", None),
            ("www.example.net", None),
            (&long, None),
        ] {
            assert_eq!(url(text), want, "{text}");
        }
    }
}
