//! Exim's queue, read from its files: `ID-H` with envelope and header, beside it `ID-J` with those who were served since it was written.

use std::collections::BTreeSet;
use std::path::Path;

use super::super::foreign::Waiting;

/// Messages that were accepted: only then is there an `ID-H`.
pub(super) fn waiting(queue: &Path) -> Vec<Waiting> {
    let input = queue.join("input");
    let message = |id: String| {
        // It may be gone by now. Whoever is served is written down in the journal first, and that is emptied last: so it is read last.
        let header = std::fs::read(input.join(format!("{id}-H"))).ok()?;
        let journal = std::fs::read_to_string(input.join(format!("{id}-J"))).unwrap_or_default();
        Some(read(id, &header, &journal))
    };
    ids(&input).into_iter().filter_map(message).collect()
}

/// How many they are.
pub(super) fn count(queue: &Path) -> usize {
    ids(&queue.join("input")).len()
}

fn ids(input: &Path) -> BTreeSet<String> {
    let Ok(entries) = std::fs::read_dir(input) else { return BTreeSet::new() };
    let name = |entry: std::io::Result<std::fs::DirEntry>| entry.ok()?.file_name().into_string().ok();
    entries.filter_map(name).filter_map(|name| name.strip_suffix("-H").map(str::to_owned)).collect()
}

/// A file `ID-H`: its own name, the user, the sender, times, options with a dash in front, those who were served (`NN ADDRESS`, or `XX` for nobody), the
/// number of recipients, the recipients, an empty line, and the header: each field with its length and a letter in front.
fn read(id: String, header: &[u8], journal: &str) -> Waiting {
    let text = String::from_utf8_lossy(header);
    let mut lines = text.lines().skip(2);
    let sender = lines.next().unwrap_or_default().trim_matches(['<', '>']).to_owned();
    let mut served: BTreeSet<&str> = journal.lines().collect();
    let mut number = 0;
    for line in lines.by_ref().skip(1).skip_while(|line| line.starts_with('-')) {
        if let Ok(count) = line.parse::<usize>() {
            number = count;
            break;
        }
        served.extend(line.split_once(' ').map(|(_, address)| address));
    }
    // What follows an address says how to tell its sender.
    let recipients = lines.by_ref().take(number).map(|line| line.split(' ').next().unwrap_or(line));
    let recipients = recipients.filter(|recipient| !served.contains(recipient)).map(str::to_owned).collect();
    let field = |line: &str| match line.as_bytes() {
        [a, b, c, _, b' ', ..] if [a, b, c].iter().all(|octet| octet.is_ascii_digit()) => line[5..].to_owned(),
        _ => line.to_owned(),
    };
    let header: Vec<String> = lines.skip(1).map(field).collect();
    Waiting { id, sender, recipients, text: header.join("\n").into_bytes() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::token;

    const FILE: &str = "1xWlG6-0002eF-2v-H\nDebian-exim 64990 64990\n<sora@office.example>\n1795744818 0\n-received_time_usec .905046\n\
        --helo_name [127.0.0.1]\n-body_linecount 3\nYN b@b.example\nNN a@a.example\n4\nx@office.example\na@a.example\nb@b.example\n\
        c@c.example <> 0,0#1\n\n042P Received: from [127.0.0.1]\n\tby b.office.example\n010F From: a@b\n014  X-Ledger: t-1\n";

    #[test]
    fn those_who_were_served_are_left_out() {
        let got = read("1xWlG6-0002eF-2v".into(), FILE.as_bytes(), "");
        assert_eq!(
            (got.sender.as_str(), got.recipients),
            ("sora@office.example", vec!["x@office.example".into(), "c@c.example".into()])
        );
        assert_eq!(token(&got.text).as_deref(), Some("t-1"));
        let got = read("1xWlG6-0002eF-2v".into(), FILE.as_bytes(), "c@c.example\n");
        assert_eq!(got.recipients, ["x@office.example"]);
        let nobody = FILE.replace("YN b@b.example\nNN a@a.example\n", "XX\n").replace("<sora@office.example>", "<>");
        let got = read("i".into(), nobody.as_bytes(), "");
        assert_eq!((got.sender.as_str(), got.recipients.len()), ("", 4));
    }

    #[test]
    fn a_torn_file_gives_what_it_has() {
        for length in 0..FILE.len() {
            assert!(read("i".into(), &FILE.as_bytes()[..length], "").recipients.len() <= 2);
        }
    }

    #[test]
    fn a_queue_is_listed() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!((count(dir.path()), waiting(dir.path()).len()), (0, 0));
        let input = dir.path().join("input");
        std::fs::create_dir(&input).unwrap();
        for (name, text) in [("1-H", FILE), ("1-D", "1-D\nhi\n"), ("1-J", "c@c.example\n"), ("2-D", "2-D\nhalf taken\n")] {
            std::fs::write(input.join(name), text).unwrap();
        }
        let got = waiting(dir.path());
        assert_eq!((count(dir.path()), got.len(), got[0].id.as_str(), got[0].recipients.len()), (1, 1, "1", 1));
    }
}
