//! Taking a message file: open, lock, then check that the name still is this file. Nothing is believed before.

use std::io::{self, ErrorKind};

use lib_host::{Access, Dir, File};
use lib_mail::QueueId;

use crate::layout::{Shared, Spot};

/// What came of trying to take a file.
#[derive(Debug)]
pub(crate) enum Taken {
    /// No such name, or it became another file while the lock was awaited.
    Gone,
    /// Another holds the lock; the file is open for appending.
    Busy(File),
    /// Ours; so many octets long.
    Ours(File, u64),
}

/// Opens for appending and tries the lock.
pub(crate) fn take(shared: &Shared, spot: Spot) -> io::Result<Taken> {
    let shard = shared.shard(spot)?;
    let file = match shard.open(spot.id.as_str(), Access::Append) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Taken::Gone),
        opened => opened?,
    };
    if !file.try_lock()? {
        return Ok(Taken::Busy(file));
    }
    Ok(match still_named(shard, &spot.id, &file)? {
        Some(len) => Taken::Ours(file, len),
        None => Taken::Gone,
    })
}

/// The file's length if the name still is this file.
pub(crate) fn still_named(shard: &Dir, id: &QueueId, file: &File) -> io::Result<Option<u64>> {
    let meta = file.meta()?;
    let named = shard.stat(id.as_str())?;
    Ok(named.is_some_and(|named| named.same_file(&meta)).then_some(meta.len))
}
