//! The runtime that a server has to itself.

use std::io;

use tokio::runtime::{Builder, Runtime};

/// A runtime with so many threads; 0 stands for one per two processors.
///
/// One thread needs no hand-over between threads; more than one share the connections.
pub(crate) fn new(workers: usize) -> io::Result<Runtime> {
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    // Whoever calls and whoever serves often run on the same machine: half of it is theirs.
    let workers = if workers == 0 { processors.div_ceil(2) } else { workers };
    let mut builder = match workers {
        1 => Builder::new_current_thread(),
        _ => Builder::new_multi_thread(),
    };
    if workers > 1 {
        builder.worker_threads(workers);
    }
    builder.enable_all().thread_name("polyfn").build()
}
