//! Single values: from the text that one writes in a configuration, and what is allowed.

use std::cmp::Ordering;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use jiff::tz::TimeZone;
use lib_mail::Domain;
use serde::{Deserialize, Serialize};

/// A type of single values. Values are read from text alone, so that a number may stand in quotes and an environment variable
/// needs no types of its own.
pub trait Scalar: Sized {
    /// What a value looks like, in words.
    const KIND: &'static str;
    /// Whether its values stand in TOML without quotes.
    const BARE: bool = false;

    /// The value that `text` (trimmed) means, or what is wrong with it.
    fn from_text(text: &str) -> Result<Self, String>;

    /// How two values compare, where a range can be given.
    fn compare(&self, _: &Self) -> Option<Ordering> {
        None
    }
}

macro_rules! number {
    ($($number:ty),+) => { $(
        impl Scalar for $number {
            const KIND: &'static str = "number";
            const BARE: bool = true;

            fn from_text(text: &str) -> Result<Self, String> {
                text.parse().map_err(|_| format!("`{text}` is no whole number up to {}", <$number>::MAX))
            }

            fn compare(&self, other: &Self) -> Option<Ordering> {
                self.partial_cmp(other)
            }
        }
    )+ };
}
number!(u16, u32, u64);

impl Scalar for bool {
    const KIND: &'static str = "true or false";
    const BARE: bool = true;

    fn from_text(text: &str) -> Result<Self, String> {
        match text.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" => Ok(true),
            "false" | "no" | "off" => Ok(false),
            _ => Err(format!("`{text}` is neither true nor false")),
        }
    }
}

impl Scalar for String {
    const KIND: &'static str = "text";

    fn from_text(text: &str) -> Result<Self, String> {
        match text.chars().find(|c| c.is_control()) {
            Some(control) => Err(format!("holds the control character {control:?}")),
            None => Ok(text.to_owned()),
        }
    }
}

impl Scalar for PathBuf {
    const KIND: &'static str = "file name, relative to the directory of bongsu.toml";

    fn from_text(text: &str) -> Result<Self, String> {
        if text.contains('\0') { Err("holds a NUL".into()) } else { Ok(PathBuf::from(text)) }
    }
}

macro_rules! parsed {
    ($($Type:ty, $kind:literal, $example:literal;)+) => { $(
        impl Scalar for $Type {
            const KIND: &'static str = $kind;

            fn from_text(text: &str) -> Result<Self, String> {
                text.parse().map_err(|_| format!("`{text}` is no {}, such as {}", $kind, $example))
            }
        }
    )+ };
}
parsed! {
    IpAddr, "IP address", "192.0.2.1";
    SocketAddr, "IP address and port", "192.0.2.1:53 or [2001:db8::1]:53";
    Domain, "domain", "mail.example.net";
}

impl Scalar for IpNet {
    const KIND: &'static str = "network or IP address";

    fn from_text(text: &str) -> Result<Self, String> {
        let network = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
        let network = network.map_err(|_| format!("`{text}` is no network, such as 192.0.2.0/24"))?;
        if network.trunc() == network {
            Ok(network)
        } else {
            Err(format!("`{text}` has bits set behind its prefix; the network is {}", network.trunc()))
        }
    }
}

/// A count of octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Bytes(pub u64);

/// Longest first where one ends like another.
const UNITS: [(&str, u64); 7] =
    [("kib", 1 << 10), ("mib", 1 << 20), ("gib", 1 << 30), ("kb", 1_000), ("mb", 1_000_000), ("gb", 1_000_000_000), ("b", 1)];

impl Scalar for Bytes {
    const KIND: &'static str = "size";

    fn from_text(text: &str) -> Result<Self, String> {
        let refused = || format!("`{text}` is no size, such as 5024000, 50 MB or 48 MiB");
        let lower = text.to_ascii_lowercase();
        let (digits, unit) = UNITS
            .iter()
            .find_map(|(name, unit)| lower.strip_suffix(name).map(|digits| (digits.trim_end(), *unit)))
            .unwrap_or((&lower, 1));
        let count: u64 = digits.parse().map_err(|_| refused())?;
        count.checked_mul(unit).map(Bytes).ok_or_else(refused)
    }

    fn compare(&self, other: &Self) -> Option<Ordering> {
        self.partial_cmp(other)
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fitting =
            UNITS.iter().filter(|(_, unit)| self.0 >= *unit && self.0.is_multiple_of(*unit)).max_by_key(|(_, unit)| *unit);
        match fitting {
            Some((name, unit)) if *unit > 1 => {
                let name = name.to_ascii_uppercase().replace("IB", "iB").replace("KB", "kB");
                write!(f, "{} {name}", self.0 / unit)
            }
            _ => write!(f, "{}", self.0),
        }
    }
}

impl Scalar for Duration {
    const KIND: &'static str = "duration";

    fn from_text(text: &str) -> Result<Self, String> {
        let refused = || format!("`{text}` is no duration, such as 30s, 5m, 4h or 5d (a number needs its unit)");
        let split = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(refused)?;
        let (digits, unit) = text.split_at(split);
        let count: u64 = digits.parse().map_err(|_| refused())?;
        let seconds = match unit.trim_start() {
            "ms" => return Ok(Duration::from_millis(count)),
            "s" => 1,
            "m" | "min" => 60,
            "h" => 3600,
            "d" => 86_400,
            "w" => 604_800,
            _ => return Err(refused()),
        };
        count.checked_mul(seconds).map(Duration::from_secs).ok_or_else(refused)
    }

    fn compare(&self, other: &Self) -> Option<Ordering> {
        self.partial_cmp(other)
    }
}

/// So many in a span of time: `200/60s`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Rate {
    /// How many; 0 means no limit.
    pub count: u32,
    /// In which time.
    pub per: Duration,
}

impl Scalar for Rate {
    const KIND: &'static str = "rate";

    fn from_text(text: &str) -> Result<Self, String> {
        let refused = || format!("`{text}` is no rate, such as 200/60s");
        let (count, per) = text.split_once('/').ok_or_else(refused)?;
        let count = count.trim().parse().map_err(|_| refused())?;
        let per = Duration::from_text(per.trim()).map_err(|_| refused())?;
        if per.is_zero() { Err(refused()) } else { Ok(Rate { count, per }) }
    }
}

/// The name of a time zone whose rules are compiled in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Zone(String);

impl Zone {
    /// The rules of the zone.
    pub fn rules(&self) -> TimeZone {
        TimeZone::get(&self.0).unwrap_or(TimeZone::UTC)
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl Scalar for Zone {
    const KIND: &'static str = "time zone";

    fn from_text(text: &str) -> Result<Self, String> {
        match TimeZone::get(text) {
            Ok(_) => Ok(Zone(text.to_owned())),
            Err(_) => Err(format!("`{text}` is no time zone, such as UTC or Asia/Seoul")),
        }
    }
}
