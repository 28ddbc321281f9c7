//! Large bytes that have come are copied into Python's memory on another thread: on the loop's own, 100 MB would hold
//! up everything else there, and most of the time only to get the memory from the system.

use std::sync::Arc;

use bytes::Bytes;
use polyfn_core::memory;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::inbox::Inbox;
use crate::runtime;

/// Smaller bytes are copied at once: to hand them over takes about as long.
const LEAST: usize = 1 << 20;
/// So many are copied before other threads may have the processor.
const TURN: usize = 256 << 10;

/// A `bytes` object whose content is still to come: until then nobody may look into it.
struct Fill {
    to: *mut u8,
    from: Bytes,
    _object: Py<PyBytes>,
}

// SAFETY: the memory belongs to `_object`, which keeps it alive and in its place, and nobody else reads or writes it
// before the fill is done.
unsafe impl Send for Fill {}

impl Fill {
    /// Copies, and lets go of what was copied. In between others have their `turn`.
    fn run(&mut self, turn: impl Fn()) {
        let from = std::mem::take(&mut self.from);
        for start in (0..from.len()).step_by(TURN) {
            let part = &from[start..from.len().min(start + TURN)];
            // SAFETY: the object was made for as many bytes, and is ours alone until it is filled; a second run has none.
            unsafe { std::ptr::copy_nonoverlapping(part.as_ptr(), self.to.add(start), part.len()) };
            turn();
        }
        memory::recycle(from);
    }
}

/// What is still to be filled of the values that are being made.
#[derive(Default)]
pub(crate) struct Fills {
    fills: Vec<Fill>,
    /// Whether whoever has the values made waits for it.
    may_wait: bool,
}

impl Fills {
    /// Large bytes may be filled later.
    pub(crate) fn later() -> Self {
        Self { fills: Vec::new(), may_wait: true }
    }

    /// Nothing is left to be filled.
    pub(crate) fn is_empty(&self) -> bool {
        self.fills.is_empty()
    }

    /// Makes a `bytes` object. A large one has its content only after [`Fills::run`].
    pub(crate) fn bytes<'py>(&mut self, py: Python<'py>, from: Bytes) -> PyResult<Bound<'py, PyBytes>> {
        if !self.may_wait || from.len() < LEAST {
            return Ok(PyBytes::new(py, &from));
        }
        let len = ffi::Py_ssize_t::try_from(from.len())?;
        // SAFETY: without content the call makes an object of `len` bytes that are not set, null without memory.
        let object = unsafe {
            Bound::from_owned_ptr_or_err(py, ffi::PyBytes_FromStringAndSize(std::ptr::null(), len))?
        };
        let object = object.cast_into::<PyBytes>()?;
        // SAFETY: `object` is a bytes object; it is new, so nobody else has seen its memory.
        let to = unsafe { ffi::PyBytes_AsString(object.as_ptr()) }.cast::<u8>();
        memory::advise(to, from.len());
        self.fills.push(Fill { to, from, _object: object.clone().unbind() });
        Ok(object)
    }

    /// Fills what is left, here.
    pub(crate) fn run(&mut self) {
        self.fills.drain(..).for_each(|mut fill| fill.run(|| ()));
    }

    fn len(&self) -> usize {
        self.fills.iter().map(|fill| fill.from.len()).sum()
    }

    /// Fills what is left on another thread; `then` goes on behind it on the loop.
    pub(crate) fn run_apart(
        mut self,
        inbox: &Arc<Inbox>,
        then: impl FnOnce(Python<'_>) -> PyResult<()> + Send + 'static,
    ) {
        let (inbox, bytes) = (inbox.clone(), self.len());
        inbox.begin_fill(bytes);
        let work = move || {
            // The objects go where there is a loop: they must not be let go of here.
            self.fills.iter_mut().for_each(|fill| fill.run(std::thread::yield_now));
            inbox.end_fill(Filled { then: Box::new(then), fills: self, bytes });
        };
        match runtime::handle() {
            Ok(runtime) => drop(runtime.spawn_blocking(work)),
            // Without threads it takes the time of this one.
            Err(_) => work(),
        }
    }
}

/// What goes on, now that it is filled.
pub(crate) struct Filled {
    then: Box<dyn FnOnce(Python<'_>) -> PyResult<()> + Send>,
    fills: Fills,
    pub(crate) bytes: usize,
}

impl Filled {
    pub(crate) fn go_on(self, py: Python<'_>) -> PyResult<()> {
        // First, so that what is filled is held by whoever uses it alone.
        drop(self.fills);
        (self.then)(py)
    }
}
