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
