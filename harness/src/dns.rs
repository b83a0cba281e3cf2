//! An authoritative name server for a scenario: every name it holds is answered, every other does not exist.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context;
use hickory_proto::op::{Metadata, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA, CNAME, MX, TXT};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use hickory_server::Server;
use hickory_server::net::runtime::Time;
use hickory_server::server::{Request, RequestHandler, ResponseHandler, ResponseInfo};
use hickory_server::zone_handler::MessageResponseBuilder;

use crate::Result;

/// Seconds that an answer may be cached: little, since scenarios edit zones while they run.
const TTL: u32 = 1;
/// Room for answers on one TCP connection.
const TCP_BUFFER: usize = 64 * 1024;

/// What the server does with a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    /// Answers from the zone.
    Answer,
    /// Answers SERVFAIL.
    ServFail,
    /// Never answers.
    Silent,
}

impl std::str::FromStr for Mood {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Mood> {
        match text {
            "answer" => Ok(Mood::Answer),
            "servfail" => Ok(Mood::ServFail),
            "silent" => Ok(Mood::Silent),
            other => anyhow::bail!("no mood {other}"),
        }
    }
}

#[derive(Debug)]
struct Zone {
    records: BTreeMap<Name, Vec<RData>>,
    moods: BTreeMap<Name, Mood>,
    mood: Mood,
    asked: Vec<(Name, RecordType)>,
}

/// A running name server; it ends when dropped.
#[derive(Debug)]
pub struct Dns {
    zone: Arc<Mutex<Zone>>,
    address: SocketAddr,
    runtime: tokio::runtime::Runtime,
}

type Overrides = Arc<Mutex<BTreeMap<Name, Vec<RData>>>>;

/// Another door of a name server.
#[derive(Debug)]
pub struct View {
    overrides: Overrides,
    address: SocketAddr,
}

impl View {
    /// Where it answers.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its askers are told this address for `host`.
    pub fn host(&self, host: &str, address: IpAddr) -> Result<()> {
        let data = match address {
            IpAddr::V4(v4) => RData::A(A(v4)),
            IpAddr::V6(v6) => RData::AAAA(AAAA(v6)),
        };
        self.overrides.lock().unwrap_or_else(PoisonError::into_inner).insert(name(host)?, vec![data]);
        Ok(())
    }
}

fn listen(
    runtime: &tokio::runtime::Runtime,
    address: SocketAddr,
    zone: &Arc<Mutex<Zone>>,
    overrides: &Overrides,
) -> Result<SocketAddr> {
    let (bound, mut server) = runtime.block_on(async {
        // The TCP port is chosen first: it is the scarcer, and UDP on the same number nearly always follows.
        for _ in 0..20 {
            let tcp = tokio::net::TcpListener::bind(address).await?;
            let bound = tcp.local_addr()?;
            let Ok(udp) = tokio::net::UdpSocket::bind(bound).await else { continue };
            let mut server = Server::new(Answers { zone: Arc::clone(zone), overrides: Arc::clone(overrides) });
            server.register_socket(udp);
            server.register_listener(tcp, Duration::from_secs(5), TCP_BUFFER);
            return anyhow::Ok((bound, server));
        }
        anyhow::bail!("{address} is not free for both UDP and TCP")
    })?;
    runtime.spawn(async move { server.block_until_done().await });
    Ok(bound)
}

impl Dns {
    /// Starts on a free port of `address`, UDP and TCP.
    pub fn start(address: IpAddr) -> Result<Dns> {
        let zone = Zone { records: BTreeMap::new(), moods: BTreeMap::new(), mood: Mood::Answer, asked: Vec::new() };
        let zone = Arc::new(Mutex::new(zone));
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let overrides = Overrides::default();
        let bound = listen(&runtime, SocketAddr::new(address, 0), &zone, &overrides)?;
        Ok(Dns { zone, address: bound, runtime })
    }

    /// Another door, at `at` (a port of 0 is any), whose askers are told other addresses for some names.
    pub fn view(&self, at: SocketAddr) -> Result<View> {
        let overrides = Overrides::default();
        let address = listen(&self.runtime, at, &self.zone, &overrides)?;
        Ok(View { overrides, address })
    }

    /// `name TYPE data`.
    pub fn record(&self, name: &str, kind: &str, data: &str) -> Result<()> {
        match kind {
            "A" | "AAAA" => self.host(name, data.parse()?),
            "MX" => {
                let (preference, host) = data.split_once(' ').context("an MX is a preference and a host")?;
                self.mx(name, preference.parse()?, host)
            }
            "CNAME" => self.cname(name, data),
            "TXT" => self.txt(name, data),
            other => anyhow::bail!("no type {other} here"),
        }
    }

    /// Where it answers.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `domain MX preference host`; a host of `.` is the null MX.
    pub fn mx(&self, domain: &str, preference: u16, host: &str) -> Result<()> {
        let host = name(host)?;
        self.add(domain, RData::MX(MX::new(preference, host)))
    }

    /// `host A address` or `host AAAA address`.
    pub fn host(&self, host: &str, address: IpAddr) -> Result<()> {
        let data = match address {
            IpAddr::V4(v4) => RData::A(A(v4)),
            IpAddr::V6(v6) => RData::AAAA(AAAA(v6)),
        };
        self.add(host, data)
    }

    /// `alias CNAME host`.
    pub fn cname(&self, alias: &str, host: &str) -> Result<()> {
        let host = name(host)?;
        self.add(alias, RData::CNAME(CNAME(host)))
    }

    /// `name TXT text`.
    pub fn txt(&self, at: &str, text: &str) -> Result<()> {
        self.add(at, RData::TXT(TXT::new(vec![text.to_owned()])))
    }

    /// Removes every record of `at`.
    pub fn remove(&self, at: &str) -> Result<()> {
        let at = name(at)?;
        self.zone().records.remove(&at);
        Ok(())
    }

    /// What to do with questions for `at`, or for every name where it is `None`.
    pub fn mood(&self, at: Option<&str>, mood: Mood) -> Result<()> {
        match at {
            None => self.zone().mood = mood,
            Some(at) => {
                let at = name(at)?;
                self.zone().moods.insert(at, mood);
            }
        }
        Ok(())
    }

    /// How often `at` was asked for `kind` (`"MX"`, `"A"`, …).
    pub fn asked(&self, at: &str, kind: &str) -> Result<usize> {
        let at = name(at)?;
        Ok(self.zone().asked.iter().filter(|(name, asked)| *name == at && asked.to_string() == kind).count())
    }

    fn add(&self, at: &str, data: RData) -> Result<()> {
        let at = name(at)?;
        self.zone().records.entry(at).or_default().push(data);
        Ok(())
    }

    fn zone(&self) -> MutexGuard<'_, Zone> {
        self.zone.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn name(text: &str) -> Result<Name> {
    let mut name = Name::from_ascii(text).with_context(|| format!("{text} is no domain name"))?.to_lowercase();
    name.set_fqdn(true);
    Ok(name)
}

struct Answers {
    zone: Arc<Mutex<Zone>>,
    overrides: Overrides,
}

enum Answer {
    Records(Vec<Record>),
    Code(ResponseCode),
    None,
}

impl Answers {
    fn answer(&self, at: &Name, kind: RecordType) -> Answer {
        let mut zone = self.zone.lock().unwrap_or_else(PoisonError::into_inner);
        let mut at = at.to_lowercase();
        at.set_fqdn(true);
        zone.asked.push((at.clone(), kind));
        match zone.moods.get(&at).copied().unwrap_or(zone.mood) {
            Mood::ServFail => return Answer::Code(ResponseCode::ServFail),
            Mood::Silent => return Answer::None,
            Mood::Answer => {}
        }
        let overrides = self.overrides.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(data) = overrides.get(&at).or_else(|| zone.records.get(&at)) else {
            return Answer::Code(ResponseCode::NXDomain);
        };
        let fits = |data: &&RData| data.record_type() == kind || matches!(data, RData::CNAME(_));
        Answer::Records(data.iter().filter(fits).map(|data| Record::from_rdata(at.clone(), TTL, data.clone())).collect())
    }
}

#[async_trait::async_trait]
impl RequestHandler for Answers {
    async fn handle_request<R: ResponseHandler, T: Time>(&self, request: &Request, mut to: R) -> ResponseInfo {
        let mut metadata = Metadata::response_from_request(&request.metadata);
        metadata.authoritative = true;
        let silent = ResponseInfo::from(hickory_proto::op::Header { metadata, counts: Default::default() });
        let Ok(info) = request.request_info() else { return silent };
        let records = match self.answer(&Name::from(info.query.name()), info.query.query_type()) {
            Answer::Records(records) => records,
            Answer::Code(code) => {
                metadata.response_code = code;
                Vec::new()
            }
            Answer::None => return silent,
        };
        let response = MessageResponseBuilder::from_message_request(request).build(metadata, records.iter(), [], [], []);
        // A client that went away needs no answer.
        to.send_response(response).await.unwrap_or(silent)
    }
}
