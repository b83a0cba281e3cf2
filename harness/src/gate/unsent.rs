//! Whether what was written to a socket has arrived at the other end.
//!
//! A reset throws away what was not sent yet, so a cut after an exact octet waits for this first. The kernel tells it in its table of
//! connections, which needs no unsafe call.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::Instant;

/// Longest wait: an end that does not read gets what fits.
const PATIENCE: Duration = Duration::from_secs(2);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(1);

/// Waits until the other end's kernel has everything that was written, at most [`PATIENCE`].
pub(super) async fn arrived(stream: &TcpStream) {
    let (Ok(local), Ok(peer)) = (stream.local_addr(), stream.peer_addr()) else { return };
    let start = Instant::now();
    while unsent(local, peer).is_some_and(|octets| octets > 0) && start.elapsed() < PATIENCE {
        tokio::time::sleep(LOOK).await;
    }
}

/// Octets written and not acknowledged; `None` where the connection is not in the table.
fn unsent(local: SocketAddr, peer: SocketAddr) -> Option<u64> {
    let table = if local.is_ipv4() { "/proc/net/tcp" } else { "/proc/net/tcp6" };
    let text = std::fs::read_to_string(table).ok()?;
    let ends = format!(" {} {} ", printed(local), printed(peer));
    let line = text.lines().find(|line| line.contains(&ends))?;
    let queues = line.split_ascii_whitespace().nth(4)?;
    u64::from_str_radix(queues.split(':').next()?, 16).ok()
}

/// An address as the table has it: 32-bit words in the machine's order.
fn printed(address: SocketAddr) -> String {
    let octets = match address.ip() {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    };
    let words = octets.chunks_exact(4).map(|word| {
        let word = u32::from_ne_bytes([word[0], word[1], word[2], word[3]]);
        format!("{word:08X}")
    });
    format!("{}:{:04X}", words.collect::<String>(), address.port())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn the_kernel_tells_what_has_not_arrived() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let listener = std::net::TcpListener::bind(address).unwrap();
            let mut client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let ends = (client.local_addr().unwrap(), client.peer_addr().unwrap());
            client.set_nonblocking(true).unwrap();
            assert_eq!(unsent(ends.0, ends.1), Some(0), "{address}");
            let flood = vec![0; 1 << 20];
            while client.write(&flood).is_ok() {}
            assert!(unsent(ends.0, ends.1).unwrap() > 0, "{address}");
        }
    }
}
