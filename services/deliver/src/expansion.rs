//! What a recipient stands for: routed now, recorded once, and durable before any member is attempted.

use std::collections::HashMap;

use lib_mail::Status;
use lib_policy::{Expansion, MAX_MEMBERS, Member, expand};
use lib_spool::{Error, Outcome, What};

use crate::attempt::{Attempt, End};
use crate::target::Target;

/// Addresses of a loop that are named to the sender.
const MAX_NAMED: usize = 5;
/// Recipients of one message with all members of its aliases.
const MAX_ALL: usize = 100_000;

impl Attempt<'_> {
    /// Routes each pending recipient of the envelope. Those that are no alias get their target; aliases are recorded with their
    /// members, which are pending from now on; failures are noted.
    pub(crate) fn expand(&mut self) -> Result<HashMap<usize, Target>, Error> {
        let (mut direct, mut expanded) = (HashMap::new(), Vec::new());
        let recipients = self.claim.recipients();
        let mut all = recipients.len();
        for index in recipients.pending() {
            let Some(recipient) = self.claim.envelope().recipients.get(index) else { continue };
            if self.maps.accounts.is_none() {
                let status = self.status(451, 3, 0, "The list of accounts cannot be read now");
                self.end_one(index, What::Deferred, status);
                continue;
            }
            let address = recipient.address.clone();
            match expand(&address, &self.maps.facts(&self.rules.default_domain)) {
                Expansion::Members(members) if members.len() == 1 && members[0].address == address => {
                    direct.insert(index, Target::of(&members[0]));
                }
                _ if self.passed.contains(&address.key()) => {
                    let status = self.status(554, 4, 6, format!("Mail loop: the message has passed {address} before"));
                    self.end_one(index, What::Failed, status);
                }
                Expansion::Members(members) if all + members.len() <= MAX_ALL => {
                    all += members.len();
                    expanded.push((index, self.expansion(&members)));
                }
                Expansion::Loop(way) => {
                    let way: Vec<_> = way.iter().take(MAX_NAMED).map(ToString::to_string).collect();
                    let status = self.status(554, 4, 6, format!("The alias leads in a circle: {}", way.join(", ")));
                    self.end_one(index, What::Failed, status);
                }
                Expansion::Members(_) => {
                    let text = format!("With the members of its aliases the message would have over {MAX_ALL} recipients");
                    let status = self.status(554, 5, 3, text);
                    self.end_one(index, What::Failed, status);
                }
                Expansion::TooMany => {
                    let status = self.status(554, 2, 4, format!("The alias has over {MAX_MEMBERS} members"));
                    self.end_one(index, What::Failed, status);
                }
            }
        }
        if !expanded.is_empty() {
            self.claim.record(&expanded)?;
            self.claim.sync()?;
            self.ends.extend(expanded.into_iter().map(|(index, outcome)| End {
                index,
                outcome,
                size: self.claim.message_len(),
            }));
        }
        Ok(direct)
    }

    fn expansion(&self, members: &[Member]) -> Outcome {
        let targets: Vec<String> = members.iter().map(|member| Target::of(member).to_text()).collect();
        let status: Status = self.status(250, 0, 0, format!("{} members", targets.len()));
        Outcome { what: What::Expanded(targets), status }
    }
}
