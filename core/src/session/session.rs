//! [`Session`]: the only entry. What it does with each kind of input stands in the files beside this one.

use std::collections::VecDeque;

use bytes::Bytes;

use super::Extensions;
use super::calls::{Call, Calls, Owner};
use super::draft::{Beside, CallDraft, CallSpec};
use super::event::{CallId, Event, State, Time};
use super::interfaces::Interfaces;
use super::join::Phase;
use super::listening::Listening;
use super::objects::Objects;
use super::options::{ConnectionInfo, Options};
use super::references::References;
use super::runs::Runs;
use super::sealer::Sealer;
use super::services::Services;
use super::sources::Sources;
use super::streams::Streams;
use super::subscriptions::Subscriptions;
use super::transfer::{Transfers, Waiter};
use crate::codec::{Export, Exports, Handle, Promise, Writer};
use crate::wire::{ChunkStore, Extras, FURTHEST, Route, absolute, begin_body};
use crate::{Error, ErrorKind, Result, memory};

/// Bytes that most calls fit into, without what identifies a user: their buffers need not grow.
const USUAL_CALL: usize = 512;

/// Letters of an id.
pub(super) const ID_LEN: usize = 20;

/// Frames that may pass a part of a long message, one after the other: the part is to arrive at last, too.
const MAX_PASSING: usize = 64;
/// Bytes of an event. Those who read it may know no frames that are longer.
const EVENT_MAX: usize = 262_144 + 1024;

/// A frame that is to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// The receiver, absolute.
    pub to: String,
    /// The frame.
    pub frame: Bytes,
}

/// How much a session holds; all of it is bounded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Calls under way.
    pub calls: usize,
    /// Functions running for peers.
    pub runs: usize,
    /// Sessions that hold functions given away in results.
    pub kept: usize,
    /// Objects given away whose functions outlive the call (`_rintf`).
    pub interfaces: usize,
    /// Functions given away: in arguments, in results, in interfaces.
    pub functions: usize,
    /// Long messages arriving in parts.
    pub chunks: usize,
    /// Long messages leaving in parts.
    pub transfers: usize,
    /// Generators of peers that are being read.
    pub streams: usize,
    /// Generators of ours that peers are reading.
    pub sources: usize,
    /// Bytes of items of peers' generators that may come, or have come and are not used up.
    pub stream_bytes: usize,
    /// Bytes waiting to be sent.
    pub outgoing_bytes: usize,
}

impl Statistics {
    /// Each count with its name.
    pub const fn entries(&self) -> [(&'static str, usize); 8] {
        [
            ("calls", self.calls),
            ("runs", self.runs),
            ("kept", self.kept),
            ("chunks", self.chunks),
            ("transfers", self.transfers),
            ("streams", self.streams),
            ("sources", self.sources),
            ("outgoing_bytes", self.outgoing_bytes),
        ]
    }
}

/// One end of a connection, as a state machine.
#[derive(Debug)]
pub struct Session {
    pub(super) options: Options,
    pub(super) info: ConnectionInfo,
    pub(super) address: String,
    pub(super) manager: String,
    /// What the server knows as well.
    pub(super) extensions: Extensions,
    pub(super) phase: Phase,
    /// The server has said that it lost this connection.
    pub(super) is_lost: bool,
    pub(super) listening: Listening,
    pub(super) calls: Calls,
    pub(super) runs: Runs,
    pub(super) services: Services,
    pub(super) objects: Objects,
    pub(super) interfaces: Interfaces,
    pub(super) references: References,
    pub(super) sealer: Option<Sealer>,
    pub(super) chunks: ChunkStore,
    pub(super) transfers: Transfers,
    pub(super) streams: Streams,
    pub(super) sources: Sources,
    pub(super) subscriptions: Subscriptions,
    events: VecDeque<Event>,
    sending: VecDeque<Outgoing>,
    /// Parts of long messages: other frames pass them.
    parts: VecDeque<Outgoing>,
    /// How many have passed the first of them.
    passed: usize,
    pub(super) waiting: VecDeque<Outgoing>,
    pub(super) outgoing_bytes: usize,
    /// Large memory is kept until the connection is over.
    keeping: Option<memory::Keeping>,
    random: fastrand::Rng,
}

impl Session {
    /// A session that is not connected yet.
    pub fn new(options: Options) -> Self {
        Self {
            random: fastrand::Rng::with_seed(options.seed),
            chunks: ChunkStore::new(options.chunks),
            keeping: Some(memory::Keeping::new(options.memory_kept)),
            sealer: options.encryption.clone().map(Sealer::new),
            options,
            info: ConnectionInfo::default(),
            address: String::new(),
            manager: String::new(),
            extensions: Extensions::NONE,
            phase: Phase::default(),
            is_lost: false,
            listening: Listening::default(),
            calls: Calls::default(),
            runs: Runs::default(),
            services: Services::default(),
            objects: Objects::default(),
            interfaces: Interfaces::default(),
            references: References::default(),
            transfers: Transfers::default(),
            streams: Streams::default(),
            sources: Sources::default(),
            subscriptions: Subscriptions::default(),
            events: VecDeque::new(),
            sending: VecDeque::new(),
            parts: VecDeque::new(),
            passed: 0,
            waiting: VecDeque::new(),
            outgoing_bytes: 0,
        }
    }

    /// A session that is part of the server: it needs no handshake and registers nothing.
    pub fn local(options: Options, info: ConnectionInfo) -> Self {
        let mut session = Self::new(options);
        session.set_identity(info);
        session.phase = Phase::Ready;
        session.add_built_in();
        session
    }

    pub(super) fn set_identity(&mut self, info: ConnectionInfo) {
        self.address = format!("{}/{}", info.workspace, info.client_id);
        self.manager = format!("*/{}", info.manager_id);
        self.extensions = self.options.extensions & info.extensions;
        self.info = info;
    }

    /// The own address, `workspace/client`; empty before the first connection.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The manager's address, `*/manager-...`.
    pub fn manager(&self) -> &str {
        &self.manager
    }

    /// What the server said at the last handshake.
    pub const fn connection_info(&self) -> &ConnectionInfo {
        &self.info
    }

    /// Extensions of the protocol in use: those that we and the server know.
    pub const fn extensions(&self) -> Extensions {
        self.extensions
    }

    /// Changes above how many bytes messages travel in parts: not every peer can join them.
    pub const fn set_chunk_size(&mut self, bytes: usize) {
        self.options.chunk_size = bytes;
    }

    /// The settings.
    pub const fn options(&self) -> &Options {
        &self.options
    }

    /// The next frame to send.
    pub fn poll_send(&mut self) -> Option<Outgoing> {
        let next = self.next_frame()?;
        self.outgoing_bytes -= next.frame.len();
        if self.sources.is_stalled && self.outgoing_bytes <= self.options.send_buffer / 2 {
            self.resume_sources();
        }
        Some(next)
    }

    fn next_frame(&mut self) -> Option<Outgoing> {
        if self.passed < MAX_PASSING
            && let Some(frame) = self.sending.pop_front()
        {
            self.passed += usize::from(!self.parts.is_empty());
            return Some(frame);
        }
        self.passed = 0;
        self.parts.pop_front().or_else(|| self.sending.pop_front())
    }

    /// Puts a frame back that could not be sent, before all others.
    pub fn put_back(&mut self, outgoing: Outgoing) {
        self.outgoing_bytes += outgoing.frame.len();
        self.sending.push_front(outgoing);
    }

    /// Whether so little is under way that there is nothing to gain from sending frames together.
    pub fn is_quiet(&self) -> bool {
        const FEW: usize = 2;
        // parts are no reason for others to wait
        self.calls.len() <= FEW + self.transfers.under_way() && self.runs.len() <= FEW
    }

    /// Whether frames wait to be sent.
    pub fn has_frames(&self) -> bool {
        !self.sending.is_empty() || !self.parts.is_empty()
    }

    /// The next thing to tell the language.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Whether there is something to tell the language.
    pub fn has_events(&self) -> bool {
        !self.events.is_empty()
    }

    /// Whether so much waits to be sent that callers should wait before they add to it.
    pub const fn is_congested(&self) -> bool {
        self.outgoing_bytes > self.options.send_buffer
    }

    /// How much is held now.
    pub fn statistics(&self) -> Statistics {
        Statistics {
            calls: self.calls.len(),
            runs: self.runs.len(),
            kept: self.objects.len(),
            interfaces: self.interfaces.len(),
            functions: self.references.len(),
            chunks: self.chunks.len(),
            transfers: self.transfers.len(),
            streams: self.streams.len(),
            sources: self.sources.len(),
            stream_bytes: self.streams.bytes(),
            outgoing_bytes: self.outgoing_bytes + self.runs.absent.bytes(),
        }
    }

    /// When [`Session::tick`] is to be called next, if ever.
    pub fn next_tick(&self) -> Option<Time> {
        let parts = self.chunks.next_check();
        let objects = self.objects.next_check(&self.options);
        let (calls, runs, streams) =
            (self.calls.next_check(), self.runs.next_check(), self.streams.next_check());
        let (turn, memory) = (self.transfers.next_check(), memory::next_check());
        [calls, runs, streams, objects, parts, turn, memory].into_iter().flatten().min()
    }

    /// Lets time pass: ends calls past their deadline, sends heartbeats, sweeps what nobody uses.
    pub fn tick(&mut self, now: Time) {
        for (key, call) in self.calls.take_expired(self.listening, now) {
            self.give_up(key, &call, now);
            let error = self.timed_out(&call.target, &call.method);
            self.end_call(call, Err(error), now);
        }
        self.let_parts_follow(now);
        self.tick_runs(now);
        self.tick_streams(now);
        let unused = self.objects.sweep(now, &self.options);
        self.let_all_go(unused);
        self.chunks.sweep(now);
        memory::sweep(now);
    }

    /// Begins a call; the arguments are then written into the draft, without holding the session.
    ///
    /// # Errors
    /// `overloaded` with too many calls under way, `peer_gone` when the connection is over, `timeout` when the deadline
    /// has passed.
    pub fn begin_call(&mut self, spec: &CallSpec<'_>) -> Result<CallDraft> {
        self.phase.check_open()?;
        if self.calls.len() >= self.options.max_calls {
            return Err(Error::new(
                ErrorKind::Overloaded,
                format!("{} calls are under way already, wait for some of them", self.options.max_calls),
            ));
        }
        let target = self.complete(spec.target);
        if spec.deadline.is_some_and(|left| left.is_zero()) {
            return Err(self.timed_out(&target, spec.method));
        }
        let seal = self.seal_for(spec)?;
        let session = (spec.promise != Promise::Never).then(|| self.new_id());
        let (from, identity) = match spec.speak_as {
            // without a user the server signs it as its own
            Some(speaker) => {
                (speaker.from, Some((speaker.workspace, speaker.user)).filter(|(_, user)| !user.is_empty()))
            }
            None => (self.address.as_str(), None),
        };
        let mut writer = Writer::new();
        writer.reserve(USUAL_CALL + identity.map_or(0, |(_, user)| user.len()));
        let route = Route {
            from,
            to: &target,
            method: spec.method,
            parent: spec.parent,
            session: session.as_deref(),
            extras: self.extras_of(spec),
            identity,
        };
        route.write(&mut writer)?;
        begin_body(&mut writer, spec.args, spec.with_kwargs, spec.promise)?;
        if let Some(session) = &session {
            writer.export_to(self.exports(from.to_owned(), session.clone()));
        }
        if seal.is_none() {
            writer.keep_apart();
        }
        Ok(CallDraft {
            writer,
            session,
            method: spec.method.to_owned(),
            promise: spec.promise,
            with_kwargs: spec.with_kwargs,
            timeout: spec.timeout.unwrap_or_else(|| self.timeout_of(spec.method)).min(FURTHEST),
            deadline: spec.deadline.map(|left| left.min(FURTHEST)),
            trace: spec.trace.map(str::to_owned),
            seal_to: spec.seal_to.filter(|_| seal.is_some()),
            seal_answer: spec.seal_answer,
            seal,
            completed: None,
            speaker: spec.speak_as.map(Into::into),
            target,
        })
    }

    /// What a call says to polyfn peers.
    fn extras_of<'a>(&self, spec: &CallSpec<'a>) -> Option<Extras<'a>> {
        let used = spec.speak_as.map_or(self.extensions, |speaker| speaker.receiver & self.extensions);
        (!used.is_empty()).then_some(Extras {
            extensions: self.extensions,
            deadline: spec.deadline.filter(|_| used.has(Extensions::DEADLINE)),
            trace: spec.trace.filter(|_| used.has(Extensions::TRACE)),
        })
    }

    fn timed_out(&self, target: &str, method: &str) -> Error {
        let text = format!("Method call timed out: {target}:{method}, context: {}", self.address);
        Error::new(ErrorKind::Timeout, text)
    }

    /// Sends a call whose arguments are written. Its end is told by [`Event::Resolved`] or [`Event::Rejected`]
    /// with this `id`.
    ///
    /// # Errors
    /// `too_large` when the message is over a limit, `peer_gone` when the connection is over; the functions in it are
    /// then released.
    pub fn finish_call(&mut self, id: CallId, draft: CallDraft, now: Time) -> Result<()> {
        self.send_call(Owner::Language(id), draft, now)
    }

    pub(super) fn send_call(&mut self, owner: Owner, draft: CallDraft, now: Time) -> Result<()> {
        self.try_send_call(owner, draft, now).map_err(|(_, error)| error)
    }

    /// Sends a call; gives its owner back with the error when it could not be sent.
    pub(super) fn try_send_call(
        &mut self,
        owner: Owner,
        mut draft: CallDraft,
        now: Time,
    ) -> Result<(), (Owner, Error)> {
        // the connection may have ended since it was begun: nobody would ever end the call
        let completed = self.phase.check_open().and_then(|()| draft.complete());
        let given = completed.and_then(|()| self.give(&mut draft.writer, &draft.target, draft.seal_to));
        let objects = match given {
            Ok(objects) => objects,
            Err(error) => {
                draft.abandon().into_iter().for_each(|handle| self.let_go(handle));
                return Err((owner, error));
            }
        };
        let message = draft.writer.into_package();
        let deadline = draft.deadline.map(|left| now + left);
        let from = draft.speaker.as_ref().map(|speaker| speaker.from.clone());
        let beside = Beside { speaker: draft.speaker, deadline, trace: draft.trace };
        let Some(session) = draft.session else {
            self.send_long(&draft.target, message, Waiter::Nobody, beside, now);
            self.finish_unanswered(&owner);
            return Ok(());
        };
        if matches!(owner, Owner::Join(_)) {
            self.send_first(&draft.target, message.into_bytes());
        } else if matches!(owner, Owner::Transfer(_)) {
            self.send_part(&draft.target, message.into_bytes());
        } else {
            self.send_long(&draft.target, message, Waiter::Call(session.clone()), beside, now);
        }
        let call = Call {
            owner,
            target: draft.target,
            method: draft.method,
            seal_to: draft.seal_to,
            seal_answer: draft.seal_answer,
            timeout: draft.timeout,
            heard: now,
            deadline,
            from,
            objects,
        };
        self.calls.insert(&session, call);
        Ok(())
    }

    pub(super) fn finish_unanswered(&mut self, owner: &Owner) {
        if let Owner::Language(call) = *owner {
            let args = Bytes::from_static(&[0x91, 0xc0]);
            self.emit(Event::Resolved { call, value: super::Payload { args, ..Default::default() } });
        }
    }

    /// Sends an event that is encoded already.
    ///
    /// # Errors
    /// `peer_gone` when the connection is over, `too_large` for what not everybody would take (protocol section 20).
    pub fn emit_frame(&mut self, to: &str, frame: Bytes) -> Result<()> {
        self.phase.check_open()?;
        if frame.len() > EVENT_MAX {
            return Err(Error::too_large(format!(
                "an event of {} bytes, {EVENT_MAX} are allowed: events travel whole; call a function with what is long",
                frame.len()
            )));
        }
        self.send(to, frame);
        Ok(())
    }

    /// Ends everything that is under way, for good.
    pub fn close(&mut self, error: &Error, now: Time) {
        self.phase = Phase::Closed(error.clone());
        self.runs.clear();
        for call in self.calls.take_all() {
            self.end_call(call, Err(error.clone()), now);
        }
        self.end_streams(error, |_| true);
        self.transfers = Transfers::default();
        let (results, interfaces) = (self.objects.take_all(), self.interfaces.take_all());
        self.let_all_go(results);
        let others = interfaces.into_iter().chain(self.services.take_all());
        others.for_each(|handle| self.let_go(handle));
        self.references.clear();
        self.sending.clear();
        self.parts.clear();
        self.waiting.clear();
        self.outgoing_bytes = 0;
        self.keeping = None;
        self.emit(Event::State(State::Closed { error: error.clone() }));
    }

    /// Where functions written into a message of `session` belong.
    pub(super) fn exports(&self, target: String, session: String) -> Exports {
        Exports {
            target,
            server: self.info.public_base_url.clone(),
            session,
            takes_interfaces: true,
            enc_pub: self.public_key(),
            ..Exports::default()
        }
    }

    /// The target as the server would complete it. Every `*/...` means the manager that we are connected to:
    /// objects that the language holds survive a change of the manager's name.
    fn complete(&self, target: &str) -> String {
        if target.starts_with("*/") && !self.manager.is_empty() {
            return self.manager.clone();
        }
        absolute(target, &self.info.workspace)
    }

    pub(super) fn new_id(&mut self) -> String {
        const LETTERS: &[u8] = b"23456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
        (0..ID_LEN).map(|_| char::from(LETTERS[self.random.usize(..LETTERS.len())])).collect()
    }

    pub(super) fn emit(&mut self, event: Event) {
        self.events.push_back(event);
    }

    pub(super) fn release(&mut self, objects: Vec<(String, Export)>) {
        objects.into_iter().for_each(|(_, export)| self.let_go(export.handle()));
    }

    /// Nobody can use a function or a generator of ours any longer.
    pub(super) fn let_go(&mut self, handle: Handle) {
        if self.sources.is_empty() || self.forget_source(handle) {
            self.emit(Event::Released(handle));
        }
    }

    /// Queues a frame. While the session is not ready, frames of the language wait behind the registrations.
    pub(super) fn send(&mut self, to: &str, frame: Bytes) {
        self.outgoing_bytes += frame.len();
        let outgoing = Outgoing { to: to.to_owned(), frame };
        if self.phase.is_ready() {
            self.sending.push_back(outgoing);
        } else {
            self.waiting.push_back(outgoing);
        }
    }

    /// Queues a part of a long message, behind all other frames.
    pub(super) fn send_part(&mut self, to: &str, frame: Bytes) {
        if !self.phase.is_ready() {
            return self.send(to, frame);
        }
        self.outgoing_bytes += frame.len();
        self.parts.push_back(Outgoing { to: to.to_owned(), frame });
    }

    /// The part that was queued last, if it is not on its way yet.
    pub(super) fn last_part(&self) -> Option<Bytes> {
        self.parts.back().map(|part| part.frame.clone())
    }

    /// Queues a frame that the session needs before it is ready.
    pub(super) fn send_first(&mut self, to: &str, frame: Bytes) {
        self.outgoing_bytes += frame.len();
        self.sending.push_back(Outgoing { to: to.to_owned(), frame });
    }

    /// What waited for the session to be ready goes out now.
    pub(super) fn send_waiting(&mut self) {
        self.sending.append(&mut self.waiting);
    }

    /// What could not be sent on a broken connection waits for the next one.
    pub(super) fn keep_unsent(&mut self) {
        self.sending.append(&mut self.parts);
        while let Some(outgoing) = self.sending.pop_back() {
            self.waiting.push_front(outgoing);
        }
    }
}
