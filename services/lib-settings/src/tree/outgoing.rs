//! Messages that wait, and those that leave for other servers.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use lib_mail::Domain;

use crate::Rate;
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
        /// By how much each further wait is longer than the one before, once the list is used up: 1 keeps the last one, 2 doubles it each
        /// time.
        retry_growth: u32 { office: "1", least: "1", most: "10", origin: "Postfix minimal_backoff_time, maximal_backoff_time", id: "R3.2", }
        /// The longest wait that growth leads to.
        retry_most: Duration { office: "4h", least: "1m", most: "24h", origin: "Postfix maximal_backoff_time", id: "R3.2", }
        /// After this time a failed attempt is the last, and the message is returned to its sender.
        return_after: Duration { office: "5d", least: "1m", most: "30d", origin: "sendmail Timeout.queuereturn", id: "R3.2", }
        /// The same for notifications (bounces) that wait themselves: whoever does not take them is seldom worth five days.
        return_bounce_after: Duration { office: "2d", least: "1m", most: "30d", origin: "sendmail Timeout.queuereturn.dsn", id: "R3.2", }
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
        /// Connections at one time that are at work. Those that last over five seconds hold up no other, and may be three times as many
        /// beside them; destinations with recent trouble get at most half.
        concurrency: u32 { office: "100", least: "1", most: "10000", origin: "sendmail MaxQueueChildren", id: "R3.7", }
        /// Connections at one time to one destination. It begins with two and gets one more with each message that is answered, and half
        /// as many after trouble.
        per_destination: u32 { office: "10", least: "1", most: "1000", origin: "Postfix default_destination_concurrency_limit", id: "R3.7", }
        /// Messages to one destination in a time, evenly spread; a count of 0 means no limit.
        rate_per_destination: Rate { office: "0/60s", origin: "Postfix default_destination_rate_delay", id: "R3.7", }
        /// How long to wait for a connection.
        connect_timeout: Duration { office: "30s", least: "1s", most: "5m", origin: "sendmail Timeout.connect", id: "R3.1", }
        /// How long to wait for the greeting and for the reply to a command.
        reply_timeout: Duration { office: "5m", least: "1s", most: "1h", origin: "sendmail Timeout.mail", id: "R3.1", }
        /// How long another server may take to accept a piece of a message.
        block_timeout: Duration { office: "3m", least: "1s", most: "1h", origin: "sendmail Timeout.datablock", id: "R3.1", }
        /// How long to wait for the reply to a message. Shorter than the other server's work makes duplicates: RFC 5321 §4.5.3.2.6
        /// asks for ten minutes.
        final_dot_timeout: Duration { office: "10m", least: "1s", most: "2h", origin: "sendmail Timeout.datafinal", id: "R3.1", }
        /// Whether a message with 8-bit characters is written in 7-bit form for a server that does not offer 8BITMIME. Where that would break a
        /// signature or cannot be done for certain, and where this is false, it comes back to its sender (5.6.3).
        convert_8bit: bool { office: "true", origin: "sendmail EightBitMode", id: "R3.7", }
        /// The addresses under which this host is known outside, where it does not have them itself (a container, NAT): an MX with
        /// one of them is this host.
        public_addresses: Vec<IpAddr> { office: "", example: "192.0.2.25", id: "R3.1", }
        /// The addresses that connections go out from: the first of the family that the other server has. Empty: as the system chooses.
        source_addresses: Vec<IpAddr> { office: "", example: "192.0.2.25", origin: "sendmail ClientPortOptions", id: "R3.7", }
        /// Whether other servers are reached over IPv6.
        ipv6: Ipv6 { office: "auto", id: "R3.1", }
        /// A server that takes all our mail for other domains.
        smart_host: SmartHost { id: "R3.7", }
        /// Domains that go another way than all others; the most exact domain decides. They go before the smart host.
        routes: Vec<Route> { office: "", origin: "sendmail mailertable", id: "R3.7", }
    }
}

group! {
    /// A way of its own for some domains.
    pub struct Route {
        /// The domains, each with its subdomains.
        domains: Vec<Domain> { office: "", example: "example.com", id: "R3.7", }
        /// The server that takes their mail: its name, looked up without MX, or its address literal. Empty: the domain's own mail
        /// servers, also where there is a smart host.
        host: Option<Domain> { office: "", example: "mail.example.com", id: "R3.7", }
        /// Its port; without a host, and where nothing is given, relay.port.
        port: Option<u16> { office: "", example: "587", least: "1", id: "R3.7", }
        /// How far TLS goes. With `required` and `implicit` the certificate must be valid for the server's name, or mail waits.
        tls: RelayTls { office: "opportunistic", id: "R3.7", }
        /// The user to authenticate as. Empty: no AUTH.
        user: Option<String> { office: "", example: "office", id: "R3.7", }
        /// The file that holds the password, in its first line.
        password_file: Option<PathBuf> { office: "", example: "route-password", id: "R3.7", }
        /// Connections at one time. Empty: relay.per_destination.
        connections: Option<u32> { office: "", example: "2", least: "1", most: "1000", id: "R3.7", }
        /// Messages in a time. Empty: relay.rate_per_destination.
        rate: Option<Rate> { office: "", example: "60/60s", id: "R3.7", }
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
