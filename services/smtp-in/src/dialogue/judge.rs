//! What a client is told, where it takes more than [`answers`] alone: the transaction under way, the spool, and whether a peer asks.

use lib_account::Maps;
use lib_mail::{Recipient, Status, Timestamp};
use lib_net::tls::TlsInfo;
use lib_policy::Client;
use lib_record::What;
use lib_smtp::server::{Input, Mail};

use super::Dialogue;
use crate::answers;
use crate::handover::original;
use crate::shared::Named;

impl Dialogue {
    pub(super) fn judge_mail(&self, mail: &Mail) -> Status {
        let now = self.shared.now();
        let full = answers::room(&self.shared.spool.space(), mail.size, now);
        let status =
            full.unwrap_or_else(|| answers::mail(&self.client(), mail, &self.shared.maps(), &self.rules.default_domain, now));
        if !status.is_success() {
            let from = mail.sender.as_ref().map(ToString::to_string).unwrap_or_default();
            self.shared.refused(self.named(), "mail", &from, "", status.clone());
        }
        status
    }

    pub(super) fn judge_recipient(&mut self, to: &Recipient, maps: &Maps, now: Timestamp) -> Status {
        let domain = &self.rules.default_domain;
        let status = answers::rcpt(&self.client(), to, maps, domain, now);
        if !status.is_success() {
            return self.or_quarantine(status, now);
        }
        let declared = self.session.transaction().and_then(|transaction| transaction.mail.size).unwrap_or(0);
        let limit = self.rules.settings.smtp.local_size_limit.0;
        let status = answers::too_large_for_mailbox(&to.address, declared, limit, maps, domain, now).unwrap_or(status);
        self.or_quarantine(status, now)
    }

    /// The refusal of a message that is too large for each of its recipients. What is too large for some only is taken, and the
    /// delivery tells its sender: SMTP has one reply for all.
    pub(super) fn too_large_for_all(&self, size: u64, now: Timestamp) -> Option<Status> {
        let (maps, limit) = (self.shared.maps(), self.rules.settings.smtp.local_size_limit.0);
        let recipients = &self.session.transaction()?.recipients;
        let refusal =
            |to: &Recipient| answers::too_large_for_mailbox(&to.address, size, limit, &maps, &self.rules.default_domain, now);
        recipients.iter().map(refusal).reduce(Option::and).flatten()
    }

    pub(super) fn client(&self) -> Client<'_> {
        Client {
            door: self.door,
            peer: original(self.peer, self.session.forwarded()),
            account: self.account.as_deref(),
            // What a peer says of a client brings the client no right here that it did not need there.
            relay_networks: if self.handover.is_some() { &[] } else { &self.rules.settings.smtp.relay_networks },
        }
    }

    pub(super) fn named(&self) -> Named<'_> {
        let forward = self.session.forwarded();
        let helo = forward.and_then(|forward| forward.helo.as_deref()).unwrap_or(self.session.helo());
        Named { peer: original(self.peer, forward), helo }
    }

    pub(super) fn refused(&self, stage: &str, to: &str, status: Status) {
        let sender = self.session.transaction().and_then(|transaction| transaction.mail.sender.as_ref());
        let from = sender.map(ToString::to_string).unwrap_or_default();
        self.shared.refused(self.named(), stage, &from, to, status);
    }

    pub(super) fn judge_content(&mut self) {
        let now = self.shared.now();
        let recipients = self.session.transaction().map_or(0, |transaction| transaction.recipients.len());
        let judged = match &mut self.message {
            None => Err(answers::no_room(now)),
            Some(message) => match message.finish() {
                Ok(()) => Ok((message.len(), answers::content(&message.scan, self.rules.settings.smtp.hop_limit, now))),
                Err(error) => Err(answers::spool_error(&error, now)),
            },
        };
        let status = match judged {
            Ok((size, status)) if status.is_success() => self.too_large_for_all(size, now).unwrap_or(status),
            Ok((_, status)) | Err(status) => status,
        };
        let status = match &mut self.handover {
            Some(handover) => handover.content(status, now),
            None => status,
        };
        if !status.is_success() {
            self.refused("data", "", status.clone());
        }
        self.session.handle(Input::Content(vec![status; recipients]));
    }

    /// The peer of a pair whose key the handshake showed.
    pub(super) fn peer_shown(&self, tls: &TlsInfo) -> Option<String> {
        let shown = tls.client.as_deref()?;
        let peers = &self.rules.settings.pair.peers;
        peers.iter().find(|peer| peer.pinned().as_deref() == Some(shown)).map(|peer| peer.name.clone())
    }

    /// A peer says who it is, as it has shown already.
    pub(super) fn know(&mut self, peer: &str) -> Status {
        let now = self.shared.now();
        self.handover = Some(Box::default());
        let address = self.peer.address().ip();
        self.shared.gate.excuse(address);
        let login = What::Login {
            user: peer.to_owned(),
            ok: true,
            peer: address.to_canonical().to_string(),
            service: lib_record::Service::Smtp,
            tls: true,
        };
        self.shared.record(None, login);
        Status::local(235, lib_mail::Enhanced::new(2, 7, 0), "Welcome", now)
    }

    /// Takes from a peer for quarantine what would be refused.
    fn or_quarantine(&mut self, status: Status, now: Timestamp) -> Status {
        let first = self.session.transaction().is_none_or(|transaction| transaction.recipients.is_empty());
        match &mut self.handover {
            Some(handover) => handover.recipient(status, first, now),
            None => status,
        }
    }

    /// Why the message that is whole now goes on hold.
    pub(super) fn why_held(&mut self) -> Option<Status> {
        let now = self.shared.now();
        let peer = self.session.pair().unwrap_or_default();
        self.handover.as_mut()?.why_held(peer, now)
    }
}
