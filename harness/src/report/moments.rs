//! What was done and seen, as a list; faults and heals carry the numbers that they have on the timeline.

use maud::{Markup, html};

use super::words;
use crate::record::{Moment, MomentKind, Record};

/// More moments than these are not listed one by one.
const MOST: usize = 80;

/// A fault or a heal, numbered from 1 in order of time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mark<'a> {
    pub(super) number: usize,
    pub(super) moment: &'a Moment,
}

/// The moments, each with its number if it has one.
fn numbered(record: &Record) -> impl Iterator<Item = (Option<usize>, &Moment)> {
    let mut number = 0;
    record.moments.iter().map(move |moment| {
        let marked = matches!(moment.kind, MomentKind::Fault | MomentKind::Heal);
        number += usize::from(marked);
        (marked.then_some(number), moment)
    })
}

/// The faults and heals.
pub(super) fn marks(record: &Record) -> Vec<Mark<'_>> {
    numbered(record).filter_map(|(number, moment)| Some(Mark { number: number?, moment })).collect()
}

/// One word for the kind, for readers and for the class that colours it.
pub(super) fn kind(kind: MomentKind) -> &'static str {
    match kind {
        MomentKind::Fault => "fault",
        MomentKind::Heal => "heal",
        MomentKind::Step => "step",
        MomentKind::Check => "check",
    }
}

/// The list. Of very many, faults and heals stay before steps and checks, and what is left out is said.
pub(super) fn list(record: &Record) -> Markup {
    let all: Vec<_> = numbered(record).collect();
    let marked = all.iter().filter(|(number, _)| number.is_some()).count();
    let (mut faults, mut others) = (MOST, MOST.saturating_sub(marked));
    let shown: Vec<_> = all
        .iter()
        .filter(|(number, _)| {
            let room = if number.is_some() { &mut faults } else { &mut others };
            let fits = *room > 0;
            *room = room.saturating_sub(1);
            fits
        })
        .collect();
    html! {
        ol.moments {
            @for (number, moment) in &shown {
                li.(kind(moment.kind)) {
                    span.at { (words::offset(moment.at)) }
                    span.sign title=(kind(moment.kind)) {
                        @match number {
                            Some(number) => (number),
                            None => @if moment.kind == MomentKind::Check { "✓" } @else { "•" },
                        }
                    }
                    span.said { (words::visible(&words::short(&moment.text, 400))) }
                }
            }
        }
        @if shown.len() < all.len() {
            p.cap { (words::many(all.len() - shown.len(), "more moment")) " are not listed; faults and heals went first." }
        }
    }
}
