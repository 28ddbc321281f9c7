//! What a function inherits from the call that it serves: until when its caller waits, and the trace.
//!
//! It stands in a context variable, which is set only where a call says one of the two.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use polyfn_core::session::CallSpec;
use pyo3::intern;
use pyo3::prelude::*;

use crate::interpreter::Interpreter;

/// Until when a call is waited for, and the trace that it belongs to.
#[derive(Clone, Default)]
pub(crate) struct Scope {
    pub(crate) until: Option<Instant>,
    pub(crate) trace: Option<Arc<str>>,
}

/// A scope in the context variable.
#[pyclass(frozen, module = "polyfn._native")]
struct Entered {
    scope: Scope,
}

/// Whether any call has said something yet: before that, nothing need be looked up.
static IS_USED: AtomicBool = AtomicBool::new(false);

impl Scope {
    pub(crate) fn new(timeout: Option<Duration>, trace: Option<&str>) -> Self {
        Self { until: timeout.and_then(|left| Instant::now().checked_add(left)), trace: trace.map(Arc::from) }
    }

    /// That of the function that runs here.
    pub(crate) fn current(py: Python<'_>) -> PyResult<Self> {
        if !IS_USED.load(Ordering::Relaxed) {
            return Ok(Self::default());
        }
        let found = Interpreter::get(py)?.scope.bind(py).call_method1(intern!(py, "get"), (py.None(),))?;
        Ok(found.cast::<Entered>().map(|entered| entered.get().scope.clone()).unwrap_or_default())
    }

    /// This one within that of the function that runs here: who serves a call has no more time than its caller.
    pub(crate) fn inherit(self, py: Python<'_>) -> PyResult<Self> {
        let outer = Self::current(py)?;
        let until = self.until.into_iter().chain(outer.until).min();
        Ok(Self { until, trace: self.trace.or(outer.trace) })
    }

    /// Makes it that of everything that runs in a context.
    pub(crate) fn enter(self, py: Python<'_>, context: &Bound<'_, PyAny>) -> PyResult<()> {
        if self.until.is_none() && self.trace.is_none() {
            return Ok(());
        }
        IS_USED.store(true, Ordering::Relaxed);
        let set = Interpreter::get(py)?.scope.bind(py).getattr(intern!(py, "set"))?;
        context.call_method1(intern!(py, "run"), (set, Entered { scope: self })).map(drop)
    }

    pub(crate) fn left(&self) -> Option<Duration> {
        self.until.map(|until| until.saturating_duration_since(Instant::now()))
    }

    /// Says it in a call.
    pub(crate) fn limit<'a>(&'a self, spec: CallSpec<'a>) -> CallSpec<'a> {
        CallSpec { deadline: self.left(), trace: self.trace.as_deref(), ..spec }
    }
}

/// How many seconds are left until the caller of the function that runs here gives up.
///
/// None where it named no end, and outside of functions.
#[pyfunction]
pub(crate) fn current_deadline(py: Python<'_>) -> PyResult<Option<f64>> {
    Ok(Scope::current(py)?.left().map(|left| left.as_secs_f64()))
}

/// The trace that the call served here belongs to, a W3C `traceparent`; None where there is none.
#[pyfunction]
pub(crate) fn current_trace(py: Python<'_>) -> PyResult<Option<String>> {
    Ok(Scope::current(py)?.trace.map(|trace| trace.to_string()))
}
