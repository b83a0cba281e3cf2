//! Settings of a topology as OpenSMTPD has them: directives of smtpd.conf, and `ttl`, which is an option of its actions. It has none for time-outs, nor
//! for when it tries again.

use super::super::settings::{self, Own, named, octets};
use super::config::SMART_HOST;
use crate::Result;

/// Lines `key = value` as directives. To do without TLS is a setting only where nobody offers it: it takes what it is offered.
pub(super) fn translated(text: &str, tls_offered: bool) -> Result<Own> {
    settings::translated(text, "OpenSMTPD", |key, value| match key {
        "relay.tls" | "relay.smart_host.tls" if value == "\"none\"" && !tls_offered => Some(Own::new()),
        _ => one(key, value),
    })
}

fn one(key: &str, value: &str) -> Option<Own> {
    let plain = value.trim_matches('"');
    Some(match key {
        "relay.smart_host.host" => named(&[SMART_HOST], plain.trim_matches(['[', ']'])),
        "relay.smart_host.port" if plain == "25" => Own::new(),
        "smtp.message_size_limit" => named(&["smtp max-message-size"], &octets(plain)?.to_string()),
        "smtp.recipients_limit" => named(&["smtp limit max-rcpt"], plain),
        "queue.return_after" => named(&["ttl"], plain),
        "queue.warn_after" => named(&["bounce warn-interval"], plain),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_both_have_is_translated_and_the_rest_is_skipped() {
        let text = "smtp.message_size_limit = \"100 kB\"\nqueue.return_after = \"30m\"\n";
        let expected = [("smtp max-message-size", "100000"), ("ttl", "30m")];
        let expected: Own = expected.iter().flat_map(|(name, value)| named(&[name], value)).collect();
        assert_eq!(translated(text, true).unwrap(), expected);
        let error = translated("relay.reply_timeout = \"6s\"\n", false).unwrap_err().to_string();
        assert!(error.starts_with("SKIPPED: OpenSMTPD"), "{error}");
        assert!(translated("relay.tls = \"none\"\n", false).unwrap().is_empty());
        assert!(translated("relay.tls = \"none\"\n", true).is_err());
    }
}
