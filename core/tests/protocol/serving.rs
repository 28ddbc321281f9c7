//! Calls of others: who may call what, and how the answer comes back.

use std::time::Duration;

use bytes::Bytes;
use polyfn_core::codec::{Reader, Stub, Walk};
use polyfn_core::session::{Event, Invocation, Options, Session};
use polyfn_core::wire::Route;
use polyfn_core::{Error, ErrorKind, Function, Map, Value};

use crate::calling::{gone, rejection};
use crate::joining::{events, offer, service};
use crate::manager::{MANAGER, body, delivered, header, joined};

pub(crate) const ME: &str = "lab/me";
const NOW: Duration = Duration::from_secs(100);
const SECOND: Duration = Duration::from_secs(1);

fn session(services: &[Value]) -> Session {
    with_options(services, Options::default())
}

fn with_options(services: &[Value], options: Options) -> Session {
    let mut session = joined(Session::new(options), ME, NOW);
    services.iter().for_each(|service| drop(offer(&mut session, service).unwrap()));
    events(&mut session);
    session
}

fn public(id: &str, first: u64, functions: &[&str]) -> Value {
    service(id, &[("visibility", "public".into())], first, functions)
}

/// A call by `from` of `method`, with a second segment of these entries beside `args`.
pub(crate) fn called(from: &str, method: &str, args: &[Value], more: &[(&str, Value)]) -> Bytes {
    let route = Route { from, to: ME, method, session: Some("S"), ..Route::default() };
    let mut body = Map::from_iter([("args", Value::List(args.to_vec()))]);
    more.iter().for_each(|(key, value)| drop(body.insert(*key, value.clone())));
    delivered(&route, &Value::Map(body))
}

pub(crate) fn star() -> [(&'static str, Value); 2] {
    [("promise", "*".into()), ("t", Value::Float(2.0))]
}

fn invoked(session: &mut Session) -> Invocation {
    match session.poll_event() {
        Some(Event::Invoke(invocation)) => invocation,
        other => panic!("a function must be called, but {other:?}"),
    }
}

#[test]
fn a_call_reaches_the_function_at_its_path() {
    let nested = Map::from_iter([(
        "v1",
        Value::from(vec![Value::Function(Function { handle: 77, ..Function::default() }), Value::from(5)]),
    )]);
    let Value::Map(mut calc) = public("calc", 1, &["add", "sub"]) else { panic!("a service is a map") };
    calc.insert("api", nested);
    let mut session = session(&[Value::Map(calc)]);
    for (path, handle) in [("add", 1), ("sub", 2), ("api.v1.0", 77)] {
        let args = [1.into(), Value::Map(Map::from_iter([("b", 2)]))];
        let frame =
            called("lab/other", &format!("services.calc.{path}"), &args, &[("with_kwargs", true.into())]);
        session.receive(&frame, NOW).unwrap();
        let invocation = invoked(&mut session);
        assert_eq!((invocation.handler, invocation.run), (handle, None), "no reply was wanted");
        let (positional, keywords) = invocation.payload.values().unwrap();
        assert_eq!((positional, keywords.get("b")), (vec![1.into()], Some(&2.into())));
        assert_eq!(invocation.context, None);
    }
    assert_eq!(session.statistics(), Default::default());
}

#[test]
fn unknown_methods_are_refused_in_the_words_that_old_peers_know() {
    let mut session = session(&[public("calc", 1, &["add"])]);
    for (method, text) in [
        ("services.nope.add", "Method expired or not found: lab/other:services.nope.add"),
        ("services.calc.nope", "Method expired or not found: lab/other:services.calc.nope"),
        ("services.calc", "Method expired or not found: lab/other:services.calc"),
        ("services.calc.add.deeper", "Method expired or not found: lab/other:services.calc.add.deeper"),
        ("unknown-session.1", "Session not found: lab/other:unknown-session.1"),
        ("plain", "Method not found: lab/other:plain at me"),
    ] {
        session.receive(&called("lab/other", method, &[], &star()), NOW).unwrap();
        assert_eq!(rejection(&mut session), text);
        session.receive(&called("lab/other", method, &[], &[]), NOW).unwrap();
        assert!(session.poll_send().is_none(), "nobody waits for the reply");
    }
    session.receive(&called("lab/other", "gone.resolve", &[], &star()), NOW).unwrap();
    assert!(session.poll_send().is_none(), "a reply to nothing is ignored");
    assert_eq!(events(&mut session), []);
}

#[test]
fn a_protected_service_is_for_its_workspace() {
    let authorized = [("authorized_workspaces", Value::from(vec!["friends".into()]))];
    let mut session = session(&[
        public("open", 1, &["f"]),
        service("unlisted", &[("visibility", "unlisted".into())], 2, &["f"]),
        service("by-default", &[], 3, &["f"]),
        service("private", &[("visibility", "private".into())], 4, &["f"]),
        service("friendly", &authorized, 5, &["f"]),
    ]);
    for (service, from, is_admitted) in [
        ("open", "elsewhere/x", true),
        ("unlisted", "elsewhere/x", true),
        ("by-default", "lab/other", true),
        ("by-default", "elsewhere/x", false),
        ("by-default", MANAGER, true),
        ("by-default", "*/another-manager", false),
        ("private", "elsewhere/x", false),
        ("private", "lab/other", true),
        ("friendly", "friends/x", true),
        ("friendly", "elsewhere/x", false),
        ("friendly", "lab/other", true),
    ] {
        session.receive(&called(from, &format!("services.{service}.f"), &[], &star()), NOW).unwrap();
        if is_admitted {
            invoked(&mut session);
        } else {
            let text = rejection(&mut session);
            assert!(
                text.starts_with("Permission denied for invoking protected method"),
                "{service} by {from}: {text}"
            );
        }
        assert_eq!(events(&mut session), [], "{service} by {from}");
    }
}

#[test]
fn the_context_says_who_calls_where_the_service_asks_for_it() {
    let mut session = session(&[
        service("always", &[("visibility", "public".into()), ("require_context", true.into())], 1, &["f"]),
        service(
            "some",
            &[("visibility", "public".into()), ("require_context", Value::from(vec!["g".into()]))],
            2,
            &["f", "g"],
        ),
    ]);
    for (method, wants_context) in
        [("services.always.f", true), ("services.some.f", false), ("services.some.g", true)]
    {
        session.receive(&called("elsewhere/x", method, &[], &star()), NOW).unwrap();
        let Some(context) = invoked(&mut session).context else {
            assert!(!wants_context, "{method}");
            continue;
        };
        assert!(wants_context, "{method}");
        let context = Reader::new(&context).value().unwrap();
        let context = context.as_map().unwrap();
        assert_eq!((context.text("from"), context.text("to")), (Some("elsewhere/x"), Some(ME)));
        assert_eq!((context.text("ws"), context.text("method")), (Some("elsewhere"), Some(method)));
        let user = context.get("user").and_then(Value::as_map).and_then(|user| user.text("id"));
        assert_eq!(user, Some("user of elsewhere/x"));
    }
}

#[test]
fn whatever_means_yes_asks_for_the_context() {
    let truths = [
        (Value::Int(1), true),
        (Value::from("yes"), true),
        (Value::Map(Map::from_iter([("a", 1)])), true),
        (Value::Int(0), false),
        (Value::from(""), false),
        (Value::Nil, false),
        (Value::List(Vec::new()), false),
    ];
    for (value, is_wanted) in truths {
        let config = [("visibility", "public".into()), ("require_context", value.clone())];
        let mut session = session(&[service("s", &config, 1, &["f"])]);
        session.receive(&called("elsewhere/x", "services.s.f", &[], &star()), NOW).unwrap();
        assert_eq!(invoked(&mut session).context.is_some(), is_wanted, "{value:?}");
    }
}

#[test]
fn what_makes_no_sense_in_a_service_is_refused() {
    let mut session = session(&[]);
    let list = |item: Value| Value::List(vec![item]);
    let table = [
        ("s", ("require_context", list(5.into())), "`require_context` must hold texts only"),
        ("s", ("visibility", 5.into()), "`visibility` must be"),
        ("s", ("authorized_workspaces", "lab".into()), "`authorized_workspaces` must be a list"),
        ("s", ("authorized_workspaces", list(5.into())), "`authorized_workspaces` must hold texts only"),
        ("built-in", ("visibility", "public".into()), "`built-in` cannot be a service id"),
    ];
    for (id, setting, words) in table {
        let error = offer(&mut session, &service(id, &[setting], 1, &["f"])).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.message().starts_with(words), "{error}");
    }
}

#[test]
fn who_speaks_is_said_in_the_first_segment_only() {
    let mut session = session(&[public("calc", 1, &["add"])]);
    for key in ["ctx", "from", "to", "ws", "user", "type", "method", "session", "parent"] {
        let forged = Value::Map(Map::from_iter([("id", "root")]));
        let frame =
            called("elsewhere/x", "services.calc.add", &[], &[(key, forged), ("promise", "*".into())]);
        assert_eq!(session.receive(&frame, NOW).unwrap_err().kind(), ErrorKind::Invalid, "{key}");
        assert_eq!(events(&mut session), [], "{key}");
        assert!(rejection(&mut session).contains("second segment"), "{key}");
    }
    assert_eq!(session.statistics(), Default::default());
}

#[test]
fn arguments_must_be_a_list() {
    let mut session = session(&[public("calc", 1, &["add"])]);
    let route = Route {
        from: "lab/other",
        to: ME,
        method: "services.calc.add",
        session: Some("S"),
        ..Route::default()
    };
    for args in [Value::from(5), Value::Map(Map::new()), Value::Nil, "text".into()] {
        let body = Value::Map(Map::from_iter([("args", args), ("promise", "*".into())]));
        assert!(session.receive(&delivered(&route, &body), NOW).is_err());
        assert!(rejection(&mut session).contains("must be a list"));
        assert_eq!(events(&mut session), []);
    }
}

#[test]
fn the_result_goes_to_the_caller() {
    let mut session = session(&[public("calc", 1, &["add"])]);
    session.receive(&called("elsewhere/x", "services.calc.add", &[], &star()), NOW).unwrap();
    let run = invoked(&mut session).run.unwrap();
    let mut draft = session.begin_reply(run).unwrap();
    Value::from(3).walk(&mut draft.writer).unwrap();
    session.finish_reply(draft, NOW);
    let sent = session.poll_send().unwrap();
    let segment = header(&sent.frame);
    assert_eq!(
        (sent.to.as_str(), segment.text("method"), segment.text("parent")),
        ("elsewhere/x", Some("S.resolve"), Some("S"))
    );
    assert_eq!(body(&sent.frame).get("args"), Some(&Value::from(vec![3.into()])));
    assert!(session.begin_reply(run).is_none(), "a run ends once");
    session.reject(run, &Error::remote("late"), NOW);
    assert!(session.poll_send().is_none());
}

#[test]
fn the_error_goes_to_the_caller_with_code_and_class() {
    let mut session = session(&[public("calc", 1, &["add"])]);
    session.receive(&called("lab/other", "services.calc.add", &[], &star()), NOW).unwrap();
    let run = invoked(&mut session).run.unwrap();
    let bad = Error::new(ErrorKind::NotFound, "no such row").with_class("KeyError").with_trace("line 1");
    session.reject(run, &bad, NOW);
    let sent = session.poll_send().unwrap();
    let body = body(&sent.frame);
    let Some([Value::Tagged(error)]) = body.get("args").and_then(Value::as_list) else {
        panic!("an error is sent")
    };
    assert_eq!(**error, polyfn_core::codec::Tagged::Error(bad));
}

#[test]
fn a_long_run_sends_heartbeats() {
    let mut session = session(&[public("calc", 1, &["add"])]);
    session.receive(&called("lab/other", "services.calc.add", &[], &star()), NOW).unwrap();
    let run = invoked(&mut session).run.unwrap();
    assert_eq!(session.next_tick(), Some(NOW + 2 * SECOND), "as often as the caller said");
    for beat in 1..=3 {
        session.tick(NOW + beat * 2 * SECOND);
        let sent = session.poll_send().unwrap();
        assert_eq!(header(&sent.frame).text("method"), Some("S.heartbeat"));
        assert!(session.poll_send().is_none());
    }
    session.reject(run, &Error::remote("done"), NOW);
    session.poll_send().unwrap();
    session.tick(NOW + 20 * SECOND);
    assert!(session.poll_send().is_none(), "nothing runs any longer");
}

#[test]
fn functions_in_results_stay_for_their_receiver_until_unused() {
    let options = Options { keep: 60 * SECOND, ..Options::default() };
    let mut session = with_options(&[public("calc", 1, &["make"])], options);
    session.receive(&called("lab/other", "services.calc.make", &[], &star()), NOW).unwrap();
    let run = invoked(&mut session).run.unwrap();
    let mut draft = session.begin_reply(run).unwrap();
    Value::Function(Function { handle: 50, name: "made".to_owned(), ..Function::default() })
        .walk(&mut draft.writer)
        .unwrap();
    session.finish_reply(draft, NOW);
    let sent = body(&session.poll_send().unwrap().frame);
    let Some([Value::Method(stub)]) = sent.get("args").and_then(Value::as_list) else {
        panic!("a function is sent")
    };
    assert_eq!((stub.target.as_str(), session.statistics().kept), (ME, 1));

    session.receive(&called("lab/stranger", &stub.method, &[], &star()), NOW).unwrap();
    assert!(rejection(&mut session).starts_with("Access denied"));
    session.receive(&called("lab/other", &stub.method, &[], &[]), NOW + 50 * SECOND).unwrap();
    assert_eq!(invoked(&mut session).handler, 50);
    session.tick(NOW + 100 * SECOND);
    assert_eq!(events(&mut session), [], "it was used 50 seconds ago");
    let at = session.next_tick().expect("it will be looked at again");
    session.tick(at.max(NOW + 111 * SECOND));
    assert_eq!(events(&mut session), [Event::Released(50)]);
    assert_eq!(session.statistics(), Default::default());
}

#[test]
fn functions_in_results_go_with_their_receiver() {
    let mut session = session(&[public("calc", 1, &["make"])]);
    for (caller, handle) in [("lab/other", 70), ("lab/another", 71)] {
        session.receive(&called(caller, "services.calc.make", &[], &star()), NOW).unwrap();
        let run = invoked(&mut session).run.unwrap();
        let mut draft = session.begin_reply(run).unwrap();
        Value::Function(Function { handle, ..Function::default() }).walk(&mut draft.writer).unwrap();
        session.finish_reply(draft, NOW);
    }
    session.receive(&called("lab/other", "services.calc.make", &[], &star()), NOW).unwrap();
    let run = invoked(&mut session).run.unwrap();
    session.receive(&gone(None, "other"), NOW).unwrap();
    assert!(matches!(&events(&mut session)[..], [Event::Released(70), Event::Signal { .. }]));
    session.tick(NOW + 10 * SECOND);
    session.tick(NOW + 12 * SECOND);
    assert!(session.begin_reply(run).is_none(), "nobody waits for it");
    assert_eq!((session.statistics().kept, session.statistics().runs), (1, 0));
}

#[test]
fn too_many_runs_and_kept_functions_are_refused() {
    let options = Options { max_runs: 1, max_kept: 1, ..Options::default() };
    let mut session = with_options(&[public("calc", 1, &["make"])], options);
    let frame = called("lab/other", "services.calc.make", &[], &star());
    for handle in [60, 61] {
        session.receive(&frame, NOW).unwrap();
        let run = invoked(&mut session).run.unwrap();
        session.receive(&frame, NOW).unwrap();
        assert!(rejection(&mut session).contains("running already"));
        let mut draft = session.begin_reply(run).unwrap();
        Value::Function(Function { handle, ..Function::default() }).walk(&mut draft.writer).unwrap();
        session.finish_reply(draft, NOW);
        session.poll_send().unwrap();
    }
    assert_eq!(events(&mut session), [Event::Released(61)]);
    assert_eq!(session.statistics().kept, 1);
}

#[test]
fn one_peer_does_not_take_the_place_of_others() {
    let options = Options { max_runs_per_peer: 1, ..Options::default() };
    let mut session = with_options(&[public("calc", 1, &["make"])], options);
    let of = |peer: &str| called(peer, "services.calc.make", &[], &star());
    session.receive(&of("lab/greedy"), NOW).unwrap();
    let run = invoked(&mut session).run.unwrap();
    session.receive(&of("lab/greedy"), NOW).unwrap();
    assert!(rejection(&mut session).contains("1 functions are running for lab/greedy already"));
    session.receive(&of("lab/other"), NOW).unwrap();
    assert!(invoked(&mut session).run.is_some());
    session.reject(run, &Error::invalid("no"), NOW);
    session.poll_send().unwrap();
    session.receive(&of("lab/greedy"), NOW).unwrap();
    let run = invoked(&mut session).run.unwrap();
    // leaving and coming again does not make room: the function runs on
    session.receive(&gone(None, "greedy"), NOW).unwrap();
    let later = NOW + Duration::from_secs(60);
    for second in 0..60 {
        session.tick(NOW + Duration::from_secs(second));
    }
    while session.poll_send().is_some() || session.poll_event().is_some() {}
    session.receive(&of("lab/greedy"), later).unwrap();
    assert!(rejection(&mut session).contains("1 functions are running for lab/greedy already"));
    assert!(session.begin_reply(run).is_none(), "nobody waits for it");
    session.receive(&of("lab/greedy"), later).unwrap();
    assert!(invoked(&mut session).run.is_some());
}

#[test]
fn the_built_in_service_answers_by_itself() {
    let mut session = session(&[service("calc", &[], 1, &["add"])]);
    let mut ask = |from: &str, method: &str, args: &[Value]| {
        session.receive(&called(from, &format!("services.built-in.{method}"), args, &star()), NOW).unwrap();
        let sent = session.poll_send().unwrap();
        let end = header(&sent.frame).text("method").unwrap().to_owned();
        let value = body(&sent.frame).remove("args").unwrap().as_list().unwrap()[0].clone();
        (end, value)
    };
    assert_eq!(ask("elsewhere/x", "ping", &["ping".into()]), ("S.resolve".into(), "pong".into()));
    assert_eq!(ask("elsewhere/x", "ping", &["other".into()]).0, "S.reject");
    let (end, described) = ask("lab/other", "get_service", &["calc".into()]);
    let described = described.as_map().unwrap();
    assert_eq!((end.as_str(), described.text("id")), ("S.resolve", Some("calc")));
    let Some(Value::Method(stub)) = described.get("add") else { panic!("{described:?}") };
    assert_eq!((stub.target.as_str(), stub.method.as_str()), (ME, "services.calc.add"));
    assert_eq!(ask("elsewhere/x", "get_service", &["calc".into()]).0, "S.reject", "it is protected");
    assert_eq!(ask("lab/other", "get_service", &["nope".into()]).0, "S.reject");
    assert_eq!(events(&mut session), []);
}

#[test]
fn a_message_in_parts_is_taken_from_its_sender_only() {
    let mut session = session(&[service(
        "calc",
        &[("visibility", "public".into()), ("require_context", true.into())],
        1,
        &["add"],
    )]);
    // Its own first segment claims another sender; what counts is who brought the parts.
    let long = called("elsewhere/root", "services.calc.add", &[Value::from("x".repeat(5000))], &star());
    let (first, second) = (long.slice(..3000), long.slice(3000..));
    let mut part = |from: &str, name: &str, args: &[Value]| {
        let method = format!("services.built-in.message_cache.{name}");
        session.receive(&called(from, &method, args, &star()), NOW).unwrap();
        let calls: Vec<Invocation> = events(&mut session)
            .into_iter()
            .map(|event| match event {
                Event::Invoke(invocation) => invocation,
                other => panic!("{other:?}"),
            })
            .collect();
        let ends: Vec<String> = std::iter::from_fn(|| session.poll_send())
            .map(|sent| header(&sent.frame).text("method").unwrap().to_owned())
            .collect();
        (ends, calls)
    };
    for (key, middle, end) in [("A", "process", "S.reject"), ("B", "set", "S.resolve")] {
        let key = Value::from(key);
        assert_eq!(part("lab/other", "create", std::slice::from_ref(&key)).0, ["S.resolve"]);
        assert_eq!(
            part("lab/other", "set", &[key.clone(), 1.into(), Value::Bytes(second.clone())]).0,
            ["S.resolve"]
        );
        assert_eq!(part("lab/stranger", "process", std::slice::from_ref(&key)).0, ["S.reject"]);
        // `A` is processed with a part missing, which ends it; `B` is completed first.
        assert_eq!(part("lab/other", middle, &[key.clone(), 0.into(), Value::Bytes(first.clone())]).0, [end]);
        let (ends, calls) = part("lab/other", "process", std::slice::from_ref(&key));
        assert_eq!(ends, [end]);
        let callers: Vec<&str> = calls.iter().map(|call| call.payload.origin.from.as_str()).collect();
        for call in &calls {
            let context = Reader::new(call.context.as_ref().unwrap()).value().unwrap();
            let context = context.as_map().unwrap();
            assert_eq!((context.text("from"), context.text("ws")), (Some("lab/other"), Some("lab")));
            let user = context.get("user").and_then(Value::as_map).and_then(|user| user.text("id"));
            assert_eq!(user, Some("user of lab/other"));
        }
        assert_eq!(callers, if end == "S.resolve" { vec!["lab/other"] } else { vec![] });
    }
    let heartbeat = [Value::from("C"), true.into()];
    assert_eq!(part("lab/other", "create", &heartbeat).0, ["S.reject"], "no such call is under way");
}

#[test]
fn parts_that_nobody_completes_are_forgotten_in_time() {
    let mut session = session(&[public("calc", 1, &["add"])]);
    let create =
        |key: &str| called("lab/other", "services.built-in.message_cache.create", &[key.into()], &star());
    session.receive(&create("old"), NOW).unwrap();
    session.receive(&create("new"), NOW + 200 * SECOND).unwrap();
    let mut left = Vec::new();
    while let Some(at) = session.next_tick() {
        session.tick(at);
        left.push(session.statistics().chunks);
        assert!(left.len() < 10, "time must get on: {left:?}");
    }
    assert_eq!(left.last(), Some(&0));
    assert!(left.contains(&1), "the newer one stayed longer: {left:?}");
}

#[test]
fn a_written_promise_leads_back_to_its_caller_only() {
    let calc = public("calc", 1, &["add"]);
    let stub = |target: &str, method: &str| {
        Value::from(Stub { target: target.to_owned(), method: method.to_owned(), ..Stub::default() })
    };
    for (target, method, answers) in [
        ("other", "S.resolve", true),
        ("lab/other", "S.resolve", true),
        ("victim", "services.secret.delete", false),
        ("elsewhere/victim", "S.resolve", false),
        ("other", "services.secret.delete", false),
    ] {
        let mut session = session(std::slice::from_ref(&calc));
        let promise =
            Map::from_iter([("resolve", stub(target, method)), ("reject", stub("other", "S.reject"))]);
        let more = [("promise", Value::Map(promise))];
        session.receive(&called("lab/other", "services.calc.add", &[], &more), NOW).unwrap();
        assert_eq!(invoked(&mut session).run.is_some(), answers, "{target} {method}");
        let ping = called("lab/other", "services.built-in.ping", &["ping".into()], &more);
        session.receive(&ping, NOW).unwrap();
        let sent = session.poll_send().map(|sent| sent.to);
        assert_eq!(sent.as_deref(), answers.then_some("lab/other"), "{target} {method}");
    }
}

#[test]
fn a_long_result_that_its_caller_cannot_take_is_an_error_there() {
    let options = Options { chunk_size: 1000, ..Options::default() };
    let mut session = with_options(&[public("calc", 1, &["add"])], options);
    session.receive(&called("lab/other", "services.calc.add", &[], &star()), NOW).unwrap();
    let run = invoked(&mut session).run.unwrap();
    let mut draft = session.begin_reply(run).unwrap();
    Value::from("x".repeat(5000)).walk(&mut draft.writer).unwrap();
    session.finish_reply(draft, NOW);

    let create = session.poll_send().unwrap().frame;
    assert_eq!(header(&create).text("method"), Some("services.built-in.message_cache.create"));
    let reject = format!("{}.reject", header(&create).text("session").unwrap());
    let route = Route { from: "lab/other", to: ME, method: &reject, ..Route::default() };
    let full = Error::new(ErrorKind::Overloaded, "the cache is full");
    let args = Value::List(vec![Value::Tagged(Box::new(polyfn_core::codec::Tagged::Error(full)))]);
    session.receive(&delivered(&route, &Value::Map(Map::from_iter([("args", args)]))), NOW).unwrap();

    assert!(rejection(&mut session).ends_with("could not be sent: the cache is full"));
    assert_eq!(session.statistics(), Default::default());
}

#[test]
fn events_of_requests_are_told_from_other_arguments() {
    use polyfn_core::functions::Signature;
    let settings = [("visibility", "public".into()), ("signature", "context".into())];
    let with_kind = |id: &str, kind: &str, settings: &[(&str, Value)]| {
        let Value::Map(mut map) = service(id, settings, 1, &["f"]) else { panic!("a service is a map") };
        map.insert("type", kind);
        Value::Map(map)
    };
    let mut session = session(&[
        with_kind("web", "functions", &settings[..1]),
        with_kind("ctx", "functions", &settings),
        with_kind("calc", "generic", &settings[..1]),
    ]);
    let event = Value::Map(Map::from_iter([("method", "GET"), ("type", "http")]));
    let other = Value::Map(Map::from_iter([("type", "mail")]));
    for (method, argument, expected) in [
        ("services.web.f", &event, Some(Signature::Event)),
        ("services.ctx.f", &event, Some(Signature::Context)),
        ("services.calc.f", &event, None),
        ("services.web.f", &other, None),
        ("services.web.f", &Value::from("http"), None),
    ] {
        let call = called("lab/you", method, std::slice::from_ref(argument), &star());
        session.receive(&call, NOW).unwrap();
        assert_eq!(invoked(&mut session).event, expected, "{method} {argument:?}");
        events(&mut session);
    }
    let wrong = [("http_call_timeout", "soon".into())];
    let refused = offer(&mut session, &with_kind("bad", "functions", &wrong)).unwrap_err();
    assert!(refused.message().starts_with("at config.http_call_timeout"), "{}", refused.message());
}
