//! What a next hop says at each stage of the dialogue, and what becomes of each recipient.

use std::sync::Arc;

use anyhow::{Context, ensure};

use super::networks::{FAR, office, tls_by_node};
use crate::Result;
use crate::ledger::Place;
use crate::peer::{Certificate, Deed, Peer};
use crate::record::MessageRecord;
use crate::scenario::{BONGSU, EVERYWHERE, PROCESSES, Scenario};
use crate::stage::{PATIENCE, Stage};
use crate::topology::Topology;
use crate::wait::{wait_for, wait_until};

/// All of them.
pub const ALL: &[Scenario] = &[
    Scenario {
        name: "every_reply_at_every_stage_and_the_fate_of_each_recipient",
        shows: "4yz, 5yz, 421 and a dropped connection at the greeting, EHLO, MAIL, one RCPT of two, DATA and the final dot: each recipient waits, is returned with the remote's words, or has the message once; twice only where the reply to the final dot was lost.",
        rows: &["R3.1", "R3.2", "R3.4"],
        topology: many_far,
        drivers: PROCESSES,
        systems: BONGSU,
        alone: false,
        run: table,
    },
    Scenario {
        name: "starttls_is_stripped_or_followed_by_words_in_the_clear",
        shows: "STARTTLS is missing from the EHLO reply, or a reply in the clear is slipped in behind its 220: where TLS is required mail waits and says why, where it is opportunistic mail goes in the clear, and the words slipped in count for nothing.",
        rows: &["R3.7"],
        topology: || tls_by_node(&[FAR, BEYOND]),
        drivers: EVERYWHERE,
        systems: BONGSU,
        alone: false,
        run: stripped,
    },
];

const SENDER: &str = "minji@office.example";
/// Another domain outside.
const BEYOND: &str = "beyond.example";

/// Where a reply is scripted, and what is said there once the server is well.
const STAGES: [(&str, &str); 6] = [
    ("CONNECT", "220 peer.example ESMTP"),
    ("EHLO", "250 peer.example"),
    ("MAIL", "250 2.1.0 ok"),
    ("RCPT TO:<two@", "250 2.1.5 ok"),
    ("DATA", "354 go on"),
    (".", "250 2.0.0 ok"),
];
/// What is said there at first.
const KINDS: [Kind; 4] = [Kind::Soft, Kind::Hard, Kind::Busy, Kind::Gone];
/// One more: one recipient is refused for now, the other for good.
const BOTH: usize = STAGES.len() * KINDS.len();
/// One more: the message is taken, and its 250 is lost.
const LOST_250: usize = BOTH + 1;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Soft,
    Hard,
    Busy,
    Gone,
}

/// What becomes of a recipient while the server is not well. Whoever waits has the message once it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Waits,
    Returned,
    Arrives,
    Twice,
}

impl Fate {
    /// The word of the books for it.
    fn word(self) -> &'static str {
        match self {
            Fate::Waits => "queued",
            Fate::Returned => "bounced",
            Fate::Arrives => "handed over",
            Fate::Twice => "duplicated",
        }
    }
}

/// A server of the table, and what is to become of `one` and of `two` there.
struct Cell {
    number: usize,
    peer: Arc<Peer>,
    stage: usize,
    fates: [Fate; 2],
}

impl Cell {
    fn set(stage: &Stage, number: usize) -> Result<Cell> {
        let peer = stage.outside(&domain(number), 10, &["PIPELINING", "ENHANCEDSTATUSCODES"])?;
        let (soft, hard) = (|| format!("451 4.3.0 {}", words(number)), || format!("554 5.3.0 {}", words(number)));
        let (at, fates) = match number {
            BOTH => {
                peer.answer("RCPT TO:<one@", None, &soft());
                peer.answer("RCPT TO:<two@", None, &hard());
                (0, [Fate::Waits, Fate::Returned])
            }
            LOST_250 => {
                peer.script(".", 1, Deed::Swallow);
                (0, [Fate::Twice, Fate::Twice])
            }
            _ => {
                let (at, kind) = (number / KINDS.len(), KINDS[number % KINDS.len()]);
                let deed = match kind {
                    Kind::Soft => Deed::Reply(soft()),
                    Kind::Hard => Deed::Reply(hard()),
                    Kind::Busy => Deed::Farewell(format!("421 4.3.2 {}", words(number))),
                    Kind::Gone => Deed::Close,
                };
                peer.script(STAGES[at].0, None, deed);
                (at, fates(STAGES[at].0, kind))
            }
        };
        Ok(Cell { number, peer, stage: at, fates })
    }

    fn recipients(&self) -> [String; 2] {
        ["one", "two"].map(|local| format!("{local}@{}", domain(self.number)))
    }

    fn heal(&self) {
        let (prefix, well) = if self.number == BOTH { ("RCPT TO:<one@", "250 2.1.5 ok") } else { STAGES[self.stage] };
        self.peer.answer(prefix, None, well);
    }
}

fn domain(number: usize) -> String {
    format!("cell{number}.example")
}

/// What its server says, and no other.
fn words(number: usize) -> String {
    format!("so says cell {number}.")
}

fn fates(stage: &str, kind: Kind) -> [Fate; 2] {
    match (stage, kind) {
        // It speaks of the host and not of the mail.
        ("CONNECT", Kind::Hard) => [Fate::Waits; 2],
        // A server that knows only HELO (RFC 5321 §3.2).
        ("EHLO", Kind::Hard) => [Fate::Arrives; 2],
        ("RCPT TO:<two@", Kind::Soft) => [Fate::Arrives, Fate::Waits],
        ("RCPT TO:<two@", Kind::Hard) => [Fate::Arrives, Fate::Returned],
        (_, Kind::Hard) => [Fate::Returned; 2],
        _ => [Fate::Waits; 2],
    }
}

fn many_far() -> Result<Topology> {
    office("")?.edit("office", |office| office.relay_domains.extend((0..=LOST_250).map(domain)))
}

fn table(stage: &Stage) -> Result<()> {
    let cells: Vec<Cell> = (0..=LOST_250).map(|number| Cell::set(stage, number)).collect::<Result<_>>()?;
    stage.allow_duplicates(2, "the peer took the message for two recipients, and its 250 was lost");
    for cell in &cells {
        let [one, two] = cell.recipients();
        stage.send("office", SENDER, &[&one, &two])?;
    }
    let tried = |cell: &Cell| -> Result<bool> {
        let events = stage.server("office")?.events()?;
        let failed = |to: &String| events.iter().any(|event| event.what == "deferred" && event.detail.contains(to));
        Ok(cell.recipients().iter().zip(cell.fates).all(|(to, fate)| fate != Fate::Waits || failed(to)))
    };
    wait_for("the fate of each recipient at a server that is not well", PATIENCE, || {
        let (_, messages) = stage.balance()?;
        for cell in &cells {
            agree(cell, &messages, Fate::word)?;
            ensure!(tried(cell)?, "nobody tried {}", domain(cell.number));
        }
        Ok(Some(()))
    })?;
    stage.held(format!("{} servers: each recipient waits, is returned, or has the message", cells.len()));
    said(stage, &cells)?;
    stage.held("the remote's words are in each notification, and mailq shows them of what waits");
    cells.iter().for_each(Cell::heal);
    let books = stage.settle(PATIENCE)?;
    ensure!(books.duplicated.len() == 2, "{books:?}");
    let (_, messages) = stage.balance()?;
    let at_last = |fate: Fate| if fate == Fate::Waits { Fate::Arrives.word() } else { fate.word() };
    cells.iter().try_for_each(|cell| agree(cell, &messages, at_last))?;
    stage.held("what waited arrived once, and what was returned never did");
    Ok(())
}

/// Whether the books say of both recipients of a cell what they should.
fn agree(cell: &Cell, messages: &[MessageRecord], should: impl Fn(Fate) -> &'static str) -> Result<()> {
    for (to, fate) in cell.recipients().iter().zip(cell.fates) {
        let found = messages.iter().flat_map(|message| &message.recipients).find(|found| found.address == *to);
        let is = found.map_or("not sent", |found| found.fate.as_str());
        ensure!(is == should(fate), "{to} is {is} and not {} ({})", should(fate), STAGES[cell.stage].0);
    }
    Ok(())
}

/// The words of each server that refused something are where they belong, and in no other notification.
fn said(stage: &Stage, cells: &[Cell]) -> Result<()> {
    let told: Vec<String> =
        stage.server("office")?.copies()?.iter().map(|copy| String::from_utf8_lossy(&copy.text).into_owned()).collect();
    let waits = stage.server("office")?.list_queue()?.text.split_whitespace().collect::<Vec<_>>().join(" ");
    for cell in cells {
        let kind = (cell.number < BOTH).then(|| KINDS[cell.number % KINDS.len()]);
        if cell.fates.contains(&Fate::Waits) && kind != Some(Kind::Gone) {
            ensure!(waits.contains(&words(cell.number)), "mailq does not say why {} waits:\n{waits}", domain(cell.number));
        }
        let of_it: Vec<&String> = told.iter().filter(|text| text.contains(&domain(cell.number))).collect();
        ensure!(of_it.len() == usize::from(cell.fates.contains(&Fate::Returned)), "{}: {of_it:?}", domain(cell.number));
        let Some(text) = of_it.first() else { continue };
        for (to, fate) in cell.recipients().iter().zip(cell.fates) {
            let named = text.contains(&format!("Final-Recipient: rfc822; {to}"));
            ensure!(named == (fate == Fate::Returned), "{to}, {fate:?}:\n{text}");
        }
        for part in ["Action: failed", "Status: 5.3.0", &format!("554 5.3.0 {}", words(cell.number))] {
            ensure!(text.contains(part), "the sender was not told {part}:\n{text}");
        }
    }
    Ok(())
}

fn stripped(stage: &Stage) -> Result<()> {
    // Behind the 220 it answers, as one in the middle would, the EHLO that is only to come, and offers a login.
    let injected = "220 2.0.0 go on\r\n250-peer.example\r\n250 AUTH PLAIN";
    let ways = [(FAR, "EHLO", "250 peer.example"), (BEYOND, "STARTTLS", injected)];
    for (at, (domain, prefix, reply)) in ways.into_iter().enumerate() {
        let peer = stage.outside(domain, 10, &["PIPELINING"])?;
        peer.offer_tls(Certificate::SelfSigned)?;
        peer.answer(prefix, None, reply);
        stage.send("primary", SENDER, &[&format!("somebody@{domain}")])?;
        wait_until("the message at the next hop", PATIENCE, || peer.taken().len() == 1)
            .with_context(|| format!("{:?}", peer.commands()))?;
        ensure!(peer.taken()[0].tls.is_none(), "{prefix}: it went under TLS");
        let said = peer.commands();
        // The connection in which a reply was slipped in is of no more use.
        let broken: &[&str] = if prefix == "STARTTLS" { &["EHLO", "STARTTLS"] } else { &[] };
        let verbs: Vec<&str> = said.iter().filter_map(|line| line.split(' ').next()).collect();
        ensure!(verbs.strip_prefix(broken).is_some_and(|rest| rest.starts_with(&["EHLO", "MAIL"])), "{verbs:?}");
        stage.held(format!("{prefix}: opportunistic, it goes in the clear"));
        let (token, _) = stage.send("secondary", SENDER, &[&format!("somebody@{domain}")])?;
        stage.wait_events("secondary", "deferred", at + 1)?;
        waits_and_goes(stage, &token)?;
        let since = &peer.commands()[said.len()..];
        ensure!(!since.iter().any(|line| line.starts_with("MAIL") || line.starts_with("AUTH")), "{since:?}");
        stage.held(format!("{prefix}: required, it waits and says why"));
    }
    Ok(())
}

/// The message waits at the secondary for want of TLS; it is deleted then.
fn waits_and_goes(stage: &Stage, token: &str) -> Result<()> {
    let secondary = stage.server("secondary")?;
    let shown = secondary.list_queue()?.text;
    ensure!(shown.contains("TLS"), "mailq shows\n{shown}");
    let queued = secondary.queued()?;
    let found = queued.iter().find(|found| found.token == token).context("it is not queued")?;
    let Place::Queue { id, .. } = &found.place else { anyhow::bail!("{found:?} is not queued") };
    secondary.command(&["queue", "delete", id], b"")?.ok()?;
    stage.ledger().discard(token);
    Ok(())
}
