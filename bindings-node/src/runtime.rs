//! The thread that drives the connections of one JavaScript environment.
//!
//! One tokio runtime on one thread of its own, started at first use. It belongs to the environment, never to the
//! process: a worker thread that ends takes its own connections along and nobody else's.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread;
use std::time::Duration;

use polyfn_core::{Error, ErrorKind, Result};
use tokio::runtime::{Builder, Handle};
use tokio::sync::{Notify, oneshot};

/// How long connections may take to say goodbye when the environment ends.
const FAREWELL: Duration = Duration::from_millis(250);

/// A running thread.
pub(crate) struct Runtime {
    handle: Handle,
    stop: oneshot::Sender<()>,
    ended: Receiver<()>,
}

impl Runtime {
    /// Starts the thread; `idle` is told when the last connection is closed.
    pub(crate) fn start(idle: Arc<Notify>) -> Result<Self> {
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
                    if stopped.await.is_ok() {
                        let _ = tokio::time::timeout(FAREWELL, idle.notified()).await;
                    }
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

    /// Ends the thread: at once when nothing is connected, else when everybody has said goodbye or time is up.
    pub(crate) fn stop(self, is_idle: bool) {
        let Self { stop, ended, .. } = self;
        if is_idle {
            drop(stop);
        } else {
            let _ = stop.send(());
        }
        let end = ended.recv_timeout(FAREWELL * 2);
        debug_assert_ne!(end, Err(RecvTimeoutError::Timeout), "the thread for connections did not end");
    }
}
