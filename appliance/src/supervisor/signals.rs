//! Signals as happenings: they are blocked in every thread, and one thread waits for them.

use std::sync::mpsc::Sender;

use anyhow::Result;
use nix::sys::signal::{SigSet, Signal};

use super::Happening;

/// The signals that the supervisor takes.
fn taken() -> SigSet {
    [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGCHLD, Signal::SIGQUIT].into_iter().collect()
}

/// Blocks them; to be called before the first thread is made, because threads inherit it.
pub(crate) fn block() -> Result<()> {
    Ok(taken().thread_block()?)
}

/// Starts the thread that waits for them.
pub(crate) fn watch(happenings: Sender<Happening>) -> Result<()> {
    let watch = move || {
        while let Ok(signal) = taken().wait() {
            let happening = match signal {
                Signal::SIGCHLD => Happening::ChildEnded,
                Signal::SIGHUP => Happening::Reload,
                _ => Happening::Stop,
            };
            if happenings.send(happening).is_err() {
                return;
            }
        }
    };
    std::thread::Builder::new().name("signals".into()).stack_size(64 * 1024).spawn(watch)?;
    Ok(())
}

/// In a role's process: SIGTERM drains, and signals of the terminal and of reloads are the supervisor's business.
pub(crate) fn drain_on_terminate(inlet: lib_net::role::OrderInlet) -> Result<()> {
    let watch = move || {
        while let Ok(signal) = taken().wait() {
            if signal == Signal::SIGTERM {
                inlet.drain();
            }
        }
    };
    std::thread::Builder::new().name("signals".into()).stack_size(64 * 1024).spawn(watch)?;
    Ok(())
}
