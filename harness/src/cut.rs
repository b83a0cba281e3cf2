//! `cut A B`: a connection between two mail servers breaks once at every point of a dialogue, in every way, one message for each.
//!
//! Each cell has a domain of its own, whose mail host is a gate of its own before B; so all of them cross the same pair of servers side by
//! side, and none disturbs another. Once every break has happened the network is whole, queues run until they are empty, and each message must
//! be at B once: or twice where B had the whole message and A no reply, which no server can tell from a message that did not arrive (RFC 1047).

mod course;
mod judge;
mod picture;
mod point;
mod svg;
mod table;

use std::time::Duration;

use serde::Serialize;

use crate::Result;
use crate::gate::{How, What};
use crate::peer::Peer;
use crate::topology::SystemKind;

pub use judge::Outcome;
pub use picture::draw;
pub use point::{POINTS, Point};
pub use table::print;

/// Who sends, or who receives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum End {
    /// The product.
    Bongsu,
    /// Postfix, with Dovecot.
    Postfix,
    /// Exim, with Dovecot.
    Exim,
    /// OpenSMTPD, with Dovecot.
    #[value(name = "opensmtpd")]
    OpenSmtpd,
    /// A scripted server; it only receives.
    Peer,
    /// A plain client that tries again until it is told 250; it only sends.
    Client,
}

impl End {
    /// Its name on the command line and in reports.
    pub fn name(self) -> &'static str {
        match self {
            End::Bongsu => "bongsu",
            End::Postfix => "postfix",
            End::Exim => "exim",
            End::OpenSmtpd => "opensmtpd",
            End::Peer => "peer",
            End::Client => "client",
        }
    }

    /// The system, where it is one.
    pub fn system(self) -> Option<SystemKind> {
        match self {
            End::Bongsu => Some(SystemKind::Bongsu),
            End::Postfix => Some(SystemKind::Postfix),
            End::Exim => Some(SystemKind::Exim),
            End::OpenSmtpd => Some(SystemKind::OpenSmtpd),
            End::Peer | End::Client => None,
        }
    }
}

/// How a connection breaks: each is a column.
pub const WAYS: [Way; 3] = [
    Way { name: "FIN", how: How::Fin, what: What::Fin },
    Way { name: "RST", how: How::Reset, what: What::Reset },
    Way { name: "silence", how: How::Silence, what: What::Silence },
];

/// A way of breaking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Way {
    /// Its name in reports.
    pub name: &'static str,
    how: How,
    what: What,
}

/// What came of one break.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cell {
    /// The place of the point in [`POINTS`].
    pub point: usize,
    /// The place of the way in [`WAYS`].
    pub way: usize,
    /// What came of the message.
    pub outcome: Outcome,
    /// Copies at B.
    pub copies: usize,
    /// What was seen, in words.
    pub note: String,
}

/// All cells of a pair.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Matrix {
    /// Who sent.
    pub from: End,
    /// Who received.
    pub to: End,
    /// Row by row.
    pub cells: Vec<Cell>,
    /// How long it took.
    pub took: Duration,
}

impl Matrix {
    /// The cell of a point and a way.
    pub fn cell(&self, point: usize, way: usize) -> Option<&Cell> {
        self.cells.iter().find(|cell| cell.point == point && cell.way == way)
    }

    /// How many cells came out so.
    pub fn count(&self, outcome: Outcome) -> usize {
        self.cells.iter().filter(|cell| cell.outcome == outcome).count()
    }

    /// Cells that no server may come to.
    pub fn wrong(&self) -> Vec<&Cell> {
        self.cells.iter().filter(|cell| cell.outcome.is_wrong()).collect()
    }
}

/// Cuts at every point in every way between two servers.
pub fn run(from: End, to: End) -> Result<Matrix> {
    run_scripted(from, to, &|_| ())
}

/// The same, where a scripted peer is told first what to do.
fn run_scripted(from: End, to: End, script: &dyn Fn(&Peer)) -> Result<Matrix> {
    let start = std::time::Instant::now();
    anyhow::ensure!(from != End::Peer, "a scripted peer only receives");
    anyhow::ensure!(to != End::Client, "a client only sends");
    let cells = course::run(from, to, script)?;
    Ok(Matrix { from, to, cells, took: start.elapsed() })
}

#[cfg(test)]
mod tests;
