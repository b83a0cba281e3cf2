//! A next hop that is not ours: Postfix's smtp-sink, which takes everything, or fails as it is told.

use std::net::{IpAddr, SocketAddr, TcpStream};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use bongsu_harness::client::have;
use bongsu_harness::dns::Dns;
use bongsu_harness::ledger::{Found, Ledger};
use bongsu_harness::load::Load;
use bongsu_harness::node::{Node, Plan, free_address, port};
use bongsu_harness::wait::{wait_for, wait_until};

const PATIENCE: Duration = Duration::from_secs(40);

/// A running smtp-sink; it is killed when dropped.
struct Sink {
    process: Child,
    address: SocketAddr,
    dir: tempfile::TempDir,
}

impl Sink {
    /// Starts one with these options, each message into a file of its own.
    fn start(options: &[&str]) -> Sink {
        let dir = tempfile::tempdir().unwrap();
        // It gives up root, and writes as nobody.
        std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o777)).unwrap();
        let address = SocketAddr::new(IpAddr::V4(free_address()), port::MX);
        let mut command = Command::new("smtp-sink");
        if std::fs::metadata(dir.path()).unwrap().uid() == 0 {
            command.args(["-u", "nobody"]);
        }
        let dump = format!("{}/", dir.path().display());
        command.args(options).args(["-d", &dump, &address.to_string(), "100"]);
        let process = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
        let sink = Sink { process, address, dir };
        wait_until("smtp-sink", PATIENCE, || TcpStream::connect(sink.address).is_ok()).unwrap();
        sink
    }

    /// What it took, as its files show it.
    fn taken(&self) -> Vec<Vec<u8>> {
        let files = std::fs::read_dir(self.dir.path()).unwrap().map(|entry| std::fs::read(entry.unwrap().path()).unwrap());
        files.filter(|text| !text.is_empty()).collect()
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn skipped() -> bool {
    let missing = !have("smtp-sink");
    if missing {
        eprintln!("SKIPPED: smtp-sink is not installed: apt-get install postfix");
    }
    missing
}

/// A node that relays for `sink.example`, whose mail hosts are these sinks, all of one preference.
fn node(sinks: &[&Sink]) -> (Node, Dns) {
    let dns = Dns::start("127.0.0.1".parse().unwrap()).unwrap();
    for (number, sink) in sinks.iter().enumerate() {
        let name = format!("sink{number}.example");
        dns.mx("sink.example", 10, &name).unwrap();
        dns.host(&name, sink.address.ip()).unwrap();
    }
    let mut plan = Plan::new("a", &["minji"])
        .with("smtp.max_sessions_per_address = 0\nsmtp.connection_rate_per_address = \"1000000/60s\"\nqueue.retry = [\"1s\"]")
        .with(&format!("relay.nameservers = [\"{}\"]\nrelay.port = {}\nrelay.allow_loopback = true", dns.address(), port::MX));
    plan.relay_domains = vec!["sink.example".into()];
    (plan.start().unwrap(), dns)
}

/// So many messages, all of which are accepted, and their books.
fn sent(node: &Node, messages: usize) -> Ledger {
    let ledger = Ledger::default();
    let load = Load {
        messages,
        from: "minji@a.example".into(),
        ..Load::new(&[node.at(port::MX)], &["one@sink.example", "two@sink.example three@sink.example"])
    };
    let report = load.run(&ledger, &AtomicBool::new(false));
    assert_eq!(report.accepted, messages, "{report:?}");
    ledger
}

/// What a sink took, for the books: its dump gives each recipient in a line of its own, and ends with an empty line behind the message.
fn found(text: &[u8]) -> Option<Found> {
    let text = text.strip_suffix(b"\n")?;
    let head = String::from_utf8_lossy(text).into_owned();
    let lines = head.lines().take_while(|line| !line.is_empty()).filter_map(|line| line.strip_prefix("X-Rcpt-Args: "));
    let recipients = lines.filter_map(|line| Some(line.split_once('<')?.1.split_once('>')?.0.to_owned())).collect();
    Found::outside("smtp-sink", recipients, text)
}

/// R3.1: a server of another make gets every message once, octet for octet.
#[test]
fn smtp_sink_gets_every_message_once_and_undamaged() {
    if skipped() {
        return;
    }
    let sink = Sink::start(&[]);
    let (node, _dns) = node(&[&sink]);
    let ledger = sent(&node, 200);
    node.wait_empty(PATIENCE).unwrap();
    let taken: Vec<Found> = sink.taken().iter().filter_map(|text| found(text)).collect();
    let (books, _) = ledger.balance(&taken, &|to| vec![to.to_owned()]);
    assert_eq!((books.accepted, books.handed_over, books.unknown), (300, 300, 0), "{books:?}");
    assert!(books.duplicated.is_empty() && books.damaged.is_empty() && books.lost.is_empty(), "{books:?}");
}

/// R3.1: of six servers of one preference, tried at random, five fail each in its own way and for the moment: all mail goes to the sixth, once,
/// and none is returned.
#[test]
fn random_failures_of_smtp_sinks_only_lead_to_the_one_that_is_well() {
    if skipped() {
        return;
    }
    let failing = [["-r", "RCPT"], ["-r", "."], ["-Q", "MAIL"], ["-q", "DATA"], ["-f", "CONNECT"]].map(|how| Sink::start(&how));
    let well = Sink::start(&[]);
    let all: Vec<&Sink> = failing.iter().chain([&well]).collect();
    let (node, _dns) = node(&all);
    let ledger = sent(&node, 200);
    wait_for("an empty queue", PATIENCE, || {
        node.cli(&["queue", "run"])?.ok()?;
        Ok(node.queue()?.is_empty().then_some(()))
    })
    .unwrap_or_else(|error| panic!("{error:#}\n{}", node.log_tail(30)));
    let taken: Vec<Found> = well.taken().iter().filter_map(|text| found(text)).collect();
    let (books, _) = ledger.balance(&taken, &|to| vec![to.to_owned()]);
    assert_eq!((books.accepted, books.handed_over), (300, 300), "{books:?}");
    assert!(books.duplicated.is_empty() && books.damaged.is_empty() && books.lost.is_empty(), "{books:?}");
    assert!(node.delivered().unwrap().is_empty(), "a sender was told of a failure");
}

/// R3.4: what a server of another make refuses for good comes back, once for each message, with its words.
#[test]
fn what_smtp_sink_refuses_for_good_comes_back_with_its_words() {
    if skipped() {
        return;
    }
    for (command, words) in [("RCPT", "553 5.1.3 not these"), (".", "554 5.6.0 not this")] {
        let sink = Sink::start(&["-f", command, "-B", words]);
        let (node, _dns) = node(&[&sink]);
        let ledger = sent(&node, 10);
        wait_until("ten notifications", PATIENCE, || node.delivered().is_ok_and(|copies| copies.len() == 10))
            .unwrap_or_else(|error| panic!("{error:#}\n{}", node.log_tail(30)));
        let told = node.delivered().unwrap();
        let returned: Vec<Found> = told.iter().filter_map(|text| Found::in_mailbox("a", "minji@a.example", text)).collect();
        let (books, _) = ledger.balance(&returned, &|to| vec![to.to_owned()]);
        assert_eq!((books.accepted, books.bounced), (15, 15), "{command}: {books:?}");
        assert!(told.iter().all(|text| String::from_utf8_lossy(text).contains(words)), "{command}");
    }
}
