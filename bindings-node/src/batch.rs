//! Events as records on the tape that JavaScript replays (`js/pump.ts`).

use polyfn_core::codec::{Build, Reader};
use polyfn_core::net::Connection;
use polyfn_core::session::{Event, Invocation, Payload, State};
use polyfn_core::{Error, Result};

use crate::convert::{Extra, Recorder};

/// Kinds of records; the same numbers stand in `js/tape.ts`.
mod kind {
    pub(super) const SHAPE: i32 = 1;
    pub(super) const RESOLVED: i32 = 2;
    pub(super) const REJECTED: i32 = 3;
    pub(super) const INVOKE: i32 = 4;
    pub(super) const RELEASED: i32 = 5;
    pub(super) const SIGNAL: i32 = 6;
    pub(super) const READY: i32 = 7;
    pub(super) const DISCONNECTED: i32 = 8;
    pub(super) const CLOSED: i32 = 9;
    pub(super) const PULL: i32 = 10;
    pub(super) const ITEMS: i32 = 11;
    pub(super) const TAKEN: i32 = 12;
    pub(super) const CANCELLED: i32 = 13;
    /// Beside a kind: the record has texts, the first of what lies beside it.
    pub(super) const HAS_TEXT: i32 = 1 << 8;
    /// Above that: how much lies beside the record.
    pub(super) const BESIDE: u32 = 9;
}

/// Where a record's length goes when it is known.
const LENGTH: i32 = 0;
/// Where it stands how a stream goes on.
const STATE: usize = 2;
const WITH_KWARGS: i32 = 1;
const WITH_CONTEXT: i32 = 2;
const WITH_DEADLINE: i32 = 4;
const WITH_TRACE: i32 = 8;
const WITH_EVENT: i32 = 16;

/// The records of one event.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Told {
    pub(crate) steps: Vec<i32>,
    /// What lies beside them, in order; the texts of a record come before its other extras.
    pub(crate) beside: Vec<Extra>,
}

impl Told {
    /// Records an event. A value that cannot be read ends its call or run with the error.
    pub(crate) fn record(
        &mut self,
        recorder: &mut Recorder,
        client: u32,
        event: &Event,
        connection: Option<&Connection>,
    ) {
        self.steps.clear();
        self.beside.clear();
        recorder.clear();
        if record(recorder, client, event, connection) {
            recorder.end();
            self.add_shapes(recorder);
            self.add_event(recorder);
        } else {
            self.add_shapes(recorder);
        }
    }

    /// What was recorded behind [`taken`].
    pub(crate) fn finished(recorder: &mut Recorder, state: i32) -> Self {
        let mut told = Self::default();
        if let Some(place) = recorder.steps.get_mut(STATE) {
            *place = state;
        }
        recorder.end();
        told.add_shapes(recorder);
        told.add_event(recorder);
        told
    }

    fn add_shapes(&mut self, recorder: &mut Recorder) {
        for (id, lengths, keys) in recorder.fresh.drain(..) {
            let head = kind::SHAPE | kind::HAS_TEXT | 1 << kind::BESIDE;
            self.steps.extend([head, lengths.len() as i32 + 4, id, lengths.len() as i32]);
            self.steps.extend(lengths);
            self.beside.push(Extra::Text(keys));
        }
    }

    fn add_event(&mut self, recorder: &mut Recorder) {
        let before = self.beside.len();
        let mut head = 0;
        if !recorder.text.is_empty() {
            head = kind::HAS_TEXT;
            self.beside.push(Extra::Text(std::mem::take(&mut recorder.text)));
        }
        self.beside.append(&mut recorder.extras);
        head |= ((self.beside.len() - before) as i32) << kind::BESIDE;
        let len = recorder.steps.len() as i32;
        if let Some([kind, length]) = recorder.steps.first_chunk_mut::<2>() {
            *kind |= head;
            *length = len;
        }
        self.steps.append(&mut recorder.steps);
    }
}

/// Begins the record of items that JavaScript takes; the values follow, then [`Told::finished`].
pub(crate) fn taken(tape: &mut Recorder) {
    tape.steps.extend([kind::TAKEN, LENGTH, 0]);
}

/// Whether there is anything to tell.
fn record(tape: &mut Recorder, client: u32, event: &Event, connection: Option<&Connection>) -> bool {
    match event {
        Event::Resolved { call, value } => {
            tape.steps.extend([kind::RESOLVED, LENGTH]);
            tape.id(*call);
            if let Err(error) = first(tape, value) {
                tape.clear_values();
                rejected(tape, *call, &error);
            }
        }
        Event::Rejected { call, error } => rejected(tape, *call, error),
        Event::Invoke(invocation) => {
            if let Err(error) = invoke(tape, client, invocation, connection) {
                if let (Some(connection), Some(run)) = (connection, invocation.run) {
                    connection.reject(run, &error.at("the arguments"));
                }
                return false;
            }
        }
        Event::Released(handle) => {
            tape.steps.extend([kind::RELEASED, LENGTH]);
            tape.id(*handle);
        }
        Event::Cancelled { run } => {
            tape.steps.extend([kind::CANCELLED, LENGTH, client as i32]);
            tape.id(*run);
        }
        Event::Pull { source, .. } => {
            tape.steps.extend([kind::PULL, LENGTH, client as i32]);
            tape.id(*source);
        }
        Event::Items { stream, .. } => {
            tape.steps.extend([kind::ITEMS, LENGTH]);
            tape.id(*stream);
        }
        Event::Signal { kind: name, message, .. } => {
            tape.steps.extend([kind::SIGNAL, LENGTH, client as i32]);
            tape.string(name);
            return tape.value(&mut Reader::new(message)).is_ok();
        }
        Event::State(state) => state_changed(tape, client, state, connection),
        _ => return false,
    }
    true
}

fn first(tape: &mut Recorder, payload: &Payload) -> Result<()> {
    let mut reader = payload.reader();
    if reader.list()? == 0 { tape.nil().map(drop) } else { tape.value(&mut reader) }
}

fn rejected(tape: &mut Recorder, call: u64, error: &Error) {
    tape.steps.extend([kind::REJECTED, LENGTH]);
    tape.id(call);
    tape.error(error);
}

fn invoke(
    tape: &mut Recorder,
    client: u32,
    invocation: &Invocation,
    connection: Option<&Connection>,
) -> Result<()> {
    let left = invocation.deadline.zip(connection).map(|(deadline, it)| it.time_until(deadline));
    tape.steps.extend([kind::INVOKE, LENGTH, client as i32]);
    tape.id(invocation.run.unwrap_or_default());
    tape.id(invocation.handler);
    let flag = |is_set: bool, flag: i32| if is_set { flag } else { 0 };
    tape.steps.push(
        flag(invocation.payload.with_kwargs, WITH_KWARGS)
            | flag(invocation.context.is_some(), WITH_CONTEXT)
            | flag(left.is_some(), WITH_DEADLINE)
            | flag(invocation.trace.is_some(), WITH_TRACE)
            | flag(invocation.event.is_some(), WITH_EVENT),
    );
    let mut reader = invocation.payload.reader();
    for _ in 0..reader.list()? {
        tape.value(&mut reader)?;
    }
    if let Some(context) = &invocation.context {
        tape.value(&mut Reader::new(context))?;
    }
    if let Some(left) = left {
        tape.number(left.as_secs_f64() * 1e3);
    }
    if let Some(trace) = &invocation.trace {
        tape.string(trace);
    }
    Ok(())
}

fn state_changed(tape: &mut Recorder, client: u32, state: &State, connection: Option<&Connection>) {
    match state {
        State::Ready { failed, first } => {
            tape.steps.extend([kind::READY, LENGTH, client as i32, i32::from(*first)]);
            let info = connection.map(Connection::connection_info).unwrap_or_default();
            // A handshake is JSON, and JSON it stays: this happens once per connection.
            tape.string(&info.raw.to_json().map(|json| json.to_string()).unwrap_or_default());
            for (service, error) in failed {
                tape.string(service);
                tape.error(error);
            }
        }
        State::Disconnected { reason } => {
            tape.steps.extend([kind::DISCONNECTED, LENGTH, client as i32]);
            tape.string(reason);
        }
        State::Closed { error } => {
            tape.steps.extend([kind::CLOSED, LENGTH, client as i32]);
            tape.error(error);
        }
        _ => tape.steps.extend([kind::DISCONNECTED, LENGTH, client as i32]),
    }
}

#[cfg(test)]
mod tests;
