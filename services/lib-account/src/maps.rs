//! What routing depends on: the maps and the accounts, files that are looked at every second or so, off the way of mail, and read
//! again when they changed.
//!
//! Programs use whole snapshots. A bad edit is told once, with file and line, and what was good before stays in force.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use lib_host::{Change, Watched};
use lib_mail::{Address, Domain};
use lib_policy::{
    Aliases, Directory, Facts, LineProblem, LocalDomains, Primaries, Primary, RecipientList, RelayDomains, Target,
};
use lib_settings::{PairPeer, Settings};

use crate::primaries::{DIRECTORY, Kept, Listed};
use crate::{Accounts, Names};

/// Problems that are told of one bad file; the rest is counted.
const MAX_TOLD: usize = 5;

/// All maps at one moment.
#[derive(Debug, Default)]
pub struct Maps {
    /// Domains whose mailboxes are here.
    pub local: LocalDomains,
    /// Domains that anybody may send to through us.
    pub relay: RelayDomains,
    /// What is known of those that we are backup for.
    pub primaries: Primaries,
    /// The aliases.
    pub aliases: Aliases,
    /// `None` where the accounts could never be read: then nobody can say who exists here, and no route may be believed that says
    /// `Unknown`.
    pub accounts: Option<Arc<Accounts>>,
}

impl Maps {
    /// What a route depends on.
    pub fn facts<'a>(&'a self, default_domain: &'a Domain) -> Facts<'a> {
        Facts {
            local_domains: &self.local,
            relay_domains: &self.relay,
            primaries: &self.primaries,
            aliases: &self.aliases,
            accounts: self,
            default_domain,
        }
    }

    /// Who has mail here, for a backup; `None` where the accounts cannot be read. A domain that is local by default alone counts too.
    pub fn recipients(&self, settings: &Settings) -> Option<RecipientList> {
        let accounts = self.accounts.as_ref()?;
        let default_domain = settings.default_domain();
        let is_ours = |address: &Address| self.is_local(&address.domain(), &default_domain);
        let mut list = RecipientList {
            size_limit: settings.smtp.message_size_limit.0,
            mailbox_limit: settings.smtp.local_size_limit.0,
            domains: self.local.iter().map(str::to_owned).chain([default_domain.key()]).collect(),
            mailboxes: accounts.iter().filter(|account| is_ours(&account.address)).map(|account| account.key()).collect(),
            ..RecipientList::default()
        };
        for (key, targets) in self.aliases.iter() {
            let takes_mail = !matches!(targets, [Target::List(_) | Target::Pipe(_) | Target::File(_)]);
            match key.parse::<Address>() {
                _ if !takes_mail => {}
                Ok(address) if is_ours(&address) => drop(list.aliases.insert(address.key())),
                Ok(_) => {}
                Err(_) => drop(list.names.insert(key.to_owned())),
            }
        }
        Some(list)
    }

    /// Whether mailboxes of `domain` are here.
    pub fn is_local(&self, domain: &Domain, default_domain: &Domain) -> bool {
        self.local.has(domain) || domain == default_domain
    }
}

impl Directory for Maps {
    fn mailbox(&self, address: &str) -> Option<String> {
        Some(self.accounts.as_ref()?.find(address)?.key())
    }

    fn owns(&self, account: &str, address: &str) -> bool {
        let account = self.accounts.as_ref().and_then(|accounts| accounts.find(account));
        account.is_some_and(|account| account.owns.iter().any(|owned| owned.key() == address))
    }

    fn may_send(&self, account: &str) -> bool {
        self.accounts.as_ref().and_then(|accounts| accounts.find(account)).is_some_and(|account| account.may_send)
    }
}

/// What is wrong with a map, for the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// The file, and the line where there is one.
    pub subject: String,
    /// What is wrong.
    pub text: String,
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.subject, self.text)
    }
}

/// The files.
pub struct MapFiles {
    local: Option<Watched<LocalDomains>>,
    relay: Option<Watched<RelayDomains>>,
    aliases: Option<Watched<Aliases>>,
    /// The peers that we are backup for, and what is kept of their recipients.
    primaries: Vec<(PairPeer, Watched<Kept>)>,
    names: Names,
    accounts: Option<Arc<Accounts>>,
}

impl MapFiles {
    /// The files that `settings` name, in the directory `config` where there is one; accounts below `data`. Nothing is read yet.
    pub fn new(settings: &Settings, config: Option<&Path>, data: &Path) -> MapFiles {
        let domains = &settings.domains;
        MapFiles {
            local: config.map(|dir| Watched::new(dir.join(&domains.local_file), LocalDomains::default())),
            relay: config.map(|dir| Watched::new(dir.join(&domains.relay_file), RelayDomains::default())),
            aliases: config.map(|dir| Watched::new(dir.join(&domains.aliases_file), Aliases::default())),
            primaries: primaries(settings, &data.join("state").join(DIRECTORY)),
            names: Names::open(&data.join("state").join("accounts")),
            accounts: None,
        }
    }

    /// Looks at all files. New maps where any changed, and what is wrong with those that changed for the worse.
    pub fn look(&mut self, settings: &Settings, first: bool) -> (Option<Maps>, Vec<Trouble>) {
        let mut troubles = Vec::new();
        let mut changed = first;
        changed |= look(self.local.as_mut(), LocalDomains::parse, first, &mut troubles);
        changed |= look(self.relay.as_mut(), RelayDomains::parse, first, &mut troubles);
        changed |= look(self.aliases.as_mut(), Aliases::parse, first, &mut troubles);
        for (_, kept) in &mut self.primaries {
            changed |= look(Some(kept), |text| Kept::parse(text.as_bytes()).map_err(at_first_line), true, &mut troubles);
        }
        changed |= self.look_at_accounts(&mut troubles);
        (changed.then(|| self.maps(settings)), troubles)
    }

    fn look_at_accounts(&mut self, troubles: &mut Vec<Trouble>) -> bool {
        let current = self.names.current().ok();
        let text = self.names.problem();
        troubles.extend(text.map(|text| Trouble { subject: "accounts".into(), text }));
        let same = match (&current, &self.accounts) {
            (Some(current), Some(before)) => Arc::ptr_eq(current, before),
            (None, None) => true,
            _ => false,
        };
        self.accounts = current;
        !same
    }

    fn maps(&self, settings: &Settings) -> Maps {
        let mut local = self.local.as_ref().map(|file| file.value().clone()).unwrap_or_default().with(&settings.domains.local);
        if local.is_empty() {
            local = local.with([&settings.default_domain(), &settings.hostname]);
        }
        let relay = self.relay.as_ref().map(|file| file.value().clone()).unwrap_or_default().with(&settings.domains.relay);
        let relay = relay.with(settings.pair.peers.iter().flat_map(|peer| &peer.domains));
        let aliases = self.aliases.as_ref().map(|file| file.value().clone()).unwrap_or_default();
        let primaries = Primaries::new(self.primaries.iter().map(|(peer, kept)| primary(peer, kept.value())).collect());
        Maps { local, relay, primaries, aliases, accounts: self.accounts.clone() }
    }
}

fn primaries(settings: &Settings, dir: &Path) -> Vec<(PairPeer, Watched<Kept>)> {
    let primaries = settings.pair.peers.iter().filter(|peer| !peer.domains.is_empty());
    primaries.map(|peer| (peer.clone(), Watched::new(dir.join(crate::primaries::file(&peer.name)), Kept::default()))).collect()
}

fn primary(peer: &PairPeer, kept: &Kept) -> Primary {
    let (list, confirmed) = match &kept.in_force {
        Some((Listed { list, .. }, confirmed)) => (Some(list.clone()), Some(*confirmed)),
        None => (None, None),
    };
    Primary {
        name: peer.name.clone(),
        domains: peer.domains.clone(),
        max_age: peer.max_age,
        list,
        proposed: kept.proposed.as_ref().map(|proposed| proposed.list.clone()),
        confirmed,
    }
}

fn at_first_line(what: String) -> Vec<LineProblem> {
    vec![LineProblem { line: 1, what }]
}

/// Whether a file has a new value. That it is missing is told only where it was there before.
fn look<T>(
    file: Option<&mut Watched<T>>,
    parse: impl Fn(&str) -> Result<T, Vec<LineProblem>>,
    first: bool,
    troubles: &mut Vec<Trouble>,
) -> bool {
    let Some(file) = file else { return false };
    let not_utf8 = || vec![LineProblem { line: 1, what: "the file is not UTF-8".into() }];
    let change = file.look(|octets| std::str::from_utf8(octets).map_err(|_| not_utf8()).and_then(&parse));
    let path = file.path().display();
    match change {
        Change::New => return true,
        Change::None => {}
        Change::Unreadable(std::io::ErrorKind::NotFound) if first => {}
        Change::Unreadable(kind) => {
            let text = format!("cannot be read ({kind}); what was in it stays in force");
            troubles.push(Trouble { subject: path.to_string(), text });
        }
        Change::Bad(problems) => {
            let told = problems.iter().take(MAX_TOLD);
            let more = problems.len().saturating_sub(MAX_TOLD);
            troubles.extend(told.map(|LineProblem { line, what }| Trouble {
                subject: format!("{path}:{line}"),
                text: format!("{what}; what was good before stays in force"),
            }));
            if more > 0 {
                troubles.push(Trouble { subject: path.to_string(), text: format!("{more} more bad lines") });
            }
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use std::fs;

    use lib_settings::Profile;

    use super::*;

    fn has(maps: &Maps, domain: &str) -> bool {
        maps.local.has(&domain.parse().unwrap())
    }

    #[test]
    fn maps_follow_their_files_and_survive_bad_edits() {
        let dir = tempfile::tempdir().unwrap();
        let (config, data) = (dir.path().join("etc"), dir.path().join("data"));
        fs::create_dir_all(&config).unwrap();
        fs::create_dir_all(data.join("state/accounts")).unwrap();
        let mut settings = Settings::defaults(Profile::Office);
        settings.hostname = "mail.node.example".parse().unwrap();
        let mut files = MapFiles::new(&settings, Some(&config), &data);
        let (maps, troubles) = files.look(&settings, true);
        let maps = maps.unwrap();
        assert!(has(&maps, "node.example") && has(&maps, "mail.node.example"));
        assert_eq!(troubles, []);
        assert!(files.look(&settings, false).0.is_none());

        let path = config.join("local-host-names");
        fs::write(&path, "a.example\n").unwrap();
        let maps = files.look(&settings, false).0.unwrap();
        assert!(has(&maps, "a.example") && !has(&maps, "node.example"));

        fs::write(&path, "a.example\nb.example\n@c\n").unwrap();
        let (maps, troubles) = files.look(&settings, false);
        assert!(maps.is_none());
        assert_eq!(troubles.len(), 1);
        assert!(troubles[0].subject.ends_with("etc/local-host-names:3"), "{troubles:?}");

        fs::remove_file(&path).unwrap();
        let (maps, troubles) = files.look(&settings, false);
        assert!(maps.is_none() && troubles[0].text.contains("stays in force"), "{troubles:?}");
        fs::write(&path, "d.example\n").unwrap();
        assert!(has(&files.look(&settings, false).0.unwrap(), "d.example"));
    }

    #[test]
    fn a_file_full_of_nonsense_is_told_in_a_few_lines() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("relay-domains"), "@\n".repeat(1000)).unwrap();
        let settings = Settings::defaults(Profile::Office);
        let (_, troubles) = MapFiles::new(&settings, Some(dir.path()), dir.path()).look(&settings, true);
        assert_eq!(troubles.len(), MAX_TOLD + 1);
        assert!(troubles[MAX_TOLD].text.contains("995"), "{troubles:?}");
    }
}
