//! The decisions as tables: who asks what, and what is answered.

use lib_account::{Account, Cost, Names, Register};
use lib_mail::{BodyType, Peer};
use lib_policy::{Aliases, Door, LocalDomains, RelayDomains};

use super::*;

const NOW: Timestamp = Timestamp(1_795_401_000_000);

fn maps() -> Maps {
    let dir = tempfile::tempdir().unwrap();
    let register = Register::open(dir.path()).with_cost(Cost { memory: 8, passes: 1 });
    let account = |address: &str, may_send, owns: &[&str]| Account {
        may_send,
        owns: owns.iter().map(|owned| owned.parse().unwrap()).collect(),
        ..Account::new(address.parse().unwrap())
    };
    register.add(account("minji@a.example", true, &["sales@a.example"]), "secret").unwrap();
    register.add(account("reader@a.example", false, &[]), "secret").unwrap();
    register.add(account("postmaster@a.example", true, &[]), "secret").unwrap();
    register.add(account("민지@a.example", true, &[]), "secret").unwrap();
    let accounts = Names::open(&dir.path().join("accounts")).current().unwrap();
    let aliases = "team: minji, reader\nabroad: minji@elsewhere.example\nround: round2\nround2: round\nprogram: |/bin/x\nabroad2: minji, 민지@a.example\n";
    Maps {
        local: LocalDomains::parse("a.example\nb.example\n").unwrap(),
        relay: RelayDomains::parse("backup.example\n").unwrap(),
        primaries: lib_policy::Primaries::default(),
        aliases: Aliases::parse(aliases).unwrap(),
        accounts: Some(accounts),
    }
}

fn domain() -> Domain {
    "a.example".parse().unwrap()
}

fn client(door: Door, address: &str, account: Option<&'static str>) -> Client<'static> {
    let networks: &'static [ipnet::IpNet] = Box::leak(vec!["192.0.2.0/24".parse().unwrap()].into_boxed_slice());
    Client { door, peer: Peer::direct(format!("{address}:2525").parse().unwrap()), account, relay_networks: networks }
}

fn shown(status: &Status) -> String {
    format!("{} {}", status.code, status.enhanced)
}

fn mail_from(sender: &str) -> Mail {
    let sender = (!sender.is_empty()).then(|| sender.parse().unwrap());
    Mail { sender, size: None, body: BodyType::SevenBit, utf8: false, ret: None, envid: None, auth: None }
}

#[test]
fn who_may_send_as_whom() {
    let maps = maps();
    for (door, account, sender, want) in [
        (Door::Mx, None, "anyone@else.example", "250 2.1.0"),
        (Door::Mx, None, "", "250 2.1.0"),
        (Door::Submission, None, "minji@a.example", "530 5.7.0"),
        (Door::Submission, Some("minji@a.example"), "Minji@A.Example", "250 2.1.0"),
        (Door::Submission, Some("minji@a.example"), "sales@a.example", "250 2.1.0"),
        (Door::Submission, Some("minji@a.example"), "team@a.example", "250 2.1.0"),
        (Door::Submission, Some("minji@a.example"), "", "250 2.1.0"),
        (Door::Submission, Some("minji@a.example"), "reader@a.example", "553 5.7.1"),
        (Door::Submission, Some("minji@a.example"), "minji@elsewhere.example", "553 5.7.1"),
        (Door::Submission, Some("reader@a.example"), "reader@a.example", "550 5.7.1"),
    ] {
        let client = client(door, "198.51.100.1", account);
        assert_eq!(shown(&mail(&client, &mail_from(sender), &maps, &domain(), NOW)), want, "{account:?} as {sender}");
    }
}

#[test]
fn who_may_send_to_whom() {
    let maps = maps();
    let (stranger, friend) = ("198.51.100.1", "192.0.2.9");
    let minji = Some("minji@a.example");
    for (door, address, account, to, want) in [
        (Door::Mx, stranger, None, "minji@a.example", "250 2.1.5"),
        (Door::Mx, stranger, None, "MINJI@A.EXAMPLE", "250 2.1.5"),
        (Door::Mx, stranger, None, "team@b.example", "250 2.1.5"),
        (Door::Mx, stranger, None, "abroad@a.example", "250 2.1.5"),
        (Door::Mx, stranger, None, "postmaster@b.example", "250 2.1.5"),
        (Door::Mx, stranger, None, "nobody@a.example", "550 5.1.1"),
        (Door::Mx, stranger, None, "minji@b.example", "550 5.1.1"),
        (Door::Mx, stranger, None, "program@a.example", "550 5.3.3"),
        (Door::Mx, stranger, None, "x@elsewhere.example", "550 5.7.1"),
        (Door::Mx, stranger, None, "x%elsewhere.example@a.example", "550 5.1.1"),
        (Door::Mx, stranger, None, "\"x@elsewhere.example\"@a.example", "550 5.1.1"),
        (Door::Mx, stranger, None, "x@backup.example", "250 2.1.5"),
        (Door::Mx, stranger, None, "x@sub.backup.example", "250 2.1.5"),
        (Door::Mx, stranger, None, "x%else.example@backup.example", "550 5.7.1"),
        (Door::Mx, friend, None, "x@elsewhere.example", "250 2.1.5"),
        (Door::Submission, friend, None, "x@elsewhere.example", "530 5.7.0"),
        (Door::Submission, stranger, minji, "x@elsewhere.example", "250 2.1.5"),
        (Door::Submission, stranger, minji, "nobody@a.example", "550 5.1.1"),
    ] {
        let client = client(door, address, account);
        let to = Recipient::new(to.parse().unwrap());
        let status = rcpt(&client, &to, &maps, &domain(), NOW);
        assert_eq!(shown(&status), want, "{door:?} {address} {account:?} to {}", to.address);
    }
}

#[test]
fn accounts_that_cannot_be_read_are_our_trouble_alone() {
    let maps = Maps { accounts: None, ..maps() };
    let stranger = client(Door::Mx, "198.51.100.1", None);
    for (to, want) in [
        ("minji@a.example", "451 4.3.0"),
        ("nobody@a.example", "451 4.3.0"),
        ("x@backup.example", "250 2.1.5"),
        ("x@elsewhere.example", "550 5.7.1"),
    ] {
        let status = rcpt(&stranger, &Recipient::new(to.parse().unwrap()), &maps, &domain(), NOW);
        assert_eq!(shown(&status), want, "{to}");
    }
    let user = client(Door::Submission, "198.51.100.1", Some("minji@a.example"));
    assert_eq!(shown(&mail(&user, &mail_from("minji@a.example"), &maps, &domain(), NOW)), "451 4.3.0");
    assert_eq!(shown(&vrfy("minji", &maps, &domain(), NOW)), "252 2.5.2");
}

#[test]
fn which_queue_a_recipient_is_for() {
    let maps = maps();
    for (to, local) in [
        ("minji@a.example", true),
        ("abroad@a.example", true),
        ("gone@a.example", true),
        ("x@backup.example", false),
        ("x@elsewhere.example", false),
    ] {
        assert_eq!(is_for_deliver(&to.parse().unwrap(), &maps, &domain()), local, "{to}");
    }
}

#[test]
fn what_vrfy_and_expn_tell() {
    let maps = maps();
    for (user, want) in [
        ("minji", "250 2.1.5 <minji@a.example>"),
        ("<Minji@A.example>", "250 2.1.5 <Minji@A.example>"),
        ("nobody", "550 5.1.1 No such user here"),
        ("x@elsewhere.example", "252 2.5.2 Cannot verify the user, but will take mail and try"),
        ("two words", "252 2.5.2 Cannot verify the user, but will take mail and try"),
        ("민지", "252 2.6.8 The answer holds addresses beyond ASCII and cannot be shown"),
    ] {
        assert_eq!(vrfy(user, &maps, &domain(), NOW).to_string(), want, "{user}");
    }
    for (list, want) in [
        ("team", Ok("<minji@a.example> <reader@a.example>")),
        ("abroad", Ok("<minji@elsewhere.example>")),
        ("abroad2", Err("252 2.6.8 The answer holds addresses beyond ASCII and cannot be shown")),
        ("minji", Ok("<minji@a.example>")),
        ("round", Err("550 5.1.1 No such list here")),
        ("nobody", Err("550 5.1.1 No such list here")),
        ("x@elsewhere.example", Err("550 5.1.1 No such list here")),
    ] {
        let told = expn(list, &maps, &domain(), NOW).map(|members| members.join(" ")).map_err(|status| status.to_string());
        assert_eq!(told, want.map(str::to_owned).map_err(str::to_owned), "{list}");
    }
}

#[test]
fn a_list_too_long_for_a_reply_is_counted() {
    let many = (0..100).map(|n| format!("user{n}")).collect::<Vec<_>>().join(", ");
    let maps = Maps { aliases: Aliases::parse(&format!("many: {many}, minji\n")).unwrap(), ..maps() };
    assert!(expn("many", &maps, &domain(), NOW).unwrap_err().to_string().starts_with("252 2.5.2 101 members"));
}

#[test]
fn what_a_login_is_told() {
    for (verdict, want) in [
        (Verdict::Verified { account: "minji@a.example".into() }, None),
        (Verdict::Refused, Some("535 5.7.8")),
        (Verdict::Forbidden, Some("535 5.7.1")),
        (Verdict::Unavailable, Some("454 4.7.0")),
    ] {
        assert_eq!(login(&verdict, NOW).map(|status| shown(&status)), want.map(str::to_owned), "{verdict:?}");
    }
}

#[test]
fn a_message_with_too_many_hops_is_in_a_loop() {
    let verdict = |hops: usize, limit| {
        let mut scan = HeaderScan::new();
        scan.feed(format!("{}Subject: x\r\n\r\nReceived: y\r\n", "Received: x\r\n".repeat(hops)).as_bytes());
        scan.finish();
        shown(&content(&scan, limit, NOW))
    };
    assert_eq!(verdict(25, 25), "250 2.0.0");
    assert_eq!(verdict(26, 25), "554 5.4.6");
    assert_eq!(verdict(0, 25), "250 2.0.0");
}

#[test]
fn room_is_asked_with_the_declared_size() {
    let space = |free_bytes, free_inodes| {
        Ok(Space { mount: "/".into(), free_bytes, needed_bytes: 1000, free_inodes, needed_inodes: 10 })
    };
    for (space, declared, full) in [
        (space(2000, 20), None, false),
        (space(2000, 20), Some(1000), false),
        (space(2000, 20), Some(1001), true),
        (space(999, 20), None, true),
        (space(2000, 9), None, true),
        (Err(Error::Misuse("cannot tell")), Some(1), false),
    ] {
        let status = room(&space, declared, NOW);
        assert_eq!(status.map(|status| shown(&status)), full.then(|| "452 4.3.1".to_owned()), "{space:?} {declared:?}");
    }
}

#[test]
fn a_full_disk_is_told_apart_from_a_broken_one() {
    let error = |kind: std::io::ErrorKind| Error::Disk { doing: "write the message", source: kind.into() };
    assert_eq!(shown(&spool_error(&error(std::io::ErrorKind::StorageFull), NOW)), "452 4.3.1");
    assert_eq!(shown(&spool_error(&error(std::io::ErrorKind::Other), NOW)), "451 4.3.0");
}

/// R1.2: only a mailbox has this limit, and an alias may lead elsewhere.
#[test]
fn what_is_too_large_for_a_mailbox() {
    let maps = maps();
    for (to, size, refused) in [
        ("minji@a.example", 1000, false),
        ("minji@a.example", 1001, true),
        ("team@a.example", 1001, false),
        ("you@backup.example", 1001, false),
        ("you@elsewhere.example", 1001, false),
        ("nobody@a.example", 1001, false),
    ] {
        let refusal = too_large_for_mailbox(&to.parse().unwrap(), size, 1000, &maps, &domain(), NOW);
        assert_eq!(refusal.as_ref().map(shown), refused.then(|| "552 5.2.3".to_owned()), "{to} {size}");
    }
}
