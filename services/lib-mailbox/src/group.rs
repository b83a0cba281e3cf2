//! Copies that are delivered together: each step is done for all of them before the next, so that they share what each step costs.
//!
//! The order is that of docs/mailbox.md, *Delivery*: no copy is named before all are synced, none has succeeded before all names are.
//! One that fails leaves the group, and the others go on; only a sync that they share fails for all.

use std::io;
use std::mem;

use lib_host::{Purpose, SyncAll};

use crate::batch::Failure;
use crate::delivery::{Buffers, Depositor, Draft, Written};
use crate::home::Lasting;
use crate::{Delivered, Delivery, Error, Shared};

/// The deliveries of one call.
pub(crate) struct Group<'a> {
    shared: &'a Shared,
    /// The sync that stands for all, where there is one.
    all: Option<SyncAll>,
    /// Those on their way.
    copies: Vec<Copy<'a>>,
    /// What became of the others, by their place in the call.
    results: Vec<Option<Result<Delivered, Error>>>,
}

/// A copy on its way.
struct Copy<'a> {
    place: usize,
    depositor: Depositor<'a>,
    draft: Draft,
}

impl<'a> Group<'a> {
    /// Delivers; a result for each, in their order.
    pub(crate) fn deliver(shared: &'a Shared, deliveries: &mut [(&'a str, Delivery<'_>)]) -> Vec<Result<Delivered, Error>> {
        let all = shared.together.begin(&shared.mail, deliveries.len());
        let results = deliveries.iter().map(|_| None).collect();
        let mut group = Group { shared, all, copies: Vec::with_capacity(deliveries.len()), results };
        group.write(deliveries);
        group.sync_files();
        group.place();
        group.sync_names();
        group.end()
    }

    fn write(&mut self, deliveries: &mut [(&'a str, Delivery<'_>)]) {
        let mut buffers = Buffers::default();
        let lasting = if self.all.is_some() { Lasting::Later } else { Lasting::Now };
        for (place, (account, delivery)) in deliveries.iter_mut().enumerate() {
            let depositor = Depositor::new(&self.shared.mail, &self.shared.seats, account, lasting);
            let written = depositor.and_then(|depositor| Ok((depositor.write(delivery, &mut buffers)?, depositor)));
            match written {
                Ok((Written::Copy(draft), depositor)) => self.copies.push(Copy { place, depositor, draft }),
                Ok((Written::Earlier(delivered), _)) => self.results[place] = Some(Ok(delivered)),
                Err(error) => self.results[place] = Some(Err(error)),
            }
        }
    }

    /// A failed sync is not repeated on the same file: the draft is gone, and the next attempt writes a new one.
    fn sync_files(&mut self) {
        let all = self.sync_all(Purpose::MaildirFile);
        self.keep("sync a file", |copy| {
            let synced = all.clone().unwrap_or_else(|| copy.draft.file.sync(Purpose::MaildirFile).map_err(Failure::from));
            synced.inspect_err(|_| copy.draft.discard())
        });
        if all.is_some() {
            self.copies.iter().for_each(|copy| copy.depositor.synced_all(&copy.draft));
        }
    }

    fn place(&mut self) {
        let placed = self.by_mailbox(|depositor, drafts| depositor.place(drafts));
        let mut placed = placed.into_iter();
        self.keep("rename a file", |_| placed.next().unwrap_or(Ok(())).map_err(Failure::from));
    }

    fn sync_names(&mut self) {
        let all = self.sync_all(Purpose::MaildirDirectory);
        let synced = self.by_mailbox(|depositor, drafts| {
            let own = || drafts.first().map_or(Ok(()), |first| depositor.sync_names(&first.home).map_err(Failure::from));
            let synced = all.clone().unwrap_or_else(own);
            drafts.iter().map(|_| synced.clone()).collect()
        });
        let mut synced = synced.into_iter();
        self.keep("sync a directory", |copy| {
            synced.next().unwrap_or(Ok(())).inspect_err(|_| copy.depositor.withdraw(&copy.draft))
        });
    }

    fn end(mut self) -> Vec<Result<Delivered, Error>> {
        for copy in &self.copies {
            self.results[copy.place] = Some(Ok(Delivered { size: copy.draft.wire, repeated: false }));
        }
        self.results.into_iter().flatten().collect()
    }

    /// The sync for all, where there is one and somebody to need it.
    fn sync_all(&self, purpose: Purpose) -> Option<Result<(), Failure>> {
        let all = self.all.as_ref().filter(|_| !self.copies.is_empty())?;
        Some(self.shared.together.sync(all, purpose).map_err(Failure::from))
    }

    /// Does something once for the drafts of each mailbox; a result for each copy, in the order that the copies have from now on.
    fn by_mailbox<T>(&mut self, act: impl Fn(&Depositor<'_>, &[&Draft]) -> Vec<T>) -> Vec<T> {
        self.copies.sort_by(|one, other| one.depositor.account().cmp(other.depositor.account()));
        let of_one = self.copies.chunk_by(|one, other| one.depositor.account() == other.depositor.account());
        of_one
            .flat_map(|copies| {
                let drafts: Vec<&Draft> = copies.iter().map(|copy| &copy.draft).collect();
                act(&copies[0].depositor, &drafts)
            })
            .collect()
    }

    /// Keeps the copies for which `step` succeeds; the others have failed.
    fn keep(&mut self, doing: &'static str, mut step: impl FnMut(&Copy<'_>) -> Result<(), Failure>) {
        for copy in mem::take(&mut self.copies) {
            match step(&copy) {
                Ok(()) => self.copies.push(copy),
                Err(failure) => self.results[copy.place] = Some(Err(copy.depositor.disk(doing, io::Error::from(failure)))),
            }
        }
    }
}
