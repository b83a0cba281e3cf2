//! The name server fails: for one name, or for all.

use super::{Fault, word};
use crate::dns::Mood;
use crate::record::MomentKind::{Fault as Struck, Heal as Healed};

/// Of one name or of all.
pub const NAMES: Fault = Fault {
    name: "names",
    usage: "NAME|* MOOD",
    about: "the name server is servfail, silent, slow MILLISECONDS, truncated, nxdomain, refused, lie TYPE DATA for a name, or for all",
    strike: |stage, words| {
        let name = Some(word(words, 0, "the name")?).filter(|name| *name != "*").map(str::to_owned);
        let mood: Mood = words.get(1..).unwrap_or_default().join(" ").parse()?;
        let whom = name.clone().unwrap_or_else(|| "every name".into());
        let told = mood.to_string();
        stage.names().mood(name.as_deref(), mood)?;
        stage.note(Struck, None, format!("the name server for {whom} is now: {told}"));
        Ok(Box::new(move |stage| {
            stage.names().mood(name.as_deref(), Mood::Answer)?;
            stage.note(Healed, None, "the name server answers again");
            Ok(())
        }))
    },
};
