//! On which line a key stands: figment keeps the file of a value, TOML's spans keep the place.

use std::collections::BTreeMap;

use toml::de::{DeTable, DeValue};

use crate::load::Line;
use crate::read::join;

/// How deep tables are followed; a configuration has three levels.
const MAX_DEPTH: usize = 8;

/// The line of each key, `smtp.hop_limit` and `listen[0].port`, and of each text that is no TOML its line and what is wrong.
pub(crate) fn lines(text: &str) -> (BTreeMap<String, Line>, Vec<(Line, String)>) {
    let (table, errors) = DeTable::parse_recoverable(text);
    let starts: Vec<usize> = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
    let line = |offset: usize| Line(starts.partition_point(|start| *start <= offset));
    let mut lines = BTreeMap::new();
    walk("", table.get_ref(), &line, &mut lines, 0);
    let wrong = |error: &toml::de::Error| {
        let at = error.span().map_or(Line(0), |span| line(span.start));
        (at, error.message().to_owned())
    };
    (lines, errors.iter().map(wrong).collect())
}

fn walk(at: &str, table: &DeTable<'_>, line: &impl Fn(usize) -> Line, lines: &mut BTreeMap<String, Line>, depth: usize) {
    for (key, value) in table {
        let path = join(at, key.get_ref());
        lines.insert(path.clone(), line(key.span().start));
        value_lines(&path, value.get_ref(), line, lines, depth + 1);
    }
}

fn value_lines(
    path: &str,
    value: &DeValue<'_>,
    line: &impl Fn(usize) -> Line,
    lines: &mut BTreeMap<String, Line>,
    depth: usize,
) {
    if depth > MAX_DEPTH {
        return;
    }
    match value {
        DeValue::Table(table) => walk(path, table, line, lines, depth),
        DeValue::Array(elements) => {
            for (index, element) in elements.iter().enumerate() {
                let path = format!("{path}[{index}]");
                lines.insert(path.clone(), line(element.span().start));
                value_lines(&path, element.get_ref(), line, lines, depth + 1);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_has_its_line() {
        let text = "a = 1\n[smtp]\n# c\nb = 2\n[[listen]]\nport = 1\n\n[[listen]]\nport = [\n 2,\n 3]\n";
        let (lines, errors) = lines(text);
        assert!(errors.is_empty());
        for (key, line) in
            [("a", 1), ("smtp", 2), ("smtp.b", 4), ("listen[0].port", 6), ("listen[1].port", 9), ("listen[1].port[1]", 11)]
        {
            assert_eq!(lines[key], Line(line), "{key}");
        }
    }

    #[test]
    fn every_mistake_in_the_toml_is_told() {
        let (_, errors) = lines("a = \nb = 1\nc = 'x\n");
        assert_eq!(errors.iter().map(|(line, _)| line.0).collect::<Vec<_>>(), [1, 3]);
    }
}
