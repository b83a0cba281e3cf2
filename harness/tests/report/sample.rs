//! A run that never was, with everything that a report must be able to show: three MX of which the primary is killed under load, a scenario
//! that failed amid a crowd of faults, one that was skipped.

use std::time::Duration;

use bongsu_harness::load::Draw;
use bongsu_harness::record::{
    Books, DialogueRecord, Hop, MessageRecord, Moment, MomentKind, NodeRecord, Played, RecipientRecord, Record, Run, Sample,
    Span, Verdict,
};

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn node(number: usize, name: &str, part: &str) -> NodeRecord {
    NodeRecord { name: name.into(), system: "bongsu".into(), part: part.into(), address: format!("127.83.12.{}", 10 + number) }
}

fn moment(at: u64, kind: MomentKind, node: &str, text: &str) -> Moment {
    Moment { at: ms(at), kind, node: (!node.is_empty()).then(|| node.into()), text: text.into() }
}

fn hop(at: u64, node: &str, id: &str, what: &str, detail: &str) -> Hop {
    Hop { at: ms(at), node: node.into(), id: id.into(), what: what.into(), detail: detail.into() }
}

/// The whole run; `more` adds scenarios that passed, of `messages` messages each.
pub(crate) fn run(more: usize, messages: usize) -> Run {
    let mut results = vec![failover(400), full_disk(), skipped()];
    let again = failover(messages);
    results.extend((0..more).map(|n| Played { name: format!("primary_killed_once_more_{n}"), ..again.clone() }));
    let about = [("binary", "bongsu 0.1.0 (release, static)"), ("machine", "2 cores, Linux 6.1"), ("seed", "20261126")];
    Run {
        started: 1_795_728_245,
        took: ms(48_300 + 22_000 * more as u64),
        about: about.map(|(name, value)| (name.into(), value.into())).into(),
        results,
    }
}

const KILLED: u64 = 4_000;
const BACK: u64 = 14_000;

/// A message's way, drawn by its number: before the kill, about it, while the primary is down, after.
fn message(n: usize, sent: u64, draw: &mut Draw) -> MessageRecord {
    let token = format!("load-{n}");
    let address = format!("user{:02}@office.example", n % 20);
    let inner = format!("{:06X}", draw.number() % 0xff_ffff);
    let spent = draw.between(3, 60);
    let mut message = MessageRecord {
        told: "accepted".into(),
        reply: format!("250 2.0.0 {inner} is mine"),
        at: ms(sent),
        recipients: vec![RecipientRecord {
            address: address.clone(),
            fate: "delivered".into(),
            places: vec![format!("primary: {}/Maildir/new", &address[..6])],
        }],
        token,
        ..MessageRecord::default()
    };
    let arrives = |at: u64, id: &str| {
        [
            hop(at, "primary", id, "accepted", &format!("from <load@client.example> for <{address}>, 4,096 octets")),
            hop(at + spent, "primary", id, "delivered", &format!("to the mailbox of {address}")),
        ]
    };
    if (KILLED - 110..KILLED).contains(&sent) {
        message.told = "nothing".into();
        message.reply = String::new();
        if n.is_multiple_of(2) {
            message.hops = arrives(sent + 4, &inner).into();
            message.hops[1].at = ms(BACK + 400);
        } else {
            message.recipients[0].fate = "nowhere".into();
            message.recipients[0].places.clear();
        }
    } else if (KILLED..BACK + 600).contains(&sent) {
        let by = if n.is_multiple_of(3) { "tertiary" } else { "secondary" };
        message.hops.push(hop(
            sent + 6,
            by,
            &inner,
            "accepted",
            &format!("from <load@client.example> for <{address}>, 4,096 octets"),
        ));
        let mut at = sent + 30;
        while at < BACK {
            message.hops.push(hop(
                at,
                by,
                &inner,
                "deferred",
                "primary.office.example: connection refused, next attempt in 2.0 s",
            ));
            at += 2_000 + draw.between(0, 900);
        }
        let at = BACK.max(at) + draw.between(100, 2_900);
        message.hops.push(hop(at, by, &inner, "relayed", "to primary.office.example [127.83.12.10]: 250 2.0.0 taken"));
        message.hops.extend(arrives(at + 8, &format!("{:06X}", draw.number() % 0xff_ffff)));
    } else {
        message.hops = arrives(sent + 5, &inner).into();
    }
    message
}

/// The counts over time, as the messages' hops have them.
fn samples(messages: &[MessageRecord], nodes: &[&str], end: u64, down: impl Fn(&str, u64) -> bool) -> Vec<Sample> {
    let before = |at: u64, told: &str| messages.iter().filter(|message| message.told == told && message.at < ms(at)).count();
    let hops = |at: u64, node: &str, what: &str| -> usize {
        messages
            .iter()
            .flat_map(|message| &message.hops)
            .filter(|hop| hop.node == node && hop.what == what && hop.at < ms(at))
            .count()
    };
    let sample = |at: u64| Sample {
        at: ms(at),
        accepted: before(at, "accepted"),
        refused: before(at, "refused"),
        in_doubt: before(at, "nothing"),
        queued: nodes
            .iter()
            .map(|node| {
                (!down(node, at))
                    .then(|| hops(at, node, "accepted").saturating_sub(hops(at, node, "relayed") + hops(at, node, "delivered")))
            })
            .collect(),
        delivered: nodes.iter().map(|node| (!down(node, at)).then(|| hops(at, node, "delivered"))).collect(),
    };
    (0..=end / 250).map(|n| sample(n * 250)).collect()
}

fn line(at: u64, side: char, text: &str) -> (Duration, char, String) {
    (ms(at), side, text.into())
}

fn dialogue(from: &str, to: &str, at: u64, n: usize, end: &str) -> DialogueRecord {
    let mut lines = vec![
        line(at, 'S', &format!("220 {to}.office.example ESMTP")),
        line(at + 1, 'C', &format!("EHLO {from}.example")),
        line(at + 2, 'S', &format!("250-{to}.office.example")),
        line(at + 2, 'S', "250-SIZE 52428800"),
        line(at + 2, 'S', "250-PIPELINING"),
        line(at + 2, 'S', "250 ENHANCEDSTATUSCODES"),
        line(at + 3, 'C', "MAIL FROM:<load@client.example> SIZE=4096"),
        line(at + 4, 'S', "250 2.1.0 sender taken"),
        line(at + 4, 'C', &format!("RCPT TO:<user{:02}@office.example>", n % 20)),
        line(at + 6, 'S', "250 2.1.5 recipient taken"),
        line(at + 6, 'C', "DATA"),
        line(at + 7, 'S', "354 end with a dot"),
        line(at + 9, 'C', "[4,096 octets]"),
        line(at + 9, 'C', "."),
    ];
    if end == "closed" {
        lines.push(line(at + 21, 'S', &format!("250 2.0.0 {:06X} is mine", n * 7919)));
        lines.push(line(at + 22, 'C', "QUIT"));
        lines.push(line(at + 22, 'S', "221 2.0.0 goodbye"));
    }
    DialogueRecord { from: from.into(), to: to.into(), at: ms(at), lines, end: end.into() }
}

fn failover(count: usize) -> Played {
    let mut draw = Draw(7);
    let messages: Vec<_> = (0..count).map(|n| message(n, 300 + n as u64 * 15_600 / count as u64, &mut draw)).collect();
    let doubt = messages.iter().filter(|message| message.told == "nothing").count();
    let found = messages.iter().filter(|message| message.told == "nothing" && !message.hops.is_empty()).count();
    let down = |node: &str, at: u64| node == "primary" && (KILLED..BACK).contains(&at);
    let samples = samples(&messages, &["primary", "secondary", "tertiary"], 20_000, down);
    let mut dialogues: Vec<_> = (0..40).map(|n| dialogue("client", "primary", 320 + n as u64 * 90, n, "closed")).collect();
    dialogues.push(dialogue("client", "primary", 3_968, 41, "the server's side was reset after the final dot"));
    dialogues.push(dialogue("client", "primary", 3_984, 42, "the server's side was reset after the final dot"));
    dialogues.extend(
        (0..12).map(|n| {
            dialogue("client", if n % 3 == 0 { "tertiary" } else { "secondary" }, 4_050 + n as u64 * 160, n, "closed")
        }),
    );
    for n in 0..90 {
        let end = "the server could not be reached: connection refused".into();
        let from = ["client", "secondary", "tertiary"][n as usize % 3].into();
        dialogues.push(DialogueRecord { from, to: "primary".into(), at: ms(4_020 + n * 110), lines: vec![], end });
    }
    dialogues.extend((0..12).map(|n| dialogue("secondary", "primary", 14_300 + n as u64 * 60, n, "closed")));
    Played {
        name: "primary_killed_and_the_secondaries_take_over".into(),
        shows: "The primary MX is killed under load. The secondaries take what it would have taken, keep it while it is away, and hand all of \
                it over once it is back: every message that got a 250 is delivered once."
            .into(),
        rows: vec!["R3.3".into(), "R3.7".into(), "R5.1".into()],
        driver: "processes".into(),
        system: "bongsu".into(),
        verdict: Verdict::Passed,
        took: ms(20_400),
        record: Record {
            nodes: vec![
                node(0, "primary", "primary MX of office.example, preference 10"),
                node(1, "secondary", "MX of office.example, preference 20"),
                node(2, "tertiary", "MX of office.example, preference 30"),
            ],
            moments: vec![
                moment(0, MomentKind::Step, "", "three MX are up, DNS answers, 20 accounts exist"),
                moment(300, MomentKind::Step, "", &format!("a load of {count} messages begins, 8 sessions at once")),
                moment(KILLED, MomentKind::Fault, "primary", "primary is killed (SIGKILL)"),
                moment(5_210, MomentKind::Check, "secondary", "secondary and tertiary accept what the primary can't"),
                moment(BACK, MomentKind::Heal, "primary", "primary is started again"),
                moment(14_350, MomentKind::Check, "primary", "primary accepts again, its queue is whole"),
                moment(15_900, MomentKind::Step, "", "the load has ended, queues are run"),
                moment(18_700, MomentKind::Check, "", "no queue holds a message"),
                moment(20_100, MomentKind::Check, "", "the books balance"),
            ],
            spans: vec![Span { node: "primary".into(), from: ms(KILLED), until: Some(ms(BACK)), state: "down".into() }],
            samples,
            books: Books { accepted: count - doubt, delivered: count - doubt, in_doubt: doubt, in_doubt_found: found, ..Books::default() },
            latencies: (1..200).map(|n| ms(2 + n * n / 90)).collect(),
            messages,
            dialogues,
        },
    }
}

fn full_disk() -> Played {
    let mut draw = Draw(11);
    let nodes = ["gateway", "relay", "mailboxes", "archive"];
    let way = |n: usize| {
        let (sent, id) = (200 + n as u64 * 60, format!("{:06X}", n * 104_729));
        let address = format!("user{:02}@mail.example", n % 12);
        let spent = draw.between(10, 900);
        let mut hops = vec![
            hop(sent + 4, "gateway", &id, "accepted", &format!("for <{address}>")),
            hop(sent + 20, "gateway", &id, "relayed", "to relay.mail.example: 250 2.0.0 taken"),
            hop(sent + 22, "relay", &id, "accepted", ""),
        ];
        let mut recipient = RecipientRecord {
            address: address.clone(),
            fate: "delivered".into(),
            places: vec![format!("mailboxes: {}", &address[..6])],
        };
        match n {
            57 | 58 => {
                hops.push(hop(sent + 30, "relay", &id, "relayed", "to mailboxes.mail.example: 250 2.0.0 taken"));
                recipient = RecipientRecord { fate: "lost".into(), places: vec![], ..recipient };
            }
            61 => {
                hops.extend([
                    hop(sent + 30, "relay", &id, "relayed", ""),
                    hop(sent + 32, "mailboxes", &id, "accepted", ""),
                    hop(sent + 40, "mailboxes", &id, "delivered", ""),
                ]);
                recipient.fate = "duplicated".into();
                recipient.places.push("mailboxes: user01/Maildir/cur".into());
            }
            70..80 => {
                hops.push(hop(sent + 40, "relay", &id, "deferred", "452 4.3.1 no room here"));
                recipient = RecipientRecord { fate: "queued".into(), places: vec!["relay: queue".into()], ..recipient };
            }
            80..84 => {
                hops.extend([
                    hop(sent + 40, "relay", &id, "failed", "552 5.2.2 the mailbox is full"),
                    hop(sent + 60, "gateway", &id, "delivered", "the notification, to <load@client.example>"),
                ]);
                recipient.fate = "bounced".into();
            }
            _ => hops.extend([
                hop(sent + 30, "relay", &id, "relayed", ""),
                hop(sent + 32, "mailboxes", &id, "accepted", ""),
                hop(sent + 32 + spent, "mailboxes", &id, "delivered", ""),
            ]),
        }
        MessageRecord {
            token: format!("disk-{n}"),
            told: "accepted".into(),
            reply: format!("250 2.0.0 {id}"),
            at: ms(sent),
            recipients: vec![recipient],
            hops,
        }
    };
    let messages: Vec<_> = (0..120).map(way).collect();
    let samples = samples(&messages, &nodes, 9_000, |_, _| false);
    let span = |node: &str, from: u64, until: Option<u64>, state: &str| Span {
        node: node.into(),
        from: ms(from),
        until: until.map(ms),
        state: state.into(),
    };
    let (fault, heal) = (MomentKind::Fault, MomentKind::Heal);
    let mut moments = vec![
        moment(1_000, fault, "relay", "the link from relay to mailboxes is cut"),
        moment(1_900, heal, "relay", "the link is whole again"),
        moment(2_000, fault, "relay", "relay is paused (SIGSTOP)"),
        moment(2_350, heal, "relay", "relay goes on (SIGCONT)"),
        moment(2_400, fault, "mailboxes", "the spool of mailboxes is filled to the last block"),
        moment(4_000, fault, "mailboxes", "every packet to mailboxes takes 400 ms"),
        moment(5_000, fault, "archive", "archive is paused (SIGSTOP)"),
        moment(5_050, fault, "", "the name server answers nothing for mail.example"),
        moment(5_100, heal, "", "the name server answers again"),
        moment(5_400, heal, "mailboxes", "the ballast is removed, there is room again"),
        moment(6_000, fault, "gateway", "the client can't reach gateway"),
        moment(7_000, heal, "mailboxes", "packets to mailboxes are fast again"),
        moment(8_000, heal, "gateway", "the client reaches gateway"),
        moment(8_800, heal, "archive", "archive goes on (SIGCONT)"),
    ];
    moments.push(moment(8_950, MomentKind::Step, "", "the stage is settled: faults undone, queues run"));
    let mut log = String::from("the books do not balance: 2 copies lost, 1 duplicated\n\nlog of mailboxes:\n");
    for n in 0..60 {
        log.push_str(&format!("2026-11-26T21:24:{:02}.{:03}Z deliver \u{1b}[33mWARN\u{1b}[0m <user{:02}@mail.example> no room: write of 4096 octets to tmp/{n}: No space left on device (os error 28)\n", n % 60, n * 13 % 1000, n % 12));
    }
    Played {
        name: "mailbox_disk_fills_while_links_break".into(),
        shows: "The disk of the mailboxes fills up while links are cut and servers are paused: senders are told to wait, nothing that got a 250 is lost.".into(),
        rows: vec!["R4.2".into()],
        driver: "processes".into(),
        system: "bongsu".into(),
        verdict: Verdict::Failed(log),
        took: ms(9_100),
        record: Record {
            latencies: Vec::new(),
            nodes: vec![node(0, "gateway", "takes mail from outside"), node(1, "relay", "between the two"), node(2, "mailboxes", "keeps 12 accounts, 16 MiB of disk"), node(3, "archive", "gets a copy by rule")],
            moments,
            spans: vec![
                span("relay", 1_000, Some(1_900), "cut"),
                span("relay", 2_000, Some(2_350), "paused"),
                span("mailboxes", 2_400, Some(5_400), "full"),
                span("mailboxes", 4_000, Some(7_000), "slow"),
                span("archive", 5_000, Some(8_800), "paused"),
                span("gateway", 6_000, Some(8_000), "cut"),
            ],
            samples,
            books: Books {
                accepted: 120,
                delivered: 104,
                bounced: 4,
                queued: 10,
                lost: vec!["disk-57 <user09@mail.example>".into(), "disk-58 <user10@mail.example>".into()],
                duplicated: vec!["disk-61 <user01@mail.example>".into()],
                ..Books::default()
            },
            messages,
            dialogues: vec![dialogue("relay", "mailboxes", 2_500, 70, "reset by the gate after the final dot"), dialogue("relay", "mailboxes", 2_900, 71, "closed")],
        },
    }
}

fn skipped() -> Played {
    Played {
        name: "primary_killed_and_the_secondaries_take_over".into(),
        shows: "The primary MX is killed under load; the secondaries take over and hand everything back.".into(),
        rows: vec!["R3.3".into()],
        driver: "containers".into(),
        system: "postfix".into(),
        verdict: Verdict::Skipped("no container engine answers on this machine".into()),
        took: ms(3),
        record: Record::default(),
    }
}
