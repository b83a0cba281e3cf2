use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::connection::Duplex;

/// What a server answers: the first rule whose prefix the command has, and that has answers left. `CONNECT` is the banner, `.` the end
/// of a message, `BODY` its first line. An empty answer closes the connection.
type Rules = Arc<Mutex<Vec<(&'static str, Option<usize>, &'static str)>>>;

/// A server that accepts everything but what its rules say.
#[derive(Clone)]
pub(crate) struct Scripted {
    pub(crate) address: SocketAddr,
    rules: Rules,
    state: Arc<Mutex<Seen>>,
    tls: Option<TlsAcceptor>,
}

#[derive(Default)]
struct Seen {
    connections: usize,
    commands: Vec<String>,
    messages: Vec<Vec<u8>>,
}

impl Scripted {
    pub(crate) async fn start(address: &str) -> Scripted {
        Scripted::start_with(address, None).await
    }

    pub(crate) async fn start_with(address: &str, tls: Option<TlsAcceptor>) -> Scripted {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = Scripted { address, rules: Rules::default(), state: Arc::default(), tls };
        let accepting = server.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let server = accepting.clone();
                server.state.lock().unwrap().connections += 1;
                tokio::spawn(async move { server.serve(Box::new(stream)).await });
            }
        });
        server
    }

    pub(crate) fn answer(&self, prefix: &'static str, times: impl Into<Option<usize>>, reply: &'static str) -> &Scripted {
        self.rules.lock().unwrap().push((prefix, times.into(), reply));
        self
    }

    pub(crate) fn connections(&self) -> usize {
        self.state.lock().unwrap().connections
    }

    pub(crate) fn commands(&self) -> Vec<String> {
        self.state.lock().unwrap().commands.clone()
    }

    pub(crate) fn messages(&self) -> Vec<Vec<u8>> {
        self.state.lock().unwrap().messages.clone()
    }

    /// The rules as they stand; one that was used up is gone.
    fn reply(&self, command: &str, otherwise: &'static str) -> String {
        let mut rules = self.rules.lock().unwrap();
        let found = rules.iter_mut().find(|(prefix, times, _)| command.starts_with(prefix) && *times != Some(0));
        match found {
            Some((_, times, reply)) => {
                *times = times.map(|times| times - 1);
                (*reply).to_owned()
            }
            None => otherwise.to_owned(),
        }
    }

    async fn serve(self, stream: Box<dyn Duplex>) {
        let mut stream = BufReader::new(stream);
        if !say(&mut stream, &self.reply("CONNECT", "220 mx.example.org")).await {
            return;
        }
        while self.session(&mut stream).await {
            let Some(tls) = &self.tls else { return };
            let Ok(secured) = tls.accept(stream.into_inner()).await else { return };
            stream = BufReader::new(Box::new(secured));
        }
    }

    /// Whether it ended in STARTTLS.
    async fn session(&self, stream: &mut BufReader<Box<dyn Duplex>>) -> bool {
        let mut line = String::new();
        while stream.read_line(&mut line).await.is_ok_and(|count| count > 0) {
            let command = line.trim_end().to_owned();
            line.clear();
            self.state.lock().unwrap().commands.push(command.clone());
            let reply = self.reply(&command, otherwise(&command));
            let goes_on = say(stream, &reply).await;
            if !goes_on || command == "STARTTLS" && reply.starts_with("220") {
                return goes_on;
            }
            if command == "DATA" && reply.starts_with("354") && !self.message(stream).await {
                return false;
            }
        }
        false
    }

    async fn message(&self, stream: &mut BufReader<Box<dyn Duplex>>) -> bool {
        let mut message = Vec::new();
        let mut line = Vec::new();
        while stream.read_until(b'\n', &mut line).await.is_ok_and(|count| count > 0) {
            if message.is_empty() {
                let early = self.reply("BODY", "-");
                if early != "-" {
                    say(stream, &early).await;
                    return false;
                }
            }
            if line == b".\r\n" {
                // A bare dot is the end of a message for nobody.
                if !message.is_empty() {
                    self.state.lock().unwrap().messages.push(message);
                }
                return say(stream, &self.reply(".", "250 2.0.0 queued as XYZ")).await;
            }
            message.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
            line.clear();
        }
        false
    }
}

fn otherwise(command: &str) -> &'static str {
    match command.split(' ').next().unwrap_or_default() {
        "EHLO" => "250-mx.example.org\n250-PIPELINING\n250 8BITMIME",
        "DATA" => "354 go",
        "QUIT" => "221 bye",
        _ => "250 ok",
    }
}

async fn say(stream: &mut (impl AsyncWrite + Unpin), reply: &str) -> bool {
    let text: String = reply.lines().map(|line| format!("{line}\r\n")).collect();
    !reply.is_empty() && stream.write_all(text.as_bytes()).await.is_ok() && stream.flush().await.is_ok()
}
