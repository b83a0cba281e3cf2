//! Values of mail, and nothing else: address, envelope, queue id, status, time, trace header, delivery status notification.
//!
//! Floor 0. Nothing here opens a file or a socket, asks for the time or rolls a die: what a value needs of these is an
//! argument. A value that exists is well formed; whoever holds one need not check it again.

mod address;
mod block_list;
mod envelope;
#[doc(hidden)]
pub mod fuzzing;
mod meant;
mod notification;
mod queue_id;
mod seven_bit;
mod status;
mod time;
mod trace;

pub use address::{Address, AddressError, Domain, ReversePath};
pub use block_list::{BlockList, block_list};
pub use envelope::{BodyType, Envelope, Notify, Peer, Protocol, Recipient, Return, Trust};
pub use meant::meant_domain;
pub use notification::{MAX_RETURNED, Notification, NotificationKind, Reported, notification_message_id};
pub use queue_id::{QueueId, QueueIdError};
pub use seven_bit::seven_bit;
pub use status::{By, Class, Enhanced, Status};
pub use time::Timestamp;
pub use trace::Received;
