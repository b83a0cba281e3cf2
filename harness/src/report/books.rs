//! The balance as an equation that a reader can check, and as one paragraph for a log.

use maud::{Markup, html};

use super::words::{count, many, short, visible};
use crate::record::Books;

/// Tokens that are named one by one; the rest are counted.
const NAMED: usize = 40;

/// The fates on the right side of the equation, in the order in which they are read, and what each means.
fn terms(books: &Books) -> [(&'static str, usize, &'static str); 6] {
    [
        ("delivered", books.delivered, "lie in a mailbox"),
        ("handed over", books.handed_over, "taken by a server outside, with its 250"),
        ("bounced", books.bounced, "the sender was told that they failed"),
        ("queued", books.queued, "still wait"),
        ("discarded", books.discarded, "dropped by a rule"),
        ("lost", books.lost.len(), "found nowhere"),
    ]
}

/// What must not happen: how often it did, and how often it may.
fn wrongs(books: &Books) -> [(&'static str, &[String], usize); 4] {
    [
        ("lost", &books.lost, 0),
        ("duplicated", &books.duplicated, books.allowed_duplicates.0),
        ("damaged", &books.damaged, 0),
        ("refused, but found", &books.refused_but_found, 0),
    ]
}

/// Whether nothing is wrong with them.
pub(super) fn even(books: &Books) -> bool {
    books.unknown == 0 && wrongs(books).iter().all(|(_, tokens, allowed)| tokens.len() <= *allowed)
}

/// The difference between what was accepted and what was accounted for; 0 where the equation holds.
fn gap(books: &Books) -> usize {
    terms(books).iter().map(|(_, copies, _)| copies).sum::<usize>().abs_diff(books.accepted)
}

/// The books in plain text, a line for each side.
pub(super) fn plain(books: &Books) -> String {
    let right: Vec<String> = terms(books).iter().map(|(name, copies, _)| format!("{name} {copies}")).collect();
    let mut text = format!("accepted {} {} {}\n", books.accepted, if gap(books) == 0 { "=" } else { "!=" }, right.join(" + "));
    for (name, tokens, allowed) in wrongs(books) {
        text.push_str(&format!(
            "{name} {}{}",
            tokens.len(),
            if allowed > 0 { format!(" (at most {allowed} allowed)") } else { String::new() }
        ));
        if !tokens.is_empty() {
            let named: Vec<&str> = tokens.iter().take(NAMED).map(String::as_str).collect();
            text.push_str(&format!(": {}{}", named.join(" "), if tokens.len() > NAMED { " …" } else { "" }));
        }
        text.push('\n');
    }
    text.push_str(&format!(
        "refused {}; in doubt {}, of which {} copies were found; unknown {}\n",
        books.refused, books.in_doubt, books.in_doubt_found, books.unknown
    ));
    text
}

/// The books on the page.
pub(super) fn equation(books: &Books) -> Markup {
    let even = even(books);
    html! {
        div.books {
            div.equation {
                span.term.left { b { (count(books.accepted)) } i { "accepted" } }
                @for (n, (name, copies, means)) in terms(books).iter().enumerate() {
                    span.op aria-hidden="true" { @if n > 0 { "+" } @else if gap(books) == 0 { "=" } @else { "≠" } }
                    span.term.(if *copies == 0 { "none" } else { "some" }).(name.replace(' ', "-")) title=(means) { b { (count(*copies)) } i { (name) } }
                }
            }
            ul.checks {
                @for (name, tokens, allowed) in wrongs(books) {
                    @let fine = tokens.len() <= allowed;
                    li.(if fine { "good" } else { "bad" }) {
                        span.sign { (if fine { "✓" } else { "✗" }) }
                        b { (count(tokens.len())) } " " (name)
                        @if allowed > 0 { span.soft { " — up to " (count(allowed)) " allowed: " (visible(&books.allowed_duplicates.1)) } }
                    }
                }
                li.(if books.unknown == 0 { "good" } else { "bad" }) {
                    span.sign { (if books.unknown == 0 { "✓" } else { "✗" }) }
                    b { (count(books.unknown)) } " found that nobody sent"
                }
            }
            @if gap(books) > 0 { p.uneven { "The two sides differ by " (many(gap(books), "copy")) ": some are found more than once, or not accounted for." } }
            @if books.in_doubt > 0 || books.refused > 0 {
                p.soft {
                    @if books.in_doubt > 0 {
                        (many(books.in_doubt, "message")) " in doubt: the connection broke before the client saw a final reply, so each may lawfully be there or not. "
                        (many(books.in_doubt_found, "copy")) " of them " (if books.in_doubt_found == 1 { "was" } else { "were" }) " found. "
                    }
                    @if books.refused > 0 { (many(books.refused, "message")) " refused at the door." }
                }
            }
            @if !even {
                @for (name, tokens, _) in wrongs(books).iter().filter(|(_, tokens, allowed)| tokens.len() > *allowed) {
                    p.tokens { b { (name) ": " }
                        @for token in tokens.iter().take(NAMED) { code { (visible(&short(token, 120))) } " " }
                        @if tokens.len() > NAMED { "and " (count(tokens.len() - NAMED)) " more" }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides() {
        let mut books = Books { accepted: 10, delivered: 8, bounced: 2, ..Books::default() };
        assert!(even(&books) && plain(&books).starts_with("accepted 10 = delivered 8 + handed over 0 + bounced 2 "));
        books.duplicated = vec!["a-1".into()];
        assert!(!even(&books) && plain(&books).contains("duplicated 1: a-1"));
        books.allowed_duplicates = (1, "a crash between the reply and the record".into());
        assert!(even(&books) && equation(&books).into_string().contains("up to 1 allowed"));
        books.delivered = 9;
        assert!(plain(&books).contains("accepted 10 != "));
        assert!(equation(&books).into_string().contains("differ by 1 copy"));
    }
}
