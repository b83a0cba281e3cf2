//! When a peer is asked: at the start, each `pair.fetch_interval`, when somebody says so, and each `pair.probe_interval` while mail waits for it.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use lib_account::{Applied, Contact};
use lib_mail::Domain;
use lib_net::wake::{Consumer, Wake};
use lib_record::What;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Instant, sleep_until};

use super::question::{Looked, fetch, start_queues};
use super::{Call, Peer};
use crate::connection::Connection;
use crate::dial::Manner;
use crate::hop::NextHop;
use crate::shared::Shared;
use crate::terms::Terms;

/// The longest pause between tries that did not help, in probe intervals.
const MOST_PAUSE: u32 = 16;
/// Tries, at the start, to ask a peer for what it has for us. One that is away asks by itself when it comes back.
const FIRST_TRIES: u32 = 5;

/// Takes care of all peers until the program ends.
pub(crate) async fn attend(shared: Arc<Shared>) {
    let mut tasks: HashMap<String, JoinHandle<()>> = HashMap::new();
    loop {
        let terms = shared.terms.load_full();
        tasks.drain().for_each(|(_, task)| task.abort());
        for peer in terms.peers.iter().cloned() {
            let call = shared.board.call(&peer.name);
            let care = Care::new(shared.clone(), terms.clone(), peer.clone(), call);
            tasks.insert(peer.name.clone(), tokio::spawn(care.run()));
        }
        shared.board.changed.notified().await;
    }
}

/// The care for one peer.
struct Care {
    shared: Arc<Shared>,
    terms: Arc<Terms>,
    peer: Arc<Peer>,
    call: Arc<Call>,
    /// How long after a try the next one follows while mail waits.
    pause: Duration,
    /// What waits was sent for once, and is to be once more: an attempt that had failed may not have been recorded by then.
    again: bool,
    /// Tries left to ask for what the peer has for us; none once it was asked.
    first_tries: u32,
    /// What was last told of it.
    told: Option<Result<(), String>>,
    /// What was last told of its list.
    doubted: Option<String>,
}

impl Care {
    fn new(shared: Arc<Shared>, terms: Arc<Terms>, peer: Arc<Peer>, call: Arc<Call>) -> Care {
        // Mail may wait from before the start.
        call.waiting.store(!peer.domains.is_empty(), Ordering::Relaxed);
        let pause = terms.pair.probe_interval;
        Care { shared, terms, peer, call, pause, again: false, first_tries: FIRST_TRIES, told: None, doubted: None }
    }

    async fn run(mut self) {
        loop {
            let reached = self.visit().await;
            let tried = Instant::now();
            self.think(reached.is_ok());
            self.tell(reached).await;
            loop {
                let due = tried + self.until_next();
                let wanted = tokio::select! {
                    () = sleep_until(due) => true,
                    () = self.call.notify.notified() => self.call.fetch.load(Ordering::Relaxed),
                };
                // A call that mail waits makes the next try due sooner, not at once: the try that failed was just now.
                if wanted || Instant::now() >= tried + self.until_next() {
                    break;
                }
            }
            self.call.fetch.store(false, Ordering::Relaxed);
        }
    }

    /// Where the peer is back, sends what waits; sets how soon it is tried again.
    fn think(&mut self, reached: bool) {
        let probe = self.terms.pair.probe_interval;
        if !reached {
            self.pause = probe;
            self.first_tries = self.first_tries.saturating_sub(1);
            return;
        }
        self.first_tries = 0;
        let waiting = self.call.waiting.swap(false, Ordering::Relaxed);
        if waiting || std::mem::take(&mut self.again) {
            for domain in &self.peer.domains {
                self.shared.waker.send(Consumer::Relay, &Wake::Below(domain.clone()));
            }
        }
        self.again = waiting;
        // Where mail waits again soon, it is for another reason than that nobody is there.
        self.pause = if waiting { (self.pause * 2).min(probe * MOST_PAUSE) } else { probe };
    }

    fn until_next(&self) -> Duration {
        let waiting = self.call.waiting.load(Ordering::Relaxed) || self.again || self.first_tries > 0;
        let pause = if waiting { self.pause.min(self.terms.pair.fetch_interval) } else { self.terms.pair.fetch_interval };
        jittered(pause)
    }

    /// One session with the peer. An error is in words.
    async fn visit(&mut self) -> Result<(), String> {
        let mut connection = self.connect().await?;
        if self.first_tries > 0 {
            start_queues(&mut connection, &self.local_domains().await).await?;
        }
        let looked = match self.peer.domains.is_empty() {
            true => Ok(Looked::Same),
            false => fetch(&mut connection, &self.shared.board.lists, &self.peer.name, &self.shared.clock).await,
        };
        connection.quit().await;
        self.tell_list(looked);
        Ok(())
    }

    async fn connect(&self) -> Result<Connection, String> {
        let hop = NextHop::peer(&self.peer.name, self.peer.domains.first().cloned());
        let now = self.shared.clock.now();
        let targets = self.shared.directory.targets(&self.terms, &hop, now).await.map_err(|status| status.text)?;
        let manner = Manner::of(&hop, &self.terms);
        let mut why = String::from("it has no address");
        for target in &targets {
            self.shared.dialer.idle.forget(&target.address);
            match self.shared.dialer.dial(target, None, &manner).await {
                Ok((connection, _)) => return Ok(connection),
                Err(status) => why = status.text,
            }
        }
        Err(why)
    }

    async fn local_domains(&self) -> Vec<Domain> {
        let (shared, terms) = (self.shared.clone(), self.terms.clone());
        spawn_blocking(move || shared.local.domains(&terms)).await.unwrap_or_default()
    }

    fn tell_list(&mut self, looked: Result<Looked, String>) {
        let name = &self.peer.name;
        let doubt = match looked {
            Ok(Looked::Same) => return,
            Ok(Looked::Got(Applied::Same)) => None,
            Ok(Looked::Got(Applied::New)) => {
                self.shared
                    .record(None, What::Notice { text: format!("pair: a new list of the recipients of {name} is in force") });
                None
            }
            Ok(Looked::Got(Applied::Waits(why))) => Some(format!(
                "the new list of recipients is not applied, since {why}; if that is right, say: bongsu pair confirm {name}"
            )),
            Err(why) => Some(format!("the list of recipients cannot be had: {why}")),
        };
        if doubt != self.doubted
            && let Some(doubt) = &doubt
        {
            self.shared.warn(None, &format!("pair {name}"), doubt.clone());
        }
        self.doubted = doubt;
    }

    /// Records how the peer fares, in the log where it changed.
    async fn tell(&mut self, reached: Result<(), String>) {
        let (name, now) = (self.peer.name.clone(), self.shared.clock.now());
        if self.told.as_ref().is_none_or(|told| told.is_ok() != reached.is_ok()) {
            match &reached {
                Ok(()) => self.shared.record(None, What::Notice { text: format!("pair: {name} is reached") }),
                Err(why) => self.shared.warn(None, &format!("pair {name}"), format!("it is not reached: {why}")),
            }
        }
        let contact = Contact { at: now, trouble: reached.as_ref().err().cloned() };
        let lists = self.shared.board.lists.clone();
        // For `bongsu pair status` alone.
        let _ = spawn_blocking(move || lists.tell(&name, &contact)).await;
        self.told = Some(reached);
    }
}

/// A tenth more or less, so that peers that started together do not go on together.
fn jittered(pause: Duration) -> Duration {
    let random: [u8; 1] = lib_host::random_bytes();
    pause.mul_f64(0.9 + 0.2 * f64::from(random[0]) / 255.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_a_tenth_more_or_less() {
        for _ in 0..1000 {
            let pause = jittered(Duration::from_secs(100));
            assert!((Duration::from_secs(90)..=Duration::from_millis(110_001)).contains(&pause), "{pause:?}");
        }
    }
}
