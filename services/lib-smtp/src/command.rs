//! Commands of SMTP: the line, without its CRLF, ⇄ the value.

use std::fmt;

use lib_mail::{BodyType, Domain, Notify, Return, ReversePath};

use crate::bdat::MAX_CHUNK;
use crate::forward::Forward;
use crate::params;
use crate::path::{self, ForwardPath};

/// MAIL with its parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// The reverse-path.
    pub sender: ReversePath,
    /// SIZE=, in octets on the wire.
    pub size: Option<u64>,
    /// BODY=.
    pub body: BodyType,
    /// SMTPUTF8.
    pub utf8: bool,
    /// RET=.
    pub ret: Option<Return>,
    /// ENVID= in wire form (xtext).
    pub envid: Option<String>,
    /// AUTH= in wire form (RFC 4954 §5); `<>` where the submitter is not known.
    pub auth: Option<String>,
}

impl Mail {
    /// MAIL without parameters.
    pub fn new(sender: ReversePath) -> Self {
        Mail { sender, size: None, body: BodyType::SevenBit, utf8: false, ret: None, envid: None, auth: None }
    }
}

/// RCPT with its parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rcpt {
    /// The forward-path.
    pub path: ForwardPath,
    /// NOTIFY=.
    pub notify: Notify,
    /// ORCPT= in wire form.
    pub orcpt: Option<String>,
}

/// A command as a client gives it. Texts are printable and hold no CR, LF or NUL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// EHLO and the client's name.
    Ehlo(String),
    /// HELO and the client's name.
    Helo(String),
    /// MAIL FROM.
    Mail(Mail),
    /// RCPT TO.
    Rcpt(Rcpt),
    /// DATA.
    Data,
    /// BDAT; `size` octets follow the line.
    Bdat {
        /// At most [`MAX_CHUNK`].
        size: u64,
        /// LAST.
        last: bool,
    },
    /// RSET.
    Rset,
    /// NOOP; its argument has no meaning.
    Noop,
    /// QUIT.
    Quit,
    /// VRFY and whom.
    Vrfy(String),
    /// EXPN and which list.
    Expn(String),
    /// HELP; its argument has no meaning here.
    Help,
    /// STARTTLS.
    StartTls,
    /// AUTH.
    Auth {
        /// The mechanism, in upper case.
        mechanism: String,
        /// The initial response in base64; `=` stands for an empty one.
        initial: Option<String>,
    },
    /// XFORWARD, to peers of a pair.
    XForward(Forward),
    /// XLIST, to peers of a pair.
    XList {
        /// The digest of the list that the client has, or `-`.
        have: String,
        /// The line to go on from.
        from: Option<usize>,
    },
    /// ETRN.
    Etrn {
        /// Whose queue.
        domain: Domain,
        /// `@domain`: the queues of its subdomains too.
        subdomains: bool,
    },
}

/// Why a line is no command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Problem {
    /// CR, NUL or another control character, or no UTF-8.
    Octets,
    /// No verb that SMTP knows.
    Unknown,
    /// A verb of HTTP: a browser was talked into talking to us.
    Http,
    /// The argument is missing, superfluous or of the wrong form. The value says what is expected.
    Argument(&'static str),
    /// The reverse-path is none.
    Sender,
    /// The forward-path is none.
    Recipient,
    /// A sender beyond ASCII without SMTPUTF8.
    NeedsUtf8,
    /// A parameter that is known but of the wrong form, or stands twice.
    Parameter,
    /// A parameter that is not known.
    UnknownParameter,
    /// BODY=BINARYMIME.
    BinaryMime,
    /// BDAT without a size that could be counted out: where the next command begins cannot be known.
    ChunkSize,
    /// BDAT with a size over [`MAX_CHUNK`].
    ChunkTooLarge,
}

/// Verbs of HTTP (cross-protocol requests, docs/known-attacks.md).
const HTTP: [&str; 9] = ["GET", "POST", "PUT", "HEAD", "DELETE", "OPTIONS", "CONNECT", "TRACE", "PATCH"];

impl Command {
    /// Reads a line without its CRLF.
    pub fn parse(line: &[u8]) -> Result<Command, Problem> {
        let text = std::str::from_utf8(line).map_err(|_| Problem::Octets)?;
        if text.chars().any(char::is_control) {
            return Err(Problem::Octets);
        }
        let text = text.trim_end_matches(' ');
        let (verb, argument) = text.split_once(' ').unwrap_or((text, ""));
        let argument = argument.trim_start_matches(' ');
        let mut upper = [0; 8];
        let upper = upper.get_mut(..verb.len()).ok_or(Problem::Unknown)?;
        upper.copy_from_slice(verb.as_bytes());
        upper.make_ascii_uppercase();
        match &*upper {
            b"MAIL" => mail(argument),
            b"RCPT" => rcpt(argument),
            b"DATA" => plain(Command::Data, argument),
            b"BDAT" => bdat(argument),
            b"EHLO" => Ok(Command::Ehlo(word(argument, "EHLO and your host's name")?)),
            b"HELO" => Ok(Command::Helo(word(argument, "HELO and your host's name")?)),
            b"RSET" => plain(Command::Rset, argument),
            b"QUIT" => plain(Command::Quit, argument),
            b"NOOP" => Ok(Command::Noop),
            b"HELP" => Ok(Command::Help),
            b"VRFY" => Ok(Command::Vrfy(some(without_utf8(argument), "VRFY and a user")?)),
            b"EXPN" => Ok(Command::Expn(some(without_utf8(argument), "EXPN and a list")?)),
            b"STARTTLS" => plain(Command::StartTls, argument),
            b"AUTH" => auth(argument),
            b"ETRN" => etrn(argument),
            b"XFORWARD" => Forward::parse(argument).map(Command::XForward).ok_or(Problem::Parameter),
            b"XLIST" => list(argument),
            verb if HTTP.iter().any(|known| known.as_bytes() == verb) => Err(Problem::Http),
            _ => Err(Problem::Unknown),
        }
    }
}

fn plain(command: Command, argument: &str) -> Result<Command, Problem> {
    if argument.is_empty() { Ok(command) } else { Err(Problem::Argument("no argument")) }
}

fn some(argument: &str, expected: &'static str) -> Result<String, Problem> {
    if argument.is_empty() { Err(Problem::Argument(expected)) } else { Ok(argument.to_owned()) }
}

/// SMTPUTF8 behind the argument of VRFY or EXPN allows UTF-8 in the reply (RFC 6531 §3.7.4.2), which none of ours holds.
fn without_utf8(mut argument: &str) -> &str {
    while let Some((rest, last)) = argument.rsplit_once(' ')
        && last.eq_ignore_ascii_case("SMTPUTF8")
    {
        argument = rest.trim_end_matches(' ');
    }
    argument
}

fn word(argument: &str, expected: &'static str) -> Result<String, Problem> {
    // A name is at most 255 octets (RFC 5321 §4.5.3.1.2). That it is a real one is no business of the grammar: too many are not.
    if argument.contains(' ') || argument.len() > 255 { Err(Problem::Argument(expected)) } else { some(argument, expected) }
}

/// Behind `FROM:` or `TO:`.
fn after<'a>(argument: &'a str, tag: &str, expected: &'static str) -> Result<&'a str, Problem> {
    match argument.split_at_checked(tag.len()) {
        Some((start, rest)) if start.eq_ignore_ascii_case(tag) => Ok(rest),
        _ => Err(Problem::Argument(expected)),
    }
}

fn mail(argument: &str) -> Result<Command, Problem> {
    let text = after(argument, "FROM:", "MAIL FROM:<address>")?;
    let (sender, rest) = path::reverse(text).map_err(|_| Problem::Sender)?;
    let mut mail = Mail::new(sender);
    params::mail(&mut mail, rest)?;
    let utf8_needed = mail.sender.as_ref().is_some_and(|sender| !sender.is_ascii());
    if utf8_needed && !mail.utf8 { Err(Problem::NeedsUtf8) } else { Ok(Command::Mail(mail)) }
}

fn rcpt(argument: &str) -> Result<Command, Problem> {
    let text = after(argument, "TO:", "RCPT TO:<address>")?;
    let (path, rest) = path::forward(text).map_err(|_| Problem::Recipient)?;
    let mut rcpt = Rcpt { path, notify: Notify::Default, orcpt: None };
    params::rcpt(&mut rcpt, rest)?;
    Ok(Command::Rcpt(rcpt))
}

fn bdat(argument: &str) -> Result<Command, Problem> {
    let mut words = argument.split(' ').filter(|word| !word.is_empty());
    let digits = words.next().ok_or(Problem::ChunkSize)?;
    if digits.len() > 20 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Problem::ChunkSize);
    }
    let last = match (words.next(), words.next()) {
        (None, _) => false,
        (Some(last), None) if last.eq_ignore_ascii_case("LAST") => true,
        _ => return Err(Problem::ChunkSize),
    };
    match digits.parse() {
        Ok(size) if size <= MAX_CHUNK => Ok(Command::Bdat { size, last }),
        _ => Err(Problem::ChunkTooLarge),
    }
}

fn auth(argument: &str) -> Result<Command, Problem> {
    let mut words = argument.split(' ').filter(|word| !word.is_empty());
    match (words.next(), words.next(), words.next()) {
        (Some(mechanism), initial, None) => {
            Ok(Command::Auth { mechanism: mechanism.to_ascii_uppercase(), initial: initial.map(str::to_owned) })
        }
        _ => Err(Problem::Argument("AUTH and a mechanism")),
    }
}

fn list(argument: &str) -> Result<Command, Problem> {
    const EXPECTED: Problem = Problem::Argument("XLIST, a digest or -, and perhaps a number");
    let mut words = argument.split(' ').filter(|word| !word.is_empty());
    match (words.next(), words.next().map(str::parse), words.next()) {
        (Some(have), None, None) => Ok(Command::XList { have: have.to_owned(), from: None }),
        (Some(have), Some(Ok(from)), None) => Ok(Command::XList { have: have.to_owned(), from: Some(from) }),
        _ => Err(EXPECTED),
    }
}

fn etrn(argument: &str) -> Result<Command, Problem> {
    let (subdomains, name) = match argument.strip_prefix('@') {
        Some(name) => (true, name),
        None => (false, argument),
    };
    let domain = name.parse().map_err(|_| Problem::Argument("ETRN and a domain"))?;
    Ok(Command::Etrn { domain, subdomains })
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Command::Ehlo(name) => write!(f, "EHLO {name}"),
            Command::Helo(name) => write!(f, "HELO {name}"),
            Command::Mail(mail) => write!(f, "{mail}"),
            Command::Rcpt(rcpt) => write!(f, "{rcpt}"),
            Command::Data => f.write_str("DATA"),
            Command::Bdat { size, last } => write!(f, "BDAT {size}{}", if *last { " LAST" } else { "" }),
            Command::Rset => f.write_str("RSET"),
            Command::Noop => f.write_str("NOOP"),
            Command::Quit => f.write_str("QUIT"),
            Command::Vrfy(user) => write!(f, "VRFY {user}"),
            Command::Expn(list) => write!(f, "EXPN {list}"),
            Command::Help => f.write_str("HELP"),
            Command::StartTls => f.write_str("STARTTLS"),
            Command::Auth { mechanism, initial: None } => write!(f, "AUTH {mechanism}"),
            Command::Auth { mechanism, initial: Some(initial) } => write!(f, "AUTH {mechanism} {initial}"),
            Command::XForward(forward) => write!(f, "XFORWARD {forward}"),
            Command::XList { have, from: None } => write!(f, "XLIST {have}"),
            Command::XList { have, from: Some(from) } => write!(f, "XLIST {have} {from}"),
            Command::Etrn { domain, subdomains } => write!(f, "ETRN {}{domain}", if *subdomains { "@" } else { "" }),
        }
    }
}

/// The command line, as `MAIL FROM:<a@b.example> SIZE=1000`.
impl fmt::Display for Mail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.sender {
            Some(sender) => write!(f, "MAIL FROM:<{sender}>")?,
            None => f.write_str("MAIL FROM:<>")?,
        }
        if let Some(size) = self.size {
            write!(f, " SIZE={size}")?;
        }
        if self.body == BodyType::EightBitMime {
            f.write_str(" BODY=8BITMIME")?;
        }
        if self.utf8 {
            f.write_str(" SMTPUTF8")?;
        }
        match self.ret {
            Some(Return::Full) => f.write_str(" RET=FULL")?,
            Some(Return::Headers) => f.write_str(" RET=HDRS")?,
            None => {}
        }
        if let Some(envid) = &self.envid {
            write!(f, " ENVID={envid}")?;
        }
        if let Some(auth) = &self.auth {
            write!(f, " AUTH={auth}")?;
        }
        Ok(())
    }
}

/// The command line, as `RCPT TO:<a@b.example> NOTIFY=NEVER`.
impl fmt::Display for Rcpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.path {
            ForwardPath::Postmaster => f.write_str("RCPT TO:<postmaster>")?,
            ForwardPath::Address(address) => write!(f, "RCPT TO:<{address}>")?,
        }
        match self.notify {
            Notify::Default => {}
            Notify::Never => f.write_str(" NOTIFY=NEVER")?,
            Notify::On { success, failure, delay } => {
                let words = [(success, "SUCCESS"), (failure, "FAILURE"), (delay, "DELAY")];
                let chosen: Vec<&str> = words.iter().filter(|(on, _)| *on).map(|(_, word)| *word).collect();
                write!(f, " NOTIFY={}", chosen.join(","))?;
            }
        }
        match &self.orcpt {
            Some(orcpt) => write!(f, " ORCPT={orcpt}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
