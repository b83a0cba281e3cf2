//! `bongsu-harness peer`: a scripted mail server alone.

use std::net::IpAddr;
use std::time::Duration;

use anyhow::Context;

use super::{Certificate, Deed, Peer};
use crate::Result;

/// Between two looks for messages.
const LOOK: Duration = Duration::from_millis(50);

/// A peer and its script.
#[derive(Debug, clap::Args)]
pub struct Command {
    /// Where to listen
    #[arg(long, default_value = "127.0.0.1")]
    address: IpAddr,
    /// The port
    #[arg(long, default_value_t = 2525)]
    port: u16,
    /// Keywords of the EHLO reply
    #[arg(long, default_values_t = ["PIPELINING".to_owned(), "8BITMIME".to_owned()])]
    keyword: Vec<String>,
    /// PREFIX=REPLY or PREFIX=N=REPLY: what to answer to commands that begin so, always or N times, as `RCPT=1=451 4.7.1 later`
    #[arg(long)]
    answer: Vec<String>,
    /// PREFIX=DEED or PREFIX=N=DEED, likewise: reply TEXT, close, reset, farewell TEXT, late MILLISECONDS, dribble MILLISECONDS, stall, drop
    /// OCTETS (of the message, at DATA), forget, keep TEXT or swallow (at `.`, the end of a message), break-tls (at STARTTLS). `CONNECT` is the
    /// greeting. As `DATA=1=drop 1000`
    #[arg(long)]
    script: Vec<String>,
    /// Offer STARTTLS with a certificate of its own: self-signed, expired or wrong-name
    #[arg(long)]
    tls: Option<Certificate>,
    /// End after so many messages; 0 is never
    #[arg(long, default_value_t = 0)]
    messages: usize,
}

impl Command {
    /// Serves, and prints every message that it takes as a line.
    pub fn run(self) -> Result<()> {
        let keywords: Vec<&str> = self.keyword.iter().map(String::as_str).collect();
        let peer = Peer::start(self.address, self.port, &keywords)?;
        if let Some(certificate) = self.tls {
            peer.offer_tls(certificate)?;
        }
        for answer in &self.answer {
            let (prefix, times, reply) = rule(answer)?;
            peer.answer(prefix, times, reply);
        }
        for script in &self.script {
            let (prefix, times, deed) = rule(script)?;
            peer.script(prefix, times, deed.parse::<Deed>()?);
        }
        println!("listening on {}", peer.address());
        let mut seen = 0;
        while self.messages == 0 || seen < self.messages {
            let taken = peer.taken();
            for message in &taken[seen..] {
                let tls = message.tls.as_ref().map(|tls| format!(" under {}", tls.version)).unwrap_or_default();
                println!("took {} {} {} octets{tls}", message.mail, message.recipients.join(" "), message.message.len());
            }
            seen = taken.len();
            std::thread::sleep(LOOK);
        }
        Ok(())
    }
}

/// `PREFIX=REST` or `PREFIX=N=REST`.
fn rule(text: &str) -> Result<(&str, Option<usize>, &str)> {
    let (prefix, rest) = text.split_once('=').with_context(|| format!("{text}: it is PREFIX=… or PREFIX=N=…"))?;
    Ok(match rest.split_once('=').map(|(times, rest)| (times.parse::<usize>(), rest)) {
        Some((Ok(times), rest)) => (prefix, Some(times), rest),
        _ => (prefix, None, rest),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules() {
        for (text, expected) in [
            ("RCPT=1=451 later", ("RCPT", Some(1), "451 later")),
            ("MAIL=250 size=5", ("MAIL", None, "250 size=5")),
            (".=forget", (".", None, "forget")),
        ] {
            assert_eq!(rule(text).unwrap(), expected);
        }
        assert!(rule("RCPT").is_err());
    }
}
