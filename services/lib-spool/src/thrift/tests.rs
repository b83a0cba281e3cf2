use super::*;

fn id() -> QueueId {
    QueueId::new(Timestamp(1), 0, 1)
}

fn line(what: What, recipients: impl IntoIterator<Item = usize>, text: &str, at: i64) -> Line {
    let (code, class) = match what {
        What::Deferred => (450, 4),
        What::Failed => (550, 5),
        _ => (250, 2),
    };
    let by = By::Remote("mx1.example.net [192.0.2.1]".into());
    let status = Status::new(code, Enhanced::new(class, 1, 1), by, text, Timestamp(at));
    Line { recipients: recipients.into_iter().collect(), outcome: Outcome { what, status } }
}

/// What a reader makes of the fitted text.
fn read(length: u64, lines: &[Line], last: Option<i64>) -> Vec<Line> {
    let id = id();
    let text = fit(&id, length, lines, last.map(Timestamp)).unwrap();
    let entries = tail::parse(&id, text.as_bytes()).map(|(_, entry)| entry);
    entries.filter_map(|entry| if let Entry::Outcome(line) = entry { Some(line) } else { None }).collect()
}

#[test]
fn a_short_history_keeps_every_word() {
    let lines = [line(What::Deferred, [0, 2], &"x".repeat(1000), 5), line(What::Failed, [1], &"y".repeat(1000), 5)];
    assert_eq!(read(0, &lines, Some(4)), lines);
    assert_eq!(read(ALL_WORDS - 10_000, &lines, None), lines);
}

#[test]
fn deferrals_of_a_long_history_share_one_line_without_words() {
    let deferred: Vec<_> = (0..1000).map(|index| line(What::Deferred, [index], &format!("<u{index}> later"), 5)).collect();
    let read = read(ALL_WORDS, &deferred, None);
    assert_eq!(read.len(), 1);
    assert_eq!(read[0].recipients, (0..1000).collect::<Vec<_>>());
    assert_eq!(read[0].outcome.status.to_string(), "451 4.0.0 The words are left out: the history is long");
    assert_eq!(read[0].outcome.status.by, By::Local);
}

#[test]
fn far_indexes_do_not_make_a_line_long() {
    let odd = line(What::Deferred, (0..100_000).map(|index| index * 2), "x", 5);
    let text = fit(&id(), ALL_WORDS, &[odd], None).unwrap();
    assert!(text.len() < 1000, "{}", text.len());
    assert_eq!(
        read(ALL_WORDS, &[line(What::Deferred, (0..RUNS * 2).map(|index| index * 2), "x", 5)], None)[0].recipients.len(),
        RUNS
    );
}

#[test]
fn deferrals_of_a_long_history_come_at_a_pace() {
    let pace = i64::try_from(PACE.as_millis()).unwrap();
    for (now, last, written) in [
        (pace, None, true),
        (pace, Some(1), false),
        (pace, Some(0), true),
        (10 * pace, Some(0), true),
        // The clock was set back.
        (pace, Some(pace + 1), true),
    ] {
        let lines = [line(What::Deferred, [0], "x", now)];
        assert_eq!(!read(ALL_WORDS, &lines, last).is_empty(), written, "{now} {last:?}");
    }
}

#[test]
fn what_is_final_loses_words_and_never_its_fate() {
    let lines = [
        line(What::Failed, [0], &"%".repeat(100), 5),
        line(What::Notified(None), [0], "silent", 5),
        line(What::Failed, [1], &"z".repeat(900), 5),
        line(What::Notified(None), [1], "silent", 5),
        line(What::Expanded(vec!["mailbox a".into()]), [2], "1 members", 5),
        line(What::Expanded(vec!["mailbox a".into()]), [3], "1 members", 5),
    ];
    let cut = read(ALL_WORDS, &lines, None);
    assert_eq!((cut[0].outcome.status.text.len(), cut[2].outcome.status.text.len()), (WORDS / 3, WORDS));
    assert_eq!(cut.len(), lines.len());
    let bare = read(SOME_WORDS, &lines, None);
    let shown: Vec<_> = bare.iter().map(|line| (&line.outcome.what, line.recipients.as_slice())).collect();
    let member = What::Expanded(vec!["mailbox a".into()]);
    let want: [(&What, &[usize]); 4] =
        [(&What::Failed, &[0, 1]), (&member, &[2]), (&member, &[3]), (&What::Notified(None), &[0, 1])];
    assert_eq!(shown, want);
    assert_eq!(bare[0].outcome.status.code, 554);
}

#[test]
fn a_deferral_never_fails_and_an_end_has_room_behind_any_number_of_them() {
    let deferred = [line(What::Deferred, [0], "x", 5)];
    assert_eq!(fit(&id(), MOST, &deferred, None), Some(String::new()));
    assert_eq!(fit(&id(), MOST, &[line(What::Relayed, [0], "x", 5)], None), None);
    assert!(read(MOST - 200, &[line(What::Relayed, [0], &"x".repeat(900), 5)], None).len() == 1);
}
