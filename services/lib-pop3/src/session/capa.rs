//! CAPA (RFC 2449 §5): what may be used on this connection, now. There is no IMPLEMENTATION line (R1.6).

use super::{Maildrop, Session};

impl<M: Maildrop> Session<M> {
    /// A password is taken on this connection as it is now.
    pub(super) fn takes_password(&self) -> bool {
        self.tls || self.rules.clear_passwords
    }

    /// STLS may be given now.
    pub(super) fn offers_stls(&self) -> bool {
        self.rules.stls && !self.tls && !self.is_transaction()
    }

    pub(super) fn capa(&self, output: &mut Vec<u8>) {
        output.extend_from_slice(
            b"+OK Capabilities follow\r\nTOP\r\nUIDL\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\nPIPELINING\r\nEXPIRE NEVER\r\n",
        );
        if self.takes_password() {
            output.extend_from_slice(b"USER\r\nSASL PLAIN\r\n");
        }
        if self.offers_stls() {
            output.extend_from_slice(b"STLS\r\n");
        }
        output.extend_from_slice(b".\r\n");
    }
}
