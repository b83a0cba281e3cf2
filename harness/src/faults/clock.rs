//! The queue clock jumps, or runs faster: thirty minutes, four hours, five days pass in seconds.

use super::{Fault, word};
use crate::record::MomentKind::{Fault as Struck, Heal as Healed};

/// Of one node whose topology entry says `clock = true`.
pub const CLOCK: Fault = Fault {
    name: "clock",
    usage: "NODE AHEAD_SECONDS [RATE]",
    about: "sets a node's queue clock so many seconds ahead of the real one (behind: a negative number), running RATE times as fast",
    strike: |stage, words| {
        let node = word(words, 0, "the node")?.to_owned();
        let ahead: i64 = word(words, 1, "the seconds")?.parse()?;
        let rate: f64 = words.get(2).map_or(Ok(1.0), |rate| rate.parse())?;
        stage.server(&node)?.set_clock(ahead * 1000, rate)?;
        stage.note(Struck, Some(&node), format!("the clock of {node} is {ahead} s ahead and runs {rate} times as fast"));
        Ok(Box::new(move |stage| {
            stage.server(&node)?.set_clock(ahead * 1000, 1.0)?;
            stage.note(Healed, Some(&node), format!("the clock of {node} runs as fast as others"));
            Ok(())
        }))
    },
};
