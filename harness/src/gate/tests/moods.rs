use super::*;

#[test]
fn refused_and_back() {
    let peer = peer();
    let gate = before(&peer);
    for _ in 0..5 {
        let mut stands = smtp(&gate);
        gate.mood(Mood::Refuse).unwrap();
        assert_eq!(TcpStream::connect(gate.address()).unwrap_err().kind(), ErrorKind::ConnectionRefused);
        assert!(is(&stands.reply().unwrap_err(), ErrorKind::ConnectionReset));
        gate.mood(Mood::Pass).unwrap();
    }
    wait_until("the end", LONG, || gate.counts().open == 0).unwrap();
    assert!(gate.dialogues().iter().all(|dialogue| dialogue.end == "reset by the gate"), "{:?}", gate.dialogues());
}

#[test]
fn a_black_hole_answers_no_syn_and_forgets() {
    let peer = peer();
    let gate = before(&peer);
    for round in 1..4 {
        let mut stands = smtp(&gate);
        gate.mood(Mood::BlackHole).unwrap();
        for _ in 0..3 {
            assert_eq!(TcpStream::connect_timeout(&gate.address(), SHORT).unwrap_err().kind(), ErrorKind::TimedOut);
        }
        silent(&mut stands, "NOOP");
        gate.mood(Mood::Pass).unwrap();
        assert!(is(&stands.reply().unwrap_err(), ErrorKind::ConnectionReset), "it is forgotten");
        smtp(&gate).quit().unwrap();
        assert_eq!(gate.counts().connections, round * 2);
    }
    assert!(!peer.commands().contains(&"NOOP".to_owned()));
}

#[test]
fn after_a_cut_everything_goes_on() {
    let peer = peer();
    let gate = before(&peer);
    let mut stands = smtp(&gate);
    gate.mood(Mood::Cut).unwrap();
    silent(&mut stands, "NOOP");
    let address = gate.address();
    let waits = std::thread::spawn(move || Smtp::connect(address, LONG));
    assert_eq!(TcpStream::connect_timeout(&gate.address(), SHORT).unwrap_err().kind(), ErrorKind::TimedOut);
    assert!(!peer.commands().contains(&"NOOP".to_owned()));
    gate.mood(Mood::Pass).unwrap();
    stands.reply().unwrap().expect(250).unwrap();
    waits.join().unwrap().unwrap().quit().unwrap();
}

#[test]
fn silence_ends_with_a_greeting() {
    let peer = peer();
    let gate = before(&peer);
    gate.mood(Mood::Silent).unwrap();
    let stream = TcpStream::connect(gate.address()).unwrap();
    stream.set_read_timeout(Some(SHORT)).unwrap();
    assert_eq!((&stream).read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
    gate.mood(Mood::Pass).unwrap();
    let (session, greeting) = Smtp::over(stream, LONG).unwrap();
    greeting.expect(220).unwrap();
    session.quit().unwrap();
}

#[test]
fn a_tarpit_never_greets_and_the_server_never_hears() {
    let peer = peer();
    let gate = before(&peer);
    let mut stands = smtp(&gate);
    gate.mood(Mood::Tarpit).unwrap();
    let mut stuck = TcpStream::connect(gate.address()).unwrap();
    stuck.set_read_timeout(Some(SHORT)).unwrap();
    stuck.write_all(&vec![b'x'; 8 << 20]).unwrap();
    assert_eq!(stuck.read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
    stands.command("NOOP").unwrap().expect(250).unwrap();
    gate.mood(Mood::Pass).unwrap();
    assert_eq!(stuck.read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock, "it stays so");
    drop(stuck);
    wait_until("the end of the stuck connection", LONG, || gate.counts().open == 1).unwrap();
    assert_eq!(peer.commands(), ["NOOP"]);
}

#[test]
fn slow_and_late() {
    let (address, _received) = recorder(&[b'y'; 600]);
    let gate = Gate::open(ANY, address, None, names()).unwrap();
    let took = |mood: Mood, octets: usize| {
        gate.mood(mood).unwrap();
        let mut stream = TcpStream::connect(gate.address()).unwrap();
        let start = Instant::now();
        stream.read_exact(&mut vec![0; octets]).unwrap();
        start.elapsed()
    };
    assert!(took(Mood::Slow { octets_per_second: 1000 }, 600) >= Duration::from_millis(500));
    assert!(took(Mood::Delay(Duration::from_millis(200)), 600) >= Duration::from_millis(200));
    assert!(took(Mood::Pass, 600) < Duration::from_millis(500));
}

#[test]
fn a_delay_keeps_the_rate() {
    let much = vec![b'z'; 4 << 20];
    let (address, _received) = recorder(&much);
    let gate = Gate::open(ANY, address, None, names()).unwrap();
    gate.mood(Mood::Delay(Duration::from_millis(50))).unwrap();
    let mut stream = TcpStream::connect(gate.address()).unwrap();
    let (start, mut got) = (Instant::now(), vec![0; much.len()]);
    stream.read_exact(&mut got).unwrap();
    assert!(got == much && start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
}
