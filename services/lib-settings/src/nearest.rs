//! The valid name that a mistyped one probably meant.

/// The closest of `names` to `name`, where one is close enough to be meant: at most a third of its letters differ, or it is the
/// same last part in another group.
pub(crate) fn nearest<'a>(name: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let last = |name: &str| name.rsplit('.').next().unwrap_or_default().to_owned();
    let typed_last = last(name);
    names
        .into_iter()
        .map(|candidate| (if last(candidate) == typed_last { 1 } else { distance(name, candidate) }, candidate))
        .min_by_key(|(distance, _)| *distance)
        .filter(|(distance, _)| *distance <= (name.chars().count() / 3).max(2))
        .map(|(_, candidate)| candidate)
}

/// What to say of a word that is not among `words`.
pub(crate) fn refused_word(text: &str, words: &[&str]) -> String {
    let meant = nearest(text, words.iter().copied()).map(|word| format!("; the nearest is `{word}`")).unwrap_or_default();
    format!("`{text}` is none of {}{meant}", words.join(", "))
}

/// Levenshtein's distance, with two adjacent letters swapped counted as one.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let mut best = (above[j] + usize::from(x != y)).min(above[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *x == b[j - 1] && a[i - 1] == *y {
                best = best.min(before[j - 1] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut above, row);
    }
    above[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_meant() {
        let names = ["smtp.message_size_limit", "smtp.hop_limit", "pop3.idle_timeout", "smtp.idle_timeout", "hostname"];
        for (typed, meant) in [
            ("smtp.mesage_size_limit", Some("smtp.message_size_limit")),
            ("smtp.hop_limti", Some("smtp.hop_limit")),
            ("hostnmae", Some("hostname")),
            ("hop_limit", Some("smtp.hop_limit")),
            ("colour", None),
            ("", None),
        ] {
            assert_eq!(nearest(typed, names), meant, "{typed}");
        }
        assert_eq!(
            refused_word("submision", &["mx", "submission"]),
            "`submision` is none of mx, submission; the nearest is `submission`"
        );
    }
}
