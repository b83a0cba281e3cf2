//! What became of a cell's message.

use std::time::Duration;

use serde::Serialize;

use super::{Point, point};
use crate::ledger::{Found, Line, Place, Sent, Told};
use crate::record::DialogueRecord;

/// A reply that takes longer may have come when its sender had given up: less than the time-outs of a cell's sender, by what a busy machine needs.
const IN_TIME: Duration = Duration::from_secs(4);

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It arrived once.
    Once,
    /// It arrived more than once; B had it whole, and A was not told so.
    Twice,
    /// The dialogue did not come by the point; the message arrived once.
    Unreached,
    /// It arrived more than once, and A had no reason to send it again.
    Doubled,
    /// A copy of it is not what was sent.
    Damaged,
    /// The sender was told that it failed.
    Bounced,
    /// It waits still, or its sender does.
    Limbo,
    /// It is nowhere.
    Lost,
}

impl Outcome {
    /// All of them, the best first.
    pub const ALL: [Outcome; 8] = [
        Outcome::Once,
        Outcome::Twice,
        Outcome::Unreached,
        Outcome::Doubled,
        Outcome::Damaged,
        Outcome::Bounced,
        Outcome::Limbo,
        Outcome::Lost,
    ];

    /// The words for it in reports.
    pub fn words(self) -> &'static str {
        match self {
            Outcome::Once => "once",
            Outcome::Twice => "twice, lawfully",
            Outcome::Unreached => "not reached",
            Outcome::Doubled => "twice, without need",
            Outcome::Damaged => "damaged",
            Outcome::Bounced => "returned to its sender",
            Outcome::Limbo => "in limbo",
            Outcome::Lost => "lost",
        }
    }

    /// Whether no server may come to it.
    pub fn is_wrong(self) -> bool {
        !matches!(self, Outcome::Once | Outcome::Twice | Outcome::Unreached)
    }
}

/// All that is known of a cell.
pub(super) struct Evidence<'a> {
    /// The recipient.
    pub(super) to: &'a str,
    /// Where the message was found.
    pub(super) found: Vec<&'a Found>,
    /// What its client was told.
    pub(super) line: Option<Line>,
    /// All that passed the gate.
    pub(super) dialogues: Vec<DialogueRecord>,
    /// Whether the break took place.
    pub(super) reached: bool,
    /// Why queues did not empty.
    pub(super) stuck: Option<&'a str>,
}

/// The outcome, copies at B, and what was seen.
pub(super) fn judge(point: &Point, evidence: &Evidence<'_>) -> (Outcome, usize, String) {
    let (mut copies, mut damaged, mut waits, mut bounces) = (0, 0, 0, 0);
    for found in &evidence.found {
        match &found.place {
            Place::Mailbox { .. } => copies += 1,
            Place::Outside { recipients, .. } => {
                copies += usize::from(recipients.iter().any(|to| to.eq_ignore_ascii_case(evidence.to)))
            }
            Place::Queue { .. } => waits += 1,
            Place::Bounce { .. } => bounces += 1,
        }
        let differs = |text: &Vec<u8>| !Sent::of(&point::text(&found.token)).ends(text);
        damaged += usize::from(found.text.as_ref().is_some_and(differs));
    }
    let doubts = evidence.dialogues.iter().filter(|dialogue| is_in_doubt(dialogue)).count();
    let told = evidence.line.as_ref().is_some_and(|line| line.told == Told::Accepted);
    let lawful = 1 + doubts.max(usize::from(point.whole));
    let outcome = match (copies, waits, bounces) {
        _ if damaged > 0 => Outcome::Damaged,
        (_, 1.., _) => Outcome::Limbo,
        (_, _, 1..) => Outcome::Bounced,
        _ if !told => Outcome::Limbo,
        (0, ..) => Outcome::Lost,
        (1, ..) if !evidence.reached => Outcome::Unreached,
        (1, ..) => Outcome::Once,
        (several, ..) if several <= lawful => Outcome::Twice,
        _ => Outcome::Doubled,
    };
    let mut note = format!("copies {copies}, queued {waits}, returned {bounces}, connections {}", evidence.dialogues.len());
    for dialogue in &evidence.dialogues {
        let last = dialogue.lines.last().map_or("", |(_, _, text)| text.as_str());
        note += &format!("; {:.2} s: {} after \"{last}\"", dialogue.at.as_secs_f64(), dialogue.end);
    }
    if outcome == Outcome::Limbo {
        note += &format!("; {}", evidence.stuck.unwrap_or("the sender was not told that it was accepted"));
    }
    (outcome, copies, note)
}

/// Whether a message passed whole, and its sender may not have heard of the reply: there was none, or it came late, or the sender left without a word.
fn is_in_doubt(dialogue: &DialogueRecord) -> bool {
    let of_message = |text: &str| text.starts_with("(message, ") && text.ends_with(" octets)");
    let Some(at) = dialogue.lines.iter().rposition(|(_, side, text)| *side == 'C' && of_message(text)) else { return false };
    let ((sent, ..), after) = (&dialogue.lines[at], &dialogue.lines[at + 1..]);
    let Some(replied) = reply(&dialogue.lines, replies_until(&dialogue.lines[..=at], &of_message)) else { return true };
    let left = ["closed", "reset by the client"].contains(&dialogue.end.as_str());
    replied.saturating_sub(*sent) > IN_TIME || left && after.iter().all(|(_, side, _)| *side == 'S')
}

/// How many replies there are until the last of these lines has its own: a client may say them all at once, the message among them.
fn replies_until(lines: &[(Duration, char, String)], of_message: &dyn Fn(&str) -> bool) -> usize {
    let said: Vec<&str> = lines.iter().filter(|(_, side, _)| *side == 'C').map(|(.., text)| text.as_str()).collect();
    // BDAT and its octets have one reply together (RFC 3030).
    let chunks = said.windows(2).filter(|pair| pair[0].starts_with("BDAT ") && of_message(pair[1])).count();
    1 + said.len() - chunks
}

/// When the reply with this number came, the greeting being the first.
fn reply(lines: &[(Duration, char, String)], number: usize) -> Option<Duration> {
    let whole = |(_, side, text): &&(Duration, char, String)| *side == 'S' && text.as_bytes().get(3) != Some(&b'-');
    lines.iter().filter(whole).nth(number.checked_sub(1)?).map(|(at, ..)| *at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cut::POINTS;

    fn dialogue(lines: &[(char, &str)]) -> DialogueRecord {
        let lines = lines.iter().map(|(side, text)| (Duration::ZERO, *side, (*text).to_owned())).collect();
        DialogueRecord { lines, ..DialogueRecord::default() }
    }

    #[test]
    fn a_reply_to_another_command_is_none_to_the_message() {
        let session = [('S', "220 b"), ('C', "EHLO a"), ('S', "250-b"), ('S', "250 CHUNKING")];
        let said = [
            ('C', "MAIL FROM:<>"),
            ('C', "RCPT TO:<x@b>"),
            ('C', "BDAT 700 LAST"),
            ('C', "(message, 700 octets)"),
            ('C', "QUIT"),
        ];
        let replies = [('S', "250 to MAIL"), ('S', "250 to RCPT"), ('S', "250 to the message"), ('S', "221 bye")];
        for (count, doubt) in [(0, true), (1, true), (2, true), (3, false), (4, false)] {
            assert_eq!(is_in_doubt(&dialogue(&[&session[..], &said, &replies[..count]].concat())), doubt, "{count}");
        }
    }

    fn copy(token: &str, text: Vec<u8>) -> Found {
        Found { token: token.into(), place: Place::Mailbox { node: "b".into(), address: "minji@b".into() }, text: Some(text) }
    }

    #[test]
    fn each_outcome() {
        let whole = copy("cut-1-0", point::text("cut-1-0"));
        let short = copy("cut-1-0", point::text("cut-1-0")[..300].to_vec());
        let waits = Found { place: Place::Queue { node: "a".into(), id: "1".into(), recipients: vec![] }, ..whole.clone() };
        let doubt = [('C', "DATA"), ('S', "354 go"), ('C', "(message, 700 octets)")];
        let cut = [('C', "DATA"), ('S', "354 go"), ('C', "(message, 10 octets and no end)")];
        let early = &POINTS[0];
        for (found, lines, told, expected) in [
            (vec![&whole], &doubt, Told::Accepted, Outcome::Once),
            (vec![&whole, &whole], &doubt, Told::Accepted, Outcome::Twice),
            (vec![&whole, &whole, &whole], &doubt, Told::Accepted, Outcome::Doubled),
            (vec![&whole, &whole], &cut, Told::Accepted, Outcome::Doubled),
            (vec![&whole, &short], &doubt, Told::Accepted, Outcome::Damaged),
            (vec![&waits], &cut, Told::Accepted, Outcome::Limbo),
            (vec![], &cut, Told::Nothing, Outcome::Limbo),
            (vec![], &cut, Told::Accepted, Outcome::Lost),
        ] {
            let evidence = Evidence {
                to: "cell@c1.cut.example",
                found,
                line: Some(Line::new(told, &["cell@c1.cut.example"])),
                dialogues: vec![dialogue(lines)],
                reached: true,
                stuck: None,
            };
            assert_eq!(judge(early, &evidence).0, expected, "{:?} {lines:?}", evidence.found);
        }
    }
}
