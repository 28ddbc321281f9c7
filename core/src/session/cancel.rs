//! The early end of a call: who gave up tells, and the function that nobody waits for is broken off.

use bytes::Bytes;

use super::Extensions;
use super::calls::{Call, CallKey, Owner};
use super::draft::CallSpec;
use super::event::{CallId, Event, Time};
use super::join::Phase;
use super::session::{Outgoing, Session};
use super::transfer::Waiter;
use crate::codec::{Promise, Writer};
use crate::wire::{CANCEL, Header};
use crate::{Error, ErrorKind, Result};

impl Session {
    /// Gives up waiting for a call: its functions are released, its owner is told where it knows that, a late reply
    /// is ignored.
    pub fn forget_call(&mut self, id: CallId, now: Time) {
        let Some((key, call)) = self.calls.take_by_owner(id) else { return };
        if matches!(call.owner, Owner::Language(_)) {
            self.give_up(key, &call, now);
            self.take_back(&call.target, call.objects);
        } else if matches!(self.phase, Phase::Offline) && self.take_unsent(key) {
            self.end_call(call, Err(Error::new(ErrorKind::Cancelled, "given up before it was made")), now);
        } else {
            // what the server has been told cannot be taken back: its answer counts
            self.calls.insert(key.as_str(), call);
        }
    }

    /// Nobody waits for a call any longer. One that waited here for a connection is not made.
    pub(super) fn give_up(&mut self, key: CallKey, call: &Call, now: Time) {
        if !self.take_unsent(key) {
            self.send_cancel(key, call, now);
        }
    }

    /// Takes back the request of a call that has not left.
    fn take_unsent(&mut self, key: CallKey) -> bool {
        let is_request = |outgoing: &Outgoing| {
            let header = Header::parse(&outgoing.frame);
            header.is_ok_and(|header| header.kind == "method" && header.session == Some(key.as_str()))
        };
        let Some(at) = self.waiting.iter().position(is_request) else { return false };
        let frame = self.waiting.remove(at).map_or(0, |outgoing| outgoing.frame.len());
        self.outgoing_bytes -= frame;
        true
    }

    /// Says of all calls that nobody waits for them any longer, since we go for good.
    pub fn say_goodbye(&mut self) {
        if !self.extensions.has(Extensions::CANCEL) || !self.phase.is_ready() {
            return;
        }
        let frames: Vec<(String, Vec<u8>)> = self
            .calls
            .all()
            .filter(|(_, call)| matches!(call.owner, Owner::Language(_)))
            .filter_map(|(key, call)| {
                let from = call.from.as_deref().unwrap_or(&self.address);
                Some((call.target.clone(), cancel_frame(from, call, key).ok()?.to_vec()))
            })
            .collect();
        frames.into_iter().for_each(|(target, frame)| self.send(&target, frame.into()));
    }

    /// Tells the owner of a function that nobody waits for it any longer.
    fn send_cancel(&mut self, key: CallKey, call: &Call, now: Time) {
        if !matches!(call.owner, Owner::Language(_)) {
            return;
        }
        let is_request = |waiter: &Waiter| matches!(waiter, Waiter::Call(session) if session == key.as_str());
        self.stop_transfer(is_request, now);
        if self.extensions.has(Extensions::CANCEL)
            && let Ok(frame) = cancel_frame(call.from.as_deref().unwrap_or(&self.address), call, key)
        {
            self.send(&call.target, frame);
        }
    }

    /// A caller has given up. Only its own runs are found, and one that has ended is not.
    pub(super) fn receive_cancel(&mut self, header: &Header<'_>, now: Time) {
        let Some(session) = header.session else { return };
        match self.runs.find(header.from, session) {
            Some(run) if self.runs.cancel(run).is_some() => self.emit(Event::Cancelled { run }),
            Some(_) => {}
            None => {
                let is_reply = |waiter: &Waiter| matches!(waiter, Waiter::Caller(run) if run.is_of(header.from, session));
                self.stop_transfer(is_reply, now);
            }
        }
    }

    /// Whatever a peer answers is a sign of life.
    pub(super) fn ask_whether_there(&mut self, peer: &str, now: Time) {
        let spec = CallSpec {
            target: peer,
            method: "services.built-in.ping",
            promise: Promise::Star,
            args: 1,
            ..CallSpec::default()
        };
        // what cannot be sent is not answered
        _ = self.begin_call(&spec).and_then(|mut draft| {
            draft.writer.text("ping")?;
            self.send_call(Owner::Nobody, draft, now)
        });
    }

    /// Sends the signs of life that are due; ends the runs whose callers do not wait any longer.
    pub(super) fn tick_runs(&mut self, now: Time) {
        let due = self.runs.due(now);
        due.asked.iter().for_each(|caller| self.ask_whether_there(caller, now));
        due.forgotten.into_iter().for_each(|run| self.emit(Event::Cancelled { run }));
        for caller in due.lost {
            let given = self.objects.forget(&caller);
            self.let_all_go(given);
        }
        for beat in due.beats {
            self.send_heartbeat(&beat);
        }
        for id in due.expired {
            if let Some(run) = self.runs.cancel(id) {
                let error = Error::new(ErrorKind::Timeout, "the caller's deadline has passed");
                self.send_reject(&run, &error, now);
                self.emit(Event::Cancelled { run: id });
            }
        }
    }
}

fn cancel_frame(from: &str, call: &Call, key: CallKey) -> Result<Bytes> {
    let mut out = Writer::new();
    out.open_map(4)?;
    for (name, value) in [("type", CANCEL), ("from", from), ("to", &call.target), ("session", key.as_str())] {
        out.text(name)?;
        out.text(value)?;
    }
    out.close();
    Ok(Bytes::from(out.into_bytes()))
}
