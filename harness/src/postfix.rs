//! A Postfix that nobody of ours wrote, as somebody's smart host: it demands TLS and a login, which a Dovecot checks.
//!
//! Its configuration, queue and mailboxes lie in a directory of their own, and the machine's Postfix and Dovecot are neither used nor
//! touched but for their programs. What it takes it puts into Maildirs, so a scenario sees what came of a message.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::Context;
use rustix::process::{Pid, Signal, kill_process};

use crate::Result;
use crate::client::{have, run};
use crate::wait::{wait_for, wait_until};

/// Where Debian puts Postfix's programs.
const PROGRAMS: &str = "/usr/lib/postfix/sbin";
/// Until it answers, and until it is gone.
const PATIENCE: Duration = Duration::from_secs(30);
/// Who owns the mailboxes: nobody.
const NOBODY: u32 = 65_534;

/// Why no Postfix can be started here; `None` where one can.
pub fn impossible() -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some("a Postfix needs root: its master starts each program as its user".into());
    }
    let wanted = [("postfix", "postfix"), ("dovecot", "dovecot-core"), ("openssl", "openssl"), ("setpriv", "util-linux")];
    let missing: Vec<&str> = wanted.iter().filter(|(program, _)| !have(program)).map(|(_, package)| *package).collect();
    if !missing.is_empty() {
        return Some(format!("a Postfix with logins is not installed: apt-get install {}", missing.join(" ")));
    }
    let master = Path::new(PROGRAMS).join("master");
    (!master.is_file()).then(|| format!("this Postfix is not Debian's: there is no {}", master.display()))
}

/// A running Postfix and its Dovecot; both end when dropped.
#[derive(Debug)]
pub struct Postfix {
    address: SocketAddr,
    master: Child,
    dovecot: Child,
    // Goes last: the programs write there until they end.
    dir: tempfile::TempDir,
}

impl Postfix {
    /// Starts on `address` under the host name `name`. It takes mail for `domain` from whoever logs in as `user` with `password`, over TLS
    /// with a certificate of its own making, and from nobody else.
    pub fn start(address: SocketAddr, name: &str, domain: &str, user: &str, password: &str) -> Result<Postfix> {
        let dir = tempfile::Builder::new().prefix("bongsu-postfix-").tempdir()?;
        let at = dir.path();
        // Postfix's programs run as users of their own.
        std::fs::set_permissions(at, PermissionsExt::from_mode(0o755))?;
        for part in ["etc", "spool", "lib", "mail", "dovecot"] {
            std::fs::create_dir(at.join(part))?;
        }
        chown(at.join("mail"), Some(NOBODY), Some(NOBODY))?;
        give_to_postfix(&at.join("lib"))?;
        certificate(at, name)?;
        write(&at.join("etc/main.cf"), &main_cf(at, name, domain))?;
        write(&at.join("etc/master.cf"), &master_cf(address))?;
        write(&at.join("dovecot/dovecot.conf"), &dovecot_conf(at))?;
        write(&at.join("dovecot/users"), &format!("{user}:{{PLAIN}}{password}\n"))?;
        let etc = at.join("etc").display().to_string();
        run("postfix", &["-c", &etc, "check"], b"", PATIENCE)?.ok().context("postfix check")?;
        let conf = at.join("dovecot/dovecot.conf").display().to_string();
        let dovecot = daemon(at, "dovecot", &["dovecot", "-F", "-c", &conf])?;
        let master = daemon(at, "master", &[&format!("{PROGRAMS}/master"), "-c", &etc, "-d"])?;
        let mut postfix = Postfix { address, master, dovecot, dir };
        postfix.wait_until_up()?;
        Ok(postfix)
    }

    fn wait_until_up(&mut self) -> Result<()> {
        wait_for("Postfix and Dovecot", PATIENCE, || {
            for child in [&mut self.master, &mut self.dovecot] {
                anyhow::ensure!(child.try_wait()?.is_none(), "it ended by itself");
            }
            let auth = self.dir.path().join("dovecot/run/auth-postfix").exists();
            Ok((auth && TcpStream::connect_timeout(&self.address, Duration::from_secs(1)).is_ok()).then_some(()))
        })
        .with_context(|| self.log())
    }

    /// The messages that it took and put into mailboxes.
    pub fn taken(&self) -> Result<Vec<String>> {
        let files = crate::maildir::messages(&self.dir.path().join("mail"))?;
        files.iter().map(|path| Ok(String::from_utf8_lossy(&std::fs::read(path)?).into_owned())).collect()
    }

    /// What both said so far.
    pub fn log(&self) -> String {
        let read = |name: &str| std::fs::read_to_string(self.dir.path().join(name)).unwrap_or_default();
        ["maillog", "dovecot/log", "master.out", "dovecot.out"].map(read).concat()
    }
}

impl Drop for Postfix {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the words of Postfix and Dovecot:\n{}", self.log());
        }
        for child in [&mut self.master, &mut self.dovecot] {
            // In order: then each ends its own children, too.
            if let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
                let _ = kill_process(pid, Signal::TERM);
            }
            let _ = wait_until("the end of a foreign server", PATIENCE, || child.try_wait().is_ok_and(|ended| ended.is_some()));
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Starts a daemon that stays in the foreground and is told to end when this test dies, however it does.
fn daemon(at: &Path, name: &str, words: &[&str]) -> Result<Child> {
    let out = std::fs::File::create(at.join(format!("{name}.out")))?;
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "TERM"]).args(words).current_dir(at).stdin(Stdio::null());
    command.stdout(out.try_clone()?).stderr(out);
    command.spawn().with_context(|| format!("cannot start {name}"))
}

fn give_to_postfix(path: &Path) -> Result<()> {
    let path = path.display().to_string();
    run("chown", &["postfix", &path], b"", PATIENCE)?.ok()?;
    Ok(())
}

fn certificate(at: &Path, name: &str) -> Result<()> {
    let [key, chain] = ["key.pem", "cert.pem"].map(|file| at.join(file).display().to_string());
    let (subject, names) = (format!("/CN={name}"), format!("subjectAltName=DNS:{name}"));
    let args = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"];
    let more = ["-keyout", &key, "-out", &chain, "-subj", &subject, "-addext", &names];
    run("openssl", &[&args[..], &more[..]].concat(), b"", PATIENCE)?.ok()?;
    Ok(())
}

fn write(path: &PathBuf, text: &str) -> Result<()> {
    Ok(std::fs::File::create(path)?.write_all(text.as_bytes())?)
}

fn main_cf(at: &Path, name: &str, domain: &str) -> String {
    let at = at.display();
    format!(
        "compatibility_level = 3.6\n\
         queue_directory = {at}/spool\n\
         data_directory = {at}/lib\n\
         command_directory = /usr/sbin\n\
         daemon_directory = {PROGRAMS}\n\
         mail_owner = postfix\n\
         setgid_group = postdrop\n\
         maillog_file = {at}/maillog\n\
         maillog_file_prefixes = {at}\n\
         myhostname = {name}\n\
         mydestination =\n\
         local_recipient_maps =\n\
         alias_maps =\n\
         alias_database =\n\
         mynetworks =\n\
         inet_protocols = ipv4\n\
         disable_dns_lookups = yes\n\
         virtual_mailbox_domains = {domain}\n\
         virtual_mailbox_base = {at}/mail\n\
         virtual_mailbox_maps = static:all/\n\
         virtual_uid_maps = static:{NOBODY}\n\
         virtual_gid_maps = static:{NOBODY}\n\
         smtpd_tls_security_level = encrypt\n\
         smtpd_tls_cert_file = {at}/cert.pem\n\
         smtpd_tls_key_file = {at}/key.pem\n\
         smtpd_tls_auth_only = yes\n\
         smtpd_tls_loglevel = 1\n\
         smtpd_sasl_auth_enable = yes\n\
         smtpd_sasl_type = dovecot\n\
         smtpd_sasl_path = {at}/dovecot/run/auth-postfix\n\
         smtpd_sasl_authenticated_header = yes\n\
         smtpd_relay_restrictions = permit_sasl_authenticated, reject\n\
         smtpd_recipient_restrictions = permit_sasl_authenticated, reject\n"
    )
}

/// As Debian's, without chroot, and only what this needs.
fn master_cf(address: SocketAddr) -> String {
    format!(
        "{address} inet n - n - - smtpd\n\
         cleanup unix n - n - 0 cleanup\n\
         qmgr unix n - n 300 1 qmgr\n\
         tlsmgr unix - - n 1000? 1 tlsmgr\n\
         rewrite unix - - n - - trivial-rewrite\n\
         bounce unix - - n - 0 bounce\n\
         defer unix - - n - 0 bounce\n\
         trace unix - - n - 0 bounce\n\
         proxymap unix - - n - - proxymap\n\
         anvil unix - - n - 1 anvil\n\
         virtual unix - n n - - virtual\n\
         postlog unix-dgram n - n - 1 postlogd\n"
    )
}

fn dovecot_conf(at: &Path) -> String {
    let at = at.display();
    format!(
        "protocols =\n\
         base_dir = {at}/dovecot/run\n\
         log_path = {at}/dovecot/log\n\
         ssl = no\n\
         auth_mechanisms = plain login\n\
         passdb {{\n driver = passwd-file\n args = scheme=PLAIN username_format=%u {at}/dovecot/users\n}}\n\
         userdb {{\n driver = static\n args = uid={NOBODY} gid={NOBODY} home=/nonexistent\n}}\n\
         service auth {{\n unix_listener auth-postfix {{\n  mode = 0666\n }}\n}}\n"
    )
}
