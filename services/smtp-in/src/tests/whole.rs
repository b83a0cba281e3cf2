//! The whole program at the end of a supervisor's line: start, reload, look, drain.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::thread::JoinHandle;
use std::time::Duration;

use lib_account::{Account, Cost, Register};
use lib_net::line::{FrameReader, FromRole, NewSettings, Start, ToRole, send_frame};
use lib_net::listen::TlsMode;
use lib_net::role::{RoleName, SocketName};
use lib_settings::{Bytes, CertificateText, ListenerRole, Profile, Secrets, Settings};

/// The program, and the supervisor's end of its line.
struct Running {
    dir: tempfile::TempDir,
    line: &'static UnixStream,
    reader: FrameReader,
    address: SocketAddr,
    settings: Settings,
    generation: u64,
    program: JoinHandle<ExitCode>,
}

/// A client's session after EHLO.
struct Client(BufReader<TcpStream>);

impl Running {
    fn start() -> Running {
        let dir = tempfile::tempdir().unwrap();
        for name in ["run", "spool", "state"] {
            std::fs::create_dir(dir.path().join(name)).unwrap();
        }
        let (line, there) = UnixStream::pair().unwrap();
        // The end of the line would end this process, and with it the other tests: it is never dropped.
        let line: &'static UnixStream = Box::leak(Box::new(line));
        line.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
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
        let program = std::thread::spawn(move || crate::run(lib_net::Role::receive(there, |_| Ok(())).unwrap()));
        let reader = FrameReader::default();
        let mut running = Running { dir, line, reader, address, settings, generation: 1, program };
        assert_eq!(running.answer(), FromRole::Ready);
        running
    }

    /// The next frame that is no state.
    fn answer(&mut self) -> FromRole {
        loop {
            match self.reader.read::<FromRole>(self.line).unwrap().unwrap() {
                FromRole::State(_) => {}
                other => return other,
            }
        }
    }

    /// Puts changed settings in force; what the role says to that.
    fn reload(&mut self, secrets: Secrets) -> FromRole {
        self.generation += 1;
        let new = NewSettings { generation: self.generation, settings: self.settings.clone(), secrets };
        send_frame(self.line, &ToRole::Reload(Box::new(new)), &[]).unwrap();
        self.answer()
    }

    fn in_force(&self) -> FromRole {
        FromRole::InForce { generation: self.generation }
    }

    fn look(&mut self) {
        send_frame(self.line, &ToRole::Look(5), &[]).unwrap();
        assert_eq!(self.answer(), FromRole::Looked(5));
    }

    fn greeting(&self) -> String {
        Client(BufReader::new(TcpStream::connect(self.address).unwrap())).reply()
    }

    fn client(&self) -> Client {
        let mut client = Client(BufReader::new(TcpStream::connect(self.address).unwrap()));
        client.reply();
        client.say("HELO client.example");
        client
    }
}

impl Client {
    fn reply(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// Says a line; the reply, which has one line.
    fn say(&mut self, line: &str) -> String {
        self.0.get_mut().write_all(format!("{line}\r\n").as_bytes()).unwrap();
        self.reply()
    }

    /// The reply to RCPT in a transaction of its own.
    fn asked_for(&mut self, recipient: &str) -> String {
        assert!(self.say("MAIL FROM:<x@else.example>").starts_with("250 "));
        let reply = self.say(&format!("RCPT TO:<{recipient}>"));
        assert!(self.say("RSET").starts_with("250 "));
        reply
    }
}

#[test]
fn a_role_starts_reloads_and_drains_at_its_supervisors_word() {
    let mut running = Running::start();
    assert_eq!(running.greeting(), "220 mail.a.example ESMTP");
    running.settings.smtp.greeting = "$host waits".into();
    let bad = CertificateText { names: Vec::new(), chain: "nothing".into(), key: "nothing".into() };
    let refused = running.reload(Secrets { certificates: vec![bad], ..Secrets::default() });
    assert!(matches!(&refused, FromRole::Refused { generation: 2, why } if why.contains("certificate 1")), "{refused:?}");
    assert_eq!(running.greeting(), "220 mail.a.example ESMTP");
    assert_eq!(running.reload(Secrets::default()), running.in_force());
    assert_eq!(running.greeting(), "220 mail.a.example waits");

    send_frame(running.line, &ToRole::Drain, &[]).unwrap();
    assert_eq!(format!("{:?}", running.program.join().unwrap()), format!("{:?}", ExitCode::SUCCESS));
    assert!(TcpStream::connect(running.address).is_err());
}

#[test]
fn accounts_count_as_soon_as_the_role_says_that_it_looked() {
    let mut running = Running::start();
    let register = Register::open(&running.dir.path().join("state")).with_cost(Cost { memory: 64, passes: 1 });
    let mut client = running.client();
    for number in 0..5 {
        let name = format!("minji{number}@a.example");
        register.add(Account::new(name.parse().unwrap()), "secret").unwrap();
        running.look();
        let reply = client.asked_for(&name);
        assert!(reply.starts_with("250 "), "{name}: {reply}");
        register.remove(&name).unwrap();
        running.look();
        let reply = client.asked_for(&name);
        assert!(reply.starts_with("550 5.1.1"), "{name}: {reply}");
    }
}

/// R1.5: a reload changes the reserve for the sessions that run, at once and without a restart.
#[test]
fn a_reserve_above_what_is_free_shuts_the_door_and_a_lower_one_opens_it() {
    let mut running = Running::start();
    let mut client = running.client();
    for _ in 0..3 {
        assert!(client.say("MAIL FROM:<x@else.example>").starts_with("250 "));
        assert!(client.say("RSET").starts_with("250 "));
        let before = std::mem::replace(&mut running.settings.smtp.message_size_limit, Bytes(u64::MAX / 4));
        assert_eq!(running.reload(Secrets::default()), running.in_force());
        assert!(client.say("MAIL FROM:<x@else.example>").starts_with("452 4.3.1"));
        running.settings.smtp.message_size_limit = before;
        assert_eq!(running.reload(Secrets::default()), running.in_force());
    }
    assert!(client.say("MAIL FROM:<x@else.example>").starts_with("250 "));
}
