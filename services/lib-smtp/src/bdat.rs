//! The octets after BDAT (RFC 3030): counted, so they need no end; but the same rules of content hold as after DATA, across the
//! borders of chunks too, because the message may go on to a hop that only knows DATA.

use memchr::memchr3;

use crate::data::ContentFault;

/// The largest chunk that is counted out. Who announces more is not waited for.
pub const MAX_CHUNK: u64 = 1 << 32;

/// Watches the line ends of a message that comes in chunks.
#[derive(Debug, Default)]
pub struct ChunkScan {
    /// The last octet was CR, so the next must be LF.
    after_cr: bool,
    /// The last two octets were CRLF, or there was none yet.
    unterminated: bool,
    fault: Option<ContentFault>,
}

impl ChunkScan {
    /// Looks at the next octets, whatever chunk they are of.
    pub fn look(&mut self, octets: &[u8]) {
        let mut at = 0;
        if self.after_cr
            && let Some(first) = octets.first()
        {
            self.after_cr = false;
            if *first == b'\n' {
                at = 1;
                self.unterminated = false;
            } else {
                self.spoil(ContentFault::BareCr);
            }
        }
        while let Some(found) = memchr3(b'\r', b'\n', 0, &octets[at..]) {
            let place = at + found;
            match (octets[place], octets.get(place + 1)) {
                (b'\r', Some(b'\n')) => {
                    at = place + 2;
                    self.unterminated = at < octets.len();
                    continue;
                }
                (b'\r', None) => self.after_cr = true,
                (b'\r', Some(_)) => self.spoil(ContentFault::BareCr),
                (b'\n', _) => self.spoil(ContentFault::BareLf),
                _ => self.spoil(ContentFault::Nul),
            }
            at = place + 1;
        }
        if at < octets.len() || self.after_cr {
            self.unterminated = true;
        }
    }

    /// The first fault of what was seen.
    pub fn fault(&self) -> Option<ContentFault> {
        self.fault
    }

    /// The last chunk is over: the message's fault, or whether a CRLF must be added so that its last line ends.
    pub fn finish(&self) -> Result<bool, ContentFault> {
        match self.fault {
            Some(fault) => Err(fault),
            None if self.after_cr => Err(ContentFault::BareCr),
            None => Ok(self.unterminated),
        }
    }

    fn spoil(&mut self, fault: ContentFault) {
        self.fault.get_or_insert(fault);
    }
}

#[cfg(test)]
mod tests {
    use super::ContentFault::{BareCr, BareLf, Nul};
    use super::*;

    #[test]
    fn chunks() {
        for (chunks, want) in [
            (&[&b""[..]][..], Ok(false)),
            (&[b"a\r\n"], Ok(false)),
            (&[b"a"], Ok(true)),
            (&[b"a\r\n", b"b"], Ok(true)),
            (&[b"a\r\nb"], Ok(true)),
            (&[b"a\r", b"\n"], Ok(false)),
            (&[b"a\r", b"", b"\n"], Ok(false)),
            (&[b"a\r", b"\nb"], Ok(true)),
            (&[b"\r\n", b"."], Ok(true)),
            (&[b"\r\n.\r\n"], Ok(false)),
            (&[b"a\r\n", b""], Ok(false)),
            (&[b"a", b""], Ok(true)),
            (&[b"a\r"], Err(BareCr)),
            (&[b"a\r", b"b\r\n"], Err(BareCr)),
            (&[b"a\r", b"\r\n"], Err(BareCr)),
            (&[b"a", b"\nb"], Err(BareLf)),
            (&[b"a\r\n", b"\nb"], Err(BareLf)),
            (&[b"a\n.\r\n"], Err(BareLf)),
            (&[b"a\r.\r\n"], Err(BareCr)),
            (&[b"a", b"\0", b"b"], Err(Nul)),
            (&[b"\r", b"\0"], Err(BareCr)),
        ] {
            let mut scan = ChunkScan::default();
            chunks.iter().for_each(|chunk| scan.look(chunk));
            assert_eq!(scan.finish(), want, "{chunks:?}");
            let mut scan = ChunkScan::default();
            chunks.concat().iter().for_each(|octet| scan.look(&[*octet]));
            assert_eq!(scan.finish(), want, "{chunks:?} octet by octet");
        }
    }
}
