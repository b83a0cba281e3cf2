//! Between the two forms of a message: CRLF on the wire, LF on disk (docs/mailbox.md, *A message file*).
//!
//! Both directions stream: any split of the input gives the same output. Both leave alone what is not a line end of the other
//! form, so that a file of another tool that holds CRLF, or a lone CR, is served as it is.

use memchr::{memchr, memchr_iter};

/// Turns wire form into disk form: CRLF becomes LF.
#[derive(Debug, Default)]
pub(crate) struct ToDisk {
    /// The last octet was a CR that is not written yet.
    held: bool,
}

impl ToDisk {
    /// Appends the disk form of the next part.
    pub(crate) fn push(&mut self, part: &[u8], disk: &mut Vec<u8>) {
        let Some(first) = part.first() else { return };
        if self.held && *first != b'\n' {
            disk.push(b'\r');
        }
        self.held = false;
        let mut rest = part;
        while let Some(at) = memchr(b'\r', rest) {
            disk.extend_from_slice(&rest[..at]);
            rest = &rest[at + 1..];
            match rest.first() {
                None => self.held = true,
                Some(b'\n') => {}
                Some(_) => disk.push(b'\r'),
            }
        }
        disk.extend_from_slice(rest);
    }

    /// Appends what is still held at the end.
    pub(crate) fn finish(self, disk: &mut Vec<u8>) {
        if self.held {
            disk.push(b'\r');
        }
    }
}

/// Turns disk form into wire form: LF becomes CRLF where no CR stands before it, and the last line gets its CRLF.
#[derive(Debug)]
pub(crate) struct ToWire {
    /// The last octet of the disk form so far; LF before the first, since an empty message needs no line end.
    last: u8,
}

impl Default for ToWire {
    fn default() -> Self {
        ToWire { last: b'\n' }
    }
}

impl ToWire {
    /// Appends the wire form of the next part.
    pub(crate) fn push(&mut self, part: &[u8], wire: &mut Vec<u8>) {
        let mut from = 0;
        for at in memchr_iter(b'\n', part) {
            let before = if at == 0 { self.last } else { part[at - 1] };
            if before == b'\r' {
                continue;
            }
            wire.extend_from_slice(&part[from..at]);
            wire.extend_from_slice(b"\r\n");
            from = at + 1;
        }
        wire.extend_from_slice(&part[from..]);
        self.last = *part.last().unwrap_or(&self.last);
    }

    /// Appends the line end that the last line lacks.
    pub(crate) fn finish(self, wire: &mut Vec<u8>) {
        if self.last != b'\n' {
            wire.extend_from_slice(b"\r\n");
        }
    }
}

/// Counts the octets that [`ToWire`] makes of a disk form.
#[derive(Debug)]
pub(crate) struct WireSize {
    octets: u64,
    last: u8,
}

impl Default for WireSize {
    fn default() -> Self {
        WireSize { octets: 0, last: b'\n' }
    }
}

impl WireSize {
    /// Counts the next part.
    pub(crate) fn push(&mut self, part: &[u8]) {
        let bare = memchr_iter(b'\n', part).filter(|at| if *at == 0 { self.last } else { part[at - 1] } != b'\r').count();
        self.octets += (part.len() + bare) as u64;
        self.last = *part.last().unwrap_or(&self.last);
    }

    /// The size, the line end that the last line lacks included.
    pub(crate) fn finish(self) -> u64 {
        self.octets + if self.last == b'\n' { 0 } else { 2 }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Runs a text through both directions, cut into parts of the given sizes.
    fn split(text: &[u8], sizes: &[usize], mut push: impl FnMut(&[u8])) {
        let mut rest = text;
        for size in sizes.iter().cycle().take(text.len()) {
            let (part, after) = rest.split_at((*size).min(rest.len()));
            push(part);
            rest = after;
        }
        push(rest);
    }

    fn to_disk(wire: &[u8], sizes: &[usize]) -> Vec<u8> {
        let (mut form, mut disk) = (ToDisk::default(), Vec::new());
        split(wire, sizes, |part| form.push(part, &mut disk));
        form.finish(&mut disk);
        disk
    }

    fn to_wire(disk: &[u8], sizes: &[usize]) -> Vec<u8> {
        let (mut form, mut size, mut wire) = (ToWire::default(), WireSize::default(), Vec::new());
        split(disk, sizes, |part| {
            form.push(part, &mut wire);
            size.push(part);
        });
        form.finish(&mut wire);
        assert_eq!(size.finish(), wire.len() as u64);
        wire
    }

    #[test]
    fn both_forms() {
        for (wire, disk, back) in [
            ("a\r\nb\r\n", "a\nb\n", "a\r\nb\r\n"),
            ("\r\n\r\n", "\n\n", "\r\n\r\n"),
            ("", "", ""),
            ("a", "a", "a\r\n"),
            ("a\r\nb", "a\nb", "a\r\nb\r\n"),
            // What the door refuses still loses nothing but its form.
            ("a\rb\r\n", "a\rb\n", "a\rb\r\n"),
            ("a\r", "a\r", "a\r\r\n"),
            ("a\r\r\n", "a\r\n", "a\r\n"),
        ] {
            for sizes in [&[1][..], &[2], &[3, 1], &[100]] {
                assert_eq!(to_disk(wire.as_bytes(), sizes), disk.as_bytes(), "{wire:?}");
                assert_eq!(to_wire(disk.as_bytes(), sizes), back.as_bytes(), "{disk:?}");
            }
        }
    }

    #[test]
    fn a_file_with_crlf_is_served_as_it_is() {
        for disk in ["a\r\nb\r\n", "\r\n"] {
            assert_eq!(to_wire(disk.as_bytes(), &[1]), disk.as_bytes());
        }
        assert_eq!(to_wire(b"a\r\nb\nc", &[2]), b"a\r\nb\r\nc\r\n");
    }

    proptest! {
        #[test]
        fn wire_to_disk_to_wire_is_the_same(lines in prop::collection::vec("[^\r\n]{0,20}", 0..20), ended: bool, sizes in prop::collection::vec(1usize..9, 1..5)) {
            let mut wire = lines.join("\r\n").into_bytes();
            if ended && !lines.is_empty() {
                wire.extend_from_slice(b"\r\n");
            }
            let disk = to_disk(&wire, &sizes);
            prop_assert!(!disk.contains(&b'\r'));
            let mut whole = wire.clone();
            if !wire.is_empty() && !wire.ends_with(b"\r\n") {
                whole.extend_from_slice(b"\r\n");
            }
            prop_assert_eq!(to_wire(&disk, &sizes), whole);
        }

        #[test]
        fn any_split_gives_the_same(octets in prop::collection::vec(prop::sample::select(&b"a\r\n.\0\xff"[..]), 0..60), sizes in prop::collection::vec(1usize..9, 1..5)) {
            prop_assert_eq!(to_disk(&octets, &sizes), to_disk(&octets, &[1000]));
            prop_assert_eq!(to_wire(&octets, &sizes), to_wire(&octets, &[1000]));
        }
    }
}
