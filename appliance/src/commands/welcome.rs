//! What `bongsu up` says once everything serves: where it listens, and what to try.

use std::fmt::Write;
use std::net::IpAddr;
use std::path::Path;

use lib_settings::{Listener, ListenerRole};

use super::account::First;
use crate::certificate;
use crate::layout::{Layout, SYSTEM_DATA};
use crate::plan::Plan;

/// The text.
pub(crate) fn text(layout: &Layout, plan: &Plan, first: Option<&First>) -> String {
    let mut text = String::new();
    // Writing into a String cannot fail.
    let _ = write_text(&mut text, layout, plan, first);
    text
}

fn write_text(text: &mut String, layout: &Layout, plan: &Plan, first: Option<&First>) -> std::fmt::Result {
    let settings = &plan.settings;
    writeln!(text, "bongsu serves {} from {}", settings.hostname, layout.data().display())?;
    for listener in &settings.listen {
        writeln!(text, "  {:<12} {}", listener.name, shown(listener))?;
    }
    if !plan.unconfigured {
        return Ok(());
    }
    let Some(first) = first else {
        return writeln!(
            text,
            "  there is no account; add one with: {} account add NAME@{}",
            command(layout),
            settings.default_domain()
        );
    };
    writeln!(text, "  account      {}", first.address)?;
    let password = match &first.password {
        Some(password) => {
            let again = format!("{} account passwd {}", command(layout), first.address);
            writeln!(text, "  password     {password}    (shown this once; set another with: {again})")?;
            password.as_str()
        }
        None => "PASSWORD",
    };
    try_lines(text, layout, plan, &first.address, password)?;
    if contained() {
        let write = "docker compose run --rm -T bongsu init --domain DOMAIN --stdout > config/bongsu.toml";
        return writeln!(text, "There is no settings file; write one with: {write}");
    }
    writeln!(text, "There is no settings file; write one with: {} init --domain DOMAIN", command(layout))
}

/// Lines to copy into a shell. They name the certificate, so that nobody learns to switch checking off.
fn try_lines(text: &mut String, layout: &Layout, plan: &Plan, address: &str, password: &str) -> std::fmt::Result {
    let host = plan.settings.hostname.as_str();
    let chain = layout.secrets().join(certificate::CHAIN);
    let find = |role: ListenerRole| plan.settings.listen.iter().find(|listener| listener.role == role);
    writeln!(text, "Try it:")?;
    if let Some(mx) = find(ListenerRole::Mx) {
        let at = client_address(mx);
        writeln!(
            text,
            "  swaks --server {at} --port {} --from friend@example.com --to {address} --header 'Subject: first mail'",
            mx.port
        )?;
    }
    if let Some(submission) = find(ListenerRole::Submission) {
        let at = client_address(submission);
        writeln!(
            text,
            "  swaks --server {at} --port {} -tls --auth PLAIN --auth-user {address} --auth-password {password} --from {address} --to {address}",
            submission.port
        )?;
    }
    if let Some(pop3s) = find(ListenerRole::Pop3s) {
        let (at, port) = (client_address(pop3s), pop3s.port);
        // Whoever stands outside the container does not see the file.
        let trust = if contained() { "--insecure".into() } else { format!("--cacert {}", chain.display()) };
        writeln!(text, "  curl {trust} --resolve {host}:{port}:{at} --user {address}:{password} pop3s://{host}:{port}/1")?;
    }
    Ok(())
}

/// How this node's commands begin.
fn command(layout: &Layout) -> String {
    match layout.data() {
        _ if contained() => "docker compose exec bongsu bongsu".into(),
        data if data == Path::new(SYSTEM_DATA) => "bongsu".into(),
        data => format!("bongsu --data {}", data.display()),
    }
}

/// As the first process we are the server of a container.
fn contained() -> bool {
    std::process::id() == 1
}

/// An address at which a client on this machine reaches the listener.
fn client_address(listener: &Listener) -> IpAddr {
    match listener.address {
        address if address.is_unspecified() => IpAddr::from([127, 0, 0, 1]),
        address => address,
    }
}

fn shown(listener: &Listener) -> String {
    match listener.address {
        address if address.is_unspecified() => format!("port {}", listener.port),
        address => format!("{address} port {}", listener.port),
    }
}
