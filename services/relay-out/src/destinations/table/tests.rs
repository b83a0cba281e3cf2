use super::*;

const TEN: Bounds = Bounds { connections: 10, gap: Duration::ZERO };

fn id(serial: u32) -> QueueId {
    QueueId::new(lib_mail::Timestamp(1_795_401_000_123), 7, serial)
}

fn waiters(going: &Going) -> Vec<Waiter> {
    going.begin.iter().map(|(waiter, _)| *waiter).collect()
}

/// A table in which messages come one after the other.
struct Play {
    table: Table,
    now: Instant,
    next: Waiter,
}

impl Play {
    fn new(most: u32) -> Play {
        Play { table: Table::new(most), now: Instant::now(), next: 0 }
    }

    /// `count` messages come to `key`: how many begin at once.
    fn come(&mut self, key: &str, bounds: Bounds, count: u32) -> usize {
        (0..count).map(|serial| self.come_one(key, bounds, serial).begin.len()).sum()
    }

    fn come_one(&mut self, key: &str, bounds: Bounds, serial: u32) -> Going {
        self.next += 1;
        assert!(self.table.admit(key, bounds, id(serial), true));
        self.table.wait(key, self.next, self.now)
    }

    fn end(&mut self, key: &str, went: Went) -> Going {
        self.table.ended(key, went, false, false, self.now)
    }
}

#[test]
fn a_window_opens_with_answers_and_halves_with_trouble() {
    let mut play = Play::new(100);
    assert_eq!(play.come("a", TEN, 100), 2, "slow start");
    assert_eq!(play.end("a", Went::Answered).begin.len(), 2, "the one that ended, and one more");
    for _ in 0..20 {
        play.end("a", Went::Answered);
    }
    assert_eq!(play.table.active, 10, "never more than the settings say");
    play.end("a", Went::Silent);
    assert_eq!(play.table.known["a"].window, 5);
    assert!(play.end("a", Went::Unclear).begin.is_empty(), "8 are more than 5");
}

#[test]
fn a_busy_destination_is_left_alone_longer_each_time_and_stays_alive() {
    let mut play = Play::new(100);
    play.come("a", TEN, 10);
    play.end("a", Went::Answered);
    let mut pauses = Vec::new();
    assert!(play.table.known["a"].is_alive(play.now));
    for _ in 0..6 {
        assert!(play.end("a", Went::Busy).begin.is_empty());
        pauses.push((play.table.not_before("a").unwrap() - play.now).as_secs());
        assert!(play.table.look("a", play.now).begin.is_empty());
        play.now = play.table.not_before("a").unwrap();
        play.table.look("a", play.now);
    }
    assert_eq!(pauses, [1, 2, 4, 8, 16, 32]);
    assert!(!play.table.known["a"].is_alive(play.now), "not for ever");
    assert_eq!(play.end("a", Went::Busy).begin.len(), 1, "the others learn at once that it takes nothing");
}

#[test]
fn a_gap_paces_messages() {
    let mut play = Play::new(100);
    let paced = Bounds { connections: 10, gap: Duration::from_secs(3) };
    assert_eq!(play.come("a", paced, 3), 1);
    play.now += Duration::from_secs(2);
    assert!(play.table.look("a", play.now).begin.is_empty());
    play.now += Duration::from_secs(1);
    assert_eq!(play.table.look("a", play.now).begin.len(), 1);
}

#[test]
fn destinations_take_turns() {
    let mut play = Play::new(4);
    play.come("a", TEN, 50);
    play.come("b", TEN, 50);
    assert_eq!((play.table.known["a"].active, play.table.known["b"].active), (2, 2));
    play.come("c", TEN, 50);
    for _ in 0..9 {
        let busiest = ["a", "b", "c"].into_iter().max_by_key(|key| play.table.known[*key].active).unwrap();
        play.end(busiest, Went::Answered);
    }
    for key in ["a", "b", "c"] {
        assert!((1..=2).contains(&play.table.known[key].active), "{key}: {:?}", play.table.known[key]);
    }
    assert_eq!(play.table.active, 4);
}

#[test]
fn the_troubled_get_half_and_those_that_last_give_their_place_away() {
    let mut play = Play::new(8);
    for key in ["a", "b", "c", "d", "e", "f"] {
        play.come(key, TEN, 1);
        play.table.ended(key, Went::Silent, false, false, play.now);
    }
    let begun: usize = ["a", "b", "c", "d", "e", "f"].map(|key| play.come(key, TEN, 3)).iter().sum();
    assert_eq!(begun, 4, "half of 8, one each");
    assert_eq!(play.come("live", TEN, 3), 2, "places are left for others");
    assert_eq!(play.come("other", TEN, 3), 2);
    assert_eq!(play.come("third", TEN, 3), 0, "full");
    assert_eq!(play.table.lasts(play.now).unwrap().begin.len(), 1);
    assert_eq!(play.table.known["third"].active, 1);
    let going = play.table.ended("live", Went::Unclear, true, false, play.now);
    assert_eq!(going.begin.len(), 0, "it had no place any more");
    assert_eq!(play.table.lasting, 0);
}

#[test]
fn what_lasts_is_bounded() {
    let mut play = Play::new(2);
    for key in ["a", "b", "c", "d", "e"] {
        play.come(key, TEN, 2);
    }
    let lasting = std::iter::from_fn(|| play.table.lasts(play.now)).count();
    assert_eq!(lasting, 6);
}

#[test]
fn the_parked_come_back_as_there_is_room() {
    let mut play = Play::new(100);
    let mut parked = 0;
    for serial in 0..30 {
        if play.table.admit("a", TEN, id(serial), false) {
            play.next += 1;
            play.table.wait("a", play.next, play.now);
        } else {
            assert_eq!(play.table.park("a", TEN, id(serial), play.now), Going::default());
            parked += 1;
        }
    }
    assert_eq!(parked, 26, "two at work, and two wait");
    let resumed = play.end("a", Went::Answered).resume;
    assert_eq!(resumed.len(), 16, "it answers, so more may wait");
    assert!(!play.table.admit("a", TEN, id(99), false), "their room is kept");
    assert!(play.table.admit("a", TEN, resumed[0], false));
    assert_eq!(play.table.attempted(resumed[1]).resume.len(), 1, "one was deleted meanwhile");
    assert_eq!(play.table.attempted(resumed[1]), Going::default());
    assert_eq!(play.table.dropped("a").resume.len(), 1);
}

#[test]
fn parking_is_bounded() {
    let (mut table, now) = (Table::new(10), Instant::now());
    table.of("a", TEN).troubled = true;
    let next = id(MOST_PARKED_IN_ALL as u32 + 1);
    for serial in 0..MOST_PARKED as u32 + 2 {
        assert_eq!(table.room("a", id(serial), now), Room::Parked);
        // Those for whom there is room come back at once.
        table.park("a", TEN, id(serial), now);
    }
    assert_eq!((table.room("a", next, now), table.room("b", next, now)), (Room::PutOff, Room::Parked));
    for serial in MOST_PARKED as u32 + 2..MOST_PARKED_IN_ALL as u32 {
        if serial == MOST_BESIDE_TROUBLE as u32 {
            table.of("c", TEN).troubled = true;
            assert_eq!((table.room("c", next, now), table.room("b", next, now)), (Room::PutOff, Room::Parked));
        }
        table.park("b", TEN, id(serial), now);
    }
    assert_eq!(table.room("b", next, now), Room::Later, "one that takes mail is no reason to put its mail off");
    assert_eq!(table.room("b", id(7), now), Room::Parked, "whoever was parked keeps the room");
    table.attempted(id(3));
    assert_eq!(table.room("b", next, now), Room::Parked);
}

#[test]
fn what_was_parked_for_long_is_put_off() {
    let mut play = Play::new(100);
    play.come("a", TEN, 4);
    play.table.park("a", TEN, id(70), play.now);
    play.now += PARK_PATIENCE / 2;
    play.table.park("a", TEN, id(71), play.now);
    assert!(play.table.overdue(play.now).resume.is_empty());
    play.now += PARK_PATIENCE / 2;
    assert_eq!(play.table.overdue(play.now).resume, [id(70)]);
    assert!(!play.table.admit("a", TEN, id(70), false) && play.table.room("a", id(70), play.now) == Room::PutOff);
    play.table.attempted(id(70));
    assert_eq!(play.table.room("a", id(70), play.now), Room::Parked, "the next attempt begins anew");
    assert_eq!(play.table.known["a"].parked, [id(71)]);
}

#[test]
fn a_message_that_its_server_is_always_too_busy_for_is_put_off() {
    let mut play = Play::new(100);
    play.come("a", TEN, 2);
    assert!(!play.table.can_park_busy("a", id(7), play.now), "it never answered");
    play.end("a", Went::Answered);
    for _ in 0..MOST_BUSY {
        assert!(play.table.can_park_busy("a", id(7), play.now));
    }
    assert!(!play.table.can_park_busy("a", id(7), play.now));
    assert!(play.table.can_park_busy("a", id(8), play.now), "others are not it");
}

#[test]
fn giving_up_and_forgiving() {
    let mut play = Play::new(100);
    play.come("a", TEN, 3);
    let third = play.next;
    play.table.gave_up("a", third, play.now);
    assert!(play.end("a", Went::Answered).begin.is_empty(), "nobody waits any more");
    play.end("a", Went::Busy);
    assert_eq!(play.come("a", TEN, 2), 0, "a pause");
    let going = play.table.forgive(play.now);
    assert_eq!(waiters(&going).len(), 1, "the window stays small");
    assert!(play.table.turns.len() <= 1);
}

#[test]
fn what_is_at_rest_is_forgotten() {
    let mut table = Table::new(10);
    for number in 0..3 * MOST_KNOWN {
        let key = format!("d{number}");
        table.admit(&key, TEN, id(1), true);
        table.dropped(&key);
    }
    assert!(table.known.len() <= MOST_KNOWN);
}
