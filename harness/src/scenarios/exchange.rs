//! Two servers speak, and something goes wrong between two of their words.

use std::sync::atomic::AtomicBool;

use anyhow::{Context, ensure};

use super::networks::{FAR, office_and_far, plain_three, tls_by_node};
use crate::Result;
use crate::gate::{How, Place, Side, Stage as Reply, Trip, What};
use crate::ledger::Place as Lies;
use crate::load::Load;
use crate::peer::{Certificate, Peer};
use crate::scenario::{ANY, BONGSU, EVERYWHERE, PROCESSES, Scenario};
use crate::stage::{PATIENCE, Stage};
use crate::wait::wait_until;

const SENDER: &str = "minji@office.example";

/// All of them.
pub const ALL: &[Scenario] = &[
    Scenario {
        name: "final_250_is_lost_and_the_client_tries_the_other_mx",
        shows: "The primary takes a message and its 250 is lost: the client gives the message to a secondary too, and both copies arrive. No mail system can tell that it is one.",
        rows: &["R3.1", "R3.3"],
        topology: || plain_three(""),
        drivers: PROCESSES,
        systems: ANY,
        alone: false,
        run: client_lost_reply,
    },
    Scenario {
        name: "final_250_is_lost_between_two_nodes",
        shows: "The primary takes a message from a secondary and its 250 is lost: the secondary sends it again, and it arrives twice, once by the books' leave.",
        rows: &["R3.1", "R3.3"],
        topology: || plain_three(""),
        drivers: PROCESSES,
        systems: ANY,
        alone: false,
        run: node_lost_reply,
    },
    Scenario {
        name: "cached_connection_is_closed_while_it_lies_idle",
        shows: "The peer closes a kept connection with FIN, with RST, or with 421 before MAIL: the next message takes a new one, and that is no failed attempt.",
        rows: &["R3.7"],
        topology: || plain_three(""),
        drivers: PROCESSES,
        systems: BONGSU,
        alone: false,
        run: cached,
    },
    Scenario {
        name: "each_recipient_of_one_transaction_has_its_own_fate",
        shows: "One pipelined transaction whose recipients get 250, 450, 550 and 552 and whose message gets 451: one is returned, three arrive, each once.",
        rows: &["R3.1", "R3.4"],
        topology: || office_and_far(""),
        drivers: EVERYWHERE,
        systems: BONGSU,
        alone: false,
        run: fates,
    },
    Scenario {
        name: "poison_among_good_messages",
        shows: "The next hop drops the connection at one recipient and refuses another, always: the good messages pass, the refused are returned, the others wait.",
        rows: &["R3.1", "R3.2"],
        topology: || office_and_far(""),
        drivers: EVERYWHERE,
        systems: ANY,
        alone: false,
        run: poison,
    },
    Scenario {
        name: "greylisted_and_taken_at_the_next_attempt",
        shows: "The next hop says 450 at first: the message waits with this reason and is taken at its next attempt.",
        rows: &["R3.2"],
        topology: || office_and_far(""),
        drivers: EVERYWHERE,
        systems: ANY,
        alone: false,
        run: greylisted,
    },
    Scenario {
        name: "certificate_of_the_next_hop_is_expired",
        shows: "The next hop's certificate is expired: where TLS is opportunistic mail goes out under TLS all the same, where it is required it waits and never goes in clear.",
        rows: &["R3.7"],
        topology: || tls_by_node(&[FAR]),
        drivers: EVERYWHERE,
        systems: BONGSU,
        alone: false,
        run: expired,
    },
];

/// The reply to the next message is lost.
fn lose_reply() -> Trip {
    Trip::after(Place::FinalDot, What::LoseReply(How::Reset))
}

/// One message of a client that tries these nodes in turn until one has taken it.
fn send_to_any(stage: &Stage, nodes: &[&str]) -> Result<()> {
    let load = Load { messages: 1, sessions: 1, ..stage.steady(nodes, &[SENDER], 10.0)? };
    let report = load.run(stage.ledger(), &AtomicBool::new(false));
    ensure!(report.accepted == 1, "{report:?}");
    Ok(())
}

fn client_lost_reply(stage: &Stage) -> Result<()> {
    let number = stage.trip("client", "primary", lose_reply())?;
    send_to_any(stage, &["primary", "second"])?;
    ensure!(stage.gate("client", "primary")?.taken(number) == 1, "the 250 was not lost");
    stage.server("second")?.wait_empty(PATIENCE)?;
    stage.server("primary")?.wait_empty(PATIENCE)?;
    let copies = stage.server("primary")?.copies()?.len();
    ensure!(copies == 2, "{copies} copies, and not the two that were given");
    stage.held("both copies arrived: one from the client, one from the secondary");
    Ok(())
}

fn node_lost_reply(stage: &Stage) -> Result<()> {
    let number = stage.trip("second", "primary", lose_reply())?;
    stage.allow_duplicates(1, "the peer's 250 was lost: from it to the record of it a message may be repeated");
    send_to_any(stage, &["second"])?;
    let books = stage.settle(PATIENCE)?;
    ensure!(stage.gate("second", "primary")?.taken(number) == 1, "the 250 was not lost");
    ensure!(books.duplicated.len() == 1 && books.delivered == 1, "{books:?}");
    stage.held("the message arrived twice, and the books say so");
    Ok(())
}

fn cached(stage: &Stage) -> Result<()> {
    let (link, ways) = (
        stage.gate("second", "primary")?,
        [
            ("FIN", What::Fin),
            ("RST", What::Reset),
            ("421", What::Inject(Side::Client, "421 4.4.2 idle for too long\r\n".into())),
        ],
    );
    for (at, (word, what)) in ways.into_iter().enumerate() {
        let number = stage.trip("second", "primary", Trip::after(Place::Reply(Reply::FinalDot), what))?;
        send_to_any(stage, &["second"])?;
        wait_until(&format!("the {word}"), PATIENCE, || link.taken(number) == 1)?;
        stage.wait_events("second", "relayed", 2 * at + 1)?;
        send_to_any(stage, &["second"])?;
        stage.wait_events("second", "relayed", 2 * at + 2)?;
        stage.held(format!("{word} while the connection was kept: the next message takes a new one"));
    }
    let deferred = stage.server("second")?.events()?.iter().filter(|event| event.what == "deferred").count();
    ensure!(deferred == 0, "{deferred} attempts failed");
    Ok(())
}

fn fates(stage: &Stage) -> Result<()> {
    let peer = stage.outside(FAR, 10, &["PIPELINING", "ENHANCEDSTATUSCODES"])?;
    peer.answer("RCPT TO:<later@", 1, "450 4.2.1 busy");
    peer.answer("RCPT TO:<gone@", None, "550 5.1.1 nobody of that name");
    // At RCPT this means too many recipients (RFC 5321 §4.5.3.1.10), which is temporary.
    peer.answer("RCPT TO:<full@", 1, "552 too many");
    peer.answer(".", 1, "451 4.3.0 not now");
    let recipients = ["good@far.example", "later@far.example", "gone@far.example", "full@far.example"];
    stage.send("office", SENDER, &recipients)?;
    let books = stage.settle(PATIENCE)?;
    ensure!(books.handed_over == 3 && books.bounced == 1, "{books:?}");
    let taken = peer.taken();
    let times = |local: &str| taken.iter().flat_map(|taken| &taken.recipients).filter(|line| line.contains(local)).count();
    for local in ["<good@", "<later@", "<full@"] {
        ensure!(times(local) == 1, "{local}… was taken {} times", times(local));
    }
    stage.held("three arrived, each once; one was returned");
    Ok(())
}

/// Tokens of the messages that the peer took for this recipient.
fn taken_for(peer: &Peer, recipient: &str) -> usize {
    peer.taken().iter().filter(|taken| taken.recipients.iter().any(|line| line.contains(recipient))).count()
}

fn poison(stage: &Stage) -> Result<()> {
    let peer = stage.outside(FAR, 10, &["PIPELINING"])?;
    peer.answer("RCPT TO:<drops@", None, "");
    peer.answer("RCPT TO:<never@", None, "554 5.7.1 never");
    let recipients = ["good@far.example", "drops@far.example", "good@far.example", "never@far.example"];
    let load = Load { messages: 40, from: SENDER.into(), ..stage.steady(&["office"], &recipients, 60.0)? };
    load.run(stage.ledger(), &AtomicBool::new(false));
    wait_until("the good messages at the next hop", PATIENCE, || taken_for(&peer, "<good@") == 20)?;
    stage.held("all good messages pass");
    wait_until("the refused ones returned", PATIENCE, || {
        stage.server("office").is_ok_and(|office| office.queued().is_ok_and(|queued| queued.len() == 10))
    })?;
    stage.held("what is refused is returned, and the poison waits");
    peer.answer("RCPT TO:<drops@", None, "250 2.1.5 healed");
    let books = stage.settle(PATIENCE)?;
    ensure!(books.handed_over == 30 && books.bounced == 10, "{books:?}");
    Ok(())
}

fn greylisted(stage: &Stage) -> Result<()> {
    let peer = stage.outside(FAR, 10, &["PIPELINING"])?;
    peer.answer("RCPT", 3, "450 4.7.1 greylisted, come back");
    for _ in 0..3 {
        stage.send("office", SENDER, &["somebody@far.example"])?;
    }
    stage.wait_events("office", "deferred", 1)?;
    let books = stage.settle(PATIENCE)?;
    ensure!(books.handed_over == 3 && books.bounced == 0, "{books:?}");
    stage.held("each was taken at its next attempt");
    Ok(())
}

fn expired(stage: &Stage) -> Result<()> {
    let peer = stage.outside(FAR, 10, &["PIPELINING"])?;
    peer.offer_tls(Certificate::Expired)?;
    stage.send("primary", SENDER, &["somebody@far.example"])?;
    wait_until("the message at the next hop", PATIENCE, || peer.taken().len() == 1)?;
    ensure!(peer.taken()[0].tls.is_some(), "it went in clear, though TLS was offered");
    stage.held("opportunistic: it goes out under TLS, whatever the certificate says");
    let (token, _) = stage.send("secondary", SENDER, &["somebody@far.example"])?;
    stage.wait_events("secondary", "deferred", 1)?;
    ensure!(peer.taken().len() == 1, "a message that requires TLS was sent to a host without a certificate that counts");
    stage.held("required: it waits");
    let queued = stage.server("secondary")?.queued()?;
    let found = queued.iter().find(|found| found.token == token).context("it is not queued")?;
    let Lies::Queue { id, .. } = &found.place else { anyhow::bail!("{found:?} is not queued") };
    stage.server("secondary")?.command(&["queue", "delete", id], b"")?.ok()?;
    stage.ledger().discard(&token);
    Ok(())
}
