//! The declarations. Doc comments here are the paragraphs of docs/settings.md: write them for the operator.

mod machine;
mod outgoing;
mod pair;
mod serving;
mod smtp;

pub use machine::*;
pub use outgoing::*;
pub use pair::*;
pub use serving::*;
pub use smtp::*;

use std::net::IpAddr;

use ipnet::IpNet;
use lib_mail::Domain;

use crate::declare::{choice, group};
use crate::{Reload, Zone};

choice! {
    /// Which set of defaults holds where nothing else is said.
    pub enum Profile {
        /// What today's Internet asks.
        Office = "office",
        /// The numbers that Linux courses teach.
        Classic = "classic",
    }
}

choice! {
    /// What a listener is for. Rights come from it.
    pub enum ListenerRole {
        /// Port 25: mail from other servers.
        Mx = "mx",
        /// Port 587: mail from our users, after AUTH.
        Submission = "submission",
        /// Port 465: the same under TLS from the first octet.
        Submissions = "submissions",
        /// Port 110: mailboxes.
        Pop3 = "pop3",
        /// Port 995: mailboxes under TLS from the first octet.
        Pop3s = "pop3s",
    }
}

choice! {
    /// When a listener speaks TLS.
    pub enum ListenerTls {
        /// Never.
        None = "none",
        /// After STARTTLS or STLS.
        Starttls = "starttls",
        /// From the first octet.
        Implicit = "implicit",
    }
}

choice! {
    /// Whether a password may be sent without TLS.
    pub enum Plaintext {
        /// Never.
        Never = "never",
        /// From a loopback address only.
        Loopback = "loopback",
        /// From everywhere.
        Always = "always",
    }
}

impl Plaintext {
    /// Whether a client at `address` may send a password without TLS.
    pub fn allows(self, address: IpAddr) -> bool {
        match self {
            Plaintext::Never => false,
            Plaintext::Loopback => address.to_canonical().is_loopback(),
            Plaintext::Always => true,
        }
    }
}

group! {
    /// One address and port that the server listens on.
    pub struct Listener {
        /// Its name in status and log; each listener has its own.
        name: String { office: "", example: "mx", id: "R1.13", }
        /// The address to listen on; `::` means all IPv6 and IPv4 addresses.
        address: IpAddr { office: "::", origin: "sendmail DaemonPortOptions Addr", id: "R1.13", }
        /// The port.
        port: u16 { office: "", least: "1", example: "25", origin: "sendmail DaemonPortOptions Port", id: "R1.13", }
        /// What it is for. A client's rights depend on it: only `mx` takes mail for our domains from strangers, and only
        /// `submission` and `submissions` let our users send after AUTH.
        role: ListenerRole { office: "", example: "mx", id: "R1.13", }
        /// When TLS begins: never, after STARTTLS (POP3: STLS), or with the first octet.
        tls: ListenerTls { office: "starttls", id: "R1.13", }
    }
}

group! {
    /// All settings of a node.
    pub struct Settings {
        /// Which defaults hold: `office` for today's Internet, `classic` for the numbers that courses teach.
        profile: Profile { office: "office", id: "R1", }
        /// The full name of this host, as it stands in its A and PTR records: it goes into greetings, EHLO and Received fields.
        /// It has no default, because a wrong one makes other servers refuse our mail.
        hostname: Domain { office: "", example: "mail.example.net", origin: "sendmail j macro", reload: Reload::Restart, id: "R1.6", }
        /// The domain of a login or alias that is written without one. Empty: the host name without its first label.
        default_domain: Option<Domain> { office: "", example: "example.net", origin: "sendmail MASQUERADE_AS", id: "R4.5", }
        /// The time zone of log lines, Date and Received fields.
        time_zone: Zone { office: "UTC", example: "Asia/Seoul", id: "R6.3", }
        /// Networks and addresses that no per-address limit counts: a load balancer, a monitor, a gateway that hides its clients.
        exempt_networks: Vec<IpNet> { office: "", example: "192.0.2.8", id: "R1.14", }
        /// The addresses and ports to listen on.
        listen: Vec<Listener> {
            office: concat!(
                r#"[{ name = "mx", port = 25, role = "mx" }, { name = "submission", port = 587, role = "submission" }, "#,
                r#"{ name = "submissions", port = 465, role = "submissions", tls = "implicit" }, "#,
                r#"{ name = "pop3", port = 110, role = "pop3" }, { name = "pop3s", port = 995, role = "pop3s", tls = "implicit" }]"#,
            ),
            origin: "sendmail DaemonPortOptions",
            id: "R1.13",
        }
        /// Which domains are ours, and who has which name.
        domains: Domains { id: "R4.1", }
        /// Receiving mail.
        smtp: Smtp { id: "R1", }
        /// The directory where messages wait.
        spool: Spool { id: "R1.5", }
        /// What becomes of messages that wait.
        queue: Queue { id: "R3.2", }
        /// Sending mail to other servers.
        relay: Relay { id: "R3.1", }
        /// The peers of a backup-MX pair.
        pair: Pair { id: "R3.3", }
        /// Delivering to mailboxes.
        deliver: Deliver { id: "R4", }
        /// Reading mailboxes.
        pop3: Pop3 { id: "R5", }
        /// Checking passwords.
        auth: Auth { id: "R1.12", }
        /// Certificates.
        tls: Tls { id: "R5.4", }
        /// What is written down.
        log: Log { id: "R6.3", }
        /// Which user each role runs as, where the supervisor is root (compose.strict.yaml). Empty: all run as the supervisor's own.
        users: Users { id: "R8", }
        /// For tests, demonstrations and lessons only; each is named loudly at start.
        testing: Testing { id: "R7", }
    }
}

group! {
    /// Which domains are ours, and who has which name. The files are in the classic formats, beside bongsu.toml, and are read
    /// again within seconds of a change.
    pub struct Domains {
        /// Domains whose mailboxes are here, beside those in the file. Where both are empty: the default domain and the host name.
        local: Vec<Domain> { office: "", example: "example.net", origin: "sendmail class w", id: "R4.1", }
        /// The file of such domains, one a line. It need not exist.
        local_file: std::path::PathBuf { office: "local-host-names", origin: "sendmail confCW_FILE", id: "R4.1", }
        /// Domains, each with its subdomains, that anybody may send to through us: we are their backup MX. It never lets hosts
        /// of that domain send to others.
        relay: Vec<Domain> { office: "", example: "example.org", origin: "sendmail class R", id: "R1.11", }
        /// The file of such domains, one a line. It need not exist.
        relay_file: std::path::PathBuf { office: "relay-domains", origin: "sendmail confCR_FILE", id: "R1.11", }
        /// The file of aliases. It need not exist.
        aliases_file: std::path::PathBuf { office: "aliases", origin: "sendmail AliasFile", id: "R4.2", }
    }
}
