//! A message in 7-bit form for a server that does not offer 8BITMIME.

use lib_mail::{Enhanced, Status, Timestamp, seven_bit};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::task::spawn_blocking;

use crate::message::Message;

/// Memory for all conversions at one time, in KiB.
const ROOM: u32 = 96 * 1024;
/// What a message needs of it, as a multiple of its size: itself, what it becomes (up to three octets for one), and what both decode to.
const SHARE: u64 = 6;

static FREE: Semaphore = Semaphore::const_new(ROOM as usize);

/// A message that was converted.
pub(crate) struct Converted {
    /// All of it, with what goes in front.
    pub(crate) octets: Vec<u8>,
    /// Held as long as the octets are.
    pub(crate) room: SemaphorePermit<'static>,
}

/// Converts a message; nothing where it stays as it is: too large for it, or [`seven_bit`] says no. An error passes.
pub(crate) async fn converted(message: &Message, now: Timestamp) -> Result<Option<Converted>, Status> {
    let later = |text: String| Status::local(451, Enhanced::new(4, 3, 0), text, now);
    let size = message.message_len + message.prefix.len() as u64;
    let Some(needed) = u32::try_from(size * SHARE / 1024 + 1).ok().filter(|needed| *needed <= ROOM) else { return Ok(None) };
    let Ok(room) = FREE.try_acquire_many(needed) else {
        return Err(later("Many other messages are just being converted to 7-bit form".into()));
    };
    let unread = |error: std::io::Error| later(format!("The message cannot be read: {error}"));
    let (mut source, mut octets) = (message.source(), Vec::new());
    while let Some(piece) = source.piece().await.map_err(unread)? {
        octets.extend_from_slice(&piece);
    }
    let octets = spawn_blocking(move || seven_bit(&octets)).await.ok().flatten();
    Ok(octets.map(|octets| Converted { octets, room }))
}
