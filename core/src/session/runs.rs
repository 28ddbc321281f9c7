//! Functions that run on behalf of peers: where the reply goes, and when to say that the work goes on.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;

use super::draft::ReplyDraft;
use super::event::{RunId, Time};
use super::session::Session;
use super::transfer::Waiter;
use crate::codec::{Promise, Stub, Writer};
use crate::wire::{Body, Header, Reply, Route, absolute, begin_body, end_body};
use crate::{Error, ErrorKind, Result};

/// One end of a reply: a method at a peer.
#[derive(Clone, Debug)]
pub(super) struct ReplyTo {
    to: String,
    method: String,
}

/// A function that runs.
#[derive(Clone, Debug)]
pub(super) struct Run {
    /// Our address as the caller wrote it; it expects the reply from there.
    me: String,
    caller: String,
    session: String,
    resolve: ReplyTo,
    reject: ReplyTo,
    heartbeat: Option<ReplyTo>,
    interval: Duration,
    next_beat: Time,
}

/// All functions that run.
#[derive(Debug, Default)]
pub(super) struct Runs {
    by_id: HashMap<RunId, Run>,
    last: RunId,
    next_check: Option<Time>,
}

impl Runs {
    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }

    pub(super) fn clear(&mut self) {
        self.by_id.clear();
    }

    pub(super) const fn next_check(&self) -> Option<Time> {
        self.next_check
    }

    /// Runs whose caller wants to hear that they go on.
    pub(super) fn due_heartbeats(&mut self, now: Time) -> Vec<Run> {
        if self.next_check.is_none_or(|at| at > now) {
            return Vec::new();
        }
        let mut due = Vec::new();
        for run in self.by_id.values_mut().filter(|run| run.next_beat <= now) {
            due.push(run.clone());
            run.next_beat = now + run.interval;
        }
        self.next_check = self.by_id.values().map(|run| run.next_beat).min();
        due
    }

    /// Nobody waits for these any longer.
    pub(super) fn forget(&mut self, caller: &str) {
        self.by_id.retain(|_, run| run.caller != caller);
    }

    pub(super) fn take(&mut self, id: RunId) -> Option<Run> {
        self.by_id.remove(&id)
    }

    pub(super) fn contains(&self, id: RunId) -> bool {
        self.by_id.contains_key(&id)
    }

    fn add(&mut self, run: Run) -> RunId {
        self.last += 1;
        if run.heartbeat.is_some() {
            self.next_check = Some(self.next_check.map_or(run.next_beat, |at| at.min(run.next_beat)));
        }
        self.by_id.insert(self.last, run);
        self.last
    }
}

/// How often to say that the work goes on when the caller named no interval.
const DEFAULT_INTERVAL: Duration = Duration::from_secs(15);

impl Run {
    /// Whether its caller is due a sign of life; the next one is due an interval later.
    pub(super) fn take_beat(&mut self, now: Time) -> bool {
        let is_due = self.next_beat <= now;
        if is_due {
            self.next_beat = now + self.interval;
        }
        is_due
    }

    /// Reads from a message where its reply is to go; `None` when no reply is wanted.
    pub(super) fn of(header: &Header<'_>, body: &Body, now: Time) -> Option<Self> {
        let session = header.session?;
        let from = header.from;
        let derived = |end: &str| ReplyTo { to: from.to_owned(), method: format!("{session}.{end}") };
        let workspace = from.split('/').next().unwrap_or_default();
        // A reply goes back to its caller and nowhere else: we would speak to a third peer with our own rights.
        let written = |stub: &Stub| {
            let to = absolute(&stub.target, workspace);
            let is_reply = to == from && !stub.method.starts_with("services.");
            is_reply.then(|| ReplyTo { to, method: stub.method.clone() })
        };
        let (resolve, reject, heartbeat) = match &body.reply {
            Reply::None => return None,
            Reply::Session => (derived("resolve"), derived("reject"), Some(derived("heartbeat"))),
            Reply::Methods { resolve, reject, heartbeat } => {
                (written(resolve)?, written(reject)?, heartbeat.as_deref().and_then(written))
            }
        };
        let seconds = body.interval.filter(|seconds| seconds.is_finite() && *seconds > 0.0);
        let interval =
            seconds.map_or(DEFAULT_INTERVAL, |seconds| Duration::from_secs_f64(seconds.clamp(0.05, 3600.0)));
        let (me, caller, session) = (header.to.to_owned(), from.to_owned(), session.to_owned());
        Some(Self { me, caller, session, resolve, reject, heartbeat, interval, next_beat: now + interval })
    }
}

impl Session {
    /// Notes that a function runs.
    ///
    /// # Errors
    /// `overloaded` with too many running.
    pub(super) fn start_run(&mut self, run: Run) -> Result<RunId> {
        if self.runs.len() >= self.options.max_runs {
            return Err(Error::new(
                ErrorKind::Overloaded,
                format!("{} functions are running already, try again later", self.options.max_runs),
            ));
        }
        Ok(self.runs.add(run))
    }

    /// Begins the reply to a run; one value is then written into the draft, without holding the session.
    /// `None` when nobody waits for it any longer.
    pub fn begin_reply(&mut self, id: RunId) -> Option<ReplyDraft> {
        let session = self.new_id();
        let run = self.runs.by_id.get(&id)?;
        let mut writer = reply_writer(run, &run.resolve).ok()?;
        writer.export_to(self.exports(run.me.clone(), session.clone()));
        Some(ReplyDraft { writer, run: id, session, to: run.resolve.to.clone() })
    }

    /// Sends a reply whose value is written; functions in it stay until nobody has called them for a while.
    pub fn finish_reply(&mut self, mut draft: ReplyDraft, now: Time) {
        let objects = draft.writer.take_objects();
        let sent = end_body(&mut draft.writer, false, Promise::Never, 0.0);
        if let Err(error) = sent {
            self.release(objects);
            return self.reject(draft.run, &error, now);
        }
        let Some(run) = self.runs.by_id.remove(&draft.run) else {
            return self.release(objects);
        };
        let caller = run.caller.clone();
        if let Err(objects) = self.objects.keep(draft.session, caller, objects, now, &self.options) {
            self.release(objects);
        }
        let frame = Bytes::from(draft.writer.into_bytes());
        self.send_long(&draft.to, frame, Waiter::Caller(Box::new(run)), None, now);
    }

    /// Ends a run with an error.
    pub fn reject(&mut self, id: RunId, error: &Error, now: Time) {
        if let Some(run) = self.runs.by_id.remove(&id) {
            self.send_reject(&run, error, now);
        }
    }

    pub(super) fn send_reject(&mut self, run: &Run, error: &Error, now: Time) {
        if let Ok(frame) = reject_frame(run, error) {
            self.send_long(&run.reject.to.clone(), frame, Waiter::Nobody, None, now);
        }
    }

    /// Sends an error of our own, which is short.
    pub(super) fn send_refusal(&mut self, run: &Run, error: &Error) {
        if let Ok(frame) = reject_frame(run, error) {
            self.send(&run.reject.to.clone(), frame);
        }
    }

    /// Answers a run of the session's own with one encoded value.
    pub(super) fn send_resolve(&mut self, run: &Run, value: &[u8], now: Time) {
        let written = reply_writer(run, &run.resolve).and_then(|mut writer| {
            writer.raw(value)?;
            end_body(&mut writer, false, Promise::Never, 0.0)?;
            Ok(writer.into_bytes())
        });
        if let Ok(frame) = written {
            self.send_long(&run.resolve.to.clone(), Bytes::from(frame), Waiter::Nobody, None, now);
        }
    }

    pub(super) fn send_heartbeat(&mut self, run: &Run) {
        let Some(heartbeat) = &run.heartbeat else { return };
        let mut writer = Writer::new();
        if route(run, heartbeat).write(&mut writer).is_ok() {
            self.send(&heartbeat.to.clone(), Bytes::from(writer.into_bytes()));
        }
    }
}

fn reject_frame(run: &Run, error: &Error) -> Result<Bytes> {
    let mut writer = reply_writer(run, &run.reject)?;
    writer.error(error)?;
    end_body(&mut writer, false, Promise::Never, 0.0)?;
    Ok(Bytes::from(writer.into_bytes()))
}

fn route<'a>(run: &'a Run, reply: &'a ReplyTo) -> Route<'a> {
    Route {
        from: &run.me,
        to: &reply.to,
        method: &reply.method,
        parent: Some(&run.session),
        ..Route::default()
    }
}

fn reply_writer(run: &Run, reply: &ReplyTo) -> Result<Writer> {
    let mut writer = Writer::new();
    route(run, reply).write(&mut writer)?;
    begin_body(&mut writer, 1, false, Promise::Never)?;
    Ok(writer)
}
