//! Several sessions, joined by a server that is only `wire::Relayed` and a manager.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use polyfn_core::codec::{Handle, Promise, Reader, Stub, Walk};
use polyfn_core::session::{CallId, CallSpec, Event, Invocation, Options, RunId, Session, State};
use polyfn_core::wire::{Relayed, Sender};
use polyfn_core::{Error, Function, Map, Value};

use crate::manager::{MANAGER, info, reply};

/// What a function does when it is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Behaviour {
    /// Gives its first argument back.
    Echo,
    /// Fails.
    Fail,
    /// Calls its first argument with the second, and gives back what that gives.
    CallBack,
    /// Gives back a new function, which is an `Echo`.
    Make,
    /// Ends when the network says so.
    Wait,
}

/// The service that every peer offers has one function for each behaviour.
pub(crate) const BEHAVIOURS: [(&str, Behaviour); 5] = [
    ("echo", Behaviour::Echo),
    ("fail", Behaviour::Fail),
    ("call_back", Behaviour::CallBack),
    ("make", Behaviour::Make),
    ("wait", Behaviour::Wait),
];

/// Handles of functions that are given away; those below it belong to the service.
const FIRST_GIVEN: Handle = 100;

pub(crate) struct Peer {
    pub(crate) session: Session,
    pub(crate) is_online: bool,
    /// How each call ended.
    pub(crate) ends: BTreeMap<CallId, Result<Value, Error>>,
    pub(crate) signals: Vec<Value>,
    /// Functions given away that are not let go of yet.
    pub(crate) given: Vec<Handle>,
    /// How many were given away in all.
    pub(crate) given_in_all: usize,
    /// Runs that wait.
    waiting: Vec<RunId>,
    /// Runs that end when a call of their own has ended.
    depending: BTreeMap<CallId, Option<RunId>>,
    last_call: CallId,
    address: String,
    readies: usize,
}

pub(crate) struct Network {
    pub(crate) peers: Vec<Peer>,
    pub(crate) now: Duration,
    /// How many frames passed.
    pub(crate) frames: usize,
}

impl Network {
    /// Peers `lab/p0`, `lab/p1` ... that have joined.
    pub(crate) fn new(count: usize, options: &Options) -> Self {
        let peers = (0..count).map(|at| Peer::new(at, options)).collect();
        let mut network = Self { peers, now: Duration::from_secs(1000), frames: 0 };
        (0..count).for_each(|at| network.connect(at));
        network.run();
        network
    }

    pub(crate) fn connect(&mut self, at: usize) {
        let peer = &mut self.peers[at];
        if !std::mem::replace(&mut peer.is_online, true) {
            peer.session.connected(info(&peer.address), self.now);
        }
    }

    /// Cuts a peer off; the others are told.
    pub(crate) fn cut(&mut self, at: usize) {
        if !std::mem::replace(&mut self.peers[at].is_online, false) {
            return;
        }
        self.peers[at].session.disconnected("cut");
        let data = Map::from_iter([("id", format!("p{at}").as_str()), ("workspace", "lab")]);
        let message = Map::from_iter([
            ("type", Value::from("client_disconnected")),
            ("to", "*".into()),
            ("data", data.into()),
        ]);
        let frame = Bytes::from(Value::Map(message).to_msgpack().unwrap());
        for peer in self.peers.iter_mut().filter(|peer| peer.is_online) {
            peer.session.receive(&frame, self.now).unwrap();
        }
    }

    /// Calls a function of another peer's service.
    pub(crate) fn call(&mut self, from: usize, to: usize, function: &str, args: &[Value]) -> CallId {
        let method = format!("services.svc.{function}");
        let target = format!("lab/p{to}");
        let spec = CallSpec {
            target: &target,
            method: &method,
            promise: Promise::Star,
            args: args.len(),
            ..CallSpec::default()
        };
        let now = self.now;
        self.peers[from].call(&spec, args, None, now)
    }

    /// Delivers frames and runs functions until nothing happens any longer.
    pub(crate) fn run(&mut self) {
        let mut idle = 0;
        let mut turn = 0;
        while idle < self.peers.len() {
            let at = turn % self.peers.len();
            turn += 1;
            idle = if self.step(at) { 0 } else { idle + 1 };
        }
    }

    fn step(&mut self, at: usize) -> bool {
        let now = self.now;
        let peer = &mut self.peers[at];
        let told: Vec<Event> = std::iter::from_fn(|| peer.session.poll_event()).collect();
        let mut is_busy = !told.is_empty();
        told.into_iter().for_each(|event| peer.take(event, now));
        while self.peers[at].is_online
            && let Some(sent) = self.peers[at].session.poll_send()
        {
            is_busy = true;
            self.frames += 1;
            let sender = self.peers[at].sender();
            let relayed = Relayed::read(&sent.frame, &sender).unwrap();
            assert_eq!(relayed.to, sent.to, "the session completes addresses as the server does");
            if relayed.to == MANAGER {
                let answer = reply(&sent, "resolve", Value::Nil);
                self.peers[at].session.receive(&answer, now).unwrap();
            } else if let Some(peer) =
                self.peers.iter_mut().find(|peer| peer.is_online && peer.address == relayed.to)
            {
                let extras = !peer.session.extensions().is_empty();
                let frame = relayed.write(&sender, &sender.workspace, extras).unwrap();
                peer.session.receive(&frame, now).unwrap_or_else(|error| panic!("{error}"));
            }
        }
        is_busy
    }

    /// Lets time pass, stopping wherever a session wants to look at the clock.
    pub(crate) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            self.run();
            let next = self.peers.iter().filter_map(|peer| peer.session.next_tick()).min();
            let Some(at) = next.filter(|at| *at <= end) else { break };
            self.now = self.now.max(at);
            self.peers.iter_mut().for_each(|peer| peer.session.tick(self.now));
        }
        self.now = end;
    }

    /// Ends all runs that wait.
    pub(crate) fn finish_waiting(&mut self) {
        let now = self.now;
        for peer in &mut self.peers {
            for run in std::mem::take(&mut peer.waiting) {
                peer.answer(Some(run), Ok(Value::from("waited")), now);
            }
        }
        self.run();
    }
}

impl Peer {
    fn new(at: usize, options: &Options) -> Self {
        let options = Options { seed: at as u64 + 1, ..options.clone() };
        let mut peer = Self {
            session: Session::new(options),
            is_online: false,
            ends: BTreeMap::new(),
            signals: Vec::new(),
            given: Vec::new(),
            given_in_all: 0,
            waiting: Vec::new(),
            depending: BTreeMap::new(),
            last_call: 0,
            address: format!("lab/p{at}"),
            readies: 0,
        };
        peer.session.connected(info(&peer.address), Duration::ZERO);
        peer.session.disconnected("begin");
        let mut draft = peer.session.begin_service();
        let mut service = Map::from_iter([("id", "svc")]);
        for (handle, (name, _)) in BEHAVIOURS.iter().enumerate() {
            service.insert(*name, Value::Function(Function { handle: handle as u64, ..Function::default() }));
        }
        Value::Map(service).walk(&mut draft.writer).unwrap();
        peer.session.add_service(draft, false).unwrap();
        peer
    }

    fn sender(&self) -> Sender {
        let user = Value::Map(Map::from_iter([("id", self.address.as_str())])).to_msgpack().unwrap();
        Sender { workspace: "lab".to_owned(), address: self.address.clone(), user: user.into() }
    }

    /// A new function to be given away.
    pub(crate) fn function(&mut self) -> Value {
        let handle = FIRST_GIVEN + self.given_in_all as u64;
        self.given_in_all += 1;
        self.given.push(handle);
        Value::Function(Function { handle, name: "given".to_owned(), ..Function::default() })
    }

    fn call(
        &mut self,
        spec: &CallSpec<'_>,
        args: &[Value],
        for_run: Option<Option<RunId>>,
        now: Duration,
    ) -> CallId {
        self.last_call += 1;
        let mut draft = self.session.begin_call(spec).unwrap();
        args.iter().for_each(|arg| arg.walk(&mut draft.writer).unwrap());
        if let Some(run) = for_run {
            self.depending.insert(self.last_call, run);
        }
        self.session.finish_call(self.last_call, draft, now).unwrap();
        self.last_call
    }

    fn take(&mut self, event: Event, now: Duration) {
        match event {
            Event::Resolved { call, value } => self.end(call, value.value(), now),
            Event::Rejected { call, error } => self.end(call, Err(error), now),
            Event::Invoke(invocation) => self.invoke(&invocation, now),
            Event::Released(handle) => {
                let at = self.given.iter().position(|given| *given == handle);
                let at = at.unwrap_or_else(|| panic!("{handle} was not given, or let go twice"));
                self.given.swap_remove(at);
            }
            Event::Signal { message, .. } => self.signals.push(Reader::new(&message).value().unwrap()),
            Event::State(State::Ready { failed, first }) => {
                assert!(failed.is_empty());
                assert_eq!(first, self.readies == 0);
                self.readies += 1;
            }
            Event::State(State::Disconnected { .. }) => {}
            other => panic!("{other:?}"),
        }
    }

    fn end(&mut self, call: CallId, end: Result<Value, Error>, now: Duration) {
        match self.depending.remove(&call) {
            Some(run) => self.answer(run, end, now),
            None => assert!(self.ends.insert(call, end).is_none(), "call {call} ended twice"),
        }
    }

    fn invoke(&mut self, invocation: &Invocation, now: Duration) {
        let (args, _) = invocation.payload.values().unwrap();
        let mut args = VecDeque::from(args);
        let behaviour = match usize::try_from(invocation.handler).ok().and_then(|at| BEHAVIOURS.get(at)) {
            Some((_, behaviour)) => *behaviour,
            None => {
                assert!(self.given.contains(&invocation.handler), "a function is called after it was let go");
                Behaviour::Echo
            }
        };
        let first = args.pop_front().unwrap_or_default();
        match behaviour {
            Behaviour::Echo => self.answer(invocation.run, Ok(first), now),
            Behaviour::Fail => {
                self.answer(invocation.run, Err(Error::remote("boom").with_class("ValueError")), now);
            }
            Behaviour::Wait => self.waiting.extend(invocation.run),
            Behaviour::Make => {
                let function = if invocation.run.is_some() { self.function() } else { Value::Nil };
                self.answer(invocation.run, Ok(function), now);
            }
            Behaviour::CallBack => match first {
                Value::Method(stub) => {
                    let args: Vec<Value> = args.into();
                    self.call(&CallSpec::of(&stub, args.len(), false), &args, Some(invocation.run), now);
                }
                _ => self.answer(invocation.run, Err(Error::invalid("expected a function")), now),
            },
        }
    }

    fn answer(&mut self, run: Option<RunId>, end: Result<Value, Error>, now: Duration) {
        let Some(run) = run else { return };
        match end {
            Ok(value) => match self.session.begin_reply(run) {
                Some(mut draft) => {
                    value.walk(&mut draft.writer).unwrap();
                    self.session.finish_reply(draft, now);
                }
                // Nobody waits any longer: what was to be given stays here.
                None => {
                    if let Value::Function(function) = value {
                        self.given.retain(|given| *given != function.handle);
                    }
                }
            },
            Err(error) => self.session.reject(run, &error, now),
        }
    }

    /// Calls a function that was received.
    pub(crate) fn call_stub(&mut self, stub: &Stub, args: &[Value], now: Duration) -> CallId {
        self.call(&CallSpec::of(stub, args.len(), false), args, None, now)
    }

    pub(crate) fn end_of(&self, call: CallId) -> &Result<Value, Error> {
        self.ends.get(&call).unwrap_or_else(|| panic!("call {call} has not ended"))
    }
}
