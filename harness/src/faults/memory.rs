//! A service gets no more memory: whatever it asks the kernel for from now on, it is refused.

use anyhow::Context;
use rustix::process::Resource;

use super::limit::lower;
use super::{Fault, word};
use crate::record::MomentKind::{Fault as Struck, Heal as Healed};

/// Of one service.
pub const MEMORY: Fault = Fault {
    name: "memory",
    usage: "NODE SERVICE [SPARE_KIB]",
    about: "a service of a node may map no more memory than it has now and SPARE_KIB (0); undone, or started again, it may",
    strike: |stage, words| {
        let (node, service) = (word(words, 0, "the node")?.to_owned(), word(words, 1, "the service")?.to_owned());
        let spare: u64 = words.get(2).map_or(Ok(0), |spare| spare.parse())?;
        let process = stage.server(&node)?.service_process(&service)?;
        let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
        let size =
            status.lines().find_map(|line| line.strip_prefix("VmSize:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        let most = (size.context("no VmSize")? + spare) * 1024;
        let lowered = lower(process, Resource::As, "Max address space", most)?;
        stage.note(Struck, Some(&node), format!("{service} of {node} gets no memory beyond {} KiB", most / 1024));
        Ok(Box::new(move |stage| {
            lowered.lift()?;
            stage.note(Healed, Some(&node), format!("{service} of {node} may have memory again"));
            Ok(())
        }))
    },
};
