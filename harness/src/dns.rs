//! A name server for a scenario: it answers every name it holds, each asker from a view of its own if need be, and fails on demand.
//!
//! A name that it does not hold does not exist. It follows aliases and says that it recurses, so that a plain stub resolver is content
//! with it. Zones have no borders: the last two labels of a name pass for one, with an SOA and a name server made up.

mod answer;
mod command;
mod control;
mod data;
mod mood;
mod serve;
mod zone;

use std::net::{IpAddr, SocketAddr};
use std::ops::Deref;
use std::sync::Arc;

use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

pub use command::Command;
pub use control::{Control, ControlServer};
pub use mood::Mood;
pub use serve::Question;
pub use zone::Zone;
pub(crate) use zone::reversed;

use crate::Result;
use serve::Log;

/// A running name server, and the zone that all its views share; it ends when it and its views are dropped.
#[derive(Debug)]
pub struct Dns {
    zone: Zone,
    view: View,
}

/// The name server at an address of its own, where it answers as [`Dns`] does but for what this view's zone says: for each name and type, its
/// own records come in the place of the shared ones, and its moods before theirs. It ends when dropped.
#[derive(Debug)]
pub struct View {
    zone: Zone,
    address: SocketAddr,
    log: Arc<Log>,
    task: JoinHandle<()>,
    runtime: Arc<Runtime>,
}

impl Dns {
    /// Starts on a free port of `address`, UDP and TCP.
    pub fn start(address: IpAddr) -> Result<Dns> {
        Dns::start_at(SocketAddr::new(address, 0))
    }

    /// Starts on `address`, UDP and TCP; a port of 0 is any.
    pub fn start_at(address: SocketAddr) -> Result<Dns> {
        let runtime = Arc::new(tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?);
        let zone = Zone::default();
        let view = View::open(address, &zone, Arc::default(), runtime)?;
        Ok(Dns { zone, view })
    }

    /// Answers on `address` too (IPv4 or IPv6; a port of 0 is any), from a view that differs from this zone by what it is told.
    pub fn view(&self, address: SocketAddr) -> Result<View> {
        View::open(address, &self.zone, Arc::clone(&self.view.log), Arc::clone(&self.view.runtime))
    }

    /// Where it answers.
    pub fn address(&self) -> SocketAddr {
        self.view.address
    }

    /// How often `at` was asked for `kind` (`"MX"`, `"A"`, …), in all views.
    pub fn asked(&self, at: &str, kind: &str) -> Result<usize> {
        let at = data::name(at)?.to_string();
        Ok(self.view.log.questions().iter().filter(|question| question.name == at && question.kind == kind).count())
    }

    /// Every question so far to every view, oldest first; capped.
    pub fn questions(&self) -> Vec<Question> {
        self.view.log.questions().iter().cloned().collect()
    }
}

impl Deref for Dns {
    type Target = Zone;

    fn deref(&self) -> &Zone {
        &self.zone
    }
}

impl View {
    fn open(address: SocketAddr, all: &Zone, log: Arc<Log>, runtime: Arc<Runtime>) -> Result<View> {
        let zone = Zone::default();
        let listening = serve::listen(address, zone.clone(), all.clone(), Arc::clone(&log));
        let (address, mut server) = runtime.block_on(listening)?;
        let task = runtime.spawn(async move {
            // It is over when the view is: there is nobody left to tell.
            let _ = server.block_until_done().await;
        });
        Ok(View { zone, address, log, task, runtime })
    }

    /// Where it answers.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How often `at` was asked for `kind` in this view.
    pub fn asked(&self, at: &str, kind: &str) -> Result<usize> {
        let at = data::name(at)?.to_string();
        let here = |question: &&Question| question.to == self.address && question.name == at && question.kind == kind;
        Ok(self.log.questions().iter().filter(here).count())
    }
}

impl Deref for View {
    type Target = Zone;

    fn deref(&self) -> &Zone {
        &self.zone
    }
}

impl Drop for View {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[cfg(test)]
mod tests;
