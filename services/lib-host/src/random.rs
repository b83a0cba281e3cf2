//! Random bytes from the kernel.

use rustix::rand::{GetRandomFlags, getrandom};

/// Bytes nobody can guess. Waits, at most once after the machine's start, until the kernel has gathered enough.
pub fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    let mut filled = 0;
    while filled < N {
        // getrandom fails only by EINTR (ask again) and by ENOSYS, which no kernel since 3.17 gives.
        if let Ok(count) = getrandom(&mut bytes[filled..], GetRandomFlags::empty()) {
            filled += count;
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    #[test]
    fn two_calls_differ() {
        assert_ne!(super::random_bytes::<16>(), super::random_bytes::<16>());
    }
}
