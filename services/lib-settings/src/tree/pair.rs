//! The peers of a backup-MX pair.

use std::path::PathBuf;
use std::time::Duration;

use lib_mail::Domain;

use crate::declare::group;

group! {
    /// The peers that this node is backup MX for, or that are its backup. docs/pair.md says how they work together; `bongsu pair new` writes
    /// this section for all of them.
    pub struct Pair {
        /// The file of this node's certificate for its peers, in PEM: self-signed, for this purpose alone.
        certificate_file: Option<PathBuf> { office: "", example: "pair.crt", id: "R3.3", }
        /// The file of its private key, in PEM.
        key_file: Option<PathBuf> { office: "", example: "pair.key", id: "R3.3", }
        /// How often the recipients of the primaries are fetched. A list that has not changed costs one line.
        fetch_interval: Duration { office: "1m", least: "1s", most: "24h", id: "R3.3", }
        /// How often a peer that mail waits for is tried while it cannot be reached.
        probe_interval: Duration { office: "15s", least: "1s", most: "1h", id: "R3.3", }
        /// The other nodes.
        peers: Vec<PairPeer> { office: "", id: "R3.3", }
    }
}

group! {
    /// Another node of a pair.
    pub struct PairPeer {
        /// Its name in status and log: letters, digits, hyphens and dots. Each peer has its own.
        name: String { office: "", example: "mx1.example.net", id: "R3.3", }
        /// The host to connect to, by name or address literal (`[192.0.2.1]`). Empty: the MX hosts of its domains that are better than
        /// this node.
        host: Option<Domain> { office: "", example: "mx1.example.net", id: "R3.3", }
        /// Its port.
        port: u16 { office: "25", least: "1", id: "R3.3", }
        /// The SHA-256 fingerprint of its certificate, 64 hexadecimal digits with or without colons. Who cannot prove to have that key is
        /// not the peer.
        fingerprint: String { office: "", example: "00", id: "R3.3", }
        /// The domains that it is primary for, each with its subdomains; this node takes mail for them from anybody, as for
        /// `domains.relay`. Empty: it is only our backup.
        domains: Vec<Domain> { office: "", example: "example.net", id: "R3.3", }
        /// How long its list of recipients may have gone without being confirmed. With an older one, an unknown recipient is answered 451
        /// and not 550.
        max_age: Duration { office: "24h", least: "1s", most: "30d", id: "R3.3", }
    }
}

impl PairPeer {
    /// The fingerprint as 64 digits in lower case; `None` where it is none.
    pub fn pinned(&self) -> Option<String> {
        let digits: String = self.fingerprint.chars().filter(|c| *c != ':').map(|c| c.to_ascii_lowercase()).collect();
        (digits.len() == 64 && digits.bytes().all(|b| b.is_ascii_hexdigit())).then_some(digits)
    }
}
