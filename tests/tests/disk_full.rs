//! A full disk: mail is refused for now and never for good, what was accepted stays, what gives room back works, and it ends by itself.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use bongsu_harness::dns::Dns;
use bongsu_harness::ledger::Ledger;
use bongsu_harness::load::{Load, Report};
use bongsu_harness::node::{Node, Plan, free_address, port};
use bongsu_harness::peer::Peer;
use bongsu_harness::small_disk::{SmallDisk, impossible};
use bongsu_harness::smtp::{Reply, Smtp, stuffed};
use bongsu_harness::wait::wait_until;

const PATIENCE: Duration = Duration::from_secs(90);
/// Runs of the queue until it must be empty, and how long each may take.
const RUNS: usize = 10;
const EACH_RUN: Duration = Duration::from_secs(8);
const MEGABYTE: u64 = 1 << 20;
const NO_ROOM: &str = "452 4.3.1";
/// The load's recipients: here, here, and at the peer.
const RECIPIENTS: [&str; 3] = ["user0@full.example", "user1@full.example", "you@peer.example"];

fn scratch() -> PathBuf {
    std::env::var_os("HARNESS_SCRATCH").map_or_else(std::env::temp_dir, PathBuf::from)
}

/// Says why nothing is tried, where nothing can be.
fn skipped() -> bool {
    let why = impossible();
    if let Some(why) = &why {
        eprintln!("SKIPPED: {why}");
    }
    why.is_some()
}

/// A node on a disk of its own, and the peer that it relays to, which is closed at first.
struct Bench {
    // In this order: the node ends before its disk goes.
    node: Node,
    disk: SmallDisk,
    peer: Peer,
    _dns: Dns,
}

impl Bench {
    fn new(megabytes: u64, inodes: u64) -> Bench {
        let disk = SmallDisk::new(&scratch(), megabytes, inodes).unwrap();
        let dns = Dns::start("127.0.0.1".parse().unwrap()).unwrap();
        let peer = Peer::start(IpAddr::V4(free_address()), port::MX, &["PIPELINING"]).unwrap();
        peer.answer("CONNECT", None, "421 4.3.2 closed");
        dns.mx("peer.example", 10, "mx.peer.example").unwrap();
        dns.host("mx.peer.example", peer.address().ip()).unwrap();
        let mut plan = Plan::new("full", &["user0", "user1", "minji"]).with(&format!(
            "relay.nameservers = [\"{}\"]\nrelay.port = {}\nrelay.allow_loopback = true\nqueue.retry = [\"1h\"]\n\
             smtp.message_size_limit = \"1 MB\"\nsmtp.submission_size_limit = \"1 MB\"\nsmtp.local_size_limit = \"1 MB\"\n\
             smtp.max_sessions_per_address = 0\nsmtp.connection_rate_per_address = \"1000000/60s\"",
            dns.address(),
            port::MX
        ));
        plan.relay_domains = vec!["peer.example".into()];
        plan.dir = Some(disk.path().join("node"));
        let node = plan.start().unwrap();
        Bench { node, disk, peer, _dns: dns }
    }

    fn smtp(&self) -> Smtp {
        let mut smtp = self.node.smtp().unwrap();
        smtp.command("EHLO client.example").unwrap().expect(250).unwrap();
        smtp
    }

    /// Sends one message outside the books; its queue id.
    fn send(&self, to: &str) -> String {
        let sent = self.smtp().transaction("a@b.example", &[to], b"Subject: x\r\n\r\nno token\r\n").unwrap();
        sent.expect(250).unwrap().text().rsplit(' ').next().unwrap().to_owned()
    }

    /// The reply to MAIL in a session of its own.
    fn mail(&self) -> Reply {
        self.smtp().command("MAIL FROM:<a@b.example>").unwrap()
    }

    fn wait_refused(&self) {
        wait_until("452 at MAIL", PATIENCE, || said(&self.mail()) == NO_ROOM).unwrap_or_else(|error| self.explain(&error));
    }

    fn wait_taken(&self) {
        wait_until("250 at MAIL", PATIENCE, || self.mail().code == 250).unwrap_or_else(|error| self.explain(&error));
    }

    fn load(&self, tag: &str, messages: usize, size: (usize, usize)) -> Load {
        Load {
            sessions: 4,
            messages,
            recipients: RECIPIENTS.map(str::to_owned).to_vec(),
            size,
            tag: tag.to_owned(),
            seed: 3,
            timeout: Duration::from_secs(30),
            ..Load::new(&[self.node.at(port::MX)], &[])
        }
    }

    /// Lets mail come in until the disk is as full as mail may make it, and a while longer. Nothing of it is delivered or relayed yet.
    fn load_until_refused(&self, size: (usize, usize)) -> (std::sync::Arc<Ledger>, Report) {
        self.node.pause_role("deliver").unwrap();
        let flow = self.load("filling", usize::MAX / 2, size).start();
        flow.wait_refused(20, PATIENCE).unwrap_or_else(|error| self.explain(&error));
        // Large messages are refused first; small ones go on filling the disk until there is room for none.
        let rejects = || self.node.status().is_ok_and(|status| status.to_string().contains("rejecting"));
        wait_until("a status that says so", PATIENCE, rejects).unwrap_or_else(|error| self.explain(&error));
        let books = flow.end().unwrap();
        // Whoever still notes a deferral would use the room that the scenario watches.
        let closed =
            |message: &serde_json::Value| message["recipients"][0]["why"].as_str().is_some_and(|why| why.contains("closed"));
        wait_until("a deferral of all that goes elsewhere", PATIENCE, || {
            let queue = self.node.queue().unwrap();
            queue.iter().filter(|message| message["recipients"][0]["queue"] == "relay").all(closed)
        })
        .unwrap_or_else(|error| self.explain(&error));
        books
    }

    /// Messages in the queue for local recipients, or in the other.
    fn queued(&self, queue: &str) -> usize {
        self.node.queue().unwrap().iter().filter(|message| message["recipients"][0]["queue"] == queue).count()
    }

    /// Runs the queue, as an operator would who sees what waits, until nothing is in this part of it. Each run takes a little room where
    /// mail must go on waiting, so not all the time.
    fn run_until_empty(&self, queue: &str) {
        for run in 1..=RUNS {
            eprintln!("run {run}: {} in {queue}, {:?}", self.queued(queue), self.disk.free());
            self.node.cli(&["queue", "run"]).unwrap().ok().unwrap();
            if wait_until(&format!("nothing in {queue}"), EACH_RUN, || self.queued(queue) == 0).is_ok() {
                return;
            }
        }
        self.explain(&anyhow::anyhow!("{RUNS} runs left something in {queue}"))
    }

    /// Removes the only message of minji over POP3.
    fn delete_over_pop3(&self) {
        let mut pop = self.node.pop("minji").unwrap();
        assert_eq!(pop.stat().unwrap().0, 1);
        pop.ok("DELE 1").unwrap();
        pop.quit().unwrap();
        let mut pop = self.node.pop("minji").unwrap();
        assert_eq!(pop.stat().unwrap().0, 0);
        pop.quit().unwrap();
    }

    /// A line of the log names the mount and what is free of it and needed.
    fn assert_logged(&self) {
        let mount = self.disk.path().display().to_string();
        let names_all = |line: &String| {
            ["smtp-in", &mount, " bytes free, ", " needed", " inodes free"].iter().all(|part| line.contains(part))
        };
        wait_until("a line about the disk", PATIENCE, || self.node.log().iter().any(names_all))
            .unwrap_or_else(|error| self.explain(&error));
    }

    /// The books at the end: every accepted message lies in a mailbox or at the peer, once.
    fn audit(&self, ledger: &Ledger) {
        ["local", "relay"].iter().for_each(|queue| self.run_until_empty(queue));
        let mut found = self.node.delivered().unwrap();
        found.extend(self.peer.taken().into_iter().map(|taken| taken.message));
        let audit = ledger.audit(found.iter().map(Vec::as_slice));
        eprintln!("{audit}");
        audit.balanced().unwrap_or_else(|error| self.explain(&error));
    }

    fn explain<T>(&self, error: &anyhow::Error) -> T {
        let mailq = self.node.cli(&["mailq"]).map(|ran| ran.text).unwrap_or_default();
        panic!("{error:#}\n{:?}\n{mailq}\n{}", self.disk.free(), self.node.log_tail(40))
    }
}

/// `452 4.3.1`, of a reply.
fn said(reply: &Reply) -> String {
    format!("{} {}", reply.code, reply.text().split(' ').next().unwrap_or_default())
}

/// Every refusal was for want of room and for now.
fn only_for_now(report: &Report) {
    assert!(report.accepted > 50 && report.refused > 0, "{report:?}");
    let others: Vec<_> = report.refusals.keys().filter(|said| *said != NO_ROOM).collect();
    assert!(others.is_empty() && report.in_doubt == 0, "{:?}, in doubt {}", report.refusals, report.in_doubt);
}

/// R1.5: the room goes under load, down to the last octet. At zero free octets POP3 removes, the queue is tidied, delivered and relayed, by
/// the ballast. With the room mail comes in again, and the books balance.
#[test]
fn a_disk_without_a_free_octet_loses_nothing_and_recovers_by_itself() {
    if skipped() {
        return;
    }
    let bench = Bench::new(96, 20_000);
    bench.send("minji@full.example");
    bench.node.wait_empty(PATIENCE).unwrap();
    let victim = bench.send("gone@peer.example");
    bench.disk.fill(24 * MEGABYTE).unwrap();

    let (ledger, report) = bench.load_until_refused((2_000, 60_000));
    only_for_now(&report);
    let overrun: Vec<String> = bench.node.log().into_iter().filter(|line| line.contains("No space left on device")).collect();
    assert!(overrun.is_empty(), "mail reached into the reserve: {overrun:#?}\n{:?}", bench.disk.free());
    bench.assert_logged();
    let status = bench.node.status().unwrap().to_string();
    assert!(status.contains("rejecting") && status.contains(&bench.disk.path().display().to_string()), "{status}");

    let no_octet = || {
        let full = || bench.disk.fill(0).is_ok() && bench.disk.free().unwrap().bytes == 0;
        wait_until("a full disk", PATIENCE, full).unwrap();
        assert_eq!(said(&bench.mail()), NO_ROOM);
    };
    no_octet();
    bench.delete_over_pop3();
    no_octet();
    bench.node.cli(&["queue", "delete", &victim]).unwrap().ok().unwrap();
    no_octet();
    let ballast = std::fs::metadata(bench.node.data().join("spool/ballast")).unwrap().len();
    assert!(ballast > MEGABYTE, "nothing has used the ballast yet");
    assert!(bench.queued("local") > 30 && bench.queued("relay") > 15, "{report:?}");
    bench.node.resume_role("deliver").unwrap();
    bench.run_until_empty("local");
    // What is left of the ballast serves whoever records outcomes; to take that away, too, would rightly stop all relaying.
    bench.peer.answer("CONNECT", None, "220 open");
    bench.run_until_empty("relay");
    let events = std::fs::read_dir(bench.node.data().join("state/events")).unwrap().count();
    assert!(events < 5, "{events} files of events");

    bench.disk.empty().unwrap();
    bench.wait_taken();
    wait_until("a line about the end of it", PATIENCE, || bench.node.logged("mail is taken again")).unwrap();
    // A look at the disk from the midst of its emptying counts for a moment.
    let after = Load { patience: PATIENCE, ..bench.load("after", 60, (2_000, 60_000)) };
    let report = after.run(&ledger, &false.into());
    assert_eq!((report.accepted, report.refused, report.in_doubt), (60, 0, 0), "{report:?}");
    bench.audit(&ledger);
}

/// R1.5: the same without a free inode. A copy needs one, so local mail waits with that reason; all that needs none goes on.
#[test]
fn a_disk_without_a_free_inode_loses_nothing_and_recovers_by_itself() {
    if skipped() {
        return;
    }
    let bench = Bench::new(96, 2_000);
    bench.send("minji@full.example");
    bench.node.wait_empty(PATIENCE).unwrap();
    let victim = bench.send("gone@peer.example");
    bench.disk.fill_inodes(600).unwrap();

    let (ledger, report) = bench.load_until_refused((500, 3_000));
    only_for_now(&report);
    bench.assert_logged();

    let no_inode = || {
        let full = || bench.disk.fill_inodes(0).is_ok() && bench.disk.free().unwrap().inodes == 0;
        wait_until("a full disk", PATIENCE, full).unwrap();
        assert_eq!(said(&bench.mail()), NO_ROOM);
    };
    no_inode();
    bench.node.resume_role("deliver").unwrap();
    let reason = || bench.node.cli(&["mailq"]).unwrap().text.contains("Insufficient disk space");
    wait_until("the reason in mailq", PATIENCE, reason).unwrap_or_else(|error| bench.explain(&error));
    bench.delete_over_pop3();
    no_inode();
    bench.node.cli(&["queue", "delete", &victim]).unwrap().ok().unwrap();
    no_inode();
    bench.peer.answer("CONNECT", None, "220 open");
    bench.run_until_empty("relay");

    bench.disk.empty().unwrap();
    bench.wait_taken();
    // A look at the disk from the midst of its emptying counts for a moment.
    let after = Load { patience: PATIENCE, ..bench.load("after", 60, (500, 3_000)) };
    let report = after.run(&ledger, &false.into());
    assert_eq!((report.accepted, report.refused, report.in_doubt), (60, 0, 0), "{report:?}");
    bench.audit(&ledger);
}

/// R1.5: the room goes between MAIL and the message. The session goes on after 452, and nothing of the message stays.
#[test]
fn a_disk_that_fills_up_within_a_message_is_told_after_it() {
    if skipped() {
        return;
    }
    let bench = Bench::new(96, 20_000);
    let mut smtp = bench.smtp();
    smtp.command("MAIL FROM:<a@b.example>").unwrap().expect(250).unwrap();
    smtp.command("RCPT TO:<minji@full.example>").unwrap().expect(250).unwrap();
    bench.disk.fill(MEGABYTE).unwrap();
    bench.wait_refused();
    smtp.command("DATA").unwrap().expect(354).unwrap();
    smtp.send(&stuffed(
        &b"Subject: long\r\n\r\n".iter().chain(b"a line\r\n".repeat(60_000).iter()).copied().collect::<Vec<_>>(),
    ))
    .unwrap();
    assert_eq!(said(&smtp.reply().unwrap()), NO_ROOM);
    assert!(bench.node.queue().unwrap().is_empty());
    bench.disk.empty().unwrap();
    bench.wait_taken();
    let short = b"Subject: short\r\n\r\nit fits\r\n";
    smtp.transaction("a@b.example", &["minji@full.example"], short).unwrap().expect(250).unwrap();
    bench.node.wait_empty(PATIENCE).unwrap();
    assert_eq!(bench.node.delivered().unwrap().len(), 1);
}

/// R1.5: a reload puts another reserve in force without a restart, at once and in both directions.
#[test]
fn a_reload_changes_the_reserve() {
    if skipped() {
        return;
    }
    let mut bench = Bench::new(96, 20_000);
    bench.disk.fill(30 * MEGABYTE).unwrap();
    bench.wait_taken();
    let own = bench.node.plan.settings.clone();
    for (percent, code) in [(50, 452), (5, 250), (50, 452), (10, 250)] {
        bench.node.plan.settings = format!("{own}spool.reserve_percent = {percent}\n");
        std::fs::write(bench.node.config(), bench.node.plan.toml()).unwrap();
        bench.node.cli(&["reload"]).unwrap().ok().unwrap();
        assert_eq!(bench.mail().code, code, "{percent} %");
    }
}
