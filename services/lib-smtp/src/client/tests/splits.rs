use proptest::prelude::*;

use super::*;

/// Drives a session against octets in pieces, obeying it, and gives what it did.
fn drive(pieces: &[&[u8]]) -> (Vec<Output>, Vec<u8>) {
    let mut client = Client::new(config());
    let (mut done, mut sent) = (Vec::new(), Vec::new());
    let mut messages = 3;
    let mut settle = |client: &mut Client| {
        // No input can make a session talk without end.
        for _ in 0..1000 {
            match client.poll() {
                Output::Send(octets) => sent.extend(octets),
                Output::Body => {
                    client.encode_body(b".\r\n", &mut sent);
                    client.end_body(&mut sent);
                    client.handle(Input::BodySent, NOW);
                }
                Output::Done(fates) => done.push(Output::Done(fates)),
                Output::Ready if messages > 0 => {
                    messages -= 1;
                    client.handle(Input::Begin(to(&["b@x.example", "c@x.example"])), NOW);
                }
                Output::Said(_) => {}
                Output::StartTls => client.handle(Input::TlsUp, NOW),
                Output::Closed(closed) => return done.push(Output::Closed(closed)),
                Output::Ready | Output::Await(_) => return,
            }
        }
        panic!("a session without end");
    };
    settle(&mut client);
    for piece in pieces {
        client.handle(Input::Octets(piece), NOW);
        settle(&mut client);
    }
    client.handle(Input::Lost("Connection lost"), NOW);
    settle(&mut client);
    done.dedup();
    (done, sent)
}

fn reply() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        8 => "(220|221|235|250|251|334|354|421|450|452|521|550|552|554)[ -]([245]\\.[0-7]\\.[0-9] )?(ok|STARTTLS|PIPELINING|8BITMIME)?\r\n"
            .prop_map(String::into_bytes),
        1 => proptest::collection::vec(any::<u8>(), 0..9),
    ]
}

fn well_behaved() -> impl Strategy<Value = Vec<u8>> {
    ("(250 ok|550 no|450 busy|552 many)\r\n", "(250 ok|550 no)\r\n", "(354 go|554 no)\r\n", "(250 taken|451 later|554 no)\r\n")
        .prop_map(|(b, c, data, end)| {
            format!("220 hi\r\n250-mx\r\n250 PIPELINING\r\n250 ok\r\n{b}{c}{data}{end}250 reset\r\n").into_bytes()
        })
}

proptest! {
    /// One reply a time or cut anywhere: the session does the same. (Cut anywhere is compared with octet by octet, which the socket
    /// cannot give but the rule covers; a reply that comes before its command was sent is nonsense in one reading only, so the
    /// pieces of one run are never merged over a reply's end.)
    #[test]
    fn any_split_gives_the_same_fates(octets in prop_oneof![well_behaved(), proptest::collection::vec(reply(), 0..12).prop_map(|r| r.concat())]) {
        let lines: Vec<&[u8]> = octets.split_inclusive(|octet| *octet == b'\n').collect();
        let single: Vec<&[u8]> = octets.chunks(1).collect();
        prop_assert_eq!(drive(&lines), drive(&single));
    }

    #[test]
    fn nothing_a_server_says_can_stop_the_session_from_ending(octets in proptest::collection::vec(any::<u8>(), 0..300)) {
        let (outputs, _) = drive(&[&octets]);
        prop_assert!(matches!(outputs.last(), Some(Output::Closed(_))));
        // Whoever was asked to be told is told once for each message begun.
        for output in &outputs {
            if let Output::Done(done) = output {
                prop_assert_eq!(done.fates.len(), 2);
            }
        }
    }
}
