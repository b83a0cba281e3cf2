//! What keeps the roles apart: each process gives up, before it does anything else, every directory that is not its own.
//!
//! The rules are one table, `Grants::of`, and the same table is what `bongsu check --isolation` and the test try out. Where
//! the kernel has no Landlock the roles run all the same, and `bongsu status` says so.

use std::io;
use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, LandlockStatus, PathBeneath, PathFd, Ruleset,
    RulesetAttr, RulesetCreatedAttr, RulesetStatus, Scope,
};
use lib_net::role::RoleName;

/// The newest rights that we know how to give up; an older kernel takes away what it knows.
const KNOWN_ABI: ABI = ABI::V6;

/// Files of the machine that every role may read: load average, name servers, zones of `time_zone` on a plain system.
const MACHINE_FILES: [&str; 6] =
    ["/proc/loadavg", "/proc/pressure", "/sys/fs/cgroup", "/etc/resolv.conf", "/etc/hosts", "/usr/share/zoneinfo"];

/// What a role may touch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Grants {
    /// Directories to read, write, make and remove in.
    pub(crate) write: Vec<PathBuf>,
    /// Directories and files to read.
    pub(crate) read: Vec<PathBuf>,
    /// May open connections to other machines.
    pub(crate) connect: bool,
}

impl Grants {
    /// The rows of docs/architecture.md, *Processes*. `more` are files that settings name (the clock and load of tests, maps elsewhere).
    pub(crate) fn of(role: RoleName, data: &Path, config: Option<&Path>, more: &[PathBuf]) -> Self {
        let spool = data.join("spool");
        let mail = data.join("mail");
        let accounts = data.join("state/accounts");
        let secrets = data.join("state/secrets");
        let pairs = data.join("state").join(lib_account::PAIRS);
        let (write, mut read, connect) = match role {
            RoleName::SmtpIn | RoleName::Submission => (vec![spool], vec![accounts, pairs], true),
            RoleName::Deliver => (vec![spool, mail], vec![accounts, pairs], false),
            RoleName::RelayOut => (vec![spool, pairs], vec![], true),
            RoleName::Pop3 => (vec![mail], vec![], false),
            RoleName::Auth => (vec![], vec![accounts, secrets], false),
        };
        if matches!(role, RoleName::SmtpIn | RoleName::Submission | RoleName::Deliver | RoleName::RelayOut) {
            read.extend(config.map(Path::to_path_buf));
        }
        read.extend(more.iter().cloned());
        read.extend(MACHINE_FILES.map(PathBuf::from));
        Self { write, read, connect }
    }
}

/// Takes from this thread, and all that it starts later, whatever the grants do not name. Returns what is in force, in
/// the words of `bongsu status`.
///
/// # Errors
/// Only for what the kernel must always be able to do; a kernel without Landlock is not an error.
pub(crate) fn restrict(grants: &Grants) -> io::Result<String> {
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)?;
    rustix::thread::set_no_new_privs(true)?;
    landlock_domain(grants).or_else(|error| Ok(format!("none ({error})")))
}

fn landlock_domain(grants: &Grants) -> Result<String, landlock::RulesetError> {
    let everything = AccessFs::from_all(KNOWN_ABI);
    let mut net: BitFlags<AccessNet> = AccessNet::BindTcp.into();
    if !grants.connect {
        net |= AccessNet::ConnectTcp;
    }
    let mut rules = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(everything)?
        .handle_access(net)?
        .scope(Scope::from_all(KNOWN_ABI))?
        .create()?;
    for path in &grants.write {
        rules = allow(rules, path, everything & !AccessFs::Execute)?;
    }
    for path in &grants.read {
        rules = allow(rules, path, AccessFs::ReadFile | AccessFs::ReadDir)?;
    }
    let status = rules.restrict_self()?;
    Ok(describe(status.ruleset, &status.landlock))
}

/// A path that is not there needs no rule: what is made there later stays closed.
fn allow(
    rules: landlock::RulesetCreated,
    path: &Path,
    access: BitFlags<AccessFs>,
) -> Result<landlock::RulesetCreated, landlock::RulesetError> {
    let Ok(place) = PathFd::new(path) else { return Ok(rules) };
    let access = if path.is_dir() { access } else { access & AccessFs::from_file(KNOWN_ABI) };
    rules.add_rule(PathBeneath::new(place, access))
}

fn describe(status: RulesetStatus, landlock: &LandlockStatus) -> String {
    match (status, landlock) {
        (RulesetStatus::NotEnforced, LandlockStatus::NotEnabled) => "none (the kernel has Landlock switched off)".into(),
        (RulesetStatus::NotEnforced, _) => "none (the kernel has no Landlock)".into(),
        (_, LandlockStatus::Available { effective_abi, kernel_abi }) => {
            let abi = kernel_abi.unwrap_or(*effective_abi as i32);
            format!("landlock abi {abi}, not dumpable, no new privileges")
        }
        (_, _) => "landlock".into(),
    }
}

/// One directory that a role tried.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Tried {
    /// The directory.
    pub(crate) path: PathBuf,
    /// Listing it: `ok` or the error's name.
    pub(crate) read: String,
    /// Making a file in it: `ok` or the error's name.
    pub(crate) write: String,
    /// Whether the role is meant to read it.
    pub(crate) may_read: bool,
    /// Whether the role is meant to write it.
    pub(crate) may_write: bool,
}

impl Tried {
    /// Whether the outcome is what the table wants.
    pub(crate) fn as_meant(&self) -> bool {
        (self.read == "ok") == self.may_read && (self.write == "ok") == self.may_write
    }
}

/// Tries every directory after [`restrict`].
pub(crate) fn try_all(grants: &Grants, directories: &[PathBuf]) -> Vec<Tried> {
    let under = |granted: &[PathBuf], path: &Path| granted.iter().any(|grant| path.starts_with(grant));
    let try_one = |path: &PathBuf| {
        let mark = path.join(format!(".isolation-{}", std::process::id()));
        let write = word(std::fs::write(&mark, b""));
        let _ = std::fs::remove_file(&mark);
        let may_write = under(&grants.write, path);
        let may_read = may_write || under(&grants.read, path);
        Tried { path: path.clone(), read: word(std::fs::read_dir(path).map(drop)), write, may_read, may_write }
    };
    directories.iter().map(try_one).collect()
}

fn word(outcome: io::Result<()>) -> String {
    match outcome {
        Ok(()) => "ok".into(),
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::ACCESS.raw_os_error()) => "EACCES".into(),
        Err(error) => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_for_auth_alone_and_mail_for_those_who_carry_it_to_users() {
        let data = Path::new("/d");
        let touches = |role: RoleName, path: &str| {
            let grants = Grants::of(role, data, None, &[]);
            grants.write.iter().chain(&grants.read).any(|granted| Path::new(path).starts_with(granted))
        };
        for role in RoleName::ALL {
            assert_eq!(touches(role, "/d/state/secrets"), role == RoleName::Auth, "{role}");
            assert_eq!(touches(role, "/d/mail"), matches!(role, RoleName::Deliver | RoleName::Pop3), "{role}");
            assert!(!touches(role, "/d/state/events"), "{role}");
            assert!(!touches(role, "/d/run"), "{role}");
            let asks = !matches!(role, RoleName::Pop3 | RoleName::Auth);
            assert_eq!(touches(role, "/d/state/pairs"), asks, "{role}");
        }
    }
}
