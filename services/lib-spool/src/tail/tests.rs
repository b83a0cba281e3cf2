use lib_mail::{By, Enhanced, QueueId, Status, Timestamp};
use proptest::prelude::*;

use super::{EFFECTS, Entry, VERBS, parse, print};
use crate::{Line, Outcome, What};

fn id() -> QueueId {
    QueueId::new(Timestamp(1_795_401_000_123), 1, 2)
}

fn what() -> impl Strategy<Value = What> {
    let child = any::<u32>().prop_map(|serial| QueueId::new(Timestamp(5), 1, serial));
    prop_oneof![
        Just(What::Delivered),
        Just(What::Relayed),
        child.clone().prop_map(What::Forwarded),
        proptest::collection::vec(any::<String>(), 0..4).prop_map(What::Expanded),
        Just(What::Discarded),
        Just(What::Deferred),
        Just(What::Failed),
        proptest::option::of(child).prop_map(What::Notified),
    ]
}

prop_compose! {
    fn outcome()(
        what in what(),
        code in 100..700u16,
        enhanced in (prop_oneof![Just(2u8), Just(4), Just(5)], 0..1000u16, 0..1000u16),
        by in prop_oneof![Just(By::Local), Just(By::Remote("-".into())), ".{1,20}".prop_map(By::Remote)],
        text: String,
        at: i64,
        recipients in proptest::collection::btree_set(0..500usize, 1..20),
    ) -> (Timestamp, Entry) {
        let (class, subject, detail) = enhanced;
        let status = Status::new(code, Enhanced::new(class, subject, detail), by, text, Timestamp(at));
        let line = Line { recipients: recipients.into_iter().collect(), outcome: Outcome { what, status } };
        (Timestamp(at), Entry::Outcome(line))
    }
}

fn entry() -> impl Strategy<Value = (Timestamp, Entry)> {
    prop_oneof![
        outcome(),
        (any::<i64>(), any::<u32>(), any::<i64>())
            .prop_map(|(at, n, until)| (Timestamp(at), Entry::Want(n, crate::Command::Requeue(Timestamp(until))))),
        (any::<i64>(), any::<u32>(), 0..VERBS.len()).prop_map(|(at, n, verb)| (Timestamp(at), Entry::Want(n, VERBS[verb].0))),
        (any::<i64>(), any::<u32>(), 0..EFFECTS.len())
            .prop_map(|(at, n, done)| (Timestamp(at), Entry::Did(n, EFFECTS[done].0))),
    ]
}

fn printed(entries: &[(Timestamp, Entry)]) -> String {
    let mut out = String::new();
    entries.iter().for_each(|(at, entry)| print(&mut out, &id(), *at, entry));
    out
}

proptest! {
    #[test]
    fn any_history_comes_back(entries in proptest::collection::vec(entry(), 0..6)) {
        let text = printed(&entries);
        prop_assert_eq!(text.matches('\n').count(), entries.len());
        prop_assert_eq!(parse(&id(), text.as_bytes()).collect::<Vec<_>>(), entries);
    }

    #[test]
    fn good_lines_survive_garbage_and_a_torn_tail(
        entries in proptest::collection::vec(entry(), 1..6),
        garbage in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 6),
        torn in entry(),
        cut in 0.0..1.0f64,
    ) {
        let mut octets = Vec::new();
        for (entry, noise) in entries.iter().zip(&garbage) {
            octets.extend_from_slice(printed(std::slice::from_ref(entry)).as_bytes());
            // A torn append: whatever it left is followed by the LF that begins the next.
            octets.push(b'\n');
            octets.extend_from_slice(noise);
        }
        let last = printed(&[torn]);
        octets.extend_from_slice(&last.as_bytes()[..(last.len() as f64 * cut) as usize]);
        prop_assert_eq!(parse(&id(), &octets).collect::<Vec<_>>(), entries);
    }

    #[test]
    fn a_flipped_bit_spoils_the_line_only(entry in entry(), place in 0.0..1.0f64, bit in 0..8) {
        let mut octets = printed(std::slice::from_ref(&entry)).into_bytes();
        let place = 1 + ((octets.len() - 1) as f64 * place) as usize;
        octets[place] ^= 1u8 << bit;
        let read: Vec<_> = parse(&id(), &octets).collect();
        // The case of a hexadecimal digit of the sum is the one bit that says nothing.
        prop_assert!(read.is_empty() || read == [entry]);
    }

    #[test]
    fn no_octets_panic(octets in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse(&id(), &octets).count();
    }
}

#[test]
fn it_can_be_read_by_a_person() {
    let status = Status::new(
        250,
        Enhanced::new(2, 0, 0),
        By::Remote("mx1.example.net [192.0.2.1]".into()),
        "queued as 4cX,1",
        Timestamp(1_795_401_000_123),
    );
    let line = Line { recipients: vec![0, 1, 2, 5, 7, 8], outcome: Outcome { what: What::Relayed, status } };
    let text = printed(&[(Timestamp(1_795_401_000_123), Entry::Outcome(line))]);
    let (said, _) = text.rsplit_once(' ').unwrap();
    assert_eq!(said, "\n@1795401000123 to 0-2,5,7-8 relayed - 250 2.0.0 mx1.example.net%20[192.0.2.1] queued as 4cX,1");
}

#[test]
fn a_line_of_another_message_is_not_believed() {
    let text = printed(&[(Timestamp(1), Entry::Want(7, crate::Command::Delete))]);
    assert_eq!(parse(&QueueId::new(Timestamp(1), 1, 3), text.as_bytes()).count(), 0);
}

#[test]
fn a_list_cannot_ask_for_memory_without_end() {
    for list in ["0-99999999999", "5-3", "3,2", "1,1", "", "-", "1-", "a"] {
        assert_eq!(super::parse_list(list), None, "{list}");
    }
    assert_eq!(super::parse_list("0-2,9"), Some(vec![0, 1, 2, 9]));
}

/// A power cut left an append as zeros, its LF among them: the synced line before it was read as one with the zeros, and was lost.
#[test]
fn zeros_of_a_torn_append_do_not_spoil_the_line_before() {
    let synced = (Timestamp(5), Entry::Did(7, EFFECTS[1].0));
    let mut octets = printed(std::slice::from_ref(&synced)).into_bytes();
    octets.extend_from_slice(b"\0\0\0\0\0 relayed - 250 2.0.0 - x 00000000");
    assert_eq!(parse(&id(), &octets).collect::<Vec<_>>(), [synced]);
}
