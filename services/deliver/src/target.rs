//! The ends of an expansion as the history keeps them: `mailbox minji@example.kr`, `address lee@example.org`, …

use lib_mail::Address;
use lib_policy::{Member, Route};

/// Where a copy goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// Into the mailbox of the account with this key.
    Mailbox(String),
    /// To another server.
    Elsewhere(Address),
    /// Nowhere: our domain, and nobody has the name.
    Unknown(Address),
    /// Nowhere yet: a list, a file or a program, as the word says.
    Unsupported(&'static str),
}

const LIST: &str = "list";
const FILE: &str = "file";
const PIPE: &str = "program";

impl Target {
    /// The end of a route that was followed to it.
    pub(crate) fn of(member: &Member) -> Target {
        match &member.route {
            Route::Mailbox(account) => Target::Mailbox(account.clone()),
            Route::Relay | Route::Unsure => Target::Elsewhere(member.address.clone()),
            Route::Unknown | Route::Forward(_) => Target::Unknown(member.address.clone()),
            Route::List(_) => Target::Unsupported(LIST),
            Route::File(_) => Target::Unsupported(FILE),
            Route::Pipe(_) => Target::Unsupported(PIPE),
        }
    }

    /// As the history keeps it.
    pub(crate) fn to_text(&self) -> String {
        match self {
            Target::Mailbox(account) => format!("mailbox {account}"),
            Target::Elsewhere(address) => format!("address {address}"),
            Target::Unknown(address) => format!("unknown {address}"),
            Target::Unsupported(word) => format!("{word} -"),
        }
    }

    /// Reads it back; `None` for what another version wrote.
    pub(crate) fn parse(text: &str) -> Option<Target> {
        let (word, rest) = text.split_once(' ')?;
        match word {
            "mailbox" => Some(Target::Mailbox(rest.to_owned())),
            "address" => rest.parse().ok().map(Target::Elsewhere),
            "unknown" => rest.parse().ok().map(Target::Unknown),
            _ => [LIST, FILE, PIPE].into_iter().find(|known| *known == word).map(Target::Unsupported),
        }
    }

    /// For the log: whom it means.
    pub(crate) fn shown(&self) -> String {
        match self {
            Target::Mailbox(account) => account.clone(),
            Target::Elsewhere(address) | Target::Unknown(address) => address.to_string(),
            Target::Unsupported(word) => (*word).to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let odd: Address = "\"a b\"@example.org".parse().unwrap();
        for target in [
            Target::Mailbox("a b@example.kr".into()),
            Target::Elsewhere(odd.clone()),
            Target::Unknown(odd),
            Target::Unsupported(LIST),
            Target::Unsupported(PIPE),
        ] {
            assert_eq!(Target::parse(&target.to_text()), Some(target));
        }
        for text in ["", "mailbox", "address nobody", "teleport a@b.example"] {
            assert_eq!(Target::parse(text), None, "{text}");
        }
    }
}
