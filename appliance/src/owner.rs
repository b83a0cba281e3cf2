//! Users: acting as the owner of what a command touches, and the owners of the strict set-up.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};
use lib_net::role::RoleName;
use lib_settings::Settings;

use crate::layout::Layout;
use crate::plan::load_settings;
use crate::tree;

/// The user that a role runs as, in the strict set-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct User {
    uid: u32,
    gid: u32,
}

impl User {
    /// Lets the command run as this user. std also gives up all further groups.
    pub(crate) fn applied_to(self, command: &mut Command) {
        command.gid(self.gid).uid(self.uid);
    }

    /// Lets the calling thread, and no other, reach files as this user does. In all else it stays who it is: no process of that user may
    /// send it a signal.
    pub(crate) fn reads_for_thread(self) {
        nix::unistd::setfsgid(self.gid.into());
        nix::unistd::setfsuid(self.uid.into());
    }
}

/// Who a role runs as, where we may choose. The roles of the queue share a user: another could lock and append, but not set a
/// future time on a file.
pub(crate) fn user_of(role: RoleName, settings: &Settings) -> Option<User> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let users = &settings.users;
    // Those who touch mailboxes share a group; `auth` touches none, and its own group is that of the password hashes.
    let (uid, gid) = match role {
        RoleName::Pop3 => (users.pop3, users.group),
        RoleName::Auth => (users.auth, None),
        _ => (users.queue, users.group),
    };
    uid.map(|uid| User { uid, gid: gid.unwrap_or(uid) })
}

/// Where root gives a command and the directory belongs to another user, starts the command again as that user: what it makes
/// there must be usable by the server. Returns its exit status, or nothing where this process may go on itself.
pub(crate) fn act_as_owner(dir: &Path) -> Result<Option<ExitCode>> {
    use std::os::unix::fs::MetadataExt;
    let Ok(found) = std::fs::metadata(dir) else { return Ok(None) };
    if !rustix::process::geteuid().is_root() || found.uid() == 0 {
        return Ok(None);
    }
    let mut arguments = std::env::args_os();
    let mut command = Command::new("/proc/self/exe");
    // The name counts too: called as mailq we are another command.
    command.arg0(arguments.next().unwrap_or_default()).args(arguments).uid(found.uid()).gid(found.gid());
    let status = command.status().with_context(|| format!("cannot act as user {}, who owns {}", found.uid(), dir.display()))?;
    Ok(Some(ExitCode::from(u8::try_from(status.code().unwrap_or(1)).unwrap_or(1))))
}

/// Gives every directory of the tree its owner, as `users` in the settings says. Needs root with CHOWN, FOWNER and DAC_OVERRIDE;
/// the supervisor itself runs without these.
pub(crate) fn give(layout: &Layout) -> Result<ExitCode> {
    if !rustix::process::geteuid().is_root() {
        bail!("only root can give files to other users; run this as root, once, before the first start");
    }
    let (settings, _) = load_settings(layout).map_err(|problems| anyhow::anyhow!(problems.join("\n")))?;
    let users = &settings.users;
    let (Some(queue), Some(pop3), Some(auth), Some(group)) = (users.queue, users.pop3, users.auth, users.group) else {
        bail!(
            "set users.queue, users.pop3, users.auth and users.group first, in bongsu.toml or as BONGSU_USERS__QUEUE=2501 and so on"
        );
    };
    tree::prepare(layout)?;
    // Mail is written by one user and removed by another, so its group decides; new directories inherit it.
    own(&layout.spool(), queue, group, 0o700)?;
    own(&layout.mail(), queue, group, 0o2770)?;
    own(&layout.pairs(), queue, group, 0o755)?;
    // The supervisor and the commands of an administrator are root without any right over foreign files, so what they write is root's.
    for (dir, mode) in [(layout.accounts(), 0o755), (layout.events(), 0o700), (layout.run(), 0o755)] {
        own(&dir, 0, 0, mode)?;
    }
    own(&layout.secrets(), 0, auth, 0o2750)?;
    for path in [layout.data().to_path_buf(), layout.data().join("state"), layout.data().join("VERSION")] {
        std::os::unix::fs::lchown(&path, Some(0), Some(0))
            .with_context(|| format!("cannot give {} to root", path.display()))?;
    }
    println!("owners given: queue {queue}, pop3 {pop3}, auth {auth}, group {group}");
    Ok(ExitCode::SUCCESS)
}

/// Gives a directory and what is in it to a user and a group. Links are given, not followed.
fn own(dir: &Path, uid: u32, gid: u32, mode: u32) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::os::unix::fs::lchown(dir, Some(uid), Some(gid))
        .with_context(|| format!("cannot give {} to user {uid}", dir.display()))?;
    std::fs::set_permissions(dir, PermissionsExt::from_mode(mode))?;
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            own(&entry.path(), uid, gid, mode)?;
        } else {
            std::os::unix::fs::lchown(entry.path(), Some(uid), Some(gid))?;
            if kind.is_file() {
                std::fs::set_permissions(entry.path(), PermissionsExt::from_mode(mode & 0o666))?;
            }
        }
    }
    Ok(())
}
