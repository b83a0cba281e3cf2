//! Reading a header as it streams by.

use super::MAX_FIELD;
use super::field::{Begins, begins};

/// Octets of a kept value (Message-ID, Delivered-To).
const MAX_KEPT: usize = 1000;
/// Delivered-To fields whose values are kept. A message with more is in a loop by any measure.
const MAX_DELIVERED_TO: usize = 200;

/// What a header says, as far as decisions need it. Fed with the message in chunks of any length.
#[derive(Debug, Clone, Default)]
pub struct HeaderScan {
    /// The beginning of the current line, where it did not come in one chunk. At most `MAX_FIELD` octets.
    line: Vec<u8>,
    /// What the current line's field does with its value.
    field: Field,
    ended: bool,
    octets: u64,
    date: bool,
    from: bool,
    received: u32,
    bcc: bool,
    message_id: Option<Vec<u8>>,
    delivered_to: Vec<Vec<u8>>,
}

/// Whose value folded lines add to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Field {
    #[default]
    Other,
    MessageId,
    DeliveredTo,
}

impl HeaderScan {
    /// A scan at the beginning of a message.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a part of the message; what follows the header costs nothing.
    pub fn feed(&mut self, mut chunk: &[u8]) {
        while !self.ended && !chunk.is_empty() {
            let end = memchr::memchr(b'\n', chunk).map(|at| at + 1);
            let (part, rest) = chunk.split_at(end.unwrap_or(chunk.len()));
            self.octets += part.len() as u64;
            if self.line.is_empty() && end.is_some() {
                self.judge(&part[..part.len().min(MAX_FIELD)]);
            } else {
                let room = MAX_FIELD - self.line.len();
                self.line.extend_from_slice(&part[..part.len().min(room)]);
                if end.is_some() {
                    self.judge_held();
                }
            }
            chunk = rest;
        }
    }

    /// The message has ended: a header without a body is complete.
    pub fn finish(&mut self) {
        if !self.ended && !self.line.is_empty() {
            self.judge_held();
        }
        self.ended = true;
    }

    fn judge_held(&mut self) {
        let line = std::mem::take(&mut self.line);
        self.judge(&line);
        // The buffer's room is kept for the next line.
        self.line = line;
        self.line.clear();
    }

    /// One line, with its LF unless it was cut.
    fn judge(&mut self, line: &[u8]) {
        match begins(line) {
            Some(Begins::Field(name)) => self.field(name, line),
            Some(Begins::Folded) => self.keep(line, false),
            // A last line without LF and colon is no field either.
            Some(Begins::Body) | None => {
                self.ended = true;
                self.line = Vec::new();
            }
        }
    }

    fn field(&mut self, name: &[u8], line: &[u8]) {
        let is = |wanted: &str| name.eq_ignore_ascii_case(wanted.as_bytes());
        self.field = Field::Other;
        match name.len() {
            3 if is("Bcc") => self.bcc = true,
            4 if is("Date") => self.date = true,
            4 if is("From") => self.from = true,
            8 if is("Received") => self.received = self.received.saturating_add(1),
            10 if is("Resent-Bcc") => self.bcc = true,
            10 if is("Message-ID") && self.message_id.is_none() => self.field = Field::MessageId,
            12 if is("Delivered-To") && self.delivered_to.len() < MAX_DELIVERED_TO => self.field = Field::DeliveredTo,
            _ => {}
        }
        let value = memchr::memchr(b':', line).map_or(&[][..], |colon| &line[colon + 1..]);
        self.keep(value, true);
    }

    /// Keeps (a folded part of) the value, where somebody asks for it.
    fn keep(&mut self, part: &[u8], first: bool) {
        let kept = match self.field {
            Field::Other => return,
            Field::MessageId => self.message_id.get_or_insert_default(),
            Field::DeliveredTo => {
                if first {
                    self.delivered_to.push(Vec::new());
                }
                match self.delivered_to.last_mut() {
                    Some(kept) => kept,
                    None => return,
                }
            }
        };
        let room = MAX_KEPT - kept.len();
        let part = part.trim_ascii();
        kept.extend_from_slice(&part[..part.len().min(room)]);
    }

    /// Whether the header's end was seen.
    pub fn has_ended(&self) -> bool {
        self.ended
    }

    /// Octets of the header so far, the line that ended it included.
    pub fn octets(&self) -> u64 {
        self.octets
    }

    /// Whether there is a Date field.
    pub fn has_date(&self) -> bool {
        self.date
    }

    /// Whether there is a From field.
    pub fn has_from(&self) -> bool {
        self.from
    }

    /// Whether there is a Bcc or Resent-Bcc field.
    pub fn has_bcc(&self) -> bool {
        self.bcc
    }

    /// How many Received fields there are. More than `smtp.hop_limit` of them: 554 5.4.6.
    pub fn hops(&self) -> u32 {
        self.received
    }

    /// The value of the first Message-ID field, angle brackets included, unfolded; `None` where there is none or it is empty.
    pub fn message_id(&self) -> Option<String> {
        let value = self.message_id.as_ref()?;
        (!value.is_empty()).then(|| String::from_utf8_lossy(value).into_owned())
    }

    /// Whether a Delivered-To field names `address`: then it came here before and is in a loop.
    pub fn was_delivered_to(&self, address: &lib_mail::Address) -> bool {
        self.delivered_to.iter().any(|value| {
            let text = std::str::from_utf8(value).unwrap_or_default();
            text.parse::<lib_mail::Address>().is_ok_and(|seen| seen == *address)
        })
    }
}
