//! The sockets that the supervisor opens and passes on: roles never bind anything themselves.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use lib_net::wake::Consumer;
use rustix::io::Errno;
use socket2::{Domain, Protocol, Socket, Type};

/// Connections that the kernel holds for us until a role accepts them.
const BACKLOG: i32 = 1024;
/// How long a taken port may be that of roles whose supervisor was just killed: they end by themselves when they see it gone.
const LEAVING: Duration = Duration::from_secs(2);
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Opens a listening TCP socket. IPv6 sockets take IPv6 only, so that the two families are two listeners everywhere.
///
/// # Errors
/// One line that names the port, what is wrong and what to do; `setting` is the place that chose the port.
pub(crate) fn listen(address: SocketAddr, setting: &str) -> Result<TcpListener> {
    let start = Instant::now();
    loop {
        match bind(address) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && start.elapsed() < LEAVING => {
                std::thread::sleep(LOOK_AGAIN)
            }
            other => return other.map_err(|error| explain(address, setting, &error)),
        }
    }
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM.cloexec(), Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

fn explain(address: SocketAddr, setting: &str, error: &io::Error) -> anyhow::Error {
    let port = address.port();
    match error.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::ADDRINUSE) => anyhow!(
            "port {port} on {} is taken by another program; see which with \"ss -ltnp sport = :{port}\" and stop it, or choose another port in {setting}",
            address.ip()
        ),
        Some(Errno::ACCESS | Errno::PERM) => anyhow!(
            "port {port} is not ours to open: ports below 1024 need root or \"sysctl net.ipv4.ip_unprivileged_port_start={port}\"; or choose a port from 1024 up in {setting}"
        ),
        Some(Errno::ADDRNOTAVAIL) => {
            anyhow!("{} is no address of this machine (see: ip address); choose another in {setting}", address.ip())
        }
        Some(Errno::AFNOSUPPORT) => anyhow!("this machine has no IPv6; remove {address} from {setting}"),
        _ => anyhow!("cannot listen on {address}: {error} (set in {setting})"),
    }
}

/// Whether the machine has IPv6 at all; without it, IPv6 listeners of the defaults are left out.
pub(crate) fn has_ipv6() -> bool {
    Socket::new(Domain::IPV6, Type::STREAM, None)
        .and_then(|socket| socket.bind(&SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, 0)).into()))
        .is_ok()
}

/// Binds the socket on which a queue's consumer is woken. What lies at its path is from a supervisor that is dead: we hold the lock.
pub(crate) fn wake(run: &Path, consumer: Consumer) -> Result<OwnedFd> {
    let path = run.join(consumer.socket_name());
    let socket = clear(&path).and_then(|()| UnixDatagram::bind(&path)).with_context(|| place(&path))?;
    socket.set_nonblocking(true)?;
    open_to_roles(&path)?;
    Ok(socket.into())
}

/// Binds a listening socket of ours in `run`.
pub(crate) fn unix(path: &Path) -> Result<UnixListener> {
    let socket = clear(path).and_then(|()| UnixListener::bind(path)).with_context(|| place(path))?;
    open_to_roles(path)?;
    Ok(socket)
}

/// Roles may run as other users; who else reaches the directory is not kept out by this but by the directory and peer credentials.
fn open_to_roles(path: &Path) -> Result<()> {
    std::fs::set_permissions(path, PermissionsExt::from_mode(0o666)).with_context(|| place(path))
}

fn clear(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn place(path: &Path) -> String {
    let long = path.as_os_str().len() > 100;
    let advice = if long { "; its path is too long for a socket, choose a shorter --data" } else { "" };
    format!("cannot make the socket {}{advice}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_named_with_the_way_to_find_who_has_it() {
        let holder = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = holder.local_addr().unwrap();
        let text = listen(address, "bongsu.toml:7").unwrap_err().to_string();
        for part in [&format!("port {}", address.port()), "taken", "ss -ltnp", "bongsu.toml:7"] {
            assert!(text.contains(part), "{text}");
        }
        assert_eq!(text.lines().count(), 1);
    }

    #[test]
    fn a_foreign_address_is_named() {
        let text = listen("192.0.2.1:2525".parse().unwrap(), "the defaults").unwrap_err().to_string();
        assert!(text.contains("no address of this machine"), "{text}");
    }

    #[test]
    fn what_a_dead_supervisor_left_does_not_stop_the_next() {
        let dir = tempfile::tempdir().unwrap();
        for _ in 0..2 {
            wake(dir.path(), Consumer::Local).unwrap();
            unix(&dir.path().join("auth.sock")).unwrap();
        }
    }
}
