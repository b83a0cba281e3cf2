//! What a person may ask of a message, whatever state it is in.

use crate::{Place, Queue};

/// An order to a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// Remove it without a word to the sender. Also from `corrupt/`, and only so.
    Delete,
    /// Return it to the sender now.
    Bounce,
    /// Leave it alone until it is released.
    Hold,
    /// Put it back into its queue, due at once.
    Release,
    /// Attempt it now.
    Retry,
}

/// What a command did to one of a message's files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Effect {
    /// The file's queue.
    pub queue: Queue,
    /// Where it lay.
    pub place: Place,
    /// What came true.
    pub done: Done,
}

/// What came true of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Done {
    /// The message is gone by this command.
    Deleted,
    /// It is on hold.
    Held,
    /// It is back in its queue and due.
    Released,
    /// It is due now.
    Due,
    /// It is due now, and its consumer will return it.
    WillBounce,
    /// Its consumer finished it first.
    Finished,
    /// Its consumer is busy with it and has not answered in time; it will obey before it lets go.
    Asked,
    /// The command does not fit where the message is, as a release of what is not held.
    Unfit,
}
