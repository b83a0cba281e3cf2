//! Dovecot, which serves the mailboxes of a node of another make over POP3: an own configuration and own sockets below the node's directory.

use std::net::IpAddr;
use std::path::Path;
use std::process::Command;

use super::group::Group;
use super::maps::MAIL_OWNER;
use crate::Result;
use crate::client::first_word;
use crate::node::port;
use crate::topology::NodePlan;

/// Writes its files below `dir`, beside which the mailboxes lie in `data/mail`.
pub(super) fn lay_out(dir: &Path, address: IpAddr, plan: &NodePlan) -> Result<()> {
    for below in ["etc", "dovecot"] {
        std::fs::create_dir_all(dir.join(below))?;
    }
    std::fs::write(dir.join("etc/dovecot.conf"), config(dir, address))?;
    Ok(std::fs::write(dir.join("etc/users"), users(dir, plan))?)
}

/// Starts it where the node has accounts.
pub(super) fn start(dir: &Path, plan: &NodePlan) -> Result<Option<Group>> {
    if plan.accounts.is_empty() {
        return Ok(None);
    }
    let mut command = Command::new("dovecot");
    command.arg("-F").arg("-c").arg(dir.join("etc/dovecot.conf"));
    Group::start(command, &dir.join("dovecot.out")).map(Some)
}

/// Its name and version.
pub(super) fn version() -> String {
    format!("Dovecot {}", first_word("dovecot", &["--version"]).unwrap_or_default())
}

fn config(dir: &Path, address: IpAddr) -> String {
    let (dir, port) = (dir.display(), port::POP3);
    format!(
        "base_dir = {dir}/dovecot/run\nstate_dir = {dir}/dovecot/state\nlog_path = {dir}/dovecot.log\nprotocols = pop3\nlisten = {address}\nssl = no\n\
         disable_plaintext_auth = no\nmail_location = maildir:~/Maildir\nfirst_valid_uid = 100\nmail_max_userip_connections = 1000\n\
         passdb {{\n  driver = passwd-file\n  args = scheme=PLAIN username_format=%u {dir}/etc/users\n}}\n\
         userdb {{\n  driver = passwd-file\n  args = username_format=%u {dir}/etc/users\n}}\n\
         service pop3-login {{\n  inet_listener pop3 {{\n    port = {port}\n  }}\n  inet_listener pop3s {{\n    port = 0\n  }}\n}}\n"
    )
}

fn users(dir: &Path, plan: &NodePlan) -> String {
    let line = |user: &String| {
        let (dir, domain) = (dir.display(), &plan.domain);
        format!("{user}@{domain}:{{PLAIN}}secret-{user}:{MAIL_OWNER}:{MAIL_OWNER}::{dir}/data/mail/{domain}/{user}\n")
    };
    plan.accounts.iter().map(line).collect()
}
