//! The tokio runtime: one thread, made at first use; what becomes of it at a fork and at exit.
//!
//! It is our own and not a shared one, because its thread does not survive `fork()`: we must know when a
//! process has become another one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use parking_lot::Mutex;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use tokio::runtime::{Builder, Handle};
use tokio::sync::Notify;

use crate::{event_loop, link, server};

/// Counts forks on the way from the first process to this one: what was made under another number is not ours.
static GENERATION: AtomicU64 = AtomicU64::new(0);
/// The interpreter is about to end: nobody drains any more.
static EXITED: AtomicBool = AtomicBool::new(false);
static RUNTIME: Mutex<Option<Runtime>> = Mutex::new(None);

/// How long connections may take to say goodbye at exit.
const FAREWELL: Duration = Duration::from_millis(1000);
/// How long the interpreter waits for the thread at exit.
const EXIT_LIMIT: Duration = Duration::from_millis(1500);

struct Runtime {
    handle: Handle,
    stop: Arc<Notify>,
    ended: mpsc::Receiver<()>,
}

pub(crate) fn generation() -> u64 {
    GENERATION.load(Ordering::Relaxed)
}

pub(crate) fn has_exited() -> bool {
    EXITED.load(Ordering::Acquire)
}

/// The runtime, started if it is not there yet.
pub(crate) fn handle() -> PyResult<Handle> {
    let mut runtime = RUNTIME.lock();
    if let Some(runtime) = runtime.as_ref() {
        return Ok(runtime.handle.clone());
    }
    let started =
        start().map_err(|error| PyRuntimeError::new_err(format!("cannot start a thread: {error}")))?;
    let handle = started.handle.clone();
    *runtime = Some(started);
    Ok(handle)
}

fn start() -> std::io::Result<Runtime> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let handle = runtime.handle().clone();
    let stop = Arc::new(Notify::new());
    let (end, ended) = mpsc::channel();
    let stopped = stop.clone();
    std::thread::Builder::new().name("polyfn".to_owned()).spawn(move || {
        runtime.block_on(async {
            stopped.notified().await;
            let metrics = Handle::current().metrics();
            let farewell = async {
                while metrics.num_alive_tasks() > 0 {
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
            };
            let _ = tokio::time::timeout(FAREWELL, farewell).await;
        });
        drop(runtime);
        // The interpreter may have given up waiting.
        let _ = end.send(());
    })?;
    Ok(Runtime { handle, stop, ended })
}

/// For `os.register_at_fork(after_in_child=...)`: the thread, its sockets and its loops belong to the parent.
#[pyfunction]
pub(crate) fn after_fork() {
    GENERATION.fetch_add(1, Ordering::Relaxed);
    // Only attached threads take this lock, and only the one that forked is here.
    std::mem::forget(RUNTIME.lock().take());
    server::forget_all();
}

/// For `atexit`: says goodbye on all connections and ends the thread. It waits detached, and not for ever.
#[pyfunction]
pub(crate) fn at_exit(py: Python<'_>) {
    EXITED.store(true, Ordering::Release);
    link::close_all();
    event_loop::end_threads(py);
    let runtime = RUNTIME.lock().take();
    py.detach(move || {
        if let Some(runtime) = runtime {
            runtime.stop.notify_one();
            // Past the limit the process ends all the same, and the thread with it.
            let _ = runtime.ended.recv_timeout(EXIT_LIMIT);
        }
        // Not before the connections have said goodbye to them.
        server::end_all();
    });
}

/// Registers both rules with the interpreter.
pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    py.import("atexit")?.call_method1("register", (module.getattr("at_exit")?,))?;
    let os = py.import("os")?;
    if os.hasattr("register_at_fork")? {
        let rules = pyo3::types::PyDict::new(py);
        rules.set_item("after_in_child", module.getattr("after_fork")?)?;
        os.call_method("register_at_fork", (), Some(&rules))?;
    }
    Ok(())
}
