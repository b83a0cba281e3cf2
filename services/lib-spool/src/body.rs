//! Reading a message's octets.

use std::io::{self, Read};
use std::sync::Arc;

use lib_host::File;

use crate::first_line::FIRST_LINE;

/// The octets of a message, from the first. `Send`, and independent of other readers of the same message. While one lives, the
/// file is open but not claimed.
#[derive(Debug)]
pub struct BodyReader {
    source: Source,
    /// `at <= len`; both without line 1.
    at: u64,
    len: u64,
}

#[derive(Debug)]
enum Source {
    /// The file's beginning, line 1 and the whole message.
    Memory(Arc<Vec<u8>>),
    File(Arc<File>),
}

impl BodyReader {
    pub(crate) fn new(file: &Arc<File>, octets: Option<&Arc<Vec<u8>>>, len: u64) -> BodyReader {
        let source = match octets {
            Some(octets) => Source::Memory(octets.clone()),
            None => Source::File(file.clone()),
        };
        BodyReader { source, at: 0, len }
    }

    /// Octets not read yet.
    pub fn left(&self) -> u64 {
        self.len - self.at
    }

    /// What is not read yet, where the message is short enough to be in memory.
    pub fn in_memory(&self) -> Option<&[u8]> {
        match &self.source {
            Source::Memory(octets) => octets.get(FIRST_LINE + usize::try_from(self.at).ok()?..),
            Source::File(_) => None,
        }
    }
}

impl Read for BodyReader {
    /// `UnexpectedEof` where the file became shorter than it was committed.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let want = usize::try_from(self.left()).unwrap_or(usize::MAX).min(buffer.len());
        let buffer = &mut buffer[..want];
        if want == 0 {
            return Ok(0);
        }
        let place = FIRST_LINE as u64 + self.at;
        let count = match &self.source {
            Source::File(file) => file.read_at(buffer, place)?,
            Source::Memory(octets) => {
                let rest = octets.get(usize::try_from(place).unwrap_or(usize::MAX)..).unwrap_or_default();
                let count = rest.len().min(want);
                buffer[..count].copy_from_slice(&rest[..count]);
                count
            }
        };
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.at += count as u64;
        Ok(count)
    }
}
