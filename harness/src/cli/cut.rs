//! `cut`: every point at which a connection between two mail servers can break, one message each.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;

use crate::Result;
use crate::cut::{self, End};

/// Between whom.
#[derive(Debug, Args)]
pub struct CutArguments {
    /// Who sends
    #[arg(value_enum)]
    from: End,
    /// Who receives
    #[arg(value_enum)]
    to: End,
    /// Where the picture and the cells go, as cut-FROM-TO.svg and cut-FROM-TO.json
    #[arg(long)]
    report: Option<PathBuf>,
    /// Show what was seen of every cell
    #[arg(long)]
    verbose: bool,
}

/// `cut`: exit code 0 where every message arrived, once or lawfully twice; 1 where one did not.
pub fn cut(arguments: &CutArguments) -> Result<ExitCode> {
    let matrix = cut::run(arguments.from, arguments.to)?;
    print!("{}", cut::print(&matrix));
    if arguments.verbose {
        for cell in &matrix.cells {
            let point = &cut::POINTS[cell.point];
            println!("{}, {}, {}: {}: {}", point.line, point.at, cut::WAYS[cell.way].name, cell.outcome.words(), cell.note);
        }
    }
    if let Some(dir) = &arguments.report {
        std::fs::create_dir_all(dir).with_context(|| dir.display().to_string())?;
        let name = format!("cut-{}-{}", arguments.from.name(), arguments.to.name());
        std::fs::write(dir.join(format!("{name}.svg")), cut::draw(&matrix))?;
        std::fs::write(dir.join(format!("{name}.json")), serde_json::to_vec_pretty(&matrix)?)?;
    }
    Ok(if matrix.wrong().is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
