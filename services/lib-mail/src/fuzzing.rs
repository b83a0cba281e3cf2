//! The proving ground of this crate's readers of messages, for the fuzz target and for the replay of its corpus in the normal test run.

use crate::seven_bit::seven_bit;

/// Takes arbitrary octets as a message for a server that takes 7-bit mail alone. Panics where what comes out is not, or is changed by a
/// second conversion.
pub fn message(octets: &[u8]) {
    let Some(converted) = seven_bit(octets) else {
        assert!(!octets.is_ascii(), "a message that needs nothing is refused");
        return;
    };
    assert!(converted.is_ascii(), "8-bit octets are left");
    assert_eq!(seven_bit(&converted).as_ref(), Some(&converted));
}
