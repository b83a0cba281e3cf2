//! Mail whose domain has become ours since it was queued, or came from another node's queue: passed on to the queue `local`, as a child.
//!
//! The way back is `deliver`'s. A message that another one caused must fail once before it goes this way, because two programs that read
//! the list of domains a second apart could throw it to and fro.

use std::collections::HashMap;
use std::io::Read;

use lib_mail::{Enhanced, Envelope, Status};
use lib_record::{Outcome as Fared, What as Happened};
use lib_spool::{Child, Claim, Commit, Error, Incoming, Outcome, Queue, What};

use crate::content::PIECE;
use crate::shared::Shared;
use crate::terms::Terms;

const CAUSE: &str = "reroute";

/// Passes on those of a claimed message whose mailboxes are here; their fate is recorded and durable on return. Blocks.
pub(crate) fn reroute(shared: &Shared, terms: &Terms, claim: &Claim) -> Result<(), Error> {
    let (envelope, recipients) = (claim.envelope(), claim.recipients());
    let may =
        |index: &usize| envelope.parent.is_none() || recipients.last(*index).is_some_and(|last| last.what == What::Deferred);
    // Recipients share domains, and each look at the map asks the disk.
    let mut known: HashMap<String, bool> = HashMap::new();
    let is_ours = |index: &usize| {
        let Some(recipient) = envelope.recipients.get(*index) else { return false };
        let ours = || shared.queue_of(&recipient.address, terms) == Queue::Local;
        *known.entry(recipient.address.domain().key()).or_insert_with(ours)
    };
    let ours: Vec<usize> = claim.pending().into_iter().filter(may).filter(is_ours).collect();
    let Some(first) = ours.first() else { return Ok(()) };
    let now = shared.clock.now();
    let id = match shared.spool.begin_child(claim, CAUSE, *first)? {
        Child::Made(id) => id,
        Child::New(mut incoming) => {
            let id = incoming.id();
            copy(claim, &mut incoming)?;
            let to = ours.iter().filter_map(|index| envelope.recipients.get(*index)).cloned().collect();
            let local = Envelope { recipients: to, ..envelope.clone() };
            shared.record(Some(id), accepted(&local, claim));
            incoming.commit(Commit { local: Some(local), relay: None, held: false, due: now })?;
            id
        }
    };
    let status = Status::local(250, Enhanced::new(2, 0, 0), format!("The domain is ours now; passed on as {id}"), now);
    let outcome = Outcome { what: What::Forwarded(id), status: status.clone() };
    claim.record(&ours.iter().map(|index| (*index, outcome.clone())).collect::<Vec<_>>())?;
    claim.sync()?;
    for recipient in ours.iter().filter_map(|index| envelope.recipients.get(*index)) {
        let to = recipient.address.to_string();
        let (delay, size, status) = (now.since(envelope.arrived), claim.message_len(), status.clone());
        let what = Happened::Attempt { to, outcome: Fared::Expanded, delay, relay: String::new(), size, status };
        shared.record(Some(claim.id()), what);
    }
    shared.wake(Queue::Local, id);
    Ok(())
}

fn accepted(envelope: &Envelope, parent: &Claim) -> Happened {
    Happened::Accepted {
        from: envelope.sender.as_ref().map(ToString::to_string).unwrap_or_default(),
        size: parent.message_len(),
        nrcpts: u32::try_from(envelope.recipients.len()).unwrap_or(u32::MAX),
        msgid: String::new(),
        proto: "local".into(),
        relay: String::new(),
        account: None,
        parent: Some(parent.id()),
    }
}

fn copy(claim: &Claim, incoming: &mut Incoming) -> Result<(), Error> {
    let (mut body, mut piece) = (claim.body(), vec![0; PIECE]);
    loop {
        match body.read(&mut piece) {
            Ok(0) => return Ok(()),
            Ok(count) => incoming.append(&piece[..count])?,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(source) => return Err(Error::Disk { doing: "read a message", source }),
        }
    }
}
