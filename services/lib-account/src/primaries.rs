//! What is known of other servers' recipients: a file `NAME.list` for each primary in `state/pairs`, written by whoever fetched the list.
//!
//! ```text
//! bongsu-recipients 1
//! confirmed 1795401000000 DIGEST      the list in force, and when the primary last said so (ms by the queue clock)
//! = mailbox minji@example.net         its lines
//! proposed DIGEST                     a list that waits for a person's word
//! ? mailbox minji@example.net         its lines
//! ```
//! It is replaced as a whole, so a reader sees one state or the next. (docs/pair.md, *The list*)

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use lib_host::{Access, Dir, Disk, File, Purpose};
use lib_mail::Timestamp;
use lib_policy::RecipientList;

use crate::Error;

/// The directory below `state`.
pub const DIRECTORY: &str = "pairs";
const FIRST: &str = "bongsu-recipients 1";
/// Taken before a file is read and written.
const LOCK: &str = "lock";
const MODE: u32 = 0o644;
const MAX_LEN: usize = 256 * 1024 * 1024;

/// A list and its digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The primary's name for this state of its list.
    pub digest: String,
    /// The list.
    pub list: RecipientList,
}

/// What is kept of one primary.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Kept {
    /// The list in force, and when the primary last confirmed it.
    pub in_force: Option<(Listed, Timestamp)>,
    /// A list that waits for a person's word.
    pub proposed: Option<Listed>,
}

/// What became of a list that was fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Applied {
    /// It is the one in force, which is confirmed herewith.
    Same,
    /// It is in force from now on.
    New,
    /// It waits for a person's word, and why.
    Waits(String),
}

impl Kept {
    /// The state after a list came, and what became of it.
    fn after(self, fetched: Listed, now: Timestamp) -> (Kept, Applied) {
        let old = self.in_force.as_ref().map(|(listed, _)| listed);
        if old.is_some_and(|old| old.digest == fetched.digest) {
            return (Kept { in_force: Some((fetched, now)), proposed: None }, Applied::Same);
        }
        match fetched.list.doubt(old.map(|old| &old.list)) {
            Some(why) => (Kept { in_force: self.in_force, proposed: Some(fetched) }, Applied::Waits(why)),
            None => (Kept { in_force: Some((fetched, now)), proposed: None }, Applied::New),
        }
    }

    fn print(&self) -> String {
        let mut text = format!("{FIRST}\n");
        let mut add = |head: String, mark: char, list: &RecipientList| {
            text.push_str(&head);
            for line in list.lines() {
                text.extend([mark, ' ']);
                text.push_str(&line);
                text.push('\n');
            }
        };
        if let Some((Listed { digest, list }, confirmed)) = &self.in_force {
            add(format!("confirmed {} {digest}\n", confirmed.0), '=', list);
        }
        if let Some(Listed { digest, list }) = &self.proposed {
            add(format!("proposed {digest}\n"), '?', list);
        }
        text
    }

    /// The state that the text of a file tells.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(octets: &[u8]) -> Result<Kept, String> {
        let text = std::str::from_utf8(octets).map_err(|_| "it is not UTF-8")?;
        if text.lines().next() != Some(FIRST) {
            return Err(format!("the first line must be {FIRST:?}"));
        }
        let marked = |mark: &str| -> Vec<&str> { text.lines().filter_map(|line| line.strip_prefix(mark)).collect() };
        let head = |word: &str| text.lines().find_map(|line| line.strip_prefix(word)).map(str::to_owned);
        let in_force = match head("confirmed ") {
            None => None,
            Some(rest) => {
                let (at, digest) = rest.split_once(' ').ok_or("the line `confirmed` has a time and a digest")?;
                let at = at.parse().map_err(|_| "the line `confirmed` has no time")?;
                let list = RecipientList::parse(marked("= "))?;
                Some((Listed { digest: digest.to_owned(), list }, Timestamp(at)))
            }
        };
        let proposed = match head("proposed ") {
            None => None,
            Some(digest) => Some(Listed { digest, list: RecipientList::parse(marked("? "))? }),
        };
        Ok(Kept { in_force, proposed })
    }
}

/// How the last try to reach a peer went; for people, and so never synced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contact {
    /// When, by the queue clock.
    pub at: Timestamp,
    /// Why it was not reached.
    pub trouble: Option<String>,
}

/// The name of a primary's file.
pub(crate) fn file(name: &str) -> String {
    format!("{name}.list")
}

/// The files of all primaries. Every call blocks.
#[derive(Debug, Clone)]
pub struct Lists {
    disk: Disk,
    dir: PathBuf,
}

/// The directory, and nobody else writes in it.
struct Open {
    dir: Dir,
    _lock: File,
}

impl Lists {
    /// Those below the directory `state`.
    pub fn open(state: &Path) -> Lists {
        Lists { disk: Disk::real(), dir: state.join(DIRECTORY) }
    }

    /// What is kept of a primary; nothing where nothing was fetched yet.
    ///
    /// # Errors
    /// Those of the file.
    pub fn read(&self, name: &str) -> Result<Kept, Error> {
        match std::fs::read(self.dir.join(file(name))) {
            Ok(octets) => Kept::parse(&octets).map_err(|what| self.wrong(name, what)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Kept::default()),
            Err(error) => Err(self.error("read", name, error)),
        }
    }

    /// Takes a list that was fetched.
    ///
    /// # Errors
    /// Those of the file.
    pub fn fetched(&self, name: &str, fetched: Listed, now: Timestamp) -> Result<Applied, Error> {
        let open = self.locked()?;
        // What cannot be understood any more is fetched anew.
        let (kept, applied) = self.read_in(&open, name)?.unwrap_or_default().after(fetched, now);
        self.write(&open, name, &kept)?;
        Ok(applied)
    }

    /// The primary said that its list still has this digest. `false` where we have no such list in force.
    ///
    /// # Errors
    /// Those of the file.
    pub fn unchanged(&self, name: &str, digest: &str, now: Timestamp) -> Result<bool, Error> {
        let open = self.locked()?;
        match self.read_in(&open, name)?.ok().and_then(|kept| kept.in_force) {
            Some((listed, _)) if listed.digest == digest => {
                self.write(&open, name, &Kept { in_force: Some((listed, now)), proposed: None })?;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// Keeps how the last try to reach a peer went.
    ///
    /// # Errors
    /// Those of the file.
    pub fn tell(&self, name: &str, contact: &Contact) -> Result<(), Error> {
        let trouble = contact.trouble.as_deref().unwrap_or_default().replace(char::is_control, " ");
        let text = format!("{} {trouble}\n", contact.at.0);
        let written = self.disk.dir(&self.dir).and_then(|dir| dir.replace_unsynced(&state(name), text.as_bytes(), MODE));
        written.map_err(|error| self.error("write", name, error))
    }

    /// How the last try to reach a peer went; `None` where there was none.
    pub fn contact(&self, name: &str) -> Option<Contact> {
        let text = std::fs::read_to_string(self.dir.join(state(name))).ok()?;
        let (at, trouble) = text.trim_end_matches('\n').split_once(' ')?;
        Some(Contact { at: Timestamp(at.parse().ok()?), trouble: Some(trouble.to_owned()).filter(|text| !text.is_empty()) })
    }

    /// Puts the proposed list in force; what it has. `None` where none waits.
    ///
    /// # Errors
    /// Those of the file.
    pub fn confirm(&self, name: &str, now: Timestamp) -> Result<Option<RecipientList>, Error> {
        let open = self.locked()?;
        let kept = self.read_in(&open, name)?.map_err(|what| self.wrong(name, what))?;
        let Some(proposed) = kept.proposed else { return Ok(None) };
        let list = proposed.list.clone();
        self.write(&open, name, &Kept { in_force: Some((proposed, now)), proposed: None })?;
        Ok(Some(list))
    }

    fn locked(&self) -> Result<Open, Error> {
        let open = || -> io::Result<Open> {
            let dir = self.disk.dir(&self.dir)?;
            let lock = dir.open_or_create(LOCK)?;
            lock.lock()?;
            Ok(Open { dir, _lock: lock })
        };
        open().map_err(|error| self.error("lock", LOCK, error))
    }

    fn read_in(&self, open: &Open, name: &str) -> Result<Result<Kept, String>, Error> {
        match open.dir.open(file(name), Access::Read).and_then(|file| file.read_from(0, MAX_LEN)) {
            Ok(octets) => Ok(Kept::parse(&octets)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Ok(Kept::default())),
            Err(error) => Err(self.error("read", name, error)),
        }
    }

    fn write(&self, open: &Open, name: &str, kept: &Kept) -> Result<(), Error> {
        let written = open.dir.replace(&file(name), kept.print().as_bytes(), MODE, Purpose::Account);
        written.map_err(|error| self.error("write", name, error))
    }

    fn wrong(&self, name: &str, what: String) -> Error {
        Error::Line { file: self.dir.join(file(name)).display().to_string(), line: 1, what }
    }

    fn error(&self, doing: &'static str, name: &str, source: io::Error) -> Error {
        Error::Disk { doing, file: self.dir.join(name).display().to_string(), source }
    }
}

fn state(name: &str) -> String {
    format!("{name}.state")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(digest: &str, count: usize) -> Listed {
        let mailboxes = (0..count).map(|n| format!("u{n}@a.example")).collect();
        let list = RecipientList { mailboxes, domains: ["a.example".to_owned()].into(), ..RecipientList::default() };
        Listed { digest: digest.into(), list }
    }

    fn lists() -> (tempfile::TempDir, Lists) {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join(DIRECTORY)).unwrap();
        let lists = Lists::open(dir.path());
        (dir, lists)
    }

    #[test]
    fn a_list_is_kept_confirmed_and_replaced() {
        let (_dir, lists) = lists();
        assert_eq!(lists.read("one").unwrap(), Kept::default());
        assert_eq!(lists.fetched("one", listed("d1", 6), Timestamp(5)).unwrap(), Applied::New);
        assert_eq!(lists.read("one").unwrap(), Kept { in_force: Some((listed("d1", 6), Timestamp(5))), proposed: None });
        assert!(lists.unchanged("one", "d1", Timestamp(9)).unwrap());
        assert!(!lists.unchanged("one", "d2", Timestamp(10)).unwrap());
        assert!(!lists.unchanged("two", "d1", Timestamp(10)).unwrap());
        assert_eq!(lists.read("one").unwrap().in_force.unwrap().1, Timestamp(9));
        assert_eq!(lists.fetched("one", listed("d3", 5), Timestamp(11)).unwrap(), Applied::New);
        assert_eq!(lists.fetched("one", listed("d3", 5), Timestamp(12)).unwrap(), Applied::Same);
        assert_eq!(lists.read("one").unwrap().in_force.unwrap(), (listed("d3", 5), Timestamp(12)));
        assert_eq!(lists.confirm("one", Timestamp(13)).unwrap(), None);
    }

    #[test]
    fn a_doubtful_list_waits_for_a_word_and_goes_when_the_old_one_is_confirmed() {
        let (_dir, lists) = lists();
        lists.fetched("one", listed("d1", 6), Timestamp(5)).unwrap();
        assert!(matches!(lists.fetched("one", listed("d2", 4), Timestamp(6)).unwrap(), Applied::Waits(_)));
        let kept = lists.read("one").unwrap();
        assert_eq!(kept, Kept { in_force: Some((listed("d1", 6), Timestamp(5))), proposed: Some(listed("d2", 4)) });
        assert!(lists.unchanged("one", "d1", Timestamp(7)).unwrap());
        assert_eq!(lists.read("one").unwrap().proposed, None);
        lists.fetched("one", listed("none", 0), Timestamp(8)).unwrap();
        assert_eq!(lists.confirm("one", Timestamp(9)).unwrap().map(|list| list.len()), Some(0));
        assert_eq!(lists.read("one").unwrap(), Kept { in_force: Some((listed("none", 0), Timestamp(9))), proposed: None });
        assert!(matches!(lists.fetched("two", listed("none", 0), Timestamp(8)).unwrap(), Applied::Waits(_)));
    }

    #[test]
    fn how_a_peer_fares_is_kept_for_people() {
        let (_dir, lists) = lists();
        assert_eq!(lists.contact("one"), None);
        for trouble in [Some("Connection refused\nwith it"), None] {
            lists.tell("one", &Contact { at: Timestamp(7), trouble: trouble.map(str::to_owned) }).unwrap();
            let trouble = trouble.map(|text| text.replace('\n', " "));
            assert_eq!(lists.contact("one"), Some(Contact { at: Timestamp(7), trouble }));
        }
    }

    #[test]
    fn a_damaged_file_is_told_and_fetched_anew() {
        let (dir, lists) = lists();
        for text in [
            "",
            "bongsu-recipients 2\n",
            "bongsu-recipients 1\nconfirmed x y\n",
            "bongsu-recipients 1\nconfirmed 1 y\n= size x\n",
        ] {
            std::fs::write(dir.path().join("pairs/one.list"), text).unwrap();
            assert!(lists.read("one").is_err(), "{text:?}");
            assert!(lists.confirm("one", Timestamp(1)).is_err(), "{text:?}");
            assert_eq!(lists.fetched("one", listed("d1", 2), Timestamp(5)).unwrap(), Applied::New);
        }
    }
}
