//! Names and records in the text form that zone files and the control port use.

use std::net::IpAddr;

use anyhow::Context;
use hickory_proto::rr::rdata::{A, AAAA, CNAME, MX, NS, PTR, SOA, TXT};
use hickory_proto::rr::{Name, RData, RecordType};

use crate::Result;

/// Octets of one character string of a TXT record.
const STRING: usize = 255;
/// Seconds of a zone's SOA: little, since scenarios edit zones while they run.
const SECONDS: i32 = 1;

/// A domain name, lower case and absolute; `.` is the root.
pub(super) fn name(text: &str) -> Result<Name> {
    let mut name = Name::from_ascii(text).with_context(|| format!("{text} is no domain name"))?.to_lowercase();
    name.set_fqdn(true);
    Ok(name)
}

/// A type by its word, without regard to case.
pub(super) fn kind(text: &str) -> Result<RecordType> {
    text.to_ascii_uppercase().parse().map_err(|_| anyhow::anyhow!("{text} is no type of record"))
}

/// An address record.
pub(super) fn address(address: IpAddr) -> RData {
    match address {
        IpAddr::V4(v4) => RData::A(A(v4)),
        IpAddr::V6(v6) => RData::AAAA(AAAA(v6)),
    }
}

/// A TXT record; a long text is cut into as many strings as it takes.
pub(super) fn text(text: &str) -> RData {
    let strings: Vec<&[u8]> = if text.is_empty() { vec![b""] } else { text.as_bytes().chunks(STRING).collect() };
    RData::TXT(TXT::from_bytes(strings))
}

/// The SOA of a zone that this server made up.
pub(super) fn soa(apex: &Name) -> Result<RData> {
    let (server, mailbox) =
        (Name::from_ascii("ns")?.append_domain(apex)?, Name::from_ascii("hostmaster")?.append_domain(apex)?);
    Ok(RData::SOA(SOA::new(server, mailbox, 1, SECONDS, SECONDS, SECONDS, SECONDS as u32)))
}

/// `A 127.0.0.1`, `AAAA ::1`, `MX 10 mx.b.example`, `CNAME host`, `NS host`, `PTR host` or `TXT text`. The text of a TXT stands as it is,
/// or in strings between quotes, which are joined.
pub(super) fn record(text: &str) -> Result<RData> {
    let (word, data) = text.trim().split_once([' ', '\t']).with_context(|| format!("{text}: a record is TYPE DATA"))?;
    let data = data.trim();
    let about = || format!("{data} is no data of {word}");
    Ok(match kind(word)? {
        RecordType::A => RData::A(A(data.parse().with_context(about)?)),
        RecordType::AAAA => RData::AAAA(AAAA(data.parse().with_context(about)?)),
        RecordType::MX => {
            let (preference, host) = data.split_once([' ', '\t']).with_context(about)?;
            RData::MX(MX::new(preference.parse().with_context(about)?, name(host.trim())?))
        }
        RecordType::CNAME => RData::CNAME(CNAME(name(data)?)),
        RecordType::NS => RData::NS(NS(name(data)?)),
        RecordType::PTR => RData::PTR(PTR(name(data)?)),
        RecordType::TXT => self::text(&unquoted(data)),
        _ => anyhow::bail!("{word} records are not served: A, AAAA, MX, CNAME, NS, PTR, TXT are"),
    })
}

fn unquoted(data: &str) -> String {
    if data.starts_with('"') { data.split('"').skip(1).step_by(2).collect() } else { data.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records() {
        for (text, printed) in [
            ("a 127.0.0.1", "127.0.0.1"),
            ("AAAA ::1", "::1"),
            ("MX  10  mx.B.example", "10 mx.b.example."),
            ("mx 0 .", "0 ."),
            ("TXT \"v=spf1 -all\"", "v=spf1 -all"),
            ("TXT v=spf1 -all", "v=spf1 -all"),
            ("TXT \"v=DMARC1; \" \"p=none\"", "v=DMARC1; p=none"),
            ("PTR mx.b.example", "mx.b.example."),
        ] {
            assert_eq!(record(text).unwrap().to_string(), printed, "{text}");
        }
        for text in ["A", "A x", "MX mx", "HINFO x y", "X 1"] {
            assert!(record(text).is_err(), "{text}");
        }
        let RData::TXT(long) = self::text(&"x".repeat(600)) else { panic!("no TXT") };
        assert_eq!(long.txt_data.iter().map(|string| string.len()).collect::<Vec<_>>(), [255, 255, 90]);
    }
}
