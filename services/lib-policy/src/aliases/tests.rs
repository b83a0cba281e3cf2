use proptest::prelude::*;

use super::*;

fn targets(aliases: &Aliases, key: &str) -> Vec<String> {
    let shown = |target: &Target| match target {
        Target::Name(name) => name.clone(),
        Target::Address(address) => address.to_string(),
        Target::List(file) => format!(":include:{file}"),
        Target::Pipe(command) => format!("|{command}"),
        Target::File(file) => file.clone(),
    };
    aliases.of(key).map(|(_, targets)| targets.iter().map(shown).collect()).unwrap_or_default()
}

/// A file as it stands on a classic server.
const CLASSIC: &str = "\
# Aliases in this file will NOT be expanded in the header.
#
MAILER-DAEMON:\tpostmaster
postmaster:\troot
root: minji, jisoo@example.net

staff: minji,
\tjisoo ,
  # no comment, but a target: sendmail thinks so too
";

#[test]
fn the_classic_form() {
    let text = CLASSIC.replace(
        "  # no comment, but a target: sendmail thinks so too\n",
        "  hana\n\"quoted name\": minji\nInfo@Example.NET: \\minji, <jisoo@example.net>\n",
    );
    let aliases = Aliases::parse(&text).unwrap();
    for (key, expected) in [
        ("mailer-daemon", &["postmaster"][..]),
        ("postmaster", &["root"]),
        ("root", &["minji", "jisoo@example.net"]),
        ("staff", &["minji", "jisoo", "hana"]),
        ("quoted name", &["minji"]),
        ("info@example.net", &["minji", "jisoo@example.net"]),
        ("info", &[]),
        ("nobody", &[]),
    ] {
        assert_eq!(targets(&aliases, key), expected, "{key}");
    }
    assert_eq!(aliases.of("staff").map(|(line, _)| line), Some(7));
    assert!(aliases.warnings().is_empty());
}

#[test]
fn the_summary_of_newaliases() {
    let aliases = Aliases::parse("a: bb\nccc: minji@example.net\n").unwrap();
    assert_eq!(aliases.summary().to_string(), "2 aliases, longest 17 bytes, 23 bytes total");
    assert_eq!(aliases.iter().map(|(key, _)| key).collect::<Vec<_>>(), ["a", "ccc"]);
    assert_eq!(Aliases::default().summary().to_string(), "0 aliases, longest 0 bytes, 0 bytes total");
}

#[test]
fn lists_programs_and_files_are_read_and_told_as_not_in_force() {
    let text = "list: :include:/etc/mail/list\nprog: \"|/usr/bin/vacation minji, x\"\nnull: /dev/null\nmix: minji, | cat\n";
    let aliases = Aliases::parse(text).unwrap();
    assert_eq!(targets(&aliases, "list"), [":include:/etc/mail/list"]);
    assert_eq!(targets(&aliases, "prog"), ["|/usr/bin/vacation minji, x"]);
    assert_eq!(targets(&aliases, "null"), ["/dev/null"]);
    assert_eq!(targets(&aliases, "mix"), ["minji", "|cat"]);
    let told: Vec<String> = aliases.warnings().iter().map(LineProblem::to_string).collect();
    assert_eq!(told[0], "1: list: the list `:include:/etc/mail/list` is not supported yet; mail for it is refused");
    assert_eq!(told.len(), 4);
}

#[test]
fn every_bad_line_is_told() {
    for (text, expected) in [
        ("  minji: x\n", "1: the line goes on, but nothing is before it"),
        ("minji jisoo\n", "1: an alias is `name: target, target`; there is no colon"),
        ("minji:\n", "1: minji has no target"),
        ("minji: , ,\n", "1: minji has no target"),
        (": minji\n", "1: `` is neither a mailbox name nor an address"),
        ("a b: minji\n", "1: `a b` is neither a mailbox name nor an address"),
        ("a@b@c: minji\n", "1: `a@b@c` is neither a mailbox name nor an address"),
        ("x: a b\n", "1: `a b` is no target: write a name, an address, or several parted by commas"),
        ("x: a@-b\n", "1: `a@-b` is no target: write a name, an address, or several parted by commas"),
        ("# c\nroot: a\n\nRoot: b\n", "4: Root stands already in line 2"),
        ("x@Example.net: a\nX@example.NET: b\n", "2: X@example.NET stands already in line 1"),
        ("x: a\u{1}b\n", "1: `a\\u{1}b` is no target: write a name, an address, or several parted by commas"),
    ] {
        let told: Vec<String> = Aliases::parse(text).unwrap_err().iter().map(LineProblem::to_string).collect();
        assert_eq!(told, [expected], "{text:?}");
    }
    let told = Aliases::parse("a\nb: c\nd\n").unwrap_err();
    assert_eq!(told.iter().map(|problem| problem.line).collect::<Vec<_>>(), [1, 3]);
    assert!(Aliases::parse(CLASSIC).is_err(), "an indented # goes on the entry before it");
}

#[test]
fn sizes_are_bounded() {
    let many = format!("x: {}\n", vec!["a"; MAX_TARGETS + 1].join(","));
    assert_eq!(Aliases::parse(&many).unwrap_err()[0].what, "x has over 10000 targets");
    let long = format!("x: a,\n{}", format!(" {},\n", "b".repeat(1000)).repeat(1100));
    assert!(Aliases::parse(&long).unwrap_err().iter().any(|problem| problem.what == "the entry is too long"));
}

proptest! {
    #[test]
    fn any_text_is_read_without_panic(text in "(?s)([a-z@:,\"\\\\ \t\n|/<>#]|.){0,200}") {
        crate::fuzzing::aliases(text.as_bytes());
    }

    #[test]
    fn what_is_written_is_read(names in proptest::collection::btree_map("[a-z]{1,8}", proptest::collection::vec("[a-z]{1,8}(@[a-z]{1,5}\\.example)?", 1..5), 0..10)) {
        let text: String = names.iter().map(|(name, targets)| format!("{name}: {}\n", targets.join(",\n\t"))).collect();
        let aliases = Aliases::parse(&text).unwrap();
        for (name, expected) in &names {
            prop_assert_eq!(&targets(&aliases, name), expected);
        }
    }
}
