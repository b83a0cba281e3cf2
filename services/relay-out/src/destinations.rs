//! Connections at one time, in all and to each destination: who waits, who goes, and who lets its message go meanwhile (R3.7).
//!
//! The rules are in [`table`], and in [`destination`] what is learnt of each. A message for one destination that finds no room to wait there is *parked*: its claim goes, its id
//! is remembered, and it is attempted when there is room. So a destination that says nothing holds neither connections nor
//! messages of the others.

mod destination;
mod table;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use lib_mail::QueueId;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{sleep_until, timeout};

pub(crate) use destination::{Bounds, Went};
pub(crate) use table::Room;
use table::{Going, Table};

/// A visit that lasts longer gives its place to another.
const LASTING: Duration = Duration::from_secs(5);

/// Messages that are to be attempted again.
pub(crate) type Resumed = mpsc::UnboundedReceiver<Vec<QueueId>>;

/// All destinations. Clones are the same.
#[derive(Clone)]
pub(crate) struct Destinations(Arc<Inner>);

struct Inner {
    state: Mutex<State>,
    resume: mpsc::UnboundedSender<Vec<QueueId>>,
}

struct State {
    table: Table,
    waiters: HashMap<u64, oneshot::Sender<bool>>,
    number: u64,
}

/// Leave to wait for a destination.
pub(crate) struct Ticket {
    all: Destinations,
    key: String,
    used: bool,
}

/// A place: one connection to a destination.
pub(crate) struct Place {
    all: Destinations,
    key: String,
    troubled: bool,
    lasted: bool,
    went: Went,
}

impl Destinations {
    /// At most `most` connections; what is to be attempted again comes out of the receiver.
    pub(crate) fn new(most: u32) -> (Destinations, Resumed) {
        let (resume, resumed) = mpsc::unbounded_channel();
        let state = State { table: Table::new(most), waiters: HashMap::new(), number: 0 };
        (Destinations(Arc::new(Inner { state: Mutex::new(state), resume })), resumed)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_going(&self, state: &mut State, going: Going) {
        for (waiter, troubled) in going.begin {
            // One that has just given up gives the place back when it notices.
            if let Some(sender) = state.waiters.remove(&waiter) {
                let _ = sender.send(troubled);
            }
        }
        if !going.resume.is_empty() {
            let _ = self.0.resume.send(going.resume);
        }
    }

    fn change<T>(&self, act: impl FnOnce(&mut Table) -> (T, Going)) -> T {
        let mut state = self.lock();
        let (result, going) = act(&mut state.table);
        self.set_going(&mut state, going);
        result
    }

    /// Leave for a message to wait with its claim; `None` where it is to be parked.
    pub(crate) fn admit(&self, key: &str, bounds: Bounds, id: QueueId) -> Option<Ticket> {
        self.lock().table.admit(key, bounds, id, false).then(|| self.ticket(key))
    }

    /// The same for one that cannot be parked, as it has other destinations too.
    pub(crate) fn admit_one_of_several(&self, key: &str, bounds: Bounds, id: QueueId) -> Ticket {
        self.lock().table.admit(key, bounds, id, true);
        self.ticket(key)
    }

    fn ticket(&self, key: &str) -> Ticket {
        Ticket { all: self.clone(), key: key.to_owned(), used: false }
    }

    /// Where a message stays that was not admitted.
    pub(crate) fn room(&self, key: &str, id: QueueId) -> Room {
        self.lock().table.room(key, id, Instant::now())
    }

    /// Whether one that a server was too busy for may be parked.
    pub(crate) fn can_park_busy(&self, key: &str, id: QueueId) -> bool {
        self.lock().table.can_park_busy(key, id, Instant::now())
    }

    /// Parks a message whose claim has gone.
    pub(crate) fn park(&self, key: &str, bounds: Bounds, id: QueueId) {
        self.change(|table| ((), table.park(key, bounds, id, Instant::now())));
    }

    /// An attempt at it is over, and it was not parked.
    pub(crate) fn attempted(&self, id: QueueId) {
        self.change(|table| ((), table.attempted(id)));
    }

    /// Lets go on what was parked for long. To be called every now and then.
    pub(crate) fn put_off(&self) {
        self.change(|table| ((), table.overdue(Instant::now())));
    }

    /// Nobody is in trouble, as far as is known: a person wants mail to be tried.
    pub(crate) fn forgive(&self) {
        self.change(|table| ((), table.forgive(Instant::now())));
    }

    pub(crate) fn set_most(&self, most: u32) {
        self.lock().table.set_most(most);
    }
}

impl Ticket {
    /// Waits for a place.
    pub(crate) async fn place(mut self) -> Place {
        self.used = true;
        let (sender, begun) = oneshot::channel();
        let number = {
            let mut state = self.all.lock();
            state.number += 1;
            let number = state.number;
            state.waiters.insert(number, sender);
            let going = state.table.wait(&self.key, number, Instant::now());
            self.all.set_going(&mut state, going);
            number
        };
        // Where this is dropped while it waits, the number goes.
        let mut waiting = Waiting { all: self.all.clone(), key: self.key.clone(), number: Some(number), begun };
        let troubled = loop {
            let moment = self.all.lock().table.not_before(&self.key);
            let later = async {
                match moment.filter(|moment| *moment > Instant::now()) {
                    Some(moment) => sleep_until(moment.into()).await,
                    // The next change tells; this is against a moment that came in between.
                    None => tokio::time::sleep(Duration::from_secs(1)).await,
                }
            };
            tokio::select! {
                troubled = &mut waiting.begun => break troubled.unwrap_or_default(),
                () = later => self.all.change(|table| ((), table.look(&self.key, Instant::now()))),
            }
        };
        waiting.number = None;
        Place { all: self.all.clone(), key: self.key.clone(), troubled, lasted: false, went: Went::Unclear }
    }

    /// The same, for so long only.
    pub(crate) async fn place_within(self, patience: Duration) -> Option<Place> {
        timeout(patience, self.place()).await.ok()
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if !self.used {
            self.all.change(|table| ((), table.dropped(&self.key)));
        }
    }
}

/// One that waits for a place.
struct Waiting {
    all: Destinations,
    key: String,
    number: Option<u64>,
    begun: oneshot::Receiver<bool>,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let Some(number) = self.number else { return };
        let mut state = self.all.lock();
        let now = Instant::now();
        let going = if state.waiters.remove(&number).is_some() {
            state.table.gave_up(&self.key, number, now)
        } else {
            // It had a place already.
            let troubled = self.begun.try_recv().unwrap_or_default();
            state.table.ended(&self.key, Went::Unclear, false, troubled, now)
        };
        self.all.set_going(&mut state, going);
    }
}

impl Place {
    /// Runs a visit; where it lasts, others get the place.
    pub(crate) async fn visit<T>(&mut self, mut visit: impl Future<Output = T> + Unpin) -> T {
        if let Ok(result) = timeout(LASTING, &mut visit).await {
            return result;
        }
        self.lasted = self.all.change(|table| match table.lasts(Instant::now()) {
            Some(going) => (true, going),
            None => (false, Going::default()),
        });
        visit.await
    }

    /// How it went.
    pub(crate) fn went(&mut self, went: Went) {
        self.went = went;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Place { key, went, lasted, troubled, .. } = &*self;
        self.all.change(|table| ((), table.ended(key, *went, *lasted, *troubled, Instant::now())));
    }
}
