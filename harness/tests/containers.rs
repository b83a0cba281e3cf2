//! The container driver: that nothing of a run stays behind, however it ends, and that each thing a scenario may ask of a server works.
//!
//! Every test says SKIPPED where no engine answers or no binary `bongsu` was built.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use bongsu_harness::Result;
use bongsu_harness::client::run;
use bongsu_harness::driver::{self, DriverKind, containers::left};
use bongsu_harness::faults::{CLOCK, FILL, KILL, KILL_SERVICE, NAMES, PAUSE_SERVICE};
use bongsu_harness::node::binary;
use bongsu_harness::server::{Event, Port};
use bongsu_harness::smtp::Smtp;
use bongsu_harness::stage::{PATIENCE, Stage};
use bongsu_harness::topology::Topology;
use bongsu_harness::volume;
use bongsu_harness::wait::{wait_for, wait_until};

/// Whether containers can be tried here; it says why not.
fn possible() -> bool {
    let why = driver::impossible(DriverKind::Containers).or_else(|| binary().err().map(|error| error.to_string()));
    if let Some(why) = &why {
        println!("SKIPPED: {why}");
    }
    why.is_none()
}

fn harness() -> Result<Child> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bongsu-harness"));
    command.args(["run", "mail_crosses_two_nodes", "--driver", "containers"]).env("HARNESS_BINARY", binary()?);
    // Where it writes its report.
    command.current_dir(env!("CARGO_TARGET_TMPDIR"));
    Ok(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?)
}

fn signal(child: &Child, which: &str) -> Result<()> {
    run("kill", &[which, &child.id().to_string()], b"", PATIENCE)?.ok().map(|_| ())
}

fn has_containers(pid: u32) -> Result<()> {
    wait_until("containers of the run", PATIENCE, || left(pid).is_ok_and(|left| left.len() > 2))
}

/// Starts a run, ends it once it has containers, and waits until nothing of it is left.
fn ends_without_a_trace(end: impl Fn(&mut Child) -> Result<()>) -> Result<()> {
    if !possible() {
        return Ok(());
    }
    let mut run = harness()?;
    let pid = run.id();
    has_containers(pid)?;
    end(&mut run)?;
    run.wait()?;
    wait_until("the end of everything that it made", PATIENCE, || left(pid).is_ok_and(|left| left.is_empty()))
}

#[test]
fn nothing_is_left_after_kill_9() {
    ends_without_a_trace(|run| Ok(run.kill()?)).unwrap();
}

#[test]
fn nothing_is_left_after_ctrl_c() {
    ends_without_a_trace(|run| signal(run, "-INT")).unwrap();
}

/// The second does not wait for the scenario's end.
#[test]
fn nothing_is_left_after_a_second_ctrl_c() {
    let often = |run: &mut Child| {
        wait_for("the end", PATIENCE, || {
            let _ = signal(run, "-INT");
            std::thread::park_timeout(Duration::from_millis(300));
            Ok(run.try_wait()?.map(|_| ()))
        })
    };
    ends_without_a_trace(often).unwrap();
}

/// No sweeper is there to help: neither is one in a test, nor after a kill of the harness and the sweeper too.
#[test]
fn the_next_run_sweeps_what_a_dead_one_left() {
    if !possible() {
        return;
    }
    let mut run = harness().unwrap();
    let pid = run.id();
    has_containers(pid).unwrap();
    let sweeper = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    for child in sweeper.split_whitespace() {
        Command::new("kill").args(["-KILL", child]).status().unwrap();
    }
    run.kill().unwrap();
    run.wait().unwrap();
    assert!(!left(pid).unwrap().is_empty());
    // What the engine was asked for in the last moment may come into being a little later.
    wait_until("the next runs to sweep", PATIENCE, || {
        drop(Stage::make(Topology::shipped("single").unwrap(), DriverKind::Containers, None).unwrap());
        left(pid).unwrap().is_empty()
    })
    .unwrap();
}

#[test]
fn nothing_is_left_after_a_panic() {
    if !possible() {
        return;
    }
    let mut topology = Topology::shipped("single").unwrap();
    topology.nodes[0].name = "panicking".into();
    topology.zones.clear();
    let mut run = String::new();
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let stage = Stage::set(topology, DriverKind::Containers, None).unwrap();
        let all = left(std::process::id()).unwrap();
        let name = all.iter().find_map(|name| name.strip_suffix("-panicking")).unwrap();
        run = name.trim_start_matches('/').to_owned();
        assert!(stage.servers().count() == 0, "this is the panic");
    }));
    assert!(panicked.is_err());
    let all = left(std::process::id()).unwrap();
    assert!(!run.is_empty() && !all.iter().any(|name| name.contains(&run)), "{all:?}");
}

/// A node with mailboxes, a volume of its own and a clock, where that can be had, and one that relays to it.
fn stage() -> Result<Option<Stage>> {
    if !possible() {
        return Ok(None);
    }
    let mut topology = Topology::shipped("pair")?;
    // Mail is small here, so that a small volume has room for the reserve and the ballast.
    let small = |what: &str| format!("smtp.{what}_size_limit = \"1 MB\"\n");
    topology.settings = ["message", "submission", "local"].map(small).concat();
    topology.nodes[0].clock = true;
    topology.nodes[0].relay_domains.push("far.example".into());
    topology.nodes[0].volume = volume::impossible().is_none().then_some(48);
    Ok(Some(Stage::set(topology, DriverKind::Containers, None)?))
}

#[test]
fn a_server_does_what_it_is_told() {
    let Some(stage) = stage().unwrap() else { return };
    let primary = stage.server("primary").unwrap();
    // Standard input, exit codes, both outputs.
    let added = primary.command(&["account", "add", "hana@office.example"], b"secret-hana\n").unwrap().ok().unwrap();
    assert!(added.text.contains("hana@office.example"), "{}", added.text);
    assert_ne!(primary.command(&["account", "add", "hana@office.example"], b"x\n").unwrap().code, 0);
    // While it is down, a command runs beside its data.
    assert_eq!(primary.stop().unwrap(), 0);
    let listed = primary.command(&["account", "list"], b"").unwrap().ok().unwrap();
    assert!(listed.text.contains("hana@office.example"), "{}", listed.text);
    assert!(primary.queued().unwrap().is_empty() && Smtp::connect(primary.at(Port::Mx), PATIENCE).is_err());
    primary.start().unwrap();
    // A file of its configuration, replaced under it.
    primary.configure("aliases", "all: minji, sora\n").unwrap();
    primary.reload().unwrap();
    wait_until("the new alias", PATIENCE, || {
        stage.send("primary", "a@client.example", &["all@office.example"]).unwrap().1.starts_with("250 ")
    })
    .unwrap();
    primary.wait_empty(PATIENCE).unwrap();
    assert!(primary.logged("minji@office.example") && primary.log_tail(50).contains("sora@office.example"));
    assert!(primary.copies().unwrap().len() >= 2 && !primary.events().unwrap().is_empty());
}

#[test]
fn one_service_is_killed_and_frozen() {
    let Some(stage) = stage().unwrap() else { return };
    let primary = stage.server("primary").unwrap();
    if primary.processes().is_empty() {
        return println!("SKIPPED: the engine's processes can't be seen from here");
    }
    let greets = || Smtp::connect(primary.at(Port::Mx), Duration::from_secs(2)).is_ok();
    stage.strike(&KILL_SERVICE, &["primary", "smtp-in"]).unwrap().heal().unwrap();
    wait_until("a new smtp-in", PATIENCE, greets).unwrap();
    let frozen = stage.strike(&PAUSE_SERVICE, &["primary", "deliver"]).unwrap();
    let (_, reply) = stage.send("primary", "a@client.example", &["minji@office.example"]).unwrap();
    assert!(reply.starts_with("250 "), "{reply}");
    assert_eq!(primary.queued().unwrap().len(), 1);
    frozen.heal().unwrap();
    primary.wait_empty(PATIENCE).unwrap();
    stage.settle(PATIENCE).unwrap();
}

#[test]
fn a_volume_fills_and_outlives_a_kill() {
    let Some(stage) = stage().unwrap() else { return };
    if let Some(why) = volume::impossible() {
        return println!("SKIPPED: {why}");
    }
    let send = || stage.send("primary", "a@client.example", &["minji@office.example"]).unwrap().1;
    let full = stage.strike(&FILL, &["primary", "data", "0"]).unwrap();
    assert!(send().starts_with("452 "));
    full.heal().unwrap();
    wait_until("room", PATIENCE, || send().starts_with("250 ")).unwrap();
    stage.strike(&KILL, &["primary"]).unwrap().heal().unwrap();
    let books = stage.settle(PATIENCE).unwrap();
    assert!(books.delivered >= 1, "{books:?}");
}

#[test]
fn names_fail_the_clock_jumps_and_a_script_takes_mail() {
    let Some(stage) = stage().unwrap() else { return };
    let peer = match stage.outside("far.example", 10, &["PIPELINING"]) {
        Ok(peer) => peer,
        Err(why) => return println!("{why:#}"),
    };
    peer.answer("RCPT", 1, "451 4.7.1 come again");
    let send = || {
        let (_, reply) = stage.send("primary", "a@client.example", &["you@far.example"]).unwrap();
        assert!(reply.starts_with("250 "), "{reply}");
    };
    send();
    wait_until("the message outside", PATIENCE, || !peer.taken().is_empty()).unwrap();
    assert!(peer.taken()[0].recipients[0].contains("you@far.example"));
    assert!(stage.names().asked("far.example", "MX").unwrap() > 0);
    let silent = stage.strike(&NAMES, &["far.example", "servfail"]).unwrap();
    send();
    let primary = stage.server("primary").unwrap();
    let deferred = |event: &Event| event.what == "deferred" && !event.detail.contains("4.7.1 come again");
    wait_until("a deferral", PATIENCE, || primary.events().unwrap().iter().any(deferred)).unwrap();
    silent.heal().unwrap();
    stage.strike(&CLOCK, &["primary", "3600"]).unwrap().heal().unwrap();
    wait_until("the second message outside", PATIENCE, || peer.taken().len() == 2).unwrap();
    stage.settle(PATIENCE).unwrap();
}

#[test]
fn what_a_container_link_cannot_do_is_said() {
    let Some(stage) = stage().unwrap() else { return };
    for (fault, words) in [("cut", "primary secondary"), ("link", "client primary slow=100"), ("link", "client primary cut")] {
        let words: Vec<&str> = words.split(' ').collect();
        let fault = bongsu_harness::faults::find(fault).unwrap();
        let error = stage.strike(fault, &words).err().unwrap();
        assert!(format!("{error:#}").contains("SKIPPED: "), "{error:#}");
    }
    assert!(stage.gate("client", "primary").is_err());
}
