//! Calls under way: who waits, for whom, and until when.

use std::collections::HashMap;
use std::time::Duration;

use super::event::{CallId, Event, Payload, StreamId, Time};
use super::join::JoinStep;
use super::listening::Listening;
use super::session::{ID_LEN, Session};
use crate::codec::Export;
use crate::wire::PublicKey;
use crate::{Error, Map, Result, Value};

/// Who waits for a call.
#[derive(Debug)]
pub(super) enum Owner {
    /// The language.
    Language(CallId),
    /// A step of joining a workspace.
    Join(JoinStep),
    /// A registration that the language waits for; it gets this as the result.
    Registration(CallId, Map),
    /// A subscription that the language waits for, with the types that it asked for.
    Subscription(CallId, Vec<String>),
    /// A part of a long message.
    Transfer(u64),
    /// An item of a generator that the language reads.
    Item(StreamId),
    /// Nobody: the call is made for what it does.
    Nobody,
}

impl Owner {
    /// The language's number, where it waits.
    const fn call(&self) -> Option<CallId> {
        match self {
            Self::Language(id) | Self::Registration(id, _) | Self::Subscription(id, _) => Some(*id),
            _ => None,
        }
    }
}

/// A call under way.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) owner: Owner,
    pub(super) target: String,
    pub(super) method: String,
    /// The key that it was sealed to: only its owner may reply, and only under its seal.
    pub(super) seal_to: Option<PublicKey>,
    /// The key for functions in the result.
    pub(super) seal_answer: Option<PublicKey>,
    pub(super) timeout: Duration,
    /// When there was a sign of life of it last, or it was sent.
    pub(super) heard: Time,
    /// Nothing makes the call last longer than this.
    pub(super) deadline: Option<Time>,
    /// Who calls, where a part of the server speaks for somebody.
    pub(super) from: Option<String>,
    /// Functions and generators given along; they live as long as the call.
    pub(super) objects: Vec<(String, Export)>,
}

/// The session of a call of ours, as [`Session::new_id`] makes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct CallKey([u8; ID_LEN]);

impl CallKey {
    pub(super) fn of(session: &str) -> Option<Self> {
        session.as_bytes().try_into().ok().map(Self)
    }

    pub(super) fn as_str(&self) -> &str {
        // made from a text, so it is one
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// All calls under way, by session id.
#[derive(Debug, Default)]
pub(super) struct Calls {
    by_session: HashMap<CallKey, Call>,
    by_owner: HashMap<CallId, CallKey>,
    next_check: Option<Time>,
    /// Whether a workspace was joined at some time.
    pub(super) joined_before: bool,
}

impl Call {
    /// A call that could not even be sent.
    pub(super) const fn failed(owner: Owner) -> Self {
        Self {
            owner,
            target: String::new(),
            method: String::new(),
            seal_to: None,
            seal_answer: None,
            timeout: Duration::ZERO,
            heard: Time::ZERO,
            deadline: None,
            from: None,
            objects: Vec::new(),
        }
    }

    fn is_over(&self, listening: Listening, now: Time) -> bool {
        let is_late = self.deadline.is_some_and(|deadline| deadline <= now);
        is_late || listening.is_silent(self.heard, self.timeout, now)
    }

    fn next_check(&self, listening: Listening, now: Time) -> Time {
        limited(listening.next_check(self.heard, self.timeout, now), self.deadline)
    }
}

impl Calls {
    pub(super) fn len(&self) -> usize {
        self.by_session.len()
    }

    pub(super) fn insert(&mut self, session: &str, call: Call) {
        let Some(key) = CallKey::of(session) else { return };
        // One moment to look again serves all calls: most end long before it, and cost nothing then.
        let expires = limited(call.heard + call.timeout, call.deadline);
        self.next_check = Some(self.next_check.map_or(expires, |at| at.min(expires)));
        if let Some(id) = call.owner.call() {
            self.by_owner.insert(id, key);
        }
        self.by_session.insert(key, call);
    }

    /// A function or a generator that was given along with a call is not to be had any longer: the peer that could
    /// call it.
    pub(super) fn remove_object(&mut self, session: &str, object: &str) -> Option<String> {
        let call = CallKey::of(session).and_then(|key| self.by_session.get_mut(&key))?;
        let at = call.objects.iter().position(|(id, _)| id == object)?;
        call.objects.remove(at);
        Some(call.target.clone())
    }

    pub(super) fn all(&self) -> impl Iterator<Item = (CallKey, &Call)> {
        self.by_session.iter().map(|(key, call)| (*key, call))
    }

    pub(super) fn get(&self, session: &str) -> Option<&Call> {
        self.by_session.get(&CallKey::of(session)?)
    }

    pub(super) fn take(&mut self, session: &str) -> Option<Call> {
        let call = self.by_session.remove(&CallKey::of(session)?);
        call.inspect(|call| forget_owner(&mut self.by_owner, call))
    }

    pub(super) fn take_by_owner(&mut self, id: CallId) -> Option<(CallKey, Call)> {
        let key = self.by_owner.remove(&id)?;
        self.by_session.remove(&key).map(|call| (key, call))
    }

    /// A sign of life: the call's time begins anew.
    pub(super) fn touch(&mut self, session: &str, now: Time) {
        if let Some(call) = CallKey::of(session).and_then(|key| self.by_session.get_mut(&key)) {
            call.heard = now;
        }
    }

    pub(super) const fn next_check(&self) -> Option<Time> {
        self.next_check
    }

    pub(super) fn take_expired(&mut self, listening: Listening, now: Time) -> Vec<(CallKey, Call)> {
        if self.next_check.is_none_or(|at| at > now) {
            return Vec::new();
        }
        let expired = self.take_with_keys(|call| call.is_over(listening, now));
        self.next_check = self.by_session.values().map(|call| call.next_check(listening, now)).min();
        expired
    }

    pub(super) fn take_for(&mut self, target: &str) -> Vec<Call> {
        self.take_where(|call| call.target == target)
    }

    /// Steps of a joining that will not end: nobody waits for them.
    pub(super) fn forget_joining(&mut self) {
        self.by_session.retain(|_, call| !matches!(call.owner, Owner::Join(_)));
    }

    pub(super) fn take_all(&mut self) -> Vec<Call> {
        self.take_where(|_| true)
    }

    fn take_where(&mut self, wanted: impl Fn(&Call) -> bool) -> Vec<Call> {
        self.take_with_keys(wanted).into_iter().map(|(_, call)| call).collect()
    }

    fn take_with_keys(&mut self, wanted: impl Fn(&Call) -> bool) -> Vec<(CallKey, Call)> {
        let taken: Vec<_> = self.by_session.extract_if(|_, call| wanted(call)).collect();
        taken.iter().for_each(|(_, call)| forget_owner(&mut self.by_owner, call));
        taken
    }
}

fn forget_owner(by_owner: &mut HashMap<CallId, CallKey>, call: &Call) {
    if let Some(id) = call.owner.call() {
        by_owner.remove(&id);
    }
}

/// When to give up, with a deadline that nothing moves.
fn limited(expires: Time, deadline: Option<Time>) -> Time {
    deadline.map_or(expires, |deadline| deadline.min(expires))
}

impl Session {
    /// A call is over: tells its owner and lets go of the functions that went along.
    pub(super) fn end_call(&mut self, call: Call, end: Result<Payload>, now: Time) {
        match call.owner {
            Owner::Language(id) => self.emit(match end {
                Ok(value) => Event::Resolved { call: id, value },
                Err(error) => Event::Rejected { call: id, error },
            }),
            Owner::Registration(id, info) => self.end_registration(id, info, end),
            Owner::Subscription(id, types) => self.end_subscription(id, types, end),
            Owner::Join(step) => self.join_step_done(step, end.map(|_| ()), now),
            Owner::Transfer(transfer) => self.transfer_step_done(transfer, end.map(|_| ()), now),
            Owner::Item(stream) => self.item_came(stream, end, now),
            Owner::Nobody => {}
        }
        self.take_back(&call.target, call.objects);
    }

    pub(super) fn end_registration(&mut self, id: CallId, info: Map, end: Result<Payload>) {
        match end {
            Ok(_) => {
                let args = Value::List(vec![Value::Map(info)]).to_msgpack();
                let args = args.unwrap_or_else(|_| vec![0x90]).into();
                self.emit(Event::Resolved { call: id, value: Payload { args, ..Payload::default() } });
            }
            Err(error) => {
                if let Some(service) = info.text("id").and_then(|id| id.rsplit(':').next()) {
                    let service = service.to_owned();
                    let released = self.services.remove(&service);
                    released.into_iter().for_each(|handle| self.let_go(handle));
                }
                let message = format!("Failed to notify workspace manager: {}", error.message());
                self.emit(Event::Rejected { call: id, error: Error::new(error.kind(), message) });
            }
        }
    }

    /// A peer has gone: what was asked of it fails now, what it asked for goes on for a while.
    pub(super) fn peer_gone(&mut self, peer: &str, now: Time) {
        let error = Error::new(crate::ErrorKind::PeerGone, format!("Client disconnected: {peer}"));
        self.sources.forget_reader(peer);
        self.runs.leaves(peer, now);
        for call in self.calls.take_for(peer) {
            self.end_call(call, Err(error.clone()), now);
        }
        self.end_streams(&error, |target| target == peer);
        if !self.runs.absent.keeps_for(peer) {
            let kept = self.objects.forget(peer);
            self.let_all_go(kept);
        }
        self.end_interfaces_of(peer);
        self.chunks.forget(peer);
    }
}
