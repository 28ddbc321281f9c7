//! A Python function as a handler: called in the drain, in a context of its own, answered without a task
//! unless it suspends.

use std::sync::Arc;

use parking_lot::Mutex;
use polyfn_core::codec::Reader;
use polyfn_core::session::{Invocation, RunId};
use polyfn_core::{Error, ErrorKind};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple};

use crate::convert::{Inbound, Outbound};
use crate::error::{from_exception, is_ordinary};
use crate::fill::Fills;
use crate::http;
use crate::interpreter::{Interpreter, call0, method1};
use crate::link::Link;
use crate::pump::{Owner, Pump, TaskKey};
use crate::scope::Scope;
use crate::source::Source;
use crate::step::{self, Outcome, Step};

/// Who waits for the end of what runs.
#[derive(Clone)]
pub(crate) enum Waiter {
    Nobody,
    Caller(RunId),
    /// The reader of a generator.
    Reader(Arc<Source>),
}

/// Something that runs for a peer, and where its end goes.
pub(crate) struct Job {
    pub(crate) link: Arc<Link>,
    pub(crate) waiter: Waiter,
    pub(crate) pump: Arc<Pump>,
    /// Where it runs.
    pub(crate) context: Py<PyAny>,
    /// Whether it answers an HTTP request.
    pub(crate) is_event: bool,
}

impl Job {
    /// Sends the result, or what was raised instead. What must not be caught comes back.
    pub(crate) fn answer(&self, py: Python<'_>, result: PyResult<Bound<'_, PyAny>>) -> PyResult<()> {
        if let Waiter::Reader(source) = &self.waiter {
            return source.ended(py, result);
        }
        match result {
            Ok(value) => {
                self.resolve(py, &value);
                Ok(())
            }
            Err(error) => {
                if let Some(Ok(answer)) = self.is_event.then(|| http::answer_of(py, &error)).flatten() {
                    self.resolve(py, &answer);
                    return Ok(());
                }
                self.reject(&from_exception(py, &error));
                if is_ordinary(py, &error) { Ok(()) } else { Err(error) }
            }
        }
    }

    /// The key of a task for it.
    pub(crate) fn key(&self) -> TaskKey {
        let owner = match &self.waiter {
            Waiter::Nobody => Owner::Nobody(self.pump.next_key()),
            Waiter::Caller(run) => Owner::Run(*run),
            Waiter::Reader(source) => source.owner(),
        };
        (self.link.number, owner)
    }

    fn resolve(&self, py: Python<'_>, value: &Bound<'_, PyAny>) {
        let (Waiter::Caller(run), Ok(connection)) = (&self.waiter, self.link.connection()) else { return };
        // Nobody waits any longer when there is no draft.
        let Some(mut draft) = connection.begin_reply(*run) else { return };
        let outbound = Outbound::new(py, &self.link).within(self.context.bind(py));
        match outbound.put(&mut draft.writer, value) {
            Ok(()) => connection.finish_reply(draft),
            Err(error) => {
                self.link.release_all(py, draft.abandon());
                connection.reject(*run, &error.at("result"));
            }
        }
    }

    fn reject(&self, error: &Error) {
        if let (Waiter::Caller(run), Ok(connection)) = (&self.waiter, self.link.connection()) {
            connection.reject(*run, error);
        }
    }
}

/// Runs what a peer asked for.
pub(crate) fn invoke(
    py: Python<'_>,
    link: &Arc<Link>,
    pump: &Arc<Pump>,
    invocation: &Invocation,
) -> PyResult<()> {
    let interpreter = Interpreter::get(py)?;
    let job = Job {
        link: link.clone(),
        waiter: invocation.run.map_or(Waiter::Nobody, Waiter::Caller),
        pump: pump.clone(),
        context: call0(interpreter.copy_context.bind(py))?.unbind(),
        is_event: invocation.event.is_some(),
    };
    let left = invocation.deadline.and_then(|at| Some(link.connection().ok()?.time_until(at)));
    Scope::new(left, invocation.trace.as_deref()).enter(py, job.context.bind(py))?;
    let Some(handler) = link.handler(py, invocation.handler) else {
        job.reject(&Error::new(ErrorKind::NotFound, "Method not found: the function was taken back"));
        return Ok(());
    };
    match arguments(py, interpreter, &job, invocation) {
        Ok((args, keywords, fills)) if fills.is_empty() => run(py, job, handler, args, keywords),
        Ok((args, keywords, fills)) => {
            run_when_filled(job, handler, args, keywords, fills);
            Ok(())
        }
        Err(error) => {
            job.reject(&error);
            Ok(())
        }
    }
}

/// Calls a function when its arguments are there as a whole, unless nobody waits for it any longer by then.
fn run_when_filled<'py>(
    job: Job,
    handler: Bound<'py, PyAny>,
    args: Bound<'py, PyTuple>,
    keywords: Option<Bound<'py, PyDict>>,
    fills: Fills,
) {
    let (key, inbox) = (job.key(), job.pump.inbox.clone());
    let (handler, args, keywords) = (handler.unbind(), args.unbind(), keywords.map(Bound::unbind));
    job.pump.begin_arrival(key);
    fills.run_apart(&inbox, move |py| {
        if !job.pump.end_arrival(key) {
            job.reject(&Error::new(ErrorKind::Cancelled, "the call was cancelled before it began"));
            return Ok(());
        }
        let keywords = keywords.map(|keywords| keywords.into_bound(py));
        run(py, job, handler.into_bound(py), args.into_bound(py), keywords)
    });
}

/// Calls a function in the job's context; what it gives, now or later, is the job's end.
pub(crate) fn run<'py>(
    py: Python<'py>,
    job: Job,
    handler: Bound<'py, PyAny>,
    args: Bound<'py, PyTuple>,
    keywords: Option<Bound<'py, PyDict>>,
) -> PyResult<()> {
    let event_loop = job.pump.event_loop(py)?;
    let step = Step {
        handler: handler.unbind(),
        args: args.unbind(),
        keywords: keywords.map(Bound::unbind),
        event_loop: event_loop.clone().unbind(),
        outcome: Mutex::new(None),
    };
    let step = Bound::new(py, step)?;
    method1(job.context.bind(py), intern!(py, "run"), step.as_any())?;
    let outcome = step.get().outcome.lock().take();
    match outcome {
        Some(Outcome::Ended(result)) => job.answer(py, result.map(|value| value.into_bound(py))),
        Some(Outcome::Coroutine(coroutine)) => step::start_eagerly(py, job, &event_loop, coroutine),
        Some(Outcome::Suspended(suspended)) => suspended.promote(py, job, &event_loop),
        None => {
            job.reject(&Error::new(ErrorKind::Internal, "the function was not run"));
            Ok(())
        }
    }
}

type Arguments<'py> = (Bound<'py, PyTuple>, Option<Bound<'py, PyDict>>, Fills);

/// Decodes the arguments; the context, where it is wanted, is one by name.
fn arguments<'py>(
    py: Python<'py>,
    interpreter: &Interpreter,
    job: &Job,
    invocation: &Invocation,
) -> polyfn_core::Result<Arguments<'py>> {
    job.pump.with_keys(|keys| {
        let mut inbound = Inbound::new(py, interpreter, keys, &job.link).filled_later();
        let mut reader = invocation.payload.reader();
        let count = reader.list()?;
        let by_position = count.saturating_sub(usize::from(invocation.payload.with_kwargs));
        // Not by the announced count: it is checked against the bytes, which may be many.
        let mut args = Vec::with_capacity(by_position.min(16));
        for _ in 0..by_position {
            args.push(reader.build(&mut inbound)?);
        }
        if invocation.event.is_some()
            && let Some(event) = args.first()
        {
            let made = http::make_event(event);
            made.map_err(|_| Error::new(ErrorKind::Internal, "cannot make the event"))?;
        }
        let mut keywords = None;
        if count > by_position {
            let map = reader.build(&mut inbound)?;
            let map = map.cast_into::<PyDict>();
            keywords = Some(map.map_err(|_| Error::invalid("keyword arguments must be a map"))?);
        }
        if let Some(context) = &invocation.context {
            let context = Reader::new(context).build(&mut inbound)?;
            let keywords = keywords.get_or_insert_with(|| PyDict::new(py));
            let set = keywords.set_item(intern!(py, "context"), context);
            set.map_err(|_| Error::new(ErrorKind::Internal, "cannot pass the context"))?;
        }
        let args =
            PyTuple::new(py, args).map_err(|error| Error::new(ErrorKind::Internal, error.to_string()))?;
        Ok((args, keywords, inbound.into_fills()))
    })
}

/// Whether a result may be awaited. Plain values, which most are, are told by their type alone.
pub(crate) fn is_awaitable(object: &Bound<'_, PyAny>) -> bool {
    let is_plain = object.is_none()
        || object.is_exact_instance_of::<PyDict>()
        || object.is_exact_instance_of::<PyString>()
        || object.is_exact_instance_of::<PyInt>()
        || object.is_exact_instance_of::<PyList>()
        || object.is_exact_instance_of::<PyBytes>()
        || object.is_exact_instance_of::<PyFloat>()
        || object.is_exact_instance_of::<PyBool>()
        || object.is_exact_instance_of::<PyTuple>();
    !is_plain && object.get_type().hasattr(intern!(object.py(), "__await__")).unwrap_or(false)
}

/// Tells how a task ended that began on its own.
#[pyclass(frozen, module = "polyfn._native")]
pub(crate) struct Finish {
    pub(crate) job: Job,
    pub(crate) key: TaskKey,
}

#[pymethods]
impl Finish {
    fn __call__(&self, task: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = task.py();
        self.job.pump.drop_task(self.key);
        // What must not be caught the loop has seen already, from the task itself.
        let _ = self.job.answer(py, task.call_method0(intern!(py, "result")));
        Ok(())
    }
}
