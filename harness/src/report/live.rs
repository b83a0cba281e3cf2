//! The live view: what is going on while scenarios play.
//!
//! On a terminal a block of lines is redrawn in place: the scenario, its counts, a line for each node, what was broken last. Elsewhere (a log,
//! CI) each moment is a plain line with its time. Scenarios that play side by side are plain lines as well, with the scenario's name in front: a
//! screen has room for one block. The view is never in the way: what can't be written is dropped.

use std::fmt;
use std::io::{IsTerminal, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::record::{Moment, NodeRecord, Sample, Verdict};

mod block;
mod lines;

/// How the view is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Manner {
    /// Redraw in place. Otherwise lines that are never taken back.
    pub in_place: bool,
    /// Use colours.
    pub colours: bool,
    /// Columns and rows of the terminal; asked again before each drawing where `None`.
    pub size: Option<(usize, usize)>,
}

impl Manner {
    /// What suits standard output: in place on a terminal that is not CI's, colours there unless `NO_COLOR` is set.
    pub fn of_stdout() -> Self {
        let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let terminal = std::io::stdout().is_terminal() && std::env::var("TERM").is_ok_and(|term| term != "dumb");
        let ci = set("CI") && std::env::var("CI").is_ok_and(|ci| ci != "false" && ci != "0");
        Self { in_place: terminal && !ci, colours: terminal && !set("NO_COLOR"), size: None }
    }
}

/// The view of a whole run; clones show in the same place.
#[derive(Clone)]
pub struct Live {
    screen: Arc<Mutex<Screen>>,
}

/// The view of one scenario. It may be used from several threads; clones are the same scenario.
#[derive(Clone)]
pub struct Playing {
    screen: Arc<Mutex<Screen>>,
    number: usize,
}

struct Screen {
    out: Box<dyn Write + Send>,
    manner: Manner,
    /// Scenarios of the run, for `3 of 25`.
    planned: usize,
    begun: usize,
    /// Those that play now.
    acts: Vec<Act>,
    /// Lines of the block that stand on the terminal.
    drawn: usize,
    drawn_at: Option<Instant>,
}

/// One scenario as far as it has come.
struct Act {
    number: usize,
    name: String,
    shows: String,
    since: Instant,
    nodes: Vec<NodeRecord>,
    sample: Sample,
    /// Nodes that are in another state than up.
    states: Vec<(String, String)>,
    /// The last moments.
    moments: Vec<Moment>,
}

/// The block is not redrawn more often; what is broken or mended shows at once.
const EVERY: Duration = Duration::from_millis(80);
/// Moments that a block shows.
const LAST: usize = 4;

impl fmt::Debug for Live {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Live").finish_non_exhaustive()
    }
}

impl fmt::Debug for Playing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Playing").field("number", &self.number).finish_non_exhaustive()
    }
}

impl Live {
    /// A view on standard output for a run of `planned` scenarios.
    pub fn new(planned: usize) -> Self {
        Self::on(Box::new(std::io::stdout()), Manner::of_stdout(), planned)
    }

    /// A view that writes to `out`.
    pub fn on(out: Box<dyn Write + Send>, manner: Manner, planned: usize) -> Self {
        let screen = Screen { out, manner, planned, begun: 0, acts: Vec::new(), drawn: 0, drawn_at: None };
        Self { screen: Arc::new(Mutex::new(screen)) }
    }

    /// A scenario begins. `shows` is its one sentence. The view of it ends with [`Playing::verdict`].
    pub fn scenario(&self, name: &str, shows: &str) -> Playing {
        let mut screen = locked(&self.screen);
        screen.begun += 1;
        let number = screen.begun;
        let act = Act {
            number,
            name: name.to_owned(),
            shows: shows.to_owned(),
            since: Instant::now(),
            nodes: Vec::new(),
            sample: Sample::default(),
            states: Vec::new(),
            moments: Vec::new(),
        };
        screen.erase();
        screen.acts.push(act);
        if screen.in_lines() {
            let text = lines::begins(&screen, number);
            screen.print(&text);
        }
        screen.draw(true);
        drop(screen);
        Playing { screen: Arc::clone(&self.screen), number }
    }

    /// Writes a line that stays, above the block if there is one: `report: …/report.html`.
    pub fn say(&self, line: &str) {
        let mut screen = locked(&self.screen);
        screen.erase();
        screen.print(&format!("{line}\n"));
        screen.draw(true);
    }
}

impl Playing {
    /// Something was done or seen.
    pub fn moment(&self, moment: &Moment) {
        let mut screen = locked(&self.screen);
        if screen.in_lines() {
            let text = lines::moment(&screen, self.number, moment);
            screen.print(&text);
        }
        let Some(act) = screen.act(self.number) else { return };
        act.moments.push(moment.clone());
        if act.moments.len() > LAST {
            act.moments.remove(0);
        }
        screen.draw(true);
    }

    /// A node is in another state from now on: `up`, or a state as [`crate::record::Span`] has them.
    pub fn state(&self, node: &str, state: &str) {
        let mut screen = locked(&self.screen);
        let Some(act) = screen.act(self.number) else { return };
        act.states.retain(|(name, _)| name != node);
        if state != "up" {
            act.states.push((node.to_owned(), state.to_owned()));
        }
        screen.draw(true);
    }

    /// The counts now; `nodes` in the order of the sample.
    pub fn sample(&self, sample: &Sample, nodes: &[NodeRecord]) {
        let mut screen = locked(&self.screen);
        let Some(act) = screen.act(self.number) else { return };
        // A node that can't say keeps what it said last.
        let kept = |now: &[Option<usize>], before: &[Option<usize>]| {
            now.iter().enumerate().map(|(n, now)| now.or(before.get(n).copied().flatten())).collect::<Vec<_>>()
        };
        let (queued, delivered) = (kept(&sample.queued, &act.sample.queued), kept(&sample.delivered, &act.sample.delivered));
        act.sample = Sample { queued, delivered, ..sample.clone() };
        if act.nodes.len() != nodes.len() {
            act.nodes = nodes.to_vec();
        }
        screen.draw(false);
    }

    /// The scenario ended.
    pub fn verdict(&self, verdict: &Verdict, took: Duration) {
        let mut screen = locked(&self.screen);
        screen.erase();
        let text = lines::ends(&screen, self.number, verdict, took);
        screen.print(&text);
        screen.acts.retain(|act| act.number != self.number);
        screen.draw(true);
    }
}

impl Screen {
    /// Whether moments are lines now, not a block.
    fn in_lines(&self) -> bool {
        !self.manner.in_place || self.acts.len() > 1
    }

    fn act(&mut self, number: usize) -> Option<&mut Act> {
        self.acts.iter_mut().find(|act| act.number == number)
    }

    fn named(&self, number: usize) -> Option<&Act> {
        self.acts.iter().find(|act| act.number == number)
    }

    fn print(&mut self, text: &str) {
        let _ = self.out.write_all(text.as_bytes());
        let _ = self.out.flush();
    }

    /// Takes the block back, so that a line can be written where it stood.
    fn erase(&mut self) {
        if self.drawn > 0 {
            let text = format!("\x1b[{}A\r\x1b[J", self.drawn);
            self.drawn = 0;
            self.print(&text);
        }
    }

    /// Draws the block over the last one; `now` even if the last is recent.
    fn draw(&mut self, now: bool) {
        if self.in_lines() || (!now && self.drawn_at.is_some_and(|at| at.elapsed() < EVERY)) {
            return;
        }
        let Some(act) = self.acts.first() else { return };
        let (columns, rows) = self.manner.size.unwrap_or_else(size);
        let mut block = block::block(act, self.planned, (columns.max(20), self.manner.colours));
        // What has scrolled off the terminal can't be taken back.
        block.truncate(rows.saturating_sub(1).max(1));
        let up = if self.drawn > 0 { format!("\x1b[{}A\r", self.drawn) } else { String::new() };
        let text = block.iter().map(|line| format!("{line}\x1b[K\n")).collect::<String>();
        self.drawn = block.len();
        self.drawn_at = Some(Instant::now());
        // What remains of a longer block goes too.
        self.print(&format!("{up}{text}\x1b[J"));
    }
}

fn locked(screen: &Mutex<Screen>) -> MutexGuard<'_, Screen> {
    screen.lock().unwrap_or_else(PoisonError::into_inner)
}

fn size() -> (usize, usize) {
    let asked = rustix::termios::tcgetwinsize(std::io::stdout()).ok().filter(|size| size.ws_col > 0 && size.ws_row > 0);
    asked.map_or((80, 24), |size| (size.ws_col.into(), size.ws_row.into()))
}

#[cfg(test)]
mod tests;
