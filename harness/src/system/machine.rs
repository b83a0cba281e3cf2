//! A machine as a foreign server wants it: its compiled-in paths and users, and a `resolv.conf` of its own, in a private mount namespace.
//!
//! Read-only overlays put files of the node in front of the machine's `/etc` and, where the package is unpacked only, its `/usr` in front of the
//! machine's. Nothing outside the namespace sees any of it, nothing is installed, and nobody is added to the machine's users.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use anyhow::Context;

use super::home::Home;
use crate::Result;
use crate::client::{have, run_command};

/// What a server finds there.
pub(super) struct Furniture<'a> {
    /// Where its program lies.
    pub(super) home: Home,
    /// The name server that it asks, on port 53, as the resolver library knows no other.
    pub(super) nameserver: IpAddr,
    /// Users it runs as, with the number of one that the machine does not know.
    pub(super) users: &'a [(&'static str, u32)],
    /// More files below `/etc`.
    pub(super) etc: Vec<(&'static str, String)>,
    /// Empty directories that the machine may lack, below one like `/var/spool` that it has.
    pub(super) directories: &'a [&'static str],
    /// Directories of the node and where they appear; from outside they are seen in the node's directory.
    pub(super) binds: &'a [(&'static str, &'static str)],
}

/// A machine of a node's own.
pub(super) struct Machine {
    script: PathBuf,
    users: Vec<u32>,
}

/// Why there can be none here; `None` where there can.
pub(super) fn impossible() -> Option<String> {
    static WHY: OnceLock<Option<String>> = OnceLock::new();
    WHY.get_or_init(|| {
        if !rustix::process::getuid().is_root() {
            return Some("it needs root: for port 25, port 53 and a mount namespace".into());
        }
        let missing: Vec<&str> = ["unshare", "setpriv", "mount"].into_iter().filter(|program| !have(program)).collect();
        if !missing.is_empty() {
            return Some(format!("not installed: {}: apt-get install util-linux mount", missing.join(", ")));
        }
        let mut command = Command::new("unshare");
        command.args(["-m", "mount", "-t", "overlay", "overlay", "-o", "ro,lowerdir=/usr/lib:/etc", "/etc"]);
        let tried = run_command(command, b"").and_then(crate::client::Ran::ok);
        tried.err().map(|error| format!("no overlay can be mounted in a namespace of its own here: {error:#}"))
    })
    .clone()
}

impl Machine {
    /// Lays out its files below `dir`.
    pub(super) fn make(dir: &Path, furniture: &Furniture<'_>) -> Result<Machine> {
        let (etc, mut numbers) = (dir.join("machine/etc"), Vec::new());
        std::fs::create_dir_all(&etc)?;
        let [mut passwd, mut group] =
            ["/etc/passwd", "/etc/group"].map(|file| std::fs::read_to_string(file).unwrap_or_default());
        for (name, number) in furniture.users {
            numbers.push(add(&mut passwd, name, &format!("{number}:{number}::/nonexistent:/usr/sbin/nologin"))?);
            add(&mut group, name, &format!("{number}:"))?;
        }
        let resolv = format!("nameserver {}\noptions timeout:1 attempts:2\n", furniture.nameserver);
        let own = [("passwd", passwd), ("group", group), ("resolv.conf", resolv), ("hosts", "127.0.0.1 localhost\n".into())];
        for (file, text) in own.into_iter().chain(furniture.etc.iter().cloned()) {
            let path = etc.join(file);
            std::fs::create_dir_all(path.parent().context("a file lies in a directory")?)?;
            std::fs::write(path, text)?;
        }
        for directory in furniture.directories {
            std::fs::create_dir_all(dir.join("machine").join(directory.trim_start_matches('/')))?;
        }
        for (own, _) in furniture.binds {
            std::fs::create_dir_all(dir.join(own))?;
        }
        let script = dir.join("machine/enter");
        std::fs::write(&script, self::script(dir, furniture)?)?;
        Ok(Machine { script, users: numbers })
    }

    /// The numbers of its users, in the order in which they were asked for.
    pub(super) fn users(&self) -> &[u32] {
        &self.users
    }

    /// A program on it. Its process is the one that is started: the namespace is entered on the way.
    pub(super) fn command(&self, program: &str, args: &[&str]) -> Command {
        let mut command = Command::new("unshare");
        command.args(["-m", "sh"]).arg(&self.script).arg(program).args(args);
        command
    }
}

/// Adds a user or group `name` with `fields` behind `name:x:` unless it is there. Its number.
fn add(list: &mut String, name: &str, fields: &str) -> Result<u32> {
    let number = |line: &str| line.split(':').nth(2).and_then(|number| number.parse().ok());
    let known = list.lines().find(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(':')));
    let line = known.map_or_else(|| format!("{name}:x:{fields}"), str::to_owned);
    if known.is_none() {
        list.push_str(&format!("{line}\n"));
    }
    number(&line).with_context(|| format!("{line} has no number"))
}

/// What makes the namespace look so, and then becomes the program that is asked for.
fn script(dir: &Path, furniture: &Furniture<'_>) -> Result<String> {
    let own = dir.join("machine");
    let mut mounts = vec![(own.join("etc"), "/etc".to_owned())];
    // As few as will do: a directory behind an overlay shows none of what is mounted below it.
    for directory in furniture.directories {
        let front: PathBuf = Path::new(directory).iter().skip(1).take(2).collect();
        let mount = (own.join(&front), format!("/{}", front.display()));
        if !mounts.contains(&mount) {
            mounts.push(mount);
        }
    }
    mounts.extend(furniture.home.usr().map(|usr| (usr, "/usr".to_owned())));
    let mut script = String::from("set -e\n");
    for (front, at) in mounts {
        let front = front.display().to_string();
        anyhow::ensure!(
            !front.contains([':', ',', '\\', '\'', '\n']),
            "an overlay can't be made of {front}: it has an odd name"
        );
        script.push_str(&format!("mount -t overlay overlay -o 'ro,lowerdir={front}:{at}' {at}\n"));
    }
    for (own, at) in furniture.binds {
        script.push_str(&format!("mount --bind '{}' {at}\n", dir.join(own).display()));
    }
    script.push_str("exec \"$@\"\n");
    Ok(script)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_added_once() {
        let mut list = String::from("root:x:0:0::/root:/bin/sh\nmailer:x:107:107::/:/bin/false\n");
        let before = list.clone();
        assert_eq!(add(&mut list, "mailer", "64990:64990::/:").unwrap(), 107);
        assert_eq!(list, before);
        assert_eq!(add(&mut list, "mail", "64991:64991::/:").unwrap(), 64991);
        assert_eq!(list, format!("{before}mail:x:64991:64991::/:\n"));
    }

    #[test]
    fn the_namespace_has_the_nodes_files_in_front() {
        let furniture = Furniture {
            home: Home::Unpacked("/peers/x".into()),
            nameserver: "127.1.2.200".parse().unwrap(),
            users: &[],
            etc: Vec::new(),
            directories: &["/var/spool/x", "/var/spool/y", "/var/lib/x/empty"],
            binds: &[("data/queue", "/var/spool/x")],
        };
        let expected = "set -e\n\
            mount -t overlay overlay -o 'ro,lowerdir=/n/machine/etc:/etc' /etc\n\
            mount -t overlay overlay -o 'ro,lowerdir=/n/machine/var/spool:/var/spool' /var/spool\n\
            mount -t overlay overlay -o 'ro,lowerdir=/n/machine/var/lib:/var/lib' /var/lib\n\
            mount -t overlay overlay -o 'ro,lowerdir=/peers/x/usr:/usr' /usr\n\
            mount --bind '/n/data/queue' /var/spool/x\n\
            exec \"$@\"\n";
        assert_eq!(script(Path::new("/n"), &furniture).unwrap(), expected);
        let odd = Furniture { home: Home::Unpacked("/peers:x".into()), ..furniture };
        assert!(script(Path::new("/n"), &odd).is_err());
    }
}
