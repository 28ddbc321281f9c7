//! Functions that a call of the gateway gives along: its callee may call them, and nobody else, until it ends.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use polyfn_core::codec::{FunctionMeta, Handle, Writer};
use polyfn_core::session::{Invocation, Payload, RunId};
use polyfn_core::{Error, ErrorKind, Result};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::hub::hub::Hub;

/// Calls of one call's functions that may wait to be taken.
const MAX_WAITING: usize = 64;
/// Bytes of their arguments; one call may be longer.
const MAX_WAITING_BYTES: usize = 32 << 20;

/// Functions to be given along with a call: [`Names::write`] puts them into its arguments, [`Callbacks::next`]
/// gives the calls that its callee makes of them. When this is dropped they can be called no longer.
///
/// ```no_run
/// # async fn example(hub: &std::sync::Arc<polyfn_server::hub::Hub>) {
/// let mut callbacks = hub.gateway.callbacks(hub, &["progress"]);
/// // ... a call whose `write` does `callbacks.names().write(0, out)` is made by `Gateway::call_with` ...
/// while let Some(called) = callbacks.next().await {
///     called.answer(|out| out.nil());
/// }
/// # }
/// ```
pub struct Callbacks {
    hub: Arc<Hub>,
    names: Names,
    calls: UnboundedReceiver<Called>,
}

/// Writes the functions of [`Callbacks`], which can be waited for meanwhile.
#[derive(Clone, Copy, Debug)]
pub struct Names {
    first: Handle,
    names: &'static [&'static str],
}

impl Names {
    /// Writes the function of this number as a value.
    ///
    /// # Errors
    /// Those of [`Writer::function`]; `internal` for a number that there is not.
    pub fn write(&self, index: usize, out: &mut Writer) -> Result<()> {
        let Some(name) = self.names.get(index) else {
            return Err(Error::new(ErrorKind::Internal, format!("there is no function {index}")));
        };
        out.function(self.first + index as Handle, &FunctionMeta { name, ..FunctionMeta::default() })
    }
}

/// A call of a function that was given along. Who makes it waits until it is answered; one that is dropped is
/// answered with an error.
pub struct Called {
    /// Which function it is, by its place among the names.
    pub index: usize,
    /// The arguments.
    pub payload: Payload,
    run: Option<RunId>,
    hub: Arc<Hub>,
    waiting: Arc<Waiting>,
}

/// What waits to be taken.
#[derive(Debug, Default)]
struct Waiting {
    calls: AtomicUsize,
    bytes: AtomicUsize,
}

/// Where the calls of a function go.
#[derive(Debug)]
pub(super) struct Place {
    sender: UnboundedSender<Called>,
    index: usize,
    waiting: Arc<Waiting>,
}

impl Place {
    /// Places of so many functions, and where their calls come out.
    pub(super) fn many(count: usize) -> (Vec<Self>, UnboundedReceiver<Called>) {
        let (sender, calls) = unbounded_channel();
        let waiting = Arc::<Waiting>::default();
        let place = |index| Self { sender: sender.clone(), index, waiting: Arc::clone(&waiting) };
        ((0..count).map(place).collect(), calls)
    }

    /// The call as it is to be handed over.
    ///
    /// # Errors
    /// `overloaded` when too much waits already.
    pub(super) fn take(&self, hub: &Arc<Hub>, invocation: Invocation) -> Result<Handover, Error> {
        let Invocation { run, payload, .. } = invocation;
        let (calls, bytes) = (&self.waiting.calls, &self.waiting.bytes);
        if calls.load(Ordering::Relaxed) >= MAX_WAITING || bytes.load(Ordering::Relaxed) >= MAX_WAITING_BYTES
        {
            let text = format!("{MAX_WAITING} calls wait already, await each of them before the next");
            return Err(Error::new(ErrorKind::Overloaded, text));
        }
        calls.fetch_add(1, Ordering::Relaxed);
        bytes.fetch_add(payload.args.len(), Ordering::Relaxed);
        let (hub, waiting) = (Arc::clone(hub), Arc::clone(&self.waiting));
        let called = Called { index: self.index, payload, run, hub, waiting };
        Ok(Handover { sender: self.sender.clone(), called })
    }
}

/// A call on its way to whoever answers it; handed over when no lock is held.
pub(super) struct Handover {
    sender: UnboundedSender<Called>,
    called: Called,
}

impl Handover {
    pub(super) fn deliver(self) {
        // if nobody takes it any longer it is answered with an error by being dropped
        _ = self.sender.send(self.called);
    }
}

impl Callbacks {
    pub(super) fn new(
        hub: Arc<Hub>,
        first: Handle,
        names: &'static [&'static str],
        calls: UnboundedReceiver<Called>,
    ) -> Self {
        Self { hub, names: Names { first, names }, calls }
    }

    /// What writes the functions into arguments.
    #[must_use]
    pub const fn names(&self) -> Names {
        self.names
    }

    /// The next call of one of them.
    ///
    /// # Cancel safety
    /// No call is lost.
    pub async fn next(&mut self) -> Option<Called> {
        let called = self.calls.recv().await;
        called.inspect(Called::note_taken)
    }
}

impl Drop for Callbacks {
    fn drop(&mut self) {
        let Names { first, names } = self.names;
        self.hub.gateway.forget_callbacks(first, names.len());
    }
}

impl Called {
    fn note_taken(&self) {
        self.waiting.calls.fetch_sub(1, Ordering::Relaxed);
        self.waiting.bytes.fetch_sub(self.payload.args.len(), Ordering::Relaxed);
    }

    /// Answers with the one value that `write` writes. Says whether somebody still waited for it.
    pub fn answer(mut self, write: impl FnOnce(&mut Writer) -> Result<()>) -> bool {
        self.run.take().is_some_and(|run| self.hub.gateway.resolve(&self.hub, run, write))
    }

    /// Answers with an error.
    pub fn fail(mut self, error: &Error) {
        if let Some(run) = self.run.take() {
            self.hub.gateway.reject(&self.hub, run, error);
        }
    }
}

impl Drop for Called {
    fn drop(&mut self) {
        if let Some(run) = self.run.take() {
            let error = Error::new(ErrorKind::Cancelled, "nobody answers this call any longer");
            self.hub.gateway.reject(&self.hub, run, &error);
        }
    }
}

impl fmt::Debug for Callbacks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Callbacks").field("names", &self.names).finish_non_exhaustive()
    }
}

impl fmt::Debug for Called {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Called").field("index", &self.index).finish_non_exhaustive()
    }
}
