//! Garbage, endless lines, silent and slow clients: bounded memory and time, other sessions unharmed, named in the log.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use bongsu_harness::client::{Ran, run};
use bongsu_harness::load::{Draw, message};
use bongsu_harness::node::{Node, Plan, port};
use bongsu_harness::smtp::Smtp;
use bongsu_harness::wait::wait_until;

const PATIENCE: Duration = Duration::from_secs(30);
const ENDLESS: usize = 1000;
const LARGE: usize = 50;
const MEGABYTE: u64 = 1 << 20;
/// What abuse may cost beyond an idle node.
const MAY_GROW: u64 = 128 * MEGABYTE;

/// Proportional set size of the supervisor and all roles, octets.
fn memory(node: &Node) -> u64 {
    let mut processes: Vec<u32> = node.role_pids().unwrap().into_iter().map(|(_, pid)| pid).collect();
    processes.extend(node.supervisor());
    processes
        .iter()
        .map(|pid| {
            let rollup = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
            let pss = rollup
                .lines()
                .find_map(|line| line.strip_prefix("Pss:")?.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok());
            pss.unwrap_or(0) * 1024
        })
        .sum()
}

/// A connection from an address of its own.
fn connect_from(from: Ipv4Addr, to: SocketAddr) -> TcpStream {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::new(IpAddr::V4(from), 0).into()).unwrap();
    socket.connect_timeout(&to.into(), PATIENCE).unwrap();
    let stream: TcpStream = socket.into();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

fn client_address(number: usize) -> Ipv4Addr {
    Ipv4Addr::new(127, 251, (number / 250) as u8, (1 + number % 250) as u8)
}

/// R1.14, R8: a thousand clients at once that never end their line, and fifty that send 20 MiB.
#[test]
fn a_thousand_endless_lines_and_fifty_large_messages_cost_little_memory() {
    let node = Plan::new("office", &["minji"])
        .with("smtp.message_size_limit = \"50 MB\"\nsmtp.local_size_limit = \"50 MB\"")
        .start()
        .unwrap();
    node.smtp().unwrap().quit().unwrap();
    let idle = memory(&node);
    let mx = node.at(port::MX);

    let mut endless: Vec<TcpStream> = (0..ENDLESS).map(|number| connect_from(client_address(number), mx)).collect();
    for stream in &mut endless {
        let mut greeting = [0; 3];
        stream.read_exact(&mut greeting).unwrap();
        assert_eq!(&greeting, b"220", "all {ENDLESS} are let in at once");
    }
    let mut peak = memory(&node);
    // 64 KiB of one line each: far over any line limit; a connection that the node has closed by then may refuse the rest.
    for stream in &mut endless {
        for _ in 0..16 {
            if stream.write_all(&[b'x'; 4096]).is_err() {
                break;
            }
        }
    }
    peak = peak.max(memory(&node));

    let large = message("large", 20 * MEGABYTE as usize);
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..LARGE)
            .map(|number| {
                let large = &large;
                scope.spawn(move || {
                    let (mut smtp, greeting) =
                        Smtp::over(connect_from(client_address(2000 + number), mx), Duration::from_secs(120)).unwrap();
                    greeting.expect(220).unwrap();
                    smtp.command("EHLO big.example").unwrap().expect(250).unwrap();
                    smtp.transaction("a@b.example", &["minji@office.example"], large).unwrap().code
                })
            })
            .collect();
        while !workers.iter().all(std::thread::ScopedJoinHandle::is_finished) {
            peak = peak.max(memory(&node));
            std::thread::sleep(Duration::from_millis(50));
        }
        for worker in workers {
            let code = worker.join().unwrap();
            assert!(matches!(code, 250 | 452), "{code}");
        }
    });
    eprintln!("idle {} MB, peak {} MB", idle / MEGABYTE, peak / MEGABYTE);
    assert!(peak <= idle + MAY_GROW, "idle {} MB, peak {} MB", idle / MEGABYTE, peak / MEGABYTE);
    // Others are unharmed while the thousand still hang on.
    let args = [
        "--server",
        &mx.ip().to_string(),
        "--port",
        &port::MX.to_string(),
        "--from",
        "a@b.example",
        "--to",
        "minji@office.example",
    ];
    run("swaks", &args, b"", PATIENCE).and_then(Ran::ok).unwrap();
    drop(endless);
}

/// R1.14: one address can't hold every slot; it is refused with 421 and named in the log, others get in.
#[test]
fn one_address_cannot_hold_every_slot() {
    let node = Plan::new("office", &[]).with("smtp.max_sessions_per_address = 5").start().unwrap();
    let mx = node.at(port::MX);
    let greedy = Ipv4Addr::new(127, 252, 0, 1);
    let mut held: Vec<TcpStream> = (0..5).map(|_| connect_from(greedy, mx)).collect();
    for stream in &mut held {
        let mut greeting = [0; 4];
        stream.read_exact(&mut greeting).unwrap();
        assert_eq!(&greeting, b"220 ");
    }
    let (_, refused) = Smtp::over(connect_from(greedy, mx), PATIENCE).unwrap();
    assert_eq!(refused.code, 421, "{}", refused.text());
    let (_, other) = Smtp::over(connect_from(Ipv4Addr::new(127, 252, 0, 2), mx), PATIENCE).unwrap();
    assert_eq!(other.code, 220);
    wait_until("the address in the log", PATIENCE, || node.logged("127.252.0.1")).unwrap();
}

/// R1.14: a client that says nothing is told 421 and let go; one that reads nothing can't hold its session for ever.
#[test]
fn silent_and_deaf_clients_are_let_go() {
    let node = Plan::new("office", &[])
        .with("smtp.idle_timeout = \"2s\"\nsmtp.session_timeout = \"20s\"\npop3.idle_timeout = \"2s\"")
        .start()
        .unwrap();
    let mut silent = connect_from(Ipv4Addr::new(127, 252, 1, 1), node.at(port::MX));
    let mut said = String::new();
    silent.read_to_string(&mut said).unwrap();
    assert!(said.contains("\r\n421 4.4.2 "), "{said}");
    let mut pop = connect_from(Ipv4Addr::new(127, 252, 1, 2), node.at(port::POP3));
    let mut said = String::new();
    pop.read_to_string(&mut said).unwrap();
    assert!(said.starts_with("+OK"), "{said}");

    // Deaf: asks for help without end and reads nothing.
    let mut deaf = connect_from(Ipv4Addr::new(127, 252, 1, 3), node.at(port::MX));
    deaf.set_write_timeout(Some(Duration::from_secs(1))).unwrap();
    let start = std::time::Instant::now();
    let mut sent = 0usize;
    while start.elapsed() < PATIENCE {
        match deaf.write(&b"NOOP\r\n".repeat(500)) {
            Ok(n) => sent += n,
            Err(error) if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => {}
            Err(_) => break,
        }
    }
    assert!(start.elapsed() < PATIENCE, "still connected after {sent} octets");
    node.smtp().unwrap().quit().unwrap();
}

/// R8: octets without sense, on every port, end no service.
#[test]
fn garbage_ends_no_service() {
    let node = Plan::new("office", &["minji"]).start().unwrap();
    let before = node.role_pids().unwrap();
    let mut draw = Draw(99);
    for round in 0..60 {
        for number in [port::MX, port::SUBMISSION, port::SUBMISSIONS, port::POP3, port::POP3S] {
            let mut stream = connect_from(client_address(4000 + round), node.at(number));
            let garbage: Vec<u8> = (0..draw.between(1, 3000)).map(|_| draw.number() as u8).collect();
            let _ = stream.write_all(&garbage);
            let _ = stream.write_all(b"\r\n.\r\nQUIT\r\n");
        }
    }
    node.smtp().unwrap().quit().unwrap();
    node.pop("minji").unwrap().quit().unwrap();
    assert_eq!(node.role_pids().unwrap(), before, "no role died");
}
