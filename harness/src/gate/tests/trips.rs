use super::*;

const MESSAGE: &[u8] = b"Subject: x\r\n\r\nbody\r\n";

fn transaction(gate: &Gate) -> Result<()> {
    let mut session = Smtp::connect(gate.address(), Duration::from_secs(2))?;
    session.command("EHLO a")?.expect(250)?;
    session.transaction("a@a.example", &["b@b.example"], MESSAGE)?.expect(250)?;
    session.quit()
}

#[test]
fn a_lost_reply_leaves_the_message_with_the_server() {
    for (how, kind, end) in [
        (How::Fin, None, "closed by the gate after the final dot"),
        (How::Reset, Some(ErrorKind::ConnectionReset), "reset by the gate after the final dot"),
        (How::Silence, Some(ErrorKind::WouldBlock), "silenced by the gate after the final dot"),
    ] {
        let peer = peer();
        let gate = before(&peer);
        let number = gate.trip(Trip::after(Place::FinalDot, What::LoseReply(how)).times(2));
        for _ in 0..2 {
            let error = transaction(&gate).unwrap_err();
            match kind {
                Some(kind) => assert!(is(&error, kind), "{how:?} {error:#}"),
                None => assert!(format!("{error:#}").contains("the connection ended"), "{how:?} {error:#}"),
            }
        }
        transaction(&gate).unwrap();
        assert_eq!((peer.taken().len(), gate.taken(number), gate.counts().trips), (3, 2, 2));
        let dialogues = gate.dialogues();
        assert_eq!(dialogues[1].end, end);
        assert!(dialogues[1].lines.iter().any(|(_, _, text)| text == "250 2.0.0 queued as PEER (lost at the gate)"));
        assert!(dialogues[1].lines.iter().any(|(_, _, text)| text == "(message, 20 octets)"), "{dialogues:?}");
        gate.reset();
        wait_until("the end of all", LONG, || gate.counts().open == 0).unwrap();
    }
}

#[test]
fn a_cut_before_the_dot_leaves_no_message() {
    for what in [What::Fin, What::Reset] {
        let peer = peer();
        let gate = before(&peer);
        gate.trip(Trip::before(Place::FinalDot, what));
        transaction(&gate).unwrap_err();
        transaction(&gate).unwrap();
        assert_eq!(peer.taken().len(), 1);
    }
}

/// Every octet of either side, before and after, by FIN and by RST: the far end got exactly what the trip let pass.
#[test]
fn each_octet_is_the_last() {
    const CLIENT: &[u8] = b"MAIL a\r\nDATA\r\nx\r\n.\r\n";
    const SERVER: &[u8] = b"220 b\r\n250 ok\r\n354\r\n250 ok\r\n";
    let (address, received) = recorder(SERVER);
    let gate = Gate::open(ANY, address, None, names()).unwrap();
    for (side, says) in [(Side::Client, CLIENT), (Side::Server, SERVER)] {
        for octet in 1..=says.len() {
            for (edge, what) in [(0, What::Fin), (0, What::Reset), (1, What::Fin), (1, What::Reset)] {
                let place = Place::Octet(side, octet as u64);
                let reset = what == What::Reset;
                let trip = if edge == 0 { Trip::before(place, what) } else { Trip::after(place, what) };
                let about = format!("{trip:?}");
                let number = gate.trip(trip);
                let mut stream = TcpStream::connect(gate.address()).unwrap();
                let _ = stream.write_all(CLIENT);
                let heard = read(&mut stream);
                drop(stream);
                let got = received.recv_timeout(LONG).unwrap();
                let (far, near) = if side == Side::Client { (&got, &heard) } else { (&heard, &got) };
                assert_eq!(far.0, &says[..octet - 1 + edge], "{about}");
                assert_eq!(far.1.is_err(), reset, "{about} {far:?}");
                assert_eq!(near.1.is_err(), reset, "{about} {near:?}");
                assert_eq!(gate.taken(number), 1, "{about}");
            }
        }
    }
}

#[test]
fn what_passed_before_a_reset_arrives() {
    let listener = TcpListener::bind(ANY).unwrap();
    let gate = Gate::open(ANY, listener.local_addr().unwrap(), None, names()).unwrap();
    gate.trip(Trip::after(Place::FinalDot, What::Reset));
    let mut client = TcpStream::connect(gate.address()).unwrap();
    let (mut server, _) = listener.accept().unwrap();
    let much = [b"DATA\r\n".to_vec(), b"y\r\n".repeat(1 << 20), b".\r\n".to_vec()].concat();
    let expected = much.clone();
    let sender = std::thread::spawn(move || client.write_all(&much).map(|()| client));
    let (got, end) = read(&mut server);
    assert!(got == expected, "{} of {}", got.len(), expected.len());
    assert_eq!(end, Err(ErrorKind::ConnectionReset));
    let mut client = sender.join().unwrap().unwrap();
    assert_eq!(read(&mut client).1, Err(ErrorKind::ConnectionReset));
}

#[test]
fn a_half_close_is_heard_by_one_end() {
    let (address, received) = recorder(b"220 b\r\n250 ok\r\n");
    let gate = Gate::open(ANY, address, None, names()).unwrap();
    gate.trip(Trip::after(Place::Line("MAIL".into()), What::HalfClose));
    let (mut session, _) = Smtp::over(TcpStream::connect(gate.address()).unwrap(), LONG).unwrap();
    session.send(b"MAIL FROM:<a@a>\r\nRCPT TO:<b@b>\r\n").unwrap();
    assert_eq!(received.recv_timeout(LONG).unwrap(), (b"MAIL FROM:<a@a>\r\n".to_vec(), Ok(())));
    session.reply().unwrap().expect(250).unwrap();
}

#[test]
fn words_are_put_in_the_server_s_mouth_and_in_the_client_s() {
    let peer = peer();
    let gate = before(&peer);
    gate.trip(Trip::before(Place::Connect, What::Inject(Side::Client, "421 4.3.2 go away\r\n".into())));
    gate.trip(Trip::before(Place::Connect, What::Fin));
    let (mut session, greeting) = Smtp::connect_raw(gate.address(), LONG).unwrap();
    assert_eq!(greeting.code, 421);
    assert!(session.reply().is_err());
    assert_eq!(gate.dialogues()[0].lines[0].2, "421 4.3.2 go away (said by the gate)");
    gate.trip(Trip::after(Place::Line("NOOP".into()), What::Inject(Side::Server, "VRFY x\r\n".into())));
    let mut session = smtp(&gate);
    session.command("NOOP").unwrap();
    session.reply().unwrap().expect(250).unwrap();
    assert_eq!(peer.commands(), ["NOOP", "VRFY x"]);
}

#[test]
fn a_slow_reader_makes_the_sender_wait() {
    let (address, _received) = recorder(b"");
    let gate = Gate::open(ANY, address, None, names()).unwrap();
    gate.trip(Trip::after(Place::Line("DATA".into()), What::ReadSlowly { octets_per_second: 10 }));
    let mut client = TcpStream::connect(gate.address()).unwrap();
    client.write_all(b"DATA\r\n").unwrap();
    wait_until("the trip", LONG, || gate.counts().trips == 1).unwrap();
    client.set_write_timeout(Some(SHORT)).unwrap();
    let error = client.write_all(&vec![b'x'; 32 << 20]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
    assert!(gate.counts().from_client < 1000);
}

#[test]
fn silence_lasts_until_the_gate_resets() {
    let peer = peer();
    let gate = before(&peer);
    gate.trip(Trip::before(Place::Reply(Stage::Mail), What::Silence));
    let mut session = smtp(&gate);
    silent(&mut session, "MAIL FROM:<>");
    assert_eq!(peer.commands(), ["MAIL FROM:<>"]);
    gate.reset();
    assert!(is(&session.reply().unwrap_err(), ErrorKind::ConnectionReset));
    gate.trip(Trip::before(Place::Reply(Stage::Mail), What::Silence));
    gate.disarm();
    smtp(&gate).command("MAIL FROM:<>").unwrap();
}
