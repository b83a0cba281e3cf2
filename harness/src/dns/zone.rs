//! Records and moods by name, edited while they are served.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Context;
use hickory_proto::rr::rdata::{CNAME, MX};
use hickory_proto::rr::{Name, RData};

use super::Mood;
use super::data::{address, name, record, text};
use crate::Result;

/// Records and moods. Every edit is in force for the next question. Copies are the same zone.
#[derive(Debug, Clone, Default)]
pub struct Zone {
    table: Arc<Mutex<Table>>,
}

/// What a zone holds.
#[derive(Debug, Default)]
pub(super) struct Table {
    records: BTreeMap<Name, Vec<RData>>,
    moods: BTreeMap<Name, Mood>,
    mood: Option<Mood>,
}

impl Table {
    /// The mood of a name; the zone's own where the name has none.
    pub(super) fn mood(&self, at: &Name) -> Option<&Mood> {
        self.moods.get(at).or(self.mood.as_ref())
    }

    /// The records of a name.
    pub(super) fn at(&self, at: &Name) -> &[RData] {
        self.records.get(at).map_or(&[], Vec::as_slice)
    }

    /// Whether the name, or one below it, has records.
    pub(super) fn exists(&self, at: &Name) -> bool {
        self.records.keys().any(|name| at.zone_of(name))
    }
}

impl Zone {
    /// `domain MX preference host`; a host of `.` is the null MX.
    pub fn mx(&self, domain: &str, preference: u16, host: &str) -> Result<()> {
        self.insert(domain, RData::MX(MX::new(preference, name(host)?)))
    }

    /// `host A address` or `host AAAA address`.
    pub fn host(&self, host: &str, to: IpAddr) -> Result<()> {
        self.insert(host, address(to))
    }

    /// `alias CNAME host`.
    pub fn cname(&self, alias: &str, host: &str) -> Result<()> {
        self.insert(alias, RData::CNAME(CNAME(name(host)?)))
    }

    /// `name TXT text`.
    pub fn txt(&self, at: &str, words: &str) -> Result<()> {
        self.insert(at, text(words))
    }

    /// Adds a record, as `TYPE DATA`: `MX 10 mx.b.example`.
    pub fn add(&self, at: &str, data: &str) -> Result<()> {
        self.insert(at, record(data)?)
    }

    /// As [`Zone::add`], in the place of all records of that name and type.
    pub fn set(&self, at: &str, data: &str) -> Result<()> {
        let (at, data) = (name(at)?, record(data)?);
        let mut table = self.table();
        let records = table.records.entry(at).or_default();
        records.retain(|old| old.record_type() != data.record_type());
        records.push(data);
        Ok(())
    }

    /// Removes every record of `at`.
    pub fn remove(&self, at: &str) -> Result<()> {
        let at = name(at)?;
        self.table().records.remove(&at);
        Ok(())
    }

    /// Adds the records of a text: a line for each, `NAME TYPE DATA`; what follows `;` or `#` at a line's start is skipped, as are empty
    /// lines. An error names the line; the lines before it are in force.
    pub fn load(&self, zone: &str) -> Result<()> {
        for (number, line) in zone.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with([';', '#']) {
                continue;
            }
            let added =
                line.split_once([' ', '\t']).context("a line is NAME TYPE DATA").and_then(|(at, data)| self.add(at, data));
            added.with_context(|| format!("line {}: {line}", number + 1))?;
        }
        Ok(())
    }

    /// What to do with questions for `at`, or for every name without a mood of its own where it is `None`. Fails where a lie is no record.
    pub fn mood(&self, at: Option<&str>, mood: Mood) -> Result<()> {
        if let Mood::Lie(records) = &mood {
            records.iter().try_for_each(|lie| record(lie).map(|_| ()))?;
        }
        match at {
            None => self.table().mood = Some(mood),
            Some(at) => {
                let at = name(at)?;
                self.table().moods.insert(at, mood);
            }
        }
        Ok(())
    }

    /// Puts `address` on the block list `zone` with these codes, each an address of 127.0.0.0/8, and a text unless it is empty. In the place of
    /// what it was listed with. The zone gets the entries by which a client finds out that it is a block list that works
    /// (RFC 5782 §5): 127.0.0.2 and ::ffff:7f00:2 are listed, 127.0.0.1 and ::ffff:7f00:1 are not.
    pub fn listed(&self, zone: &str, address: IpAddr, codes: &[Ipv4Addr], words: &str) -> Result<()> {
        let test = Ipv4Addr::new(127, 0, 0, 2);
        for listed in [IpAddr::V4(test), IpAddr::V6(test.to_ipv6_mapped())] {
            self.enter(&reversed(listed, zone)?, &[test], "a test entry")?;
        }
        self.enter(&reversed(address, zone)?, codes, words)
    }

    /// Takes `address` off the block list `zone`.
    pub fn unlisted(&self, zone: &str, address: IpAddr) -> Result<()> {
        self.remove(&reversed(address, zone)?)
    }

    fn enter(&self, at: &str, codes: &[Ipv4Addr], words: &str) -> Result<()> {
        self.remove(at)?;
        for code in codes {
            self.host(at, IpAddr::V4(*code))?;
        }
        if words.is_empty() { Ok(()) } else { self.txt(at, words) }
    }

    fn insert(&self, at: &str, data: RData) -> Result<()> {
        let at = name(at)?;
        self.table().records.entry(at).or_default().push(data);
        Ok(())
    }

    pub(super) fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The name of an address on a block list: its octets, or the nibbles of IPv6, from the last, before the zone.
pub(crate) fn reversed(address: IpAddr, zone: &str) -> Result<String> {
    let labels: Vec<String> = match address {
        IpAddr::V4(v4) => v4.octets().iter().rev().map(u8::to_string).collect(),
        IpAddr::V6(v6) => {
            v6.octets().iter().rev().flat_map(|octet| [octet & 15, octet >> 4]).map(|nibble| format!("{nibble:x}")).collect()
        }
    };
    let zone = zone.trim_matches('.');
    anyhow::ensure!(!zone.is_empty(), "a block list has a name");
    Ok(format!("{}.{zone}", labels.join(".")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reversed_addresses() {
        assert_eq!(reversed("192.0.2.99".parse().unwrap(), "bl.example.").unwrap(), "99.2.0.192.bl.example");
        assert_eq!(
            reversed("2001:db8:1:2:3:4:567:89ab".parse().unwrap(), "bl.example").unwrap(),
            "b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.8.b.d.0.1.0.0.2.bl.example"
        );
        assert!(reversed("192.0.2.99".parse().unwrap(), ".").is_err());
    }

    #[test]
    fn zone_text() {
        let zone = Zone::default();
        zone.load("; a zone\n\nb.example MX 10 mx.b.example\n  mx.b.example\tA 127.0.0.1\n# end\n").unwrap();
        assert_eq!(zone.table().at(&name("MX.b.example.").unwrap()).len(), 1);
        assert!(zone.table().exists(&name("example").unwrap()));
        let error = zone.load("b.example MX 10 mx.b.example\nb.example MX x\n").unwrap_err();
        assert!(format!("{error:#}").starts_with("line 2: b.example MX x"), "{error:#}");
        zone.set("b.example", "MX 5 other.b.example").unwrap();
        assert_eq!(zone.table().at(&name("b.example").unwrap()).len(), 1);
        assert!(zone.mood(None, Mood::Lie(vec!["A".into()])).is_err());
    }
}
