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
    let (mut draw, start, mut broken) = (Draw(seed), Instant::now(), Vec::new());
    while start.elapsed() < lasting {
        let mut sets = vec![of_a_node(stage, &mut draw)?];
        // The second is never of a node: whether a node can be stopped must not hang on what else has befallen it.
        if draw.between(0, 2) == 0 {
            sets.push(of_the_net(stage, &mut draw));
        }
        let struck: Vec<Broken<'_>> = sets.iter().map(|words| strike(stage, words)).collect::<Result<_>>()?;
        pass(&mut draw, LASTS);
        struck.into_iter().rev().try_for_each(Broken::heal)?;
        broken.extend(sets.iter().map(|words| words.join(" ")));
        pass(&mut draw, REST);
    }
    Ok(broken)
}

fn strike<'a>(stage: &'a Stage, words: &[String]) -> Result<Broken<'a>> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    stage.strike(super::find(words[0])?, &words[1..])
}

fn of_a_node(stage: &Stage, draw: &mut Draw) -> Result<Vec<String>> {
    let node = node(stage, draw);
    let services = stage.server(&node)?.services();
    let service = pick(draw, services);
    let words: &[&str] = match draw.between(0, 4) {
        0 => &["kill", &node],
        1 => &["stop", &node],
        2 => &["pause", &node],
        3 => &["isolate", &node],
        _ => &["kill-service", &node, service],
    };
    Ok(words.iter().map(|word| (*word).to_owned()).collect())
}

fn of_the_net(stage: &Stage, draw: &mut Draw) -> Vec<String> {
    let (from, to) = (node(stage, draw), node(stage, draw));
    let from = if from == to { CLIENT.to_owned() } else { from };
    let words = match draw.between(0, 4) {
        0 => format!("link {from} {to} delay={}", draw.between(20, 300)),
        1 => format!("link {from} {to} slow={}", draw.between(2000, 20_000)),
        2 => format!("link {from} {to} refuse"),
        3 => "names * servfail".to_owned(),
        _ => format!("names * slow {}", draw.between(50, 800)),
    };
    words.split(' ').map(str::to_owned).collect()
}

fn node(stage: &Stage, draw: &mut Draw) -> String {
    let nodes = &stage.topology.nodes;
    nodes[draw.between(0, nodes.len() as u64 - 1) as usize].name.clone()
}

fn pick<'a>(draw: &mut Draw, from: &[&'a str]) -> &'a str {
    from[draw.between(0, from.len() as u64 - 1) as usize]
}

/// The time that passes is the fault itself: nothing is waited for.
fn pass(draw: &mut Draw, (least, most): (u64, u64)) {
    std::thread::sleep(Duration::from_millis(draw.between(least, most)));
}
