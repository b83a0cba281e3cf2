use super::*;
use crate::fixture::Node;

fn address(text: &str) -> Address {
    text.parse().unwrap()
}

const ALIASES: &str = "\
root: minji
postmaster: root
mailer-daemon: postmaster
staff: minji, jisoo, outside@elsewhere.example
copy: copy, minji
ping: pong
pong: ping
half: half2, minji
half2: half
info@example.org: jisoo
list: :include:/list
prog: |cat
file: /dev/null
mixed: minji, |cat
minji@example.com: minji@example.net
nowhere: ghost
backup: a@behind.example
";

fn node() -> Node {
    Node::new(ALIASES, &["minji@example.net", "jisoo@example.net", "copy@example.net", "odd%name@example.net"])
}

/// R1.11, R4.1, R4.2, R4.5.
#[test]
fn where_mail_goes() {
    let node = node();
    let mailbox = |account: &str| Route::Mailbox(account.to_owned());
    for (to, expected) in [
        ("minji@example.net", mailbox("minji@example.net")),
        ("MinJi@EXAMPLE.net", mailbox("minji@example.net")),
        ("\"minji\"@example.net", mailbox("minji@example.net")),
        ("ghost@example.net", Route::Unknown),
        ("minji@example.org", Route::Unknown),
        ("minji@www.example.net", Route::Relay),
        ("minji@elsewhere.example", Route::Relay),
        ("anybody@behind.example", Route::Unsure),
        ("anybody@sub.behind.example", Route::Unsure),
        ("root@example.net", Route::Forward(vec![Target::Name("minji".into())])),
        ("root@example.org", Route::Forward(vec![Target::Name("minji".into())])),
        ("info@example.org", Route::Forward(vec![Target::Name("jisoo".into())])),
        ("info@example.net", Route::Unknown),
        ("minji@example.com", Route::Forward(vec![Target::Address(address("minji@example.net"))])),
        ("list@example.net", Route::List("/list".into())),
        ("prog@example.net", Route::Pipe("cat".into())),
        ("file@example.net", Route::File("/dev/null".into())),
        // The old tricks: each ends at a mailbox name that nobody has.
        ("minji%elsewhere.example@example.net", Route::Unknown),
        ("elsewhere.example!minji@example.net", Route::Unknown),
        ("\"minji@elsewhere.example\"@example.net", Route::Unknown),
        ("\"info@example.org\"@example.org", Route::Unknown),
        ("odd%name@example.net", mailbox("odd%name@example.net")),
    ] {
        assert_eq!(route(&address(to), &node.facts()), expected, "{to}");
    }
}

#[test]
fn postmaster_is_in_every_local_domain() {
    let node = Node::new("", &["postmaster@example.net"]);
    for to in ["postmaster@example.net", "Postmaster@example.org"] {
        assert_eq!(route(&address(to), &node.facts()), Route::Mailbox("postmaster@example.net".into()), "{to}");
    }
    assert_eq!(route(&address("postmaster@elsewhere.example"), &node.facts()), Route::Relay);
}

#[test]
fn the_default_domain_is_local_without_a_list() {
    let mut node = node();
    node.local = LocalDomains::default();
    assert_eq!(route(&address("minji@example.net"), &node.facts()), Route::Mailbox("minji@example.net".into()));
}

fn ends(node: &Node, to: &str) -> Vec<String> {
    match expand(&address(to), &node.facts()) {
        Expansion::Members(members) => members.iter().map(|member| format!("{} {:?}", member.address, member.route)).collect(),
        Expansion::Loop(way) => vec![format!("loop {way:?}")],
        Expansion::TooMany => vec!["too many".into()],
    }
}

#[test]
fn aliases_are_followed_to_their_ends() {
    let node = node();
    let mailbox = |name: &str| format!("{name}@example.net Mailbox(\"{name}@example.net\")");
    for (to, expected) in [
        ("minji@example.net", vec![mailbox("minji")]),
        ("mailer-daemon@example.org", vec![mailbox("minji")]),
        ("staff@example.net", vec![mailbox("minji"), mailbox("jisoo"), "outside@elsewhere.example Relay".into()]),
        ("copy@example.net", vec![mailbox("copy"), mailbox("minji")]),
        ("ping@example.net", vec!["loop [<ping@example.net>]".into()]),
        ("half@example.net", vec![mailbox("minji")]),
        ("mixed@example.net", vec![mailbox("minji"), "mixed@example.net Pipe(\"cat\")".into()]),
        ("list@example.net", vec!["list@example.net List(\"/list\")".into()]),
        ("nowhere@example.net", vec!["ghost@example.net Unknown".into()]),
        ("ghost@example.net", vec!["ghost@example.net Unknown".into()]),
        ("backup@example.net", vec!["a@behind.example Unsure".into()]),
        ("x@elsewhere.example", vec!["x@elsewhere.example Relay".into()]),
    ] {
        assert_eq!(ends(&node, to), expected, "{to}");
    }
}

#[test]
fn depth_and_number_are_bounded() {
    let chain: String = (0..30).map(|n| format!("a{n}: a{}\n", n + 1)).collect();
    let node = Node::new(&format!("{chain}a30: minji\n"), &["minji@example.net"]);
    assert_eq!(ends(&node, "a0@example.net"), ["loop [<a10@example.net>]"]);
    assert_eq!(ends(&node, "a25@example.net").len(), 1);
    assert!(ends(&node, "a25@example.net")[0].contains("Mailbox"));

    let list = |from: usize| (from..from + 6000).map(|n| format!("u{n}@elsewhere.example")).collect::<Vec<_>>().join(",");
    let node = Node::new(&format!("big: one, two\none: {}\ntwo: {}\n", list(0), list(6000)), &[]);
    assert_eq!(ends(&node, "big@example.net"), ["too many"]);

    // 2^4 ways lead through these, but each alias is followed once, and each end is named once.
    let wide: String = (0..4).map(|n| format!("w{n}: l{n}, r{n}\nl{n}: w{}\nr{n}: w{}\n", n + 1, n + 1)).collect();
    let node = Node::new(&wide, &["minji@example.net"]);
    assert_eq!(ends(&node, "w0@example.net"), ["w4@example.net Unknown"]);
}

#[test]
fn the_trail_names_the_maps() {
    let node = node();
    let mut trail = Trail::kept();
    route_with_trail(&address("root@example.net"), &node.facts(), &mut trail);
    let steps: Vec<String> = trail.into_steps().iter().map(|step| format!("{}: {}", step.check, step.found)).collect();
    assert_eq!(steps, ["local-host-names: example.net is ours", "aliases: line 1 has 1 target(s) for root@example.net"]);
    assert!(Trail::off().into_steps().is_empty());
}
