//! The service behind the listeners: makes a dialogue for each client that is let in.

use std::borrow::Cow;
use std::sync::Arc;

use lib_mail::Peer;
use lib_net::bounds::Bounds;
use lib_net::conversation::{Arrival, Refusal, Service};
use lib_record::What;

use crate::dialogue::Dialogue;
use crate::shared::Shared;

/// SMTP.
pub(crate) struct SmtpService(pub(crate) Arc<Shared>);

impl Service for SmtpService {
    type Conversation = Dialogue;

    fn open(&self, arrival: Arrival) -> Dialogue {
        Dialogue::new(self.0.clone(), arrival)
    }

    fn refusal(&self, why: Refusal) -> Cow<'static, str> {
        Cow::Borrowed(match why {
            Refusal::Sessions => "421 4.3.2 Too many sessions; try again later\r\n",
            Refusal::SessionsPerAddress => "421 4.7.0 Too many sessions from your address; try again later\r\n",
            Refusal::Rate => "421 4.7.0 Too many connections from your address; try again later\r\n",
        })
    }

    fn refused(&self, peer: Peer, why: Refusal, times: u64) {
        let why = if times > 1 { format!("{why} ({times} times lately)") } else { why.to_string() };
        self.0.record(None, What::Dropped { peer: peer.address().to_string(), why });
    }

    fn bounds(&self) -> Bounds {
        self.0.rules.load().bounds()
    }
}
