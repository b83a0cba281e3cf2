//! Line 1: blank until the commit, then lengths and check sum of what follows.

use lib_mail::QueueId;

/// Octets of line 1, its LF included. The message begins here.
pub(crate) const FIRST_LINE: usize = 64;
/// What stands there until the commit.
pub(crate) const BLANK: [u8; FIRST_LINE] = blank();
const MARK: &str = "bongsu1";

const fn blank() -> [u8; FIRST_LINE] {
    let mut line = [b' '; FIRST_LINE];
    line[FIRST_LINE - 1] = b'\n';
    line
}

/// The check sum over id, message, envelope and line 1, in this order.
#[derive(Debug, Clone)]
pub(crate) struct Sum(crc32fast::Hasher);

impl Sum {
    pub(crate) fn new(id: &QueueId) -> Sum {
        let mut sum = Sum(crc32fast::Hasher::new());
        sum.add(id.as_str().as_bytes());
        sum
    }

    pub(crate) fn add(&mut self, octets: &[u8]) {
        self.0.update(octets);
    }

    pub(crate) fn value(self) -> u32 {
        self.0.finalize()
    }
}

/// Lengths of message and envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lengths {
    pub(crate) message: u64,
    pub(crate) envelope: u64,
}

/// What line 1 says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FirstLine {
    Blank,
    Good(Lengths, u32),
    Newer,
    Wrong,
}

impl Lengths {
    /// Where the envelope begins.
    pub(crate) fn envelope_at(self) -> u64 {
        (FIRST_LINE as u64).saturating_add(self.message)
    }

    /// Where the history begins: the least length of the file.
    pub(crate) fn history_at(self) -> u64 {
        self.envelope_at().saturating_add(self.envelope)
    }

    fn words(self) -> String {
        format!("{MARK} msg={} env={}", self.message, self.envelope)
    }

    /// The check sum, where `sum` has seen id, message and envelope.
    pub(crate) fn sum(self, mut sum: Sum) -> u32 {
        sum.add(self.words().as_bytes());
        sum.value()
    }

    /// Line 1 for this check sum. Lengths of 20 digits would still fit.
    pub(crate) fn line(self, sum: u32) -> [u8; FIRST_LINE] {
        let mut line = BLANK;
        let words = format!("{} crc={sum:08x}", self.words());
        let len = words.len().min(FIRST_LINE - 1);
        line[..len].copy_from_slice(&words.as_bytes()[..len]);
        line
    }
}

impl FirstLine {
    /// Reads the beginning of a file: its first 64 octets, or all of it where it is shorter.
    pub(crate) fn read(octets: &[u8]) -> FirstLine {
        if octets.iter().all(|octet| matches!(octet, b' ' | b'\n' | 0)) {
            return FirstLine::Blank;
        }
        let text = std::str::from_utf8(octets).unwrap_or_default();
        let mut words = text.trim_end().split(' ');
        match words.next().and_then(|mark| mark.strip_prefix("bongsu")) {
            Some("1") => {}
            Some(digits) if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) => return FirstLine::Newer,
            _ => return FirstLine::Wrong,
        }
        FirstLine::read_words(&mut words)
            .filter(|(lengths, sum)| lengths.line(*sum) == octets)
            .map_or(FirstLine::Wrong, |(lengths, sum)| FirstLine::Good(lengths, sum))
    }

    fn read_words<'a>(words: &mut impl Iterator<Item = &'a str>) -> Option<(Lengths, u32)> {
        let message = words.next()?.strip_prefix("msg=")?.parse().ok()?;
        let envelope = words.next()?.strip_prefix("env=")?.parse().ok()?;
        let sum = u32::from_str_radix(words.next()?.strip_prefix("crc=")?, 16).ok()?;
        Some((Lengths { message, envelope }, sum))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_a_first_line_may_be() {
        let good = Lengths { message: 2048, envelope: 300 }.line(0xabc);
        assert_eq!(&good, b"bongsu1 msg=2048 env=300 crc=00000abc                          \n");
        let with = |from: &str, to: &str| String::from_utf8(good.to_vec()).unwrap().replace(from, to).into_bytes();
        for (octets, want) in [
            (good.to_vec(), FirstLine::Good(Lengths { message: 2048, envelope: 300 }, 0xabc)),
            (BLANK.to_vec(), FirstLine::Blank),
            (vec![], FirstLine::Blank),
            (vec![0; 64], FirstLine::Blank),
            (b"   ".to_vec(), FirstLine::Blank),
            (with("bongsu1", "bongsu2"), FirstLine::Newer),
            (with("bongsu1 ", "bongsu12 "), FirstLine::Newer),
            (with("bongsu1", "bongsux"), FirstLine::Wrong),
            (with("bongsu1", "bongsu "), FirstLine::Wrong),
            (with("msg=2048", "msg=+048"), FirstLine::Wrong),
            (with("msg=2048", "msg=0204"), FirstLine::Wrong),
            (with("abc", "ABC"), FirstLine::Wrong),
            (good[..63].to_vec(), FirstLine::Wrong),
            (b"Subject: x".to_vec(), FirstLine::Wrong),
            (vec![0xff; 64], FirstLine::Wrong),
        ] {
            assert_eq!(FirstLine::read(&octets), want, "{}", String::from_utf8_lossy(&octets));
        }
    }

    proptest! {
        #[test]
        fn any_lengths_come_back(message in 0..1u64 << 50, envelope in 0..1u64 << 30, sum: u32) {
            let lengths = Lengths { message, envelope };
            prop_assert_eq!(FirstLine::read(&lengths.line(sum)), FirstLine::Good(lengths, sum));
        }

        #[test]
        fn no_octets_panic(octets in proptest::collection::vec(any::<u8>(), 0..=64)) {
            let _ = FirstLine::read(&octets);
        }
    }
}
