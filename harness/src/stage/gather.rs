//! What the servers hold, gathered for the books and the record.

use std::collections::HashMap;

use super::Stage;
use crate::Result;
use crate::ledger::Found;
use crate::record::{Books, Hop, MessageRecord, NodeRecord, Record};
use crate::server::Server;

/// Hops kept of one message.
const MAX_HOPS: usize = 200;

/// The servers as reports name them.
pub(super) fn nodes(servers: &[Box<dyn Server>]) -> Vec<NodeRecord> {
    let node = |server: &dyn Server| NodeRecord {
        name: server.plan().name.clone(),
        system: server.system().name().into(),
        part: server.plan().part.clone(),
        address: server.at(crate::server::Port::Mx).to_string(),
    };
    servers.iter().map(|server| node(server.as_ref())).collect()
}

impl Stage {
    /// Everything that lies anywhere: mailboxes, queues, servers outside.
    pub fn found(&self) -> Result<Vec<Found>> {
        let mut found = Vec::new();
        for server in self.servers() {
            let node = &server.plan().name;
            // Queues first: what is delivered between the two looks is then seen twice, never not at all.
            found.extend(server.queued()?.into_iter().filter(|queued| !queued.token.is_empty()));
            found.extend(server.copies()?.iter().filter_map(|copy| Found::in_mailbox(node, &copy.address, &copy.text)));
        }
        found.extend(super::lock(&self.fetched).iter().cloned());
        for outside in self.outside_list().iter() {
            for taken in outside.peer.taken() {
                let recipients = taken.recipients.iter().filter_map(|line| path(line)).collect();
                found.extend(Found::outside(&outside.name, recipients, &taken.message));
            }
        }
        Ok(found)
    }

    /// The books as they stand, and each message.
    pub fn balance(&self) -> Result<(Books, Vec<MessageRecord>)> {
        let (mut books, messages) = self.ledger.balance(&self.found()?, &|recipient| self.topology.finals(recipient));
        books.allowed_duplicates = super::lock(&self.allowed).clone();
        Ok((books, messages))
    }
}

/// The address in a RCPT line.
fn path(line: &str) -> Option<String> {
    let (_, rest) = line.split_once('<')?;
    rest.split_once('>').map(|(address, _)| address.to_owned())
}

/// What happened so far, whole. What cannot be read any more is left out: a record is wanted most where things went wrong.
pub(super) fn record(stage: &Stage) -> Record {
    let (moments, spans, samples) = stage.journal.kept_so_far();
    let (books, mut messages) = stage.balance().unwrap_or_default();
    ways(stage, &mut messages);
    let (nodes, dialogues, latencies) = (stage.nodes(), stage.net.dialogues(), stage.ledger.took());
    Record { nodes, moments, spans, samples, messages, dialogues, books, latencies }
}

/// Adds each message's way over the nodes, as their events tell it. A message is followed by its Message-ID, which begins with the token.
fn ways(stage: &Stage, messages: &mut [MessageRecord]) {
    let index: HashMap<String, usize> = messages.iter().enumerate().map(|(at, message)| (message.token.clone(), at)).collect();
    for server in stage.servers() {
        let mut of_id: HashMap<String, usize> = HashMap::new();
        for event in server.events().unwrap_or_default() {
            if let Some(at) = event.message_id.as_deref().and_then(token_of).and_then(|token| index.get(&token)) {
                of_id.insert(event.id.clone(), *at);
            }
            let Some(message) = of_id.get(&event.id).map(|at| &mut messages[*at]) else { continue };
            if message.hops.len() < MAX_HOPS {
                let (at, node) = (stage.journal.place(event.at), server.plan().name.clone());
                message.hops.push(Hop { at, node, id: event.id, what: event.what, detail: event.detail });
            }
        }
    }
    messages.iter_mut().for_each(|message| message.hops.sort_by_key(|hop| hop.at));
}

/// The token in `<TOKEN@load.example>`.
fn token_of(message_id: &str) -> Option<String> {
    let (token, _) = message_id.trim_start_matches('<').split_once('@')?;
    Some(token.to_owned())
}
