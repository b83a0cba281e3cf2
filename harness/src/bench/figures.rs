//! What was measured: values of each system in each round, and what is made of them.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Which way is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Better {
    /// A larger value.
    More,
    /// A smaller one.
    Less,
    /// Neither: it says under which conditions the others were measured.
    Neither,
}

/// Something that can be measured of any system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quantity {
    /// Its name with its unit.
    pub name: &'static str,
    /// Which way is better.
    pub better: Better,
}

impl Quantity {
    /// One of which more is better.
    pub const fn more(name: &'static str) -> Quantity {
        Quantity { name, better: Better::More }
    }

    /// One of which less is better.
    pub const fn less(name: &'static str) -> Quantity {
        Quantity { name, better: Better::Less }
    }

    /// One that is only noted.
    pub const fn noted(name: &'static str) -> Quantity {
        Quantity { name, better: Better::Neither }
    }
}

/// Messages a second.
pub const RATE: Quantity = Quantity::more("messages/s");
/// CPU seconds of the server with all its processes, for a thousand messages.
pub const CPU: Quantity = Quantity::less("CPU s/1000");
/// The median of latencies.
pub const HALF: Quantity = Quantity::less("half within, ms");
/// The 99th percentile of latencies.
pub const MOST: Quantity = Quantity::less("99 % within, ms");
/// Cores that neither the server nor the harness used.
pub const OTHERS: Quantity = Quantity::noted("cores busy with others");

/// One value.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    /// Of which work: `50 sessions × 10, 2 KiB`.
    pub workload: String,
    /// What of it.
    pub quantity: Quantity,
    /// How much.
    pub value: f64,
}

/// What one system's turn in one round gave.
#[derive(Debug, Clone, Default)]
pub struct Turned {
    /// In the order in which they are shown.
    pub figures: Vec<Figure>,
    /// Latencies of a workload, sorted.
    pub latencies: Vec<(String, Vec<Duration>)>,
}

impl Turned {
    /// Adds a value.
    pub fn add(&mut self, workload: &str, quantity: Quantity, value: f64) {
        self.figures.push(Figure { workload: workload.to_owned(), quantity, value });
    }

    /// Adds latencies, which are sorted, as their two percentiles and for the plot.
    pub fn latencies(&mut self, workload: &str, sorted: &[Duration]) {
        self.add(workload, HALF, percentile(sorted, 0.5).as_secs_f64() * 1000.0);
        self.add(workload, MOST, percentile(sorted, 0.99).as_secs_f64() * 1000.0);
        self.latencies.push((workload.to_owned(), sorted.to_vec()));
    }
}

/// The latency below which `part` (0.0 to 1.0) of the sorted ones stayed.
pub fn percentile(sorted: &[Duration], part: f64) -> Duration {
    let last = sorted.len().saturating_sub(1);
    sorted.get((last as f64 * part).round() as usize).copied().unwrap_or_default()
}

/// Median, smallest and largest.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    /// The median: the mean of the middle two where their number is even.
    pub median: f64,
    /// The smallest.
    pub low: f64,
    /// The largest.
    pub high: f64,
}

impl Spread {
    /// Of these values; `None` where there is none.
    pub fn of(values: impl Iterator<Item = f64>) -> Option<Spread> {
        let mut sorted: Vec<f64> = values.collect();
        sorted.sort_by(f64::total_cmp);
        let (low, high) = (*sorted.first()?, *sorted.last()?);
        let middle = sorted.len() / 2;
        let median = if sorted.len() % 2 == 1 { sorted[middle] } else { f64::midpoint(sorted[middle - 1], sorted[middle]) };
        Some(Spread { median, low, high })
    }
}

/// A quantity of a workload, of all systems in all rounds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Of which work.
    pub workload: String,
    /// What of it, with its unit.
    pub quantity: String,
    /// Which way is better.
    pub better: Better,
    /// For each system, in order, its value in each round; `None` where that turn gave none.
    pub values: Vec<Vec<Option<f64>>>,
}

impl Row {
    /// The values of a system over all rounds.
    pub fn spread(&self, system: usize) -> Option<Spread> {
        Spread::of(self.values.get(system)?.iter().flatten().copied())
    }

    /// The ratio of a system to the first, taken round by round.
    pub fn ratio(&self, system: usize) -> Option<Spread> {
        let (first, of) = (self.values.first()?, self.values.get(system)?);
        let pairs = first.iter().zip(of).filter_map(|(first, of)| Some(((*first)?, (*of)?)));
        Spread::of(pairs.filter(|(first, _)| *first > 0.0).map(|(first, of)| of / first))
    }
}

/// Latencies of one system under one workload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Latencies {
    /// The work.
    pub workload: String,
    /// The place of the system in the order of systems.
    pub system: usize,
    /// Of all rounds, sorted.
    pub sorted: Vec<Duration>,
}

/// One bench, of all systems in all rounds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// Its name.
    pub name: String,
    /// What it measures, one sentence.
    pub shows: String,
    /// How many rounds it had.
    pub rounds: usize,
    /// The figures.
    pub rows: Vec<Row>,
    /// For the plots; no part of the JSON.
    #[serde(skip)]
    pub latencies: Vec<Latencies>,
    /// Systems that can't be measured so here, and why.
    pub skipped: Vec<(String, String)>,
    /// What went wrong: a bench with anything here is void.
    pub failed: Vec<String>,
}

impl Measured {
    /// Enters what one turn gave.
    pub fn enter(&mut self, systems: usize, system: usize, round: usize, turned: Turned) {
        for Figure { workload, quantity, value } in turned.figures {
            let known = self.rows.iter().position(|row| row.workload == workload && row.quantity == quantity.name);
            let at = known.unwrap_or_else(|| {
                let values = vec![vec![None; self.rounds]; systems];
                self.rows.push(Row { workload, quantity: quantity.name.into(), better: quantity.better, values });
                self.rows.len() - 1
            });
            if let Some(place) = self.rows[at].values.get_mut(system).and_then(|of| of.get_mut(round)) {
                *place = Some(value);
            }
        }
        for (workload, times) in turned.latencies {
            match self.latencies.iter_mut().find(|known| known.workload == workload && known.system == system) {
                Some(known) => {
                    known.sorted.extend(times);
                    known.sorted.sort();
                }
                None => self.latencies.push(Latencies { workload, system, sorted: times }),
            }
        }
    }

    /// The workloads, in order.
    pub fn workloads(&self) -> Vec<&str> {
        let mut all: Vec<&str> = Vec::new();
        for row in &self.rows {
            if !all.contains(&row.workload.as_str()) {
                all.push(&row.workload);
            }
        }
        all
    }
}

/// All benches of one call.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// When it began, seconds since 1970.
    pub started: u64,
    /// How long it took.
    pub took: Duration,
    /// What was measured and where: versions, processors, kernel, file system.
    pub about: Vec<(String, String)>,
    /// The systems; ratios are to the first.
    pub systems: Vec<String>,
    /// The benches.
    pub benches: Vec<Measured>,
}

impl Comparison {
    /// Whether anything went wrong.
    pub fn failed(&self) -> bool {
        self.benches.iter().any(|bench| !bench.failed.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turned(value: f64) -> Turned {
        let mut turned = Turned::default();
        turned.add("w", RATE, value);
        turned.latencies("w", &[Duration::from_millis(3), Duration::from_millis(9)]);
        turned
    }

    #[test]
    fn ratios_are_taken_round_by_round() {
        let mut bench = Measured { rounds: 3, ..Measured::default() };
        for (round, (first, second)) in [(100.0, 400.0), (200.0, 400.0), (100.0, 300.0)].into_iter().enumerate() {
            bench.enter(2, 0, round, turned(first));
            bench.enter(2, 1, round, turned(second));
        }
        let row = &bench.rows[0];
        assert_eq!(row.ratio(1), Some(Spread { median: 3.0, low: 2.0, high: 4.0 }));
        assert_eq!(row.spread(0), Some(Spread { median: 100.0, low: 100.0, high: 200.0 }));
        assert_eq!((bench.workloads(), bench.rows.len()), (vec!["w"], 3));
        assert_eq!((bench.latencies.len(), bench.latencies[1].sorted.len()), (2, 6));
        assert_eq!(bench.rows[2].spread(1).unwrap().median, 9.0);
    }

    #[test]
    fn a_turn_that_gave_nothing_leaves_a_gap() {
        let mut bench = Measured { rounds: 2, ..Measured::default() };
        bench.enter(2, 0, 0, turned(10.0));
        bench.enter(2, 1, 1, turned(20.0));
        assert_eq!(bench.rows[0].ratio(1), None);
        assert_eq!(Spread::of([1.0, 3.0].into_iter()).unwrap().median, 2.0);
        assert_eq!(Spread::of(std::iter::empty()), None);
    }
}
