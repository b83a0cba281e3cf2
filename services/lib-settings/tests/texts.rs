//! Texts in, settings or problems out. R1.1 and R1.3 in numbers, and bad input as an operator sees it.

use std::path::Path;
use std::time::Duration;

use lib_settings::*;

fn file(text: &str) -> Sources {
    Sources { file: Some(("bongsu.toml".into(), text.into())), ..Sources::default() }
}

fn with_environment(text: &str, variables: &[(&str, &str)]) -> Sources {
    let environment = variables.iter().map(|(name, text)| (name.to_string(), text.to_string())).collect();
    Sources { environment, ..file(text) }
}

fn loaded(text: &str) -> Settings {
    Settings::load(&file(text)).expect(text).0
}

fn problems(sources: &Sources) -> Vec<String> {
    Settings::load(sources).expect_err("a problem").iter().map(Problem::to_string).collect()
}

const HOST: &str = "hostname = 'mail.example.net'\n";

#[test]
fn the_numbers_of_both_profiles() {
    let (office, classic) = (Settings::defaults(Profile::Office), Settings::defaults(Profile::Classic));
    for (name, office, classic, expected) in [
        ("R1.1", office.smtp.message_size_limit.0, classic.smtp.message_size_limit.0, (50_000_000, 5_024_000)),
        ("R1.3", office.smtp.recipients_limit.into(), classic.smtp.recipients_limit.into(), (1000, 20)),
        ("R3.6", office.smtp.hop_limit.into(), classic.smtp.hop_limit.into(), (100, 25)),
        ("R3.2 return", office.queue.return_after.as_secs(), classic.queue.return_after.as_secs(), (432_000, 432_000)),
        ("R3.2 warn", office.queue.warn_after.as_secs(), classic.queue.warn_after.as_secs(), (14_400, 14_400)),
        ("R3.2 first", office.queue.retry[0].as_secs(), classic.queue.retry[0].as_secs(), (300, 1800)),
        ("R3.2 last", office.queue.retry[2].as_secs(), classic.queue.retry[0].as_secs(), (1800, 1800)),
    ] {
        assert_eq!((office, classic), expected, "{name}");
    }
    assert_eq!(classic.smtp.connection_rate_per_address, Rate { count: 40, per: Duration::from_secs(60) });
    assert!(office.smtp.relay_networks.is_empty() && classic.smtp.relay_networks.is_empty(), "R1.11: none by default");
    assert_eq!(office.listen.len(), 5);
    assert!(office.testing.in_force().is_empty());
}

#[test]
fn values_as_people_write_them() {
    let settings = loaded(
        "hostname = 'mail.example.net'\n[smtp]\nmessage_size_limit = '10 MiB'\nsubmission_size_limit = 5024000\nidle_timeout = '90s'\n\
         connection_rate_per_address = '5/1m'\nprivacy = ['NoExpn', 'novrfy']\nrelay_networks = ['192.0.2.0/24', '::1']\n\
         recipients_limit = '25'\n[queue]\nretry = ['1m', '2h']\n[relay.smart_host]\nhost = '[127.0.0.1]'\n",
    );
    assert_eq!(settings.smtp.message_size_limit.0, 10 << 20);
    assert_eq!(settings.smtp.submission_size_limit.0, 5_024_000);
    assert_eq!(settings.smtp.idle_timeout, Duration::from_secs(90));
    assert_eq!(settings.smtp.connection_rate_per_address, Rate { count: 5, per: Duration::from_secs(60) });
    assert_eq!(settings.smtp.privacy, [Privacy::Noexpn, Privacy::Novrfy]);
    assert_eq!(settings.smtp.relay_networks.len(), 2);
    assert_eq!(settings.smtp.recipients_limit, 25);
    assert_eq!(settings.queue.retry, [Duration::from_secs(60), Duration::from_secs(7200)]);
    assert_eq!(settings.relay.smart_host.host.as_ref().map(|host| host.as_str()), Some("[127.0.0.1]"));
    assert_eq!(settings.default_domain().as_str(), "example.net");
    assert_eq!(settings.smtp.greeting_for("h.example"), "h.example ESMTP");
}

#[test]
fn the_default_domain_follows_the_host_name() {
    for (text, domain) in [
        ("hostname = 'mail.example.net'", "example.net"),
        ("hostname = 'example.net'", "example.net"),
        ("hostname = 'mail.example.net'\ndefault_domain = 'example.org'", "example.org"),
    ] {
        assert_eq!(loaded(text).default_domain().as_str(), domain, "{text}");
    }
}

#[test]
fn a_listener_takes_what_it_does_not_say_from_the_defaults() {
    let settings = loaded("hostname = 'mail.example.net'\n[[listen]]\nname = 'a'\nport = 2525\nrole = 'mx'\n");
    let [listener] = settings.listen.as_slice() else { panic!("one listener") };
    assert_eq!((listener.address.to_string().as_str(), listener.tls), ("::", ListenerTls::Starttls));
}

#[test]
fn the_environment_wins_over_the_file() {
    let sources = with_environment(
        "hostname = 'mail.example.net'\n[smtp]\nhop_limit = 30\n",
        &[
            ("BONGSU_SMTP__HOP_LIMIT", "50"),
            ("BONGSU_SMTP_ERROR_LIMIT", "7"),
            ("BONGSU_SMTP__GREETING", "1.10"),
            ("BONGSU_QUEUE__BOUNCE_SENDER", "007"),
            ("BONGSU_QUEUE__RETRY", "1m, 5m"),
            ("BONGSU_EXEMPT_NETWORKS", "[\"127.0.0.0/8\", \"::1\"]"),
            ("BONGSU_RELAY__SMART_HOST__USER", "true"),
            ("BONGSU_RELAY__SMART_HOST__PASSWORD_FILE", "12345"),
            ("BONGSU_LISTEN", "[{ name = 'only', port = 2525, role = 'mx', tls = 'none' }]"),
            ("BONGSU_MUTANT", "no-spool-sync"),
            ("PATH", "/bin"),
        ],
    );
    let (settings, origins) = Settings::load(&sources).unwrap();
    assert_eq!((settings.smtp.hop_limit, settings.smtp.error_limit), (50, 7));
    assert_eq!((settings.smtp.greeting.as_str(), settings.queue.bounce_sender.as_str()), ("1.10", "007"));
    assert_eq!(settings.queue.retry, [Duration::from_secs(60), Duration::from_secs(300)]);
    assert_eq!(settings.exempt_networks.len(), 2);
    assert_eq!(settings.relay.smart_host.user.as_deref(), Some("true"));
    assert_eq!(settings.listen[0].name, "only");
    assert_eq!(origins.of("smtp.hop_limit").to_string(), "BONGSU_SMTP__HOP_LIMIT");
    assert_eq!(origins.of("hostname").to_string(), "bongsu.toml:1");
    assert_eq!(origins.of("smtp.idle_timeout"), &Origin::Default);
}

#[test]
fn what_is_assumed_gives_way_to_the_file() {
    let assumed = vec![("hostname".into(), "node.example".into()), ("smtp.hop_limit".into(), "40".into())];
    let sources = Sources { assumed, ..file("[smtp]\nhop_limit = 30\n") };
    let (settings, origins) = Settings::load(&sources).unwrap();
    assert_eq!((settings.hostname.as_str(), settings.smtp.hop_limit), ("node.example", 30));
    assert_eq!((origins.of("hostname"), origins.of("smtp.hop_limit").to_string()), (&Origin::Assumed, "bongsu.toml:2".into()));
}

#[test]
fn all_problems_are_told_at_once_with_their_lines() {
    let text = "hostname = 'mail.example.net'\ncolour = 'red'\n[smtp]\nmesage_size_limit = 5\nhop_limit = 5\nidle_timeout = 30\n\
                relay_networks = ['10.0.0.1/8', '10.1']\n[queue]\nwarn_after = '6d'\n[[listen]]\nname = 'a'\nport = 70000\nrole = 'submision'\n\
                [pop]\nx = 1\n[spool]\nballast = 'perhaps'\n";
    let told = problems(&file(text));
    for expected in [
        "bongsu.toml:2: colour is no setting",
        "bongsu.toml:4: smtp.mesage_size_limit is no setting; the nearest is smtp.message_size_limit",
        "bongsu.toml:5: smtp.hop_limit = 5: `5` is too small; allowed is 10 to 1000",
        "bongsu.toml:6: smtp.idle_timeout = 30: `30` is no duration, such as 30s, 5m, 4h or 5d (a number needs its unit); allowed is 1s to 1h",
        "bongsu.toml:7: smtp.relay_networks = 10.0.0.1/8: `10.0.0.1/8` has bits set behind its prefix; the network is 10.0.0.0/8",
        "bongsu.toml:7: smtp.relay_networks = 10.1: `10.1` is no network, such as 192.0.2.0/24",
        "bongsu.toml:12: listen[0].port = 70000: `70000` is no whole number up to 65535; allowed is 1 or more",
        "bongsu.toml:13: listen[0].role = submision: `submision` is none of mx, submission, submissions, pop3, pop3s; the nearest is `submission`",
        "bongsu.toml:17: spool.ballast = perhaps: `perhaps` is neither true nor false",
    ] {
        assert!(told.iter().any(|line| line == expected), "{expected}\nis not among {told:#?}");
    }
    assert!(told.iter().any(|line| line.starts_with("bongsu.toml:14: pop is no setting")), "{told:#?}");
}

#[test]
fn one_problem_each() {
    for (text, expected) in [
        (
            "hostname = 'a.example'\n[smtp]\nmessage_size_limit = '3 GB'",
            "bongsu.toml:3: smtp.message_size_limit = 3 GB: `3 GB` is too large; allowed is 64 kB to 2 GB",
        ),
        (
            "hostname = 'a.example'\n[pop3]\nidle_timeout = '3h'",
            "bongsu.toml:3: pop3.idle_timeout = 3h: `3h` is too large; allowed is 1s to 2h",
        ),
        ("", "bongsu.toml: hostname has to be set: domain, such as mail.example.net"),
        (
            "hostname = 'localhost'",
            "bongsu.toml:1: hostname = localhost is not the full name of this host, such as mail.example.net",
        ),
        (
            "hostname = '1a2b3c4d5e6f'",
            "bongsu.toml:1: hostname = 1a2b3c4d5e6f is not the full name of this host, such as mail.example.net",
        ),
        ("hostname = '[192.0.2.1]'", "bongsu.toml:1: hostname = [192.0.2.1] is a name, not an address"),
        (
            "hostname = 'mail.한글.example'",
            "bongsu.toml:1: hostname = mail.한글.example goes to hosts that know no such letters; write mail.xn--bj0bj06e.example",
        ),
        (
            "hostname = 'a.example'\n[smtp]\nextensions = ['smtputf8', 'pipelining']",
            "bongsu.toml:3: smtp.extensions has smtputf8 without 8bitmime, which belongs to it (RFC 6531 §3.1)",
        ),
        (
            "hostname = 'a.example'\nprofile = 'ofice'",
            "bongsu.toml:2: profile = ofice: `ofice` is none of office, classic; the nearest is `office`",
        ),
        ("hostname = 'a.example'\nsmtp = 5", "bongsu.toml:2: smtp is a group of settings, [smtp], and no single value"),
        ("hostname = 'a.example'\nlisten = 5", "bongsu.toml:2: listen is a list of tables, [[listen]]"),
        ("hostname = 'a.example'\nlisten = [5]", "bongsu.toml:2: listen[0] is no table"),
        ("hostname = ['a.example']", "bongsu.toml:1: hostname is a single value, domain"),
        (
            "hostname = 'a.example'\n[queue]\nretry = []",
            "bongsu.toml:3: queue.retry is empty; it needs at least one duration, such as 30m",
        ),
        (
            "hostname = 'a.example'\n[queue]\nwarn_after = '5d'",
            "bongsu.toml:3: queue.warn_after is not before queue.return_after: nobody would be warned",
        ),
        (
            "hostname = 'a.example'\n[queue]\nbounce_sender = 'a b'",
            "bongsu.toml:3: queue.bounce_sender is a mailbox name of letters, digits and hyphens, such as MAILER-DAEMON",
        ),
        (
            "hostname = 'a.example'\ntime_zone = 'Seoul'",
            "bongsu.toml:2: time_zone = Seoul: `Seoul` is no time zone, such as UTC or Asia/Seoul",
        ),
        (
            "hostname = 'a.example'\n[relay.smart_host]\nuser = 'x'",
            "bongsu.toml:3: relay.smart_host.user and password_file belong together: give both or none",
        ),
        (
            "hostname = 'a.example'\n[[tls.certificates]]\nchain_file = 'x'",
            "bongsu.toml:2: tls.certificates[0] needs both chain_file and key_file",
        ),
        (
            "hostname = 'a.example'\n[smtp]\ngreeting = \"a\\r\\nb\"",
            "bongsu.toml:3: smtp.greeting = a\r\nb: holds the control character '\\r'",
        ),
        (
            "hostname = 'a.example'\n[[listen]]\nname = 'a'\nport = 995\nrole = 'pop3s'",
            "bongsu.toml:2: listen[0].tls = starttls does not fit role pop3s; it needs implicit",
        ),
        (
            "hostname = 'a.example'\n[[listen]]\nname = 'a'\nrole = 'mx'",
            "bongsu.toml:2: listen[0].port has to be set: number, such as 25",
        ),
        ("hostname = 'a.example\n", "bongsu.toml:1: this is no TOML: invalid literal string, expected `'`"),
    ] {
        let told = problems(&file(text));
        assert!(told.iter().any(|line| line == expected), "{expected}\nis not among {told:#?}");
    }
}

#[test]
fn listeners_do_not_clash() {
    let told = problems(&file(&format!(
        "{HOST}[[listen]]\nname = 'a'\nport = 25\nrole = 'mx'\n[[listen]]\nname = 'a'\nport = 25\nrole = 'mx'\n"
    )));
    assert_eq!(
        told,
        [
            "bongsu.toml:7: listen[1].name = a: another listener has this name",
            "bongsu.toml:8: listen[1].port = 25: listener a has this address and port"
        ]
    );
}

#[test]
fn a_bad_variable_is_named() {
    let sources =
        with_environment(HOST, &[("BONGSU_SMTP__HOP_LIMT", "5"), ("BONGSU_SMTP__HOP_LIMIT", "x"), ("BONGSU_LISTEN", "x")]);
    let told = problems(&sources);
    assert_eq!(told[0], "BONGSU_SMTP__HOP_LIMT: names no setting; the nearest is BONGSU_SMTP__HOP_LIMIT");
    assert!(
        told.iter().any(|line| line.starts_with("BONGSU_SMTP__HOP_LIMIT: smtp.hop_limit = x: `x` is no whole number")),
        "{told:#?}"
    );
    assert!(told.iter().any(|line| line.starts_with("BONGSU_LISTEN: listen is no list of tables")), "{told:#?}");
}

#[test]
fn settings_pass_as_json() {
    for profile in [Profile::Office, Profile::Classic] {
        let settings = Settings::defaults(profile);
        let json = serde_json::to_string(&settings).unwrap();
        assert_eq!(serde_json::from_str::<Settings>(&json).unwrap(), settings);
    }
}

#[test]
fn what_follows_from_several_settings() {
    let settings = loaded(&format!("{HOST}[smtp]\nmessage_size_limit = '10 MB'\nsubmission_size_limit = '20 MB'\n"));
    assert_eq!(settings.largest_message(), 20_000_000);
    let (config, data) = (Path::new("/etc/bongsu"), Path::new("/data"));
    assert_eq!(settings.testing.clock_file(Some(config), data), None);
    for (text, base, file) in [
        ("clock", Some(config), "/etc/bongsu/clock"),
        ("clock", None, "/data/clock"),
        ("/tmp/clock", Some(config), "/tmp/clock"),
        ("/tmp/clock", None, "/tmp/clock"),
    ] {
        let settings = loaded(&format!("{HOST}[testing]\nclock = '{text}'\n"));
        assert_eq!(settings.testing.clock_file(base, data).as_deref(), Some(Path::new(file)));
    }
}

#[test]
fn what_only_a_restart_puts_into_force() {
    let old = loaded(HOST);
    for (more, expected) in [
        ("", &[][..]),
        ("[smtp]\nhop_limit = 30\n", &[]),
        ("[relay]\nnameservers = ['192.0.2.53:53']\nport = 26\n", &["relay.nameservers"]),
        ("profile = 'classic'\n[users]\nqueue = 5\n", &["users.queue"]),
        ("[[listen]]\nname = 'a'\nport = 1\nrole = 'mx'\n", &[]),
    ] {
        assert_eq!(old.restart_needed(&loaded(&format!("{HOST}{more}"))), expected, "{more}");
    }
}

#[test]
fn who_may_send_a_password_in_the_clear() {
    for (setting, loopback, mapped, other) in [
        (Plaintext::Never, false, false, false),
        (Plaintext::Loopback, true, true, false),
        (Plaintext::Always, true, true, true),
    ] {
        let allows = |address: &str| setting.allows(address.parse().unwrap());
        assert_eq!((allows("::1"), allows("::ffff:127.0.0.9"), allows("192.0.2.1")), (loopback, mapped, other), "{setting}");
    }
}

mod arbitrary {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn octets_are_settings_or_problems(octets in proptest::collection::vec(any::<u8>(), 0..300), text in "(BONGSU_[A-Z_]{0,20}=.{0,20}\n)?([a-z_.\\[\\]]{0,12} = ['\\[\\{0-9a-z]{0,9}\n){0,6}") {
            fuzzing::settings(&octets);
            fuzzing::settings(text.as_bytes());
        }

        /// Nothing in a text makes it panic.
        #[test]
        fn texts_never_panic(text in "(?s).{0,400}", value in "(?s).{0,60}") {
            let _ = Settings::load(&with_environment(&text, &[("BONGSU_LISTEN", &value), ("BONGSU_QUEUE__RETRY", &value)]));
        }

        #[test]
        fn toml_of_any_shape_never_panics(key in "(hostname|smtp|listen|queue\\.retry|tls\\.certificates|smtp\\.hop_limit)", value in "(1|-1|1\\.5|true|'x'|\\[\\]|\\[1\\]|\\[\\[\\]\\]|\\{\\}|\\[\\{\\}\\]|\\{ a = 1 \\}|2026-01-01|'\u{0}')") {
            let _ = Settings::load(&file(&format!("{key} = {value}\n")));
        }

        #[test]
        fn a_size_reads_as_it_prints(octets: u64) {
            prop_assert_eq!(Bytes::from_text(&Bytes(octets).to_string()), Ok(Bytes(octets)));
        }
    }
}

#[test]
fn single_values() {
    for (text, octets) in [
        ("5024000", Some(5_024_000)),
        ("50 MB", Some(50_000_000)),
        ("50mb", Some(50_000_000)),
        ("64 KiB", Some(65_536)),
        ("1 GB", Some(1_000_000_000)),
        ("12 B", Some(12)),
        ("50 M", None),
        ("-1", None),
        ("", None),
        ("99999999999 GB", None),
        ("1.5 MB", None),
        ("é", None),
    ] {
        assert_eq!(Bytes::from_text(text).ok().map(|size| size.0), octets, "{text}");
    }
    for (text, seconds) in [
        ("30s", Some(30)),
        ("5m", Some(300)),
        ("4h", Some(14_400)),
        ("5d", Some(432_000)),
        ("1w", Some(604_800)),
        ("2 min", Some(120)),
        ("30", None),
        ("", None),
        ("s", None),
        ("-5m", None),
        ("5 moons", None),
        ("99999999999999999999s", None),
        ("999999999999999999w", None),
    ] {
        assert_eq!(Duration::from_text(text).ok().map(|span| span.as_secs()), seconds, "{text}");
    }
    for (text, fits) in
        [("200/60s", true), ("0 / 1m", true), ("200", false), ("200/0s", false), ("/60s", false), ("x/60s", false)]
    {
        assert_eq!(Rate::from_text(text).is_ok(), fits, "{text}");
    }
}

#[test]
fn peers_of_a_pair_are_checked() {
    let (one, two) = ("ab".repeat(32), "CD:".repeat(31) + "cd");
    let pair = |peers: &str| {
        format!("{HOST}default_domain = 'mail.example.net'\n[pair]\ncertificate_file = 'c'\nkey_file = 'k'\n{peers}")
    };
    let peer = |name: &str, fingerprint: &str, more: &str| {
        format!("[[pair.peers]]\nname = '{name}'\nfingerprint = '{fingerprint}'\n{more}\n")
    };
    let host = "host = 'mx1.example.net'";
    let good = pair(&(peer("a", &one, host) + &peer("b", &two, "domains = ['b.example']")));
    let settings = loaded(&good);
    assert_eq!(settings.pair.peers[1].pinned(), Some("cd".repeat(32)));
    for (text, wanted) in [
        (pair(&peer("a/b", &one, host)), "is no name of letters"),
        (pair(&peer("", &one, host)), "is no name of letters"),
        (pair(&(peer("a", &one, host) + &peer("a", &two, host))), "another peer has this name"),
        (pair(&(peer("a", &one, host) + &peer("b", &one, host))), "is that of another peer"),
        (pair(&peer("a", "abcd", host)), "is not 64 hexadecimal digits"),
        (pair(&peer("a", &one, "")), "needs a host"),
        (pair(&peer("a", &one, "domains = ['mail.example.net']")), "which is this node's own"),
        (format!("{HOST}[pair]\n{}", peer("a", &one, host)), "need pair.certificate_file"),
        (format!("{HOST}[pair]\nkey_file = 'k'\n"), "belong together"),
    ] {
        let found = problems(&file(&text));
        assert!(found.iter().any(|problem| problem.contains(wanted)), "{wanted}: {found:?}\n{text}");
    }
}
