//! Stands in for programs that are not there yet.
pub(crate) fn run(mut role: lib_net::Role) -> std::process::ExitCode {
    let reporter = role.line.reporter();
    reporter.ready();
    loop {
        match role.line.next_blocking() {
            lib_net::role::Order::Reload(new) => reporter.in_force(new.generation),
            lib_net::role::Order::Drain => return std::process::ExitCode::SUCCESS,
        }
    }
}
