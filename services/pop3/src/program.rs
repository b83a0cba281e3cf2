//! From the supervisor's line to the listeners and back.

use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use lib_host::Clock;
use lib_mailbox::Mailboxes;
use lib_net::auth::{AuthClient, SOCKET};
use lib_net::drain::Drain;
use lib_net::gate::Gate;
use lib_net::role::{Line, Order, State};
use lib_net::runtime::{BLOCKING_THREADS, build};
use lib_net::serve::serve;
use lib_net::tls::Certificates;
use lib_net::{Recorder, Role};

use crate::service::{Pop3, Surroundings, limits};

/// How often the supervisor is told of the state, if it changed.
const TELL_EVERY: Duration = Duration::from_secs(1);
/// How long the last events may take on their way out.
const FLUSH: Duration = Duration::from_secs(1);

/// Runs the role until it is drained. The exit code is a failure where it could not begin.
pub fn run(role: Role) -> ExitCode {
    match begin(role) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("pop3: cannot begin: {error}");
            ExitCode::FAILURE
        }
    }
}

fn begin(mut role: Role) -> io::Result<()> {
    let listeners = role.take_listeners();
    let mail = role.data.join("mail");
    let mailboxes =
        Mailboxes::open(&mail).map_err(|error| io::Error::other(format!("cannot open {}: {error}", mail.display())))?;
    let certificates = Certificates::load(&role.secrets.certificates).map_err(io::Error::other)?;
    let recorder = Recorder::to_standard_output()?;
    let surroundings = Surroundings {
        mailboxes,
        auth: AuthClient::new(role.data.join(SOCKET)),
        recorder: recorder.clone(),
        clock: Clock::open(role.clock_file().as_deref())?,
        certificates: certificates.clone(),
    };
    let service = Pop3::new(surroundings, &role.settings);
    let (drain, gate) = (Drain::new(), Gate::new(limits(&role.settings)));
    build("pop3", BLOCKING_THREADS)?.block_on(async {
        let serving = serve(Arc::new(service.clone()), listeners, certificates.clone(), drain.clone(), gate.clone());
        let mut serving = std::pin::pin!(serving);
        role.line.reporter().ready();
        tokio::select! {
            ended = &mut serving => return ended,
            () = orders(&mut role.line, &service, &certificates, &gate) => drain.begin(),
        }
        serving.await
    })?;
    recorder.flush(FLUSH);
    Ok(())
}

/// Follows the supervisor's orders until the one to stop.
async fn orders(line: &mut Line, service: &Pop3, certificates: &Certificates, gate: &Gate) {
    let reporter = line.reporter();
    let mut tick = tokio::time::interval(TELL_EVERY);
    loop {
        let order = tokio::select! {
            order = line.next() => order,
            _ = tick.tick() => {
                reporter.state(&State { sessions: gate.sessions().into(), accepting: "accepting".into(), why: String::new() });
                continue;
            }
        };
        match order {
            Order::Drain => return,
            // Who may log in only auth knows.
            Order::Look(number) => reporter.looked(number),
            Order::Reload(new) => match certificates.replace(&new.secrets.certificates) {
                Err(why) => reporter.refused(new.generation, why.to_string()),
                Ok(()) => {
                    service.rule(&new.settings);
                    gate.set_limits(limits(&new.settings));
                    reporter.in_force(new.generation);
                }
            },
        }
    }
}
