//! A role's beginning, with the supervisor's end in the hands of the test. That end is never closed: its end is the process's.

use std::os::fd::BorrowedFd;

use lib_settings::{ListenerTls, Profile};

use super::*;

fn start(sockets: Vec<SocketName>) -> ToRole {
    ToRole::Start(Box::new(Start {
        role: RoleName::Deliver,
        generation: 3,
        data: "/d".into(),
        config: None,
        settings: Settings::defaults(Profile::Office),
        secrets: Secrets::default(),
        sockets,
    }))
}

fn mx() -> SocketName {
    SocketName::Listener { name: "mx".into(), role: ListenerRole::Mx, tls: TlsMode::StartTls }
}

/// The supervisor's end, kept for ever, and what the role made of the frame.
fn begun(frame: &ToRole, descriptors: &[BorrowedFd<'_>]) -> (&'static UnixStream, io::Result<Role>) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    send_frame(&ours, frame, descriptors).unwrap();
    (Box::leak(Box::new(ours)), Role::receive(theirs, |_| Ok(())))
}

#[test]
fn sockets_arrive_under_their_names_and_are_taken_once() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let wake = UnixDatagram::unbound().unwrap();
    let frame = start(vec![mx(), SocketName::Wake(Consumer::Local)]);
    let (_supervisor, role) = begun(&frame, &[listener.as_fd(), wake.as_fd()]);
    let mut role = role.unwrap();
    assert_eq!((role.name, role.generation), (RoleName::Deliver, 3));
    assert!(role.take_auth_server().is_none());
    assert!(role.take_wake(Consumer::Relay).is_none());
    assert!(role.take_wake(Consumer::Local).is_some());
    let taken = role.take_listeners();
    assert_eq!(taken[0].socket.local_addr().unwrap(), listener.local_addr().unwrap());
    assert_eq!(taken[0].port.role, "mx");
    assert!(role.sockets.is_empty() && role.take_listeners().is_empty());
}

#[test]
fn names_without_sockets_and_sockets_without_names_are_refused() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    for (names, descriptors) in [(vec![mx()], vec![]), (vec![], vec![listener.as_fd()])] {
        let (_supervisor, role) = begun(&start(names), &descriptors);
        assert_eq!(role.unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}

#[test]
fn a_line_that_begins_otherwise_or_not_at_all_is_refused() {
    let (_supervisor, role) = begun(&ToRole::Drain, &[]);
    assert_eq!(role.unwrap_err().kind(), io::ErrorKind::InvalidData);
    let (ours, theirs) = UnixStream::pair().unwrap();
    drop(ours);
    assert_eq!(Role::receive(theirs, |_| Ok(())).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
}

#[test]
fn rights_are_given_up_before_the_program_begins_or_it_does_not_begin() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    send_frame(&ours, &start(vec![]), &[]).unwrap();
    let refused = Role::receive(theirs, |start| Err(io::Error::other(start.role.as_str())));
    assert_eq!(refused.unwrap_err().to_string(), "deliver");
}

#[test]
fn orders_come_in_order_from_the_supervisor_and_from_within() {
    let (supervisor, role) = begun(&start(vec![]), &[]);
    let mut role = role.unwrap();
    let new = NewSettings { generation: 4, settings: role.settings.clone(), secrets: Secrets::default() };
    send_frame(supervisor, &ToRole::Reload(Box::new(new)), &[]).unwrap();
    assert!(matches!(role.line.next_blocking(), Order::Reload(new) if new.generation == 4));
    send_frame(supervisor, &ToRole::Look(9), &[]).unwrap();
    assert!(matches!(role.line.next_blocking(), Order::Look(9)));
    role.line.inlet().drain();
    assert!(matches!(role.line.next_blocking(), Order::Drain));
}

#[test]
fn a_state_is_told_once_while_it_stays_the_same() {
    let (supervisor, role) = begun(&start(vec![]), &[]);
    let reporter = role.unwrap().line.reporter();
    let state = State { sessions: 1, accepting: "accepting".into(), why: String::new() };
    (0..10).for_each(|_| reporter.state(&state));
    reporter.ready();
    let mut reader = FrameReader::default();
    let said: Vec<FromRole> = (0..2).map(|_| reader.read(supervisor).unwrap().unwrap()).collect();
    assert_eq!(said, [FromRole::State(state), FromRole::Ready]);
}

#[test]
fn names_are_spelled_the_same_everywhere() {
    for role in RoleName::ALL {
        assert_eq!(role.as_str().parse::<RoleName>().unwrap(), role);
        assert_eq!(serde_json::to_string(&role).unwrap(), format!("\"{role}\""));
        assert_eq!(lib_record::RoleName::from(role).as_str(), role.as_str());
    }
    assert!("smtp".parse::<RoleName>().unwrap_err().contains("smtp-in"));
    assert_eq!(ListenerTls::ALL.len(), 3, "each has its TlsMode");
}
