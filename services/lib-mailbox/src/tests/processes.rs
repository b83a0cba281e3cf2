//! The maildrop's lock between processes: it keeps others out and dies with its holder.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use super::*;

/// Names the directory to the process that this test starts of itself.
const HOLD: &str = "BONGSU_TEST_HOLD_MAILDROP";

#[test]
fn a_lock_keeps_other_processes_out_and_dies_with_its_own() {
    if let Ok(dir) = std::env::var(HOLD) {
        let _held = Mailboxes::open(Path::new(&dir)).unwrap().maildrop(MINJI).unwrap();
        println!("\nheld");
        std::thread::sleep(std::time::Duration::from_secs(60));
        return;
    }
    let yard = Yard::new();
    yard.deliver(1, "x\r\n", false);
    let name = "tests::processes::a_lock_keeps_other_processes_out_and_dies_with_its_own";
    let mut holder = Command::new(std::env::current_exe().unwrap())
        .args([name, "--exact", "--nocapture"])
        .env(HOLD, yard.dir.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let said = BufReader::new(holder.stdout.take().unwrap()).lines().map_while(Result::ok).any(|line| line == "held");
    assert!(said, "the holder got the lock");
    assert!(matches!(yard.mailboxes.maildrop(MINJI), Err(Error::InUse)));
    // Delivery is not held up.
    yard.deliver(2, "x\r\n", false);
    holder.kill().unwrap();
    holder.wait().unwrap();
    assert_eq!(yard.mailboxes.maildrop(MINJI).unwrap().len(), 2);
}
