//! The report of a run that never was: whole, self-contained, within its size, and readable by the parsers it is meant for.

use std::time::Instant;

use bongsu_harness::report;

#[path = "report/sample.rs"]
mod sample;

#[test]
fn one_page_that_needs_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let written = report::write(&sample::run(0, 0), &dir.path().join("new/folder")).unwrap();
    let page = std::fs::read_to_string(&written.html).unwrap();
    for text in [
        "1 of 2 scenarios failed, 1 skipped",
        "Primary killed and the secondaries take over",
        "primary is killed (SIGKILL)",
        "R3.7",
        "How long it took to be accepted",
    ] {
        assert!(page.contains(text), "{text}");
    }
    for outside in ["<script", "http://", "https://", "@import", "url(http", "src="] {
        assert!(!page.contains(outside), "{outside}");
    }
    assert!(!page.contains('\u{1b}'), "a log steers no terminal through the page");
    let xml = std::fs::read_to_string(&written.junit).unwrap();
    let document = roxmltree::Document::parse(&xml).unwrap();
    assert_eq!(document.descendants().filter(|node| node.has_tag_name("testcase")).count(), 3);
}

/// Every element is closed where it should be: the page without its doctype and void elements is XML.
#[test]
fn the_page_is_well_nested() {
    let page = report::html::page(&sample::run(0, 0));
    let body = &page[page.find("<body").unwrap()..page.rfind("</html>").unwrap()];
    roxmltree::Document::parse(body).unwrap();
}

#[test]
fn a_large_run_stays_small() {
    let run = sample::run(25, 5_000);
    let began = Instant::now();
    let page = report::html::page(&run);
    assert!(page.len() < 10_000_000, "{} octets", page.len());
    assert!(page.contains("are not shown one by one"));
    assert!(began.elapsed().as_secs() < 60, "{:?}", began.elapsed());
}
