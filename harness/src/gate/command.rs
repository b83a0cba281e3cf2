//! `bongsu-harness gate`: one gate, alone, before any mail server.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::{Gate, Mood, Trip};
use crate::Result;
use crate::record::DialogueRecord;

/// Between two looks for dialogues that have ended.
const LOOK: Duration = Duration::from_millis(50);

/// A gate and what it does.
#[derive(Debug, clap::Args)]
pub struct Command {
    /// Where to listen, as 127.0.0.1:2525
    #[arg(long)]
    listen: SocketAddr,
    /// The server behind it
    #[arg(long)]
    to: SocketAddr,
    /// The address to connect onward from
    #[arg(long)]
    from: Option<IpAddr>,
    /// What it does with every connection: pass, refuse, black-hole, silent, slow=OCTETS (a second), delay=MILLISECONDS, tarpit, cut
    #[arg(long, default_value = "pass")]
    mood: Mood,
    /// A break at one point, `[Nx] before|after PLACE => WHAT`: PLACE is connect, client N, server N, line PREFIX, dot or reply STAGE, WHAT is
    /// fin, reset, silence, half-close, lose fin|reset|silence, inject client|server TEXT, strip-starttls, break-tls or slow OCTETS. As
    /// `2x after dot => lose reset`
    #[arg(long)]
    trip: Vec<Trip>,
    /// End after so many connections; 0 is never
    #[arg(long, default_value_t = 0)]
    connections: usize,
}

impl Command {
    /// Opens the gate and prints each dialogue when its connection has ended.
    pub fn run(self) -> Result<()> {
        let gate = Gate::open(self.listen, self.to, self.from, ("client".into(), self.to.to_string()))?;
        for trip in self.trip {
            gate.trip(trip);
        }
        gate.mood(self.mood)?;
        println!("listening on {}, {}", gate.address(), self.mood);
        let mut printed = 0;
        while self.connections == 0 || printed < self.connections {
            for dialogue in gate.take_ended() {
                printed += 1;
                print(&dialogue);
            }
            std::thread::sleep(LOOK);
        }
        Ok(())
    }
}

fn print(dialogue: &DialogueRecord) {
    println!("{:9.3} connection", dialogue.at.as_secs_f64());
    for (at, side, text) in &dialogue.lines {
        println!("{:9.3} {side}: {text}", at.as_secs_f64());
    }
    println!("          {}", dialogue.end);
}
