//! `bongsu send -v`: one message submitted as a mail program does it, with the dialogue shown (R3.8).
//!
//! lettre speaks SMTP; the stream beneath it is ours, so that the dialogue can be shown and TLS is the one of the rest of bongsu.

use std::io::Read;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use lettre::address::Envelope;
use lettre::message::header::ContentType;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::AsyncSmtpConnection;
use lettre::transport::smtp::extension::ClientId;
use lib_settings::{Listener, ListenerRole, ListenerTls, Settings};

use super::account::password;
use super::settings;
use crate::cli::Send;
use crate::dialogue::{self, Dialogue};
use crate::layout::Layout;

/// Largest message read from standard input.
const MESSAGE_MAX: u64 = 100 << 20;
/// The whole submission may take this long.
const TIME_MAX: Duration = Duration::from_secs(600);

/// When TLS begins towards the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tls {
    Never,
    Starttls,
    Implicit,
}

/// Submits the message.
pub(crate) fn run(layout: &Layout, send: Send) -> Result<ExitCode> {
    let settings = settings(layout)?;
    let (server, tls) = server(&send, &settings)?;
    let from = match (&send.from, &send.user) {
        (Some(from), _) => from.clone(),
        (None, Some(user)) if user.contains('@') => user.clone(),
        (None, Some(user)) => format!("{user}@{}", settings.default_domain()),
        (None, None) => format!("postmaster@{}", settings.default_domain()),
    };
    let recipients = send.to.iter().map(|to| to.parse().with_context(|| format!("{to:?} is no address")));
    let envelope = Envelope::new(
        Some(from.parse().with_context(|| format!("{from:?} is no address"))?),
        recipients.collect::<Result<_>>()?,
    )?;
    let message = message(&send, &from)?;
    let secret = send.user.as_ref().map(|user| password(false, user)).transpose()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let submit = submit(&send, (server, tls), &settings, secret, (&envelope, &message));
    let reply =
        runtime.block_on(async { tokio::time::timeout(TIME_MAX, submit).await }).context("the server took too long")??;
    println!("accepted: {reply}");
    Ok(ExitCode::SUCCESS)
}

/// Where to submit: as said, else the node's own listener, for users its submission port, for others its MX port.
fn server(send: &Send, settings: &Settings) -> Result<(SocketAddr, Tls)> {
    let tls_of = |listener: &Listener| match listener.tls {
        _ if send.no_tls => Tls::Never,
        ListenerTls::None => Tls::Never,
        ListenerTls::Starttls => Tls::Starttls,
        ListenerTls::Implicit => Tls::Implicit,
    };
    if let Some(server) = send.server {
        let own = settings.listen.iter().find(|listener| listener.port == server.port());
        let foreign = match server.port() {
            _ if send.no_tls => Tls::Never,
            465 => Tls::Implicit,
            _ => Tls::Starttls,
        };
        return Ok((server, own.map_or(foreign, tls_of)));
    }
    let wanted: &[ListenerRole] =
        if send.user.is_some() { &[ListenerRole::Submission, ListenerRole::Submissions] } else { &[ListenerRole::Mx] };
    let listener = wanted.iter().find_map(|role| settings.listen.iter().find(|listener| listener.role == *role));
    let listener = listener.context("this node has no listener for that; name a server with --server IP:PORT")?;
    let address = if listener.address.is_unspecified() { [127, 0, 0, 1].into() } else { listener.address };
    Ok((SocketAddr::new(address, listener.port), tls_of(listener)))
}

fn message(send: &Send, from: &str) -> Result<Vec<u8>> {
    if send.subject.is_none() && send.body.is_none() {
        let mut text = Vec::new();
        std::io::stdin().lock().take(MESSAGE_MAX).read_to_end(&mut text)?;
        return Ok(text);
    }
    let mut builder = lettre::Message::builder().from(from.parse()?).subject(send.subject.clone().unwrap_or_default());
    for to in &send.to {
        builder = builder.to(to.parse()?);
    }
    let body = send.body.clone().unwrap_or_default();
    Ok(builder.header(ContentType::TEXT_PLAIN).body(format!("{body}\r\n"))?.formatted())
}

async fn submit(
    send: &Send,
    (server, tls): (SocketAddr, Tls),
    settings: &Settings,
    secret: Option<String>,
    (envelope, message): (&Envelope, &[u8]),
) -> Result<String> {
    let hello = ClientId::Domain(settings.hostname.to_string());
    let shown = Dialogue::new(send.verbose);
    shown.note(&format!("connecting to {server}"));
    let stream = dialogue::connect(server, tls, settings.hostname.as_str(), &shown).await?;
    let mut connection =
        AsyncSmtpConnection::connect_with_transport(stream, &hello).await.context("the server refused the session")?;
    if let (Some(user), Some(secret)) = (&send.user, secret) {
        if tls == Tls::Never && !server.ip().is_loopback() {
            bail!("a password is not sent without TLS; leave out --no-tls");
        }
        let credentials = Credentials::new(user.clone(), secret);
        connection.auth(&[Mechanism::Plain, Mechanism::Login], &credentials).await.context("the login was refused")?;
    }
    let reply = connection.send(envelope, message).await.context("the message was refused")?;
    let words = reply.message().collect::<Vec<_>>().join(" ");
    let _ = connection.quit().await;
    Ok(format!("{} {words}", reply.code()))
}
