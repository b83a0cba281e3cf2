//! Steering a name server from outside its process: a line for each command over TCP, a line for each answer.
//!
//! | command | what |
//! | --- | --- |
//! | `add NAME TYPE DATA` | one more record |
//! | `set NAME TYPE DATA` | in the place of all of that name and type |
//! | `remove NAME` | all records of the name |
//! | `mood NAME MOOD` | of a name, or with `*` of all others |
//! | `list ZONE IP CODE[,CODE] [TEXT]`, `unlist ZONE IP` | on and off a block list |
//! | `asked NAME TYPE` | how often; the answer is `ok N` |
//!
//! The answer is `ok`, or `error` and why.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;

use super::{Dns, Mood};
use crate::Result;

/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// Longest line that is read.
const LINE: u64 = 64 * 1024;

/// A port on which a name server is steered; it listens until the process ends.
#[derive(Debug)]
pub struct ControlServer {
    address: SocketAddr,
}

impl ControlServer {
    /// Listens on `address` (a port of 0 is any) and obeys whoever connects.
    pub fn start(address: SocketAddr, dns: Arc<Dns>) -> Result<ControlServer> {
        let listener = TcpListener::bind(address).with_context(|| format!("listening on {address}"))?;
        let address = listener.local_addr()?;
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(std::result::Result::ok) {
                let dns = Arc::clone(&dns);
                // One who goes away ends its own session only.
                std::thread::spawn(move || obey_all(stream, &dns));
            }
        });
        Ok(ControlServer { address })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

fn obey_all(stream: TcpStream, dns: &Dns) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut out = stream.try_clone()?;
    let mut reader = BufReader::new(stream);
    while let Some(line) = line(&mut reader)? {
        let answer = match obey(&line, dns) {
            Ok(None) => "ok\n".to_owned(),
            Ok(Some(number)) => format!("ok {number}\n"),
            Err(error) => format!("error {}\n", format!("{error:#}").replace(['\r', '\n'], " ")),
        };
        out.write_all(answer.as_bytes())?;
    }
    Ok(())
}

fn line(reader: &mut impl BufRead) -> Result<Option<String>> {
    let mut line = String::new();
    let read = reader.take(LINE).read_line(&mut line)?;
    Ok((read > 0).then(|| line.trim_end().to_owned()))
}

/// Carries one command out; its number, where it has one.
fn obey(line: &str, dns: &Dns) -> Result<Option<usize>> {
    let (verb, rest) = line.trim().split_once(' ').context("a command is a word and what it is about")?;
    let (name, rest) = rest.trim().split_once(' ').unwrap_or((rest.trim(), ""));
    let rest = rest.trim();
    match verb {
        "add" => dns.add(name, rest)?,
        "set" => dns.set(name, rest)?,
        "remove" => dns.remove(name)?,
        "mood" => dns.mood((name != "*").then_some(name), rest.parse()?)?,
        "list" => {
            let (address, rest) = rest.split_once(' ').context("list ZONE IP CODE")?;
            let (codes, text) = rest.split_once(' ').unwrap_or((rest, ""));
            let codes: std::result::Result<Vec<Ipv4Addr>, _> = codes.split(',').map(str::parse).collect();
            dns.listed(name, address.parse()?, &codes.context("a code is an address, as 127.0.0.2")?, text.trim())?;
        }
        "unlist" => dns.unlisted(name, rest.parse()?)?,
        "asked" => return Ok(Some(dns.asked(name, rest)?)),
        other => anyhow::bail!("{other} is no command: add, set, remove, mood, list, unlist, asked"),
    }
    Ok(None)
}

/// A connection to a [`ControlServer`].
#[derive(Debug)]
pub struct Control {
    reader: BufReader<TcpStream>,
}

impl Control {
    /// Connects.
    pub fn connect(to: SocketAddr) -> Result<Control> {
        let stream =
            TcpStream::connect_timeout(&to, PATIENCE).with_context(|| format!("connecting to the name server at {to}"))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Control { reader: BufReader::new(stream) })
    }

    /// One more record, as `TYPE DATA`.
    pub fn add(&mut self, name: &str, data: &str) -> Result<()> {
        self.call(&format!("add {name} {data}")).map(|_| ())
    }

    /// A record, as `TYPE DATA`, in the place of all of that name and type.
    pub fn set(&mut self, name: &str, data: &str) -> Result<()> {
        self.call(&format!("set {name} {data}")).map(|_| ())
    }

    /// Removes all records of a name.
    pub fn remove(&mut self, name: &str) -> Result<()> {
        self.call(&format!("remove {name}")).map(|_| ())
    }

    /// The mood of a name, or of all that have none of their own.
    pub fn mood(&mut self, name: Option<&str>, mood: &Mood) -> Result<()> {
        self.call(&format!("mood {} {mood}", name.unwrap_or("*"))).map(|_| ())
    }

    /// Puts an address on a block list; the text may be empty.
    pub fn list(&mut self, zone: &str, address: IpAddr, codes: &[Ipv4Addr], text: &str) -> Result<()> {
        let codes: Vec<String> = codes.iter().map(Ipv4Addr::to_string).collect();
        self.call(&format!("list {zone} {address} {} {text}", codes.join(","))).map(|_| ())
    }

    /// Takes an address off a block list.
    pub fn unlist(&mut self, zone: &str, address: IpAddr) -> Result<()> {
        self.call(&format!("unlist {zone} {address}")).map(|_| ())
    }

    /// How often a name was asked for a type.
    pub fn asked(&mut self, name: &str, kind: &str) -> Result<usize> {
        self.call(&format!("asked {name} {kind}"))?.parse().context("the answer has no number")
    }

    /// Sends one command line; what follows the `ok` of its answer. Fails where the answer is an error, with its text.
    pub fn call(&mut self, command: &str) -> Result<String> {
        anyhow::ensure!(!command.contains(['\r', '\n']), "a command is one line");
        self.reader.get_mut().write_all(format!("{command}\n").as_bytes())?;
        let answer = line(&mut self.reader)?.context("the name server went away")?;
        let said = answer.strip_prefix("ok").with_context(|| format!("{command}: {answer}"))?;
        Ok(said.trim().to_owned())
    }
}
