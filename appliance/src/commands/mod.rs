//! The commands, one file each.

pub(crate) mod abreast;
pub(crate) mod account;
pub(crate) mod check;
pub(crate) mod init;
pub(crate) mod log;
pub(crate) mod mailq;
pub(crate) mod pair;
pub(crate) mod queue;
pub(crate) mod record;
pub(crate) mod select;
pub(crate) mod send;
pub(crate) mod status;
pub(crate) mod text;
pub(crate) mod trace;
pub(crate) mod up;
pub(crate) mod welcome;

use anyhow::{Result, bail};
use lib_settings::Settings;

use crate::layout::Layout;

/// The settings for a command, or every problem with them.
pub(crate) fn settings(layout: &Layout) -> Result<Settings> {
    match crate::plan::load_settings(layout) {
        Ok((settings, _)) => Ok(settings),
        Err(problems) => bail!(problems.join("\n")),
    }
}
