//! Messages that wait, and those that leave for other servers.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use lib_mail::Domain;

use crate::declare::{choice, group};

choice! {
    /// How far TLS goes towards another server.
    pub enum RelayTls {
        /// Never.
        None = "none",
        /// Where it is offered, without checking the name; without TLS where it is not or fails.
        Opportunistic = "opportunistic",
        /// Always, with a valid certificate for the name; else the message waits.
        Required = "required",
        /// From the first octet (port 465), with a valid certificate.
        Implicit = "implicit",
    }
}

choice! {
    /// Yes, no, or as the machine has it.
    pub enum Ipv6 {
        /// Where this host has a global IPv6 address.
        Auto = "auto",
        /// Always.
        On = "on",
        /// Never.
        Off = "off",
    }
}

group! {
    /// What becomes of messages that wait.
    pub struct Queue {
        /// How long a message waits after the first, the second … failed attempt; the last stands for all further ones.
        retry: Vec<Duration> { office: "5m, 15m, 30m", classic: Some("30m"), least: "1s", most: "24h", origin: "sendmail -q30m", id: "R3.2", }
        /// After this time a failed attempt is the last, and the message is returned to its sender.
        return_after: Duration { office: "5d", least: "1m", most: "30d", origin: "sendmail Timeout.queuereturn", id: "R3.2", }
        /// After this time the sender is told that the message waits.
        warn_after: Duration { office: "4h", least: "1m", most: "30d", origin: "sendmail Timeout.queuewarn", id: "R3.2", }
        /// The mailbox name that notifications to senders are from.
        bounce_sender: String { office: "MAILER-DAEMON", origin: "sendmail n macro", id: "R3.4", }
    }
}

group! {
    /// Sending mail to other servers.
    pub struct Relay {
        /// Whether mail leaves at all. What would leave waits while this is false.
        enabled: bool { office: "true", origin: "sendmail DeliveryMode=queue", id: "R3.9", }
        /// The port of other servers. Only tests and lessons have another than 25.
        port: u16 { office: "25", least: "1", id: "R3.1", }
        /// Whether an MX may have a loopback address. Only tests and lessons need it.
        allow_loopback: bool { office: "false", id: "R3.1", }
        /// The name servers to ask. Empty: those of /etc/resolv.conf.
        nameservers: Vec<SocketAddr> { office: "", example: "192.0.2.53:53", reload: crate::Reload::Restart, id: "R3.1", }
        /// How far TLS goes towards other servers.
        tls: RelayTls { office: "opportunistic", id: "R3.7", }
        /// Connections at one time.
        concurrency: u32 { office: "100", least: "1", most: "10000", origin: "sendmail MaxQueueChildren", reload: crate::Reload::Restart, id: "R3.7", }
        /// Connections at one time to one destination.
        per_destination: u32 { office: "10", least: "1", most: "1000", id: "R3.7", }
        /// How long to wait for a connection.
        connect_timeout: Duration { office: "30s", least: "1s", most: "5m", origin: "sendmail Timeout.connect", id: "R3.1", }
        /// How long to wait for the greeting and for the reply to a command.
        reply_timeout: Duration { office: "5m", least: "1s", most: "1h", origin: "sendmail Timeout.mail", id: "R3.1", }
        /// How long to wait for the reply to a message. Shorter than the other server's work makes duplicates: RFC 5321 §4.5.3.2.6
        /// asks for ten minutes.
        final_dot_timeout: Duration { office: "10m", least: "1s", most: "2h", origin: "sendmail Timeout.datafinal", id: "R3.1", }
        /// The addresses under which this host is known outside, where it does not have them itself (a container, NAT): an MX with
        /// one of them is this host.
        public_addresses: Vec<IpAddr> { office: "", example: "192.0.2.25", id: "R3.1", }
        /// Whether other servers are reached over IPv6.
        ipv6: Ipv6 { office: "auto", id: "R3.1", }
        /// A server that takes all our mail for other domains.
        smart_host: SmartHost { id: "R3.7", }
    }
}

group! {
    /// A server that takes all our mail for other domains.
    pub struct SmartHost {
        /// Its name or its address literal (`[192.0.2.1]`). Empty: no smart host; mail goes to each domain's MX.
        host: Option<Domain> { office: "", example: "smtp.example.com", origin: "sendmail SMART_HOST", id: "R3.7", }
        /// Its port.
        port: u16 { office: "587", least: "1", id: "R3.7", }
        /// How far TLS goes towards it. With `required` and `implicit` its certificate must be valid for its name, or mail waits and the
        /// password is not sent; `opportunistic` takes any certificate, and `none` sends the password in the clear.
        tls: RelayTls { office: "required", id: "R3.7", }
        /// The user to authenticate as. Empty: no AUTH. While the login is refused, mail waits, and `bongsu mailq` shows what the host said.
        user: Option<String> { office: "", example: "office", id: "R3.7", }
        /// The file that holds the password, in its first line.
        password_file: Option<PathBuf> { office: "", example: "smart-host-password", id: "R3.7", }
    }
}
