//! How a node's state looks: a pattern and a colour each, so that they differ in print and for those who see no hues.

use maud::{Markup, html};

use crate::record::Record;

/// The states that have a look of their own, and what each means.
const STATES: [(&str, &str); 5] = [
    ("down", "not running"),
    ("paused", "stopped in its tracks, connections stay open"),
    ("cut", "running, and not to be reached"),
    ("full", "its disk has no room"),
    ("slow", "its network is slow"),
];

/// The class of a state; states without a look of their own share one.
pub(super) fn class(state: &str) -> &'static str {
    STATES.iter().find(|(name, _)| *name == state).map_or("other", |(name, _)| *name)
}

/// The patterns, once for the page.
pub(in crate::report) fn patterns() -> Markup {
    let shapes = [
        ("down", 8, "M-2 2 l4 -4 M0 8 l8 -8 M6 10 l4 -4"),
        ("paused", 12, "M3 1 v10 M7 1 v10"),
        ("cut", 10, "M0 5 h2 M4 5 h3 M9 5 h1 M5 0 v2 M5 8 v2"),
        ("full", 6, "M1 1.5 h1.6 M4 4.5 h1.6"),
        ("slow", 14, "M0 7 q3.5 -5 7 0 t7 0"),
        ("other", 8, "M-2 6 l4 4 M0 0 l8 8 M6 -2 l4 4"),
    ];
    html! {
        svg.timeline.plot.patterns width="0" height="0" aria-hidden="true" {
            defs {
                @for (name, size, d) in shapes {
                    pattern id=(format!("p-{name}")) width=(size) height=(size) patternUnits="userSpaceOnUse" {
                        rect.ground.(name) width=(size) height=(size) {}
                        path.weave.(name) d=(d) {}
                    }
                }
            }
        }
    }
}

/// What the patterns mean that occur in `record`.
pub(super) fn legend(record: &Record) -> Markup {
    let occurs = |state: &str| record.spans.iter().any(|span| span.state == state);
    html! {
        @for (state, means) in STATES.iter().filter(|(state, _)| occurs(state)) {
            span.key {
                svg.timeline.plot width="30" height="14" aria-hidden="true" { rect.state.(state) width="30" height="14" rx="2" {} }
                span { b { (state) } ": " (means) }
            }
        }
    }
}
