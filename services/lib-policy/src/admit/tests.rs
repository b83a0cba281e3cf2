use super::*;
use crate::fixture::Node;

const NOW: Timestamp = Timestamp(1_795_401_000_123);

fn node() -> Node {
    let mut node = Node::new(
        "sales: minji, jisoo\nloop: loop2\nloop2: loop\nprog: |cat\n",
        &["minji@example.net", "jisoo@example.net", "mute@example.net"],
    );
    node.accounts.owned.push(("minji@example.net".into(), "minji@private.example".into()));
    node.accounts.silent.push("mute@example.net".into());
    node
}

fn client(door: Door, address: &str, account: Option<&'static str>) -> Client<'static> {
    Client { door, peer: Peer::direct(address.parse().unwrap()), account, relay_networks: &[] }
}

fn rcpt(client: &Client<'_>, to: &str) -> String {
    let node = node();
    let status = admit_recipient(client, &to.parse().unwrap(), &node.facts(), NOW, Trail::off()).verdict.status;
    format!("{} {}", status.code, status.enhanced)
}

fn mail(client: &Client<'_>, from: &str) -> String {
    let node = node();
    let sender = (!from.is_empty()).then(|| from.parse().unwrap());
    let status = admit_sender(client, &sender, &node.facts(), NOW, Trail::off()).status;
    format!("{} {}", status.code, status.enhanced)
}

/// R1.11: who may relay.
#[test]
fn a_stranger_reaches_our_mailboxes_and_what_we_are_backup_for() {
    let stranger = client(Door::Mx, "127.0.0.1:1", None);
    for (to, expected) in [
        ("minji@example.net", "250 2.1.5"),
        ("sales@example.org", "250 2.1.5"),
        ("ghost@example.net", "550 5.1.1"),
        ("prog@example.net", "550 5.3.3"),
        ("any@behind.example", "250 2.1.5"),
        ("any@www.behind.example", "250 2.1.5"),
        ("victim@elsewhere.example", "550 5.7.1"),
        ("victim@[192.0.2.1]", "550 5.7.1"),
        ("victim%elsewhere.example@example.net", "550 5.1.1"),
        ("elsewhere.example!victim@example.net", "550 5.1.1"),
        ("\"victim@elsewhere.example\"@example.net", "550 5.1.1"),
        ("victim%elsewhere.example@behind.example", "550 5.7.1"),
        ("elsewhere.example!victim@behind.example", "550 5.7.1"),
        ("\"victim@elsewhere.example\"@behind.example", "550 5.7.1"),
    ] {
        assert_eq!(rcpt(&stranger, to), expected, "{to}");
    }
}

#[test]
fn who_reaches_everybody() {
    let networks: Vec<IpNet> = vec!["192.0.2.0/24".parse().unwrap(), "2001:db8::/32".parse().unwrap()];
    let with = |door, address: &str, account| Client { relay_networks: &networks, ..client(door, address, account) };
    let hidden = Client {
        peer: Peer { trust: Trust::Hidden, ..Peer::direct("192.0.2.7:1".parse().unwrap()) },
        ..with(Door::Mx, "192.0.2.7:1", None)
    };
    let asserted = Client {
        peer: Peer {
            socket: "127.0.0.1:1".parse().unwrap(),
            asserted: Some("192.0.2.7:1".parse().unwrap()),
            trust: Trust::Asserted,
        },
        ..with(Door::Mx, "127.0.0.1:1", None)
    };
    for (who, client, expected) in [
        ("a network", with(Door::Mx, "192.0.2.7:1", None), "250 2.1.5"),
        ("the same as a mapped address", with(Door::Mx, "[::ffff:192.0.2.7]:1", None), "250 2.1.5"),
        ("an IPv6 network", with(Door::Mx, "[2001:db8::1]:1", None), "250 2.1.5"),
        ("an asserted address", asserted, "250 2.1.5"),
        ("another network", with(Door::Mx, "198.51.100.1:1", None), "550 5.7.1"),
        ("loopback", with(Door::Mx, "127.0.0.1:1", None), "550 5.7.1"),
        ("a gateway that hides its clients", hidden, "550 5.7.1"),
        ("an account", with(Door::Submission, "198.51.100.1:1", Some("minji@example.net")), "250 2.1.5"),
        ("an account at port 25", with(Door::Mx, "198.51.100.1:1", Some("minji@example.net")), "250 2.1.5"),
        ("a network at a submission port", with(Door::Submission, "192.0.2.7:1", None), "530 5.7.0"),
    ] {
        assert_eq!(rcpt(&client, "victim@elsewhere.example"), expected, "{who}");
    }
    let account = client(Door::Submission, "198.51.100.1:1", Some("minji@example.net"));
    assert_eq!(rcpt(&account, "a%b@behind.example"), "250 2.1.5");
    assert_eq!(rcpt(&account, "ghost@example.net"), "550 5.1.1");
    assert_eq!(rcpt(&account, "victim@[192.0.2.1]"), "250 2.1.5");
    // Half a domain is told at once at a submission port, and by the look-up in DNS to a network that relays.
    assert_eq!(rcpt(&account, "victim@elsewhere"), "554 5.1.2");
    assert_eq!(rcpt(&with(Door::Mx, "192.0.2.7:1", None), "victim@elsewhere"), "250 2.1.5");
}

/// R1.12: who may send as whom.
#[test]
fn senders() {
    let minji = client(Door::Submission, "198.51.100.1:1", Some("minji@example.net"));
    let mute = client(Door::Submission, "198.51.100.1:1", Some("mute@example.net"));
    let nobody = client(Door::Submission, "127.0.0.1:1", None);
    let stranger = client(Door::Mx, "198.51.100.1:1", None);
    for (who, client, from, expected) in [
        ("own", minji, "MINJI@example.net", "250 2.1.0"),
        ("listed", minji, "minji@private.example", "250 2.1.0"),
        ("alias", minji, "sales@example.net", "250 2.1.0"),
        ("alias in another local domain", minji, "sales@example.org", "250 2.1.0"),
        ("null", minji, "", "250 2.1.0"),
        ("another's", minji, "jisoo@example.net", "553 5.7.1"),
        ("another server's", minji, "minji@elsewhere.example", "553 5.7.1"),
        ("a loop's", minji, "loop@example.net", "553 5.7.1"),
        ("nobody's", minji, "ghost@example.net", "553 5.7.1"),
        ("no right to send", mute, "mute@example.net", "550 5.7.1"),
        ("no AUTH", nobody, "minji@example.net", "530 5.7.0"),
        ("no AUTH, null", nobody, "", "530 5.7.0"),
        ("a stranger", stranger, "any@elsewhere.example", "250 2.1.0"),
        ("a stranger's notification", stranger, "", "250 2.1.0"),
    ] {
        assert_eq!(mail(&client, from), expected, "{who}");
    }
}

#[test]
fn the_trail_says_why() {
    let node = node();
    let stranger = client(Door::Mx, "198.51.100.1:1", None);
    let to = "victim@elsewhere.example".parse().unwrap();
    let admission = admit_recipient(&stranger, &to, &node.facts(), NOW, Trail::kept());
    let checks: Vec<&str> = admission.verdict.trail.iter().map(|step| step.check.as_str()).collect();
    assert_eq!(checks, ["local-host-names", "relay-domains", "smtp.relay_networks"]);
    assert!(!admission.verdict.is_yes());
    assert_eq!(admission.route, Route::Relay);
}

/// R3.3: the backup's door.
#[test]
fn a_backup_takes_whom_the_primary_knows_and_doubts_only_with_an_old_list() {
    let hour = std::time::Duration::from_secs(3600);
    let list = crate::RecipientList::parse(["size 1000", "domain behind.example", "mailbox any@behind.example"]).unwrap();
    let primary = |confirmed: Option<Timestamp>, list: Option<crate::RecipientList>| {
        let domains = vec!["behind.example".parse().unwrap()];
        let (name, proposed) = ("one".to_owned(), None);
        crate::Primaries::new(vec![crate::Primary { name, domains, max_age: hour, list, proposed, confirmed }])
    };
    let networks: Vec<IpNet> = vec!["192.0.2.0/24".parse().unwrap()];
    let stranger = client(Door::Mx, "198.51.100.1:1", None);
    let own = Client { relay_networks: &networks, ..client(Door::Mx, "192.0.2.7:1", None) };
    let old = Timestamp(NOW.0 - 3_600_001);
    for (confirmed, has_list, client, to, expected) in [
        (Some(NOW), true, &stranger, "any@behind.example", "250 2.1.5"),
        (Some(old), true, &stranger, "any@behind.example", "250 2.1.5"),
        (Some(NOW), true, &stranger, "ghost@behind.example", "550 5.1.1"),
        (Some(old), true, &stranger, "ghost@behind.example", "451 4.3.0"),
        (None, false, &stranger, "any@behind.example", "451 4.3.0"),
        (Some(NOW), true, &stranger, "a%b@behind.example", "550 5.7.1"),
        (Some(NOW), true, &own, "ghost@behind.example", "550 5.1.1"),
        (Some(old), true, &own, "ghost@behind.example", "250 2.1.5"),
        (Some(NOW), true, &stranger, "x@elsewhere.example", "550 5.7.1"),
        (Some(NOW), true, &own, "x@elsewhere.example", "250 2.1.5"),
    ] {
        let mut node = node();
        node.primaries = primary(confirmed, has_list.then(|| list.clone()));
        let status = admit_recipient(client, &to.parse().unwrap(), &node.facts(), NOW, Trail::off()).verdict.status;
        assert_eq!(format!("{} {}", status.code, status.enhanced), expected, "{to} {confirmed:?}");
    }
}
