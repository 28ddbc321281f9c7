//! Joining a workspace, losing the connection, and joining again.

use std::time::Duration;

use bytes::Bytes;
use polyfn_core::codec::{Promise, Tagged, Walk};
use polyfn_core::session::{CallSpec, Event, Options, Outgoing, Session, State};
use polyfn_core::wire::Route;
use polyfn_core::{Error, ErrorKind, Function, Map, Value};

use crate::manager::{self, MANAGER, answer, delivered, header, info, joined, reply};

const ME: &str = "lab/me";
const NOW: Duration = Duration::from_secs(100);

/// A service with functions at these paths, numbered from `first` on.
pub(crate) fn service(id: &str, config: &[(&str, Value)], first: u64, functions: &[&str]) -> Value {
    let mut map =
        Map::from_iter([("id", Value::from(id)), ("config", Value::Map(config.iter().cloned().collect()))]);
    for (at, name) in functions.iter().enumerate() {
        let function =
            Function { handle: first + at as u64, name: (*name).to_owned(), ..Function::default() };
        map.insert(*name, Value::Function(function));
    }
    Value::Map(map)
}

/// Registers a service here; what the server is to be told of it is not sent.
pub(crate) fn offer(session: &mut Session, service: &Value) -> Result<Map, Error> {
    let mut draft = session.begin_service();
    service.walk(&mut draft.writer).unwrap();
    session.add_service(draft, false)
}

/// Calls `method` at `target` with these arguments, as call `id`.
pub(crate) fn call(
    session: &mut Session,
    id: u64,
    target: &str,
    method: &str,
    args: &[Value],
) -> Result<(), Error> {
    let spec = CallSpec { target, method, promise: Promise::Star, args: args.len(), ..CallSpec::default() };
    let mut draft = session.begin_call(&spec)?;
    args.iter().for_each(|arg| arg.walk(&mut draft.writer).unwrap());
    session.finish_call(id, draft, NOW)
}

/// Everything that is to be told, in order.
pub(crate) fn events(session: &mut Session) -> Vec<Event> {
    std::iter::from_fn(|| session.poll_event()).collect()
}

fn ready(first: bool) -> Event {
    Event::State(State::Ready { failed: Vec::new(), first })
}

/// The ids of the services in calls of `register_service`, and the names of other methods.
fn steps(asked: &[(String, Value)]) -> Vec<String> {
    let step = |(method, argument): &(String, Value)| match argument.as_map().and_then(|info| info.text("id"))
    {
        Some(id) => id.to_owned(),
        None => method.trim_start_matches("services.default.").to_owned(),
    };
    asked.iter().map(step).collect()
}

#[test]
fn services_are_registered_in_order_and_the_built_in_one_first() {
    let mut session = joined(Session::new(Options::default()), ME, NOW);
    assert_eq!(events(&mut session), [ready(true)]);
    for id in ["zeta", "alpha", "mid"] {
        offer(&mut session, &service(id, &[], 0, &["f"])).unwrap();
    }
    session.disconnected("cut");
    session.connected(info(ME), NOW);
    let built_in = session.poll_send().expect("the built-in service is registered");
    assert!(session.poll_send().is_none(), "nothing is registered before the server knows the client");
    session.receive(&reply(&built_in, "resolve", Value::Nil), NOW).unwrap();
    let asked = answer(&mut session, &mut Vec::new(), NOW);
    assert_eq!(steps(&asked), ["lab/me:zeta", "lab/me:alpha", "lab/me:mid", "subscribe"]);
    let cut = Event::State(State::Disconnected { reason: "cut".to_owned() });
    assert_eq!(events(&mut session), [cut, ready(false)]);
    assert_eq!(session.statistics(), Default::default());
}

#[test]
fn the_server_is_not_told_of_local_services() {
    let mut session = joined(Session::new(Options::default()), ME, NOW);
    events(&mut session);
    let by_config = service("by-config", &[("_local_only", true.into())], 1, &["f"]);
    for (id, service, is_local) in [(1, by_config, false), (2, service("by-draft", &[], 2, &["f"]), true)] {
        let mut draft = session.begin_service();
        service.walk(&mut draft.writer).unwrap();
        draft.is_local = is_local;
        session.finish_service(id, draft, false, NOW).unwrap();
        assert!(
            matches!(&events(&mut session)[..], [Event::Resolved { call, .. }] if *call == id),
            "nothing is waited for"
        );
    }
    session.disconnected("cut");
    session.connected(info(ME), NOW);
    let asked = answer(&mut session, &mut Vec::new(), NOW);
    assert_eq!(steps(&asked), ["lab/me:built-in", "subscribe"]);
    events(&mut session);
    session.unregister_service(3, "by-config", NOW).unwrap();
    let told = events(&mut session);
    assert!(
        matches!(&told[..], [Event::Released(1), Event::Resolved { call: 3, value }] if value.value() == Ok(Value::Nil))
    );
    session.remove_service("lab/me:by-draft").unwrap();
    assert!(matches!(&events(&mut session)[..], [Event::Released(2)]));
    assert!(session.poll_send().is_none(), "nothing is said of them at their end");
}

#[test]
fn a_service_that_is_refused_is_named() {
    let mut session = joined(Session::new(Options::default()), ME, NOW);
    offer(&mut session, &service("good", &[], 1, &["f"])).unwrap();
    offer(&mut session, &service("bad", &[], 2, &["f"])).unwrap();
    events(&mut session);
    session.connected(info(ME), NOW);
    while let Some(sent) = session.poll_send() {
        let args = manager::body(&sent.frame).remove("args").unwrap();
        let id = args.as_list().unwrap()[0]
            .as_map()
            .and_then(|info| info.text("id"))
            .unwrap_or_default()
            .to_owned();
        let (end, value) =
            if id.ends_with(":bad") { ("reject", error("quota exceeded")) } else { ("resolve", Value::Nil) };
        session.receive(&reply(&sent, end, value), NOW).unwrap();
    }
    let Some(Event::State(State::Ready { failed, first: false })) = session.poll_event() else {
        panic!("the session must be ready in spite of a refused service");
    };
    assert_eq!(failed.len(), 1);
    assert_eq!((failed[0].0.as_str(), failed[0].1.message()), ("bad", "quota exceeded"));
}

/// An error as old peers put it on the wire.
pub(crate) fn error(message: &str) -> Value {
    Value::Tagged(Box::new(Tagged::Error(Error::remote(message))))
}

#[test]
fn calls_made_while_offline_wait_behind_the_registrations() {
    let mut session = joined(Session::new(Options::default()), ME, NOW);
    offer(&mut session, &service("mine", &[], 1, &["f"])).unwrap();
    session.disconnected("cut");
    call(&mut session, 1, "other", "services.calc.add", &[Value::from(1)]).unwrap();
    assert!(session.poll_send().is_none());
    assert!(session.statistics().outgoing_bytes > 0);
    session.connected(info(ME), NOW);
    let mut others = Vec::new();
    let asked = answer(&mut session, &mut others, NOW);
    assert_eq!(steps(&asked), ["lab/me:built-in", "lab/me:mine", "subscribe"]);
    let waited = others.first().expect("the call goes out after the registrations");
    assert_eq!((waited.to.as_str(), others.len()), ("lab/other", 1));
    session.receive(&reply(waited, "resolve", Value::from(2)), NOW).unwrap();
    assert!(
        matches!(&events(&mut session)[..], [.., Event::Resolved { call: 1, value }] if value.value() == Ok(Value::from(2)))
    );
}

#[test]
fn a_reply_after_a_reconnect_still_counts() {
    let mut session = joined(Session::new(Options::default()), ME, NOW);
    call(&mut session, 1, "other", "services.calc.add", &[]).unwrap();
    let sent = session.poll_send().unwrap();
    session.disconnected("cut");
    session.connected(info(ME), NOW);
    answer(&mut session, &mut Vec::new(), NOW);
    session.receive(&reply(&sent, "resolve", Value::Nil), NOW).unwrap();
    assert!(matches!(events(&mut session).pop(), Some(Event::Resolved { call: 1, .. })));
}

#[test]
fn what_was_not_sent_when_the_connection_broke_is_sent_once() {
    let mut session = joined(Session::new(Options::default()), ME, NOW);
    for id in 1..=3 {
        call(&mut session, id, "other", "services.calc.add", &[]).unwrap();
    }
    session.poll_send().unwrap();
    session.disconnected("cut");
    session.connected(info(ME), NOW);
    // Broken again, in the middle of joining.
    session.poll_send().unwrap();
    session.disconnected("cut again");
    session.connected(info(ME), NOW);
    let mut others = Vec::new();
    answer(&mut session, &mut others, NOW);
    assert_eq!(others.len(), 2, "two calls had not left yet");
    assert_eq!(session.statistics().calls, 3);
    assert_eq!(session.statistics().outgoing_bytes, 0);
}

#[test]
fn a_manager_under_another_name_knows_nothing_of_old_calls() {
    let mut session = joined(Session::new(Options::default()), ME, NOW);
    call(&mut session, 1, MANAGER, "services.default.echo", &[]).unwrap();
    session.poll_send().unwrap();
    session.disconnected("cut");
    let other = polyfn_core::session::ConnectionInfo { manager_id: "manager-1".to_owned(), ..info(ME) };
    session.connected(other, NOW);
    let ends = events(&mut session);
    assert!(
        matches!(ends.last(), Some(Event::Rejected { call: 1, error }) if error.kind() == ErrorKind::PeerGone),
        "{ends:?}"
    );
    // Functions of the old manager are called at the new one.
    while session.poll_send().is_some() {}
    call(&mut session, 2, MANAGER, "services.default.echo", &[]).unwrap();
    assert_eq!(session.manager(), "*/manager-1");
}

#[test]
fn registering_tells_the_server_and_ends_with_the_info() {
    let mut session = joined(Session::new(Options::default()), ME, NOW);
    events(&mut session);
    let register = |session: &mut Session, id, first, overwrite| {
        let mut draft = session.begin_service();
        service("calc", &[], first, &["add"]).walk(&mut draft.writer).unwrap();
        session.finish_service(id, draft, overwrite, NOW)
    };
    register(&mut session, 1, 10, false).unwrap();
    let asked = answer(&mut session, &mut Vec::new(), NOW);
    assert_eq!(steps(&asked), ["lab/me:calc"]);
    let Some(Event::Resolved { call: 1, value }) = session.poll_event() else { panic!("registered") };
    let info = value.value().unwrap();
    assert_eq!(info.as_map().and_then(|info| info.text("id")), Some("lab/me:calc"));

    assert_eq!(register(&mut session, 2, 20, false).unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(events(&mut session), [Event::Released(20)], "the functions of a refused service are let go");
    register(&mut session, 3, 30, true).unwrap();
    assert_eq!(events(&mut session), [Event::Released(10)], "the replaced function is let go");
    let sent = session.poll_send().unwrap();
    session.receive(&reply(&sent, "reject", error("read only")), NOW).unwrap();
    let ends = events(&mut session);
    assert!(matches!(&ends[..], [Event::Released(30), Event::Rejected { call: 3, .. }]), "{ends:?}");
}

#[test]
fn unregistering_lets_the_functions_go() {
    let mut session = joined(Session::new(Options::default()), ME, NOW);
    events(&mut session);
    offer(&mut session, &service("calc", &[], 5, &["add"])).unwrap();
    session.unregister_service(1, "lab/me:calc", NOW).unwrap();
    assert_eq!(events(&mut session), [Event::Released(5)]);
    let asked = answer(&mut session, &mut Vec::new(), NOW);
    assert_eq!(asked, [("services.default.unregister_service".to_owned(), Value::from("lab/me:calc"))]);
    assert_eq!(session.unregister_service(2, "calc", NOW).unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(session.unregister_service(3, "built-in", NOW).unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn services_that_make_no_sense_are_refused() {
    let mut session = joined(Session::new(Options::default()), ME, NOW);
    let with = |key: &str, value: Value| service("s", &[(key, value)], 1, &["f"]);
    for (bad, reason) in [
        (Value::Map(Map::new()), "no id"),
        (Value::from(5), "not a map"),
        (service("a/b", &[], 1, &["f"]), "a slash in the id"),
        (service("a.b", &[], 1, &["f"]), "a dot in the id"),
        (service("", &[], 1, &["f"]), "an empty id"),
        (service("*", &[], 1, &["f"]), "a star as id"),
        (with("visibility", "open".into()), "an unknown visibility"),
    ] {
        let refused = offer(&mut session, &bad).map(drop).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Invalid, "{reason}");
    }
    let both = [("visibility", "public".into()), ("authorized_workspaces", Value::from(vec!["x".into()]))];
    assert!(offer(&mut session, &service("s", &both, 1, &["f"])).is_err());
}

#[test]
fn closing_ends_everything() {
    let mut session = joined(Session::new(Options::default()), ME, NOW);
    offer(&mut session, &service("calc", &[], 5, &["add"])).unwrap();
    let callback = Value::Function(Function { handle: 6, ..Function::default() });
    call(&mut session, 1, "other", "services.calc.add", &[callback]).unwrap();
    let route = Route {
        from: "lab/other",
        to: ME,
        method: "services.calc.add",
        session: Some("S"),
        ..Route::default()
    };
    let body = Map::from_iter([("args", Value::List(Vec::new())), ("promise", "*".into())]);
    session.receive(&delivered(&route, &Value::Map(body)), NOW).unwrap();
    events(&mut session);
    let end = Error::new(ErrorKind::PeerGone, "disconnected by the user");
    session.close(&end, NOW);
    let mut ends = events(&mut session);
    assert_eq!(ends.pop(), Some(Event::State(State::Closed { error: end.clone() })));
    assert!(ends.contains(&Event::Rejected { call: 1, error: end }), "{ends:?}");
    assert!(ends.contains(&Event::Released(5)) && ends.contains(&Event::Released(6)), "{ends:?}");
    assert_eq!(session.statistics(), Default::default());
    assert!(session.poll_send().is_none());
    let refused = call(&mut session, 2, "other", "services.calc.add", &[]).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::PeerGone);
}

#[test]
fn what_was_begun_before_the_end_is_refused_after_it() {
    let mut session = joined(Session::new(Options::default()), ME, NOW);
    let spec =
        CallSpec { target: "other", method: "m", promise: Promise::Star, args: 1, ..CallSpec::default() };
    let mut draft = session.begin_call(&spec).unwrap();
    Value::Function(Function { handle: 6, ..Function::default() }).walk(&mut draft.writer).unwrap();
    let mut offered = session.begin_service();
    service("calc", &[], 7, &["add"]).walk(&mut offered.writer).unwrap();
    session.close(&Error::new(ErrorKind::PeerGone, "the connection ended"), NOW);
    events(&mut session);
    // nobody would ever end it: there is no connection and no clock any longer
    let refused = session.finish_call(1, draft, NOW).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::PeerGone);
    assert_eq!(session.add_service(offered, false).unwrap_err().kind(), ErrorKind::PeerGone);
    let event = Value::Map(Map::from_iter([("type", "news"), ("to", "*")])).to_msgpack().unwrap();
    assert_eq!(session.emit_frame("*", event.into()).unwrap_err().kind(), ErrorKind::PeerGone);
    assert_eq!(events(&mut session), [Event::Released(6), Event::Released(7)]);
    assert_eq!(session.statistics(), Default::default());
    assert!(session.poll_send().is_none());
}

#[test]
fn the_header_says_who_joins() {
    let mut session = Session::new(Options::default());
    session.connected(info(ME), NOW);
    let sent = session.poll_send().unwrap();
    let header = header(&sent.frame);
    assert_eq!((header.text("from"), header.text("to")), (Some(ME), Some(MANAGER)));
    assert_eq!(header.text("method"), Some("services.default.register_service"));
}

#[test]
fn subscriptions_that_were_granted_are_made_again() {
    let mut session = joined(Session::new(Options::default()), ME, NOW);
    events(&mut session);
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    session.subscribe(1, &names(&["news", "weather"]), NOW);
    answer(&mut session, &mut Vec::new(), NOW);
    session.subscribe(2, &names(&["forbidden"]), NOW);
    let sent = session.poll_send().unwrap();
    let no = Value::Tagged(Box::new(Tagged::Error(Error::new(ErrorKind::PermissionDenied, "no"))));
    session.receive(&reply(&sent, "reject", no), NOW).unwrap();
    session.unsubscribe(3, &names(&["weather"]), NOW);
    answer(&mut session, &mut Vec::new(), NOW);
    assert!(matches!(
        &events(&mut session)[..],
        [Event::Resolved { call: 1, .. }, Event::Rejected { call: 2, .. }, Event::Resolved { call: 3, .. }]
    ));
    session.disconnected("cut");
    session.connected(info(ME), NOW);
    let asked = answer(&mut session, &mut Vec::new(), NOW);
    let types: Vec<&Value> =
        asked.iter().filter(|(method, _)| method.ends_with("subscribe")).map(|(_, types)| types).collect();
    assert_eq!(types, [&Value::from(vec!["client_disconnected".into()]), &Value::from(vec!["news".into()])]);
    assert!(matches!(&events(&mut session)[..], [Event::State(_), Event::State(State::Ready { .. })]));
}

/// A reject as the server makes it (without `user` and `ws`), or as another client sends it.
fn already_closed(sent: &Outgoing, address: &str, is_from_server: bool) -> Bytes {
    let text = format!("Connection has already been closed (client: {address})");
    let reject = reply(sent, "reject", error(&text));
    if !is_from_server {
        return reject;
    }
    let mut head = header(&reject);
    let _ = (head.remove("user"), head.remove("ws"), head.remove("parent"));
    let end = polyfn_core::wire::Header::parse(&reject).unwrap().end;
    let mut frame = Value::Map(head).to_msgpack().unwrap();
    frame.extend_from_slice(&reject[end..]);
    frame.into()
}

#[test]
fn a_connection_that_the_server_has_lost_is_known() {
    for (address, is_from_server, is_lost) in
        [(ME, false, false), ("lab/other", true, false), (ME, true, true)]
    {
        let mut session = joined(Session::new(Options::default()), ME, NOW);
        events(&mut session);
        call(&mut session, 1, "other", "services.calc.add", &[]).unwrap();
        let sent = session.poll_send().unwrap();
        session.receive(&already_closed(&sent, address, is_from_server), NOW).unwrap();
        assert_eq!(session.is_lost(), is_lost, "{address}, from the server: {is_from_server}");
        let ends = events(&mut session);
        let [Event::Rejected { call: 1, error }] = &ends[..] else { panic!("{ends:?}") };
        assert_eq!(error.kind() == ErrorKind::PeerGone, is_lost);
        session.disconnected("lost");
        session.connected(info(ME), NOW);
        assert!(!session.is_lost(), "a new connection");
    }
}
