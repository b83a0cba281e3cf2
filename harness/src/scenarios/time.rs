//! Clocks that jump, or run fast: half an hour, a day, five days pass in seconds.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};

use super::networks::{FAR, OFFICE, office_and_far};
use crate::Result;
use crate::faults::{CLOCK, STOP};
use crate::load::Load;
use crate::peer::Peer;
use crate::scenario::{BONGSU, EVERYWHERE, Scenario};
use crate::server::Event;
use crate::stage::{PATIENCE, Stage};
use crate::topology::Topology;
use crate::wait::wait_until;

const HALF_AN_HOUR: &str = "1860";
const SIX_DAYS: &str = "518400";
const A_YEAR: &str = "31536000";
/// The waits of profile office.
const OFFICE_WAITS: &str = "queue.retry = [\"5m\", \"15m\", \"30m\"]";
const SENDER: &str = "minji@office.example";

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
/// Later than it is due, at most: a machine that is busy, and a clock file that is read once a second.
const SLACK: i64 = 20;

/// All of them.
pub const ALL: &[Scenario] = &[
    Scenario {
        name: "half_an_hour_passes_and_what_waits_is_tried_again",
        shows: "The clock goes half an hour ahead: what waits for its next attempt is tried then, and not before, and nobody has to run the queue.",
        rows: &["R3.2"],
        topology: waiting,
        drivers: EVERYWHERE,
        systems: BONGSU,
        alone: false,
        run: half_an_hour,
    },
    Scenario {
        name: "clock_jumps_past_every_deadline_and_nothing_is_returned",
        shows: "The clock jumps six days ahead, past the time after which mail is returned: that is no reason to return it, and it is delivered when it can be.",
        rows: &["R3.2"],
        topology: waiting,
        drivers: EVERYWHERE,
        systems: BONGSU,
        alone: false,
        run: six_days,
    },
    Scenario {
        name: "clock_jumps_a_year_ahead_and_back_and_nothing_is_returned",
        shows: "The clock jumps a year ahead, mail is tried and fails there, and the clock jumps back: nothing is returned, and what waits is tried again at once and not in a year.",
        rows: &["R3.2"],
        topology: waiting,
        drivers: EVERYWHERE,
        systems: BONGSU,
        alone: false,
        run: a_year,
    },
    Scenario {
        name: "greylisted_for_five_minutes_and_taken_when_they_are_over",
        shows: "The next hop says 451 and would say 250 later: the message is tried again five minutes after its first attempt, not sooner, and is taken once.",
        rows: &["R3.2"],
        topology: || office_and_far(OFFICE_WAITS)?.edit("office", |node| node.clock = true),
        drivers: EVERYWHERE,
        systems: BONGSU,
        alone: false,
        run: five_minutes,
    },
    Scenario {
        name: "sender_is_warned_after_four_hours_and_mail_returned_after_five_days",
        shows: "The next hop says 450 for ever: the sender is told once that the message waits, after four hours, and gets it back after five days, both with the remote's words.",
        rows: &["R3.2", "R3.4"],
        topology: waiting,
        drivers: EVERYWHERE,
        systems: BONGSU,
        alone: false,
        run: five_days,
    },
    Scenario {
        name: "primary_is_away_for_a_day_and_gets_everything",
        shows: "The primary is away for a day, and its backup takes mail: each sender is warned once at most, nothing is returned, and everything is handed over when the primary is back, with nobody to run the queue.",
        rows: &["R3.2", "R3.3", "R3.4"],
        topology: || Topology::shipped("pair")?.with(OFFICE_WAITS).edit("secondary", |node| node.clock = true),
        drivers: EVERYWHERE,
        systems: BONGSU,
        alone: false,
        run: a_day,
    },
];

fn waiting() -> Result<Topology> {
    office_and_far("queue.retry = [\"30m\"]")?.edit("office", |node| node.clock = true)
}

/// Three messages that have failed once, and will at the next `more` attempts, at a host that is there: one that could not be reached would
/// be left alone for some seconds, whatever the clock says.
fn three_wait(stage: &Stage, more: usize) -> Result<Arc<Peer>> {
    let peer = stage.outside(FAR, 10, &["PIPELINING"])?;
    peer.answer("RCPT", 3 + more, "450 4.2.0 not now");
    for _ in 0..3 {
        stage.send("office", SENDER, &["somebody@far.example"])?;
    }
    stage.wait_events("office", "deferred", 3)?;
    ensure!(waiting_messages(stage)? == 3 && peer.taken().is_empty(), "three messages wait");
    stage.step("three messages wait for their next attempt in half an hour");
    Ok(peer)
}

/// Messages queued, without the notifications that their sender is told of their delay with.
fn waiting_messages(stage: &Stage) -> Result<usize> {
    Ok(stage.server("office")?.queued()?.iter().filter(|found| !found.token.is_empty()).count())
}

fn half_an_hour(stage: &Stage) -> Result<()> {
    let peer = three_wait(stage, 0)?;
    stage.strike(&CLOCK, &["office", HALF_AN_HOUR])?.keep();
    wait_until("the three messages at the next hop", PATIENCE, || peer.taken().len() == 3)?;
    stage.held("half an hour later they are tried, and taken");
    Ok(())
}

fn six_days(stage: &Stage) -> Result<()> {
    let peer = three_wait(stage, 3)?;
    stage.strike(&CLOCK, &["office", SIX_DAYS])?.keep();
    stage.wait_events("office", "deferred", 6)?;
    ensure!(waiting_messages(stage)? == 3, "they wait no longer");
    stage.held("they were tried after the jump, failed, and are not returned");
    stage.server("office")?.run_queue()?;
    wait_until("the three messages at the next hop", PATIENCE, || peer.taken().len() == 3)
}

fn a_year(stage: &Stage) -> Result<()> {
    let peer = three_wait(stage, 3)?;
    stage.strike(&CLOCK, &["office", A_YEAR])?.keep();
    stage.wait_events("office", "deferred", 6)?;
    stage.step("each was tried in a year's time, and failed");
    stage.strike(&CLOCK, &["office", "0"])?.keep();
    wait_until("the three messages at the next hop", PATIENCE, || peer.taken().len() == 3)?;
    ensure!(told(stage, "failed")?.is_empty(), "{:?}", told(stage, "failed")?);
    stage.held("back in this year they were tried again and taken, and nobody was told of a failure");
    Ok(())
}

/// The steps of this sort at the office, by its queue clock.
fn events(stage: &Stage, what: &str) -> Result<Vec<Event>> {
    let mut events = stage.server("office")?.events()?;
    events.retain(|event| event.what == what);
    Ok(events)
}

/// The notifications of this kind that the office made.
fn told(stage: &Stage, kind: &str) -> Result<Vec<Event>> {
    let mut events = events(stage, "bounced")?;
    events.retain(|event| event.detail.starts_with(kind));
    Ok(events)
}

fn five_minutes(stage: &Stage) -> Result<()> {
    let peer = stage.outside(FAR, 10, &["PIPELINING"])?;
    peer.answer("RCPT", 1, "451 4.7.1 greylisted, come back in five minutes");
    stage.send("office", SENDER, &["somebody@far.example"])?;
    stage.wait_events("office", "deferred", 1)?;
    // It runs on from there as fast as any: what is too early would be seen.
    stage.strike(&CLOCK, &["office", "295"])?.keep();
    stage.wait_events("office", "relayed", 1)?;
    let at = |what: &str| Ok::<_, anyhow::Error>(events(stage, what)?.first().context("an event")?.at);
    let waited = at("relayed")? - at("deferred")?;
    ensure!((300_000..300_000 + SLACK * 1000).contains(&waited), "it waited {waited} ms");
    stage.held(format!("it was tried again after {} s", waited / 1000));
    let tries = peer.commands().iter().filter(|line| line.starts_with("RCPT")).count();
    ensure!(tries == 2 && peer.taken().len() == 1, "{tries} attempts, {} taken", peer.taken().len());
    Ok(())
}

fn five_days(stage: &Stage) -> Result<()> {
    let peer = stage.outside(FAR, 10, &["PIPELINING", "ENHANCEDSTATUSCODES"])?;
    peer.answer("RCPT", None, "450 4.2.0 the mailbox is busy, said the far end");
    stage.send("office", SENDER, &["somebody@far.example"])?;
    stage.wait_events("office", "deferred", 1)?;
    let before = 4 * HOUR - 10 * MINUTE;
    let almost = 5 * DAY - 20 * MINUTE;
    // In steps over the half hour between two attempts: a longer gap than four of them would be taken for a jump.
    let steps = [before, before + 35 * MINUTE, 12 * HOUR, almost, almost + 35 * MINUTE];
    for (at, ahead) in steps.iter().enumerate() {
        stage.strike(&CLOCK, &["office", &ahead.to_string()])?.keep();
        if at + 1 < steps.len() {
            stage.wait_events("office", "deferred", at + 2)?;
        }
    }
    stage.wait_events("office", "bounced", 2)?;
    let arrived = events(stage, "accepted")?.first().context("it was accepted")?.at;
    for (kind, after) in [("delayed", steps[1]), ("failed", steps[4])] {
        let told = told(stage, kind)?;
        ensure!(told.len() == 1, "{kind}: {told:?}");
        let late = told[0].at - arrived - after * 1000;
        ensure!((-1000..SLACK * 1000).contains(&late), "{kind}: {late} ms after it was due");
    }
    stage.held(
        "the sender was warned at the first attempt after four hours, and told of the return at the first after five days",
    );
    let server = stage.server("office")?;
    wait_until("both notifications", PATIENCE, || server.copies().is_ok_and(|copies| copies.len() == 2))?;
    for copy in server.copies()? {
        let text = String::from_utf8_lossy(&copy.text).split_whitespace().collect::<Vec<_>>().join(" ");
        let parts: &[&str] = if text.contains("Action: delayed") {
            &["Status: 4.2.0", "Will-Retry-Until: "]
        } else {
            &["Action: failed", "Status: 5.4.7"]
        };
        let always = [
            "Final-Recipient: rfc822; somebody@far.example",
            "450 4.2.0 the mailbox is busy, said the far end",
            "X-Ledger: one",
        ];
        for part in parts.iter().chain(&always) {
            ensure!(text.contains(part), "{part} is missing in\n{text}");
        }
    }
    stage.held("both tell the recipient and the remote's words, and show which message it was");
    let books = stage.settle(PATIENCE)?;
    ensure!(books.bounced == 1 && peer.taken().is_empty(), "{books:?}");
    Ok(())
}

fn a_day(stage: &Stage) -> Result<()> {
    // The mail host of those who write.
    let writers = stage.outside(FAR, 10, &["PIPELINING"])?;
    let away = stage.strike(&STOP, &["primary"])?;
    let flow = stage.flow(Load { from: "friend@far.example".into(), ..stage.steady(&["secondary"], OFFICE, 25.0)? });
    flow.wait_accepted(25, PATIENCE)?;
    let early = stage.ledger().accepted_tokens();
    let secondary = stage.server("secondary")?;
    let last = |what: &str| -> Result<Option<i64>> {
        Ok(secondary.events()?.iter().filter(|event| event.what == what).map(|event| event.at).max())
    };
    let begin = last("accepted")?.context("mail was accepted")?;
    stage.strike(&CLOCK, &["secondary", "0", "10000"])?.keep();
    wait_until("a day", PATIENCE, || last("deferred").is_ok_and(|at| at.is_some_and(|at| at - begin > DAY * 1000)))?;
    flow.end()?;
    stage.step("a day has passed at the secondary, and mail came in all the time");
    let now = Duration::from_millis(u64::try_from(last("deferred")?.unwrap_or(begin) - begin)?).as_secs();
    stage.strike(&CLOCK, &["secondary", &(now + 3 * HOUR.unsigned_abs()).to_string(), "600"])?.keep();
    away.heal()?;
    wait_until("the hand-over", PATIENCE, || secondary.queued().is_ok_and(|queued| queued.is_empty()))
        .with_context(|| secondary.log_tail(30))?;
    stage.held("everything was handed over, and nobody ran the queue");
    let books = stage.settle(PATIENCE)?;
    ensure!(books.delivered == books.accepted && books.bounced == 0, "{books:?}");
    let mut warnings: BTreeMap<String, usize> = BTreeMap::new();
    for taken in writers.taken() {
        let text = String::from_utf8_lossy(&taken.message);
        ensure!(text.contains("Action: delayed") && !text.contains("Action: failed"), "a sender was told:\n{text}");
        *warnings.entry(crate::ledger::token(&taken.message).context("a notification of no message")?).or_default() += 1;
    }
    let more = warnings.iter().find(|(_, count)| **count > 1);
    ensure!(more.is_none(), "a sender was warned again and again: {more:?}");
    let unwarned: Vec<_> = early.iter().filter(|token| !warnings.contains_key(*token)).collect();
    ensure!(unwarned.is_empty(), "nobody was told that these wait: {unwarned:?}");
    stage.held(format!(
        "{} of {} messages waited for over four hours, and each sender was told once",
        warnings.len(),
        stage.ledger().len()
    ));
    Ok(())
}
