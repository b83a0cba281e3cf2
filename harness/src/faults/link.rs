//! One direction of one way is in a mood: slow, delayed, silent, refusing, a black hole.

use super::{Fault, word};
use crate::gate::Mood;
use crate::record::MomentKind::{Fault as Struck, Heal as Healed};

/// From one node (or `client`) to another.
pub const LINK: Fault = Fault {
    name: "link",
    usage: "FROM TO MOOD",
    about: "connections from one node (or `client`) to another meet a mood of the gate: refuse, black-hole, silent, slow, delay, tarpit, cut",
    strike: |stage, words| {
        let (from, to) = (word(words, 0, "the node that connects")?.to_owned(), word(words, 1, "the other node")?.to_owned());
        let text = words.get(2..).unwrap_or_default().join(" ");
        anyhow::ensure!(!text.is_empty(), "the mood is missing");
        let mood: Mood = text.parse()?;
        stage.net().link(&from, &to, mood)?;
        stage.note(Struck, Some(&from), format!("the way from {from} to {to} is now: {mood}"));
        Ok(Box::new(move |stage| {
            stage.net().link(&from, &to, Mood::Pass)?;
            stage.note(Healed, Some(&from), format!("the way from {from} to {to} passes everything again"));
            Ok(())
        }))
    },
};
