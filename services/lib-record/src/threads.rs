//! Which messages belong together: notifications and forwards by their parent, and over several nodes by the id that the next one gave when
//! it took the message (R6.4).

use std::collections::{BTreeSet, HashMap, HashSet};

use lib_mail::QueueId;

use crate::event::{Event, Outcome, What};

/// The links between messages, gathered from events in any order and of any number of nodes: an id means the same message everywhere.
#[derive(Debug, Clone, Default)]
pub struct Threads {
    causes: HashMap<QueueId, BTreeSet<QueueId>>,
    /// In the order of their events.
    children: HashMap<QueueId, Vec<QueueId>>,
}

impl Threads {
    /// Takes the links that an event tells.
    pub fn see(&mut self, event: &Event) {
        let Some(id) = event.id else { return };
        match &event.what {
            What::Accepted { parent: Some(parent), .. } | What::Bounced { parent, .. } => self.link(*parent, id),
            What::Attempt { outcome: Outcome::Relayed, .. } => {
                if let Some(child) = next_id(&event.what) {
                    self.link(id, child);
                }
            }
            _ => {}
        }
    }

    fn link(&mut self, parent: QueueId, child: QueueId) {
        // An id that was moved to another node comes back as itself.
        if parent != child && self.causes.entry(child).or_default().insert(parent) {
            self.children.entry(parent).or_default().push(child);
        }
    }

    /// Those messages, what caused them, and all that came of those.
    pub fn around(&self, seeds: impl IntoIterator<Item = QueueId>) -> HashSet<QueueId> {
        let mut up: Vec<QueueId> = seeds.into_iter().collect();
        let mut found: HashSet<QueueId> = up.iter().copied().collect();
        let mut down = Vec::new();
        while let Some(id) = up.pop() {
            down.push(id);
            up.extend(self.causes(&id).filter(|cause| found.insert(*cause)));
        }
        while let Some(id) = down.pop() {
            down.extend(self.children(&id).filter(|child| found.insert(*child)));
        }
        found
    }

    /// The messages that caused this one.
    pub fn causes(&self, id: &QueueId) -> impl Iterator<Item = QueueId> {
        self.causes.get(id).into_iter().flatten().copied()
    }

    /// What came of this message.
    pub fn children(&self, id: &QueueId) -> impl Iterator<Item = QueueId> {
        self.children.get(id).into_iter().flatten().copied()
    }
}

/// The id of ours that the words of an attempt name: `2.0.0 queued as ID`, `Passed on as ID`.
pub fn next_id(what: &What) -> Option<QueueId> {
    let What::Attempt { status, .. } = what else { return None };
    status.text.split(|c: char| !c.is_ascii_alphanumeric()).find_map(|word| word.parse().ok())
}

/// The id that the other server gave, in the words of the usual servers: Postfix and ours (`queued as ID`), Exim (`id=ID`),
/// sendmail (`ID Message accepted for delivery`).
pub fn remote_id(text: &str) -> Option<&str> {
    let word = |rest: &'_ str| rest.split([' ', ')', ',', ';']).next().map(str::len).filter(|len| *len > 0);
    for mark in ["queued as ", "id="] {
        if let Some((_, rest)) = text.split_once(mark) {
            return word(rest).map(|len| &rest[..len]);
        }
    }
    let before = text.split_once(" Message accepted for delivery")?.0;
    before.rsplit(' ').next().filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use lib_mail::{By, Enhanced, Status, Timestamp};

    use super::*;
    use crate::RoleName;

    fn id(number: u32) -> QueueId {
        QueueId::new(Timestamp(1_795_401_000_000), 1, number)
    }

    fn event(about: QueueId, what: What) -> Event {
        Event { at: Timestamp(0), role: RoleName::RelayOut, id: Some(about), what }
    }

    fn relayed(about: QueueId, text: &str) -> Event {
        let status = Status::new(250, Enhanced::new(2, 0, 0), By::Remote("mx".into()), text, Timestamp(0));
        let (to, relay) = ("a@b.example".into(), "mx".into());
        event(about, What::Attempt { to, outcome: Outcome::Relayed, delay: Default::default(), relay, size: 1, status })
    }

    #[test]
    fn a_story_is_found_from_each_of_its_messages() {
        let mut threads = Threads::default();
        threads.see(&relayed(id(1), &format!("queued as {}", id(2))));
        threads.see(&event(id(3), What::Bounced { parent: id(2), to: "x@y.example".into(), kind: "failed".into() }));
        threads.see(&relayed(id(3), &format!("Ok: queued as {} (really)", id(4))));
        threads.see(&relayed(id(7), &format!("queued as {}", id(8))));
        // Whatever an event says, looking for a story ends.
        threads.see(&relayed(id(4), &format!("queued as {}", id(1))));
        threads.see(&relayed(id(4), &format!("queued as {}", id(4))));
        for seed in 1..=4 {
            assert_eq!(threads.around([id(seed)]), HashSet::from([1, 2, 3, 4].map(id)), "{seed}");
        }
        assert_eq!(threads.around([id(8)]), HashSet::from([id(7), id(8)]));
        assert_eq!(threads.around([id(9)]), HashSet::from([id(9)]));
        assert_eq!(threads.children(&id(2)).collect::<Vec<_>>(), [id(3)]);
        assert_eq!(threads.causes(&id(2)).collect::<Vec<_>>(), [id(1)]);
    }

    #[test]
    fn the_ids_of_other_servers() {
        for (text, found) in [
            ("2.0.0 Ok: queued as 4Wx1Yz0abc", Some("4Wx1Yz0abc")),
            ("queued as 1hw9zzzzzz0000000001", Some("1hw9zzzzzz0000000001")),
            ("OK id=1rABCD-0001Ab-2C", Some("1rABCD-0001Ab-2C")),
            ("2.0.0 53NAbCdE012345 Message accepted for delivery", Some("53NAbCdE012345")),
            ("queued as ", None),
            ("thank you", None),
        ] {
            assert_eq!(remote_id(text), found, "{text}");
        }
    }
}
