//! Settings of a topology as Exim has them: `main.OPTION`, `smtp.OPTION` for its SMTP client, and `retry.step` and `retry.until`.

use super::super::settings::{self, Own, named, octets, steps};
use super::config::SMART_HOST;
use crate::Result;
use crate::node::port;

/// Lines `key = value` as options.
pub(super) fn translated(text: &str) -> Result<Own> {
    settings::translated(text, "Exim", one)
}

fn one(key: &str, value: &str) -> Option<Own> {
    let plain = value.trim_matches('"');
    Some(match key {
        "relay.connect_timeout" => named(&["smtp.connect_timeout"], plain),
        "relay.reply_timeout" => named(&["smtp.command_timeout", "smtp.data_timeout"], plain),
        "relay.final_dot_timeout" => named(&["smtp.final_timeout"], plain),
        // It knows one for commands and messages.
        "smtp.idle_timeout" | "smtp.data_timeout" => named(&["main.smtp_receive_timeout"], plain),
        "smtp.message_size_limit" => named(&["main.message_size_limit"], &octets(plain)?.to_string()),
        "smtp.recipients_limit" => named(&["main.recipients_max"], plain),
        "smtp.hop_limit" => named(&["main.received_headers_max"], plain),
        "queue.return_after" => named(&["retry.until"], plain),
        "queue.warn_after" => named(&["main.delay_warning"], plain),
        "queue.retry" => named(&["retry.step"], steps(value).first()?),
        "relay.tls" | "relay.smart_host.tls" if plain == "none" => Own::new(),
        "relay.smart_host.host" => named(&[SMART_HOST], plain.trim_matches(['[', ']'])),
        "relay.smart_host.port" if plain == port::MX.to_string() => Own::new(),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_both_have_is_translated_and_the_rest_is_skipped() {
        let text = "smtp.message_size_limit = \"100 kB\"\nqueue.retry = [\"1s\", \"2s\"]\nsmtp.idle_timeout = \"9s\"\nsmtp.data_timeout = \"5s\"\n\
                    relay.tls = \"none\"\npop3.max_sessions_per_address = 0\n";
        let expected = [("main.message_size_limit", "100000"), ("retry.step", "1s"), ("main.smtp_receive_timeout", "5s")];
        let expected: Own = expected.iter().flat_map(|(name, value)| named(&[name], value)).collect();
        assert_eq!(translated(text).unwrap(), expected);
        let error = translated("relay.tls = \"require\"\n").unwrap_err().to_string();
        assert!(error.starts_with("SKIPPED: Exim"), "{error}");
    }
}
