//! Where a session stands, for time-outs and for the words about a lost connection.

/// How long to wait is the driver's to know: by stage, and anew whenever `replies` changes (RFC 5321 §4.5.3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wait {
    /// What the next reply answers.
    pub stage: Stage,
    /// Replies taken so far.
    pub replies: u32,
}

/// What the next reply answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the variants are the commands they name")]
pub enum Stage {
    Banner,
    Hello,
    StartTls,
    Auth,
    Idle,
    Mail,
    Recipient,
    Data,
    Body,
    FinalDot,
    Reset,
    Asked,
    Quit,
}

impl Stage {
    /// `Connection lost with … while …`
    pub(super) fn doing(self) -> &'static str {
        match self {
            Stage::Banner => "waiting for the greeting",
            Stage::Hello => "sending EHLO",
            Stage::StartTls => "starting TLS",
            Stage::Auth => "logging in",
            Stage::Idle => "idle",
            Stage::Mail => "sending MAIL",
            Stage::Recipient => "sending RCPT",
            Stage::Data => "sending DATA",
            Stage::Body => "sending the message",
            Stage::FinalDot => "waiting for the answer to the message",
            Stage::Reset => "sending RSET",
            Stage::Asked => "waiting for an answer",
            Stage::Quit => "sending QUIT",
        }
    }
}
