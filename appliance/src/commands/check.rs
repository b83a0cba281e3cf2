//! `bongsu check`: everything that is wrong, before it is in force; and what each role can reach.

use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};
use lib_net::role::RoleName;

use crate::isolation::{self, Grants, Tried};
use crate::layout::Layout;
use crate::plan::Plan;

/// Validates settings, maps, accounts and certificates.
pub(crate) fn run(layout: &Layout, json: bool) -> Result<ExitCode> {
    let (problems, warnings) = match Plan::load(layout) {
        Ok(plan) => (Vec::new(), crate::maps::warnings(layout, &plan.settings)),
        Err(problems) => (problems, Vec::new()),
    };
    if json {
        println!("{}", serde_json::json!({ "problems": problems, "warnings": warnings }));
    } else {
        for line in problems.iter().chain(&warnings) {
            eprintln!("bongsu: {line}");
        }
        let file = layout
            .settings_file()
            .map_or_else(|| "no settings file, so the defaults".into(), |path| path.display().to_string());
        let word = if problems.is_empty() { "good" } else { "NOT good; what is in force stays so" };
        println!("{file}: {word}");
    }
    Ok(if problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Tries every directory as every role, in a process each.
pub(crate) fn isolation(layout: &Layout, json: bool) -> Result<ExitCode> {
    if !layout.spool().is_dir() {
        bail!("{} is no data directory of bongsu; name it with --data DIR", layout.data().display());
    }
    let settings = super::settings(layout)?;
    let mut good = true;
    for role in RoleName::ALL {
        let mut command = Command::new("/proc/self/exe");
        command.arg("role-probe").arg(role.as_str()).arg("--data").arg(layout.data());
        if let Some(file) = layout.settings_file() {
            command.arg("--config").arg(file);
        }
        if let Some(user) = crate::owner::user_of(role, &settings) {
            user.applied_to(&mut command);
        }
        let output = command.output().context("cannot start a process")?;
        let probe: Probe = serde_json::from_slice(&output.stdout)
            .with_context(|| format!("{role}: {}", String::from_utf8_lossy(&output.stderr).trim()))?;
        good &= probe.tried.iter().all(Tried::as_meant);
        if json {
            println!("{}", serde_json::to_string(&probe)?);
        } else {
            print(&probe);
        }
    }
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn print(probe: &Probe) {
    println!("{} ({})", probe.role, probe.isolation);
    for tried in &probe.tried {
        let mark = if tried.as_meant() { "" } else { "   NOT AS MEANT" };
        println!("  {:<50} read {:<8} write {:<8}{mark}", tried.path.display(), tried.read, tried.write);
    }
}

/// What a restricted process found.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
struct Probe {
    role: RoleName,
    isolation: String,
    tried: Vec<Tried>,
}

/// Restricts this process as the role and tries every directory.
pub(crate) fn probe(layout: &Layout, role: RoleName) -> Result<ExitCode> {
    let config = layout.existing_config();
    let mut directories: Vec<_> = layout.directories().into_iter().map(|(dir, _)| dir).collect();
    directories.push(layout.data().to_path_buf());
    directories.extend(config.clone());
    let grants = Grants::of(role, layout.data(), config.as_deref(), &[]);
    let isolation = isolation::restrict(&grants)?;
    let tried = isolation::try_all(&grants, &directories);
    println!("{}", serde_json::to_string(&Probe { role, isolation, tried })?);
    Ok(ExitCode::SUCCESS)
}
