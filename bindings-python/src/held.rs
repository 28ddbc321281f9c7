//! Calls that wait because too much is waiting to be sent already.
//!
//! They are kept as they were called, not encoded: that memory the caller has spent already.

use std::sync::Arc;

use polyfn_core::session::CallId;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use crate::error::raised;
use crate::function::{self, Callee};
use crate::link::Link;
use crate::pump::Pump;

/// How soon to look again, in seconds: about what 64 KiB take on a slow line.
const PAUSE: f64 = 0.002;

/// A call that is to be sent later.
pub(crate) struct Held {
    pub(crate) id: CallId,
    future: Py<PyAny>,
    callee: Callee,
    args: Py<PyTuple>,
    keywords: Option<Py<PyDict>>,
}

/// Whether a call must queue up.
pub(crate) fn must_wait(pump: &Pump, link: &Link) -> bool {
    let waits_already = pump.held.lock().iter().any(|held| held.callee.link.number == link.number);
    waits_already || link.connection().is_ok_and(polyfn_core::net::Connection::is_congested)
}

/// Puts a call at the end of the queue; gives its future.
pub(crate) fn hold<'py>(
    pump: &Arc<Pump>,
    event_loop: &Bound<'py, PyAny>,
    callee: Callee,
    args: &Bound<'py, PyTuple>,
    keywords: Option<&Bound<'py, PyDict>>,
) -> PyResult<Bound<'py, PyAny>> {
    let (id, future) = pump.expect(event_loop, &callee.link)?;
    let mut held = pump.held.lock();
    held.push_back(Held {
        id,
        future: future.clone().unbind(),
        callee,
        args: args.clone().unbind(),
        keywords: keywords.map(|keywords| keywords.clone().unbind()),
    });
    let is_first = held.len() == 1;
    drop(held);
    if is_first {
        look_again(event_loop, pump)?;
    }
    Ok(future)
}

fn look_again(event_loop: &Bound<'_, PyAny>, pump: &Arc<Pump>) -> PyResult<()> {
    let retry = Bound::new(event_loop.py(), Retry { pump: pump.clone() })?;
    event_loop.call_method1(intern!(event_loop.py(), "call_later"), (PAUSE, retry)).map(drop)
}

/// What the loop calls after a pause.
#[pyclass(frozen, module = "polyfn._native")]
pub(crate) struct Retry {
    pump: Arc<Pump>,
}

#[pymethods]
impl Retry {
    fn __call__(&self, py: Python<'_>) -> PyResult<()> {
        loop {
            let next = {
                let mut held = self.pump.held.lock();
                match held.front() {
                    None => return Ok(()),
                    Some(first) if is_congested(first) => None,
                    Some(_) => held.pop_front(),
                }
            };
            match next {
                Some(held) => held.send(py, &self.pump)?,
                None => return look_again(&self.pump.event_loop(py)?, &self.pump),
            }
        }
    }
}

fn is_congested(held: &Held) -> bool {
    held.callee.link.connection().is_ok_and(polyfn_core::net::Connection::is_congested)
}

impl Held {
    fn send(self, py: Python<'_>, pump: &Pump) -> PyResult<()> {
        if !pump.is_expected(self.id) {
            return Ok(());
        }
        let keywords = self.keywords.as_ref().map(|keywords| keywords.bind(py));
        let sent = function::encode(py, &self.callee, self.args.bind(py), keywords)
            .and_then(|draft| self.callee.link.connection()?.finish_call(self.id, draft));
        if let Err(error) = sent {
            pump.unexpect(py, self.id);
            let error = raised(py, &error).into_value(py);
            self.future.bind(py).call_method1(intern!(py, "set_exception"), (error,))?;
        }
        Ok(())
    }
}
