//! How many messages a second the spool makes durable, and takes out again.
//!
//! `cargo run --release -p lib-spool --example commit_rate -- DIRECTORY [THREADS=64] [OCTETS=2048] [SECONDS=5]`
//!
//! Only a journalled file system on a real disk tells anything: on tmpfs, or on ext4 without a journal, the figures mean nothing.

use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use lib_host::Clock;
use lib_mail::{BodyType, Enhanced, Envelope, Protocol, Recipient, Status};
use lib_spool::{Commit, Error, Options, Outcome, Queue, Spool, What};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let dir = PathBuf::from(arguments.next().ok_or("which directory?")?);
    let mut number = |default: u64| arguments.next().map_or(Ok(default), |text| text.parse());
    let (threads, octets, seconds) = (number(64)?, number(2048)?, number(5)?);
    let clock = Clock::system();
    let spool = Spool::open(&dir, Options::new(clock.clone(), 50_000_000))?;
    let message = vec![b'x'; usize::try_from(octets)?];
    let envelope = Envelope {
        sender: Some("minji@example.kr".parse()?),
        recipients: vec![Recipient::new("jun@example.net".parse()?)],
        ret: None,
        envid: None,
        body: BodyType::SevenBit,
        utf8: false,
        arrived: clock.now(),
        deadline: clock.now(),
        peer: None,
        helo: "client.example".into(),
        protocol: Protocol { extended: true, tls: false, auth: false, utf8: false, local: false },
        account: None,
        added: String::new(),
        parent: None,
    };

    let ids = Mutex::new(Vec::new());
    let end = Instant::now() + Duration::from_secs(seconds);
    measure("committed", threads, || {
        let mut own = Vec::new();
        while Instant::now() < end {
            let mut incoming = spool.begin();
            incoming.append(&message)?;
            let commit = Commit { local: Some(envelope.clone()), relay: None, held: false, due: clock.now() };
            own.push(incoming.commit(commit)?.id());
        }
        let count = own.len() as u64;
        ids.lock().map_err(|_| Error::Misuse("a thread panicked"))?.append(&mut own);
        Ok(count)
    })?;
    let started = Instant::now();
    let found: usize = spool.due(Queue::Local, clock.now()).map(|shard| shard.map_or(0, |shard| shard.due.len())).sum();
    println!("scanned {found} in {:?}", started.elapsed());
    let status = Status::local(250, Enhanced::new(2, 0, 0), "delivered", clock.now());
    measure("claimed, recorded, synced and removed", threads, || {
        let mut count = 0;
        loop {
            let Some(id) = ids.lock().map_err(|_| Error::Misuse("a thread panicked"))?.pop() else { return Ok(count) };
            let Some(claim) = spool.claim(Queue::Local, &id)? else { continue };
            claim.record(&[(0, Outcome { what: What::Delivered, status: status.clone() })])?;
            claim.finish()?;
            count += 1;
        }
    })?;
    Ok(())
}

/// Runs the work in so many threads and prints how much of it was done.
fn measure(what: &str, threads: u64, work: impl Fn() -> Result<u64, Error> + Sync) -> Result<(), Error> {
    let done = AtomicU64::new(0);
    let failed = Mutex::new(None);
    let started = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| match work() {
                Ok(count) => drop(done.fetch_add(count, Ordering::Relaxed)),
                Err(error) => drop(failed.lock().map(|mut failed| failed.replace(error))),
            });
        }
    });
    let (done, elapsed) = (done.into_inner(), started.elapsed().as_secs_f64());
    println!("{what}: {done} in {elapsed:.2} s = {:.0}/s with {threads} threads", done as f64 / elapsed);
    failed.into_inner().ok().flatten().map_or(Ok(()), Err)
}
