//! Primary and backup as a pair: recipients known, the hand-over under keys and at once, no backscatter (docs/pair.md).

use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use serde_json::Value;

use super::networks::{ALL_MX, OFFICE};
use crate::Result;
use crate::faults::{CLOCK, ISOLATE, KILL};
use crate::ledger::Place;
use crate::load::Load;
use crate::pair::Pair;
use crate::scenario::{BONGSU, EVERYWHERE, Scenario};
use crate::server::Server;
use crate::stage::{PATIENCE, Stage};
use crate::topology::Topology;
use crate::wait::wait_for;

/// All of them.
pub const ALL: &[Scenario] = &[
    Scenario {
        name: "pair_refuses_at_the_secondary_whom_the_primary_does_not_know",
        shows: "The primary is away: its backup takes mail for those it knows, refuses the others while its list is fresh, and puts them off once it is old.",
        rows: &["R3.3"],
        topology: || pair("queue.warn_after = \"4d\"")?.edit("secondary", |node| node.clock = true),
        drivers: EVERYWHERE,
        systems: BONGSU,
        alone: false,
        run: recipients_known,
    },
    Scenario {
        name: "pair_hands_over_at_once_when_the_primary_starts",
        shows: "The primary was away and starts: it asks its backup for what waits there, which comes at once, an hour before its next attempt, and says who the client was.",
        rows: &["R3.3"],
        topology: || {
            let never = "pair.fetch_interval = \"1h\"\npair.probe_interval = \"1h\"\n";
            pair(WAITING)?.edit_pair("secondary", |pair| pair.settings = never.into())
        },
        drivers: EVERYWHERE,
        systems: BONGSU,
        alone: false,
        run: |stage| back(stage, || stage.strike(&KILL, &["primary"])),
    },
    Scenario {
        name: "pair_notices_that_the_network_to_the_primary_is_whole_again",
        shows: "The primary was cut off and did not notice: its backup finds out that it is back, and hands over at once.",
        rows: &["R3.3"],
        topology: || pair(WAITING),
        drivers: EVERYWHERE,
        systems: BONGSU,
        alone: false,
        run: |stage| back(stage, || stage.strike(&ISOLATE, &["primary"])),
    },
    Scenario {
        name: "pair_quarantines_mail_for_an_account_that_is_gone_and_bounces_nothing",
        shows: "An account is removed while its mail waits at the backup: the primary takes the mail and holds it with the reason, and nobody gets a bounce.",
        rows: &["R3.3"],
        topology: || pair(WAITING),
        drivers: EVERYWHERE,
        systems: BONGSU,
        alone: false,
        run: quarantined,
    },
    Scenario {
        name: "pair_does_not_believe_that_a_third_of_the_recipients_is_gone_until_told",
        shows: "The primary loses a third of its recipients: its backup goes on to take mail for them, says so, and refuses them once a person confirms.",
        rows: &["R3.3"],
        topology: || pair(""),
        drivers: EVERYWHERE,
        systems: BONGSU,
        alone: false,
        run: shrunk,
    },
    Scenario {
        name: "pair_gives_nothing_to_a_server_with_another_key",
        shows: "Somebody stands at the primary's place with another key: he gets nothing, mail waits, and goes out when the primary has its key again.",
        rows: &["R3.3"],
        topology: || pair(WAITING),
        drivers: EVERYWHERE,
        systems: BONGSU,
        alone: false,
        run: impostor,
    },
    Scenario {
        name: "pair_hands_a_thousand_messages_over_through_the_primarys_own_limits",
        shows: "A thousand messages wait at the backup, and the primary allows an address three sessions and ten connections a minute: all are handed over in one go.",
        rows: &["R3.3"],
        topology: || {
            let limits = "smtp.max_sessions_per_address = 3\nsmtp.connection_rate_per_address = \"10/60s\"\n";
            pair(WAITING)?.edit("primary", |node| node.settings = limits.into())
        },
        drivers: EVERYWHERE,
        systems: BONGSU,
        alone: false,
        run: a_thousand,
    },
    Scenario {
        name: "pair_of_three_hands_over_to_the_primary_and_never_to_each_other",
        shows: "A primary and two backups of one preference, the primary killed under load: both backups hand over to it alone when it is back.",
        rows: &["R3.1", "R3.3"],
        topology: || Topology::shipped("three-mx")?.paired(),
        drivers: EVERYWHERE,
        systems: BONGSU,
        alone: false,
        run: three,
    },
];

/// A message that waits is tried again in an hour, unless something happens.
const WAITING: &str = "queue.retry = [\"1h\"]";
const SENDER: &str = "friend@client.example";
/// One whom the primary has.
const SOMEBODY: &str = "minji@office.example";
/// Far less than an hour, and long enough for a busy machine.
const AT_ONCE: Duration = Duration::from_secs(30);
const A_DAY_AND_AN_HOUR: &str = "90000";

fn pair(settings: &str) -> Result<Topology> {
    Topology::shipped("pair")?.with(settings).paired()
}

/// What a node says of its peers.
fn peers(server: &dyn Server) -> Result<Vec<Value>> {
    let said = server.command(&["pair", "status", "--json"], b"")?.ok()?;
    let text = String::from_utf8_lossy(&said.stdout).into_owned();
    text.lines().map(|line| serde_json::from_str(line).with_context(|| line.to_owned())).collect()
}

/// Waits until a backup has reached its primary and knows its recipients.
fn wait_known(stage: &Stage, backup: &str) -> Result<()> {
    let server = stage.server(backup)?;
    // It may have started before its primary, and be patient.
    server.command(&["pair", "fetch"], b"")?.ok()?;
    let waited = wait_for(&format!("the recipients at {backup}"), PATIENCE, || {
        let knows = |peer: &Value| peer["reached"] == true && peer["recipients"].as_u64().is_some_and(|count| count > 0);
        let mut primaries =
            peers(server)?.into_iter().filter(|peer| peer["primary_of"].as_array().is_some_and(|of| !of.is_empty()));
        Ok(primaries.all(|peer| knows(&peer)).then_some(()))
    });
    waited.with_context(|| server.log_tail(30))?;
    // Those at the door look at the list once a second.
    wait_door(stage, backup, SOMEBODY, 250)
}

/// Waits until RCPT is answered so.
fn wait_door(stage: &Stage, backup: &str, to: &str, code: u16) -> Result<()> {
    wait_for(&format!("{code} for {to} at {backup}"), PATIENCE, || {
        let mut smtp = stage.smtp(backup)?;
        smtp.command("MAIL FROM:<>")?.expect(250)?;
        Ok((smtp.command(&format!("RCPT TO:<{to}>"))?.code == code).then_some(()))
    })
}

/// Sends to a recipient at the secondary; the reply begins so.
fn said(stage: &Stage, to: &str, want: &str) -> Result<()> {
    let (_, reply) = stage.send("secondary", SENDER, &[to])?;
    ensure!(reply.starts_with(want), "the secondary said {reply} of {to}, not {want}");
    Ok(())
}

fn recipients_known(stage: &Stage) -> Result<()> {
    wait_known(stage, "secondary")?;
    let away = stage.strike(&KILL, &["primary"])?;
    for (to, want) in [
        ("minji@office.example", "250 "),
        ("team@office.example", "250 "),
        ("postmaster@office.example", "250 "),
        ("nobody@office.example", "550 5.1.1"),
        ("minji@sub.office.example", "550 5.1.1"),
        ("minji@elsewhere.example", "550 5.7.1"),
    ] {
        said(stage, to, want)?;
    }
    stage.held("with a fresh list the others are refused");
    stage.strike(&CLOCK, &["secondary", A_DAY_AND_AN_HOUR])?.keep();
    wait_door(stage, "secondary", "nobody@office.example", 451)?;
    for (to, want) in
        [("minji@office.example", "250 "), ("nobody@office.example", "451 4.3.0"), ("sora@office.example", "250 ")]
    {
        said(stage, to, want)?;
    }
    stage.held("with an old list the others are put off, and those it knows are taken as before");
    away.heal()?;
    let books = stage.settle(PATIENCE)?;
    ensure!(books.accepted == 7 && books.delivered == 7 && books.bounced == 0, "{books:?}");
    Ok(())
}

/// Mail waits at the secondary while the primary is away by `strike`, and is there soon after it is back.
fn back<'a>(stage: &'a Stage, strike: impl FnOnce() -> Result<crate::stage::Broken<'a>>) -> Result<()> {
    wait_known(stage, "secondary")?;
    let away = strike()?;
    for to in ["minji@office.example", "sora@office.example", "minji@office.example juno@office.example"] {
        stage.send("secondary", SENDER, &to.split(' ').collect::<Vec<_>>())?;
    }
    stage.wait_events("secondary", "deferred", 4)?;
    stage.held("four recipients wait for an attempt in an hour");
    away.heal()?;
    let returned = Instant::now();
    let secondary = stage.server("secondary")?;
    let waited = wait_for("the hand-over", AT_ONCE, || Ok(secondary.queued()?.is_empty().then_some(())));
    waited.with_context(|| secondary.log_tail(40))?;
    stage.held(format!("all was handed over {:.1} s after the primary was back", returned.elapsed().as_secs_f64()));
    stage.wait_events("primary", "delivered", 4)?;
    for copy in stage.server("primary")?.copies()? {
        let text = String::from_utf8_lossy(&copy.text).replace("\r\n", "\n");
        let first: String = text.lines().skip_while(|line| !line.starts_with("Received:")).take(3).collect();
        ensure!(first.contains("from load.example ([") && first.contains("(handed over by ["), "the primary wrote {first}");
    }
    stage.held("the primary's trace names the client, and who handed the message over");
    let books = stage.settle(PATIENCE)?;
    ensure!(books.accepted == 4 && books.delivered == 4, "{books:?}");
    Ok(())
}

fn quarantined(stage: &Stage) -> Result<()> {
    wait_known(stage, "secondary")?;
    let away = stage.strike(&ISOLATE, &["primary"])?;
    let (gone, _) = stage.send("secondary", SENDER, &["sora@office.example"])?;
    let (both, _) = stage.send("secondary", SENDER, &["minji@office.example", "sora@office.example"])?;
    stage.wait_events("secondary", "deferred", 3)?;
    let (primary, secondary) = (stage.server("primary")?, stage.server("secondary")?);
    primary.command(&["account", "remove", "sora@office.example"], b"")?.ok()?;
    // info is an alias of sora; nobody writes to it here.
    away.heal()?;
    wait_for("the hand-over", AT_ONCE, || Ok(secondary.queued()?.is_empty().then_some(())))
        .with_context(|| secondary.log_tail(40))?;
    stage.wait_events("primary", "delivered", 1)?;
    let shown = primary.command(&["mailq"], b"")?.ok()?.text;
    let reason = "Quarantined, handed over by secondary: 550 5.1.1 No such user here";
    ensure!(shown.matches(reason).count() == 2 && shown.matches("(held; ").count() == 2, "mailq shows\n{shown}");
    stage.held("both messages for the account that is gone are on hold, and mailq says why");
    for server in stage.servers() {
        let told: Vec<_> =
            server.events()?.into_iter().filter(|event| ["bounced", "failed"].contains(&event.what.as_str())).collect();
        ensure!(told.is_empty(), "{}: {told:?}", server.host());
    }
    stage.held("nobody was told of a failure");
    for found in primary.queued()? {
        ensure!(found.token == gone || found.token == both, "{found:?} is held");
        let Place::Queue { id, recipients, .. } = &found.place else { anyhow::bail!("{found:?} is not queued") };
        ensure!(recipients == &["sora@office.example"], "{recipients:?}");
        primary.command(&["queue", "delete", id], b"")?.ok()?;
    }
    stage.ledger().discard(&gone);
    stage.ledger().discard(&both);
    Ok(())
}

fn shrunk(stage: &Stage) -> Result<()> {
    wait_known(stage, "secondary")?;
    let (primary, secondary) = (stage.server("primary")?, stage.server("secondary")?);
    let to_confirm = || Ok::<_, anyhow::Error>(peers(secondary)?.first().and_then(|peer| peer["to_confirm"].as_u64()));
    // Of four accounts and two aliases; cut off, so that nobody sees the list between the two.
    let away = stage.strike(&ISOLATE, &["primary"])?;
    for gone in ["sora", "juno"] {
        primary.command(&["account", "remove", &format!("{gone}@office.example")], b"")?.ok()?;
    }
    away.heal()?;
    wait_for("a list that waits", PATIENCE, || Ok((to_confirm()? == Some(4)).then_some(())))
        .with_context(|| secondary.log_tail(30))?;
    wait_door(stage, "secondary", "juno@office.example", 250)?;
    let refused = secondary.command(&["pair", "confirm", "nobody"], b"")?;
    ensure!(refused.code != 0 && refused.text.contains("the peers are primary"), "{}", refused.text);
    stage.held("the shorter list waits, and those who may be gone are taken as before");
    secondary.command(&["pair", "confirm", "primary"], b"")?.ok()?;
    wait_door(stage, "secondary", "juno@office.example", 550)?;
    wait_door(stage, "secondary", SOMEBODY, 250)?;
    ensure!(to_confirm()?.is_none(), "the list waits still");
    stage.held("confirmed, it counts");
    Ok(())
}

fn impostor(stage: &Stage) -> Result<()> {
    wait_known(stage, "secondary")?;
    let (primary, secondary) = (stage.server("primary")?, stage.server("secondary")?);
    let own = primary.plan().pair.clone().context("the primary is of a pair")?;
    let dress = |pair: &Pair| -> Result<()> {
        primary.configure("pair.crt", &pair.chain)?;
        primary.configure("pair.key", &pair.key)?;
        primary.reload()
    };
    dress(&Pair::new()?)?;
    stage.step("the primary's place is taken by somebody with another key");
    for _ in 0..3 {
        said(stage, "minji@office.example", "250 ")?;
    }
    stage.wait_events("secondary", "deferred", 3)?;
    let waits = secondary.command(&["mailq"], b"")?.ok()?.text;
    ensure!(waits.contains("not the peer's"), "mailq shows\n{waits}");
    let taken = primary.events()?.iter().filter(|event| event.what == "accepted").count();
    ensure!(taken == 0 && secondary.queued()?.len() == 3, "{taken} messages were given to it");
    stage.held("it gets nothing; the mail waits, and mailq says why");
    dress(&own)?;
    wait_for("the hand-over", AT_ONCE, || Ok(secondary.queued()?.is_empty().then_some(())))
        .with_context(|| secondary.log_tail(40))?;
    stage.held("with the primary's own key it goes out at once");
    let books = stage.settle(PATIENCE)?;
    ensure!(books.accepted == 3 && books.delivered == 3, "{books:?}");
    Ok(())
}

fn a_thousand(stage: &Stage) -> Result<()> {
    wait_known(stage, "secondary")?;
    let away = stage.strike(&KILL, &["primary"])?;
    let load = Load { sessions: 8, messages: 1000, per_session: 50, ..stage.load(&["secondary"], &OFFICE[..3])? };
    load.run(stage.ledger(), &AtomicBool::new(false));
    let secondary = stage.server("secondary")?;
    let queued = secondary.queued()?.len();
    ensure!(queued == 1000, "{queued} messages wait");
    stage.held("a thousand messages wait");
    away.heal()?;
    let returned = Instant::now();
    wait_for("the hand-over", AT_ONCE * 4, || Ok((secondary.counts().queued == Some(0)).then_some(())))
        .with_context(|| secondary.log_tail(40))?;
    stage.held(format!("all were handed over within {:.1} s", returned.elapsed().as_secs_f64()));
    let books = stage.settle(PATIENCE)?;
    ensure!(books.accepted == 1000 && books.delivered == 1000, "{books:?}");
    Ok(())
}

fn three(stage: &Stage) -> Result<()> {
    wait_known(stage, "second")?;
    wait_known(stage, "third")?;
    let flow = stage.flow(stage.steady(ALL_MX, OFFICE, 60.0)?);
    flow.wait_accepted(60, PATIENCE)?;
    let away = stage.strike(&KILL, &["primary"])?;
    flow.wait_accepted(120, PATIENCE)?;
    let backups = ["second", "third"];
    let queued = || backups.iter().filter_map(|name| stage.server(name).ok()?.counts().queued).sum::<usize>();
    crate::wait::wait_until("mail queued at the backups", PATIENCE, || queued() > 50)?;
    away.heal()?;
    flow.wait_accepted(60, PATIENCE)?;
    flow.end()?;
    // A message in each of the connections to the primary may have been committed without a reply.
    stage.allow_duplicates(2 * 10, "the primary died between its commit and its 250, and the backup sent the message again");
    let books = stage.settle(Duration::from_secs(60))?;
    ensure!(books.delivered >= books.accepted, "{books:?}");
    for name in backups {
        let relayed: Vec<_> = stage.server(name)?.events()?.into_iter().filter(|event| event.what == "relayed").collect();
        ensure!(!relayed.is_empty(), "{name} relayed nothing");
        for event in relayed {
            ensure!(event.detail.contains("primary.office.example"), "{name} relayed to {}", event.detail);
        }
    }
    stage.held("both backups gave their mail to the primary and to nobody else");
    Ok(())
}
