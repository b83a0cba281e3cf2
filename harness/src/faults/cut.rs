//! The cable is pulled: nothing passes between two nodes, or between a node and everybody.

use super::{Fault, word};
use crate::Result;
use crate::driver::processes::CLIENT;
use crate::gate::Mood;
use crate::record::MomentKind::{Fault as Struck, Heal as Healed};
use crate::stage::Stage;

/// Between two nodes, or a node and `client`.
pub const CUT: Fault = Fault {
    name: "cut",
    usage: "A B",
    about: "nothing passes between two nodes (or a node and `client`) in either direction, as if the cable were pulled",
    strike: |stage, words| {
        let (a, b) = (word(words, 0, "the first node")?.to_owned(), word(words, 1, "the second node")?.to_owned());
        both(stage, &a, &b, Mood::Cut)?;
        stage.note(Struck, Some(&a), format!("the way between {a} and {b} is cut"));
        Ok(Box::new(move |stage| {
            both(stage, &a, &b, Mood::Pass)?;
            stage.note(Healed, Some(&a), format!("the way between {a} and {b} is whole again"));
            Ok(())
        }))
    },
};

/// A node and everybody.
pub const ISOLATE: Fault = Fault {
    name: "isolate",
    usage: "NODE",
    about: "nothing passes between a node and everybody else",
    strike: |stage, words| {
        let node = word(words, 0, "the node")?.to_owned();
        stage.server(&node)?;
        stage.net().isolate(&node, true)?;
        stage.journal().enter(&node, "cut");
        stage.note(Struck, Some(&node), format!("{node} is cut off from everybody"));
        Ok(Box::new(move |stage| {
            stage.net().isolate(&node, false)?;
            stage.journal().leave(&node, "cut");
            stage.note(Healed, Some(&node), format!("{node} is in the network again"));
            Ok(())
        }))
    },
};

/// The client sends and is never sent to, so that way has one direction.
fn both(stage: &Stage, a: &str, b: &str, mood: Mood) -> Result<()> {
    for (from, to) in [(a, b), (b, a)].into_iter().filter(|(_, to)| *to != CLIENT) {
        stage.net().link(from, to, mood)?;
    }
    Ok(())
}
