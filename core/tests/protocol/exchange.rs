//! Two sessions that call each other, with a server between them.

use std::time::Duration;

use bytes::Bytes;
use polyfn_core::session::{Options, Statistics};
use polyfn_core::{ErrorKind, Value};
use proptest::prelude::*;

use crate::network::{BEHAVIOURS, Network};

const SECOND: Duration = Duration::from_secs(1);

fn options() -> Options {
    Options { method_timeout: 10 * SECOND, keep: 60 * SECOND, ..Options::default() }
}

/// Nothing is under way, nothing is held, and every function that was given away was let go.
fn assert_empty(network: &mut Network) {
    network.pass(1000 * SECOND);
    for (at, peer) in network.peers.iter().enumerate() {
        assert_eq!(peer.session.statistics(), Statistics::default(), "p{at}");
        assert!(peer.given.is_empty(), "p{at} still holds {:?} of {}", peer.given, peer.given_in_all);
    }
}

#[test]
fn a_call_and_its_result() {
    let mut network = Network::new(2, &options());
    let frames = network.frames;
    let call = network.call(0, 1, "echo", &[Value::from("grüße")]);
    network.run();
    assert_eq!(*network.peers[0].end_of(call), Ok(Value::from("grüße")));
    assert_eq!(network.frames - frames, 2, "a call is one frame there and one back");
    assert_empty(&mut network);
}

#[test]
fn an_error_keeps_its_class() {
    let mut network = Network::new(2, &options());
    let call = network.call(0, 1, "fail", &[]);
    network.run();
    let error = network.peers[0].end_of(call).as_ref().unwrap_err();
    assert_eq!(
        (error.kind(), error.message(), error.class()),
        (ErrorKind::Remote, "boom", Some("ValueError"))
    );
    assert_empty(&mut network);
}

#[test]
fn a_callback_is_called_and_let_go() {
    let mut network = Network::new(2, &options());
    let callback = network.peers[0].function();
    let call = network.call(0, 1, "call_back", &[callback, Value::from(7)]);
    network.run();
    assert_eq!(*network.peers[0].end_of(call), Ok(Value::from(7)));
    assert!(network.peers[0].given.is_empty(), "a callback lives as long as its call");
    assert_empty(&mut network);
}

#[test]
fn a_function_in_a_result_can_be_called_for_a_while() {
    let mut network = Network::new(2, &options());
    let call = network.call(0, 1, "make", &[]);
    network.run();
    let Ok(Value::Method(stub)) = network.peers[0].end_of(call).clone() else { panic!("a function is made") };
    let now = network.now;
    let second = network.peers[0].call_stub(&stub, &[Value::from(1)], now);
    network.pass(30 * SECOND);
    assert_eq!(*network.peers[0].end_of(second), Ok(Value::from(1)));
    assert_eq!(network.peers[1].given.len(), 1);
    network.pass(100 * SECOND);
    assert!(network.peers[1].given.is_empty());
    let now = network.now;
    let late = network.peers[0].call_stub(&stub, &[], now);
    network.run();
    assert!(network.peers[0].end_of(late).as_ref().unwrap_err().message().starts_with("Session not found"));
    assert_empty(&mut network);
}

#[test]
fn a_slow_function_keeps_its_caller_waiting_by_heartbeats() {
    let mut network = Network::new(2, &options());
    let call = network.call(0, 1, "wait", &[]);
    network.pass(60 * SECOND);
    assert!(!network.peers[0].ends.contains_key(&call), "six times its timeout, but the callee is alive");
    network.finish_waiting();
    assert_eq!(*network.peers[0].end_of(call), Ok(Value::from("waited")));
    assert_empty(&mut network);
}

#[test]
fn a_call_to_nobody_times_out() {
    let mut network = Network::new(1, &options());
    let call = network.call(0, 5, "echo", &[]);
    network.pass(9 * SECOND);
    assert!(network.peers[0].ends.is_empty());
    network.pass(2 * SECOND);
    assert_eq!(network.peers[0].end_of(call).as_ref().unwrap_err().kind(), ErrorKind::Timeout);
    assert_empty(&mut network);
}

#[test]
fn five_megabytes_travel_in_parts_both_ways() {
    let mut network = Network::new(2, &options());
    let data: Bytes = (0..5_000_000u32).map(|at| (at % 251) as u8).collect::<Vec<u8>>().into();
    let call = network.call(0, 1, "echo", &[Value::Bytes(data.clone())]);
    network.run();
    assert_eq!(*network.peers[0].end_of(call), Ok(Value::Bytes(data)));
    assert!(network.frames > 2 * 2 * 19, "{} frames are too few for parts", network.frames);
    assert_empty(&mut network);
}

#[test]
fn a_long_message_to_one_who_goes_away_leaves_nothing_behind() {
    let mut network = Network::new(2, &options());
    let callback = network.peers[0].function();
    let call = network.call(0, 1, "call_back", &[callback, Value::from("x".repeat(2_000_000))]);
    network.cut(1);
    network.pass(60 * SECOND);
    assert!(network.peers[0].end_of(call).is_err());
    network.connect(1);
    assert_empty(&mut network);
}

#[test]
fn calls_during_an_outage_are_made_after_it() {
    let mut network = Network::new(2, &options());
    network.cut(0);
    let call = network.call(0, 1, "echo", &[Value::from(1)]);
    network.pass(5 * SECOND);
    assert!(network.peers[0].ends.is_empty());
    network.connect(0);
    network.run();
    assert_eq!(*network.peers[0].end_of(call), Ok(Value::from(1)));
    assert_empty(&mut network);
}

#[test]
fn an_event_reaches_its_receiver_with_its_sender() {
    let mut network = Network::new(2, &options());
    let event = polyfn_core::Map::from_iter([("type", "news"), ("to", "p1"), ("text", "hello")]);
    network.peers[0].session.emit_frame("lab/p1", Value::Map(event).to_msgpack().unwrap().into()).unwrap();
    network.run();
    let [Value::Map(signal)] = &network.peers[1].signals[..] else {
        panic!("{:?}", network.peers[1].signals)
    };
    assert_eq!((signal.text("type"), signal.text("text")), (Some("news"), Some("hello")));
    assert_eq!(signal.text("from"), Some("lab/p0"));
}

/// Something that happens to three peers.
#[derive(Clone, Debug)]
enum Step {
    Call { from: usize, to: usize, function: usize, bytes: usize },
    Cut(usize),
    Connect(usize),
    Run,
    Pass(u64),
    FinishWaiting,
}

fn step() -> impl Strategy<Value = Step> {
    let size = prop_oneof![4 => 0..200usize, 1 => 1000..20_000usize];
    prop_oneof![
        6 => (0..3usize, 0..3usize, 0..BEHAVIOURS.len(), size)
            .prop_map(|(from, to, function, bytes)| Step::Call { from, to, function, bytes }),
        1 => (0..3usize).prop_map(Step::Cut),
        2 => (0..3usize).prop_map(Step::Connect),
        2 => Just(Step::Run),
        2 => (0..20_000u64).prop_map(Step::Pass),
        1 => Just(Step::FinishWaiting),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever happens: every call ends once, every function given away is let go once, nothing is left.
    #[test]
    fn nothing_is_lost_and_nothing_stays(steps in prop::collection::vec(step(), 1..60)) {
        let small = Options { chunk_size: 1000, chunk_window: 3, ..options() };
        let mut network = Network::new(3, &small);
        let mut calls = [0; 3];
        for step in steps {
            match step {
                Step::Call { from, to, function, bytes } => {
                    let value = Value::Bytes(vec![7; bytes].into());
                    let callback = network.peers[from].function();
                    network.call(from, to, BEHAVIOURS[function].0, &[callback, value]);
                    calls[from] += 1;
                }
                Step::Cut(at) => network.cut(at),
                Step::Connect(at) => network.connect(at),
                Step::Run => network.run(),
                Step::Pass(millis) => network.pass(Duration::from_millis(millis)),
                Step::FinishWaiting => network.finish_waiting(),
            }
        }
        (0..3).for_each(|at| network.connect(at));
        network.run();
        network.finish_waiting();
        network.pass(100 * SECOND);
        network.finish_waiting();
        assert_empty(&mut network);
        for (peer, calls) in network.peers.iter().zip(calls) {
            prop_assert_eq!(peer.ends.len(), calls);
        }
    }
}
