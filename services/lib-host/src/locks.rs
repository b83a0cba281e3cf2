//! Which files are locked by anybody, told by the kernel: a look that takes no lock and so is in nobody's way.

use std::collections::HashSet;

use crate::Meta;

/// The files that some process had a `flock` on a moment ago. Files of a file system that tells `stat` another device number than the
/// kernel uses itself (btrfs) are missing, and so are locks of processes that this one may not see.
#[derive(Debug, Clone, Default)]
pub struct Locked(HashSet<(u64, u64)>);

impl Locked {
    /// Asks the kernel. Empty where it does not say.
    pub fn now() -> Locked {
        Locked::read(&std::fs::read_to_string("/proc/locks").unwrap_or_default())
    }

    /// Whether the file is among them.
    pub fn has(&self, file: &Meta) -> bool {
        self.0.contains(&(file.device, file.inode))
    }

    /// Reads lines as `1: FLOCK  ADVISORY  WRITE 4711 08:02:131090 0 EOF`; device numbers are hexadecimal.
    fn read(text: &str) -> Locked {
        let held = text.lines().filter_map(|line| {
            let mut words = line.split_whitespace().skip(1);
            // Who waits for a lock has an arrow in front.
            (words.next()? == "FLOCK").then_some(())?;
            let mut place = words.nth(3)?.split(':');
            let number = |text: &str| u32::from_str_radix(text, 16).ok();
            let (major, minor) = (number(place.next()?)?, number(place.next()?)?);
            Some((rustix::fs::makedev(major, minor), place.next()?.parse().ok()?))
        });
        Locked(held.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Access, Disk};

    #[test]
    fn lines_of_the_kernel() {
        let locked = Locked::read(
            "1: FLOCK  ADVISORY  WRITE 4711 08:02:131090 0 EOF\n1: -> FLOCK  ADVISORY  WRITE 4712 08:02:131091 0 EOF\n\
             2: POSIX  ADVISORY  WRITE 4711 08:02:131092 0 EOF\n3: FLOCK\nnonsense\n",
        );
        assert_eq!(locked.0, HashSet::from([(rustix::fs::makedev(8, 2), 131_090)]));
    }

    #[test]
    fn a_locked_file_is_seen_and_a_free_one_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let disk = Disk::real().dir(dir.path()).unwrap();
        let (held, free) = (disk.create("held").unwrap(), disk.create("free").unwrap());
        held.lock().unwrap();
        let looked = disk.open("held", Access::Read).unwrap().meta().unwrap();
        let locked = Locked::now();
        assert!(locked.has(&looked) && !locked.has(&free.meta().unwrap()));
        held.unlock().unwrap();
        assert!(!Locked::now().has(&looked));
    }
}
