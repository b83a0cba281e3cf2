use lib_mail::{By, Enhanced, QueueId, Status, Timestamp};

use super::{Fate, Line, Member, Outcome, Recipients, What};

fn line(recipients: &[usize], what: What) -> Line {
    let status = Status::new(250, Enhanced::new(2, 0, 0), By::Local, "", Timestamp(7));
    Line { recipients: recipients.to_vec(), outcome: Outcome { what, status } }
}

#[test]
fn what_a_sequence_of_outcomes_comes_to() {
    use Fate::{Done, Failed, Pending};
    let child = QueueId::new(Timestamp(1), 2, 3);
    let table: [(&[What], Fate); 14] = [
        (&[], Pending),
        (&[What::Delivered], Done),
        (&[What::Relayed], Done),
        (&[What::Forwarded(child)], Done),
        (&[What::Discarded], Done),
        (&[What::Expanded(vec![])], Done),
        (&[What::Deferred, What::Deferred], Pending),
        (&[What::Deferred, What::Notified(Some(child))], Pending),
        (&[What::Deferred, What::Relayed], Done),
        (&[What::Failed], Failed),
        (&[What::Failed, What::Deferred], Failed),
        (&[What::Failed, What::Notified(None)], Done),
        (&[What::Relayed, What::Notified(Some(child))], Done),
        (&[What::Relayed, What::Failed, What::Deferred], Done),
    ];
    for (whats, want) in table {
        let mut recipients = Recipients::new(2);
        whats.iter().for_each(|what| assert!(recipients.take(line(&[1], what.clone()))));
        assert_eq!((recipients.fate(0), recipients.fate(1)), (Some(Pending), Some(want)), "{whats:?}");
    }
}

#[test]
fn members_stand_behind_the_envelope() {
    let mut recipients = Recipients::new(2);
    assert!(recipients.take(line(&[1], What::Expanded(vec!["a".into(), "b".into()]))));
    assert!(recipients.take(line(&[3], What::Expanded(vec!["c".into()]))));
    assert_eq!(recipients.pending(), [0, 2, 4]);
    assert_eq!(recipients.member(4), Some(&Member { of: 3, target: "c".into() }));
    assert_eq!((recipients.origin(4), recipients.origin(0), recipients.origin(5)), (Some(1), Some(0), None));
    assert_eq!((recipients.member(1), recipients.len()), (None, 5));
}

#[test]
fn what_is_told_of_a_recipient() {
    let mut recipients = Recipients::new(3);
    for what in [What::Deferred, What::Notified(None), What::Deferred] {
        recipients.take(line(&[0, 2], what));
    }
    assert_eq!((recipients.deferrals(0), recipients.deferrals(1)), (2, 0));
    assert_eq!((recipients.notified(2), recipients.notified(1)), (true, false));
    assert_eq!(recipients.last(0).unwrap().what, What::Deferred);
    assert_eq!(recipients.last_at(), Some(Timestamp(7)));
}

#[test]
fn a_line_about_nobody_changes_nothing() {
    let mut recipients = Recipients::new(1);
    assert!(!recipients.take(line(&[], What::Delivered)));
    assert!(!recipients.take(line(&[0, 1], What::Delivered)));
    assert!(!recipients.take(line(&[0], What::Expanded(vec![String::new(); 1_000_000]))));
    assert_eq!((recipients.pending(), recipients.lines().len()), (vec![0], 0));
}
