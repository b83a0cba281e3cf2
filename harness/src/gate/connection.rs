//! One connection through a gate, from its acceptance to its end.

use std::net::{IpAddr, Shutdown, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use socket2::SockRef;
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::watch;

use super::dialogue::Dialogue;
use super::follow::{Act, Deed, Follow, Part};
use super::pump::{Ended, Line};
use super::trip::{How, Side};
use super::unsent::arrived;
use super::{Mood, Shared, Standing};

/// How long an end may go on talking after its FIN, unheard, so that no RST overtakes what was said to it.
const LINGER: Duration = Duration::from_secs(5);
/// Tries to connect onward where the kernel is short of ports for the moment.
const TRIES: usize = 5;

/// Counts a connection as open for as long as it lives.
struct Open(Arc<Shared>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.closed();
    }
}

pub(super) async fn run(client: TcpStream, shared: Arc<Shared>, standing: watch::Receiver<Standing>) {
    let dialogue = Arc::new(Mutex::new(Dialogue::new()));
    shared.opened(Arc::clone(&dialogue));
    let open = Open(Arc::clone(&shared));
    let resets = standing.borrow().resets;
    let mut session = Session { client, server: None, shared, standing, resets, dialogue };
    let ended = match session.go().await {
        Ok(()) => Ended::InOrder,
        Err(ended) => ended,
    };
    session.end(ended).await;
    drop(open);
}

struct Session {
    client: TcpStream,
    server: Option<TcpStream>,
    shared: Arc<Shared>,
    standing: watch::Receiver<Standing>,
    resets: u64,
    dialogue: Arc<Mutex<Dialogue>>,
}

impl Session {
    async fn go(&mut self) -> Result<(), Ended> {
        // What fails on a socket that has just been accepted fails again, and is seen, when it is read.
        let _ = self.client.set_nodelay(true);
        let mut follow = Follow::new(Arc::clone(&self.shared.trips), Arc::clone(&self.dialogue));
        self.enter(follow.connect()).await?;
        if self.standing.borrow().mood == Mood::Tarpit {
            return self.tarpit().await;
        }
        self.until(|now| now.mood.flows()).await?;
        let (to, from) = (self.shared.to, self.shared.from);
        let server = tokio::select! {
            ended = reset(self.standing.clone(), self.resets) => return Err(ended),
            connected = onward(to, from) => connected.map_err(Ended::Unreachable)?,
        };
        let server = self.server.insert(server);
        let line = Line {
            client: &self.client,
            server,
            follow: Mutex::new(follow),
            dialogue: &self.dialogue,
            shared: &self.shared,
            resets: self.resets,
        };
        let client = line.pump(Side::Client, self.standing.clone());
        let server = line.pump(Side::Server, self.standing.clone());
        tokio::try_join!(client, server).map(|_| ())
    }

    /// Trips at the connection's start; the server is not there yet.
    async fn enter(&mut self, parts: Vec<Part>) -> Result<(), Ended> {
        for part in parts {
            let Part::Act(Act { number, deed, point }) = part else { continue };
            self.shared.trips.took(number);
            super::lock(&self.dialogue).trip();
            match deed {
                Deed::End(how) => return Err(Ended::Trip(how, point)),
                Deed::HalfClose => return Err(Ended::Trip(How::Fin, point)),
                Deed::Inject(Side::Client, octets) => {
                    super::lock(&self.dialogue).injected(Side::Client, &octets);
                    let mut rest = octets.as_slice();
                    while !rest.is_empty() {
                        self.client.writable().await.map_err(|_| Ended::Broken(Side::Client))?;
                        match self.client.try_write(rest) {
                            Ok(written) => rest = &rest[written..],
                            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                            Err(_) => return Err(Ended::Broken(Side::Client)),
                        }
                    }
                }
                Deed::Inject(Side::Server, _) | Deed::Slow(_) | Deed::Note => {}
            }
        }
        Ok(())
    }

    /// Reads what the client says and says nothing.
    async fn tarpit(&mut self) -> Result<(), Ended> {
        let mut octets = [0; 4096];
        loop {
            tokio::select! {
                ended = reset(self.standing.clone(), self.resets) => return Err(ended),
                readable = self.client.readable() => readable.map_err(|_| Ended::Broken(Side::Client))?,
            }
            match self.client.try_read(&mut octets) {
                Ok(0) => return Ok(()),
                Ok(_) => {}
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(_) => return Err(Ended::Broken(Side::Client)),
            }
        }
    }

    async fn until(&mut self, holds: impl Fn(&Standing) -> bool) -> Result<(), Ended> {
        loop {
            let now = *self.standing.borrow_and_update();
            now.check(self.resets)?;
            if holds(&now) {
                return Ok(());
            }
            self.standing.changed().await.map_err(|_| Ended::Gate)?;
        }
    }

    async fn end(mut self, ended: Ended) {
        let abrupt = matches!(ended, Ended::Gate);
        let (how, text) = match ended {
            Ended::InOrder => (How::Fin, "closed".into()),
            Ended::Broken(Side::Client) => (How::Reset, "reset by the client".into()),
            Ended::Broken(Side::Server) => (How::Reset, "reset by the server".into()),
            Ended::Unreachable(error) => (How::Reset, format!("the server could not be reached: {error}")),
            Ended::Gate => (How::Reset, "reset by the gate".into()),
            Ended::Trip(how, point) => (how, format!("{how} by the gate {point}")),
        };
        super::lock(&self.dialogue).end(text);
        match how {
            How::Silence => {
                let _ = self.until(|_| false).await;
                self.cut();
            }
            How::Reset if abrupt => self.cut(),
            How::Reset => {
                arrived(&self.client).await;
                if let Some(server) = &self.server {
                    arrived(server).await;
                }
                self.cut();
            }
            How::Fin => {
                let wait = async {
                    match &self.server {
                        Some(server) => {
                            tokio::join!(part(&self.client), part(server));
                        }
                        None => part(&self.client).await,
                    }
                };
                tokio::select! {
                    _ = tokio::time::timeout(LINGER, wait) => {}
                    _ = reset(self.standing.clone(), self.resets) => {}
                }
            }
        }
    }

    /// Makes the end of both sockets a RST.
    fn cut(&self) {
        for stream in std::iter::once(&self.client).chain(&self.server) {
            // A socket that is gone needs no reset.
            let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
        }
    }
}

/// Until the gate resets its connections or ends.
async fn reset(mut standing: watch::Receiver<Standing>, resets: u64) -> Ended {
    loop {
        if let Err(ended) = standing.borrow_and_update().check(resets) {
            return ended;
        }
        if standing.changed().await.is_err() {
            return Ended::Gate;
        }
    }
}

async fn onward(to: SocketAddr, from: Option<IpAddr>) -> std::io::Result<TcpStream> {
    let mut tries = 0;
    loop {
        tries += 1;
        match connect(to, from).await {
            Err(error) if error.kind() == std::io::ErrorKind::AddrNotAvailable && tries < TRIES => {}
            other => return other,
        }
    }
}

async fn connect(to: SocketAddr, from: Option<IpAddr>) -> std::io::Result<TcpStream> {
    let socket = if to.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    if let Some(from) = from {
        socket.set_reuseaddr(true)?;
        socket.bind(SocketAddr::new(from, 0))?;
    }
    let stream = socket.connect(to).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// FIN, then reads and drops what the end still says until it has closed too.
async fn part(stream: &TcpStream) {
    if SockRef::from(stream).shutdown(Shutdown::Write).is_err() {
        return;
    }
    let mut octets = [0; 4096];
    while stream.readable().await.is_ok() {
        match stream.try_read(&mut octets) {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(_) => return,
        }
    }
}
