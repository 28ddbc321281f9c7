//! Functions that run on behalf of peers: where the reply goes, and when to say that the work goes on.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use bytes::Bytes;

use super::Extensions;
use super::absent::{Absent, Ready};
use super::draft::{Beside, ReplyDraft, Speaker};
use super::event::{RunId, Time};
use super::sealing::Said;
use super::session::Session;
use super::transfer::Waiter;
use crate::codec::{Promise, Stub, Writer};
use crate::wire::{Extras, Header, PublicKey, Reply, Route, absolute, begin_body, end_body};
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
    /// The key that the call was sealed with, to which the reply is sealed.
    pub(super) key: Option<PublicKey>,
    interval: Duration,
    next_beat: Time,
    /// What the caller can do, as far as both sides named it.
    pub(super) extensions: Extensions,
    /// Until when the caller waits.
    pub(super) deadline: Option<Time>,
    /// Nobody waits for it any longer.
    is_cancelled: bool,
}

/// All functions that run.
#[derive(Debug, Default)]
pub(super) struct Runs {
    by_id: HashMap<RunId, Run>,
    /// Runs that their caller may cancel, by a hash of the caller and its session.
    by_call: HashMap<u64, RunId>,
    /// How many each caller has, by a hash of its name; two of the same hash share their limit.
    by_caller: HashMap<u64, usize>,
    hasher: RandomState,
    last: RunId,
    pub(super) absent: Absent,
    next_check: Option<Time>,
}

/// Runs for which something is due.
#[derive(Debug, Default)]
pub(super) struct Due {
    /// Their callers want to hear that they go on.
    pub(super) beats: Vec<Run>,
    /// Their callers do not wait any longer.
    pub(super) expired: Vec<RunId>,
    /// Callers to be asked whether they have come back.
    pub(super) asked: Vec<String>,
    /// Callers that have not come back.
    pub(super) lost: Vec<String>,
    /// Their callers are among these.
    pub(super) forgotten: Vec<RunId>,
}

impl Runs {
    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }

    pub(super) fn clear(&mut self) {
        self.by_id.clear();
        self.by_call.clear();
        self.by_caller.clear();
        self.absent.clear();
    }

    /// How many functions run for `caller`.
    fn count(&self, caller: &str) -> usize {
        self.by_caller.get(&self.hasher.hash_one(caller)).copied().unwrap_or_default()
    }

    pub(super) fn next_check(&self) -> Option<Time> {
        self.next_check.into_iter().chain(self.absent.next_check()).min()
    }

    pub(super) fn due(&mut self, now: Time) -> Due {
        let mut due = Due::default();
        if self.next_check().is_none_or(|at| at > now) {
            return due;
        }
        for (id, run) in self.by_id.iter_mut().filter(|(_, run)| !run.is_cancelled) {
            if run.deadline.is_some_and(|at| at <= now) {
                due.expired.push(*id);
            } else if run.take_beat(now) {
                due.beats.push(run.clone());
            }
        }
        let overdue = self.absent.due(now);
        (due.asked, due.lost) = (overdue.asked, overdue.lost);
        due.forgotten = due.lost.iter().flat_map(|caller| self.forget(caller)).collect();
        let open = self.by_id.values().filter(|run| run.deadline.is_none_or(|at| at > now));
        self.next_check = open.filter_map(Run::next_check).min();
        due
    }

    /// A peer has gone, whose calls run on.
    pub(super) fn leaves(&mut self, caller: &str, now: Time) {
        if self.count(caller) > 0 || self.absent.knows(caller) {
            self.absent.leaves(caller, now);
        }
    }

    /// Nobody waits for these any longer. Those whose callers know cancelling are to be broken off; the others go on,
    /// as the callers of old expect, and count until they have ended.
    fn forget(&mut self, caller: &str) -> Vec<RunId> {
        let of_caller = self.by_id.iter().filter(|(_, run)| run.caller == caller);
        let ids: Vec<_> = of_caller.map(|(id, _)| *id).collect();
        let cancelled = ids
            .into_iter()
            .filter(|id| self.cancel(*id).is_some_and(|run| run.extensions.has(Extensions::CANCEL)));
        cancelled.collect()
    }

    fn add(&mut self, run: Run) -> RunId {
        self.last += 1;
        if let Some(next) = run.next_check() {
            self.next_check = Some(self.next_check.map_or(next, |at| at.min(next)));
        }
        if run.extensions.has(Extensions::CANCEL) {
            self.by_call.insert(self.hash(&run.caller, &run.session), self.last);
        }
        *self.by_caller.entry(self.hasher.hash_one(&run.caller)).or_default() += 1;
        self.by_id.insert(self.last, run);
        self.last
    }

    /// The run that `caller` asked for in its `session`.
    pub(super) fn find(&self, caller: &str, session: &str) -> Option<RunId> {
        let id = *self.by_call.get(&self.hash(caller, session))?;
        // a hash of strangers may be the same
        self.by_id.get(&id).filter(|run| run.is_of(caller, session)).map(|_| id)
    }

    /// Marks a run as one that nobody waits for; gives it unless it is marked already. It counts until the language
    /// has ended it.
    pub(super) fn cancel(&mut self, id: RunId) -> Option<Run> {
        let run = self.by_id.get_mut(&id).filter(|run| !run.is_cancelled)?;
        run.is_cancelled = true;
        let run = run.clone();
        self.unlist(id, &run);
        Some(run)
    }

    /// A run that has ended: gives it when somebody waits for its end.
    pub(super) fn take(&mut self, id: RunId) -> Option<Run> {
        let run = self.remove(id).filter(|run| !run.is_cancelled)?;
        self.unlist(id, &run);
        Some(run)
    }

    fn remove(&mut self, id: RunId) -> Option<Run> {
        let run = self.by_id.remove(&id)?;
        if let Entry::Occupied(mut count) = self.by_caller.entry(self.hasher.hash_one(&run.caller)) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
        Some(run)
    }

    fn unlist(&mut self, id: RunId, run: &Run) {
        if run.extensions.has(Extensions::CANCEL) {
            let hash = self.hash(&run.caller, &run.session);
            if self.by_call.get(&hash) == Some(&id) {
                self.by_call.remove(&hash);
            }
        }
    }

    fn hash(&self, caller: &str, session: &str) -> u64 {
        self.hasher.hash_one((caller, session))
    }
}

/// How often to say that the work goes on when the caller named no interval.
const DEFAULT_INTERVAL: Duration = Duration::from_secs(15);
/// Bytes that most replies fit into: their buffers need not grow.
const USUAL_REPLY: usize = 384;

impl Run {
    /// The same for the session itself to answer: nobody else could break it off.
    pub(super) fn unbreakable(mut self) -> Self {
        self.extensions = self.extensions.without(Extensions::CANCEL);
        self.deadline = None;
        self
    }

    /// Whether `caller` asked for it in its `session`.
    pub(super) fn is_of(&self, caller: &str, session: &str) -> bool {
        self.caller == caller && self.session == session
    }

    /// When something is due next.
    fn next_check(&self) -> Option<Time> {
        let beat = (self.heartbeat.is_some() && !self.is_cancelled).then_some(self.next_beat);
        let deadline = self.deadline.filter(|_| !self.is_cancelled);
        beat.into_iter().chain(deadline).min()
    }

    /// Whether its caller is due a sign of life; the next one is due an interval later.
    pub(super) fn take_beat(&mut self, now: Time) -> bool {
        let is_due = self.heartbeat.is_some() && self.next_beat <= now;
        if is_due {
            self.next_beat = now + self.interval;
        }
        is_due
    }

    /// Reads from a message where its reply is to go; `None` when no reply is wanted.
    pub(super) fn of(header: &Header<'_>, said: &Said, known: Extensions, now: Time) -> Option<Self> {
        let body = &said.body;
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
        Some(Self {
            me,
            caller,
            session,
            resolve,
            reject,
            heartbeat,
            key: said.key,
            interval,
            next_beat: now + interval,
            extensions: header.extensions() & known,
            deadline: header.deadline(known).map(|left| now + left),
            is_cancelled: false,
        })
    }
}

impl Session {
    /// Notes that a function runs.
    ///
    /// # Errors
    /// `overloaded` with too many running, in all or for this caller.
    pub(super) fn start_run(&mut self, run: Run) -> Result<RunId, (Box<Run>, Error)> {
        let refused = if self.runs.len() >= self.options.max_runs {
            format!("{} functions are running already, try again later", self.options.max_runs)
        } else if self.runs.count(&run.caller) >= self.options.max_runs_per_peer {
            let max = self.options.max_runs_per_peer;
            format!("{max} functions are running for {} already, try again later", run.caller)
        } else {
            return Ok(self.runs.add(run));
        };
        Err((Box::new(run), Error::new(ErrorKind::Overloaded, refused)))
    }

    /// Begins the reply to a run; one value is then written into the draft, without holding the session.
    /// `None` when nobody waits for it any longer.
    pub fn begin_reply(&mut self, id: RunId) -> Option<ReplyDraft> {
        if self.runs.by_id.get(&id)?.is_cancelled {
            self.runs.remove(id);
            return None;
        }
        let session = self.new_id();
        let run = self.runs.by_id.get(&id)?;
        let mut writer = reply_writer(run, &run.resolve, self.extensions).ok()?;
        let (me, to, key) = (run.me.clone(), run.resolve.to.clone(), run.key);
        writer.export_to(self.exports(me, session.clone()));
        let seal = self.seal_to(key);
        if seal.is_none() {
            writer.keep_apart();
        }
        Some(ReplyDraft { writer, run: id, session, to, seal, completed: None })
    }

    /// Sends a reply whose value is written; functions in it stay until nobody has called them for a while.
    pub fn finish_reply(&mut self, mut draft: ReplyDraft, now: Time) {
        let id = draft.run;
        if let Err(error) = draft.complete() {
            draft.abandon().into_iter().for_each(|handle| self.let_go(handle));
            return self.reject(id, &error, now);
        }
        let Some(run) = self.runs.take(id) else {
            draft.abandon().into_iter().for_each(|handle| self.let_go(handle));
            return;
        };
        if let Err(error) = self.keep(&mut draft, &run, now) {
            return self.send_reject(&run, &error, now);
        }
        let (message, beside) = (draft.writer.into_package(), self.beside(&run));
        let waiter = Waiter::Caller(Box::new(run));
        self.send_reply(Ready { to: draft.to, message, waiter, beside }, now);
    }

    /// The parts of a long reply come from whom the caller has asked. A part of the server, which stands in every
    /// workspace, has many addresses.
    fn beside(&self, run: &Run) -> Beside {
        let workspace = run.me.split('/').next().unwrap_or_default();
        if self.info.workspace != "*" || workspace == "*" {
            return Beside::default();
        }
        let (from, workspace) = (run.me.clone(), workspace.to_owned());
        let speaker = Speaker { from, workspace, user: Vec::new(), receiver: run.extensions };
        Beside { speaker: Some(speaker), ..Beside::default() }
    }

    /// Keeps the functions of a result for its receiver.
    fn keep(&mut self, draft: &mut ReplyDraft, run: &Run, now: Time) -> Result<()> {
        let objects = self.give(&mut draft.writer, &run.caller, run.key)?;
        let to = (run.caller.clone(), run.key);
        let session = std::mem::take(&mut draft.session);
        self.objects.keep(session, to, objects, now, &self.options).map_err(|objects| {
            self.take_back(&run.caller, objects);
            let text = format!("{} results with functions are kept already", self.options.max_kept);
            Error::new(ErrorKind::Overloaded, text)
        })
    }

    /// Ends a run with an error.
    pub fn reject(&mut self, id: RunId, error: &Error, now: Time) {
        if let Some(run) = self.runs.take(id) {
            self.send_reject(&run, error, now);
        }
    }

    pub(super) fn send_reject(&mut self, run: &Run, error: &Error, now: Time) {
        if let Ok(frame) = self.reject_frame(run, error) {
            let (to, beside) = (run.reject.to.clone(), self.beside(run));
            self.send_reply(Ready { to, message: frame.into(), waiter: Waiter::Nobody, beside }, now);
        }
    }

    /// Sends an error of our own, which is short.
    pub(super) fn send_refusal(&mut self, run: &Run, error: &Error) {
        if let Ok(frame) = self.reject_frame(run, error) {
            self.send(&run.reject.to, frame);
        }
    }

    fn reject_frame(&mut self, run: &Run, error: &Error) -> Result<Bytes> {
        let mut writer = reply_writer(run, &run.reject, self.extensions)?;
        writer.error(error)?;
        end_body(&mut writer, false, Promise::Never, 0.0)?;
        self.sealed(writer.into_bytes(), run.key)
    }

    /// Answers a run of the session's own with one encoded value.
    pub(super) fn send_resolve(&mut self, run: &Run, value: &[u8], now: Time) {
        let written = reply_writer(run, &run.resolve, self.extensions).and_then(|mut writer| {
            writer.raw(value)?;
            end_body(&mut writer, false, Promise::Never, 0.0)?;
            self.sealed(writer.into_bytes(), run.key)
        });
        if let Ok(frame) = written {
            self.send_long(&run.resolve.to, frame, Waiter::Nobody, Beside::default(), now);
        }
    }

    pub(super) fn send_heartbeat(&mut self, run: &Run) {
        let Some(heartbeat) = &run.heartbeat else { return };
        let mut writer = Writer::new();
        if route(run, heartbeat).write(&mut writer).is_ok() {
            self.send(&heartbeat.to, Bytes::from(writer.into_bytes()));
        }
    }
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

/// Who wrote what `ours` are to a call is told them in the reply as well; nobody else is.
fn reply_writer(run: &Run, reply: &ReplyTo, ours: Extensions) -> Result<Writer> {
    let mut writer = Writer::new();
    writer.reserve(USUAL_REPLY);
    let extras = (!run.extensions.is_empty()).then_some(Extras { extensions: ours, ..Extras::default() });
    Route { extras, ..route(run, reply) }.write(&mut writer)?;
    begin_body(&mut writer, 1, false, Promise::Never)?;
    Ok(writer)
}
