//! The supervisor's line: what a role and its supervisor say to each other, and how it goes over the socket pair.
//!
//! A frame is one JSON object and a line feed. Descriptors ride with the first bytes of a frame (SCM_RIGHTS); a frame that
//! brings descriptors says how many, so neither end has to guess. The surprising thing: this module blocks and knows no
//! runtime, because the line has to work before a role has built one and after it got stuck.

use std::collections::VecDeque;
use std::io::{self, IoSlice, IoSliceMut, Write};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use lib_settings::{Secrets, Settings};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::role::{RoleName, SocketName, State};

/// Longest frame in octets: settings, and the certificates of some hundred names.
pub const FRAME_MAX: usize = 8 << 20;
/// Most descriptors in one frame; the kernel's own limit is 253.
pub const DESCRIPTORS_MAX: usize = 128;
/// Octets asked of the socket at a time.
const READ_SIZE: usize = 16 * 1024;

/// What the supervisor tells a role.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum ToRole {
    /// The first frame, and the only one with descriptors: one for each of `sockets`, in the same order.
    Start(Box<Start>),
    /// New settings, already validated. The role answers `InForce` or `Refused`.
    Reload(Box<NewSettings>),
    /// Look at the accounts and the map files now instead of at the next tick. The role answers `Looked` with this number.
    Look(u64),
    /// Take nothing new, finish what runs, then exit.
    Drain,
}

/// Everything a role needs to begin.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Start {
    /// Which role this process is.
    pub role: RoleName,
    /// Number of the settings below; counts up with each reload.
    pub generation: u64,
    /// The data directory.
    pub data: PathBuf,
    /// The directory of the configuration and its maps, where there is one.
    pub config: Option<PathBuf>,
    /// The settings in force.
    pub settings: Settings,
    /// What is not in the settings because it must not be printed.
    pub secrets: Secrets,
    /// Names of the descriptors that came with this frame.
    pub sockets: Vec<SocketName>,
}

/// Settings that take the place of earlier ones.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NewSettings {
    /// Number of these settings.
    pub generation: u64,
    /// The settings.
    pub settings: Settings,
    /// The secrets that belong to them.
    pub secrets: Secrets,
}

/// What a role tells its supervisor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum FromRole {
    /// The role gave up its rights; what keeps it apart, as `bongsu status` prints it.
    Isolated(String),
    /// The role serves.
    Ready,
    /// The settings of this generation are in force.
    InForce {
        /// Number of the settings.
        generation: u64,
    },
    /// The settings of this generation are not used; those before stay in force.
    Refused {
        /// Number of the settings.
        generation: u64,
        /// Why, in words for the operator.
        why: String,
    },
    /// The accounts and map files were looked at; what they said at the order's time counts from now on.
    Looked(u64),
    /// What the role is doing; sent when it changes, at most once a second.
    State(State),
}

/// Writes one frame; the descriptors go with its first octets.
///
/// # Errors
/// The socket's, and `InvalidInput` for too many descriptors. After an error the line is of no further use.
pub fn send_frame(socket: &UnixStream, frame: &impl Serialize, descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut text = serde_json::to_vec(frame)?;
    text.push(b'\n');
    let sent = if descriptors.is_empty() { 0 } else { send_with_descriptors(socket, &text, descriptors)? };
    let mut rest = socket;
    rest.write_all(text.get(sent..).unwrap_or_default())
}

/// Writes one frame if the socket takes it now, without waiting; for frames whose loss does no harm.
///
/// A short frame goes wholly or not at all: the kernel takes what fits into one buffer in one piece.
///
/// # Errors
/// `WouldBlock` when the peer does not read, else the socket's own.
pub fn try_send_frame(socket: &UnixStream, frame: &impl Serialize) -> io::Result<()> {
    let mut text = serde_json::to_vec(frame)?;
    text.push(b'\n');
    let sent = rustix::net::send(socket, &text, SendFlags::DONTWAIT | SendFlags::NOSIGNAL)?;
    let mut rest = socket;
    rest.write_all(text.get(sent..).unwrap_or_default())
}

fn send_with_descriptors(socket: &UnixStream, text: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<usize> {
    if descriptors.len() > DESCRIPTORS_MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("more than {DESCRIPTORS_MAX} sockets for one role")));
    }
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !control.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the descriptors do not fit"));
    }
    Ok(rustix::net::sendmsg(socket, &[IoSlice::new(text)], &mut control, SendFlags::NOSIGNAL)?)
}

/// Reads frames, keeping what came too early for the next one.
#[derive(Debug, Default)]
pub struct FrameReader {
    /// Octets read and not yet part of a returned frame.
    pending: Vec<u8>,
    /// Descriptors that came and were not yet taken.
    descriptors: VecDeque<OwnedFd>,
}

impl FrameReader {
    /// The next frame, or nothing at the end of the line. Blocks.
    ///
    /// # Errors
    /// The socket's; `InvalidData` for a frame that is too long or is not what was expected.
    pub fn read<T: DeserializeOwned>(&mut self, socket: &UnixStream) -> io::Result<Option<T>> {
        let mut seen = 0;
        loop {
            if let Some(end) = self.pending[seen..].iter().position(|octet| *octet == b'\n') {
                let rest = self.pending.split_off(seen + end + 1);
                let frame = std::mem::replace(&mut self.pending, rest);
                return Ok(Some(serde_json::from_slice(&frame)?));
            }
            seen = self.pending.len();
            if seen > FRAME_MAX {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "a frame on the supervisor's line is too long"));
            }
            if self.receive(socket)? == 0 {
                return Ok(None);
            }
        }
    }

    /// Takes the descriptors that came so far.
    pub fn take_descriptors(&mut self) -> Vec<OwnedFd> {
        self.descriptors.drain(..).collect()
    }

    fn receive(&mut self, socket: &UnixStream) -> io::Result<usize> {
        let mut chunk = [0; READ_SIZE];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let received = loop {
            let flags = RecvFlags::CMSG_CLOEXEC;
            match rustix::net::recvmsg(socket, &mut [IoSliceMut::new(&mut chunk)], &mut control, flags) {
                Err(rustix::io::Errno::INTR) => continue,
                Err(rustix::io::Errno::CONNRESET) => return Ok(0),
                other => break other?,
            }
        };
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(descriptors) = message {
                self.descriptors.extend(descriptors);
            }
        }
        self.pending.extend_from_slice(&chunk[..received.bytes]);
        Ok(received.bytes)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn frames_come_back_whole_and_in_order_however_they_were_split() {
        let (mut here, there) = UnixStream::pair().unwrap();
        here.write_all(b"{\"InForce\":{\"gener").unwrap();
        here.write_all(b"ation\":7}}\n\"Ready\"\n").unwrap();
        drop(here);
        let mut reader = FrameReader::default();
        assert_eq!(reader.read::<FromRole>(&there).unwrap(), Some(FromRole::InForce { generation: 7 }));
        assert_eq!(reader.read::<FromRole>(&there).unwrap(), Some(FromRole::Ready));
        assert_eq!(reader.read::<FromRole>(&there).unwrap(), None);
    }

    #[test]
    fn descriptors_ride_with_their_frame_and_still_work() {
        let (here, there) = UnixStream::pair().unwrap();
        let (mut gift, given) = UnixStream::pair().unwrap();
        send_frame(&here, &FromRole::Ready, &[given.as_fd()]).unwrap();
        drop(given);
        let mut reader = FrameReader::default();
        assert_eq!(reader.read::<FromRole>(&there).unwrap(), Some(FromRole::Ready));
        let descriptor = reader.take_descriptors().pop().unwrap();
        gift.write_all(b"beacon").unwrap();
        drop(gift);
        let mut text = String::new();
        UnixStream::from(descriptor).read_to_string(&mut text).unwrap();
        assert_eq!(text, "beacon");
    }

    #[test]
    fn a_frame_longer_than_the_sockets_buffer_arrives_with_its_descriptors() {
        let (here, there) = UnixStream::pair().unwrap();
        let why = "x".repeat(2 << 20);
        let sent = FromRole::Refused { generation: 1, why };
        let copy = sent.clone();
        let writer = std::thread::spawn(move || send_frame(&here, &copy, &[here.as_fd(), here.as_fd()]).unwrap());
        let mut reader = FrameReader::default();
        assert_eq!(reader.read::<FromRole>(&there).unwrap(), Some(sent));
        assert_eq!(reader.take_descriptors().len(), 2);
        writer.join().unwrap();
    }

    #[test]
    fn an_endless_frame_is_an_error_and_not_all_of_memory() {
        let (mut here, there) = UnixStream::pair().unwrap();
        let writer = std::thread::spawn(move || while here.write_all(&[b'x'; 65536]).is_ok() {});
        let error = FrameReader::default().read::<FromRole>(&there).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        drop(there);
        writer.join().unwrap();
    }

    #[test]
    fn a_state_that_nobody_reads_is_dropped_instead_of_waited_for() {
        let (here, _there) = UnixStream::pair().unwrap();
        let refused = FromRole::Refused { generation: 1, why: "y".repeat(2000) };
        let outcome = (0..10_000).find_map(|_| try_send_frame(&here, &refused).err());
        assert_eq!(outcome.unwrap().kind(), io::ErrorKind::WouldBlock);
    }
}
