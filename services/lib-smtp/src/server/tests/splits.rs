//! Any way of cutting what a client sends gives the same session.

use proptest::prelude::*;

use super::*;

/// Pieces of which dialogues are made, good and bad.
fn pieces() -> impl Strategy<Value = Vec<u8>> {
    let words: Vec<&'static [u8]> = vec![
        b"EHLO c.example\r\n",
        b"HELO c.example\r\n",
        b"MAIL FROM:<a@b.example>\r\n",
        b"MAIL FROM:<a@b.example> SIZE=30\r\n",
        b"MAIL FROM:<a@b.example> SIZE=99\r\n",
        b"RCPT TO:<minji@example.org>\r\n",
        b"RCPT TO:<nobody@example.org>\r\n",
        b"RCPT TO:<x@relay.example>\r\n",
        b"DATA\r\n",
        b"Subject: x\r\n\r\nhello\r\n",
        b"..stuffed\r\n",
        b"\r\n.\r\n",
        b".\r\n",
        b".",
        b"\r",
        b"\n",
        b"\0",
        b"BDAT 5\r\n",
        b"BDAT 12 LAST\r\n",
        b"BDAT 0 LAST\r\n",
        b"BDAT 1\r\n",
        b"BDAT x\r\n",
        b"RSET\r\n",
        b"NOOP\r\n",
        b"HELP\r\n",
        b"VRFY minji\r\n",
        b"EXPN staff\r\n",
        b"ETRN relay.example\r\n",
        b"STARTTLS\r\n",
        b"AUTH LOGIN\r\n",
        b"AUTH PLAIN AG1pbmppQGV4YW1wbGUub3JnAGJ1cm5pbmctYmVhY29u\r\n",
        b"bWluamk=\r\n",
        b"*\r\n",
        b"QUIT\r\n",
        b"XYZZY \xff\r\n",
    ];
    prop_oneof![
        12 => proptest::sample::select(words).prop_map(<[u8]>::to_vec),
        1 => proptest::collection::vec(any::<u8>(), 0..20),
        1 => (1900_usize..2100).prop_map(|n| [vec![b'x'; n], b"\r\n".to_vec()].concat()),
    ]
}

/// Whole dialogues, so that messages are reached often.
fn dialogues() -> impl Strategy<Value = Vec<u8>> {
    let start = b"EHLO c.example\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<minji@example.org>\r\n".to_vec();
    let messages = prop_oneof![Just(b"DATA\r\n".to_vec()), Just(b"BDAT 9\r\n".to_vec()), Just(Vec::new())];
    (messages, proptest::collection::vec(pieces(), 0..20))
        .prop_map(move |(message, pieces)| [start.clone(), message, pieces.concat()].concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_split(choice in any::<u8>(), step in 1_u8..40, input in dialogues()) {
        fuzzing::session(&[&[choice & !1, step], input.as_slice()].concat());
    }

    #[test]
    fn any_split_of_anything(choice in any::<u8>(), step in 1_u8..40, pieces in proptest::collection::vec(pieces(), 0..30)) {
        fuzzing::session(&[&[choice, step], pieces.concat().as_slice()].concat());
    }

    #[test]
    fn data_as_the_slow_way(step in 1_u8..9, pieces in proptest::collection::vec("[.\r\n\0a]{1,5}", 0..12)) {
        fuzzing::data(&[&[step], pieces.concat().as_bytes()].concat());
        fuzzing::bdat(&[&[step], pieces.concat().as_bytes()].concat());
    }
}
