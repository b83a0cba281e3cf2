//! The watch: what no role can tell of itself, since it is stuck, or has overlooked a message.
//!
//! A thread of the supervisor's asks every role for a sign of life, and looks through the queues for messages that were due long ago and are
//! still there. The first is acted on: a role that stays silent is ended and started again, which no mail is lost by. The second is told,
//! in the log and in `status`, since only a person can know whether a large backlog or a fault is behind it. No message is touched.

use std::collections::{BTreeMap, HashSet};
use std::sync::mpsc::{self, Sender};
use std::time::{Duration, Instant};

use anyhow::Result;
use lib_host::Clock;
use lib_mail::{QueueId, Timestamp};
use lib_net::role::RoleName;
use lib_record::What;
use lib_settings::Settings;
use lib_spool::{Options, Queue, Spool};

use super::child::Child;
use super::control::{Looked, Request};
use super::{Happening, Supervisor};
use crate::layout::Layout;
use crate::owner::User;

/// Between two rounds.
const ROUND: Duration = Duration::from_secs(30);
/// Rounds without an answer, each with the time that a look may take, after which a role counts as stuck. Rounds and not seconds: a machine
/// that was suspended has none in between.
const SILENT_MOST: u32 = 4;
/// How long ago, by the queue clock, a message must have been due to be called overdue.
const OVERDUE: Duration = Duration::from_secs(3600);
/// Ids remembered from round to round; of a queue with more overdue ones the first tell enough.
const REMEMBERED: usize = 20_000;
/// A look through the queues may cost one part in so many of one core.
const SHARE: u32 = 500;
/// While it stays so, the log says it again after this.
const AGAIN: Duration = Duration::from_secs(3600);

/// Messages of a queue that were due long ago and are still there as they were.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Overdue {
    pub(crate) queue: Queue,
    /// How many; [`REMEMBERED`] stands for that and more.
    pub(crate) messages: usize,
    /// The oldest of them.
    pub(crate) first: QueueId,
}

impl Overdue {
    /// For the log and for `status`.
    pub(super) fn text(&self) -> String {
        let Self { queue, messages, first } = self;
        let (or_more, s) = (if *messages < REMEMBERED { "" } else { " or more" }, if *messages == 1 { "" } else { "s" });
        format!(
            "{queue} queue: {messages}{or_more} message{s} due for over an hour and still there, not attempted or in an attempt that does not end; \
             the oldest: bongsu queue show {first}"
        )
    }
}

/// What was overdue at the last look, queue by queue.
#[derive(Debug, Default)]
struct Memory {
    late: BTreeMap<Queue, HashSet<QueueId>>,
}

impl Memory {
    /// Takes what is late now, the oldest first, and gives what was so at the look before too: a clock that has just jumped, or a server that
    /// was just started, gets a round to work.
    fn take(&mut self, queue: Queue, now: Vec<QueueId>) -> Option<Overdue> {
        let before = self.late.entry(queue).or_default();
        let mut still = now.iter().filter(|id| before.contains(id));
        let first = still.next().copied();
        let messages = 1 + still.count();
        *before = now.into_iter().take(REMEMBERED).collect();
        Some(Overdue { queue, messages, first: first? })
    }
}

/// Roles that did not answer, with the number of times in a row.
#[derive(Debug, Default)]
struct Silence {
    rounds: BTreeMap<String, u32>,
}

impl Silence {
    /// Takes the roles that did not answer this time; gives those that are stuck.
    fn take(&mut self, silent: Vec<String>) -> Vec<String> {
        self.rounds.retain(|role, _| silent.contains(role));
        for role in silent {
            *self.rounds.entry(role).or_default() += 1;
        }
        let stuck: Vec<String> =
            self.rounds.iter().filter(|(_, rounds)| **rounds >= SILENT_MOST).map(|(role, _)| role.clone()).collect();
        self.rounds.retain(|_, rounds| *rounds < SILENT_MOST);
        stuck
    }
}

/// Starts the thread. It lives as long as the supervisor.
pub(super) fn start(layout: &Layout, settings: &Settings, happenings: Sender<Happening>) -> Result<()> {
    let file = settings.testing.clock_file(layout.existing_config().as_deref(), layout.data());
    let (clock, dir) = (Clock::open(file.as_deref())?, layout.spool());
    let options = Options::of(settings, clock.clone());
    let user = crate::owner::user_of(RoleName::RelayOut, settings);
    let watch = move || {
        // The supervisor of the strict set-up may not look into the spool.
        user.into_iter().for_each(User::reads_for_thread);
        let (mut silence, mut memory, mut overdue, mut next) =
            (Silence::default(), Memory::default(), Vec::new(), Instant::now());
        loop {
            std::thread::sleep(ROUND);
            let Ok(stuck) = ask(&happenings, &mut silence) else { return };
            let begun = Instant::now();
            if begun >= next {
                let late = |queue| late(&Spool::open(&dir, options.clone()).ok()?, queue, clock.now());
                overdue =
                    Queue::ALL.into_iter().filter_map(|queue| memory.take(queue, late(queue).unwrap_or_default())).collect();
                next = begun + begun.elapsed() * SHARE;
            }
            if happenings.send(Happening::Watched { stuck, overdue: overdue.clone() }).is_err() {
                return;
            }
        }
    };
    std::thread::Builder::new().name("watch".into()).stack_size(512 * 1024).spawn(watch)?;
    Ok(())
}

/// Asks all roles to look at what changed, which each answers at once, and gives those that are stuck.
fn ask(happenings: &Sender<Happening>, silence: &mut Silence) -> Result<Vec<String>> {
    let (reply, answer) = mpsc::channel();
    happenings.send(Happening::Asked { request: Request::Look, reply })?;
    Ok(silence.take(serde_json::from_str::<Looked>(&answer.recv()?)?.late))
}

/// The messages that were due long ago, the oldest first. What cannot be read is told by whoever works on it.
fn late(spool: &Spool, queue: Queue, now: Timestamp) -> Option<Vec<QueueId>> {
    let long_ago = Timestamp(now.0.saturating_sub(OVERDUE.as_millis() as i64));
    let mut late = Vec::new();
    for shard in spool.overdue(queue, long_ago) {
        late.extend(shard.ok()?.due);
    }
    late.sort_unstable();
    Some(late)
}

impl Supervisor {
    /// Acts on what the watch found.
    pub(super) fn watched(&mut self, stuck: &[String], overdue: Vec<Overdue>) {
        // Neither one that still starts nor one that took the place of the silent one meanwhile.
        let long = |child: &Child| child.known.ready && child.since.elapsed() >= ROUND * SILENT_MOST;
        let stuck = self.children.values().filter(|child| long(child) && stuck.contains(&child.role.to_string()));
        for child in stuck.filter(|child| !child.draining) {
            let text = "has not answered for two minutes and is started again".to_owned();
            self.note(What::Warning { subject: child.role.to_string(), text });
            child.kill();
        }
        let relays = self.plan.settings.relay.enabled;
        // What waits because no mail is to leave is no news.
        self.overdue = overdue.into_iter().filter(|overdue| overdue.queue != Queue::Relay || relays).collect();
        if self.overdue.is_empty() {
            self.told_overdue = None;
        } else if self.told_overdue.is_none_or(|told| told.elapsed() >= AGAIN) {
            self.told_overdue = Some(Instant::now());
            for overdue in &self.overdue {
                let subject = if overdue.queue == Queue::Relay { RoleName::RelayOut } else { RoleName::Deliver };
                self.note(What::Warning { subject: subject.to_string(), text: overdue.text() });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_is_stuck_after_four_rounds_in_a_row() {
        let mut silence = Silence::default();
        let mut rounds = |silent: &[&str]| silence.take(silent.iter().map(ToString::to_string).collect());
        for silent in [&["deliver"][..], &["deliver", "auth"], &["deliver", "auth"]] {
            assert_eq!(rounds(silent), [""; 0]);
        }
        assert_eq!(rounds(&["deliver"]), ["deliver"]);
        // It was ended; the next process has four rounds of its own, and auth, which answered once, too.
        for _ in 0..3 {
            assert_eq!(rounds(&["deliver", "auth"]), [""; 0]);
        }
        assert_eq!(rounds(&["auth"]), ["auth"]);
    }

    #[test]
    fn a_message_is_overdue_when_it_is_late_twice() {
        let id = |end: u8| format!("1m8dvbaxctcj69t6v32{}", char::from(end)).parse::<QueueId>().unwrap();
        let (one, two, three) = (id(b'1'), id(b'2'), id(b'3'));
        let mut memory = Memory::default();
        assert_eq!(memory.take(Queue::Relay, vec![one, two]), None);
        assert_eq!(memory.take(Queue::Local, vec![one]), None);
        let overdue = memory.take(Queue::Relay, vec![two, one, three]).unwrap();
        assert_eq!((overdue.messages, overdue.first), (2, two));
        assert!(overdue.text().starts_with("relay queue: 2 messages due for over an hour"), "{}", overdue.text());
        assert_eq!(memory.take(Queue::Relay, vec![]), None);
        assert_eq!(memory.take(Queue::Relay, vec![three]), None);
        let many = Overdue { messages: REMEMBERED, ..overdue };
        assert!(many.text().contains("20000 or more messages due"), "{}", many.text());
    }
}
