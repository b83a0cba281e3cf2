//! Gates on real sockets, between the plain client and the scripted peer or a server of octets.

mod moods;
mod trips;

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use super::*;
use crate::peer::Peer;
use crate::smtp::Smtp;
use crate::wait::wait_until;

/// Long enough for anything that comes at all.
const LONG: Duration = Duration::from_secs(10);
/// Long enough to see that nothing comes.
const SHORT: Duration = Duration::from_millis(150);

const ANY: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

fn names() -> (String, String) {
    ("a".into(), "b".into())
}

fn peer() -> Peer {
    Peer::start(ANY.ip(), 0, &["PIPELINING"]).unwrap()
}

fn before(peer: &Peer) -> Gate {
    Gate::open(ANY, peer.address(), None, names()).unwrap()
}

fn smtp(gate: &Gate) -> Smtp {
    Smtp::connect(gate.address(), LONG).unwrap()
}

/// Says a command and hears nothing.
fn silent(session: &mut Smtp, command: &str) {
    session.stream().set_read_timeout(Some(SHORT)).unwrap();
    let error = session.command(command).unwrap_err();
    assert!(is(&error, ErrorKind::WouldBlock), "{error:#}");
    session.stream().set_read_timeout(Some(LONG)).unwrap();
}

/// Whether an error, or what is below it, is of this kind.
fn is(error: &anyhow::Error, kind: ErrorKind) -> bool {
    error.chain().any(|cause| cause.downcast_ref::<std::io::Error>().is_some_and(|io| io.kind() == kind))
}

/// What a connection to [`Recorder`] received, and how it ended.
type Received = (Vec<u8>, std::result::Result<(), ErrorKind>);

/// Says `says` at once to each connection and reports what it received.
fn recorder(says: &[u8]) -> (SocketAddr, Receiver<Received>) {
    let listener = TcpListener::bind(ANY).unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, receiver) = channel();
    let says = says.to_vec();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(std::result::Result::ok) {
            let (says, sender) = (says.clone(), sender.clone());
            std::thread::spawn(move || {
                let _ = stream.write_all(&says);
                let _ = sender.send(read(&mut stream));
            });
        }
    });
    (address, receiver)
}

/// Everything up to the end, and how that was.
fn read(stream: &mut TcpStream) -> Received {
    let (mut all, mut some) = (Vec::new(), [0; 4096]);
    loop {
        match stream.read(&mut some) {
            Ok(0) => return (all, Ok(())),
            Ok(n) => all.extend_from_slice(&some[..n]),
            Err(error) => return (all, Err(error.kind())),
        }
    }
}

#[test]
fn a_gate_passes_and_writes_down() {
    let listener = TcpListener::bind(ANY).unwrap();
    let from: IpAddr = "127.0.7.9".parse().unwrap();
    let gate = Gate::open(ANY, listener.local_addr().unwrap(), Some(from), names()).unwrap();
    gate.since(Instant::now() - Duration::from_secs(100));
    let client = TcpStream::connect(gate.address()).unwrap();
    let (mut server, peer) = listener.accept().unwrap();
    assert_eq!(peer.ip(), from);
    server.write_all(b"220 hi\r\n").unwrap();
    let (mut smtp, _) = Smtp::over(client, LONG).unwrap();
    smtp.send(b"QUIT\r\n").unwrap();
    smtp.stream().shutdown(std::net::Shutdown::Write).unwrap();
    let mut said = String::new();
    server.read_to_string(&mut said).unwrap();
    assert_eq!(said, "QUIT\r\n", "and then the end");
    // The other direction still stands.
    server.write_all(b"221 bye\r\n").unwrap();
    assert_eq!(smtp.reply().unwrap().code, 221);
    drop(server);
    assert!(smtp.reply().is_err());
    wait_until("the end of the connection", LONG, || gate.counts().open == 0).unwrap();
    assert_eq!(gate.counts(), Counts { connections: 1, open: 0, from_client: 6, from_server: 17, trips: 0 });
    let dialogues = gate.dialogues();
    let texts: Vec<String> = dialogues[0].lines.iter().map(|(_, side, text)| format!("{side}: {text}")).collect();
    assert_eq!(texts, ["S: 220 hi", "C: QUIT", "S: 221 bye"]);
    assert!(dialogues[0].at >= Duration::from_secs(100) && dialogues[0].lines[0].0 >= dialogues[0].at);
    assert_eq!((dialogues[0].from.as_str(), dialogues[0].to.as_str(), dialogues[0].end.as_str()), ("a", "b", "closed"));
    assert_eq!((gate.take_ended().len(), gate.dialogues().len()), (1, 0));
}

#[test]
fn a_thousand_at_once() {
    let peer = peer();
    let gate = before(&peer);
    let mut sessions: Vec<Smtp> = (0..1000).map(|_| smtp(&gate)).collect();
    assert_eq!(gate.counts().open, 1000);
    for session in &mut sessions {
        session.send(b"MAIL FROM:<a@a>\r\nRCPT TO:<b@b>\r\nDATA\r\n").unwrap();
    }
    for session in &mut sessions {
        let codes = [250, 250, 354].map(|_| session.reply().unwrap().code);
        assert_eq!(codes, [250, 250, 354]);
        session.send(b"x\r\n.\r\n").unwrap();
    }
    for mut session in sessions {
        session.reply().unwrap().expect(250).unwrap();
        session.quit().unwrap();
    }
    assert_eq!(peer.taken().len(), 1000);
    wait_until("the end of all", LONG, || gate.counts().open == 0).unwrap();
}

#[test]
fn dropped_it_resets_and_gives_the_port_back() {
    let peer = peer();
    let gate = before(&peer);
    let address = gate.address();
    let mut session = smtp(&gate);
    drop(gate);
    assert!(is(&session.command("NOOP").unwrap_err(), ErrorKind::ConnectionReset));
    assert_eq!(TcpStream::connect(address).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    let again = Gate::open(address, peer.address(), None, names()).unwrap();
    smtp(&again).quit().unwrap();
    assert!(Gate::open(address, peer.address(), None, names()).is_err(), "the port is taken");
}

#[test]
fn a_server_that_is_not_there_ends_the_connection() {
    let gone = TcpListener::bind(ANY).unwrap().local_addr().unwrap();
    let gate = Gate::open(ANY, gone, None, names()).unwrap();
    assert!(Smtp::connect(gate.address(), LONG).is_err());
    wait_until("the end", LONG, || gate.counts().open == 0).unwrap();
    assert!(gate.dialogues()[0].end.starts_with("the server could not be reached"), "{:?}", gate.dialogues());
}

#[test]
fn ipv6() {
    let peer = Peer::start("::1".parse().unwrap(), 0, &[]).unwrap();
    let gate = Gate::open("[::1]:0".parse().unwrap(), peer.address(), Some("::1".parse().unwrap()), names()).unwrap();
    smtp(&gate).quit().unwrap();
    gate.mood(Mood::BlackHole).unwrap();
    assert_eq!(TcpStream::connect_timeout(&gate.address(), SHORT).unwrap_err().kind(), ErrorKind::TimedOut);
    gate.mood(Mood::Refuse).unwrap();
    assert_eq!(TcpStream::connect(gate.address()).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    gate.mood(Mood::Pass).unwrap();
    smtp(&gate).quit().unwrap();
}
