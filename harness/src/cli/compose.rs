//! `compose`: a topology as files for Docker Compose.

use std::path::PathBuf;

use crate::Result;
use crate::compose;
use crate::topology::Topology;

/// A topology, and where its files go.
#[derive(Debug, clap::Args)]
pub struct Command {
    /// A topology that comes with the harness, or a file
    topology: String,
    /// Where compose.yaml and what it mounts go; without it they are printed
    directory: Option<PathBuf>,
}

impl Command {
    /// Writes or prints them.
    pub fn run(self) -> Result<()> {
        let topology = Topology::open(&self.topology)?;
        if let Some(directory) = self.directory {
            return compose::write(&topology, &directory);
        }
        for (path, text) in compose::files(&topology)? {
            println!("# {}\n{text}", path.display());
        }
        Ok(())
    }
}
