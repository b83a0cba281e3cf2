//! Which message is attempted when: woken by datagrams, and by a slow scan for what no datagram told.

use std::collections::{HashMap, HashSet, VecDeque};
use std::mem;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lib_mail::{Domain, QueueId, Timestamp};
use lib_net::role::{Line, Order, State};
use lib_net::wake::{Receiver, Wake};
use lib_record::What;
use lib_spool::{Error, Limits, Queue, Spool};
use tokio::sync::Semaphore;
use tokio::task::{Id, JoinError, JoinHandle, JoinSet, spawn_blocking};
use tokio::time::{interval, sleep, timeout};

use crate::attempt::{Next, attempt};
use crate::destinations::Resumed;
use crate::opening::{Claimed, Opened, open_some};
use crate::shared::Shared;
use crate::terms::Terms;

/// The longest time between two scans while little lies in the queue.
const RESCAN: Duration = Duration::from_secs(30);
/// The shortest, so that a clock that runs fast, or a queue with something due each moment, costs little.
const BREATH: Duration = Duration::from_millis(200);
/// A scan may cost one part in so many of one core;
const SCAN_SHARE: u32 = 100;
/// one that has more to find, or is asked for, in so many.
const SOON_SHARE: u32 = 10;
/// Messages in work for each connection that is allowed: those whose destination has no room wait without a connection.
const MESSAGES_PER_CONNECTION: usize = 4;
/// Messages that are opened by one call, at most, and such calls at one time, for the sake of a disk that is slow.
const OPENED_TOGETHER: usize = 32;
const OPENERS: usize = 8;
/// How long one waits for others to be opened with where most of the room is taken.
const COMPANY: Duration = Duration::from_millis(5);
/// Ids that wait in memory, but where a person wants all tried; the rest stays on disk until the next scan.
const MOST_WAITING: usize = 20_000;
/// Datagrams taken at one time.
const WAKES: usize = 256;
/// How long a message is left alone after trouble with it.
const REST: Duration = Duration::from_secs(30);
/// How often those are looked for that wait for their destination for long.
const PUT_OFF: Duration = Duration::from_secs(10);
/// How often crashed writers' leftovers are looked for.
const SWEEP: Duration = Duration::from_secs(300);
/// How long attempts may go on after the order to drain; the supervisor kills later.
const DRAIN: Duration = Duration::from_secs(20);

/// What a scan looks for.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Wish {
    /// What is due.
    Due,
    /// Everything (`queue run`).
    All,
    /// What waits for a domain (`queue flush`).
    For(Domain),
    /// What waits for a domain and for the names below it (ETRN).
    Below(Domain),
}

impl Wish {
    /// Whether it is for a message with a recipient in `domain`.
    fn covers(&self, domain: &Domain) -> bool {
        match self {
            Wish::Due | Wish::All => true,
            Wish::For(wanted) => domain == wanted,
            Wish::Below(above) => domain.is_within(above),
        }
    }
}

/// What a scan found.
#[derive(Debug, Default)]
struct Scanned {
    ids: Vec<QueueId>,
    next: Option<Timestamp>,
    count: usize,
    /// There was more than fits.
    cut: bool,
    /// It is not for what is due: what it does not bring now would not come by itself.
    wished: bool,
    cost: Duration,
}

/// The queue in memory: nothing of it needs to survive.
pub(crate) struct Scheduler {
    shared: Arc<Shared>,
    most: usize,
    waiting: VecDeque<QueueId>,
    /// Waiting, in work, or resting.
    known: HashSet<QueueId>,
    opening: JoinSet<Vec<(QueueId, Opened)>>,
    being_opened: HashMap<Id, Vec<QueueId>>,
    /// When the next are to be opened at the latest.
    open_by: Option<Instant>,
    running: JoinSet<Next>,
    in_work: HashMap<Id, QueueId>,
    wishes: VecDeque<Wish>,
    scan: Option<JoinHandle<Scanned>>,
    next_scan: Instant,
    /// No scan begins before: the last one cost so much.
    no_scan_before: Instant,
    swept: Instant,
    put_off: Instant,
    count: usize,
    resumed: Resumed,
    /// Without permits; closed at the order to drain.
    draining: Arc<Semaphore>,
}

impl Scheduler {
    pub(crate) fn new(shared: Arc<Shared>, resumed: Resumed) -> Scheduler {
        let most = shared.terms.load().relay.concurrency as usize * MESSAGES_PER_CONNECTION;
        Scheduler {
            shared,
            most,
            waiting: VecDeque::new(),
            known: HashSet::new(),
            opening: JoinSet::new(),
            being_opened: HashMap::new(),
            open_by: None,
            running: JoinSet::new(),
            in_work: HashMap::new(),
            wishes: VecDeque::new(),
            scan: None,
            next_scan: Instant::now(),
            no_scan_before: Instant::now(),
            swept: Instant::now(),
            put_off: Instant::now(),
            count: 0,
            resumed,
            draining: Arc::new(Semaphore::new(0)),
        }
    }

    /// Runs until the order to drain, and through it.
    pub(crate) async fn run(mut self, wakes: Receiver, line: &mut Line) {
        let mut tick = interval(Duration::from_secs(1));
        loop {
            self.open_waiting();
            self.start_scan();
            tokio::select! {
                order = line.next() => match order {
                    Order::Reload(new) => {
                        self.shared.spool.limit(Limits::of(&new.settings));
                        self.reload(Terms::new(&new.settings, &new.secrets));
                        line.reporter().in_force(new.generation);
                    }
                    // The one map is looked at for each notification.
                    Order::Look(number) => line.reporter().looked(number),
                    Order::Drain => break,
                },
                received = wakes.receive(WAKES) => match received {
                    Ok(wakes) => wakes.into_iter().for_each(|wake| self.wake(wake)),
                    // The scan finds what the datagrams would have told.
                    Err(_) => sleep(BREATH).await,
                },
                Some(opened) = self.opening.join_next_with_id() => self.opened(opened),
                Some(ended) = self.running.join_next_with_id() => self.ended(ended),
                // Before what is new: they have waited.
                Some(ids) = self.resumed.recv() => ids.into_iter().rev().for_each(|id| self.waiting.push_front(id)),
                scanned = finished(&mut self.scan) => self.scanned(scanned),
                () = sleep(self.open_by.map_or(COMPANY, |by| by.saturating_duration_since(Instant::now()))), if self.open_by.is_some() => {}
                () = sleep(self.next_scan.saturating_duration_since(Instant::now())), if self.scan.is_none() && self.enabled() => {}
                _ = tick.tick() => {
                    self.tick();
                    line.reporter().state(&self.state());
                }
            }
        }
        self.drain().await;
    }

    fn enabled(&self) -> bool {
        self.shared.terms.load().relay.enabled
    }

    fn open_waiting(&mut self) {
        if self.opening.len() >= OPENERS || self.waiting.is_empty() || !self.enabled() {
            self.open_by = None;
            return;
        }
        let in_work = self.running.len() + self.being_opened.values().map(Vec::len).sum::<usize>();
        let mut room = self.most.saturating_sub(in_work);
        if self.waits_for_company(room) {
            return;
        }
        while self.opening.len() < OPENERS && room > 0 && !self.waiting.is_empty() {
            let share = self.waiting.len().div_ceil(OPENERS - self.opening.len());
            let ids: Vec<QueueId> = self.waiting.drain(..share.min(OPENED_TOGETHER).min(room)).collect();
            room -= ids.len();
            let (shared, opened) = (self.shared.clone(), ids.clone());
            let task = self.opening.spawn_blocking(move || open_some(&shared, &opened));
            self.being_opened.insert(task.id(), ids);
        }
    }

    /// Whether what waits is to wait for a moment more, as there is little room: those for which there is room soon are opened with it.
    fn waits_for_company(&mut self, room: usize) -> bool {
        let enough = OPENED_TOGETHER.min(self.most / 8).min(self.waiting.len()).max(1);
        let now = Instant::now();
        match self.open_by {
            _ if room == 0 || room >= enough => self.open_by = None,
            None => self.open_by = Some(now + COMPANY),
            Some(by) if by <= now => self.open_by = None,
            Some(_) => {}
        }
        room == 0 || self.open_by.is_some()
    }

    fn opened(&mut self, opened: Result<(Id, Vec<(QueueId, Opened)>), JoinError>) {
        let (task, opened) = match opened {
            Ok(opened) => opened,
            Err(error) => (error.id(), Vec::new()),
        };
        // They are opened in their order: the rest has been in nobody's hands.
        let ids = self.being_opened.remove(&task).unwrap_or_default();
        ids.iter().skip(opened.len()).rev().for_each(|id| self.waiting.push_front(*id));
        for (id, opened) in opened {
            match opened {
                Opened::Claimed(claimed) => self.attempt(id, claimed),
                Opened::Left(Next::Trouble) => self.rest(id),
                Opened::Left(next) => self.left(id, next),
            }
        }
    }

    fn attempt(&mut self, id: QueueId, claimed: Box<Claimed>) {
        let (shared, draining) = (self.shared.clone(), self.draining.clone());
        let task = self.running.spawn(async move {
            let next = attempt(shared, claimed).await;
            if next == Next::Trouble {
                rest(&draining).await;
            }
            next
        });
        self.in_work.insert(task.id(), id);
    }

    /// Leaves a message alone for a while.
    fn rest(&mut self, id: QueueId) {
        let draining = self.draining.clone();
        let task = self.running.spawn(async move {
            rest(&draining).await;
            Next::Trouble
        });
        self.in_work.insert(task.id(), id);
    }

    fn start_scan(&mut self) {
        if self.scan.is_some() || !self.enabled() {
            return;
        }
        let wish = match self.wishes.pop_front() {
            Some(wish) => wish,
            None if Instant::now() >= self.next_scan => Wish::Due,
            None => return,
        };
        let (shared, now) = (self.shared.clone(), self.shared.clock.now());
        // So many that some are new, however many of them are known.
        let room = MOST_WAITING + self.known.len();
        self.scan = Some(spawn_blocking(move || {
            let begun = Instant::now();
            let mut found = look(&shared, &wish, now, room).unwrap_or_else(|error| {
                shared.warn(None, "spool", format!("cannot look through the queue: {error}"));
                Scanned::default()
            });
            (found.cost, found.wished) = (begun.elapsed(), wish != Wish::Due);
            found
        }));
    }

    fn wake(&mut self, wake: Wake) {
        match wake {
            Wake::New(id) => self.add(id),
            Wake::Flush(domain) => self.wish(Wish::For(domain)),
            Wake::Below(domain) => self.wish(Wish::Below(domain)),
            Wake::Look => self.scan_by(Instant::now()),
            Wake::Run => self.wish(Wish::All),
            Wake::Fetch => self.shared.board.fetch(),
        }
    }

    fn wish(&mut self, wish: Wish) {
        self.shared.dialer.idle.forget_unreachable();
        self.shared.destinations.forgive();
        self.shared.directory.forget();
        if !self.wishes.contains(&wish) && self.wishes.len() < WAKES {
            self.wishes.push_back(wish);
        }
    }

    fn add(&mut self, id: QueueId) {
        if self.waiting.len() < MOST_WAITING && self.known.insert(id) {
            self.waiting.push_back(id);
        } else {
            // Full, or in work just now: the scan comes back to it.
            self.scan_by(Instant::now() + BREATH);
        }
    }

    fn scan_by(&mut self, moment: Instant) {
        self.next_scan = self.next_scan.min(moment.max(self.no_scan_before));
    }

    fn scanned(&mut self, found: Scanned) {
        self.scan = None;
        self.count = found.count;
        self.no_scan_before = Instant::now() + (found.cost * SOON_SHARE).max(BREATH);
        let until_next = found.next.map_or(RESCAN, |next| self.shared.clock.real_until(next)).min(RESCAN);
        let at_rest = Instant::now() + until_next.max(found.cost * SCAN_SHARE).max(BREATH);
        self.next_scan = if found.cut { self.no_scan_before } else { at_rest };
        if lib_host::is_mutant("no-retry") {
            return;
        }
        for id in found.ids {
            if (found.wished || self.waiting.len() < MOST_WAITING) && self.known.insert(id) {
                self.waiting.push_back(id);
            }
        }
    }

    fn ended(&mut self, ended: Result<(Id, Next), JoinError>) {
        let (task, next) = match ended {
            Ok(ended) => ended,
            Err(error) => (error.id(), Next::Trouble),
        };
        if let Some(id) = self.in_work.remove(&task) {
            self.left(id, next);
        }
    }

    /// Nothing more is done with it now.
    fn left(&mut self, id: QueueId, next: Next) {
        // One that is parked may be on its way back already.
        if next != Next::Parked {
            self.shared.destinations.attempted(id);
            self.known.remove(&id);
        }
        if let Next::Due(due) = next {
            self.scan_by(Instant::now() + self.shared.clock.real_until(due).max(BREATH));
        }
    }

    fn tick(&mut self) {
        self.part_with(false);
        if self.put_off.elapsed() >= PUT_OFF {
            self.put_off = Instant::now();
            self.shared.destinations.put_off();
        }
        if self.swept.elapsed() >= SWEEP {
            self.swept = Instant::now();
            let shared = self.shared.clone();
            spawn_blocking(move || sweep(&shared));
        }
    }

    fn part_with(&self, all: bool) {
        for connection in self.shared.dialer.idle.expired(all) {
            tokio::spawn(connection.quit());
        }
    }

    fn reload(&mut self, terms: Terms) {
        self.most = terms.relay.concurrency as usize * MESSAGES_PER_CONNECTION;
        self.shared.terms.store(Arc::new(terms));
        self.shared.destinations.forgive();
        self.shared.destinations.set_most(self.shared.terms.load().relay.concurrency);
        self.shared.directory.forget();
        self.shared.board.reload();
        self.part_with(true);
        self.next_scan = Instant::now();
    }

    fn state(&self) -> State {
        let why = match (self.enabled(), self.shared.spool.in_trouble()) {
            (false, _) => "relay.enabled is false: no mail leaves",
            (true, true) => "outcomes cannot be recorded: no mail leaves",
            (true, false) => "",
        };
        State { sessions: self.running.len() as u64, accepting: "running".into(), why: why.into() }
    }

    async fn drain(mut self) {
        self.draining.close();
        // What was only claimed is free again.
        drop(mem::take(&mut self.opening));
        self.part_with(true);
        let all = async { while self.running.join_next().await.is_some() {} };
        if timeout(DRAIN, all).await.is_err() {
            let text = format!("{} attempts were broken off; they will be repeated", self.running.len());
            self.shared.record(None, What::Notice { text });
        }
        self.part_with(true);
    }
}

/// A drain does not wait for who only rests.
async fn rest(draining: &Semaphore) {
    let _ = timeout(REST, draining.acquire()).await;
}

/// Waits for a running scan; for ever where there is none.
async fn finished(scan: &mut Option<JoinHandle<Scanned>>) -> Scanned {
    match scan {
        Some(scan) => scan.await.unwrap_or_default(),
        None => std::future::pending().await,
    }
}

fn look(shared: &Shared, wish: &Wish, now: Timestamp, room: usize) -> Result<Scanned, Error> {
    let spool = &shared.spool;
    match wish {
        Wish::Due => return due(spool, now, room),
        Wish::All => return due(spool, Timestamp(i64::MAX), usize::MAX),
        Wish::For(_) | Wish::Below(_) => {}
    }
    let mut found = Scanned::default();
    for listing in spool.list(Queue::Relay) {
        let listing = match listing {
            Ok(listing) => listing,
            Err(error) => {
                // One message that cannot be read holds up no other.
                shared.warn(None, "spool", error.to_string());
                continue;
            }
        };
        let recipients = &listing.envelope.recipients;
        let pending = listing.recipients.pending();
        if pending.iter().filter_map(|index| recipients.get(*index)).any(|recipient| wish.covers(&recipient.address.domain())) {
            found.ids.push(listing.id);
        }
    }
    Ok(found)
}

fn due(spool: &Spool, now: Timestamp, most: usize) -> Result<Scanned, Error> {
    let mut found = Scanned::default();
    for shard in spool.due(Queue::Relay, now) {
        let shard = shard?;
        found.count += shard.count;
        found.next = [found.next, shard.next].into_iter().flatten().min();
        let room = most - found.ids.len();
        found.cut |= shard.due.len() > room;
        found.ids.extend(shard.due.into_iter().take(room));
    }
    Ok(found)
}

fn sweep(shared: &Shared) {
    match shared.spool.sweep(Queue::Relay) {
        Ok(swept) if swept.corrupt > 0 => {
            let text = format!("{} damaged messages lie in corrupt/; look at them with `bongsu queue show`", swept.corrupt);
            shared.warn(None, "spool", text);
        }
        Ok(_) => {}
        Err(error) => shared.warn(None, "spool", format!("cannot sweep: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{Node, settings};

    #[tokio::test]
    async fn what_waits_is_opened_in_company_where_there_is_little_room_and_soon_all_the_same() {
        let node = Node::new(&settings(25));
        let resumed = node.resumed.lock().unwrap().take().unwrap();
        let mut scheduler = Scheduler::new(node.shared.clone(), resumed);
        let id: QueueId = "1m8f7kcakdfe9xyawrvk".parse().unwrap();
        for (most, waiting, room, waits, again) in [
            (400, 40, 0, true, false),
            (400, 40, 5, true, true),
            (400, 40, 31, true, true),
            (400, 40, 32, false, false),
            (400, 3, 3, false, false),
            (400, 3, 2, true, true),
            (80, 40, 9, true, true),
            (80, 40, 10, false, false),
            (4, 40, 1, false, false),
        ] {
            (scheduler.most, scheduler.waiting, scheduler.open_by) = (most, vec![id; waiting].into(), None);
            let row = format!("{waiting} wait, room for {room} of {most}");
            assert_eq!(scheduler.waits_for_company(room), waits, "{row}");
            assert_eq!(scheduler.open_by.is_some(), again, "{row}: it is looked at again when the time is up");
            if let Some(by) = &mut scheduler.open_by {
                *by -= COMPANY;
                assert!(!scheduler.waits_for_company(room), "{row}, and the time is up");
            }
        }
        // Nothing is left of it that would wake the program again and again.
        (scheduler.open_by, scheduler.waiting) = (Some(Instant::now()), VecDeque::new());
        scheduler.open_waiting();
        assert_eq!(scheduler.open_by, None);
    }
}
