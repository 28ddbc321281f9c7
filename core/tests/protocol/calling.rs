//! Calls of ours: how they end, and who may end them.

use std::time::Duration;

use polyfn_core::codec::{Promise, Walk};
use polyfn_core::session::{CallSpec, Event, Options, Session};
use polyfn_core::wire::Route;
use polyfn_core::{ErrorKind, Function, Map, Value};

use crate::joining::{call, error, events};
use crate::manager::{answer, body, delivered, header, joined, reply};

const ME: &str = "lab/me";
const NOW: Duration = Duration::from_secs(100);
const SECOND: Duration = Duration::from_secs(1);

fn session(options: Options) -> Session {
    let mut session = joined(Session::new(options), ME, NOW);
    events(&mut session);
    session
}

fn function(handle: u64) -> Value {
    Value::Function(Function { handle, name: "callback".to_owned(), ..Function::default() })
}

/// The server's message that a client has gone.
pub(crate) fn gone(from: Option<&str>, id: &str) -> bytes::Bytes {
    let data = Map::from_iter([("id", id), ("workspace", "lab")]);
    let mut message = Map::from_iter([("type", Value::from("client_disconnected")), ("to", "*".into())]);
    if let Some(from) = from {
        message.insert("from", from);
    }
    message.insert("data", data);
    Value::Map(message).to_msgpack().unwrap().into()
}

#[test]
fn a_call_ends_with_its_result() {
    let mut session = session(Options::default());
    call(&mut session, 1, "other", "services.calc.add", &[1.into(), 2.into()]).unwrap();
    let sent = session.poll_send().unwrap();
    assert_eq!(
        (sent.to.as_str(), header(&sent.frame).text("method")),
        ("lab/other", Some("services.calc.add"))
    );
    let body = body(&sent.frame);
    assert_eq!(body.get("t"), Some(&Value::Float(15.0)), "half of the timeout");
    assert_eq!(body.text("promise"), Some("*"));
    session.receive(&reply(&sent, "resolve", 3.into()), NOW).unwrap();
    let Some(Event::Resolved { call: 1, value }) = session.poll_event() else { panic!("resolved") };
    assert_eq!(value.value(), Ok(Value::from(3)));
    assert_eq!(value.origin.from, "lab/other");
    session.receive(&reply(&sent, "resolve", 4.into()), NOW).unwrap();
    assert_eq!(events(&mut session), [], "a second reply is nobody's");
    assert_eq!(session.statistics(), Default::default());
}

#[test]
fn a_call_ends_with_its_error() {
    let mut session = session(Options::default());
    for (value, message) in [(error("bad"), "bad"), ("thrown text".into(), "thrown text"), (7.into(), "7")] {
        call(&mut session, 1, "other", "services.calc.add", &[]).unwrap();
        let sent = session.poll_send().unwrap();
        session.receive(&reply(&sent, "reject", value), NOW).unwrap();
        let Some(Event::Rejected { call: 1, error }) = session.poll_event() else { panic!("rejected") };
        assert_eq!((error.kind(), error.message()), (ErrorKind::Remote, message));
    }
}

#[test]
fn only_the_peer_that_was_called_may_answer() {
    let mut session = session(Options::default());
    call(&mut session, 1, "other", "services.calc.add", &[]).unwrap();
    let mut sent = session.poll_send().unwrap();
    let honest = reply(&sent, "resolve", 1.into());
    for stranger in ["lab/stranger", "elsewhere/other", "*/manager-0", "lab/other2"] {
        sent.to = stranger.to_owned();
        for end in ["resolve", "reject", "heartbeat"] {
            session.receive(&reply(&sent, end, 2.into()), NOW + 20 * SECOND).unwrap();
            assert_eq!(events(&mut session), [], "{end} of {stranger}");
        }
    }
    session.tick(NOW + 30 * SECOND - SECOND / 10);
    session.receive(&honest, NOW).unwrap();
    assert!(matches!(&events(&mut session)[..], [Event::Resolved { call: 1, .. }]));
}

#[test]
fn a_call_without_an_answer_times_out() {
    let mut session = session(Options { method_timeout: 10 * SECOND, ..Options::default() });
    call(&mut session, 1, "other", "services.calc.add", &[function(9)]).unwrap();
    let sent = session.poll_send().unwrap();
    assert_eq!(session.next_tick(), Some(NOW + 10 * SECOND));
    session.tick(NOW + 9 * SECOND);
    assert_eq!(events(&mut session), []);
    session.tick(NOW + 10 * SECOND);
    let ends = events(&mut session);
    let [Event::Rejected { call: 1, error }, Event::Released(9)] = &ends[..] else { panic!("{ends:?}") };
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(error.message().contains("timed out: lab/other:services.calc.add"), "{error}");
    session.receive(&reply(&sent, "resolve", 1.into()), NOW + 11 * SECOND).unwrap();
    assert_eq!(events(&mut session), [], "a late answer is nobody's");
    assert_eq!(session.next_tick(), None);
}

#[test]
fn functions_of_interfaces_have_a_time_of_their_own() {
    let mut session = session(Options { rintf_timeout: 2 * SECOND, ..Options::default() });
    call(&mut session, 1, "other", "services._rintf_1.beep", &[]).unwrap();
    session.tick(NOW + SECOND);
    assert_eq!(events(&mut session), []);
    session.tick(NOW + 2 * SECOND);
    let ends = events(&mut session);
    assert!(matches!(&ends[..], [Event::Rejected { call: 1, error }] if error.kind() == ErrorKind::Timeout));
}

#[test]
fn a_heartbeat_begins_the_time_anew() {
    let mut session = session(Options { method_timeout: 10 * SECOND, ..Options::default() });
    call(&mut session, 1, "other", "services.calc.add", &[]).unwrap();
    let sent = session.poll_send().unwrap();
    for beat in 1..=5 {
        let now = NOW + beat * 8 * SECOND;
        session.receive(&reply(&sent, "heartbeat", Value::Nil), now).unwrap();
        session.tick(now + 9 * SECOND);
        assert_eq!(events(&mut session), []);
    }
    session.tick(NOW + 50 * SECOND);
    assert!(matches!(&events(&mut session)[..], [Event::Rejected { call: 1, .. }]));
}

#[test]
fn each_call_has_its_own_time() {
    let mut session = session(Options::default());
    for (id, seconds) in [(1, 30), (2, 5), (3, 60)] {
        let spec = CallSpec {
            target: "other",
            method: "services.calc.add",
            promise: Promise::Star,
            timeout: Some(Duration::from_secs(seconds)),
            ..CallSpec::default()
        };
        let draft = session.begin_call(&spec).unwrap();
        session.finish_call(id, draft, NOW).unwrap();
    }
    let mut ended = Vec::new();
    while let Some(at) = session.next_tick() {
        session.tick(at);
        for event in events(&mut session) {
            let Event::Rejected { call, .. } = event else { panic!("{event:?}") };
            ended.push((call, (at - NOW).as_secs()));
        }
    }
    assert_eq!(ended, [(2, 5), (1, 30), (3, 60)]);
}

#[test]
fn a_peer_that_has_gone_answers_nothing() {
    let mut session = session(Options::default());
    call(&mut session, 1, "other", "services.calc.add", &[function(8)]).unwrap();
    call(&mut session, 2, "elsewhere/other", "services.calc.add", &[]).unwrap();
    for claim in [gone(Some("lab/stranger"), "other"), gone(Some("lab/other"), "other")] {
        assert!(session.receive(&claim, NOW).is_err());
        assert_eq!(events(&mut session), [], "a client cannot say that another has gone");
    }
    session.receive(&gone(None, "other"), NOW).unwrap();
    let ends = events(&mut session);
    let [Event::Rejected { call: 1, error }, Event::Released(8), Event::Signal { .. }] = &ends[..] else {
        panic!("{ends:?}")
    };
    assert_eq!((error.kind(), error.message()), (ErrorKind::PeerGone, "Client disconnected: lab/other"));
    session.receive(&gone(None, "elsewhere/other"), NOW).unwrap();
    assert!(matches!(&events(&mut session)[..], [Event::Rejected { call: 2, .. }, Event::Signal { .. }]));
}

#[test]
fn a_callback_may_be_called_by_its_target_only_and_while_the_call_lasts() {
    let mut session = session(Options::default());
    call(&mut session, 1, "other", "services.calc.add", &[function(42)]).unwrap();
    let sent = session.poll_send().unwrap();
    let given = body(&sent.frame);
    let Some([Value::Method(stub)]) = given.get("args").and_then(Value::as_list) else {
        panic!("a function was given")
    };
    let arguments =
        Value::Map(Map::from_iter([("args", Value::List(vec![5.into()])), ("promise", "*".into())]));
    let route = |from| Route { from, to: ME, method: &stub.method, session: Some("C"), ..Route::default() };

    session.receive(&delivered(&route("lab/stranger"), &arguments), NOW).unwrap();
    assert_eq!(events(&mut session), []);
    assert!(rejection(&mut session).starts_with("Access denied for method call"));

    session.receive(&delivered(&route("lab/other"), &arguments), NOW).unwrap();
    let Some(Event::Invoke(invocation)) = session.poll_event() else { panic!("the callback is called") };
    assert_eq!((invocation.handler, invocation.payload.value()), (42, Ok(5.into())));

    let missing = Route { method: &stub.method.replace("#callback", "#other"), ..route("lab/other") };
    session.receive(&delivered(&missing, &arguments), NOW).unwrap();
    assert!(rejection(&mut session).starts_with("Method expired or not found: lab/other:"));

    session.receive(&reply(&sent, "resolve", Value::Nil), NOW).unwrap();
    assert!(matches!(&events(&mut session)[..], [Event::Resolved { call: 1, .. }, Event::Released(42)]));
    session.receive(&delivered(&route("lab/other"), &arguments), NOW).unwrap();
    assert!(rejection(&mut session).starts_with("Session not found: lab/other:"));
    assert_eq!(events(&mut session), []);
}

/// The text of the reject that was sent.
pub(crate) fn rejection(session: &mut Session) -> String {
    let sent = session.poll_send().expect("a reject is sent");
    assert!(header(&sent.frame).text("method").is_some_and(|method| method.ends_with(".reject")));
    let body = body(&sent.frame);
    match body.get("args").and_then(Value::as_list) {
        Some([Value::Tagged(error)]) => match &**error {
            polyfn_core::codec::Tagged::Error(error) => error.message().to_owned(),
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

#[test]
fn giving_up_lets_the_functions_go() {
    let mut session = session(Options::default());
    call(&mut session, 1, "other", "services.calc.add", &[function(3)]).unwrap();
    session.forget_call(1, NOW);
    assert_eq!(events(&mut session), [Event::Released(3)]);
    assert_eq!(session.statistics().calls, 0);
    session.forget_call(1, NOW);
    let mut draft = session
        .begin_call(&CallSpec { target: "other", method: "m", args: 1, ..CallSpec::default() })
        .unwrap();
    assert!(
        function(4).walk(&mut draft.writer).is_err(),
        "a call without a reply cannot keep functions alive"
    );
    assert!(draft.abandon().is_empty());
    let spec =
        CallSpec { target: "other", method: "m", promise: Promise::Star, args: 1, ..CallSpec::default() };
    let mut draft = session.begin_call(&spec).unwrap();
    function(4).walk(&mut draft.writer).unwrap();
    assert_eq!(draft.abandon(), [4]);
}

#[test]
fn a_call_that_wants_no_reply_is_done_when_it_is_sent() {
    let mut session = session(Options::default());
    let spec = CallSpec {
        target: "other",
        method: "services.log.line",
        promise: Promise::Never,
        ..CallSpec::default()
    };
    let draft = session.begin_call(&spec).unwrap();
    session.finish_call(1, draft, NOW).unwrap();
    let sent = session.poll_send().unwrap();
    assert!(!header(&sent.frame).contains("session") && !body(&sent.frame).contains("promise"));
    assert!(
        matches!(&events(&mut session)[..], [Event::Resolved { call: 1, value }] if value.value() == Ok(Value::Nil))
    );
    assert_eq!(session.statistics(), Default::default());
}

#[test]
fn too_many_calls_are_refused() {
    let mut session = session(Options { max_calls: 2, ..Options::default() });
    call(&mut session, 1, "other", "m", &[]).unwrap();
    call(&mut session, 2, "other", "m", &[]).unwrap();
    assert_eq!(call(&mut session, 3, "other", "m", &[]).unwrap_err().kind(), ErrorKind::Overloaded);
    let sent = session.poll_send().unwrap();
    session.receive(&reply(&sent, "resolve", Value::Nil), NOW).unwrap();
    call(&mut session, 3, "other", "m", &[]).unwrap();
}

#[test]
fn a_full_buffer_is_told() {
    let mut session = session(Options { send_buffer: 1000, ..Options::default() });
    assert!(!session.is_congested());
    call(&mut session, 1, "other", "m", &[Value::from("x".repeat(2000))]).unwrap();
    assert!(session.is_congested());
    session.poll_send().unwrap();
    assert!(!session.is_congested());
    assert_eq!(answer(&mut session, &mut Vec::new(), NOW), []);
}
