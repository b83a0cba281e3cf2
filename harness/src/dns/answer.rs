//! What is answered to a question: a function of the zone, the asker's own view of it, and the moods.

use std::time::Duration;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::rdata::NS;
use hickory_proto::rr::{Name, RData, Record, RecordType};

use super::Mood;
use super::data::{record, soa};
use super::zone::Table;

/// Seconds that an answer may be cached: little, since scenarios edit zones while they run.
const TTL: u32 = 1;
/// Aliases that are followed in one answer.
const ALIASES: usize = 8;
/// Labels of a zone's name where it does not have an SOA of its own: `b.example`.
const APEX: usize = 2;

/// An answer, before it is sent.
#[derive(Debug, Default)]
pub(super) struct Answer {
    /// The code; `None`: nothing is sent.
    pub(super) code: Option<ResponseCode>,
    /// The records that were asked for, and the aliases on the way to them.
    pub(super) records: Vec<Record>,
    /// The zone's SOA, where there is no such record.
    pub(super) soa: Option<Record>,
    /// How much later it is sent.
    pub(super) delay: Duration,
    /// Over UDP it does not fit.
    pub(super) truncated: bool,
}

/// A zone as one asker sees it: for each name and type, the records of its own view come in the place of those that all see.
pub(super) struct Seen<'a> {
    pub(super) own: &'a Table,
    pub(super) all: &'a Table,
}

impl Seen<'_> {
    /// The answer to a question for the name `at`, lower case and absolute.
    pub(super) fn answer(&self, at: &Name, kind: RecordType) -> Answer {
        let plain = |code| Answer { code: Some(code), ..Answer::default() };
        match self.own.mood(at).or_else(|| self.all.mood(at)) {
            None | Some(Mood::Answer) => self.look(at, kind),
            Some(Mood::ServFail) => plain(ResponseCode::ServFail),
            Some(Mood::Refused) => plain(ResponseCode::Refused),
            Some(Mood::Silent) => Answer::default(),
            Some(Mood::Slow(delay)) => Answer { delay: *delay, ..self.look(at, kind) },
            Some(Mood::Truncated) => Answer { truncated: true, ..self.look(at, kind) },
            Some(Mood::NxDomain) => Answer { soa: self.soa(at), ..plain(ResponseCode::NXDomain) },
            // What is no record was refused when the mood was set.
            Some(Mood::Lie(records)) => Answer {
                records: records.iter().filter_map(|lie| record(lie).ok()).map(|lie| made(at, lie)).collect(),
                ..plain(ResponseCode::NoError)
            },
        }
    }

    fn look(&self, at: &Name, kind: RecordType) -> Answer {
        let mut answer = Answer { code: Some(ResponseCode::NoError), ..Answer::default() };
        let mut at = at.clone();
        for _ in 0..=ALIASES {
            let found = self.records(&at, kind);
            let alias = self.records(&at, RecordType::CNAME).into_iter().next();
            match (found.is_empty(), alias) {
                (true, Some(RData::CNAME(host))) => {
                    answer.records.push(made(&at, RData::CNAME(host.clone())));
                    at = host.0.to_lowercase();
                }
                _ => {
                    answer.records.extend(found.into_iter().map(|data| made(&at, data)));
                    break;
                }
            }
        }
        if answer.records.is_empty() {
            answer.soa = self.soa(&at);
            if !self.exists(&at) {
                answer.code = Some(ResponseCode::NXDomain);
            }
        }
        answer
    }

    /// The records of a name and type; SOA and NS of a zone are made up where it has none.
    fn records(&self, at: &Name, kind: RecordType) -> Vec<RData> {
        let of = |table: &Table| -> Vec<RData> {
            table.at(at).iter().filter(|data| kind == RecordType::ANY || data.record_type() == kind).cloned().collect()
        };
        let own = of(self.own);
        let found = if own.is_empty() { of(self.all) } else { own };
        if !found.is_empty() || *at != self.apex(at) || !self.exists(at) {
            return found;
        }
        let made_up = match kind {
            RecordType::SOA => soa(at).ok(),
            RecordType::NS => Name::from_ascii("ns").and_then(|ns| ns.append_domain(at)).ok().map(|host| RData::NS(NS(host))),
            _ => None,
        };
        made_up.into_iter().collect()
    }

    fn exists(&self, at: &Name) -> bool {
        self.own.exists(at) || self.all.exists(at)
    }

    fn soa(&self, at: &Name) -> Option<Record> {
        let apex = self.apex(at);
        soa(&apex).ok().map(|soa| made(&apex, soa))
    }

    fn apex(&self, at: &Name) -> Name {
        at.trim_to(APEX)
    }
}

fn made(at: &Name, data: RData) -> Record {
    Record::from_rdata(at.clone(), TTL, data)
}
