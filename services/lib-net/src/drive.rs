//! The loop that drives one session: the only place where a server's session waits for its client.
//!
//! An idle session holds no buffer: it waits with the socket's readiness alone, then reads into a buffer that all sessions of the thread
//! share, and the conversation works there and then. Only what it leaves over is kept, until more comes. Replies gather and go out in
//! one write, before anything is waited for.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until, timeout};

use crate::bounds::Bounds;
use crate::conversation::{Conversation, End, INPUT_LIMIT, Interruption, Next, OUTPUT_LIMIT, Turn};
use crate::drain::Drain;
use crate::socket::Socket;
use crate::tls::Certificates;

/// After the last words, what the client still sends is read for this long and this far, or the kernel would answer it with a reset that
/// may overtake the last words.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_OCTETS: usize = 1024 * 1024;

thread_local! {
    /// Where the sessions of a thread read to; never held across a wait.
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; INPUT_LIMIT].into_boxed_slice());
}

/// What a session needs beside its socket.
#[derive(Debug, Clone)]
pub(crate) struct Surroundings {
    pub(crate) certificates: Certificates,
    pub(crate) bounds: Bounds,
    pub(crate) drain: Drain,
}

/// Drives `conversation` to its end, and tells it how it ended.
pub(crate) async fn drive<C: Conversation>(socket: Socket, conversation: C, around: Surroundings) {
    let until = Instant::now() + around.bounds.total;
    let mut session = Session { socket, conversation, around, kept: Vec::new(), output: Vec::new(), until };
    let end = session.run().await;
    session.conversation.ended(&end);
    if !matches!(end, End::Gone | End::Tls(_) | End::SlowReader) {
        session.part().await;
    }
}

struct Session<C> {
    socket: Socket,
    conversation: C,
    around: Surroundings,
    /// Octets that came and were not taken yet; without allocation while there are none.
    kept: Vec<u8>,
    /// Replies not yet sent; without allocation while there are none.
    output: Vec<u8>,
    /// When the session must end whatever happens.
    until: Instant,
}

impl<C: Conversation> Session<C> {
    async fn run(&mut self) -> End {
        let drain = self.around.drain.clone();
        let (drained, alarm) = (pin!(drain.begun()), pin!(sleep_until(self.until)));
        let mut calls = Calls { alarm, drained, draining: false };
        let mut next = self.turn_over_kept();
        loop {
            next = match self.follow(next, &mut calls).await {
                Ok(next) => next,
                Err(end) => return end,
            };
        }
    }

    /// Does what the conversation wants, and gives what it wants after that.
    async fn follow(&mut self, next: Next, calls: &mut Calls<'_, impl Future<Output = ()>>) -> Result<Next, End> {
        if next != Next::Again {
            self.send().await?;
        }
        match next {
            Next::Again | Next::Write => {}
            Next::Work => Box::pin(self.conversation.work()).await,
            Next::StartTls => Box::pin(self.secure()).await?,
            Next::Close => return Err(End::Closed),
            Next::Read => return self.wait(calls).await,
        }
        Ok(self.turn_over_kept())
    }

    /// Waits for octets and lets the conversation have them; or finds a reason to end.
    ///
    /// The drain and the end of the session's time are looked at here, too: while octets keep coming, nothing else is waited for.
    async fn wait(&mut self, calls: &mut Calls<'_, impl Future<Output = ()>>) -> Result<Next, End> {
        let now = Instant::now();
        if !calls.draining && self.around.drain.has_begun() {
            calls.draining = true;
            self.until = self.until.min(now + self.around.bounds.grace);
        }
        let last = if calls.draining { Interruption::Drain } else { Interruption::Total };
        if now >= self.until || calls.draining && self.conversation.at_rest() {
            return Err(self.interrupt(last).await);
        }
        let due = self.until.min(now + self.conversation.patience());
        match poll_fn(|cx| self.poll_wait(cx, calls, due)).await {
            Waited::Turned(next) => Ok(next),
            Waited::Ended(end) => Err(end),
            Waited::Drained => Ok(Next::Read),
            Waited::TimeUp if due >= self.until => Err(self.interrupt(last).await),
            Waited::TimeUp => Err(self.interrupt(Interruption::Idle).await),
        }
    }

    /// The alarm is moved only where it would ring too late: it may ring too early, and is then set again. So a session that is never
    /// idle for long does not touch the timers.
    fn poll_wait(
        &mut self,
        cx: &mut Context<'_>,
        calls: &mut Calls<'_, impl Future<Output = ()>>,
        due: Instant,
    ) -> Poll<Waited> {
        if let Poll::Ready(waited) = self.poll_read(cx) {
            return Poll::Ready(waited);
        }
        if !calls.draining && calls.drained.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Waited::Drained);
        }
        if calls.alarm.deadline() > due {
            calls.alarm.as_mut().reset(due);
        }
        while calls.alarm.as_mut().poll(cx).is_ready() {
            if Instant::now() >= due {
                return Poll::Ready(Waited::TimeUp);
            }
            calls.alarm.as_mut().reset(due);
        }
        Poll::Pending
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Waited> {
        let kept = self.kept.len();
        if kept >= INPUT_LIMIT {
            return Poll::Ready(Waited::Ended(End::Stuck));
        }
        SCRATCH.with_borrow_mut(|scratch| {
            let Ok(read) = ready!(self.socket.poll_read(cx, &mut scratch[kept..])) else {
                return Poll::Ready(Waited::Ended(End::Gone));
            };
            if read == 0 {
                return Poll::Ready(Waited::Ended(End::Gone));
            }
            let input = &mut scratch[..kept + read];
            input[..kept].copy_from_slice(&self.kept);
            let turn = pump(&mut self.conversation, input, &mut self.output);
            self.kept = input[turn.taken..].to_vec();
            Poll::Ready(Waited::Turned(turn.next))
        })
    }

    /// Gives the conversation what it left over, which may be nothing.
    fn turn_over_kept(&mut self) -> Next {
        let turn = pump(&mut self.conversation, &self.kept, &mut self.output);
        if turn.taken == self.kept.len() {
            self.kept = Vec::new();
        } else {
            self.kept.drain(..turn.taken);
        }
        turn.next
    }

    /// Sends the replies that have gathered, and waits until the client has taken them.
    async fn send(&mut self) -> Result<(), End> {
        if self.output.is_empty() {
            return Ok(());
        }
        let mut sent = 0;
        let sending = poll_fn(|cx| self.socket.poll_send(cx, &self.output, &mut sent));
        match timeout(self.around.bounds.write, sending).await {
            Ok(Ok(())) => {
                self.output = Vec::new();
                Ok(())
            }
            Ok(Err(_)) => Err(End::Gone),
            Err(_) => Err(End::SlowReader),
        }
    }

    /// Speaks TLS from here on. Nothing that was said in the clear is kept.
    async fn secure(&mut self) -> Result<(), End> {
        self.kept = Vec::new();
        let handshake = self.socket.secure(&self.around.certificates);
        let info = match timeout(self.around.bounds.handshake, handshake).await {
            Ok(Ok(info)) => info,
            Ok(Err(why)) => return Err(End::Tls(why)),
            Err(_) => return Err(End::Tls("the handshake took too long".into())),
        };
        self.conversation.secured(&info);
        Ok(())
    }

    async fn interrupt(&mut self, why: Interruption) -> End {
        self.conversation.interrupted(why, &mut self.output);
        match self.send().await {
            Ok(()) => End::Interrupted(why),
            Err(end) => end,
        }
    }

    /// Closes so that the last words arrive.
    async fn part(&mut self) {
        let parting = async {
            if poll_fn(|cx| self.socket.poll_shutdown(cx)).await.is_err() {
                return;
            }
            let mut read = self.kept.len();
            while read < LINGER_OCTETS {
                let more = poll_fn(|cx| SCRATCH.with_borrow_mut(|scratch| self.socket.poll_read(cx, scratch))).await;
                match more {
                    Ok(more) if more > 0 => read += more,
                    _ => return,
                }
            }
        };
        let _ = timeout(LINGER, parting).await;
    }
}

/// What can call a session that waits for its client.
struct Calls<'a, D> {
    alarm: Pin<&'a mut Sleep>,
    drained: Pin<&'a mut D>,
    /// The drain has called already.
    draining: bool,
}

/// How a wait ended.
enum Waited {
    /// Octets came, and the conversation took its turns.
    Turned(Next),
    Ended(End),
    TimeUp,
    Drained,
}

/// Lets the conversation take turns until it wants something else, or enough replies have gathered.
fn pump<C: Conversation>(conversation: &mut C, input: &[u8], output: &mut Vec<u8>) -> Turn {
    let mut taken = 0;
    loop {
        let turn = conversation.turn(&input[taken..], output);
        taken = input.len().min(taken + turn.taken);
        match turn.next {
            Next::Again if output.len() >= OUTPUT_LIMIT => return Turn::new(taken, Next::Write),
            Next::Again => {}
            next => return Turn::new(taken, next),
        }
    }
}

#[cfg(test)]
mod tests {
    use lib_settings::CertificateText;

    use super::*;
    use crate::tls::TlsInfo;

    struct Nothing;
    impl Conversation for Nothing {
        fn turn(&mut self, input: &[u8], _: &mut Vec<u8>) -> Turn {
            Turn::new(input.len(), Next::Read)
        }
        async fn work(&mut self) {
            std::hint::black_box([0_u8; 10_000]);
        }
        fn patience(&self) -> Duration {
            Duration::ZERO
        }
        fn at_rest(&self) -> bool {
            true
        }
        fn secured(&mut self, _: &TlsInfo) {}
        fn interrupted(&mut self, _: Interruption, _: &mut Vec<u8>) {}
        fn ended(&mut self, _: &End) {}
    }

    #[test]
    fn what_waits_with_an_idle_session_is_small() {
        let none: [CertificateText; 0] = [];
        let certificates = Certificates::load(&none).unwrap();
        let around = Surroundings { certificates, bounds: Bounds::default(), drain: Drain::new() };
        let future = drive(Socket::Lost, Nothing, around);
        assert!(size_of_val(&future) < 2500, "{}", size_of_val(&future));
    }
}
