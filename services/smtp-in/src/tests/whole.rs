//! The whole program at the end of a supervisor's line: start, reload, drain.

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;

use lib_net::line::{FrameReader, FromRole, NewSettings, Start, ToRole, send_frame};
use lib_net::listen::TlsMode;
use lib_net::role::{RoleName, SocketName};
use lib_settings::{CertificateText, ListenerRole, Profile, Secrets, Settings};

fn greeting(address: SocketAddr) -> String {
    let mut line = String::new();
    BufReader::new(TcpStream::connect(address).unwrap()).read_line(&mut line).unwrap();
    line.trim_end().to_owned()
}

/// The next frame that is no state.
fn answer(reader: &mut FrameReader, line: &UnixStream) -> FromRole {
    loop {
        match reader.read::<FromRole>(line).unwrap().unwrap() {
            FromRole::State(state) => assert_eq!(state.accepting, "accepting"),
            other => return other,
        }
    }
}

#[test]
fn a_role_starts_reloads_and_drains_at_its_supervisors_word() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["run", "spool", "state"] {
        std::fs::create_dir(dir.path().join(name)).unwrap();
    }
    let (line, there) = UnixStream::pair().unwrap();
    // The end of the line would end this process, and with it the other tests: it is never dropped.
    let line: &'static UnixStream = Box::leak(Box::new(line));
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let mut settings = Settings::defaults(Profile::Office);
    settings.hostname = "mail.a.example".parse().unwrap();
    let start = Start {
        role: RoleName::SmtpIn,
        generation: 1,
        data: dir.path().into(),
        config: None,
        settings: settings.clone(),
        secrets: Secrets::default(),
        sockets: vec![SocketName::Listener { name: "mx".into(), role: ListenerRole::Mx, tls: TlsMode::StartTls }],
    };
    send_frame(line, &ToRole::Start(Box::new(start)), &[socket.as_fd()]).unwrap();
    drop(socket);
    let running = std::thread::spawn(move || crate::run(lib_net::Role::receive(there, |_| Ok(())).unwrap()));
    let mut reader = FrameReader::default();
    assert_eq!(answer(&mut reader, line), FromRole::Ready);
    assert_eq!(greeting(address), "220 mail.a.example ESMTP");

    let mut reload = |settings: &Settings, secrets| {
        let new = NewSettings { generation: 2, settings: settings.clone(), secrets };
        send_frame(line, &ToRole::Reload(Box::new(new)), &[]).unwrap();
        answer(&mut reader, line)
    };
    settings.smtp.greeting = "$host waits".into();
    let bad = CertificateText { names: Vec::new(), chain: "nothing".into(), key: "nothing".into() };
    let refused = reload(&settings, Secrets { certificates: vec![bad], ..Secrets::default() });
    assert!(matches!(&refused, FromRole::Refused { generation: 2, why } if why.contains("certificate 1")), "{refused:?}");
    assert_eq!(greeting(address), "220 mail.a.example ESMTP");
    assert_eq!(reload(&settings, Secrets::default()), FromRole::InForce { generation: 2 });
    assert_eq!(greeting(address), "220 mail.a.example waits");

    send_frame(line, &ToRole::Drain, &[]).unwrap();
    assert_eq!(format!("{:?}", running.join().unwrap()), format!("{:?}", ExitCode::SUCCESS));
    assert!(TcpStream::connect(address).is_err());
}
