//! The thread that drives the connections of one JavaScript environment.
//!
//! One tokio runtime on one thread of its own, started at first use. It belongs to the environment, never to the
//! process: a worker thread that ends takes its own connections along and nobody else's.

use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread;
use std::time::Duration;

use polyfn_core::{Error, ErrorKind, Result};
use tokio::runtime::{Builder, Handle};
use tokio::sync::{oneshot, watch};

/// How long connections may take to say goodbye when the environment ends.
const FAREWELL: Duration = Duration::from_millis(250);

/// A running thread.
pub(crate) struct Runtime {
    handle: Handle,
    stop: oneshot::Sender<()>,
    ended: Receiver<()>,
}

impl Runtime {
    /// Starts the thread; `open` says how many connections are not closed yet.
    pub(crate) fn start(mut open: watch::Receiver<usize>) -> Result<Self> {
        let failed = |error: std::io::Error| {
            Error::new(ErrorKind::Internal, format!("the thread for connections did not start: {error}"))
        };
        let runtime = Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel();
        let (ending, ended) = sync_channel::<()>(1);
        thread::Builder::new()
            .name("polyfn".to_owned())
            .spawn(move || {
                runtime.block_on(async {
                    let _ = stopped.await;
                    let _ = tokio::time::timeout(FAREWELL, open.wait_for(|open| *open == 0)).await;
                });
                runtime.shutdown_background();
                drop(ending);
            })
            .map_err(failed)?;
        Ok(Self { handle, stop, ended })
    }

    /// Where connections run.
    pub(crate) const fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Ends the thread when every connection has said goodbye, or time is up.
    pub(crate) fn stop(self) {
        let Self { stop, ended, .. } = self;
        let _ = stop.send(());
        let end = ended.recv_timeout(FAREWELL * 2);
        debug_assert_ne!(end, Err(RecvTimeoutError::Timeout), "the thread for connections did not end");
    }
}
