//! One message on a ready session: MAIL, RCPT for each recipient, DATA, the message, and who got it.

use std::collections::VecDeque;

use lib_mail::{By, Enhanced, Status, Timestamp};

use super::body::Stuffing;
use super::{Client, Done, Stage, State, Transaction, command};
use crate::reply::Reply;

/// Commands sent ahead of their replies. Their replies fit into the socket buffers of both sides, so that neither waits for the
/// other forever (RFC 2920 §3.1).
const WINDOW: usize = 100;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Fate {
    /// Not asked yet, or not answered.
    Open,
    /// RCPT was accepted.
    Accepted,
    Settled(Status),
}

/// What a reply answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    Forward,
    Mail,
    Rcpt(usize),
    Data,
    /// The message; `false`: a bare dot, for nobody.
    Dot(bool),
}

/// How far a transaction has come.
#[derive(Debug)]
pub(super) struct Progress {
    transaction: Transaction,
    fates: Vec<Fate>,
    /// The first recipient for whom RCPT was not sent.
    next: usize,
    asked: VecDeque<Asked>,
    mail_sent: bool,
    data_sent: bool,
    /// 354 came, and somebody is to have the message.
    body: Option<Stuffing>,
    /// The server holds a reverse-path that RSET must clear.
    open_at_server: bool,
    heard: bool,
}

impl Progress {
    pub(super) fn stage(&self) -> Stage {
        match self.asked.front() {
            _ if self.body.is_some() => Stage::Body,
            Some(Asked::Forward | Asked::Mail) | None => Stage::Mail,
            Some(Asked::Rcpt(_)) => Stage::Recipient,
            Some(Asked::Data) => Stage::Data,
            Some(Asked::Dot(_)) => Stage::FinalDot,
        }
    }

    /// The end, with `status` for all who have none yet.
    pub(super) fn cut_short(self, status: &Status) -> Done {
        let settle = |fate| match fate {
            Fate::Settled(own) => own,
            Fate::Open | Fate::Accepted => status.clone(),
        };
        Done { fates: self.fates.into_iter().map(settle).collect(), unheard: !self.heard }
    }

    fn settle(&mut self, which: &Fate, status: &Status) {
        for fate in self.fates.iter_mut().filter(|fate| *fate == which) {
            *fate = Fate::Settled(status.clone());
        }
    }

    fn any(&self, which: &Fate) -> bool {
        self.fates.contains(which)
    }
}

impl Client {
    pub(super) fn begin(&mut self, transaction: Transaction, now: Timestamp) {
        if !matches!(self.state, State::Ready) {
            return;
        }
        let fates = transaction.recipients.iter().map(|_| Fate::Open).collect();
        let mut progress = Progress {
            transaction,
            fates,
            next: 0,
            asked: VecDeque::new(),
            mail_sent: false,
            data_sent: false,
            body: None,
            open_at_server: false,
            heard: false,
        };
        self.refuse_here(&mut progress, now);
        self.state = State::Transaction(Box::new(progress));
        self.advance(now);
    }

    /// Settles those to whom this peer cannot pass the message, without asking it.
    fn refuse_here(&self, progress: &mut Progress, now: Timestamp) {
        let peer = &self.config.peer;
        let own = |code, enhanced, text: String| Status::new(code, enhanced, By::Remote(peer.clone()), text, now);
        let content = progress.transaction.content;
        if command::needs_utf8(&progress.transaction) && !self.offered.utf8 {
            let text = format!("The message needs SMTPUTF8, which {peer} does not offer");
            progress.settle(&Fate::Open, &own(554, Enhanced::new(5, 6, 7), text));
        }
        if content.eight_bit && !self.offered.eight_bit {
            let text = format!("The message holds 8-bit characters, and {peer} does not offer 8BITMIME");
            progress.settle(&Fate::Open, &own(554, Enhanced::new(5, 6, 3), text));
        }
        if self.offered.refuses_size(content.size) {
            let limit = self.offered.size.unwrap_or(0);
            let text = format!("The message is too large: it has {} bytes, and {peer} takes {limit}", content.size);
            progress.settle(&Fate::Open, &own(552, Enhanced::new(5, 3, 4), text));
        }
        for (fate, recipient) in progress.fates.iter_mut().zip(&progress.transaction.recipients) {
            if *fate == Fate::Open && command::path(&recipient.address, &self.offered).is_none() {
                let text = format!("The address needs SMTPUTF8, which {peer} does not offer");
                *fate = Fate::Settled(own(553, Enhanced::new(5, 6, 7), text));
            }
        }
    }

    pub(super) fn transaction(&mut self, reply: &Reply, now: Timestamp) {
        let said = self.said(reply, now);
        let State::Transaction(progress) = &mut self.state else { return };
        progress.heard = true;
        let in_step = if progress.body.is_some() {
            return self.interrupted(reply, now);
        } else {
            match progress.asked.pop_front() {
                Some(Asked::Forward) => progress.forward_replied(reply, &said),
                Some(Asked::Mail) => progress.mail_replied(reply, &said),
                Some(Asked::Rcpt(index)) => progress.rcpt_replied(index, reply, said),
                Some(Asked::Data) => return self.data_replied(reply, now),
                Some(Asked::Dot(true)) => progress.message_replied(reply, &said),
                Some(Asked::Dot(false)) => true,
                None => false,
            }
        };
        if in_step { self.advance(now) } else { self.out_of_step(reply, now) }
    }

    fn out_of_step(&mut self, reply: &Reply, now: Timestamp) {
        self.nonsense(&format!("it said {reply}"), now);
    }

    fn data_replied(&mut self, reply: &Reply, now: Timestamp) {
        let said = self.said(reply, now);
        let State::Transaction(progress) = &mut self.state else { return };
        if reply.code == 354 {
            progress.open_at_server = false;
            if progress.any(&Fate::Accepted) {
                progress.body = Some(Stuffing::new());
            } else {
                // RFC 2920 §3.1: the server takes a message that nobody is to have.
                progress.asked.push_back(Asked::Dot(false));
                self.send(".\r\n");
            }
        } else if reply.is_refusal() {
            progress.settle(&Fate::Accepted, &said);
            self.advance(now);
        } else {
            self.out_of_step(reply, now);
        }
    }

    /// The peer spoke in the middle of the message. A refusal is taken at its word (some servers say `552` as soon as they have
    /// enough); the rest of the message is not sent, so the connection ends here.
    fn interrupted(&mut self, reply: &Reply, now: Timestamp) {
        let said = self.said(reply, now);
        if let State::Transaction(progress) = &mut self.state
            && reply.is_refusal()
        {
            progress.settle(&Fate::Accepted, &said);
        }
        self.out_of_step(reply, now);
    }

    /// Sends what comes next when all that was asked is answered, or ends the transaction.
    fn advance(&mut self, now: Timestamp) {
        let State::Transaction(progress) = &mut self.state else { return };
        if !progress.asked.is_empty() {
            return;
        }
        let over = progress.data_sent || !progress.any(&Fate::Open) && !progress.any(&Fate::Accepted);
        if over {
            return self.finish(now);
        }
        let window = if self.offered.pipelining { WINDOW } else { 1 };
        let octets = progress.next_commands(window, &self.offered);
        self.send(octets);
    }

    fn finish(&mut self, now: Timestamp) {
        // Nobody is left without a fate here; the status stands in for what cannot be.
        let spare = self.about(451, Enhanced::new(4, 5, 0), "the session ended without an answer", now);
        if let State::Transaction(progress) = std::mem::replace(&mut self.state, State::Ready) {
            let reset = progress.open_at_server;
            self.output.push_back(super::Output::Done(progress.cut_short(&spare)));
            if reset {
                self.send("RSET\r\n");
                self.state = State::Reset;
            }
        }
    }

    /// Appends `piece` of the message to `out` as it goes over the wire. Only between [`super::Output::Body`] and
    /// [`super::Input::BodySent`]; else nothing is appended.
    pub fn encode_body(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        if let State::Transaction(progress) = &mut self.state
            && let Some(stuffing) = &mut progress.body
        {
            stuffing.encode(piece, out);
        }
    }

    /// Appends the end of the message to `out`. Without it the peer has no message, so a driver that cannot read the rest of its
    /// message closes the connection instead.
    pub fn end_body(&mut self, out: &mut Vec<u8>) {
        if let State::Transaction(progress) = &mut self.state
            && let Some(stuffing) = &progress.body
        {
            stuffing.end(out);
        }
    }

    pub(super) fn body_sent(&mut self) {
        if let State::Transaction(progress) = &mut self.state
            && progress.body.take().is_some()
        {
            progress.asked.push_back(Asked::Dot(true));
        }
    }
}

impl Progress {
    /// A peer that wants no hand-over gets no message: it would judge us in place of the client. That is a fault of settings, so it waits.
    fn forward_replied(&mut self, reply: &Reply, said: &Status) -> bool {
        if reply.is_refusal() {
            let text = format!("The hand-over is refused: {reply}");
            self.settle(&Fate::Open, &Status::new(451, Enhanced::new(4, 7, 0), said.by.clone(), text, said.at));
        }
        reply.is_success() || reply.is_refusal()
    }

    fn mail_replied(&mut self, reply: &Reply, said: &Status) -> bool {
        if reply.is_success() {
            self.open_at_server = true;
        } else if reply.is_refusal() {
            self.settle(&Fate::Open, said);
        }
        reply.is_success() || reply.is_refusal()
    }

    fn rcpt_replied(&mut self, index: usize, reply: &Reply, said: Status) -> bool {
        let fate = match reply.code {
            _ if reply.is_success() => Fate::Accepted,
            // RFC 5321 §4.5.3.1.10: without an enhanced code this means "too many recipients".
            552 if reply.enhanced.is_none() => {
                let text = format!("552 {}", said.text);
                Fate::Settled(Status::new(452, Enhanced::new(4, 5, 3), said.by, text, said.at))
            }
            _ => Fate::Settled(said),
        };
        let in_step = reply.is_success() || reply.is_refusal();
        // After a refused MAIL the replies to what was sent behind it say nothing new.
        if let Some(open) = self.fates.get_mut(index).filter(|open| in_step && **open == Fate::Open) {
            *open = fate;
        }
        in_step
    }

    fn message_replied(&mut self, reply: &Reply, said: &Status) -> bool {
        let in_step = reply.is_success() || reply.is_refusal();
        if in_step {
            self.settle(&Fate::Accepted, said);
        }
        in_step
    }

    /// The next commands as one piece: at most `window`, DATA last.
    fn next_commands(&mut self, window: usize, offered: &super::Capabilities) -> Vec<u8> {
        let mut lines = String::new();
        if !self.mail_sent {
            if let Some(forward) = self.transaction.forward.take().filter(|_| offered.forward) {
                self.asked.push_back(Asked::Forward);
                lines.push_str(&format!("XFORWARD {forward}\r\n"));
                if window == 1 {
                    return lines.into_bytes();
                }
            }
            self.mail_sent = true;
            self.asked.push_back(Asked::Mail);
            lines.push_str(&command::mail(&self.transaction, offered));
        }
        while self.asked.len() < window && self.next < self.fates.len() {
            if self.fates[self.next] == Fate::Open {
                lines.push_str(&command::rcpt(&self.transaction.recipients[self.next], offered));
                self.asked.push_back(Asked::Rcpt(self.next));
            }
            self.next += 1;
        }
        // Without pipelining DATA goes out only when somebody was accepted; with it, before that is known.
        let somebody = window > 1 || self.any(&Fate::Accepted);
        if self.asked.len() < window && self.next == self.fates.len() && somebody {
            self.data_sent = true;
            self.asked.push_back(Asked::Data);
            lines.push_str("DATA\r\n");
        }
        lines.into_bytes()
    }
}
