//! `bongsu status`, `reload` and `stop`: what is asked of a running supervisor.

use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::layout::Layout;
use crate::supervisor::control::{Reloaded, Request, RoleStatus, Status, ask};

/// Shows how all fares.
pub(crate) fn run(layout: &Layout, json: bool, quiet: bool) -> Result<ExitCode> {
    let status: Status = ask(layout, Request::Status)?;
    if json {
        println!("{}", serde_json::to_string(&status)?);
    } else if !quiet {
        print(&status);
    }
    Ok(if status.well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn print(status: &Status) {
    let word = if status.well { "all runs" } else { "NOT everything runs" };
    println!(
        "{}: {word}; up {}, settings {} ({})",
        status.hostname,
        duration(status.seconds),
        status.generation,
        status.settings
    );
    for role in &status.roles {
        print_role(role);
    }
    for overdue in &status.overdue {
        println!("overdue: {overdue}");
    }
    let isolations: std::collections::BTreeSet<&str> = status.roles.iter().map(|role| role.isolation.as_str()).collect();
    for isolation in isolations.into_iter().filter(|isolation| !isolation.is_empty()) {
        println!("isolation: {isolation}");
    }
}

fn print_role(role: &RoleStatus) {
    let mut line = format!("  {:<11} {:<9}", role.role, role.condition);
    if let Some(pid) = role.pid {
        line += &format!(" pid {pid}, {}", duration(role.seconds));
    }
    if role.restarts > 0 {
        line += &format!(", restarted {}×", role.restarts);
    }
    if !role.accepting.is_empty() {
        line += &format!(", {}, {} in work", role.accepting, role.sessions);
    }
    if !role.listens.is_empty() {
        line += &format!("; {}", role.listens.join(", "));
    }
    if !role.why.is_empty() {
        line += &format!(" – {}", role.why);
    }
    println!("{line}");
}

fn duration(seconds: u64) -> String {
    match seconds {
        0..=119 => format!("{seconds} s"),
        120..=7199 => format!("{} min", seconds / 60),
        7200..=172_799 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// Puts changed settings in force.
pub(crate) fn reload(layout: &Layout) -> Result<ExitCode> {
    let reloaded: Reloaded = ask(layout, Request::Reload)?;
    for note in &reloaded.notes {
        eprintln!("bongsu: {note}");
    }
    if !reloaded.done {
        bail!("not everywhere in force; settings {} are the last good ones", reloaded.generation);
    }
    println!("settings {} are in force", reloaded.generation);
    Ok(ExitCode::SUCCESS)
}

/// Stops the server in order.
pub(crate) fn stop(layout: &Layout) -> Result<ExitCode> {
    if !crate::tree::is_held(layout) {
        bail!("no bongsu runs on {0}; start it with: bongsu up --data {0}", layout.data().display());
    }
    // The answer may be cut off by the very end that was asked for, so the lock tells and not the answer.
    if let Err(error) = ask::<bool>(layout, Request::Stop)
        && crate::tree::is_held(layout)
        && layout.control_socket().exists()
    {
        eprintln!("bongsu: {error:#}");
    }
    while crate::tree::is_held(layout) {
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    println!("stopped");
    Ok(ExitCode::SUCCESS)
}
