//! Peers, spoken to by the plain client.

use std::io::{BufRead, BufReader, Read, Write};
use std::time::Instant;

use super::*;
use crate::smtp::Smtp;
use crate::wait::wait_until;

const LONG: Duration = Duration::from_secs(10);
const SHORT: Duration = Duration::from_millis(150);

fn peer(keywords: &[&str]) -> Peer {
    Peer::start("127.0.0.1".parse().unwrap(), 0, keywords).unwrap()
}

fn smtp(peer: &Peer) -> Smtp {
    Smtp::connect(peer.address(), LONG).unwrap()
}

fn send(peer: &Peer) -> Result<u16> {
    let mut session = Smtp::connect(peer.address(), LONG)?;
    Ok(session.transaction("a@a.example", &["b@b.example"], b"x\r\n")?.code)
}

#[test]
fn it_obeys() {
    let peer = peer(&["PIPELINING", "SIZE 1000"]);
    peer.answer("RCPT TO:<b@", 1, "451 4.7.1 later");
    let mut smtp = smtp(&peer);
    assert_eq!(smtp.command("EHLO me").unwrap().lines, ["peer.example", "PIPELINING", "SIZE 1000"]);
    assert!(smtp.transaction("a@a.example", &["b@b.example"], b"x").is_err());
    smtp.command("RSET").unwrap();
    smtp.transaction("a@a.example", &["b@b.example"], b"..x\r\n").unwrap().expect(250).unwrap();
    assert_eq!(peer.taken()[0].message, b"..x\r\n");
    assert_eq!(peer.taken()[0].tls, None);
    peer.answer("NOOP", None, "");
    assert!(smtp.command("NOOP").is_err());
}

#[test]
fn it_is_late_and_it_drips() {
    let peer = peer(&[]);
    peer.script("NOOP", 1, Deed::Late(SHORT));
    peer.script("RSET", 1, Deed::Dribble(Duration::from_millis(10)));
    let mut smtp = smtp(&peer);
    for (command, least) in [("NOOP", SHORT), ("RSET", Duration::from_millis(140))] {
        let start = Instant::now();
        smtp.command(command).unwrap().expect(250).unwrap();
        assert!(start.elapsed() >= least, "{command}");
    }
}

#[test]
fn it_stalls_and_breaks_off() {
    let peer = peer(&[]);
    peer.script("NOOP", None, Deed::Stall);
    peer.script("VRFY", None, Deed::Reset);
    peer.script("HELP", None, Deed::Farewell("421 4.3.2 bye".into()));
    let mut stalled = smtp(&peer);
    stalled.stream().set_read_timeout(Some(SHORT)).unwrap();
    assert!(stalled.command("NOOP").is_err());
    let error = smtp(&peer).command("VRFY x").unwrap_err();
    assert!(format!("{error:#}").contains("reset"), "{error:#}");
    let mut told = smtp(&peer);
    told.command("HELP").unwrap().expect(421).unwrap();
    assert!(told.reply().is_err());
    stalled.stream().set_read_timeout(Some(LONG)).unwrap();
    drop(peer);
    assert!(format!("{:#}", stalled.reply().unwrap_err()).contains("ended"), "a stalled session ends with the peer");
}

#[test]
fn messages_without_an_end_are_kept_apart() {
    let peer = peer(&[]);
    peer.script("DATA", 1, Deed::DropAfter(7));
    let mut session = smtp(&peer);
    assert!(session.transaction("a@a.example", &["b@b.example"], &b"..\r\n12345\r\n".repeat(10_000)).is_err());
    let mut session = smtp(&peer);
    for (command, code) in [("MAIL FROM:<a@a>", 250), ("RCPT TO:<b@b>", 250), ("DATA", 354)] {
        session.command(command).unwrap().expect(code).unwrap();
    }
    session.send(b"half a li").unwrap();
    drop(session);
    wait_until("both", LONG, || peer.unfinished().len() == 2).unwrap();
    let unfinished = peer.unfinished();
    // Of the three dots on the wire, the first is stuffing.
    assert_eq!(unfinished[0].message, b"..\r\n12");
    assert_eq!((unfinished[1].mail.as_str(), unfinished[1].message.as_slice()), ("MAIL FROM:<a@a>", b"half a li".as_slice()));
    assert!(peer.taken().is_empty());
}

#[test]
fn it_lies() {
    let peer = peer(&[]);
    peer.script(".", 1, Deed::Keep("451 4.3.0 not taken".into()));
    peer.script(".", 1, Deed::Forget);
    assert_eq!((send(&peer).unwrap(), peer.taken().len()), (250, 0));
    assert_eq!((send(&peer).unwrap(), peer.taken().len()), (451, 1));
    assert_eq!((send(&peer).unwrap(), peer.taken().len()), (250, 2));
}

/// STARTTLS and the handshake.
fn under_tls(peer: &Peer) -> Result<crate::tls::Client> {
    let mut session = Smtp::connect(peer.address(), LONG)?;
    assert!(session.command("EHLO a")?.lines.contains(&"STARTTLS".to_owned()));
    session.command("MAIL FROM:<before@a>")?;
    session.command("STARTTLS")?.expect(220)?;
    crate::tls::handshake(session.stream().try_clone()?)
}

#[test]
fn under_tls_it_knows_so() {
    for certificate in [Certificate::SelfSigned, Certificate::Expired, Certificate::WrongName] {
        let peer = peer(&["SIZE"]);
        peer.offer_tls(certificate).unwrap();
        let mut client = BufReader::new(under_tls(&peer).unwrap());
        client.get_mut().write_all(b"EHLO a\r\nMAIL FROM:<a@a>\r\nRCPT TO:<b@b>\r\nDATA\r\n").unwrap();
        let mut line = String::new();
        while !line.ends_with("354 go on\r\n") {
            assert!(client.read_line(&mut line).unwrap() > 0, "{line}");
        }
        assert!(!line.contains("STARTTLS"), "{line}");
        client.get_mut().write_all(b"x\r\n.\r\nQUIT\r\n").unwrap();
        // The peer closes without a word of TLS, as many do.
        let _ = client.read_to_string(&mut line);
        let taken = peer.taken();
        let tls = taken[0].tls.as_ref().unwrap();
        assert_eq!((tls.version.as_str(), tls.server_name.as_deref()), ("TLSv1_3", Some("server.example")));
        assert_eq!(taken[0].mail, "MAIL FROM:<a@a>");
    }
}

#[test]
fn the_handshake_breaks() {
    let peer = peer(&[]);
    peer.offer_tls(Certificate::SelfSigned).unwrap();
    peer.script("STARTTLS", 1, Deed::BreakTls);
    assert!(under_tls(&peer).is_err());
    peer.script("STARTTLS", 1, Deed::Farewell("220 go".into()));
    assert!(under_tls(&peer).is_err());
    under_tls(&peer).unwrap();
}

#[test]
fn a_gate_hides_tls_and_garbles_it() {
    use crate::gate::{Gate, Place, Side, Trip, What};
    let peer = peer(&[]);
    peer.offer_tls(Certificate::SelfSigned).unwrap();
    let gate = Gate::open("127.0.0.1:0".parse().unwrap(), peer.address(), None, ("a".into(), "b".into())).unwrap();
    let through = || -> Result<bool> {
        let mut session = Smtp::connect(gate.address(), LONG)?;
        if !session.command("EHLO a")?.lines.contains(&"STARTTLS".to_owned()) {
            return Ok(false);
        }
        session.command("STARTTLS")?.expect(220)?;
        crate::tls::handshake(session.stream().try_clone()?)?;
        Ok(true)
    };
    assert!(through().unwrap());
    gate.trip(Trip::before(Place::Connect, What::StripStartTls));
    assert!(!through().unwrap());
    gate.trip(Trip::before(Place::Connect, What::BreakTls));
    assert!(through().is_err());
    // The first octet after STARTTLS, of the handshake itself.
    gate.trip(Trip::after(Place::Octet(Side::Client, 8 + 10 + 1), What::Reset));
    assert!(through().is_err());
    assert!(through().unwrap());
    let dialogue = &gate.dialogues()[0];
    assert!(dialogue.lines.iter().any(|(_, side, text)| *side == 'S' && text.starts_with("(TLS, ")), "{dialogue:?}");
}
