//! Settings of a topology, which are named as bongsu names them, as Postfix has them.

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

/// Settings that are so on every Postfix node.
const ALREADY: &[&str] = &[
    "smtp.max_sessions_per_address",
    "smtp.connection_rate_per_address",
    "pop3.max_sessions_per_address",
    "pop3.connection_rate_per_address",
    // Dovecot's passwords are in the clear: there is nothing to remember.
    "auth.remember",
];

/// Lines `key = value` as parameters of main.cf, a later one over an earlier. A setting without its like is an error that begins `SKIPPED: `:
/// a scenario that depends on it can't judge Postfix.
pub(super) fn translated(text: &str) -> Result<Vec<(String, String)>> {
    let mut parameters = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (key, value) = line.split_once('=').map_or((line, ""), |(key, value)| (key.trim(), value.trim()));
        let of_it = one(key, value);
        let Some(of_it) = of_it else { anyhow::bail!("SKIPPED: Postfix has nothing like {key} = {value}") };
        for (name, value) in of_it {
            parameters.retain(|(known, _)| *known != name);
            parameters.push((name, value));
        }
    }
    Ok(parameters)
}

fn one(key: &str, value: &str) -> Option<Vec<(String, String)>> {
    let plain = value.trim_matches('"');
    let set = |name: &str, value: String| Some(vec![(name.to_owned(), value)]);
    if let Some((_, names)) = DURATIONS.iter().find(|(known, _)| *known == key) {
        return Some(names.iter().map(|name| ((*name).to_owned(), plain.to_owned())).collect());
    }
    match key {
        "smtp.message_size_limit" => set("message_size_limit", octets(plain)?.to_string()),
        "smtp.recipients_limit" => set("smtpd_recipient_limit", plain.into()),
        "smtp.hop_limit" => set("hopcount_limit", plain.into()),
        "relay.per_destination" => set("default_destination_concurrency_limit", plain.into()),
        "relay.tls" | "relay.smart_host.tls" if plain == "none" => Some(Vec::new()),
        "relay.smart_host.host" => set("relayhost", plain.into()),
        "relay.smart_host.port" if plain == "25" => Some(Vec::new()),
        "queue.retry" => {
            let steps: Vec<&str> =
                value.trim_matches(['[', ']']).split(',').map(|step| step.trim().trim_matches('"')).collect();
            let (first, last) = (*steps.first()?, *steps.last()?);
            Some(vec![("minimal_backoff_time".into(), first.into()), ("maximal_backoff_time".into(), last.into())])
        }
        _ => ALREADY.contains(&key).then(Vec::new),
    }
}

/// `100 kB` in octets.
fn octets(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let unit = match text[digits.len()..].trim() {
        "" | "B" => 1,
        "kB" => 1000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    digits.parse::<u64>().ok().map(|number| number * unit)
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
