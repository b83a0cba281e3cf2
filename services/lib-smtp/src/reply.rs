//! Replies of an SMTP server, as a client reads them (RFC 5321 §4.2).
//!
//! A peer may send anything: any charset, lines without end, thousands of them. What is kept is capped here and nowhere else, and
//! what is no reply is an error, after which the connection is of no use: nobody can tell any more which reply answers what.
//! Any split of the octets gives the same replies.

use std::collections::VecDeque;
use std::fmt;

use lib_mail::Enhanced;

/// Octets of one reply line with its end. RFC 5321 §4.5.3.1.5 says 512; real servers put URLs and whole paragraphs there.
pub const MAX_REPLY_LINE: usize = 4096;
/// Lines of one reply. An EHLO reply of the most talkative server has under 30.
pub const MAX_REPLY_LINES: usize = 128;
/// Octets of all lines of one reply.
pub const MAX_REPLY: usize = 32 * 1024;
/// Octets of the words that [`Reply::text`] keeps: they go to the spool, the log and notifications.
pub const MAX_REPLY_TEXT: usize = 1000;

/// Why the octets are no reply. The connection must not be used any further.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReplyError {
    /// A line does not begin with three digits 2yz to 5yz and a space or hyphen, or its code differs from that of the line before.
    #[error("sent something that is no SMTP reply")]
    Malformed,
    /// A line over [`MAX_REPLY_LINE`], or a reply over [`MAX_REPLY_LINES`] or [`MAX_REPLY`].
    #[error("sent a reply without end")]
    TooLong,
}

/// One reply, its lines put together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// 200 to 599.
    pub code: u16,
    /// The enhanced code of the first line, where it has one of the class of `code` (RFC 2034).
    pub enhanced: Option<Enhanced>,
    /// The words of each line, without code, enhanced code and control characters; at least one line, which may be empty.
    pub lines: Vec<String>,
}

impl Reply {
    /// 2yz.
    pub fn is_success(&self) -> bool {
        self.code / 100 == 2
    }

    /// 4yz or 5yz.
    pub fn is_refusal(&self) -> bool {
        matches!(self.code / 100, 4 | 5)
    }

    /// Whether the peer closes the connection, or wants nothing to do with us, by this reply: 421 (RFC 5321 §3.8) or 521 (RFC 7504).
    pub fn closes(&self) -> bool {
        matches!(self.code, 421 | 521)
    }

    /// The enhanced code, or `x.0.0` of the class of the code where the peer gave none.
    pub fn enhanced_or_default(&self) -> Enhanced {
        self.enhanced.unwrap_or(Enhanced::new((self.code / 100) as u8, 0, 0))
    }

    /// The words of all lines joined by a space; at most [`MAX_REPLY_TEXT`] octets.
    pub fn text(&self) -> String {
        let mut text = self.lines.join(" ");
        let cut = text.floor_char_boundary(MAX_REPLY_TEXT);
        text.truncate(cut);
        text
    }
}

/// The reply on one line, as a log or a notification quotes it: `550 5.1.1 No such user`.
impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.code)?;
        if let Some(enhanced) = self.enhanced {
            write!(f, " {enhanced}")?;
        }
        let text = self.text();
        if text.is_empty() { Ok(()) } else { write!(f, " {text}") }
    }
}

/// Puts replies together from octets as they come.
#[derive(Debug, Default)]
pub struct ReplyReader {
    /// The unfinished line; at most [`MAX_REPLY_LINE`].
    line: Vec<u8>,
    /// The lines of the unfinished reply.
    open: Option<Reply>,
    /// Octets of the unfinished reply's lines.
    octets: usize,
    ready: VecDeque<Reply>,
    failed: Option<ReplyError>,
}

impl ReplyReader {
    /// Takes what the peer sent. After an error nothing is taken any more.
    pub fn push(&mut self, mut octets: &[u8]) {
        while !octets.is_empty() && self.failed.is_none() {
            let end = memchr::memchr(b'\n', octets).map_or(octets.len(), |at| at + 1);
            let (head, rest) = octets.split_at(end);
            octets = rest;
            if self.line.len() + head.len() > MAX_REPLY_LINE {
                self.failed = Some(ReplyError::TooLong);
            } else {
                self.line.extend_from_slice(head);
                if head.ends_with(b"\n") {
                    self.finish_line();
                }
            }
        }
    }

    /// The next whole reply; `None` where more octets are needed. Replies before an error come first.
    pub fn take(&mut self) -> Result<Option<Reply>, ReplyError> {
        match (self.ready.pop_front(), self.failed) {
            (Some(reply), _) => Ok(Some(reply)),
            (None, Some(error)) => Err(error),
            (None, None) => Ok(None),
        }
    }

    /// Whether octets or replies lie here that nobody has taken. After the reply to STARTTLS there must be none.
    pub fn holds_more(&self) -> bool {
        !self.line.is_empty() || self.open.is_some() || !self.ready.is_empty() || self.failed.is_some()
    }

    fn finish_line(&mut self) {
        let line = std::mem::take(&mut self.line);
        self.octets += line.len();
        self.failed = match parse_line(&line) {
            Some(parsed) => self.add(parsed).err(),
            None => Some(ReplyError::Malformed),
        };
    }

    fn add(&mut self, line: Line) -> Result<(), ReplyError> {
        let mut reply = match self.open.take() {
            None => Reply { code: line.code, enhanced: line.enhanced, lines: Vec::new() },
            Some(open) if open.code == line.code => open,
            Some(_) => return Err(ReplyError::Malformed),
        };
        reply.lines.push(line.text);
        if reply.lines.len() > MAX_REPLY_LINES || self.octets > MAX_REPLY {
            return Err(ReplyError::TooLong);
        }
        if line.more {
            self.open = Some(reply);
        } else {
            self.octets = 0;
            self.ready.push_back(reply);
        }
        Ok(())
    }
}

struct Line {
    code: u16,
    more: bool,
    enhanced: Option<Enhanced>,
    text: String,
}

/// `line` ends with LF, and with CRLF unless the peer is sloppy, which does no harm in this direction.
fn parse_line(line: &[u8]) -> Option<Line> {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let (digits, rest) = line.split_at_checked(3)?;
    if !digits.iter().all(u8::is_ascii_digit) || !matches!(digits[0], b'2'..=b'5') {
        return None;
    }
    let code = digits.iter().fold(0, |code, digit| code * 10 + u16::from(digit - b'0'));
    let more = match rest.first() {
        None | Some(b' ') => false,
        Some(b'-') => true,
        Some(_) => return None,
    };
    let text = words(rest.get(1..).unwrap_or_default());
    let (enhanced, text) = split_enhanced(code, &text);
    Some(Line { code, more, enhanced, text: text.to_owned() })
}

/// The words of a line: UTF-8 is kept; in any other charset each octet above 127 becomes `?`. Control characters become spaces.
fn words(octets: &[u8]) -> String {
    let plain = |text: &str| text.replace(|c: char| c.is_control(), " ");
    match std::str::from_utf8(octets) {
        Ok(text) => plain(text),
        Err(_) => {
            plain(&octets.iter().map(|octet| if octet.is_ascii() { char::from(*octet) } else { '?' }).collect::<String>())
        }
    }
}

/// Takes the enhanced code from the front of the words. One of another class than the reply code is nothing but a word.
fn split_enhanced(code: u16, text: &str) -> (Option<Enhanced>, &str) {
    let (first, rest) = text.split_once(' ').unwrap_or((text, ""));
    match first.parse::<Enhanced>() {
        Ok(enhanced) if u16::from(enhanced.class) == code / 100 => (Some(enhanced), rest.trim_start()),
        _ => (None, text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(octets: &[u8]) -> (Vec<Reply>, Option<ReplyError>) {
        let mut reader = ReplyReader::default();
        reader.push(octets);
        drain(&mut reader)
    }

    fn drain(reader: &mut ReplyReader) -> (Vec<Reply>, Option<ReplyError>) {
        let mut replies = Vec::new();
        loop {
            match reader.take() {
                Ok(Some(reply)) => replies.push(reply),
                Ok(None) => return (replies, None),
                Err(error) => return (replies, Some(error)),
            }
        }
    }

    #[test]
    fn what_is_a_reply() {
        for (octets, want) in [
            (&b"250 OK\r\n"[..], "250 OK"),
            (b"250\r\n", "250"),
            (b"250 \r\n", "250"),
            (b"250 OK\n", "250 OK"),
            (b"550 5.1.1 No such user\r\n", "550 5.1.1 No such user"),
            (b"550 5.1.1\r\n", "550 5.1.1"),
            (b"550 4.1.1 odd class\r\n", "550 4.1.1 odd class"),
            (b"550-5.1.1 No\r\n550-5.1.1 such\r\n550 5.1.1 user\r\n", "550 5.1.1 No such user"),
            (b"354 go\r\n", "354 go"),
            (b"550 \xc7\xd1\xb1\xdb\r\n", "550 ????"),
            ("550 없음\r\n".as_bytes(), "550 없음"),
            (b"550 a\x00b\x1bc\rd\r\n", "550 a b c d"),
        ] {
            let (replies, error) = read(octets);
            assert_eq!((replies.len(), error), (1, None), "{octets:?}");
            assert_eq!(replies[0].to_string(), want);
        }
    }

    #[test]
    fn what_is_none() {
        let endless = [b"250-x\r\n".repeat(MAX_REPLY_LINES), b"250 x\r\n".to_vec()].concat();
        let wide = [b"250-".to_vec(), vec![b'x'; MAX_REPLY_LINE - 10], b"\r\n".to_vec()].concat().repeat(9);
        for (octets, want) in [
            (b"hello\r\n".to_vec(), ReplyError::Malformed),
            (b"\r\n".to_vec(), ReplyError::Malformed),
            (b"25\r\n".to_vec(), ReplyError::Malformed),
            (b"2500 x\r\n".to_vec(), ReplyError::Malformed),
            (b"150 x\r\n".to_vec(), ReplyError::Malformed),
            (b"650 x\r\n".to_vec(), ReplyError::Malformed),
            (b"250-a\r\n251 b\r\n".to_vec(), ReplyError::Malformed),
            (vec![b'2'; MAX_REPLY_LINE + 1], ReplyError::TooLong),
            (endless, ReplyError::TooLong),
            (wide, ReplyError::TooLong),
        ] {
            assert_eq!(read(&octets), (Vec::new(), Some(want)), "{:?}", &octets[..octets.len().min(20)]);
        }
    }

    #[test]
    fn what_came_before_the_garbage_counts() {
        let (replies, error) = read(b"250 one\r\n450 two\r\nbang\r\n250 three\r\n");
        assert_eq!(replies.iter().map(|reply| reply.code).collect::<Vec<_>>(), [250, 450]);
        assert_eq!(error, Some(ReplyError::Malformed));
    }

    #[test]
    fn the_text_is_capped_between_characters() {
        let reply = Reply { code: 550, enhanced: None, lines: vec!["한".repeat(MAX_REPLY_TEXT)] };
        assert!(reply.text().len() <= MAX_REPLY_TEXT);
    }

    proptest::proptest! {
        #[test]
        fn any_split_gives_the_same_replies(
            pieces in proptest::collection::vec(
                proptest::prop_oneof![
                    "(250|354|421|550)[ -]([245]\\.[0-9]\\.[0-9] )?[a-z ]{0,9}\r\n".prop_map(String::into_bytes),
                    proptest::collection::vec(proptest::prelude::any::<u8>(), 0..6),
                ], 0..12),
            cuts in proptest::collection::vec(1usize..9, 1..20),
        ) {
            let octets = pieces.concat();
            let mut reader = ReplyReader::default();
            let mut rest = &octets[..];
            for cut in cuts.iter().cycle() {
                let (head, tail) = rest.split_at(rest.len().min(*cut));
                reader.push(head);
                rest = tail;
                if rest.is_empty() { break; }
            }
            proptest::prop_assert_eq!(drain(&mut reader), read(&octets));
        }
    }
    use proptest::strategy::Strategy as _;
}
