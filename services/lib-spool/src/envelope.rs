//! The envelope as text: lines "key value", ended by ".".

use std::collections::VecDeque;
use std::net::SocketAddr;

use lib_mail::{Address, BodyType, Envelope, Notify, Peer, Protocol, QueueId, Recipient, Return, Timestamp, Trust};

use crate::Queue;
use crate::text::{In, get, put};

/// The largest envelope that is written or read, in octets.
pub(crate) const MAX_ENVELOPE: usize = 16 << 20;

/// The envelope's text. `parent_queue` tells in which queue the parent lies that must name this message first.
pub(crate) fn print(envelope: &Envelope, parent_queue: Option<Queue>) -> String {
    let mut out = String::with_capacity(256 + 64 * envelope.recipients.len());
    let mut words = |key: &str, values: &[(&str, In)]| {
        out.push_str(key);
        for (value, place) in values {
            out.push(' ');
            put(&mut out, value, *place);
        }
        out.push('\n');
    };
    words("from", envelope.sender.as_ref().map(|sender| (sender.as_str(), In::Word)).as_slice());
    if let Some(ret) = envelope.ret {
        words("ret", &[(if ret == Return::Full { "full" } else { "headers" }, In::Word)]);
    }
    if let Some(envid) = &envelope.envid {
        words("envid", &[(envid, In::Line)]);
    }
    if envelope.body == BodyType::EightBitMime {
        words("body", &[("8bitmime", In::Word)]);
    }
    if envelope.utf8 {
        words("utf8", &[]);
    }
    words("arrived", &[(&envelope.arrived.to_string(), In::Word)]);
    words("deadline", &[(&envelope.deadline.to_string(), In::Word)]);
    if let Some(peer) = &envelope.peer {
        let (socket, asserted) = (peer.socket.to_string(), peer.asserted.map(|address| address.to_string()));
        let mut values = vec![(socket.as_str(), In::Word), (trust_name(peer.trust), In::Word)];
        values.extend(asserted.as_deref().map(|address| (address, In::Word)));
        words("peer", &values);
    }
    if !envelope.helo.is_empty() {
        words("helo", &[(&envelope.helo, In::Line)]);
    }
    words("protocol", &protocol_words(envelope.protocol));
    if let Some(account) = &envelope.account {
        words("account", &[(account, In::Line)]);
    }
    if let Some(parent) = &envelope.parent {
        let mut values = vec![(parent.as_str(), In::Word)];
        values.extend(parent_queue.map(|queue| (queue.name(), In::Word)));
        words("parent", &values);
    }
    for line in envelope.added.split_inclusive('\n') {
        match line.strip_suffix("\r\n") {
            Some(line) => words("add", &[(line, In::Line)]),
            None => words("addraw", &[(line, In::Line)]),
        }
    }
    envelope.recipients.iter().for_each(|recipient| put_recipient(&mut out, recipient));
    out.push_str(".\n");
    out
}

fn put_recipient(out: &mut String, recipient: &Recipient) {
    out.push_str("to ");
    put(out, recipient.address.as_str(), In::Word);
    match recipient.notify {
        Notify::Default => {}
        Notify::Never => out.push_str(" notify=never"),
        Notify::On { success, failure, delay } => {
            let on = [(success, "success"), (failure, "failure"), (delay, "delay")];
            let names: Vec<_> = on.iter().filter(|(on, _)| *on).map(|(_, name)| *name).collect();
            out.push_str(" notify=");
            out.push_str(&if names.is_empty() { "none".to_owned() } else { names.join(",") });
        }
    }
    if let Some(orcpt) = &recipient.orcpt {
        out.push_str(" orcpt=");
        put(out, orcpt, In::Word);
    }
    out.push('\n');
}

fn trust_name(trust: Trust) -> &'static str {
    match trust {
        Trust::Direct => "direct",
        Trust::Asserted => "asserted",
        Trust::Hidden => "hidden",
    }
}

fn protocol_words(protocol: Protocol) -> Vec<(&'static str, In)> {
    let Protocol { extended, tls, auth, utf8, local } = protocol;
    [(extended, "extended"), (tls, "tls"), (auth, "auth"), (utf8, "utf8"), (local, "local")]
        .into_iter()
        .filter(|(on, _)| *on)
        .map(|(_, name)| (name, In::Word))
        .collect()
}

/// Reads an envelope's text; `None` where this version did not write it.
pub(crate) fn parse(text: &str) -> Option<(Envelope, Option<Queue>)> {
    let mut lines = Lines(text.strip_suffix("\n.\n")?.split('\n').collect());
    let sender = match lines.take("from")? {
        "" => None,
        address => Some(get(address)?.parse().ok()?),
    };
    let ret = match lines.take("ret") {
        None => None,
        Some("full") => Some(Return::Full),
        Some("headers") => Some(Return::Headers),
        Some(_) => return None,
    };
    let envid = lines.value("envid")?;
    let body = match lines.take("body") {
        None => BodyType::SevenBit,
        Some("8bitmime") => BodyType::EightBitMime,
        Some(_) => return None,
    };
    let utf8 = lines.take("utf8").is_some();
    let arrived = Timestamp(lines.take("arrived")?.parse().ok()?);
    let deadline = Timestamp(lines.take("deadline")?.parse().ok()?);
    let peer = lines.take("peer").map(parse_peer);
    let helo = lines.value("helo")?.unwrap_or_default();
    let protocol = parse_protocol(lines.take("protocol")?)?;
    let account = lines.value("account")?;
    let parent = lines.take("parent").map(parse_parent);
    let (parent, parent_queue) = match parent {
        None => (None, None),
        Some(parent) => parent.map(|(parent, queue)| (Some(parent), queue))?,
    };
    let added = lines.added()?;
    let recipients = lines.0.iter().map(|line| parse_recipient(line)).collect::<Option<Vec<_>>>()?;
    let peer = if let Some(peer) = peer { Some(peer?) } else { None };
    let envelope = Envelope {
        sender,
        recipients,
        ret,
        envid,
        body,
        utf8,
        arrived,
        deadline,
        peer,
        helo,
        protocol,
        account,
        added,
        parent,
    };
    Some((envelope, parent_queue))
}

/// The lines not read yet.
struct Lines<'a>(VecDeque<&'a str>);

impl<'a> Lines<'a> {
    /// The rest of the next line if it has that key.
    fn take(&mut self, key: &str) -> Option<&'a str> {
        let rest = self.0.front()?.strip_prefix(key)?;
        let rest = if rest.is_empty() { rest } else { rest.strip_prefix(' ')? };
        self.0.pop_front();
        Some(rest)
    }

    /// The text of the next line if it has that key; the outer `None` where it is not written right.
    #[allow(clippy::option_option)]
    fn value(&mut self, key: &str) -> Option<Option<String>> {
        self.take(key).map_or(Some(None), |text| get(text).map(Some))
    }

    fn added(&mut self) -> Option<String> {
        let mut added = String::new();
        loop {
            if let Some(line) = self.take("add") {
                added.push_str(&get(line)?);
                added.push_str("\r\n");
            } else if let Some(line) = self.take("addraw") {
                added.push_str(&get(line)?);
            } else {
                return Some(added);
            }
        }
    }
}

fn parse_peer(text: &str) -> Option<Peer> {
    let mut words = text.split(' ');
    let socket: SocketAddr = words.next()?.parse().ok()?;
    let trust = match words.next()? {
        "direct" => Trust::Direct,
        "asserted" => Trust::Asserted,
        "hidden" => Trust::Hidden,
        _ => return None,
    };
    let asserted = match words.next() {
        None => None,
        Some(address) => Some(address.parse().ok()?),
    };
    words.next().is_none().then_some(Peer { socket, asserted, trust })
}

fn parse_protocol(text: &str) -> Option<Protocol> {
    let mut protocol = Protocol { extended: false, tls: false, auth: false, utf8: false, local: false };
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        match word {
            "extended" => protocol.extended = true,
            "tls" => protocol.tls = true,
            "auth" => protocol.auth = true,
            "utf8" => protocol.utf8 = true,
            "local" => protocol.local = true,
            _ => return None,
        }
    }
    Some(protocol)
}

fn parse_parent(text: &str) -> Option<(QueueId, Option<Queue>)> {
    match text.split_once(' ') {
        None => Some((text.parse().ok()?, None)),
        Some((id, name)) => {
            let queue = Queue::ALL.into_iter().find(|queue| queue.name() == name)?;
            Some((id.parse().ok()?, Some(queue)))
        }
    }
}

fn parse_recipient(line: &str) -> Option<Recipient> {
    let mut words = line.strip_prefix("to ")?.split(' ');
    let address: Address = get(words.next()?)?.parse().ok()?;
    let mut recipient = Recipient::new(address);
    for word in words {
        match word.split_once('=')? {
            ("notify", list) => recipient.notify = parse_notify(list)?,
            ("orcpt", value) => recipient.orcpt = Some(get(value)?),
            _ => return None,
        }
    }
    Some(recipient)
}

fn parse_notify(list: &str) -> Option<Notify> {
    let (mut success, mut failure, mut delay) = (false, false, false);
    match list {
        "never" => return Some(Notify::Never),
        "none" => return Some(Notify::On { success, failure, delay }),
        _ => {}
    }
    for name in list.split(',') {
        match name {
            "success" => success = true,
            "failure" => failure = true,
            "delay" => delay = true,
            _ => return None,
        }
    }
    Some(Notify::On { success, failure, delay })
}

#[cfg(test)]
mod tests;
