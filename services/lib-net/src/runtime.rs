//! The runtime of a program: few workers for the sockets, and a pool of threads that may block on the disk.

use tokio::runtime::{Builder, Runtime};

/// Threads that may block at once. The kernel commits the fsyncs of all of them together, so this is what makes durable mail fast: 32 to
/// 64 is where the rate no longer grows.
pub const BLOCKING_THREADS: usize = 48;

/// Stack of each thread. Only touched pages count, but a deep stack stays touched.
const STACK: usize = 512 * 1024;

/// How long an idle blocking thread stays, so that a quiet server holds no stacks.
const KEEP_ALIVE: std::time::Duration = std::time::Duration::from_secs(10);

/// Builds the runtime of a program that serves sessions. `blocking` bounds the threads of `spawn_blocking` ([`BLOCKING_THREADS`]).
pub fn build(name: &'static str, blocking: usize) -> std::io::Result<Runtime> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    Builder::new_multi_thread()
        .worker_threads(cores.min(2))
        .max_blocking_threads(blocking)
        .thread_stack_size(STACK)
        .thread_keep_alive(KEEP_ALIVE)
        .thread_name(name)
        .enable_all()
        .build()
}
