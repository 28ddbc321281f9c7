//! Objects whose functions outlive the call that brought them, and the tables of what was given away.

use std::time::Duration;

use polyfn_core::codec::{Promise, Stub};
use polyfn_core::session::{CallSpec, Event, Options, Session, Statistics};
use polyfn_core::{ErrorKind, Map, Value};

use crate::duo::{
    ANN, BOB, NOW, answer, call, call_at, deliver, end, function, invoked, opened, released, sent, take, with,
};
use crate::manager::{body, info};

fn interface(entries: &[(&str, Value)]) -> Value {
    let mut map = Map::from_iter([("_rintf", true)]);
    entries.iter().for_each(|(key, value)| drop(map.insert(*key, value.clone())));
    map.into()
}

/// What `to` gets of `value`, which `from` gives in a call that is over then.
fn given(from: &mut Session, to: &mut Session, value: Value) -> Map {
    let stub = take(to.address(), None);
    call(from, &stub, 1, &[value]).unwrap();
    deliver(from, to);
    let invocation = invoked(to);
    let Ok(Value::Map(got)) = invocation.payload.value() else { panic!("a map was given") };
    answer(to, &invocation, &Value::Nil);
    deliver(to, from);
    end(from, 1).unwrap();
    got
}

fn stub(map: &Map, key: &str) -> Stub {
    match map.get(key) {
        Some(Value::Method(stub)) => (**stub).clone(),
        other => panic!("`{key}` must be a function, not {other:?}"),
    }
}

#[test]
fn its_functions_outlive_the_call() {
    let (mut ann, mut bob) = (with(ANN, None, &[]), with(BOB, None, &[]));
    let folder = Map::from_iter([("deep", function(8)), ("list", Value::List(vec![function(9)]))]);
    let object = interface(&[("beep", function(7)), ("name", "robot".into()), ("folder", folder.into())]);
    let got = given(&mut ann, &mut bob, object);
    assert!(released(&mut ann).is_empty(), "they stay when the call is over");
    assert_eq!((got.get("_rintf"), got.text("name")), (Some(&true.into()), Some("robot")));
    let id = got.text("_rintf_service_id").unwrap();
    assert!(id.starts_with("_rintf_"), "{id}");
    let beep = stub(&got, "beep");
    assert_eq!(
        (beep.method, beep.target, beep.promise),
        (format!("services.{id}.beep"), ANN.to_owned(), Promise::Star)
    );
    let Some(Value::Map(folder)) = got.get("folder") else { panic!("a folder") };
    let Some(Value::List(list)) = folder.get("list") else { panic!("a list") };
    let Value::Method(listed) = &list[0] else { panic!("a function") };
    for (stub, handle) in [(&stub(&got, "beep"), 7), (&stub(folder, "deep"), 8), (listed, 9)] {
        call(&mut bob, stub, 2, &["x".into()]).unwrap();
        deliver(&mut bob, &mut ann);
        let invocation = invoked(&mut ann);
        assert_eq!(invocation.handler, handle);
        answer(&mut ann, &invocation, &"y".into());
        deliver(&mut ann, &mut bob);
        assert_eq!(end(&mut bob, 2), Ok("y".into()));
    }
    assert_eq!((ann.statistics().interfaces, ann.statistics().functions), (1, 3));
    assert!(!ann.has_frames(), "the server is not told of it");
}

#[test]
fn the_receiver_ends_it() {
    let (mut ann, mut bob) = (with(ANN, None, &[]), with(BOB, None, &[]));
    let got = given(&mut ann, &mut bob, interface(&[("beep", function(7))]));
    let dispose = stub(&got, "_dispose");
    call(&mut bob, &dispose, 2, &[]).unwrap();
    deliver(&mut bob, &mut ann);
    assert_eq!(released(&mut ann), [7]);
    deliver(&mut ann, &mut bob);
    assert_eq!(end(&mut bob, 2), Ok(Value::Nil));
    for stub in [&stub(&got, "beep"), &dispose] {
        call(&mut bob, stub, 3, &[]).unwrap();
        deliver(&mut bob, &mut ann);
        deliver(&mut ann, &mut bob);
        let error = end(&mut bob, 3).unwrap_err();
        assert!(
            error.message().starts_with("Method expired or not found: lab/bob:services._rintf_"),
            "{error}"
        );
    }
    assert_eq!(ann.statistics(), Statistics::default());
}

#[test]
fn the_owner_ends_it() {
    let (mut ann, mut bob) = (with(ANN, None, &[]), with(BOB, None, &[]));
    let got = given(&mut ann, &mut bob, interface(&[("beep", function(7))]));
    let id = got.text("_rintf_service_id").unwrap();
    ann.unregister_service(5, id, NOW).unwrap();
    assert_eq!(ann.poll_event(), Some(Event::Released(7)));
    assert_eq!(end(&mut ann, 5), Ok(Value::Nil));
    assert!(!ann.has_frames(), "the server never knew of it");
    assert_eq!(ann.unregister_service(6, id, NOW).unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(ann.statistics(), Statistics::default());
}

#[test]
fn it_ends_with_the_peer_that_it_was_given_to() {
    let (mut ann, mut bob) = (with(ANN, None, &[]), with(BOB, None, &[]));
    given(&mut ann, &mut bob, interface(&[("beep", function(7))]));
    for (client, gone) in [("carl", vec![]), ("bob", vec![7])] {
        let data = Map::from_iter([("id", client), ("workspace", "lab")]);
        let event = Map::from_iter([
            ("type", Value::from("client_disconnected")),
            ("to", "*".into()),
            ("data", data.into()),
        ]);
        ann.receive(&Value::Map(event).to_msgpack().unwrap().into(), NOW).unwrap();
        let released: Vec<u64> = std::iter::from_fn(|| ann.poll_event())
            .filter_map(|event| if let Event::Released(handle) = event { Some(handle) } else { None })
            .collect();
        assert_eq!(released, gone);
    }
    assert_eq!(ann.statistics(), Statistics::default());
}

#[test]
fn only_its_receiver_and_the_own_workspace_may_call_it() {
    let mut ann = with(ANN, None, &[]);
    let mut other = with("far/away", None, &[("visibility", "public".into())]);
    let got = given(&mut ann, &mut other, interface(&[("beep", function(7))]));
    let beep = stub(&got, "beep");
    for (caller, may) in [("far/away", true), ("lab/carl", true), ("far/stranger", false), ("third/x", false)]
    {
        let mut caller_session = with(caller, None, &[]);
        call(&mut caller_session, &beep, 2, &[]).unwrap();
        deliver(&mut caller_session, &mut ann);
        if may {
            assert_eq!(invoked(&mut ann).handler, 7, "{caller}");
            continue;
        }
        assert!(ann.poll_event().is_none(), "{caller} may not call it");
        deliver(&mut ann, &mut caller_session);
        let error = end(&mut caller_session, 2).unwrap_err();
        let text = format!(
            "Permission denied for _rintf callback {caller}:{}, caller {caller} is not the allowed caller far/away",
            beep.method
        );
        assert_eq!((error.kind(), error.message()), (ErrorKind::PermissionDenied, &*text));
    }
    // Nor may others end it.
    let mut stranger = with("far/stranger", None, &[]);
    call(&mut stranger, &stub(&got, "_dispose"), 2, &[]).unwrap();
    deliver(&mut stranger, &mut ann);
    assert!(ann.poll_event().is_none());
    assert_eq!(ann.statistics().interfaces, 1);
}

#[test]
fn it_can_be_sent_back_and_on() {
    let (mut ann, mut bob) = (with(ANN, None, &[]), with(BOB, None, &[]));
    let mut carl = with("lab/carl", None, &[]);
    let got = given(&mut ann, &mut bob, interface(&[("beep", function(7))]));
    let back = given(&mut bob, &mut ann, got.clone().into());
    assert_eq!(back, got);
    let on = given(&mut bob, &mut carl, got.clone().into());
    assert_eq!(on, got);
    assert_eq!(bob.statistics(), Statistics::default(), "it is ann's, not bob's");
    call(&mut carl, &stub(&on, "beep"), 2, &[]).unwrap();
    deliver(&mut carl, &mut ann);
    assert_eq!(invoked(&mut ann).handler, 7);
}

#[test]
fn a_result_may_hold_one() {
    let (mut ann, mut bob) = (with(ANN, None, &[]), with(BOB, None, &[]));
    call(&mut ann, &take(BOB, None), 1, &[]).unwrap();
    deliver(&mut ann, &mut bob);
    let invocation = invoked(&mut bob);
    let both = Map::from_iter([("object", interface(&[("beep", function(7))])), ("plain", function(8))]);
    answer(&mut bob, &invocation, &both.into());
    deliver(&mut bob, &mut ann);
    let Ok(Value::Map(got)) = end(&mut ann, 1) else { panic!("a map") };
    let Some(Value::Map(object)) = got.get("object") else { panic!("a map") };
    // The plain function is forgotten when nobody calls it, the object is not.
    bob.tick(NOW + Duration::from_secs(3600));
    assert_eq!(released(&mut bob), [8]);
    call(&mut ann, &stub(object, "beep"), 2, &[]).unwrap();
    deliver(&mut ann, &mut bob);
    assert_eq!(invoked(&mut bob).handler, 7);
}

#[test]
fn without_functions_or_mark_it_is_data() {
    let (mut ann, mut bob) = (with(ANN, None, &[]), with(BOB, None, &[]));
    for (object, kept) in [
        (interface(&[("a", 1.into())]), 0),
        (interface(&[("_hidden", function(7))]), 1),
        (Map::from_iter([("_rintf", Value::from(1)), ("f", function(7))]).into(), 1),
        (Map::from_iter([("_rintf", Value::from(false)), ("f", function(7))]).into(), 1),
    ] {
        let got = given(&mut ann, &mut bob, object);
        assert!(!got.contains("_rintf_service_id"), "{got:?}");
        assert_eq!(released(&mut ann).len(), kept, "callbacks end with their call");
        assert_eq!(ann.statistics(), Statistics::default());
    }
}

#[test]
fn one_in_another_is_one_of_its_own() {
    let (mut ann, mut bob) = (with(ANN, None, &[]), with(BOB, None, &[]));
    let inner = interface(&[("beep", function(7))]);
    let got = given(&mut ann, &mut bob, interface(&[("inner", inner), ("beep", function(8))]));
    let Some(Value::Map(inner)) = got.get("inner") else { panic!("a map") };
    assert_ne!(inner.text("_rintf_service_id"), got.text("_rintf_service_id"));
    call(&mut bob, &stub(&got, "_dispose"), 2, &[]).unwrap();
    deliver(&mut bob, &mut ann);
    assert_eq!(released(&mut ann), [8]);
    call(&mut bob, &stub(inner, "beep"), 3, &[]).unwrap();
    deliver(&mut bob, &mut ann);
    assert_eq!(invoked(&mut ann).handler, 7);
}

#[test]
fn a_call_of_one_has_a_timeout_of_its_own() {
    let (mut ann, mut bob) = (with(ANN, None, &[]), with(BOB, None, &[]));
    let got = given(&mut ann, &mut bob, interface(&[("beep", function(7))]));
    call(&mut bob, &stub(&got, "beep"), 2, &[]).unwrap();
    bob.tick(NOW + Duration::from_secs(9));
    assert!(bob.poll_event().is_none());
    bob.tick(NOW + Duration::from_secs(11));
    assert_eq!(end(&mut bob, 2).unwrap_err().kind(), ErrorKind::Timeout);
}

#[test]
fn its_name_is_not_for_services() {
    let mut ann = with(ANN, None, &[]);
    let mut draft = ann.begin_service();
    draft.writer.open_map(1).unwrap();
    draft.writer.entry("id", &Value::from("_rintf_mine")).unwrap();
    draft.writer.close();
    assert!(ann.add_service(draft, false).unwrap_err().message().contains("_rintf_"));
}

#[test]
fn it_stays_over_a_reconnect_and_ends_with_the_connection() {
    let (mut ann, mut bob) = (with(ANN, None, &[]), with(BOB, None, &[]));
    let got = given(&mut ann, &mut bob, interface(&[("beep", function(7))]));
    ann.disconnected("cut");
    ann.connected(info(ANN), NOW);
    let mut others = Vec::new();
    crate::manager::answer(&mut ann, &mut others, NOW);
    while ann.poll_event().is_some() {}
    call(&mut bob, &stub(&got, "beep"), 2, &[]).unwrap();
    deliver(&mut bob, &mut ann);
    assert_eq!(invoked(&mut ann).handler, 7);
    ann.close(&polyfn_core::Error::invalid("over"), NOW);
    let told: Vec<Event> = std::iter::from_fn(|| ann.poll_event()).collect();
    assert!(told.contains(&Event::Released(7)));
    let left = Statistics { runs: 0, ..ann.statistics() };
    assert_eq!(left, Statistics::default());
}

#[test]
fn one_peer_cannot_take_all_the_room() {
    let options = Options { max_functions: 8, max_functions_per_peer: 5, ..Options::default() };
    let mut ann = opened(ANN, options, &[]);
    let (mut bob, mut carl) = (with(BOB, None, &[]), with("lab/carl", None, &[]));
    for handle in 0..5 {
        given(&mut ann, &mut bob, interface(&[("f", function(10 + handle))]));
    }
    // In an interface, in arguments, in a result: for bob there is no room.
    for value in [interface(&[("f", function(20))]), function(20)] {
        let error = call(&mut ann, &take(BOB, None), 2, &[value]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Overloaded);
        assert!(error.message().starts_with("lab/bob would hold 6 functions"), "{error}");
        assert_eq!(released(&mut ann), [20], "what was not given is let go");
        assert!(!ann.has_frames());
    }
    call(&mut bob, &take(ANN, None), 3, &[]).unwrap();
    deliver(&mut bob, &mut ann);
    let invocation = invoked(&mut ann);
    answer(&mut ann, &invocation, &function(21));
    assert_eq!(released(&mut ann), [21]);
    deliver(&mut ann, &mut bob);
    assert_eq!(end(&mut bob, 3).unwrap_err().kind(), ErrorKind::Overloaded, "and bob is told");
    // For carl there is.
    given(&mut ann, &mut carl, interface(&[("f", function(30))]));
    call(&mut ann, &take("lab/carl", None), 4, &[function(31)]).unwrap();
    assert_eq!(ann.statistics().functions, 7);
}

/// Many calls with a callback, a function in the result and an object that is disposed of.
#[test]
fn the_tables_are_empty_after_many_calls() {
    let (mut ann, mut bob) = (with(ANN, None, &[]), with(BOB, None, &[]));
    let stub = take(BOB, None);
    let mut now = NOW;
    let (mut given, mut let_go) = (0, 0);
    let rounds: u64 = if cfg!(debug_assertions) { 20_000 } else { 1_000_000 };
    for round in 0..rounds {
        now += Duration::from_millis(20);
        let args = match round % 4 {
            0 => vec![function(1000 + round)],
            1 => vec![interface(&[("beep", function(1000 + round))])],
            _ => vec![Value::from(round as i64)],
        };
        given += u64::from(round % 4 < 2) + u64::from(round % 4 == 2);
        call_at(&mut ann, &stub, 0, &args, now).unwrap();
        bob.receive(&sent(&mut ann), now).unwrap();
        let invocation = invoked(&mut bob);
        if let Ok(Value::Map(object)) = invocation.payload.value() {
            let Some(Value::Method(dispose)) = object.get("_dispose") else { panic!("it can be ended") };
            call_at(&mut bob, dispose, 0, &[], now).unwrap();
            ann.receive(&sent(&mut bob), now).unwrap();
            bob.receive(&sent(&mut ann), now).unwrap();
        }
        let mut draft = bob.begin_reply(invocation.run.unwrap()).unwrap();
        let result = if round % 4 == 2 { function(1000 + round) } else { Value::Nil };
        polyfn_core::codec::Walk::walk(&result, &mut draft.writer).unwrap();
        bob.finish_reply(draft, now);
        ann.receive(&sent(&mut bob), now).unwrap();
        for session in [&mut ann, &mut bob] {
            if session.next_tick().is_some_and(|at| at <= now) {
                session.tick(now);
            }
            let_go += std::iter::from_fn(|| session.poll_event())
                .filter(|event| matches!(event, Event::Released(_)))
                .count() as u64;
        }
        assert!(
            ann.statistics().functions < 10 && bob.statistics().functions < 10_000,
            "{:?}",
            bob.statistics()
        );
    }
    bob.tick(now + Duration::from_secs(700));
    let_go += released(&mut bob).len() as u64;
    assert_eq!(given, let_go, "every function that was given away is let go once");
    assert_eq!((ann.statistics(), bob.statistics()), (Statistics::default(), Statistics::default()));
}

#[test]
fn the_manager_of_the_own_workspace_is_not_a_way_around() {
    let mut ann = with(ANN, None, &[]);
    let mut bob = with(BOB, None, &[]);
    let got = given(&mut ann, &mut bob, interface(&[("beep", function(7))]));
    let spec = CallSpec {
        target: ANN,
        method: "services.built-in.get_service",
        promise: Promise::Star,
        args: 1,
        ..CallSpec::default()
    };
    let mut draft = bob.begin_call(&spec).unwrap();
    draft.writer.text(got.text("_rintf_service_id").unwrap()).unwrap();
    bob.finish_call(3, draft, NOW).unwrap();
    deliver(&mut bob, &mut ann);
    assert!(format!("{:?}", body(&sent(&mut ann))).contains("Service not found"), "it cannot be looked up");
}
