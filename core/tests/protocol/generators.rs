//! Generators as all peers know them: one call for each item.

use std::time::Duration;

use bytes::Bytes;
use polyfn_core::codec::{StreamStub, Tagged, Writer};
use polyfn_core::session::{Event, Options, Outgoing, Session, Statistics, StreamEnd};
use polyfn_core::wire::Route;
use polyfn_core::{Error, ErrorKind, Function, Map, Value};

use crate::calling::gone;
use crate::joining::{call, error, events, offer, service};
use crate::manager::{body, delivered, header, joined, reply};

const ME: &str = "lab/me";
const OTHER: &str = "lab/other";
const NOW: Duration = Duration::from_secs(100);
const SECOND: Duration = Duration::from_secs(1);

fn session(options: Options) -> Session {
    let mut session = joined(Session::new(options), ME, NOW);
    offer(&mut session, &service("svc", &[("visibility", "public".into())], 1, &["count"])).unwrap();
    events(&mut session);
    session
}

/// A call by `from` that wants a reply.
pub(crate) fn asked(from: &str, method: &str, call: &str) -> Bytes {
    let route = Route { from, to: ME, method, session: Some(call), ..Route::default() };
    delivered(&route, &Value::Map(Map::from_iter([("promise", Value::from("*")), ("t", Value::Float(5.0))])))
}

/// The end of a call in a frame that was sent, and its only argument.
pub(crate) fn ended(session: &mut Session) -> (String, Value) {
    let sent = session.poll_send().expect("an answer is sent");
    let args = body(&sent.frame).remove("args").unwrap_or_default();
    let value = args.as_list().and_then(|args| args.first()).cloned().unwrap_or_default();
    (header(&sent.frame).text("method").unwrap().to_owned(), value)
}

fn stop() -> Value {
    Value::Map(Map::from_iter([("_rtype", "stop_iteration")]))
}

/// Gives the generator `handle` as the result of a call of `lab/other`: what the caller gets.
fn given(session: &mut Session, handle: u64) -> StreamStub {
    session.receive(&asked(OTHER, "services.svc.count", "C"), NOW).unwrap();
    let Some(Event::Invoke(invocation)) = session.poll_event() else { panic!("the function is called") };
    let mut draft = session.begin_reply(invocation.run.unwrap()).unwrap();
    draft.writer.generator(handle).unwrap();
    session.finish_reply(draft, NOW);
    let (method, value) = ended(session);
    assert_eq!(method, "C.resolve");
    let Value::Stream(stub) = value else { panic!("{value:?}") };
    (*stub).clone()
}

/// Writes items of generator 9 as the language does.
fn produce(session: &mut Session, items: &[i64], end: StreamEnd) {
    let mut draft = session.begin_items(9).expect("items are wanted");
    for item in items {
        draft.item(|out| out.int(*item)).unwrap();
    }
    session.finish_items(draft, end, NOW);
}

const PULL: Event = Event::Pull { source: 9, credit: 1 };

#[test]
fn a_generator_in_a_result_gives_an_item_for_each_call() {
    let mut session = session(Options::default());
    let stub = given(&mut session, 9);
    assert_eq!((stub.target.as_str(), stub.server.as_deref()), (ME, Some("http://localhost")));
    assert_eq!(stub.close_method, format!("{}:close", stub.method));
    assert_eq!(events(&mut session), [], "nothing is produced before it is asked for");
    for item in 0..3 {
        session.receive(&asked(OTHER, &stub.method, "N"), NOW).unwrap();
        assert_eq!(events(&mut session), [PULL]);
        assert!(session.poll_send().is_none());
        produce(&mut session, &[item], StreamEnd::More);
        assert_eq!(ended(&mut session), ("N.resolve".to_owned(), item.into()));
        assert!(session.begin_items(9).is_none(), "no more than one is wanted");
    }
    session.receive(&asked(OTHER, &stub.method, "N"), NOW).unwrap();
    produce(&mut session, &[], StreamEnd::Done);
    assert_eq!(ended(&mut session), ("N.resolve".to_owned(), stop()));
    assert_eq!(events(&mut session), [PULL, Event::Released(9)]);
    assert_eq!(session.statistics(), Statistics::default());
    session.receive(&asked(OTHER, &stub.method, "N"), NOW).unwrap();
    assert_eq!(ended(&mut session).0, "N.reject", "what has ended is gone");
}

#[test]
fn an_end_that_is_known_early_is_told_when_it_is_asked_for() {
    for (end, method) in [
        (StreamEnd::Done, "N.resolve"),
        (StreamEnd::Failed(Error::remote("boom").with_class("ValueError")), "N.reject"),
    ] {
        let mut session = session(Options::default());
        let stub = given(&mut session, 9);
        session.receive(&asked(OTHER, &stub.method, "N"), NOW).unwrap();
        produce(&mut session, &[1], end.clone());
        assert_eq!(ended(&mut session), ("N.resolve".to_owned(), 1.into()));
        assert_eq!(events(&mut session), [PULL, Event::Released(9)]);
        session.receive(&asked(OTHER, &stub.method, "N"), NOW).unwrap();
        let (told, value) = ended(&mut session);
        assert_eq!(told, method);
        match (end, value) {
            (StreamEnd::Failed(end), Value::Tagged(error)) => assert_eq!(*error, Tagged::Error(end)),
            (_, value) => assert_eq!(value, stop()),
        }
        assert_eq!(events(&mut session), [], "the language is told once");
        assert_eq!(session.statistics(), Statistics::default());
    }
}

#[test]
fn an_error_in_the_midst_ends_the_generator() {
    let mut session = session(Options::default());
    let stub = given(&mut session, 9);
    session.receive(&asked(OTHER, &stub.method, "N"), NOW).unwrap();
    produce(&mut session, &[], StreamEnd::Failed(Error::remote("boom").with_class("ValueError")));
    let (method, value) = ended(&mut session);
    assert_eq!(method, "N.reject");
    assert_eq!(value, Value::Tagged(Box::new(Tagged::Error(Error::remote("boom").with_class("ValueError")))));
    assert_eq!(events(&mut session), [PULL, Event::Released(9)]);
    assert_eq!(session.statistics(), Statistics::default());
}

#[test]
fn an_item_that_cannot_be_written_leaves_nothing_behind() {
    let mut session = session(Options::default());
    let stub = given(&mut session, 9);
    session.receive(&asked(OTHER, &stub.method, "N"), NOW).unwrap();
    let mut draft = session.begin_items(9).unwrap();
    let failed = draft.item(|out| {
        out.open_list(3)?;
        out.function(33, &Default::default())?;
        Err(Error::invalid("a lock cannot be sent"))
    });
    assert!(draft.is_empty() && !draft.is_full());
    draft.item(|out| out.text("instead")).unwrap();
    assert!(draft.is_full() && draft.item(Writer::nil).is_err());
    session.finish_items(draft, StreamEnd::Failed(failed.unwrap_err()), NOW);
    assert_eq!(ended(&mut session).1, "instead".into());
    assert_eq!(events(&mut session), [PULL, Event::Released(33), Event::Released(9)]);
}

#[test]
fn calls_for_items_are_answered_in_their_order() {
    let mut session = session(Options::default());
    let stub = given(&mut session, 9);
    for call in ["N1", "N2", "N3", "N4"] {
        session.receive(&asked(OTHER, &stub.method, call), NOW).unwrap();
    }
    assert_eq!(events(&mut session), [PULL], "one after the other");
    produce(&mut session, &[1], StreamEnd::More);
    assert_eq!(events(&mut session), [PULL]);
    produce(&mut session, &[2], StreamEnd::Done);
    let told: Vec<_> = (0..4).map(|_| ended(&mut session)).collect();
    let expected =
        [("N1.resolve", 1.into()), ("N2.resolve", 2.into()), ("N3.resolve", stop()), ("N4.resolve", stop())];
    assert_eq!(told, expected.map(|(method, value): (&str, Value)| (method.to_owned(), value)));
    assert_eq!(session.statistics(), Statistics::default());
}

#[test]
fn a_reader_that_has_enough_closes_the_generator_at_once() {
    let mut session = session(Options::default());
    let stub = given(&mut session, 9);
    session.receive(&asked(OTHER, &stub.method, "N"), NOW).unwrap();
    let draft = session.begin_items(9).unwrap();
    assert!(session.begin_items(9).is_none(), "one draft at a time");
    session.receive(&asked("lab/stranger", &stub.close_method, "X"), NOW).unwrap();
    assert_eq!(ended(&mut session).0, "X.reject", "others may not close it");
    session.receive(&asked(OTHER, &stub.close_method, "X"), NOW).unwrap();
    assert_eq!(events(&mut session), [PULL, Event::Released(9)]);
    assert_eq!(ended(&mut session).0, "N.reject", "the call for an item ends too");
    assert_eq!(ended(&mut session), ("X.resolve".to_owned(), true.into()));
    session.finish_items(draft, StreamEnd::More, NOW);
    assert!(session.poll_send().is_none(), "what was being written is nobody's");
    assert_eq!(events(&mut session), []);
    assert_eq!(session.statistics(), Statistics::default());
}

#[test]
fn only_the_peer_that_got_a_generator_may_read_it() {
    let mut session = session(Options::default());
    let stub = given(&mut session, 9);
    session.receive(&asked("lab/stranger", &stub.method, "N"), NOW).unwrap();
    let (method, _) = ended(&mut session);
    assert_eq!((method.as_str(), events(&mut session)), ("N.reject", vec![]));
    session.receive(&gone(None, "other"), NOW).unwrap();
    assert!(events(&mut session).contains(&Event::Released(9)), "it goes with its reader");
    assert_eq!(session.statistics(), Statistics::default());
}

#[test]
fn a_generator_that_nobody_reads_is_swept_but_not_while_an_item_is_made() {
    let mut session = session(Options { keep: 60 * SECOND, ..Options::default() });
    let stub = given(&mut session, 9);
    session.receive(&asked(OTHER, &stub.method, "N"), NOW).unwrap();
    assert_eq!(events(&mut session), [PULL]);
    let mut heartbeats = 0;
    while let Some(at) = session.next_tick().filter(|at| *at <= NOW + 600 * SECOND) {
        session.tick(at);
        heartbeats += std::iter::from_fn(|| session.poll_send()).count();
    }
    assert_eq!(events(&mut session), [], "the item takes its time");
    assert!(heartbeats >= 100, "{heartbeats}");
    produce(&mut session, &[1], StreamEnd::More);
    session.tick(NOW + 700 * SECOND);
    assert_eq!(events(&mut session), [Event::Released(9)]);
    assert_eq!(session.statistics().kept, 0);
}

#[test]
fn a_generator_that_is_an_argument_lives_as_long_as_its_call() {
    let mut session = session(Options::default());
    call(&mut session, 1, OTHER, "services.x.sum", &[Value::Generator(9)]).unwrap();
    let sent = session.poll_send().unwrap();
    let Some(Value::Stream(stub)) =
        body(&sent.frame).get("args").and_then(Value::as_list).map(|args| args[0].clone())
    else {
        panic!("a generator was given")
    };
    session.receive(&asked("lab/stranger", &stub.method, "N"), NOW).unwrap();
    assert_eq!(ended(&mut session).0, "N.reject");
    session.receive(&asked(OTHER, &stub.method, "N1"), NOW).unwrap();
    produce(&mut session, &[5], StreamEnd::More);
    assert_eq!(ended(&mut session).1, 5.into());
    session.receive(&asked(OTHER, &stub.method, "N2"), NOW).unwrap();
    session.receive(&reply(&sent, "resolve", 5.into()), NOW).unwrap();
    let told = events(&mut session);
    assert!(matches!(&told[..], [PULL, PULL, Event::Resolved { .. }, Event::Released(9)]), "{told:?}");
    assert_eq!(ended(&mut session).0, "N2.reject");
    assert!(session.begin_items(9).is_none());
    assert_eq!(session.statistics(), Statistics::default());
}

#[test]
fn generators_are_no_members_of_services() {
    let mut session = session(Options::default());
    let service = Value::Map(Map::from_iter([("id", Value::from("bad")), ("items", Value::Generator(9))]));
    assert!(offer(&mut session, &service).unwrap_err().message().contains("generator"));
    assert_eq!(events(&mut session), [Event::Released(9)]);
}

fn remote() -> StreamStub {
    StreamStub {
        target: OTHER.to_owned(),
        method: "S.1".to_owned(),
        close_method: "S.1:close".to_owned(),
        parent: Some("P".to_owned()),
        ..StreamStub::default()
    }
}

/// What is told of a stream: its items, and its end.
pub(crate) type Told = (u64, Value, Option<Result<(), Error>>);

pub(crate) fn items(session: &mut Session) -> Vec<Told> {
    let told = events(session).into_iter().map(|event| match event {
        Event::Items { stream, items, count, end } => {
            let Value::List(values) = items.reader().value().unwrap() else { panic!("items are a list") };
            assert_eq!(values.len(), count as usize);
            (stream, Value::List(values), end)
        }
        other => panic!("{other:?}"),
    });
    told.collect()
}

pub(crate) fn list(items: &[i64]) -> Value {
    Value::List(items.iter().map(|item| (*item).into()).collect())
}

fn called(session: &mut Session, method: &str) -> Outgoing {
    let sent = session.poll_send().unwrap_or_else(|| panic!("{method} is called"));
    let header = header(&sent.frame);
    assert_eq!((header.text("method"), header.text("to")), (Some(method), Some(OTHER)));
    assert_eq!(header.text("parent"), Some("P"));
    assert_eq!(body(&sent.frame).text("promise"), Some("*"));
    sent
}

#[test]
fn a_generator_of_an_old_peer_is_called_for_each_item() {
    let mut session = session(Options::default());
    session.open_stream(1, &remote(), NOW).unwrap();
    assert_eq!(session.open_stream(1, &remote(), NOW).unwrap_err().kind(), ErrorKind::Conflict);
    for item in 0..3 {
        let sent = called(&mut session, "S.1");
        assert!(session.poll_send().is_none(), "one item at a time");
        session.grant(1, 5, NOW);
        assert!(session.poll_send().is_none(), "the call is under way already");
        session.receive(&reply(&sent, "resolve", item.into()), NOW).unwrap();
        assert_eq!(items(&mut session), [(1, list(&[item]), None)]);
        assert!(session.poll_send().is_none(), "the next one is called for when this one is used up");
        session.grant(1, 1, NOW);
    }
    let sent = called(&mut session, "S.1");
    session.receive(&reply(&sent, "resolve", stop()), NOW).unwrap();
    assert_eq!(items(&mut session), [(1, list(&[]), Some(Ok(())))]);
    session.grant(1, 1, NOW);
    session.close_stream(1, NOW);
    assert!(session.poll_send().is_none(), "a generator that has ended is not closed");
    assert_eq!(session.statistics(), Statistics::default());
}

#[test]
fn leaving_early_closes_the_generator_of_an_old_peer() {
    let mut session = session(Options::default());
    session.open_stream(1, &remote(), NOW).unwrap();
    let sent = called(&mut session, "S.1");
    session.close_stream(1, NOW);
    let close = called(&mut session, "S.1:close");
    session.receive(&reply(&sent, "resolve", 1.into()), NOW).unwrap();
    session.receive(&reply(&close, "resolve", true.into()), NOW).unwrap();
    assert_eq!(items(&mut session), []);
    session.discard_stream(&remote(), NOW);
    let close = called(&mut session, "S.1:close");
    session.receive(&reply(&close, "reject", error("Session not found")), NOW).unwrap();
    assert_eq!(items(&mut session), []);
    assert_eq!(session.statistics(), Statistics::default());
}

#[test]
fn an_error_of_an_old_peer_ends_the_stream() {
    let mut session = session(Options::default());
    session.open_stream(1, &remote(), NOW).unwrap();
    let sent = called(&mut session, "S.1");
    session.receive(&reply(&sent, "reject", error("bad")), NOW).unwrap();
    let [(1, none, Some(Err(told)))] = &items(&mut session)[..] else { panic!("an error is told") };
    assert_eq!((none, told.message()), (&list(&[]), "bad"));
    called(&mut session, "S.1:close");
    session.open_stream(1, &remote(), NOW).unwrap();
    called(&mut session, "S.1");
    session.tick(NOW + 31 * SECOND);
    let told = items(&mut session);
    assert!(
        matches!(&told[..], [(1, _, Some(Err(error)))] if error.kind() == ErrorKind::Timeout),
        "{told:?}"
    );
}

#[test]
fn a_stream_ends_with_its_peer_and_with_the_connection() {
    let mut session = session(Options::default());
    session.open_stream(1, &remote(), NOW).unwrap();
    session.open_stream(2, &remote(), NOW).unwrap();
    let sent = called(&mut session, "S.1");
    session.receive(&reply(&sent, "resolve", 1.into()), NOW).unwrap();
    assert_eq!(items(&mut session).len(), 1);
    session.receive(&gone(None, "other"), NOW).unwrap();
    let mut told = events(&mut session);
    assert!(matches!(told.pop(), Some(Event::Signal { .. })));
    let ends = told.iter().filter(|event| {
        matches!(event, Event::Items { end: Some(Err(error)), .. } if error.kind() == ErrorKind::PeerGone)
    });
    assert_eq!(ends.count(), 2, "{told:?}");
    session.open_stream(3, &remote(), NOW).unwrap();
    session.close(&Error::new(ErrorKind::PeerGone, "bye"), NOW);
    let told = events(&mut session);
    assert!(matches!(&told[0], Event::Items { stream: 3, end: Some(Err(_)), .. }), "{told:?}");
    assert!(session.open_stream(4, &remote(), NOW).is_err());
    assert_eq!(session.statistics(), Statistics::default());
}

#[test]
fn too_many_streams_are_refused() {
    let mut session = session(Options { max_streams: 1, ..Options::default() });
    session.open_stream(1, &remote(), NOW).unwrap();
    assert_eq!(session.open_stream(2, &remote(), NOW).unwrap_err().kind(), ErrorKind::Overloaded);
    session.close_stream(1, NOW);
    session.open_stream(2, &remote(), NOW).unwrap();
}

#[test]
fn items_may_hold_functions_and_generators() {
    let mut session = session(Options::default());
    let stub = given(&mut session, 9);
    session.receive(&asked(OTHER, &stub.method, "N"), NOW).unwrap();
    let mut draft = session.begin_items(9).unwrap();
    let function = Value::Function(Function { handle: 5, name: "f".to_owned(), ..Function::default() });
    let item = Value::List(vec![function, Value::Generator(10)]);
    draft.item(|out| polyfn_core::codec::Walk::walk(&item, out)).unwrap();
    session.finish_items(draft, StreamEnd::Done, NOW);
    let Value::List(item) = ended(&mut session).1 else { panic!("a list was sent") };
    let [Value::Method(function), Value::Stream(inner)] = &item[..] else { panic!("{item:?}") };
    events(&mut session);
    session.receive(&asked(OTHER, &function.method, "F"), NOW).unwrap();
    session.receive(&asked(OTHER, &inner.method, "N"), NOW).unwrap();
    let told = events(&mut session);
    assert!(
        matches!(&told[..], [Event::Invoke(call), Event::Pull { source: 10, .. }] if call.handler == 5),
        "{told:?}"
    );
}
