//! Sessions that talk to each other frame by frame, under the eyes of the test.

use std::time::Duration;

use bytes::Bytes;
use polyfn_core::codec::{Promise, Stub, Walk};
use polyfn_core::session::{CallSpec, Encryption, Event, Invocation, Options, Session};
use polyfn_core::wire::{PublicKey, Relayed, Sender};
use polyfn_core::{Function, Map, Result, Value};

use crate::manager::joined;

pub(crate) const NOW: Duration = Duration::from_secs(100);
pub(crate) const ANN: &str = "lab/ann";
pub(crate) const BOB: &str = "lab/bob";

/// A session at `address` that offers `svc.take`, whose service has `config`.
pub(crate) fn with(address: &str, encryption: Option<Encryption>, config: &[(&str, Value)]) -> Session {
    opened(address, Options { encryption, ..Options::default() }, config)
}

/// The same with other options.
pub(crate) fn opened(address: &str, options: Options, config: &[(&str, Value)]) -> Session {
    let options = Options { seed: address.bytes().map(u64::from).sum(), ..options };
    let mut session = joined(Session::new(options), address, NOW);
    offer(&mut session, config).unwrap();
    while session.poll_event().is_some() {}
    session
}

pub(crate) fn offer(session: &mut Session, config: &[(&str, Value)]) -> Result<Map> {
    let mut config = Map::from_iter(config.iter().cloned());
    config.insert("require_context", true);
    let service =
        Map::from_iter([("id", Value::from("svc")), ("config", config.into()), ("take", function(1))]);
    let mut draft = session.begin_service();
    Value::Map(service).walk(&mut draft.writer).unwrap();
    session.add_service(draft, true)
}

pub(crate) fn function(handle: u64) -> Value {
    Value::Function(Function { handle, name: format!("f{handle}"), ..Function::default() })
}

/// The function of `owner`, as got with the owner's key.
pub(crate) fn take(owner: &str, key: Option<PublicKey>) -> Stub {
    Stub {
        target: owner.to_owned(),
        method: "services.svc.take".to_owned(),
        promise: Promise::Star,
        enc_pub: key,
        ..Stub::default()
    }
}

pub(crate) fn call(session: &mut Session, stub: &Stub, id: u64, args: &[Value]) -> Result<()> {
    call_at(session, stub, id, args, NOW)
}

pub(crate) fn call_at(
    session: &mut Session,
    stub: &Stub,
    id: u64,
    args: &[Value],
    now: Duration,
) -> Result<()> {
    let mut draft = session.begin_call(&CallSpec::of(stub, args.len(), false))?;
    args.iter().for_each(|arg| arg.walk(&mut draft.writer).unwrap());
    session.finish_call(id, draft, now)
}

pub(crate) fn answer(session: &mut Session, invocation: &Invocation, value: &Value) {
    let mut draft = session.begin_reply(invocation.run.unwrap()).unwrap();
    value.walk(&mut draft.writer).unwrap();
    session.finish_reply(draft, NOW);
}

/// What `session` sends next, as a server that knows the extensions delivers it.
pub(crate) fn sent(session: &mut Session) -> Bytes {
    let frame = session.poll_send().expect("there is something to send").frame;
    let address = session.address().to_owned();
    let workspace = address.split('/').next().unwrap().to_owned();
    let user = Value::Map(Map::from_iter([("id", address.as_str())])).to_msgpack().unwrap();
    let sender = Sender { workspace: workspace.clone(), address, user: user.into() };
    Relayed::read(&frame, &sender).unwrap().write(&sender, &workspace, true).unwrap()
}

/// Delivers all that `from` sends.
pub(crate) fn deliver(from: &mut Session, to: &mut Session) {
    while from.has_frames() {
        to.receive(&sent(from), NOW).unwrap();
    }
}

pub(crate) fn invoked(session: &mut Session) -> Invocation {
    match session.poll_event() {
        Some(Event::Invoke(invocation)) => invocation,
        other => panic!("a function must be called, but {other:?}"),
    }
}

/// How a call ends. Functions let go at that moment come behind it.
pub(crate) fn end(session: &mut Session, id: u64) -> Result<Value> {
    match session.poll_event() {
        Some(Event::Resolved { call, value }) if call == id => value.value(),
        Some(Event::Rejected { call, error }) if call == id => Err(error),
        other => panic!("call {id} must end, but {other:?}"),
    }
}

/// The functions that were let go.
pub(crate) fn released(session: &mut Session) -> Vec<u64> {
    let mut handles: Vec<u64> = std::iter::from_fn(|| session.poll_event())
        .map(|event| match event {
            Event::Released(handle) => handle,
            other => panic!("{other:?}"),
        })
        .collect();
    handles.sort_unstable();
    handles
}
