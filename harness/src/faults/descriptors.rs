//! A service runs out of file descriptors: it can open no file and accept no connection beyond those it has.

use rustix::process::Resource;

use super::limit::lower;
use super::{Fault, word};
use crate::record::MomentKind::{Fault as Struck, Heal as Healed};

/// Of one service.
pub const DESCRIPTORS: Fault = Fault {
    name: "descriptors",
    usage: "NODE SERVICE [SPARE]",
    about: "a service of a node may have no more descriptors than it has now and SPARE (0); undone, it may again",
    strike: |stage, words| {
        let (node, service) = (word(words, 0, "the node")?.to_owned(), word(words, 1, "the service")?.to_owned());
        let spare: u64 = words.get(2).map_or(Ok(0), |spare| spare.parse())?;
        let process = stage.server(&node)?.service_process(&service)?;
        let open = std::fs::read_dir(format!("/proc/{process}/fd"))?.count() as u64;
        let lowered = lower(process, Resource::Nofile, "Max open files", open + spare)?;
        stage.note(Struck, Some(&node), format!("{service} of {node} has {open} descriptors and may have {spare} more"));
        Ok(Box::new(move |stage| {
            lowered.lift()?;
            stage.note(Healed, Some(&node), format!("{service} of {node} may open descriptors again"));
            Ok(())
        }))
    },
};
