//! Faults drawn from a seed: the same seed on the same topology breaks the same things in the same order.

use std::time::{Duration, Instant};

use super::{Fault, word};
use crate::Result;
use crate::driver::processes::CLIENT;
use crate::load::Draw;
use crate::stage::{Broken, Stage};

/// How long a drawn fault is in force, and how long nothing is between two, milliseconds.
const LASTS: (u64, u64) = (200, 1500);
const REST: (u64, u64) = (100, 600);

/// One after the other, two at a time now and then.
pub const DRAW: Fault = Fault {
    name: "draw",
    usage: "SEED SECONDS",
    about: "breaks and mends what a seed draws, for so many seconds; all is mended when it ends",
    strike: |stage, words| {
        let (seed, seconds) = (word(words, 0, "the seed")?.parse()?, word(words, 1, "the seconds")?.parse()?);
        draw(stage, seed, Duration::from_secs(seconds))?;
        Ok(Box::new(|_| Ok(())))
    },
};

/// Breaks and mends until `lasting` is over. What it broke, as a person would have said it: `kill primary`.
pub fn draw(stage: &Stage, seed: u64, lasting: Duration) -> Result<Vec<String>> {
    let nodes: Vec<Node> = (stage.servers()).map(|server| (server.plan().name.clone(), server.services())).collect();
    let (mut draw, start, mut broken) = (Draw(seed), Instant::now(), Vec::new());
    while start.elapsed() < lasting {
        let set = set(&nodes, &mut draw);
        let struck: Vec<Broken<'_>> = set.iter().map(|words| strike(stage, words)).collect::<Result<_>>()?;
        pass(&mut draw, LASTS);
        struck.into_iter().rev().try_for_each(Broken::heal)?;
        broken.extend(set);
        pass(&mut draw, REST);
    }
    Ok(broken)
}

/// A node that can be drawn: its name and its services.
type Node = (String, &'static [&'static str]);

fn strike<'a>(stage: &'a Stage, words: &str) -> Result<Broken<'a>> {
    let words: Vec<&str> = words.split(' ').collect();
    stage.strike(super::find(words[0])?, &words[1..])
}

/// What is broken at one time. The second is never of a node: whether a node can be stopped must not hang on what else has befallen it.
fn set(nodes: &[Node], draw: &mut Draw) -> Vec<String> {
    let mut set = vec![of_a_node(nodes, draw)];
    if draw.between(0, 2) == 0 {
        set.push(of_the_net(nodes, draw));
    }
    set
}

fn of_a_node(nodes: &[Node], draw: &mut Draw) -> String {
    let (node, services) = pick(nodes, draw);
    match draw.between(0, 4) {
        0 => format!("kill {node}"),
        1 => format!("stop {node}"),
        2 => format!("pause {node}"),
        3 => format!("isolate {node}"),
        // Those of another make may have none that can be told from the others.
        _ if services.is_empty() => format!("kill {node}"),
        _ => format!("kill-service {node} {}", pick(services, draw)),
    }
}

fn of_the_net(nodes: &[Node], draw: &mut Draw) -> String {
    let ((from, _), (to, _)) = (pick(nodes, draw), pick(nodes, draw));
    let from = if from == to { CLIENT } else { from };
    match draw.between(0, 4) {
        0 => format!("link {from} {to} delay={}", draw.between(20, 300)),
        1 => format!("link {from} {to} slow={}", draw.between(2000, 20_000)),
        2 => format!("link {from} {to} refuse"),
        3 => "names * servfail".to_owned(),
        _ => format!("names * slow {}", draw.between(50, 800)),
    }
}

/// One of `from`, which is not empty.
fn pick<'a, T>(from: &'a [T], draw: &mut Draw) -> &'a T {
    &from[draw.between(0, from.len() as u64 - 1) as usize]
}

/// The time that passes is the fault itself: nothing is waited for.
fn pass(draw: &mut Draw, (least, most): (u64, u64)) {
    std::thread::sleep(Duration::from_millis(draw.between(least, most)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_draws_the_same_again_and_every_fault_it_draws_is_known() {
        let nodes: Vec<Node> = vec![("a".into(), &["smtp-in", "deliver"]), ("b".into(), &["smtp-in"])];
        let drawn = |seed| (0..200).scan(Draw(seed), |draw, _| Some(set(&nodes, draw))).flatten().collect::<Vec<_>>();
        assert_eq!(drawn(5), drawn(5));
        assert_ne!(drawn(5), drawn(6));
        for words in drawn(5) {
            crate::faults::find(words.split(' ').next().unwrap()).unwrap();
        }
        for fault in ["kill a", "stop b", "kill-service b smtp-in", "link client ", "link a b", "names * servfail"] {
            assert!(drawn(5).iter().any(|words| words.starts_with(fault)), "{fault} is never drawn");
        }
    }
}
