//! What a server offers in its reply to EHLO (RFC 5321 §4.1.1.1).

use crate::reply::Reply;

/// The service extensions that this client knows. All are off after HELO.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// PIPELINING (RFC 2920).
    pub pipelining: bool,
    /// 8BITMIME (RFC 6152).
    pub eight_bit: bool,
    /// SMTPUTF8 (RFC 6531).
    pub utf8: bool,
    /// DSN (RFC 3461).
    pub dsn: bool,
    /// STARTTLS (RFC 3207).
    pub start_tls: bool,
    /// SIZE (RFC 1870): `Some(0)` is offered without a limit; octets on the wire without dot-stuffing.
    pub size: Option<u64>,
    /// AUTH PLAIN (RFC 4616).
    pub auth_plain: bool,
    /// AUTH EXTERNAL (RFC 4422): the server knows our certificate.
    pub auth_external: bool,
    /// XFORWARD, for the hand-over to a peer.
    pub forward: bool,
    /// AUTH LOGIN, of no RFC and in every server.
    pub auth_login: bool,
}

impl Capabilities {
    /// Reads the reply to EHLO. Its first line is the server's name; keywords count in any case; unknown ones are skipped.
    pub fn parse(reply: &Reply) -> Capabilities {
        let mut offered = Capabilities::default();
        for line in reply.lines.iter().skip(1) {
            // Servers of the last century announce `AUTH=PLAIN LOGIN`.
            let mut words = line.split([' ', '=']).filter(|word| !word.is_empty());
            let Some(keyword) = words.next() else { continue };
            match keyword.to_ascii_uppercase().as_str() {
                "PIPELINING" => offered.pipelining = true,
                "8BITMIME" => offered.eight_bit = true,
                "SMTPUTF8" => offered.utf8 = true,
                "DSN" => offered.dsn = true,
                "STARTTLS" => offered.start_tls = true,
                "XFORWARD" => offered.forward = true,
                "SIZE" => offered.size = Some(words.next().and_then(|limit| limit.parse().ok()).unwrap_or(0)),
                "AUTH" => {
                    for mechanism in words {
                        offered.auth_plain |= mechanism.eq_ignore_ascii_case("PLAIN");
                        offered.auth_external |= mechanism.eq_ignore_ascii_case("EXTERNAL");
                        offered.auth_login |= mechanism.eq_ignore_ascii_case("LOGIN");
                    }
                }
                _ => {}
            }
        }
        offered
    }

    /// Whether a message of `size` octets is over the server's stated limit.
    pub fn refuses_size(&self, size: u64) -> bool {
        matches!(self.size, Some(limit) if limit > 0 && size > limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offered(lines: &[&str]) -> Capabilities {
        let lines = std::iter::once("mx.example.net").chain(lines.iter().copied()).map(str::to_owned).collect();
        Capabilities::parse(&Reply { code: 250, enhanced: None, lines })
    }

    #[test]
    fn keywords() {
        let none = Capabilities::default();
        for (lines, want) in [
            (&["PIPELINING"][..], Capabilities { pipelining: true, ..none.clone() }),
            (&["pipelining", "8BitMime"], Capabilities { pipelining: true, eight_bit: true, ..none.clone() }),
            (&["SIZE 5024000"], Capabilities { size: Some(5_024_000), ..none.clone() }),
            (&["SIZE"], Capabilities { size: Some(0), ..none.clone() }),
            (&["SIZE much"], Capabilities { size: Some(0), ..none.clone() }),
            (&["SIZE 99999999999999999999999"], Capabilities { size: Some(0), ..none.clone() }),
            (&["AUTH PLAIN login"], Capabilities { auth_plain: true, auth_login: true, ..none.clone() }),
            (&["AUTH=LOGIN"], Capabilities { auth_login: true, ..none.clone() }),
            (&["AUTH EXTERNAL", "XFORWARD ADDR HELO"], Capabilities { auth_external: true, forward: true, ..none.clone() }),
            (&["STARTTLS", "DSN", "SMTPUTF8"], Capabilities { start_tls: true, dsn: true, utf8: true, ..none.clone() }),
            (&["", "X-FOO", "CHUNKING", "ENHANCEDSTATUSCODES"], none.clone()),
        ] {
            assert_eq!(offered(lines), want, "{lines:?}");
        }
        let name_only = Reply { code: 250, enhanced: None, lines: vec!["PIPELINING".into()] };
        assert_eq!(Capabilities::parse(&name_only), none);
    }

    #[test]
    fn size_limit() {
        for (lines, size, refused) in
            [(&["SIZE 100"][..], 100, false), (&["SIZE 100"], 101, true), (&["SIZE 0"], 101, false), (&[], 101, false)]
        {
            assert_eq!(offered(lines).refuses_size(size), refused, "{lines:?} {size}");
        }
    }
}
