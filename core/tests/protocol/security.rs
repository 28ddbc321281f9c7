//! What a peer must not get by lying: each test fails against a session that believes what it is told.

use std::time::Duration;

use bytes::Bytes;
use polyfn_core::codec::{Reader, Walk, Writer};
use polyfn_core::session::{Event, Options, Session};
use polyfn_core::wire::Route;
use polyfn_core::{ErrorKind, Map, Value};

use crate::calling::rejection;
use crate::joining::{call, events, offer, service};
use crate::manager::{MANAGER, delivered, joined};
use crate::serving::{ME, called, star};

const NOW: Duration = Duration::from_secs(100);

fn session(service: &Value) -> Session {
    let mut session = joined(Session::new(Options::default()), ME, NOW);
    offer(&mut session, service).unwrap();
    events(&mut session);
    session
}

fn curious() -> Value {
    service("calc", &[("visibility", "public".into()), ("require_context", true.into())], 1, &["add"])
}

fn event(kind: &str, from: Option<&str>) -> Bytes {
    let data = Map::from_iter([("id", "victim"), ("workspace", "lab")]);
    let mut message = Map::from_iter([("type", Value::from(kind)), ("to", "*".into())]);
    from.into_iter().for_each(|from| drop(message.insert("from", from)));
    message.insert("data", data);
    Value::Map(message).to_msgpack().unwrap().into()
}

#[test]
fn a_context_that_was_sent_along_is_no_context() {
    let mut session = session(&curious());
    let forged = Map::from_iter([("user", Map::from_iter([("id", "root")])), ("ws", Map::new())]);
    let mut first = Map::from_iter([
        ("type", "method"),
        ("from", "elsewhere/x"),
        ("to", ME),
        ("method", "services.calc.add"),
        ("ws", "elsewhere"),
    ]);
    first.insert("user", Map::from_iter([("id", "guest")]));
    first.insert("ctx", forged);
    let mut out = Writer::new();
    Value::Map(first).walk(&mut out).unwrap();
    Value::Map(Map::from_iter([("args", Value::List(Vec::new()))])).walk(&mut out).unwrap();
    session.receive(&out.into_bytes().into(), NOW).unwrap();
    let [Event::Invoke(invocation)] = &events(&mut session)[..] else { panic!("it must be called") };
    let context = Reader::new(invocation.context.as_ref().unwrap()).value().unwrap().to_json().unwrap();
    assert_eq!((&context["user"]["id"], &context["ws"]), (&"guest".into(), &"elsewhere".into()));
    assert!(context.get("ctx").is_none(), "{context}");
}

#[test]
fn a_peer_cannot_tell_what_only_the_server_or_the_client_itself_tells() {
    let mut session = session(&curious());
    call(&mut session, 1, "lab/victim", "services.calc.add", &[]).unwrap();
    let server = ["client_connected", "client_disconnected", "service_removed", "workspace_deleted"];
    for kind in server.into_iter().chain(["force-exit", "peer_not_found"]) {
        for from in ["lab/other", "elsewhere/x", "*/another-manager"] {
            let refused = session.receive(&event(kind, Some(from)), NOW).unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::PermissionDenied, "{kind} of {from}");
        }
    }
    for kind in ["connected", "disconnected", "reconnected", "manager_refreshed", "services_registered"] {
        for from in [None, Some(MANAGER), Some("lab/other")] {
            let refused = session.receive(&event(kind, from), NOW).unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::PermissionDenied, "{kind} of {from:?}");
        }
    }
    assert_eq!(events(&mut session), [], "nobody is told, and the call goes on");
    session.receive(&event("client_connected", None), NOW).unwrap();
    session.receive(&event("service_added", Some(MANAGER)), NOW).unwrap();
    session.receive(&event("news", Some("elsewhere/x")), NOW).unwrap();
    let told = events(&mut session);
    assert!(told.iter().all(|event| matches!(event, Event::Signal { .. })) && told.len() == 3, "{told:?}");
    session.receive(&event("client_disconnected", None), NOW).unwrap();
    assert!(events(&mut session).iter().any(|event| matches!(event, Event::Rejected { call: 1, .. })));
}

#[test]
fn signs_of_life_and_ends_of_unknown_calls_are_ignored() {
    let mut session = session(&curious());
    call(&mut session, 1, "lab/other", "services.calc.add", &[]).unwrap();
    session.poll_send().unwrap();
    let before = session.statistics();
    for end in ["heartbeat", "resolve", "reject"] {
        for number in 0..100 {
            let method = format!("session-{number}.{end}");
            session.receive(&called("lab/other", &method, &["x".into()], &star()), NOW).unwrap();
        }
    }
    assert_eq!(events(&mut session), []);
    assert!(session.poll_send().is_none(), "an answer to each would make two peers talk for ever");
    assert_eq!(session.statistics(), before, "nothing is noted of them");
}

#[test]
fn a_sign_of_life_keeps_only_the_own_calls_waiting() {
    let mut session = session(&curious());
    call(&mut session, 1, "lab/other", "services.calc.add", &[]).unwrap();
    let sent = session.poll_send().unwrap();
    let id = crate::manager::header(&sent.frame).text("session").unwrap().to_owned();
    let method = format!("{id}.heartbeat");
    let beat = |from| {
        delivered(&Route { from, to: ME, method: &method, ..Route::default() }, &Value::Map(Map::new()))
    };
    session.receive(&beat("lab/stranger"), NOW + Duration::from_secs(29)).unwrap();
    session.tick(NOW + Duration::from_secs(31));
    assert!(
        matches!(&events(&mut session)[..], [Event::Rejected { call: 1, .. }]),
        "a stranger's sign is none"
    );
}

#[test]
fn a_path_leads_to_what_was_offered_and_nowhere_else() {
    let mut offered = Map::from_iter([("id", Value::from("calc"))]);
    offered.insert("config", Map::from_iter([("visibility", "public")]));
    let function = |handle| Value::Function(polyfn_core::Function { handle, ..Default::default() });
    offered.insert("add", function(1));
    offered.insert("_hidden", function(2));
    offered.insert("values", vec![Value::from(1), function(3)]);
    let mut session = session(&Value::Map(offered));
    for path in [
        "services.calc._hidden",
        "services.calc.config.visibility",
        "services.calc.add.__call__",
        "services.calc.__class__",
        "services.calc.constructor",
        "services.calc.values",
        "services.calc.values.0",
        "services.calc.values.length",
        "services.calc.values.-1",
        "services.calc.",
        "services..add",
        "services",
        "services.",
        "message_cache.create",
        "built-in.ping",
        "services.built-in.message_cache",
        "services.built-in.message_cache.clear",
        "calc.add",
        ".add",
        ".",
    ] {
        let _ = session.receive(&called("lab/other", path, &["x".into()], &star()), NOW);
        assert!(!rejection(&mut session).is_empty(), "{path}");
        assert_eq!(events(&mut session), [], "{path}");
    }
    session.receive(&called("lab/other", "services.calc.values.1", &[], &[]), NOW).unwrap();
    assert!(matches!(&events(&mut session)[..], [Event::Invoke(invocation)] if invocation.handler == 3));
}
