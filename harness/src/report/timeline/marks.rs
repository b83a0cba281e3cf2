//! Where the labels of faults and heals stand, so that none lies on another and no leader line crosses a label.

use crate::report::moments::Mark;
use crate::report::{plot, words};

/// Height of a row of labels.
pub(super) const ROW: f64 = 21.0;
/// Width of a number's badge.
pub(super) const BADGE: f64 = 17.0;
/// Between two numbers.
const GAP: f64 = 2.0;
/// Height of the strip below the labels in which lines bend to their moments.
pub(super) const BEND: f64 = 13.0;
/// Type size of a label.
const SIZE: f64 = 12.0;
/// Letters of a label; the list has the whole sentence.
const LETTERS: usize = 46;

/// A label that has its place.
#[derive(Debug, Clone)]
pub(super) struct Label<'a> {
    pub(super) mark: Mark<'a>,
    /// The middle of its number; its line comes down from there and bends to its moment below the lowest row.
    pub(super) stem: f64,
    /// From the lanes upward.
    pub(super) row: usize,
    /// Empty where only the number has room; the list has the sentence.
    pub(super) text: String,
    /// The text stands left of the number, since there is no room to the right.
    pub(super) mirrored: bool,
}

impl Label<'_> {
    fn left(&self) -> f64 {
        self.stem - if self.mirrored { self.wide() - BADGE / 2.0 } else { BADGE / 2.0 }
    }

    fn right(&self) -> f64 {
        self.left() + self.wide()
    }

    fn wide(&self) -> f64 {
        if self.text.is_empty() { BADGE } else { BADGE + words::width(&self.text, SIZE) + 10.0 }
    }
}

/// Gives the marks places between `from` and `to`, in at most `rows` rows. All numbers stand side by side in the lowest row at first, each as
/// near to its moment as there is room; then, where `worded`, each text that finds a row of its own lifts its number up there. Of more marks
/// than there is room for only some get a label.
pub(super) fn place<'a>(marks: &[(Mark<'a>, f64)], (from, to): (f64, f64), worded: bool, rows: usize) -> Vec<Label<'a>> {
    let room = ((to - from) / (BADGE + GAP)) as usize;
    let marks: Vec<_> = marks.iter().step_by(marks.len().div_ceil(room.max(1)).max(1)).collect();
    let moments: Vec<f64> = marks.iter().map(|(_, x)| *x).collect();
    let stems = plot::apart(&moments, BADGE + GAP, from + BADGE / 2.0, to - BADGE / 2.0);
    let bare = |((mark, _), stem): (&&(Mark<'a>, f64), f64)| Label {
        mark: *mark,
        stem: plot::tenth(stem),
        row: 0,
        text: String::new(),
        mirrored: false,
    };
    let mut labels: Vec<Label<'a>> = marks.iter().zip(stems).map(bare).collect();
    // From the right: a label extends to the right of its line, so later ones lie lower and the lines of earlier ones pass to their left.
    for at in (0..labels.len()).rev().filter(|_| worded) {
        let text = words::visible(&words::short(&labels[at].mark.moment.text, LETTERS));
        let mut label = Label { text, ..labels[at].clone() };
        label.mirrored = label.right() > to;
        let found = (0..rows)
            .map(|row| Label { row, ..label.clone() })
            .filter(|label| label.left() >= from)
            .find(|label| labels.iter().enumerate().all(|(n, other)| n == at || !touch(label, other)));
        if let Some(label) = found {
            labels[at] = label;
        }
    }
    labels
}

/// Whether two labels overlap, or the line of one runs through the other.
fn touch(a: &Label<'_>, b: &Label<'_>) -> bool {
    let (above, below) = if a.row >= b.row { (a, b) } else { (b, a) };
    if above.row == below.row {
        return above.left() < below.right() && below.left() < above.right();
    }
    (below.left() - 2.0..=below.right() + 2.0).contains(&above.stem)
}

/// Rows that are used.
pub(super) fn rows(labels: &[Label<'_>]) -> usize {
    labels.iter().map(|label| label.row + 1).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::record::{Moment, MomentKind};

    fn moments(texts: &[(u64, &str)]) -> Vec<Moment> {
        let moment = |(at, text): &(u64, &str)| Moment {
            at: Duration::from_millis(*at),
            kind: MomentKind::Fault,
            node: None,
            text: (*text).into(),
        };
        texts.iter().map(moment).collect()
    }

    #[test]
    fn crowded_labels_never_touch() {
        let texts: Vec<(u64, &str)> = (0..60)
            .map(|n| (n * n * 7 % 400, ["primary is killed (SIGKILL)", "the link is cut", "back"][n as usize % 3]))
            .collect();
        let mut moments = moments(&texts);
        moments.sort_by_key(|moment| moment.at);
        let marks: Vec<_> = moments
            .iter()
            .enumerate()
            .map(|(n, moment)| (Mark { number: n + 1, moment }, 100.0 + moment.at.as_millis() as f64))
            .collect();
        for (from, to, worded) in [(100.0, 520.0, true), (100.0, 1000.0, true), (100.0, 520.0, false)] {
            let labels = place(&marks, (from, to), worded, 10);
            assert!(labels.len() >= if to > 900.0 { 30 } else { 20 }, "{}", labels.len());
            for (n, a) in labels.iter().enumerate() {
                assert!(a.left() >= from - 0.1 && a.right() <= to + 0.1, "{a:?}");
                assert!(labels[n + 1..].iter().all(|b| !touch(a, b)), "{a:?}");
            }
        }
    }

    #[test]
    fn few_labels_keep_their_text() {
        let moments =
            moments(&[(100, "primary is killed (SIGKILL)"), (130, "secondary is paused"), (790, "everything is mended again")]);
        let marks: Vec<_> =
            moments.iter().enumerate().map(|(n, moment)| (Mark { number: n, moment }, moment.at.as_millis() as f64)).collect();
        let labels = place(&marks, (0.0, 800.0), true, 7);
        assert!(labels.iter().all(|label| !label.text.is_empty()));
        assert_eq!(labels.iter().map(|label| label.row).collect::<Vec<_>>(), [1, 0, 0]);
    }
}
