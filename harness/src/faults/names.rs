//! The name server fails: for one name, or for all.

use super::{Fault, word};
use crate::dns::Mood;
use crate::record::MomentKind::{Fault as Struck, Heal as Healed};

/// Of one name or of all.
pub const NAMES: Fault = Fault {
    name: "names",
    usage: "MOOD [NAME]",
    about: "the name server answers servfail, silent, slow, truncated, … for a name or for all",
    strike: |stage, words| {
        let mood: Mood = word(words, 0, "the mood")?.parse()?;
        let name = words.get(1).map(|name| (*name).to_owned());
        stage.names().mood(name.as_deref(), mood)?;
        let whom = name.clone().unwrap_or_else(|| "every name".into());
        stage.note(Struck, None, format!("the name server for {whom} is now: {}", words[0]));
        Ok(Box::new(move |stage| {
            stage.names().mood(name.as_deref(), Mood::Answer)?;
            stage.note(Healed, None, "the name server answers again");
            Ok(())
        }))
    },
};
