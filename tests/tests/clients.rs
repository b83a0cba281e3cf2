//! Mail programs that we did not write send and fetch through a running node.

use std::path::PathBuf;
use std::time::Duration;

use bongsu_harness::client::{Ran, run};
use bongsu_harness::node::{Node, Plan, port};
use bongsu_harness::wait::wait_for;

const PATIENCE: Duration = Duration::from_secs(20);

/// Runs a program to its end and shows what it printed where it fails.
fn program(name: &str, args: &[&str], input: &[u8]) -> Ran {
    run(name, args, input, Duration::from_secs(60)).and_then(Ran::ok).unwrap_or_else(|error| panic!("{error:#}"))
}

/// The text of the only message in the mailbox of `user`, once it is there.
fn only_message(node: &Node, user: &str) -> String {
    wait_for(&format!("a message for {user}"), PATIENCE, || {
        let mut pop = node.pop(user)?;
        let (count, _) = pop.stat()?;
        let text = if count == 1 { Some(String::from_utf8_lossy(&pop.retr(1)?).into_owned()) } else { None };
        pop.quit()?;
        Ok(text)
    })
    .unwrap_or_else(|error| panic!("{error:#}\n{}", node.log_tail(30)))
}

fn file(node: &Node, name: &str, text: &str) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let path = node.dir().join(name);
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    path
}

/// R1.11, R5.1: swaks sends to the MX port without a right, curl fetches.
#[test]
fn swaks_sends_and_curl_fetches() {
    let node = Plan::new("office", &["minji"]).start().unwrap();
    let (server, mx) = (node.plan.address.to_string(), port::MX.to_string());
    let args = [
        "--server",
        &server,
        "--port",
        &mx,
        "--from",
        "a@b.example",
        "--to",
        "minji@office.example",
        "--body",
        "over the hill",
    ];
    program("swaks", &args, b"");
    only_message(&node, "minji");
    for url in [format!("pop3://{server}:{}/1", port::POP3), format!("pop3s://{server}:{}/1", port::POP3S)] {
        let ran = program("curl", &["-sS", "-k", "--user", "minji@office.example:secret-minji", &url], b"");
        assert!(
            ran.text.contains("over the hill") && ran.text.starts_with("Return-Path: <a@b.example>"),
            "{url}: {}",
            ran.text
        );
    }
    // A bare login name means the default domain.
    let url = format!("pop3://{server}:{}/1", port::POP3);
    program("curl", &["-sS", "--user", "minji:secret-minji", &url], b"");
}

/// R1.11: nobody relays who may not; the words say so.
#[test]
fn a_stranger_is_refused_relaying() {
    let node = Plan::new("office", &["minji"]).start().unwrap();
    let (server, mx) = (node.plan.address.to_string(), port::MX.to_string());
    for to in [
        "x@elsewhere.example",
        "\"x@elsewhere.example\"@office.example",
        "x%elsewhere.example@office.example",
        "elsewhere.example!x@office.example",
    ] {
        let ran =
            run("swaks", &["--server", &server, "--port", &mx, "--from", "a@b.example", "--to", to], b"", PATIENCE).unwrap();
        assert!(ran.code != 0 && ran.text.contains(" 550 5."), "{to}: {}", ran.text);
    }
}

/// R1.12: submission with AUTH under STARTTLS and under TLS from the start; nobody sends as another.
#[test]
fn swaks_submits_with_auth() {
    let node = Plan::new("office", &["minji", "dohyun"]).start().unwrap();
    let server = node.plan.address.to_string();
    let auth = ["--auth-user", "minji@office.example", "--auth-password", "secret-minji", "--to", "dohyun@office.example"];
    let (starttls, implicit) = (port::SUBMISSION.to_string(), port::SUBMISSIONS.to_string());
    for (kind, number, mechanism) in
        [("-tls", &starttls, "PLAIN"), ("-tls", &starttls, "LOGIN"), ("--tls-on-connect", &implicit, "PLAIN")]
    {
        let mut args = vec!["--server", &server, "--port", number, kind, "--auth", mechanism, "--from", "minji@office.example"];
        args.extend(auth);
        program("swaks", &args, b"");
        let text = only_message(&node, "dohyun");
        assert!(text.contains("with ESMTPSA id"), "{text}");
        let mut pop = node.pop("dohyun").unwrap();
        pop.ok("DELE 1").unwrap();
        pop.quit().unwrap();
    }
    let mut args = vec!["--server", &server, "--port", &starttls, "-tls", "--auth", "PLAIN", "--from", "dohyun@office.example"];
    args.extend(auth);
    let ran = run("swaks", &args, b"", PATIENCE).unwrap();
    assert!(ran.code != 0 && ran.text.contains("5.7.1"), "sending as another: {}", ran.text);
    let plain = ["--server", &server, "--port", &starttls, "--auth", "PLAIN", "--from", "minji@office.example"];
    let ran = run("swaks", &[&plain[..], &auth[..]].concat(), b"", PATIENCE).unwrap();
    assert!(ran.code != 0, "a password before TLS: {}", ran.text);
}

/// R1.12: msmtp submits; Date and Message-ID are added, Bcc is stripped yet delivered.
#[test]
fn msmtp_submits_and_the_header_is_completed() {
    let node = Plan::new("office", &["minji", "dohyun", "jia"]).start().unwrap();
    let config = file(
        &node,
        "msmtprc",
        &format!(
            "account default\nhost {}\nport {}\ntls on\ntls_starttls on\ntls_certcheck off\nauth plain\nuser minji@office.example\npassword secret-minji\nfrom minji@office.example\nset_date_header off\nset_msgid_header off\n",
            node.plan.address,
            port::SUBMISSION
        ),
    );
    let message = b"From: minji@office.example\nTo: dohyun@office.example\nBcc: jia@office.example\nSubject: fire\n\nlit\n";
    let config = format!("--file={}", config.display());
    program("msmtp", &[&config, "--keepbcc=on", "dohyun@office.example", "jia@office.example"], message);
    for user in ["dohyun", "jia"] {
        let text = only_message(&node, user);
        assert!(text.contains("\r\nMessage-ID: <") && text.contains("\r\nDate: "), "{text}");
        assert!(!text.to_lowercase().contains("bcc:"), "{text}");
    }
}

/// R5.1, R5.4: fetchmail and mpop empty a mailbox, Python reads it.
#[test]
fn fetchmail_mpop_and_python_fetch() {
    let node = Plan::new("office", &["minji"]).start().unwrap();
    let send = |subject: &str| {
        let script = format!(
            "import smtplib\ns=smtplib.SMTP('{}',{})\ns.sendmail('a@b.example',['minji@office.example'],'Subject: {subject}\\n\\n.dot\\nend\\n')\ns.quit()\n",
            node.plan.address,
            port::MX
        );
        program("python3", &["-c", &script], b"");
        only_message(&node, "minji")
    };
    send("by python");
    let script = format!(
        "import poplib,ssl\np=poplib.POP3('{0}',{1})\np.stls(ssl._create_unverified_context())\np.user('minji@office.example')\np.pass_('secret-minji')\nassert p.stat()[0]==1\nassert p.uidl()[1]\nlines=p.retr(1)[1]\nassert b'.dot' in lines and lines[-1]==b'end', lines\nassert p.top(1,1)[1][-1]==b'.dot'\nprint(p.capa())\np.dele(1)\np.quit()\n",
        node.plan.address,
        port::POP3
    );
    let ran = program("python3", &["-c", &script], b"");
    assert!(ran.text.contains("PIPELINING") && ran.text.contains("UIDL"), "{}", ran.text);

    send("by fetchmail");
    let out = node.dir().join("fetched.mbox");
    let rc = file(
        &node,
        "fetchmailrc",
        &format!(
            "poll {} protocol pop3 port {} user \"minji@office.example\" password \"secret-minji\" no sslcertck sslproto \"\" mda \"tee -a {}\" fetchall\n",
            node.plan.address,
            port::POP3,
            out.display()
        ),
    );
    let home = node.dir().display().to_string();
    let mut fetchmail = std::process::Command::new("fetchmail");
    fetchmail.env("HOME", &home).env("FETCHMAILHOME", &home).args(["--nosyslog", "-f"]).arg(&rc);
    let ran = bongsu_harness::client::run_command(fetchmail, b"").unwrap();
    assert_eq!(ran.code, 0, "{}", ran.text);
    assert!(std::fs::read_to_string(&out).unwrap().contains(".dot"));

    send("by mpop");
    let dir = node.dir().join("mpopped");
    for part in ["new", "cur", "tmp"] {
        std::fs::create_dir_all(dir.join(part)).unwrap();
    }
    let rc = file(
        &node,
        "mpoprc",
        &format!(
            "account default\nhost {}\nport {}\ntls on\ntls_starttls on\ntls_certcheck off\nuser minji@office.example\npassword secret-minji\ndelivery maildir {}\nkeep off\nuidls_file {}/uidls\n",
            node.plan.address,
            port::POP3,
            dir.display(),
            node.dir().display()
        ),
    );
    program("mpop", &["-q", &format!("--file={}", rc.display())], b"");
    assert_eq!(std::fs::read_dir(dir.join("new")).unwrap().count(), 1);
    assert_eq!(node.pop("minji").unwrap().stat().unwrap().0, 0);
}

/// R1.12: s-nail, the lab's `mail` command, sends through submission.
#[test]
fn s_nail_sends() {
    let node = Plan::new("office", &["minji", "dohyun"]).start().unwrap();
    let url = format!("-Smta=smtp://minji%40office.example:secret-minji@{}:{}", node.plan.address, port::SUBMISSION);
    let args = [
        "-:/",
        "-Sv15-compat",
        "-Ssmtp-use-starttls",
        "-Stls-verify=ignore",
        "-Ssmtp-auth=plain",
        "-Sfrom=minji@office.example",
        &url,
        "-s",
        "beacon",
        "dohyun@office.example",
    ];
    program("s-nail", &args, b"lit\n");
    assert!(only_message(&node, "dohyun").contains("Subject: beacon"));
}

/// R5.2: a second session is told that the mailbox is in use; a client that vanished leaves no lock.
#[test]
fn a_mailbox_is_one_sessions_and_no_lock_stays() {
    let node = Plan::new("office", &["minji"]).start().unwrap();
    let first = node.pop("minji").unwrap();
    let refused = node.pop("minji").unwrap_err();
    assert!(refused.to_string().contains("[IN-USE]"), "{refused}");
    drop(first);
    wait_for("the lock to go with its client", PATIENCE, || Ok(node.pop("minji").ok())).unwrap();
}
