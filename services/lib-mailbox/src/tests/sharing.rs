//! Many deliveries at once.

use super::*;

const THREADS: u32 = 16;
const EACH: u32 = 20;

#[test]
fn concurrent_deliveries_to_one_mailbox_all_arrive_and_are_counted() {
    let yard = Yard::new();
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let yard = &yard;
            scope.spawn(move || {
                for serial in 0..EACH {
                    yard.deliver(thread * EACH + serial, &format!("body of {thread} {serial}\r\n"), false);
                }
            });
        }
        scope.spawn(|| {
            for _ in 0..20 {
                let maildrop = yard.mailboxes.maildrop(MINJI).unwrap();
                (0..maildrop.len()).for_each(|index| assert!(read(&maildrop, index).ends_with("\r\n")));
            }
        });
    });
    let usage = yard.mailboxes.usage(MINJI).unwrap();
    assert_eq!(usage.messages, u64::from(THREADS * EACH));
    assert_eq!(usage, yard.mailboxes.recount(MINJI).unwrap());
}

#[test]
fn deliveries_and_removals_at_once_leave_a_true_ledger() {
    let yard = Yard::new();
    std::thread::scope(|scope| {
        scope.spawn(|| (0..200).for_each(|serial| assert!(!yard.deliver(serial, "x\r\n", false).repeated)));
        scope.spawn(|| {
            for _ in 0..50 {
                let maildrop = yard.mailboxes.maildrop(MINJI).unwrap();
                maildrop.remove(&(0..maildrop.len()).collect::<Vec<_>>()).unwrap();
                yard.mailboxes.recount(MINJI).unwrap();
            }
        });
    });
    assert_eq!(yard.mailboxes.usage(MINJI).unwrap(), yard.mailboxes.recount(MINJI).unwrap());
}

/// One bad name, one unreadable source: the others arrive, each mailbox's ledger is right, and the syncs are shared.
#[test]
fn what_fails_leaves_the_others_alone() {
    struct Torn;
    impl Read for Torn {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::from_raw_os_error(5))
        }
    }
    let disk = lib_host::SimDisk::new();
    disk.can_sync_all();
    let mailboxes = Mailboxes::open_on(&Disk::from(&disk), Path::new("/mail")).unwrap();
    assert!(mailboxes.together() > 1);
    let ids: Vec<_> = (0..6).map(id).collect();
    let (mut torn, mut whole) = (Torn, ["0", "1", "2", "3", "4"].map(str::as_bytes));
    let mut bodies: Vec<&mut dyn Read> = whole.iter_mut().map(|body| body as &mut dyn Read).collect();
    bodies.insert(3, &mut torn);
    let accounts = [MINJI, "sora@example.kr", "no name", MINJI, MINJI, "sora@example.kr"];
    let mut deliveries: Vec<_> = (accounts.into_iter().zip(&ids).zip(bodies))
        .map(|((account, id), body)| (account, Delivery { id, trace: b"", body, repeat: false }))
        .collect();
    let delivered = mailboxes.deliver_all(&mut deliveries);
    // Two mailboxes were made, and four copies delivered.
    let trace = disk.trace();
    let syncs: Vec<_> = trace.iter().filter(|call| call.starts_with("sync")).collect();
    assert_eq!(syncs, ["syncfs .", "syncfs ."]);
    let arrived: Vec<_> = delivered.iter().map(Result::is_ok).collect();
    assert_eq!(arrived, [true, true, false, false, true, true]);
    assert!(matches!(delivered[2], Err(Error::Name(_))) && matches!(delivered[3], Err(Error::Source(_))));
    for account in [MINJI, "sora@example.kr"] {
        assert_eq!(mailboxes.usage(account).unwrap().messages, 2);
        assert_eq!(mailboxes.usage(account).unwrap(), mailboxes.recount(account).unwrap());
    }
}
