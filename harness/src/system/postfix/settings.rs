//! Settings of a topology, which are named as bongsu names them, as Postfix has them.

use super::super::settings::{self, Own, named, octets, steps};
use crate::Result;

/// Parameters whose value is the setting's.
const DURATIONS: &[(&str, &[&str])] = &[
    ("relay.connect_timeout", &["smtp_connect_timeout"]),
    (
        "relay.reply_timeout",
        &[
            "smtp_helo_timeout",
            "smtp_mail_timeout",
            "smtp_rcpt_timeout",
            "smtp_data_init_timeout",
            "smtp_data_xfer_timeout",
            "smtp_rset_timeout",
            "smtp_quit_timeout",
        ],
    ),
    ("relay.final_dot_timeout", &["smtp_data_done_timeout"]),
    ("smtp.idle_timeout", &["smtpd_timeout"]),
    // The same: it knows one for commands and messages.
    ("smtp.data_timeout", &["smtpd_timeout"]),
    ("queue.return_after", &["maximal_queue_lifetime", "bounce_queue_lifetime"]),
    ("queue.warn_after", &["delay_warning_time"]),
];

/// Lines `key = value` as parameters of main.cf.
pub(super) fn translated(text: &str) -> Result<Own> {
    settings::translated(text, "Postfix", one)
}

fn one(key: &str, value: &str) -> Option<Own> {
    let plain = value.trim_matches('"');
    let set = |name: &str, value: String| Some(named(&[name], &value));
    if let Some((_, names)) = DURATIONS.iter().find(|(known, _)| *known == key) {
        return Some(named(names, plain));
    }
    match key {
        "smtp.message_size_limit" => set("message_size_limit", octets(plain)?.to_string()),
        "smtp.recipients_limit" => set("smtpd_recipient_limit", plain.into()),
        "smtp.hop_limit" => set("hopcount_limit", plain.into()),
        "relay.per_destination" => set("default_destination_concurrency_limit", plain.into()),
        "relay.tls" | "relay.smart_host.tls" if plain == "none" => Some(Own::new()),
        "relay.smart_host.host" => set("relayhost", plain.into()),
        "relay.smart_host.port" if plain == "25" => Some(Own::new()),
        "queue.retry" => {
            let steps = steps(value);
            let (first, last) = (*steps.first()?, *steps.last()?);
            Some(vec![("minimal_backoff_time".into(), first.into()), ("maximal_backoff_time".into(), last.into())])
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_both_have_is_translated_and_the_rest_is_skipped() {
        let text = "smtp.message_size_limit = \"100 kB\"\nqueue.retry = [\"1s\", \"2s\"]\nrelay.final_dot_timeout = \"4s\"\nsmtp.idle_timeout = \"9s\"\n\
                    smtp.data_timeout = \"5s\"\n";
        let expected = [
            ("message_size_limit", "100000"),
            ("minimal_backoff_time", "1s"),
            ("maximal_backoff_time", "2s"),
            ("smtp_data_done_timeout", "4s"),
            ("smtpd_timeout", "5s"),
        ];
        let expected: Vec<(String, String)> = expected.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        assert_eq!(translated(text).unwrap(), expected);
        let error = translated("smtp.privacy = \"goaway\"\n").unwrap_err().to_string();
        assert!(error.starts_with("SKIPPED: "), "{error}");
    }
}
