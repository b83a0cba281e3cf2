//! Passing a message on to other servers: a child in the queue `relay`, made once.

use std::io::Read;

use lib_mail::{Address, Envelope, Notify, Recipient};
use lib_spool::{Child, Commit, Error, Incoming, Queue, What};

use crate::attempt::Attempt;
use crate::header::wire_form;

/// Octets copied at a time.
const COPY: usize = 64 * 1024;
const CAUSE: &str = "forward";

impl Attempt<'_> {
    /// Commits a child for these targets: the members of the alias `from`, or `from` alone. A message that has passed the alias carries its
    /// name in a Delivered-To line, so that it is known when it comes back.
    pub(crate) fn forward(&mut self, from: usize, targets: &[(usize, Address)]) -> Result<(), Error> {
        let Some((first, _)) = targets.first() else { return Ok(()) };
        let id = match self.office.spool.begin_child(&self.claim, CAUSE, *first)? {
            Child::Made(id) => id,
            Child::New(mut incoming) => {
                let id = incoming.id();
                incoming.expect(Queue::Relay);
                self.copy(&mut incoming)?;
                let (envelope, size) = (self.child_envelope(from, targets), incoming.len());
                let due = self.office.clock.now();
                incoming.commit(Commit { local: None, relay: Some(envelope.clone()), held: false, due })?;
                self.office.journal.forwarded(self.claim.id(), id, &envelope, size);
                id
            }
        };
        for (index, _) in targets {
            let status = self.status(250, 0, 0, format!("Passed on as {id}"));
            self.end_one(*index, What::Forwarded(id), status);
        }
        self.passed_on.push(id);
        Ok(())
    }

    fn copy(&self, incoming: &mut Incoming) -> Result<(), Error> {
        let (mut body, mut part) = (self.claim.body(), vec![0; COPY]);
        loop {
            match body.read(&mut part) {
                Ok(0) => return Ok(()),
                Ok(count) => incoming.append(&part[..count])?,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(source) => return Err(Error::Disk { doing: "read the message", source }),
            }
        }
    }

    /// The parent's envelope with these recipients. What the sender wants to be told goes with a single member; of several, the alias has
    /// told it all there is (RFC 3461 §5.2.7.2, §5.2.7.3).
    fn child_envelope(&self, from: usize, targets: &[(usize, Address)]) -> Envelope {
        let parent = self.claim.envelope();
        let recipients = self.claim.recipients();
        let alias = recipients.origin(from).and_then(|origin| parent.recipients.get(origin));
        let is_member = targets.first().is_some_and(|(index, _)| *index != from);
        let alone = (0..recipients.len()).filter(|index| recipients.member(*index).is_some_and(|m| m.of == from)).count() <= 1;
        let recipient = |address: &Address| {
            let notify =
                alias.map_or(Notify::Default, |alias| if alone { alias.notify } else { without_success(alias.notify) });
            let orcpt =
                alias.and_then(|alias| alias.orcpt.clone().or_else(|| is_member.then(|| original(&alias.address)).flatten()));
            Recipient { address: address.clone(), notify, orcpt }
        };
        let passed = alias.filter(|_| is_member).map(|alias| format!("Delivered-To: {}\r\n", wire_form(&alias.address.key())));
        Envelope {
            recipients: targets.iter().map(|(_, address)| recipient(address)).collect(),
            added: passed.unwrap_or_default() + &parent.added,
            ..parent.clone()
        }
    }
}

fn without_success(notify: Notify) -> Notify {
    match notify {
        Notify::On { failure: false, delay: false, .. } => Notify::Never,
        Notify::On { failure, delay, .. } => Notify::On { success: false, failure, delay },
        other => other,
    }
}

/// ORCPT= for an address that came without one, in xtext (RFC 3461 §4.2); none for what is not ASCII.
fn original(address: &Address) -> Option<String> {
    if !address.is_ascii() {
        return None;
    }
    let mut text = String::from("rfc822;");
    for byte in address.as_str().bytes() {
        match byte {
            b'+' | b'=' | 0..=0x20 | 0x7f.. => text.push_str(&format!("+{byte:02X}")),
            _ => text.push(char::from(byte)),
        }
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_tells_of_no_success() {
        let on = |success, failure, delay| Notify::On { success, failure, delay };
        for (given, left) in [
            (Notify::Default, Notify::Default),
            (Notify::Never, Notify::Never),
            (on(true, false, false), Notify::Never),
            (on(true, true, false), on(false, true, false)),
            (on(false, false, true), on(false, false, true)),
        ] {
            assert_eq!(without_success(given), left);
        }
    }

    #[test]
    fn original_recipients_are_xtext() {
        for (address, text) in [
            ("minji@example.kr", Some("rfc822;minji@example.kr")),
            ("a+b=c@example.kr", Some("rfc822;a+2Bb+3Dc@example.kr")),
            ("\"a b\"@example.kr", Some("rfc822;\"a+20b\"@example.kr")),
            ("민지@example.kr", None),
        ] {
            assert_eq!(original(&address.parse().unwrap()).as_deref(), text);
        }
    }
}
