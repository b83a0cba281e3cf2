//! Listeners, TLS, the loop that drives a session, name look-ups, the supervisor's line.
//!
//! A program implements [`Service`] and [`Conversation`] and hands its listeners to [`serve::serve`]; sockets, waiting and time-outs are
//! here and nowhere else.

pub mod auth;
pub mod bounds;
pub mod conversation;
pub mod dns;
pub mod drain;
mod drive;
pub mod gate;
pub mod line;
pub mod listen;
pub mod pin;
pub mod recorder;
pub mod role;
pub mod runtime;
pub mod serve;
mod socket;
pub mod tls;
pub mod wake;

pub use conversation::{Arrival, Conversation, Service};
pub use recorder::Recorder;
pub use role::Role;
