//! `bench` measures, balances the books and writes its page. How fast anything is, is not judged here.

use std::process::Command;

use bongsu_harness::Result;
use bongsu_harness::bench::{Better, Comparison, Measured, figures};
use bongsu_harness::client::run_command;
use bongsu_harness::node::binary;
use bongsu_harness::report;
use bongsu_harness::topology::SystemKind;

/// The systems that can be measured here; none without a binary `bongsu`.
fn systems() -> Option<String> {
    if let Err(why) = binary() {
        println!("SKIPPED: {why}");
        return None;
    }
    let postfix = bongsu_harness::system::impossible(SystemKind::Postfix);
    Some(if postfix.is_none() { "postfix,bongsu" } else { "bongsu" }.to_owned())
}

/// Runs benches with small numbers; what they measured, and the page.
fn quick(names: &[&str], systems: Option<&str>) -> Result<Option<(Comparison, String)>> {
    let Some(systems) = systems else { return Ok(None) };
    let dir = tempfile::tempdir()?;
    let mut command = Command::new(env!("CARGO_BIN_EXE_bongsu-harness"));
    command.arg("bench").args(names).args(["--quick", "--json", "--systems", systems, "--report"]).arg(dir.path());
    command.env("HARNESS_BINARY", binary()?);
    let ran = run_command(command, b"")?.ok()?;
    let page = std::fs::read_to_string(dir.path().join("bench.html"))?;
    Ok(Some((serde_json::from_slice(&ran.stdout)?, page)))
}

/// A well-nested page that asks for nothing from outside.
fn self_contained(page: &str) {
    let (from, to) = (page.find("<body").expect("a body"), page.rfind("</html>").expect("an end"));
    roxmltree::Document::parse(&page[from..to]).expect("each element is closed where it should be");
    for outside in ["<script", "http://", "https://", "@import", "url(http", "src="] {
        assert!(!page.contains(outside), "{outside}");
    }
}

#[test]
fn acceptance_is_measured() {
    let Some((comparison, page)) = quick(&["accept"], systems().as_deref()).unwrap() else { return };
    let accept = &comparison.benches[0];
    assert_eq!((accept.name.as_str(), accept.rounds), ("accept", 1));
    let rates: Vec<_> = accept.rows.iter().filter(|row| row.quantity == figures::RATE.name).collect();
    assert_eq!(rates.len(), 3);
    for row in rates {
        assert!(row.values.iter().all(|of| of[0].is_some_and(|rate| rate > 0.0)), "{row:?}");
    }
    let of = |name: &str| comparison.about.iter().any(|(about, value)| about == name && !value.is_empty());
    assert!(of("bongsu") && of("kernel") && of("file system") && of("processors"), "{:?}", comparison.about);
    self_contained(&page);
}

/// Each with small numbers: it works, and its books balance. `queue` waits until a server rests, and is left out.
#[test]
fn the_other_benches_work() {
    let names = ["maildir", "relay", "relay-many", "tarpits", "pop3", "memory"];
    let Some((comparison, page)) = quick(&names, systems().map(|_| "bongsu")).unwrap() else { return };
    assert_eq!(comparison.benches.iter().map(|bench| bench.name.as_str()).collect::<Vec<_>>(), names);
    for bench in &comparison.benches {
        assert!(bench.failed.is_empty() && bench.skipped.is_empty() && !bench.rows.is_empty(), "{bench:?}");
    }
    self_contained(&page);
}

#[test]
fn the_page_tells_ratios_gaps_and_what_is_void() {
    let mut accept = Measured { name: "accept".into(), shows: "How fast.".into(), rounds: 2, ..Measured::default() };
    for (system, round, rate) in [(0, 0, 100.0), (0, 1, 120.0), (1, 0, 350.0)] {
        let mut turned = figures::Turned::default();
        turned.add("50 <sessions>", figures::RATE, rate);
        turned.add("50 <sessions>", figures::CPU, 0.25);
        turned.latencies("50 <sessions>", &(1..400).map(std::time::Duration::from_micros).collect::<Vec<_>>());
        accept.enter(2, system, round, turned);
    }
    accept.failed.push("round 2, bongsu: THE BOOKS DO NOT BALANCE".into());
    accept.skipped.push(("exim".into(), "not installed".into()));
    assert_eq!(accept.rows[1].better, Better::Less);
    let systems = vec!["postfix".into(), "bongsu".into()];
    let page = report::bench::page(&Comparison { systems, benches: vec![accept], ..Comparison::default() });
    self_contained(&page);
    for text in ["bongsu beside postfix", "not all of it is valid", "3.5×", "3.50", "50 &lt;sessions&gt;", "THE BOOKS", "exim"]
    {
        assert!(page.contains(text), "{text}");
    }
}

#[test]
fn a_bench_that_there_is_not_is_an_error() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bongsu-harness"));
    command.args(["bench", "acept"]);
    let ran = run_command(command, b"").unwrap();
    assert!(ran.code == 2 && ran.text.contains("no bench acept; there are accept"), "{}", ran.text);
}
