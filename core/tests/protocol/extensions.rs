//! What polyfn peers tell each other beside the protocol of Hypha, and old peers never see.

use std::time::Duration;

use bytes::Bytes;
use polyfn_core::codec::{Promise, Walk};
use polyfn_core::session::{
    CallSpec, ConnectionInfo, Event, Extensions, Invocation, Options, Outgoing, Session, State,
};
use polyfn_core::wire::{Header, Relayed, Sender};
use polyfn_core::{Error, ErrorKind, Map, Value};

use crate::calling::gone;
use crate::joining::{events, offer, service};
use crate::manager::{answer, body, header, info, reply};

pub(crate) const ANN: &str = "lab/ann";
pub(crate) const BOB: &str = "lab/bob";
pub(crate) const NOW: Duration = Duration::from_secs(100);
const SECOND: Duration = Duration::from_secs(1);
const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// A session that has joined on a server that knows `known`, with the service `svc` and its function `run`.
pub(crate) fn peer(address: &str, options: Options, known: Extensions) -> Session {
    // each with ids of its own
    let seed = address.bytes().map(u64::from).sum();
    let mut session = Session::new(Options { seed, ..options });
    session.connected(ConnectionInfo { extensions: known, ..info(address) }, NOW);
    answer(&mut session, &mut Vec::new(), NOW);
    offer(&mut session, &service("svc", &[("visibility", "public".into())], 7, &["run"])).unwrap();
    assert!(matches!(&events(&mut session)[..], [Event::State(State::Ready { .. })]));
    session
}

pub(crate) fn polyfn(address: &str) -> Session {
    peer(address, Options::default(), Extensions::ALL)
}

pub(crate) fn spec(deadline: Option<Duration>) -> CallSpec<'static> {
    CallSpec {
        target: BOB,
        method: "services.svc.run",
        promise: Promise::Star,
        args: 1,
        deadline,
        ..CallSpec::default()
    }
}

/// Makes call 1.
fn call(session: &mut Session, spec: &CallSpec<'_>, argument: &Value) {
    call_at(session, spec, argument, NOW);
}

pub(crate) fn call_at(session: &mut Session, spec: &CallSpec<'_>, argument: &Value, now: Duration) {
    let mut draft = session.begin_call(spec).unwrap();
    argument.walk(&mut draft.writer).unwrap();
    session.finish_call(1, draft, now).unwrap();
}

/// Carries what waits from one peer to the other as the server does; gives how many frames those were.
pub(crate) fn carry(from: &mut Session, to: &mut Session, now: Duration) -> usize {
    let mut frames = 0;
    while let Some(sent) = from.poll_send() {
        assert_eq!(sent.to, to.address());
        to.receive(&relayed(from, &sent, !to.extensions().is_empty()), now).unwrap();
        frames += 1;
    }
    frames
}

pub(crate) fn relayed(from: &Session, sent: &Outgoing, extras: bool) -> Bytes {
    let user = Bytes::from_static(&[0x80]);
    let sender = Sender { workspace: "lab".to_owned(), address: from.address().to_owned(), user };
    Relayed::read(&sent.frame, &sender).unwrap().write(&sender, "lab", extras).unwrap()
}

fn invoked(session: &mut Session) -> Invocation {
    match session.poll_event() {
        Some(Event::Invoke(invocation)) => invocation,
        other => panic!("a function must be called, but {other:?}"),
    }
}

fn x(frame: &Bytes) -> Option<Map> {
    header(frame).get("x").map(|x| x.as_map().unwrap().clone())
}

fn finish(session: &mut Session, run: u64, value: &Value, now: Duration) {
    let mut draft = session.begin_reply(run).unwrap();
    value.walk(&mut draft.writer).unwrap();
    session.finish_reply(draft, now);
}

#[test]
fn nothing_is_said_unless_both_know_it() {
    let off = Options { extensions: Extensions::NONE, ..Options::default() };
    for mut session in [peer(ANN, Options::default(), Extensions::NONE), peer(ANN, off, Extensions::ALL)] {
        call(&mut session, &CallSpec { trace: Some(TRACE), ..spec(Some(5 * SECOND)) }, &1.into());
        assert_eq!(x(&session.poll_send().unwrap().frame), None);
        session.forget_call(1, NOW);
        assert_eq!(session.poll_send(), None, "nobody is told of the end");
    }
    let some = Extensions::CANCEL | Extensions::PUSH_STREAM;
    let mut session = peer(ANN, Options::default(), some);
    call(&mut session, &CallSpec { trace: Some(TRACE), ..spec(Some(5 * SECOND)) }, &1.into());
    assert_eq!(x(&session.poll_send().unwrap().frame), Some(Map::from_iter([("e", 5)])));
}

#[test]
fn a_call_tells_its_deadline_and_its_trace_and_the_reply_who_answers() {
    let (mut ann, mut bob) = (polyfn(ANN), polyfn(BOB));
    call(&mut ann, &CallSpec { trace: Some(TRACE), ..spec(Some(5 * SECOND)) }, &1.into());
    let sent = ann.poll_send().unwrap();
    let told = Map::from_iter([("e", Value::Int(31)), ("d", Value::Int(5000)), ("t", TRACE.into())]);
    assert_eq!(x(&sent.frame), Some(told));
    bob.receive(&relayed(&ann, &sent, true), NOW + SECOND).unwrap();
    let invocation = invoked(&mut bob);
    assert_eq!(invocation.deadline, Some(NOW + 6 * SECOND), "as much later as the message took");
    assert_eq!(invocation.trace.as_deref(), Some(TRACE));
    assert_eq!(invocation.payload.origin.extensions, Extensions::ALL);
    finish(&mut bob, invocation.run.unwrap(), &2.into(), NOW);
    carry(&mut bob, &mut ann, NOW);
    let Some(Event::Resolved { value, .. }) = ann.poll_event() else { panic!("resolved") };
    assert_eq!(value.origin.extensions, Extensions::ALL);
}

#[test]
fn who_did_not_say_anything_is_answered_as_of_old() {
    let (mut ann, mut bob) = (peer(ANN, Options::default(), Extensions::NONE), polyfn(BOB));
    call(&mut ann, &spec(None), &1.into());
    carry(&mut ann, &mut bob, NOW);
    let invocation = invoked(&mut bob);
    assert_eq!(invocation.payload.origin.extensions, Extensions::NONE);
    finish(&mut bob, invocation.run.unwrap(), &2.into(), NOW);
    assert_eq!(x(&bob.poll_send().unwrap().frame), None);
}

#[test]
fn what_makes_no_sense_counts_as_not_said() {
    let (mut ann, mut bob) = (polyfn(ANN), polyfn(BOB));
    call(&mut ann, &spec(None), &1.into());
    let sent = ann.poll_send().unwrap();
    let entry = |key: &str, value: Value| Value::Map(Map::from_iter([(key, value)]));
    for said in [
        entry("e", (-1).into()),
        entry("e", "all".into()),
        entry("d", (-5).into()),
        entry("d", Value::Float(1.5)),
        entry("t", "no trace".into()),
        entry("t", 5.into()),
        entry("new", Value::List(vec![1.into()])),
        Value::List(vec![1.into()]),
        "x".into(),
        Value::Nil,
        Value::Pairs(vec![(1.into(), "one".into())]),
    ] {
        let mut head = header(&sent.frame);
        head.insert("x", said.clone());
        let mut frame = Value::Map(head).to_msgpack().unwrap();
        frame.extend_from_slice(&sent.frame[Header::parse(&sent.frame).unwrap().end..]);
        bob.receive(&frame.into(), NOW).unwrap();
        let invocation = invoked(&mut bob);
        assert_eq!((invocation.deadline, invocation.trace), (None, None), "{said:?}");
        assert_eq!(invocation.payload.origin.extensions, Extensions::NONE, "{said:?}");
    }
}

#[test]
fn an_event_may_have_an_entry_called_x() {
    let mut bob = polyfn(BOB);
    let event = Map::from_iter([("type", Value::from("moved")), ("x", 3.into()), ("from", ANN.into())]);
    bob.receive(&Value::Map(event).to_msgpack().unwrap().into(), NOW).unwrap();
    let told = events(&mut bob);
    let [Event::Signal { message, .. }] = &told[..] else { panic!("{told:?}") };
    assert_eq!(header(message).get("x"), Some(&Value::Int(3)));
}

#[test]
fn who_gives_up_tells_and_the_function_is_broken_off() {
    let (mut ann, mut bob) = (polyfn(ANN), polyfn(BOB));
    call(&mut ann, &spec(None), &1.into());
    carry(&mut ann, &mut bob, NOW);
    let run = invoked(&mut bob).run.unwrap();
    ann.forget_call(1, NOW);
    carry(&mut ann, &mut bob, NOW);
    assert_eq!(events(&mut bob), [Event::Cancelled { run }]);
    assert_eq!(bob.statistics().runs, 1, "it runs until the language has ended it");
    bob.tick(NOW + 20 * SECOND);
    assert_eq!(bob.poll_send(), None, "nobody wants to hear that it goes on");
    bob.reject(run, &Error::new(ErrorKind::Cancelled, "broken off"), NOW);
    assert_eq!((bob.statistics().runs, bob.poll_send()), (0, None));
    assert_eq!(ann.statistics(), Default::default());
}

#[test]
fn a_call_that_times_out_is_broken_off() {
    let (mut ann, mut bob) = (polyfn(ANN), polyfn(BOB));
    call(&mut ann, &spec(None), &1.into());
    carry(&mut ann, &mut bob, NOW);
    let run = invoked(&mut bob).run.unwrap();
    let end = NOW + ann.options().method_timeout;
    ann.tick(end);
    assert!(matches!(&events(&mut ann)[..], [Event::Rejected { call: 1, .. }]));
    carry(&mut ann, &mut bob, end);
    assert_eq!(events(&mut bob), [Event::Cancelled { run }]);
    assert!(bob.begin_reply(run).is_none(), "a late result goes nowhere");
    assert_eq!(bob.statistics().runs, 0);
}

#[test]
fn a_run_that_ended_in_between_is_left_alone() {
    let (mut ann, mut bob) = (polyfn(ANN), polyfn(BOB));
    call(&mut ann, &spec(None), &1.into());
    carry(&mut ann, &mut bob, NOW);
    let run = invoked(&mut bob).run.unwrap();
    let mut late = bob.begin_reply(run).unwrap();
    late.writer.nil().unwrap();
    ann.forget_call(1, NOW);
    let cancel = ann.poll_send().unwrap();
    bob.receive(&relayed(&ann, &cancel, true), NOW).unwrap();
    bob.finish_reply(late, NOW);
    assert_eq!((bob.poll_send(), bob.statistics().runs), (None, 0), "it was being written when the end came");
    events(&mut bob);
    bob.receive(&relayed(&ann, &cancel, true), NOW).unwrap();
    assert_eq!(events(&mut bob), []);
}

#[test]
fn only_the_caller_may_break_off() {
    let (mut ann, mut bob, mut eve) = (polyfn(ANN), polyfn(BOB), polyfn("lab/eve"));
    for session in [&mut eve, &mut ann] {
        call(session, &spec(None), &1.into());
        carry(session, &mut bob, NOW);
        invoked(&mut bob);
    }
    ann.forget_call(1, NOW);
    let cancel = ann.poll_send().unwrap();
    bob.receive(&relayed(&eve, &cancel, true), NOW).unwrap();
    assert_eq!(events(&mut bob), [], "the session of another");
    let mut old = peer(BOB, Options::default(), Extensions::NONE);
    old.receive(&relayed(&ann, &cancel, true), NOW).unwrap();
    assert!(
        matches!(&events(&mut old)[..], [Event::Signal { .. }]),
        "an event like any other where nothing is known"
    );
}

#[test]
fn nobody_moves_a_deadline() {
    let (mut ann, mut bob) = (polyfn(ANN), polyfn(BOB));
    call(&mut ann, &spec(Some(5 * SECOND)), &1.into());
    let sent = ann.poll_send().unwrap();
    bob.receive(&relayed(&ann, &sent, true), NOW).unwrap();
    let run = invoked(&mut bob).run.unwrap();
    ann.receive(&reply(&sent, "heartbeat", Value::Nil), NOW + 4 * SECOND).unwrap();
    assert_eq!((ann.next_tick(), bob.next_tick()), (Some(NOW + 5 * SECOND), Some(NOW + 5 * SECOND)));

    bob.tick(NOW + 5 * SECOND);
    assert_eq!(events(&mut bob), [Event::Cancelled { run }]);
    carry(&mut bob, &mut ann, NOW + 5 * SECOND);
    let ends = events(&mut ann);
    let [Event::Rejected { call: 1, error }] = &ends[..] else { panic!("{ends:?}") };
    assert_eq!(error.kind(), ErrorKind::Timeout);
    bob.reject(run, &Error::new(ErrorKind::Cancelled, "broken off"), NOW);
    assert_eq!((bob.poll_send(), bob.statistics().runs), (None, 0));
}

#[test]
fn a_deadline_holds_where_the_owner_knows_none() {
    let mut ann = peer(ANN, Options::default(), Extensions::NONE);
    call(&mut ann, &spec(Some(5 * SECOND)), &1.into());
    let sent = ann.poll_send().unwrap();
    ann.receive(&reply(&sent, "heartbeat", Value::Nil), NOW + 4 * SECOND).unwrap();
    ann.tick(NOW + 5 * SECOND);
    let ends = events(&mut ann);
    let [Event::Rejected { call: 1, error }] = &ends[..] else { panic!("{ends:?}") };
    assert_eq!(error.kind(), ErrorKind::Timeout);
    let late = ann.begin_call(&spec(Some(Duration::ZERO))).unwrap_err();
    assert_eq!(late.kind(), ErrorKind::Timeout, "a call that is over is not begun");
}

#[test]
fn what_travels_in_parts_says_it_with_the_last_one() {
    let (mut ann, mut bob) = (polyfn(ANN), polyfn(BOB));
    let long = Value::from(Bytes::from(vec![5; 600_000]));
    call(&mut ann, &CallSpec { trace: Some(TRACE), ..spec(Some(50 * SECOND)) }, &long);
    let mut parts = Vec::new();
    while ann.has_frames() || bob.has_frames() {
        while let Some(sent) = ann.poll_send() {
            let args = body(&sent.frame).remove("args").unwrap();
            if let Some(Value::Bytes(part)) = args.as_list().unwrap().get(2) {
                parts.extend_from_slice(part);
            }
            bob.receive(&relayed(&ann, &sent, true), NOW + SECOND).unwrap();
        }
        carry(&mut bob, &mut ann, NOW + SECOND);
    }
    let parts = Bytes::from(parts);
    let head = header(&parts);
    assert!(!head.contains("x"), "the receiver may be an old one: {head:?}");
    assert_eq!(head.text("method"), Some("services.svc.run"));
    assert_eq!(body(&parts).get("args"), Some(&Value::List(vec![long.clone()])));
    let invocation = invoked(&mut bob);
    assert_eq!(invocation.payload.values().unwrap().0, [long]);
    assert_eq!(invocation.trace.as_deref(), Some(TRACE));
    assert_eq!(invocation.payload.origin.extensions, Extensions::ALL);
    assert!(invocation.deadline.is_some());
}

#[test]
fn what_is_leaving_in_parts_stays_when_nobody_waits() {
    let (mut ann, mut bob) = (polyfn(ANN), polyfn(BOB));
    call(&mut ann, &spec(None), &Value::from(Bytes::from(vec![5; 600_000])));
    carry(&mut ann, &mut bob, NOW);
    carry(&mut bob, &mut ann, NOW);
    carry(&mut ann, &mut bob, NOW);
    assert_eq!((ann.statistics().transfers, bob.statistics().chunks), (1, 1));
    ann.forget_call(1, NOW);
    while carry(&mut ann, &mut bob, NOW) + carry(&mut bob, &mut ann, NOW) > 0 {}
    assert_eq!(ann.statistics(), Default::default());
    assert_eq!(bob.statistics(), Default::default());
    assert_eq!(events(&mut bob), []);
}

#[test]
fn a_result_that_is_leaving_in_parts_stays_when_nobody_waits() {
    let (mut ann, mut bob) = (polyfn(ANN), polyfn(BOB));
    call(&mut ann, &spec(None), &1.into());
    carry(&mut ann, &mut bob, NOW);
    let run = invoked(&mut bob).run.unwrap();
    finish(&mut bob, run, &Value::from(Bytes::from(vec![5; 600_000])), NOW);
    carry(&mut bob, &mut ann, NOW);
    carry(&mut ann, &mut bob, NOW);
    carry(&mut bob, &mut ann, NOW);
    assert_eq!((bob.statistics().transfers, ann.statistics().chunks), (1, 1));
    ann.forget_call(1, NOW);
    while carry(&mut ann, &mut bob, NOW) + carry(&mut bob, &mut ann, NOW) > 0 {}
    assert_eq!(ann.statistics(), Default::default());
    assert_eq!(bob.statistics(), Default::default());
    assert_eq!((events(&mut ann), events(&mut bob)), (vec![], vec![]));
}

#[test]
fn the_runs_of_a_caller_that_is_gone_are_broken_off() {
    let (mut ann, mut bob) = (polyfn(ANN), polyfn(BOB));
    let mut old = peer("lab/old", Options::default(), Extensions::NONE);
    for session in [&mut ann, &mut old] {
        call(session, &spec(None), &1.into());
        carry(session, &mut bob, NOW);
    }
    let [run, kept] = [(); 2].map(|()| invoked(&mut bob).run.unwrap());
    for id in ["ann", "old"] {
        bob.receive(&gone(None, id), NOW).unwrap();
    }
    assert!(events(&mut bob).iter().all(|event| matches!(event, Event::Signal { .. })), "they may come back");
    bob.tick(NOW + 9 * SECOND);
    assert_eq!((events(&mut bob), bob.statistics().runs), (vec![], 2));
    assert!(bob.next_tick().is_some_and(|at| at <= NOW + 10 * SECOND));
    bob.tick(NOW + 10 * SECOND);
    assert_eq!(
        (events(&mut bob), bob.statistics().runs),
        (vec![], 2),
        "they are asked whether they are back"
    );
    bob.tick(NOW + 12 * SECOND);
    assert_eq!(events(&mut bob), [Event::Cancelled { run }], "callers of old expect that functions go on");
    assert!(bob.begin_reply(kept).is_none() && bob.begin_reply(run).is_none());
    assert_eq!(bob.statistics().runs, 0);
    let asked: Vec<_> = std::iter::from_fn(|| bob.poll_send()).map(|sent| sent.to).collect();
    assert!(asked.contains(&ANN.to_owned()) && asked.contains(&"lab/old".to_owned()), "{asked:?}");
}

#[test]
fn who_comes_back_in_time_gets_the_result() {
    for known in [Extensions::ALL, Extensions::NONE] {
        let (mut ann, mut bob) = (peer(ANN, Options::default(), known), polyfn(BOB));
        call(&mut ann, &spec(None), &1.into());
        carry(&mut ann, &mut bob, NOW);
        let run = invoked(&mut bob).run.unwrap();
        bob.receive(&gone(None, "ann"), NOW).unwrap();
        // who only waits says nothing by itself
        bob.tick(NOW + 10 * SECOND);
        carry(&mut bob, &mut ann, NOW + 10 * SECOND);
        carry(&mut ann, &mut bob, NOW + 10 * SECOND);
        bob.tick(NOW + 20 * SECOND);
        assert!(!events(&mut bob).iter().any(|event| matches!(event, Event::Cancelled { .. })));
        finish(&mut bob, run, &Value::from("done"), NOW + 20 * SECOND);
        carry(&mut bob, &mut ann, NOW + 20 * SECOND);
        assert!(matches!(&events(&mut ann)[..], [Event::Resolved { call: 1, .. }]));
    }
}

/// Bob, who has a result for ann, of whom the server has said that she is gone.
fn ready_for_nobody(known: Extensions, send_buffer: usize) -> (Session, Session) {
    let options = Options { send_buffer, ..Options::default() };
    let (mut ann, mut bob) = (peer(ANN, Options::default(), known), peer(BOB, options, Extensions::ALL));
    call(&mut ann, &spec(None), &1.into());
    carry(&mut ann, &mut bob, NOW);
    let run = invoked(&mut bob).run.unwrap();
    bob.receive(&gone(None, "ann"), NOW).unwrap();
    finish(&mut bob, run, &Value::from(Bytes::from(vec![7; 300_000])), NOW);
    (ann, bob)
}

fn settle(ann: &mut Session, bob: &mut Session, now: Duration) {
    while carry(bob, ann, now) + carry(ann, bob, now) > 0 {}
}

#[test]
fn a_result_waits_until_its_caller_is_back() {
    for known in [Extensions::ALL, Extensions::NONE] {
        let (mut ann, mut bob) = ready_for_nobody(known, 400_000);
        assert!(bob.poll_send().is_none());
        ann.disconnected("a cut");
        ann.connected(ConnectionInfo { extensions: known, ..info(ANN) }, NOW + SECOND);
        let mut said = Vec::new();
        answer(&mut ann, &mut said, NOW + SECOND);
        assert_eq!(
            said.len(),
            usize::from(!known.is_empty()),
            "who waits for an answer says that it is back"
        );
        for sent in said {
            bob.receive(&relayed(&ann, &sent, true), NOW + SECOND).unwrap();
        }
        // who only waits is asked, each second
        bob.tick(NOW + 2 * SECOND);
        settle(&mut ann, &mut bob, NOW + 2 * SECOND);
        assert!(events(&mut ann).iter().any(|event| matches!(event, Event::Resolved { call: 1, .. })));
    }
}

#[test]
fn nothing_waits_for_who_does_not_come_back() {
    let (mut ann, mut bob) = ready_for_nobody(Extensions::ALL, 400_000);
    for second in 0..=10 {
        bob.tick(NOW + second * SECOND);
        let asked = header(&bob.poll_send().unwrap().frame);
        assert_eq!(asked.text("method"), Some("services.built-in.ping"));
        assert!(bob.poll_send().is_none());
    }
    bob.tick(NOW + 12 * SECOND);
    call(&mut ann, &spec(None), &2.into());
    carry(&mut ann, &mut bob, NOW + 13 * SECOND);
    assert!(bob.poll_send().is_none());
}

#[test]
fn who_goes_again_is_waited_for_anew() {
    let (mut ann, mut bob) = ready_for_nobody(Extensions::ALL, 400_000);
    bob.tick(NOW + 10 * SECOND);
    bob.receive(&gone(None, "ann"), NOW + 11 * SECOND).unwrap();
    while bob.poll_send().is_some() {}
    bob.tick(NOW + 20 * SECOND);
    settle(&mut ann, &mut bob, NOW + 20 * SECOND);
    assert!(matches!(&events(&mut ann)[..], [Event::Resolved { call: 1, .. }]));
}

#[test]
fn who_is_away_itself_counts_nobody_out() {
    let (mut ann, mut bob) = ready_for_nobody(Extensions::ALL, 400_000);
    bob.disconnected("a cut");
    assert!(bob.next_tick().is_none_or(|at| at > NOW + 12 * SECOND));
    bob.tick(NOW + 15 * SECOND);
    bob.connected(ConnectionInfo { extensions: Extensions::ALL, ..info(BOB) }, NOW + 16 * SECOND);
    answer(&mut bob, &mut Vec::new(), NOW + 16 * SECOND);
    bob.tick(NOW + 16 * SECOND);
    settle(&mut ann, &mut bob, NOW + 16 * SECOND);
    assert!(events(&mut ann).iter().any(|event| matches!(event, Event::Resolved { call: 1, .. })));
}

#[test]
fn no_more_waits_for_who_is_gone_than_may_wait_to_be_sent() {
    let (_, mut bob) = ready_for_nobody(Extensions::ALL, 200_000);
    assert!(bob.poll_send().is_some(), "it leaves, to nobody");
}

#[test]
fn a_call_that_was_given_up_while_away_is_never_made() {
    let (mut ann, mut bob) = (polyfn(ANN), polyfn(BOB));
    ann.disconnected("a cut");
    call(&mut ann, &spec(Some(SECOND)), &1.into());
    ann.forget_call(1, NOW);
    call(&mut ann, &spec(Some(SECOND)), &2.into());
    ann.tick(NOW + 2 * SECOND);
    assert_eq!(ann.statistics().outgoing_bytes, 0);
    ann.connected(ConnectionInfo { extensions: Extensions::ALL, ..info(ANN) }, NOW + 3 * SECOND);
    answer(&mut ann, &mut Vec::new(), NOW + 3 * SECOND);
    carry(&mut ann, &mut bob, NOW + 3 * SECOND);
    assert_eq!((events(&mut bob), bob.statistics().runs), (vec![], 0));
}

#[test]
fn who_leaves_for_good_says_so() {
    let (mut ann, mut bob) = (polyfn(ANN), polyfn(BOB));
    call(&mut ann, &spec(None), &1.into());
    carry(&mut ann, &mut bob, NOW);
    let run = invoked(&mut bob).run.unwrap();
    ann.say_goodbye();
    carry(&mut ann, &mut bob, NOW);
    assert_eq!(events(&mut bob), [Event::Cancelled { run }]);
}

/// Whether the parts of a long message are short. Ann, whose server knows `known`, makes a small call after the second.
fn short_parts(known: Extensions) -> Vec<bool> {
    let (mut ann, mut bob) = (peer(ANN, Options::default(), known), polyfn(BOB));
    call(&mut ann, &spec(None), &Value::Bytes(vec![7; 4_100_000].into()));
    let mut parts = Vec::new();
    while let Some(sent) = ann.poll_send() {
        if sent.frame.len() > 10_000 {
            parts.push(sent.frame.len() < 70_000);
            if parts.len() == 2 {
                call(&mut ann, &spec(None), &Value::Int(1));
            }
        }
        bob.receive(&relayed(&ann, &sent, true), NOW).unwrap();
        carry(&mut bob, &mut ann, NOW);
    }
    assert_eq!(ann.statistics().transfers, 0);
    parts
}

#[test]
fn parts_are_short_for_a_while_after_a_small_call() {
    let parts = short_parts(Extensions::ALL);
    let (first, rest) = parts.split_at(parts.iter().position(|is_short| *is_short).unwrap());
    assert!((2..6).contains(&first.len()), "those that were cut before are whole: {}", first.len());
    let (short, last) = rest.split_at(32);
    assert!(short.iter().all(|is_short| *is_short) && last.iter().all(|is_short| !is_short));
    assert!(!last.is_empty());
    // Hypha counts messages and cuts connections that send too many
    assert!(short_parts(Extensions::NONE).iter().all(|is_short| !is_short));
}
