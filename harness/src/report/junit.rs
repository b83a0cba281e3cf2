//! The run as JUnit XML, for CI: a suite for each system and driver, a case for each scenario.
//!
//! Rows of the requirement book are properties of a case, the books are its output. Every character that XML forbids is replaced, so that a
//! log full of control characters can't make the file unreadable.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::{books, words};
use crate::record::{Played, Run, Verdict};

/// Octets of a failure's text.
const FAILURE: usize = 200_000;

/// The whole file.
pub fn suites(run: &Run) -> String {
    let mut groups: BTreeMap<(&str, &str), Vec<&Played>> = BTreeMap::new();
    for played in &run.results {
        groups.entry((&played.system, &played.driver)).or_default().push(played);
    }
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let all: Vec<&Played> = run.results.iter().collect();
    xml.push_str(&format!("<testsuites name=\"bongsu-harness\" {} time=\"{:.3}\">\n", counts(&all), run.took.as_secs_f64()));
    for ((system, driver), these) in &groups {
        suite(&mut xml, run, (system, driver), these);
    }
    xml.push_str("</testsuites>\n");
    xml
}

fn counts(these: &[&Played]) -> String {
    let of = |word: &str| these.iter().filter(|played| words::verdict(&played.verdict).0 == word).count();
    format!(
        "tests=\"{}\" failures=\"{}\" errors=\"0\" skipped=\"{}\"",
        these.len(),
        of("failed"),
        of("skipped") + of("differs")
    )
}

fn suite(xml: &mut String, run: &Run, (system, driver): (&str, &str), these: &[&Played]) {
    let took: f64 = these.iter().map(|played| played.took.as_secs_f64()).sum();
    let name = quoted(&format!("{system} on {driver}"));
    put(
        xml,
        format_args!(
            "  <testsuite name=\"{name}\" {} time=\"{took:.3}\" timestamp=\"{}\">\n",
            counts(these),
            words::stamp(run.started)
        ),
    );
    if !run.about.is_empty() {
        xml.push_str("    <properties>\n");
        for (name, value) in &run.about {
            put(xml, format_args!("      <property name=\"{}\" value=\"{}\"/>\n", quoted(name), quoted(value)));
        }
        xml.push_str("    </properties>\n");
    }
    for played in these {
        case(xml, played);
    }
    xml.push_str("  </testsuite>\n");
}

fn case(xml: &mut String, played: &Played) {
    let class = quoted(&format!("{}.{}", played.system, played.driver));
    let (name, took) = (quoted(&played.name), played.took.as_secs_f64());
    put(xml, format_args!("    <testcase classname=\"{class}\" name=\"{name}\" time=\"{took:.3}\">\n"));
    xml.push_str("      <properties>\n");
    for row in &played.rows {
        put(xml, format_args!("        <property name=\"row\" value=\"{}\"/>\n", quoted(row)));
    }
    put(xml, format_args!("        <property name=\"shows\" value=\"{}\"/>\n      </properties>\n", quoted(&played.shows)));
    match &played.verdict {
        Verdict::Passed => {}
        Verdict::Failed(text) => {
            let first = quoted(&words::short(text.lines().next().unwrap_or_default(), 300));
            put(
                xml,
                format_args!(
                    "      <failure message=\"{first}\" type=\"failed\">{}</failure>\n",
                    escaped(&words::ends(text, FAILURE))
                ),
            );
        }
        // No failure of the system's: it is known to be so, and no change of ours can mend it.
        Verdict::Differs(text) => {
            let first = quoted(&words::short(text.lines().next().unwrap_or_default(), 300));
            put(xml, format_args!("      <skipped message=\"differs, as is known: {first}\"/>\n"));
        }
        Verdict::Skipped(reason) => put(xml, format_args!("      <skipped message=\"{}\"/>\n", quoted(reason))),
    }
    if !matches!(played.verdict, Verdict::Skipped(_)) {
        put(xml, format_args!("      <system-out>{}</system-out>\n", escaped(&books::plain(&played.record.books))));
    }
    xml.push_str("    </testcase>\n");
}

/// Writing to a string can't fail.
fn put(xml: &mut String, text: std::fmt::Arguments<'_>) {
    let _ = xml.write_fmt(text);
}

/// Text between tags.
fn escaped(text: &str) -> String {
    words::log(text).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Text of an attribute: a parser would make spaces of bare line ends and tabs.
fn quoted(text: &str) -> String {
    escaped(text).replace('"', "&quot;").replace('\n', "&#10;").replace('\t', "&#9;")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::record::Record;

    fn played(name: &str, verdict: Verdict) -> Played {
        Played {
            name: name.into(),
            shows: "a \"quoted\" <sentence>".into(),
            rows: vec!["R3.3".into(), "R1.7".into()],
            driver: "processes".into(),
            system: "bongsu".into(),
            verdict,
            took: Duration::from_millis(1500),
            record: Record::default(),
        }
    }

    #[test]
    fn a_parser_reads_what_was_meant() {
        let text = "first & <line>\n\u{1b}[31mred\u{1b}[0m \u{0} ]]> \u{fffe}\r\nlast";
        let run = Run {
            results: vec![
                played("one", Verdict::Passed),
                played("two", Verdict::Failed(text.into())),
                played("three", Verdict::Skipped("no \"root\"\nhere".into())),
            ],
            about: vec![("binary".into(), "bongsu 0.1.0 & more".into())],
            ..Run::default()
        };
        let xml = suites(&run);
        let document = roxmltree::Document::parse(&xml).expect("well-formed");
        let root = document.root_element();
        assert_eq!(
            (root.attribute("tests"), root.attribute("failures"), root.attribute("skipped")),
            (Some("3"), Some("1"), Some("1"))
        );
        let find = |tag: &str| document.descendants().find(|node| node.has_tag_name(tag)).expect("it is there");
        assert_eq!(find("failure").text(), Some("first & <line>\nred ^@ ]]> \u{fffd}\nlast"));
        assert_eq!(find("failure").attribute("message"), Some("first & <line>"));
        assert_eq!(find("skipped").attribute("message"), Some("no \"root\"\nhere"));
        let rows = document.descendants().filter(|node| node.attribute("name") == Some("row"));
        assert_eq!(rows.filter_map(|node| node.attribute("value")).take(2).collect::<Vec<_>>(), ["R3.3", "R1.7"]);
        assert!(find("system-out").text().is_some_and(|text| text.starts_with("accepted 0 = delivered 0")));
    }
}
