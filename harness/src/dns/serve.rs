//! The sockets of a name server: one address, UDP and TCP, one view.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context;
use hickory_proto::op::Metadata;
use hickory_proto::rr::{Name, Record};
use hickory_server::Server;
use hickory_server::net::runtime::Time;
use hickory_server::net::xfer::Protocol;
use hickory_server::server::{Request, RequestHandler, ResponseHandler, ResponseInfo};
use hickory_server::zone_handler::MessageResponseBuilder;

use super::Zone;
use super::answer::Seen;
use crate::Result;

/// Room for answers on one TCP connection.
const TCP_BUFFER: usize = 64 * 1024;
/// A TCP connection that says nothing for so long is dropped.
const TCP_IDLE: Duration = Duration::from_secs(5);
/// Tries to find a port that is free for both UDP and TCP.
const TRIES: usize = 20;
/// Most questions kept; of more, the oldest go.
const QUESTIONS: usize = 100_000;

/// A question that was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// When.
    pub at: Instant,
    /// Who asked.
    pub from: SocketAddr,
    /// The server's address that was asked.
    pub to: SocketAddr,
    /// The name, lower case, with its last dot.
    pub name: String,
    /// The type: `MX`.
    pub kind: String,
}

/// Every question to every view.
#[derive(Debug, Default)]
pub(super) struct Log {
    questions: Mutex<VecDeque<Question>>,
}

impl Log {
    fn write(&self, question: Question) {
        let mut questions = self.questions();
        if questions.len() == QUESTIONS {
            questions.pop_front();
        }
        questions.push_back(question);
    }

    pub(super) fn questions(&self) -> MutexGuard<'_, VecDeque<Question>> {
        self.questions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Answers one view's questions.
pub(super) struct Answers {
    pub(super) own: Zone,
    pub(super) all: Zone,
    pub(super) log: Arc<Log>,
    pub(super) address: SocketAddr,
}

/// Listens on `address`, a port of 0 being any that is free for UDP and TCP. Gives the address and the server, which ends when dropped.
pub(super) async fn listen(address: SocketAddr, own: Zone, all: Zone, log: Arc<Log>) -> Result<(SocketAddr, Server<Answers>)> {
    for _ in 0..TRIES {
        // The TCP port is chosen first: it is the scarcer, and UDP on the same number nearly always follows.
        let tcp = tokio::net::TcpListener::bind(address).await.with_context(|| format!("listening on {address}"))?;
        let bound = tcp.local_addr()?;
        let udp = match tokio::net::UdpSocket::bind(bound).await {
            Ok(udp) => udp,
            Err(_) if address.port() == 0 => continue,
            Err(error) => return Err(error).with_context(|| format!("listening on {address}")),
        };
        let mut server = Server::new(Answers { own, all, log, address: bound });
        server.register_socket(udp);
        server.register_listener(tcp, TCP_IDLE, TCP_BUFFER);
        return Ok((bound, server));
    }
    anyhow::bail!("no port of {} is free for both UDP and TCP", address.ip())
}

#[async_trait::async_trait]
impl RequestHandler for Answers {
    async fn handle_request<R: ResponseHandler, T: Time>(&self, request: &Request, mut to: R) -> ResponseInfo {
        let mut metadata = Metadata::response_from_request(&request.metadata);
        metadata.authoritative = true;
        // Asked by a stub resolver, it is all the resolvers there are.
        metadata.recursion_available = true;
        let silent = ResponseInfo::from(hickory_proto::op::Header { metadata, counts: Default::default() });
        let Ok(info) = request.request_info() else { return silent };
        let mut at = Name::from(info.query.name()).to_lowercase();
        at.set_fqdn(true);
        let kind = info.query.query_type();
        self.log.write(Question {
            at: Instant::now(),
            from: info.src,
            to: self.address,
            name: at.to_string(),
            kind: kind.to_string(),
        });
        let mut answer = {
            let (own, all) = (self.own.table(), self.all.table());
            Seen { own: &own, all: &all }.answer(&at, kind)
        };
        let Some(code) = answer.code else { return silent };
        if !answer.delay.is_zero() {
            tokio::time::sleep(answer.delay).await;
        }
        metadata.response_code = code;
        if answer.truncated && info.protocol == Protocol::Udp {
            metadata.truncation = true;
            answer.records.clear();
            answer.soa = None;
        }
        let soa: Option<Record> = answer.soa;
        let response =
            MessageResponseBuilder::from_message_request(request).build(metadata, answer.records.iter(), [], soa.iter(), []);
        // A client that went away needs no answer.
        to.send_response(response).await.unwrap_or(silent)
    }
}
