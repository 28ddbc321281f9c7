//! A client: a session, and a program that calls and is called.

use std::collections::BTreeMap;
use std::time::Duration;

use polyfn_core::codec::{Handle, Promise, Stub, Walk as _};
use polyfn_core::session::{CallId, CallSpec, Event, Invocation, Options, RunId, Session, State};
use polyfn_core::{Error, ErrorKind, Function, Map, Value};

use crate::ledger::{Ledger, Token};
use crate::server::address;
use crate::streams::Streams;

/// What a function does when it is called. Every function gets the token of its call first, and one argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Behaviour {
    /// Gives its argument back.
    Echo,
    /// Gives it back after a while.
    Later,
    /// Fails.
    Fail,
    /// Calls its argument, and gives back what that gives.
    CallBack,
    /// Gives back a function.
    Make,
    /// Gives back a generator.
    Stream,
}

pub(crate) const BEHAVIOURS: [(&str, Behaviour); 6] = [
    ("echo", Behaviour::Echo),
    ("later", Behaviour::Later),
    ("fail", Behaviour::Fail),
    ("call_back", Behaviour::CallBack),
    ("make", Behaviour::Make),
    ("stream", Behaviour::Stream),
];

/// Handles of functions that are given away; those below belong to the service.
const FIRST_GIVEN: Handle = 100;

/// A call of this client's under way.
struct Under {
    token: Token,
    behaviour: Behaviour,
    /// The run that waits for it; none for a call of the program.
    serves: Option<RunId>,
}

pub(crate) struct Client {
    pub(crate) session: Session,
    number: usize,
    under: BTreeMap<CallId, Under>,
    given: Vec<Handle>,
    last_given: Handle,
    last_call: CallId,
    pub(crate) streams: Streams,
    /// Functions that were received, to be called some time.
    pub(crate) received: Vec<std::sync::Arc<Stub>>,
    /// Runs that end at their time.
    later: Vec<(Duration, RunId, Value)>,
    times_ready: usize,
}

impl Client {
    pub(crate) fn new(number: usize, options: &Options) -> Self {
        let mut session = Session::new(Options { seed: number as u64 + 1, ..options.clone() });
        let function = |(handle, (name, _)): (usize, &(&'static str, Behaviour))| {
            (*name, Value::Function(Function { handle: handle as Handle, ..Function::default() }))
        };
        let mut service = Map::from_iter(BEHAVIOURS.iter().enumerate().map(function));
        service.insert("id", "svc");
        let mut draft = session.begin_service();
        Value::Map(service).walk(&mut draft.writer).unwrap();
        session.add_service(draft, false).unwrap();
        Self {
            session,
            number,
            under: BTreeMap::new(),
            given: Vec::new(),
            last_given: FIRST_GIVEN,
            last_call: 0,
            streams: Streams::default(),
            received: Vec::new(),
            later: Vec::new(),
            times_ready: 0,
        }
    }

    /// When the program has something to do next.
    pub(crate) fn next_time(&self) -> Option<Duration> {
        let later = self.later.iter().map(|(at, ..)| *at).min();
        self.session.next_tick().into_iter().chain(later).min()
    }

    /// Lets time pass in the session and in the program.
    pub(crate) fn tick(&mut self, now: Duration) {
        self.session.tick(now);
        let (due, later) = std::mem::take(&mut self.later).into_iter().partition(|(at, ..)| *at <= now);
        self.later = later;
        let due: Vec<(Duration, RunId, Value)> = due;
        due.into_iter().for_each(|(_, run, value)| self.answer(Some(run), Ok(value), now));
    }

    /// Calls a function of another client's service.
    pub(crate) fn call(
        &mut self,
        to: usize,
        what: usize,
        argument: Value,
        ledger: &mut Ledger,
        now: Duration,
    ) {
        let (name, behaviour) = BEHAVIOURS[what];
        let (target, method) = (address(to), format!("services.svc.{name}"));
        let stub = Stub { target, method, promise: Promise::Star, ..Stub::default() };
        let argument = if behaviour == Behaviour::CallBack { self.function() } else { argument };
        self.call_stub(&stub, &argument, behaviour, None, ledger, now);
    }

    /// Calls a function that was received.
    pub(crate) fn call_received(&mut self, at: usize, ledger: &mut Ledger, now: Duration) {
        let stub = self.received.swap_remove(at);
        self.call_stub(&stub, &Value::Nil, Behaviour::Echo, None, ledger, now);
    }

    /// Gives up one of the calls under way.
    pub(crate) fn give_up(&mut self, at: usize, ledger: &mut Ledger, now: Duration) {
        let own = |(_, under): &(&CallId, &Under)| under.serves.is_none();
        let Some((call, token)) =
            self.under.iter().filter(own).nth(at).map(|(call, under)| (*call, under.token))
        else {
            return;
        };
        self.under.remove(&call);
        ledger.forget(token);
        self.session.forget_call(call, now);
    }

    pub(crate) fn calls_under_way(&self) -> usize {
        self.under.len()
    }

    /// A function to give away.
    fn function(&mut self) -> Value {
        self.last_given += 1;
        self.given.push(self.last_given);
        Value::Function(Function { handle: self.last_given, name: "given".to_owned(), ..Function::default() })
    }

    fn call_stub(
        &mut self,
        stub: &Stub,
        argument: &Value,
        behaviour: Behaviour,
        serves: Option<RunId>,
        ledger: &mut Ledger,
        now: Duration,
    ) {
        let token = ledger.start(behaviour == Behaviour::Fail);
        self.last_call += 1;
        self.under.insert(self.last_call, Under { token, behaviour, serves });
        let sent = self.session.begin_call(&CallSpec::of(stub, 2, false)).and_then(|mut draft| {
            Value::from(token as i64).walk(&mut draft.writer)?;
            argument.walk(&mut draft.writer)?;
            self.session.finish_call(self.last_call, draft, now)
        });
        sent.unwrap();
    }

    /// Works off what the session tells.
    pub(crate) fn listen(&mut self, ledger: &mut Ledger, now: Duration) -> bool {
        let told: Vec<Event> = std::iter::from_fn(|| self.session.poll_event()).collect();
        let is_busy = !told.is_empty();
        told.into_iter().for_each(|event| self.take(event, ledger, now));
        is_busy
    }

    fn take(&mut self, event: Event, ledger: &mut Ledger, now: Duration) {
        match event {
            Event::Resolved { call, value } => self.end(call, value.value(), ledger, now),
            Event::Rejected { call, error } => self.end(call, Err(error), ledger, now),
            Event::Invoke(invocation) => self.invoke(&invocation, ledger, now),
            Event::Released(handle) if self.streams.release(handle) => {}
            Event::Pull { source, credit } => self.streams.pull(&mut self.session, source, credit, now),
            Event::Items { stream, items, count, end } => {
                self.streams.items(&mut self.session, stream, &items, count, end.as_ref(), now);
            }
            Event::Released(handle) => {
                let at = self.given.iter().position(|given| *given == handle);
                let at = at.unwrap_or_else(|| panic!("c{}: {handle} was let go twice", self.number));
                self.given.swap_remove(at);
            }
            Event::State(State::Ready { failed, first }) => {
                // A connection that is dead already takes nothing; the next one registers again.
                let silent = |(_, error): &(String, Error)| error.kind() == ErrorKind::Timeout;
                assert!(failed.iter().all(silent), "c{}: {failed:?}", self.number);
                assert_eq!(first, self.times_ready == 0);
                self.times_ready += 1;
            }
            Event::State(State::Closed { error }) => panic!("c{} closed: {error}", self.number),
            _ => {}
        }
    }

    fn end(&mut self, call: CallId, end: Result<Value, Error>, ledger: &mut Ledger, now: Duration) {
        let Some(under) = self.under.remove(&call) else {
            panic!("c{}: call {call} ends twice, or after it was given up", self.number)
        };
        if let Ok(Value::Method(stub)) = &end {
            self.received.push(stub.clone());
        }
        if let Ok(Value::Stream(stub)) = &end {
            self.streams.read(&mut self.session, stub, under.token, now);
        }
        if let (Behaviour::Echo | Behaviour::Later, Ok(Value::List(items))) = (under.behaviour, &end) {
            assert_eq!(items[0], Value::from(under.token as i64), "a result of another call");
        }
        ledger.end(under.token, end.clone());
        if let Some(run) = under.serves {
            self.answer(Some(run), end, now);
        }
    }

    fn invoke(&mut self, invocation: &Invocation, ledger: &mut Ledger, now: Duration) {
        let (args, _) = invocation.payload.values().unwrap();
        let Some(Value::Int(token)) = args.first() else { panic!("a call without its token: {args:?}") };
        ledger.run(*token as Token);
        let behaviour = usize::try_from(invocation.handler).ok().and_then(|at| BEHAVIOURS.get(at));
        let behaviour = behaviour.map_or(Behaviour::Echo, |(_, behaviour)| *behaviour);
        if invocation.handler > FIRST_GIVEN {
            assert!(self.given.contains(&invocation.handler), "a function is called after it was let go");
        }
        let argument = args.get(1).cloned().unwrap_or_default();
        let echoed = Value::List(vec![Value::Int(*token), argument.clone()]);
        match (behaviour, argument, invocation.run) {
            (Behaviour::Later, _, Some(run)) => {
                let wait = Duration::from_millis(100 * (token.unsigned_abs() % 100));
                self.later.push((now + wait, run, echoed));
            }
            (Behaviour::Fail, _, run) => self.answer(run, Err(Error::remote("boom")), now),
            (Behaviour::CallBack, Value::Method(stub), run) => {
                self.call_stub(&stub, &Value::Nil, Behaviour::Echo, run, ledger, now);
            }
            (Behaviour::Make, _, run) => {
                let function = self.function();
                self.answer(run, Ok(function), now);
            }
            (Behaviour::Stream, _, run) => {
                self.last_given += 1;
                let generator = self.streams.give(self.last_given, token.unsigned_abs());
                self.answer(run, Ok(generator), now);
            }
            (_, _, run) => self.answer(run, Ok(echoed), now),
        }
    }

    fn answer(&mut self, run: Option<RunId>, end: Result<Value, Error>, now: Duration) {
        let draft = run.and_then(|run| self.session.begin_reply(run));
        match (draft, end) {
            (Some(mut draft), Ok(value)) => {
                value.walk(&mut draft.writer).unwrap();
                self.session.finish_reply(draft, now);
            }
            (Some(draft), Err(error)) => {
                draft.abandon();
                run.into_iter().for_each(|run| self.session.reject(run, &error, now));
            }
            // Nobody waits any longer: what was to be given stays here.
            (None, Ok(Value::Generator(handle))) => drop(self.streams.release(handle)),
            (None, Ok(Value::Function(function))) => self.given.retain(|given| *given != function.handle),
            (None, _) => {}
        }
    }

    /// Nothing is under way and nothing is held.
    pub(crate) fn check_empty(&self) {
        let number = self.number;
        assert_eq!(self.session.statistics(), Default::default(), "c{number} holds something");
        assert!(self.given.is_empty(), "c{number} still holds {:?}", self.given);
        self.streams.check_empty(number);
        assert!(self.under.is_empty(), "c{number} still waits for {} calls", self.under.len());
    }
}
