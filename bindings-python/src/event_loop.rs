//! Which pump belongs to which event loop, and how a loop comes to call it.

use std::sync::{Arc, Weak};
use std::thread::JoinHandle;

use parking_lot::Mutex;
use pyo3::exceptions::PyNotImplementedError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::PyWeakrefReference;

use crate::interpreter::Interpreter;
use crate::pump::Pump;
use crate::runtime;
use crate::wake::{Signal, Wake};

/// Pumps by the place of their loop in memory.
static PUMPS: Mutex<Vec<(usize, Arc<Pump>)>> = Mutex::new(Vec::new());
/// The small threads of loops that cannot watch a descriptor.
static THREADS: Mutex<Vec<JoinHandle<()>>> = Mutex::new(Vec::new());

/// Ends the small threads, for the end of the interpreter.
pub(crate) fn end_threads(py: Python<'_>) {
    let pumps: Vec<_> = PUMPS.lock().iter().map(|(_, pump)| pump.clone()).collect();
    pumps.iter().for_each(|pump| pump.inbox.wake.end());
    let threads = std::mem::take(&mut *THREADS.lock());
    py.detach(|| {
        for thread in threads {
            // A panic there has been reported already.
            let _ = thread.join();
        }
    });
}

/// The pump of the loop that runs in this thread, and the loop.
pub(crate) fn current<'py>(
    py: Python<'py>,
    interpreter: &Interpreter,
) -> PyResult<(Arc<Pump>, Bound<'py, PyAny>)> {
    let event_loop = interpreter.current_loop(py)?;
    let key = event_loop.as_ptr() as usize;
    let generation = runtime::generation();
    let found = PUMPS
        .lock()
        .iter()
        .find(|(known, pump)| *known == key && pump.generation() == generation)
        .map(|(_, pump)| pump.clone());
    match found {
        // A loop that is gone may have left its place in memory to this one.
        Some(pump) if pump.is_of(&event_loop) => Ok((pump, event_loop)),
        Some(pump) => {
            pump.end();
            Ok((attach_to(py, &event_loop)?, event_loop))
        }
        None => Ok((attach_to(py, &event_loop)?, event_loop)),
    }
}

fn attach_to(py: Python<'_>, event_loop: &Bound<'_, PyAny>) -> PyResult<Arc<Pump>> {
    let pump = match watched(py, event_loop)? {
        Some(pump) => pump,
        None => with_thread(py, event_loop)?,
    };
    PUMPS.lock().push((event_loop.as_ptr() as usize, pump.clone()));
    Ok(pump)
}

#[cfg(unix)]
fn watched(py: Python<'_>, event_loop: &Bound<'_, PyAny>) -> PyResult<Option<Arc<Pump>>> {
    let descriptor = crate::wake::descriptor::Descriptor::new()?;
    let number = descriptor.number();
    let pump = new_pump(py, event_loop, Wake::Descriptor(descriptor))?;
    // The loop's reader is what keeps the drain alive, and with the loop it goes.
    let drain = Drain { pump: pump.clone(), ends: true };
    match event_loop.call_method1("add_reader", (number, Bound::new(py, drain)?)) {
        Ok(_) => Ok(Some(pump)),
        Err(error) if error.is_instance_of::<PyNotImplementedError>(py) => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(not(unix))]
fn watched(_py: Python<'_>, _event_loop: &Bound<'_, PyAny>) -> PyResult<Option<Arc<Pump>>> {
    Ok(None)
}

/// For a loop without `add_reader`: a thread of its own waits and wakes it, so that the tokio thread never
/// waits for the GIL. It keeps its thread state between wake-ups.
fn with_thread(py: Python<'_>, event_loop: &Bound<'_, PyAny>) -> PyResult<Arc<Pump>> {
    let signal = Arc::new(Signal::default());
    let pump = new_pump(py, event_loop, Wake::Thread(signal.clone()))?;
    let drain = Bound::new(py, Drain { pump: pump.clone(), ends: false })?.into_any().unbind();
    let woken = pump.clone();
    let waker = std::thread::Builder::new().name("polyfn-wake".to_owned()).spawn(move || {
        Python::try_attach(|py| {
            while py.detach(|| signal.wait()) {
                let called = woken
                    .event_loop(py)
                    .and_then(|event_loop| event_loop.call_method1("call_soon_threadsafe", (&drain,)));
                if called.is_err() {
                    // The loop is closed, or gone.
                    woken.end();
                    break;
                }
            }
            drop(drain);
        });
    })?;
    THREADS.lock().push(waker);
    Ok(pump)
}

fn new_pump(py: Python<'_>, event_loop: &Bound<'_, PyAny>, wake: Wake) -> PyResult<Arc<Pump>> {
    let gone = Bound::new(py, LoopGone { pump: Mutex::new(Weak::new()) })?;
    let canceller = Bound::new(py, Canceller { pump: Mutex::new(Weak::new()) })?;
    // Weak: a loop that nobody uses any longer must be able to go.
    let event_loop = PyWeakrefReference::new_with(event_loop, &gone)?.unbind();
    let pump = Arc::new(Pump::new(event_loop, canceller.clone().into_any().unbind(), wake));
    *canceller.get().pump.lock() = Arc::downgrade(&pump);
    *gone.get().pump.lock() = Arc::downgrade(&pump);
    Ok(pump)
}

/// The pump's loop is closed or gone.
pub(crate) fn forget(pump: &Pump) {
    PUMPS.lock().retain(|(_, known)| !std::ptr::eq(Arc::as_ptr(known), pump));
}

/// What the loop calls when something waits.
#[pyclass(frozen, module = "polyfn._native")]
struct Drain {
    pump: Arc<Pump>,
    /// The loop alone holds it, so its end is the loop's.
    ends: bool,
}

#[pymethods]
impl Drain {
    fn __call__(&self, py: Python<'_>) -> PyResult<()> {
        self.pump.drain(py)
    }

    /// Futures know their loop, and the loop knows this: without a word here a loop that is never closed stays.
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        if self.ends { self.pump.visit_futures(&visit) } else { Ok(()) }
    }

    fn __clear__(&self) {
        if self.ends {
            self.pump.end();
        }
    }
}

impl Drop for Drain {
    fn drop(&mut self) {
        if self.ends {
            self.pump.end();
        }
    }
}

/// Hears that a future was cancelled.
#[pyclass(frozen, module = "polyfn._native")]
struct Canceller {
    pump: Mutex<Weak<Pump>>,
}

#[pymethods]
impl Canceller {
    fn __call__(&self, future: &Bound<'_, PyAny>) {
        let pump = self.pump.lock().upgrade();
        if let Some(pump) = pump {
            pump.forget(future);
        }
    }
}

/// Hears that a loop is gone, also where no reader of its own could tell.
#[pyclass(frozen, module = "polyfn._native")]
struct LoopGone {
    pump: Mutex<Weak<Pump>>,
}

#[pymethods]
impl LoopGone {
    fn __call__(&self, _reference: &Bound<'_, PyAny>) {
        let pump = self.pump.lock().upgrade();
        if let Some(pump) = pump {
            pump.end();
        }
    }
}
