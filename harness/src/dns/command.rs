//! `bongsu-harness dns`: a name server alone, steered over a control port.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;

use super::{ControlServer, Dns};
use crate::Result;

/// A name server and its zone.
#[derive(Debug, clap::Args)]
pub struct Command {
    /// Where to answer, UDP and TCP, as 127.0.0.1:5353
    #[arg(long)]
    listen: SocketAddr,
    /// A file of records, a line for each: NAME TYPE DATA
    #[arg(long)]
    zone: Option<PathBuf>,
    /// Where to take commands, a line for each: add|set NAME TYPE DATA, remove NAME, mood NAME|* MOOD, list ZONE IP CODE[,CODE] [TEXT], unlist
    /// ZONE IP, asked NAME TYPE. MOOD is answer, servfail, silent, slow MILLISECONDS, truncated, nxdomain, refused or lie TYPE DATA
    #[arg(long)]
    control: Option<SocketAddr>,
}

impl Command {
    /// Serves until the process is ended from outside.
    pub fn run(self) -> Result<()> {
        let dns = Arc::new(Dns::start_at(self.listen)?);
        if let Some(zone) = self.zone {
            let text = std::fs::read_to_string(&zone).with_context(|| zone.display().to_string())?;
            dns.load(&text).with_context(|| zone.display().to_string())?;
        }
        println!("answering on {}", dns.address());
        if let Some(control) = self.control {
            println!("commands on {}", ControlServer::start(control, Arc::clone(&dns))?.address());
        }
        loop {
            std::thread::park();
        }
    }
}
