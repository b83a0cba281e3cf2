//! The process of a role: hear what it is, give up every right that is not its own, run the program.

use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use lib_net::Role;
use lib_net::role::RoleName;

use crate::isolation::{self, Grants};
use crate::plan::files_elsewhere;
use crate::supervisor::signals;

/// Runs the role on the line that is this process's standard input.
pub(crate) fn run(name: RoleName) -> Result<ExitCode> {
    signals::block()?;
    raise_descriptor_limit();
    let mut isolated = String::new();
    let role = Role::from_standard_input(|start| {
        // Mail and queue are for their owner; where roles are users of their own, for their common group too.
        let shared = start.settings.users.group.is_some();
        rustix::process::umask(rustix::fs::Mode::from_raw_mode(if shared { 0o007 } else { 0o077 }));
        let more = files_elsewhere(&start.settings, start.config.as_deref(), &start.data);
        isolated = isolation::restrict(&Grants::of(start.role, &start.data, start.config.as_deref(), &more))?;
        Ok(())
    })
    .context("a role is started by \"bongsu up\" and not by hand")?;
    if role.name != name {
        bail!("the supervisor means {}, the command line {name}", role.name);
    }
    role.line.reporter().isolated(isolated);
    signals::drain_on_terminate(role.line.inlet())?;
    Ok(match name {
        RoleName::SmtpIn | RoleName::Submission => smtp_in::run(role),
        RoleName::Deliver => deliver::run(role),
        RoleName::RelayOut => relay_out::run(role),
        RoleName::Pop3 => pop3::run(role),
        RoleName::Auth => auth::run(role),
    })
}

/// Each session is a descriptor or two, and the usual soft limit of 1024 is for programs that use select(2). Where even the hard limit
/// is low, the limits on sessions and the errors of accept(2) still hold.
fn raise_descriptor_limit() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    let _ = setrlimit(Resource::Nofile, limit);
}
