//! Generators between peers that both know the extension: items sent ahead, within what was granted.

use std::time::Duration;

use bytes::Bytes;
use polyfn_core::codec::{StreamStub, Tagged};
use polyfn_core::session::{
    ConnectionInfo, Event, Extensions, Options, Outgoing, Session, Statistics, StreamEnd,
};
use polyfn_core::wire::Route;
use polyfn_core::{Error, ErrorKind, Map, Value};

use crate::calling::gone;
use crate::generators::{Told, asked, ended, items, list};
use crate::joining::{call, events, offer, service};
use crate::manager::{answer, body, header, info, reply};

pub(crate) const ME: &str = "lab/me";
pub(crate) const OTHER: &str = "lab/other";
pub(crate) const NOW: Duration = Duration::from_secs(100);

/// A session on a server that knows `known`.
fn negotiated(options: Options, known: Extensions) -> Session {
    let mut session = Session::new(options);
    session.connected(ConnectionInfo { extensions: known, ..info(ME) }, NOW);
    answer(&mut session, &mut Vec::new(), NOW);
    session
}

pub(crate) fn session(options: Options) -> Session {
    let mut session = negotiated(options, Extensions::ALL);
    offer(&mut session, &service("svc", &[("visibility", "public".into())], 1, &["count"])).unwrap();
    events(&mut session);
    session
}

/// A frame of the extension, as the server delivers it.
pub(crate) fn frame(
    kind: &str,
    from: &str,
    method: Option<&str>,
    stream: &str,
    body: &[(&str, Value)],
) -> Bytes {
    let mut head = Map::from_iter([("type", kind), ("from", from), ("to", ME), ("session", stream)]);
    method.into_iter().for_each(|method| drop(head.insert("method", method)));
    head.insert("ws", "lab");
    head.insert("x", Map::from_iter([("e", Value::from(31))]));
    let mut bytes = Value::Map(head).to_msgpack().unwrap();
    bytes.extend(Value::Map(body.iter().cloned().collect()).to_msgpack().unwrap());
    bytes.into()
}

pub(crate) fn pull(from: &str, stub: &StreamStub, stream: &str, n: i64, b: i64) -> Bytes {
    frame("x-pull", from, Some(&stub.method), stream, &[("n", n.into()), ("b", b.into())])
}

pub(crate) fn push(stream: &str, index: i64, items: &[i64], more: &[(&str, Value)]) -> Bytes {
    let mut entries = vec![("i", Value::from(index)), ("args", list(items))];
    entries.extend(more.iter().cloned());
    frame("x-push", OTHER, None, stream, &entries)
}

/// Gives generator 9 as an argument: the call, and what the peer gets.
pub(crate) fn given(session: &mut Session) -> (Outgoing, StreamStub) {
    call(session, 1, OTHER, "services.x.sum", &[Value::Generator(9)]).unwrap();
    let sent = session.poll_send().unwrap();
    let args = body(&sent.frame).remove("args").unwrap();
    let Some([Value::Stream(stub)]) = args.as_list() else { panic!("{args:?}") };
    (sent, (**stub).clone())
}

/// Writes as many items as are wanted in one frame, counting on from `next`.
pub(crate) fn produce(session: &mut Session, next: &mut i64) -> Option<u32> {
    let mut draft = session.begin_items(9)?;
    while !draft.is_full() {
        draft.item(|out| out.int(*next)).unwrap();
        *next += 1;
    }
    let count = draft.len();
    session.finish_items(draft, StreamEnd::More, NOW);
    Some(count)
}

/// A frame of items that was sent: its stream, its number, its items, and everything else.
fn pushed(session: &mut Session) -> (String, i64, Value, Map) {
    let sent = session.poll_send().expect("items are sent");
    let header = header(&sent.frame);
    assert_eq!((header.text("type"), sent.to.as_str()), (Some("x-push"), OTHER));
    let mut body = body(&sent.frame);
    let index = body.remove("i").and_then(|index| index.as_int()).unwrap();
    (header.text("session").unwrap().to_owned(), index, body.remove("args").unwrap(), body)
}

fn pull_event(credit: u32) -> Event {
    Event::Pull { source: 9, credit }
}

#[test]
fn a_reader_is_sent_what_it_has_room_for() {
    let mut session = session(Options::default());
    let (_, stub) = given(&mut session);
    let mut next = 0;
    session.receive(&pull(OTHER, &stub, "Q", 3, 1000), NOW).unwrap();
    assert_eq!(events(&mut session), [pull_event(3)]);
    assert_eq!(produce(&mut session, &mut next), Some(3));
    assert_eq!(pushed(&mut session), ("Q".to_owned(), 0, list(&[0, 1, 2]), Map::new()));
    assert_eq!(produce(&mut session, &mut next), None, "no more is wanted");
    assert_eq!(events(&mut session), []);
    session.receive(&pull(OTHER, &stub, "Q", 1000, 1_000_000), NOW).unwrap();
    assert_eq!(events(&mut session), [pull_event(1000)]);
    let counts: Vec<u32> = std::iter::from_fn(|| produce(&mut session, &mut next)).collect();
    assert_eq!(counts, [256, 256, 256, 232], "a few frames, so that neither side waits");
    let numbers: Vec<i64> = (0..4).map(|_| pushed(&mut session).1).collect();
    assert_eq!(numbers, [3, 259, 515, 771]);
    assert_eq!(session.statistics().sources, 1);
}

#[test]
fn bytes_are_counted_too_but_for_one_item() {
    let mut session = session(Options::default());
    let (_, stub) = given(&mut session);
    session.receive(&pull(OTHER, &stub, "Q", 100, 10), NOW).unwrap();
    let mut draft = session.begin_items(9).unwrap();
    draft.item(|out| out.text("longer than ten bytes")).unwrap();
    assert!(draft.is_full() && draft.item(|out| out.int(1)).is_err());
    session.finish_items(draft, StreamEnd::More, NOW);
    assert_eq!(pushed(&mut session).2, Value::List(vec!["longer than ten bytes".into()]));
    assert!(session.begin_items(9).is_none());
    session.receive(&pull(OTHER, &stub, "Q", 0, 17), NOW).unwrap();
    assert!(session.begin_items(9).is_none(), "what was over is owed: 5 + 22 bytes were sent, 27 granted");
    events(&mut session);
    session.receive(&pull(OTHER, &stub, "Q", 0, 1), NOW).unwrap();
    assert_eq!(events(&mut session), [pull_event(99)]);
    assert!(session.begin_items(9).is_some());
}

#[test]
fn the_end_and_errors_come_behind_the_items() {
    let failed = Error::remote("boom").with_class("ValueError");
    for end in [StreamEnd::Done, StreamEnd::Failed(failed.clone())] {
        let mut session = session(Options::default());
        let (_, stub) = given(&mut session);
        session.receive(&pull(OTHER, &stub, "Q", 100, 1000), NOW).unwrap();
        let mut draft = session.begin_items(9).unwrap();
        draft.item(|out| out.int(7)).unwrap();
        session.finish_items(draft, end.clone(), NOW);
        let (_, _, items, mut more) = pushed(&mut session);
        assert_eq!(items, list(&[7]));
        match end {
            StreamEnd::Failed(_) => {
                assert_eq!(
                    more.remove("error"),
                    Some(Value::Tagged(Box::new(Tagged::Error(failed.clone()))))
                );
            }
            _ => assert_eq!(more.remove("end"), Some(true.into())),
        }
        assert!(more.is_empty());
        assert_eq!(events(&mut session), [pull_event(100), Event::Released(9)]);
        assert_eq!(session.statistics().sources, 0);
        session.receive(&pull(OTHER, &stub, "Q", 1, 1), NOW).unwrap();
        assert!(pushed(&mut session).3.contains("error"), "what has ended is gone");
    }
}

#[test]
fn a_reader_that_leaves_closes_the_generator_at_once_and_is_sent_nothing() {
    let mut session = session(Options::default());
    let (_, stub) = given(&mut session);
    let close = |from: &str, stream: &str| {
        frame("x-pull", from, Some(&stub.method), stream, &[("close", true.into())])
    };
    session.receive(&pull(OTHER, &stub, "Q", 100, 1000), NOW).unwrap();
    let draft = session.begin_items(9).unwrap();
    session.receive(&close("lab/stranger", "Q"), NOW).unwrap();
    session.receive(&close(OTHER, "another"), NOW).unwrap();
    assert_eq!(events(&mut session), [pull_event(100)], "not by others, and not for others");
    session.receive(&close(OTHER, "Q"), NOW).unwrap();
    assert_eq!(events(&mut session), [Event::Released(9)]);
    session.finish_items(draft, StreamEnd::Done, NOW);
    assert!(session.poll_send().is_none());
    assert_eq!(events(&mut session), []);
    session.receive(&close(OTHER, "Q"), NOW).unwrap();
    assert!(session.poll_send().is_none());
    assert_eq!(session.statistics(), Statistics { calls: 1, ..Statistics::default() });
}

#[test]
fn only_one_may_read_and_only_who_was_given_it() {
    let mut session = session(Options::default());
    let (_, stub) = given(&mut session);
    let refused = |session: &mut Session| {
        let sent = session.poll_send().expect("the end is sent");
        let mut body = body(&sent.frame);
        match body.remove("error") {
            Some(Value::Tagged(error)) => match *error {
                Tagged::Error(error) => (sent.to, error.kind()),
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        }
    };
    session.receive(&pull("lab/stranger", &stub, "Q", 1, 1), NOW).unwrap();
    assert_eq!(refused(&mut session), ("lab/stranger".to_owned(), ErrorKind::PermissionDenied));
    session.receive(&pull(OTHER, &stub, "Q", 1, 1), NOW).unwrap();
    session.receive(&pull(OTHER, &stub, "R", 1, 1), NOW).unwrap();
    assert_eq!(refused(&mut session), (OTHER.to_owned(), ErrorKind::Conflict));
    session.receive(&asked(OTHER, &stub.method, "N"), NOW).unwrap();
    assert_eq!(ended(&mut session).0, "N.reject");
    assert_eq!(events(&mut session), [pull_event(1)]);
}

#[test]
fn the_reader_of_an_argument_is_told_when_the_call_ends() {
    let mut session = session(Options::default());
    let (sent, stub) = given(&mut session);
    session.receive(&pull(OTHER, &stub, "Q", 100, 1000), NOW).unwrap();
    session.receive(&reply(&sent, "resolve", Value::Nil), NOW).unwrap();
    assert!(pushed(&mut session).3.contains("error"));
    assert!(events(&mut session).contains(&Event::Released(9)));
    assert_eq!(session.statistics(), Statistics::default());
}

#[test]
fn a_generator_goes_with_its_reader_and_with_the_connection() {
    let mut session = session(Options::default());
    let (_, stub) = given(&mut session);
    session.receive(&pull(OTHER, &stub, "Q", 100, 1000), NOW).unwrap();
    session.receive(&gone(None, "other"), NOW).unwrap();
    assert!(events(&mut session).contains(&Event::Released(9)));
    assert!(session.poll_send().is_none(), "nothing is sent to who is gone");
    let (_, stub) = given(&mut session);
    session.receive(&pull(OTHER, &stub, "Q", 100, 1000), NOW).unwrap();
    events(&mut session);
    session.disconnected("cut");
    assert!(events(&mut session).contains(&Event::Released(9)));
    assert!(session.begin_items(9).is_none());
    assert_eq!(session.statistics().sources, 0);
}

#[test]
fn a_long_item_is_overtaken_by_nothing() {
    let mut session = session(Options { chunk_size: 1000, ..Options::default() });
    let (_, stub) = given(&mut session);
    session.receive(&pull(OTHER, &stub, "Q", 100, 1 << 20), NOW).unwrap();
    events(&mut session);
    let mut draft = session.begin_items(9).unwrap();
    draft.item(|out| out.bytes(&[7; 5000])).unwrap();
    assert!(draft.is_full(), "a frame that is long already takes no more");
    session.finish_items(draft, StreamEnd::More, NOW);
    assert!(session.begin_items(9).is_none(), "it is on its way");
    assert_eq!(events(&mut session), []);
    let mut parts = 0;
    while let Some(sent) = session.poll_send() {
        parts += 1;
        session.receive(&reply(&sent, "resolve", Value::Nil), NOW).unwrap();
    }
    assert!(parts >= 7, "{parts}");
    assert_eq!(events(&mut session), [pull_event(99)], "now it has arrived");
    assert_eq!(session.statistics().transfers, 0);
}

#[test]
fn a_long_item_that_cannot_be_sent_ends_the_stream() {
    let mut session = session(Options { chunk_size: 1000, ..Options::default() });
    let (_, stub) = given(&mut session);
    session.receive(&pull(OTHER, &stub, "Q", 100, 1 << 20), NOW).unwrap();
    let mut draft = session.begin_items(9).unwrap();
    draft.item(|out| out.bytes(&[7; 5000])).unwrap();
    session.finish_items(draft, StreamEnd::More, NOW);
    let sent = session.poll_send().unwrap();
    session.receive(&reply(&sent, "reject", crate::joining::error("the cache is full")), NOW).unwrap();
    assert!(pushed(&mut session).3.contains("error"));
    assert!(events(&mut session).contains(&Event::Released(9)));
}

#[test]
fn what_waits_to_be_sent_slows_the_generator() {
    let mut session = session(Options { send_buffer: 1000, ..Options::default() });
    let (_, stub) = given(&mut session);
    session.receive(&pull(OTHER, &stub, "Q", 1 << 40, 1 << 40), NOW).unwrap();
    let mut next = 0;
    let frames = std::iter::from_fn(|| produce(&mut session, &mut next)).count();
    assert!(frames > 0 && frames < 10, "{frames} frames wait, whatever the reader grants");
    events(&mut session);
    while session.poll_send().is_some() {}
    assert!(matches!(&events(&mut session)[..], [Event::Pull { source: 9, .. }]));
    assert!(produce(&mut session, &mut next).is_some());
}

pub(crate) fn remote() -> StreamStub {
    StreamStub {
        target: OTHER.to_owned(),
        method: "S.1".to_owned(),
        close_method: "S.1:close".to_owned(),
        pushes: true,
        ..StreamStub::default()
    }
}

/// What was asked for of the generator: the stream's name, items and bytes; `None` for a close.
pub(crate) fn wanted(session: &mut Session) -> (String, Option<(i64, i64)>) {
    let sent = session.poll_send().expect("the reader says what it wants");
    let header = header(&sent.frame);
    assert_eq!((header.text("type"), header.text("method")), (Some("x-pull"), Some("S.1")));
    let mut body = body(&sent.frame);
    let mut number = |key: &str| body.remove(key).and_then(|value| value.as_int());
    let (items, bytes) = (number("n"), number("b"));
    (header.text("session").unwrap().to_owned(), items.zip(bytes))
}

#[test]
fn a_reader_grants_what_it_has_room_for() {
    let mut session = session(Options { stream_window: 64, ..Options::default() });
    session.open_stream(1, &remote(), NOW).unwrap();
    let (name, first) = wanted(&mut session);
    assert_eq!(first, Some((16, 4 << 20)));
    session.receive(&push(&name, 0, &[0, 1, 2, 3], &[]), NOW).unwrap();
    session.receive(&push(&name, 4, &[4, 5, 6, 7], &[]), NOW).unwrap();
    assert_eq!(items(&mut session), [(1, list(&[0, 1, 2, 3]), None), (1, list(&[4, 5, 6, 7]), None)]);
    session.grant(1, 4, NOW);
    assert!(session.poll_send().is_none(), "not worth a frame");
    session.grant(1, 4, NOW);
    assert_eq!(wanted(&mut session).1.unwrap().0, 24, "32 under way from here on");
    session.receive(&push(&name, 8, &[8], &[("end", true.into())]), NOW).unwrap();
    assert_eq!(items(&mut session), [(1, list(&[8]), Some(Ok(())))]);
    session.grant(1, 1, NOW);
    session.close_stream(1, NOW);
    assert!(session.poll_send().is_none(), "it is over");
    assert_eq!(session.statistics(), Statistics::default());
}

#[test]
fn items_before_an_error_count() {
    let mut session = session(Options::default());
    session.open_stream(1, &remote(), NOW).unwrap();
    let (name, _) = wanted(&mut session);
    let failed = Value::Tagged(Box::new(Tagged::Error(Error::remote("boom"))));
    session.receive(&push(&name, 0, &[1, 2], &[("error", failed)]), NOW).unwrap();
    assert_eq!(items(&mut session), [(1, list(&[1, 2]), Some(Err(Error::remote("boom"))))]);
    assert!(session.poll_send().is_none());
    assert_eq!(session.statistics(), Statistics::default());
}

#[test]
fn leaving_early_tells_the_owner_and_later_items_are_nobodys() {
    let mut session = session(Options::default());
    session.open_stream(1, &remote(), NOW).unwrap();
    let (name, _) = wanted(&mut session);
    session.close_stream(1, NOW);
    assert_eq!(wanted(&mut session), (name.clone(), None));
    session.receive(&push(&name, 0, &[1], &[]), NOW).unwrap();
    session.receive(&push("unknown", 0, &[1], &[]), NOW).unwrap();
    assert_eq!(items(&mut session), [] as [Told; 0]);
    assert!(session.poll_send().is_none());
    assert_eq!(session.statistics(), Statistics::default());
}

/// A stream is ended by what the peer sent: how.
fn broken(options: Options, frames: impl Fn(&str) -> Vec<Bytes>) -> Error {
    let mut session = session(options);
    session.open_stream(1, &remote(), NOW).unwrap();
    let (name, _) = wanted(&mut session);
    let frames = frames(&name);
    let (last, good) = frames.split_last().unwrap();
    good.iter().for_each(|frame| session.receive(frame, NOW).unwrap());
    assert!(session.receive(last, NOW).is_err());
    assert_eq!(wanted(&mut session), (name, None), "the owner is told");
    assert_eq!(session.statistics(), Statistics::default());
    match items(&mut session).pop() {
        Some((1, _, Some(Err(error)))) => error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_peer_that_sends_more_than_it_was_granted_is_refused() {
    let many: Vec<i64> = (0..17).collect();
    let error = broken(Options::default(), |name| vec![push(name, 0, &many, &[])]);
    assert_eq!(error.kind(), ErrorKind::TooLarge, "items");
    let error =
        broken(Options::default(), |name| vec![push(name, 0, &many[..16], &[]), push(name, 16, &[1], &[])]);
    assert_eq!(error.kind(), ErrorKind::TooLarge, "items of several frames");
    let options = Options { stream_window_bytes: 3, ..Options::default() };
    let error = broken(options, |name| vec![push(name, 0, &[1, 2, 3], &[]), push(name, 3, &[4], &[])]);
    assert_eq!(error.kind(), ErrorKind::TooLarge, "bytes");
}

#[test]
fn an_item_that_is_missing_is_never_skipped() {
    let error = broken(Options::default(), |name| vec![push(name, 0, &[0], &[]), push(name, 2, &[2], &[])]);
    assert_eq!(error.kind(), ErrorKind::PeerGone);
    let error = broken(Options::default(), |name| vec![push(name, 0, &[0], &[]), push(name, 0, &[0], &[])]);
    assert!(error.message().contains("missing"), "{error}");
}

#[test]
fn items_in_another_form_end_the_stream() {
    let bad = |name: &str, body: &[(&str, Value)]| vec![frame("x-push", OTHER, None, name, body)];
    let error = broken(Options::default(), |name| bad(name, &[("args", "text".into())]));
    assert_eq!(error.kind(), ErrorKind::Invalid);
    let error =
        broken(Options::default(), |name| bad(name, &[("args", list(&[1])), ("from", "lab/x".into())]));
    assert!(error.message().contains("`from`"), "{error}");
}

#[test]
fn only_the_owner_may_send_items() {
    let mut session = session(Options::default());
    session.open_stream(1, &remote(), NOW).unwrap();
    let (name, _) = wanted(&mut session);
    let forged = frame("x-push", "lab/stranger", None, &name, &[("i", 0.into()), ("args", list(&[1]))]);
    session.receive(&forged, NOW).unwrap();
    assert_eq!(items(&mut session), [] as [Told; 0]);
    session.receive(&push(&name, 0, &[1], &[]), NOW).unwrap();
    assert_eq!(items(&mut session).len(), 1);
}

#[test]
fn a_stream_ends_with_its_owner_and_with_the_connection() {
    let mut session = session(Options::default());
    session.open_stream(1, &remote(), NOW).unwrap();
    wanted(&mut session);
    session.receive(&gone(None, "other"), NOW).unwrap();
    let told = events(&mut session);
    assert!(matches!(&told[0], Event::Items { stream: 1, end: Some(Err(_)), .. }), "{told:?}");
    assert!(session.poll_send().is_none());
    session.open_stream(2, &remote(), NOW).unwrap();
    wanted(&mut session);
    session.disconnected("cut");
    let told = events(&mut session);
    let ends = |event: &Event| matches!(event, Event::Items { stream: 2, end: Some(Err(error)), .. } if error.kind() == ErrorKind::PeerGone);
    assert!(told.iter().any(ends), "{told:?}");
    session.open_stream(3, &remote(), NOW).unwrap();
    assert!(session.poll_send().is_none(), "what is wanted now is said after the reconnect");
    session.connected(info(ME), NOW);
}

#[test]
fn a_server_that_cannot_pass_on_what_is_wanted_ends_the_stream() {
    let mut session = session(Options::default());
    session.open_stream(1, &remote(), NOW).unwrap();
    let (name, _) = wanted(&mut session);
    let method = format!("{name}.reject");
    let route = Route { from: OTHER, to: ME, method: &method, ..Route::default() };
    let error = crate::joining::error("Target peer lab/other is not connected");
    let args = Value::Map(Map::from_iter([("args", Value::List(vec![error]))]));
    session.receive(&crate::manager::delivered(&route, &args), NOW).unwrap();
    let told = items(&mut session);
    assert!(
        matches!(&told[..], [(1, _, Some(Err(error)))] if error.message().contains("not connected")),
        "{told:?}"
    );
    assert_eq!(session.statistics(), Statistics::default());
}

#[test]
fn an_old_owner_is_called_although_we_know_better() {
    let mut session = session(Options::default());
    session.open_stream(1, &StreamStub { pushes: false, ..remote() }, NOW).unwrap();
    assert_eq!(header(&session.poll_send().unwrap().frame).text("type"), Some("method"));
    let mut old = negotiated(Options::default(), Extensions::CANCEL | Extensions::TRACE);
    old.open_stream(1, &remote(), NOW).unwrap();
    assert_eq!(
        header(&old.poll_send().unwrap().frame).text("type"),
        Some("method"),
        "this server does not pass it on"
    );
}

#[test]
fn an_owner_that_is_silent_is_asked_and_then_given_up() {
    let timeout = Duration::from_secs(10);
    let mut session = session(Options { method_timeout: timeout, ..Options::default() });
    session.open_stream(1, &remote(), NOW).unwrap();
    let (name, _) = wanted(&mut session);
    assert_eq!(session.next_tick(), Some(NOW + timeout / 2));
    session.tick(NOW + timeout / 2);
    assert_eq!(wanted(&mut session), (name.clone(), Some((0, 0))), "is it there?");
    session.receive(&push(&name, 0, &[], &[]), NOW + timeout / 2).unwrap();
    assert_eq!(items(&mut session), [] as [Told; 0], "it is");
    session.tick(NOW + timeout);
    assert_eq!(wanted(&mut session).1, Some((0, 0)));
    session.tick(NOW + timeout);
    assert!(session.poll_send().is_none(), "once is enough");
    session.tick(NOW + timeout + timeout / 2);
    let told = items(&mut session);
    assert!(
        matches!(&told[..], [(1, _, Some(Err(error)))] if error.kind() == ErrorKind::Timeout),
        "{told:?}"
    );
    assert_eq!(wanted(&mut session), (name, None));
    assert_eq!(session.statistics(), Statistics::default());
}

#[test]
fn a_sign_of_life_shows_what_was_lost() {
    let error = broken(Options::default(), |name| vec![push(name, 0, &[0], &[]), push(name, 2, &[], &[])]);
    assert!(error.message().contains("missing"), "{error}");
}

#[test]
fn who_asks_is_answered_with_the_number_of_the_next_item() {
    let mut session = session(Options { chunk_size: 1000, ..Options::default() });
    let (_, stub) = given(&mut session);
    session.receive(&pull(OTHER, &stub, "Q", 3, 100_000), NOW).unwrap();
    produce(&mut session, &mut 0);
    assert_eq!(pushed(&mut session).1, 0);
    let question = pull(OTHER, &stub, "Q", 0, 0);
    session.receive(&question, NOW).unwrap();
    assert_eq!(pushed(&mut session), ("Q".to_owned(), 3, list(&[]), Map::new()));
    session.receive(&pull(OTHER, &stub, "Q", 3, 0), NOW).unwrap();
    let mut draft = session.begin_items(9).unwrap();
    draft.item(|out| out.bytes(&[7; 5000])).unwrap();
    session.finish_items(draft, StreamEnd::More, NOW);
    while session.poll_send().is_some() {}
    session.receive(&question, NOW).unwrap();
    assert_eq!(pushed(&mut session).1, 3, "what is on its way in parts has not come");
}

#[test]
fn who_asks_before_anything_was_granted_learns_that_the_grant_was_lost() {
    let mut session = session(Options::default());
    let (_, stub) = given(&mut session);
    session.receive(&pull(OTHER, &stub, "Q", 0, 0), NOW).unwrap();
    let Some(Value::Tagged(error)) = pushed(&mut session).3.remove("error") else {
        panic!("the end is sent")
    };
    let Tagged::Error(error) = *error else { panic!("an error is sent: {error:?}") };
    assert_eq!(error.kind(), ErrorKind::PeerGone);
    assert_eq!(events(&mut session), [Event::Released(9)]);
    assert_eq!(session.statistics().sources, 0);
}

#[test]
fn a_reader_that_says_nothing_any_longer_is_forgotten() {
    let mut session = session(Options::default());
    session.receive(&asked(OTHER, "services.svc.count", "C"), NOW).unwrap();
    let Some(Event::Invoke(invocation)) = session.poll_event() else { panic!("the function is called") };
    let mut draft = session.begin_reply(invocation.run.unwrap()).unwrap();
    draft.writer.generator(9).unwrap();
    session.finish_reply(draft, NOW);
    let Value::Stream(stub) = ended(&mut session).1 else { panic!("a generator is given") };
    session.receive(&pull(OTHER, &stub, "Q", 1, 1), NOW).unwrap();
    for minutes in [0, 9, 18] {
        let at = NOW + Duration::from_secs(60 * minutes);
        session.tick(at);
        session.receive(&pull(OTHER, &stub, "Q", 0, 0), at).unwrap();
    }
    assert!(!events(&mut session).contains(&Event::Released(9)));
    session.tick(NOW + Duration::from_secs(60 * 29));
    assert_eq!(events(&mut session), [Event::Released(9)]);
    while session.poll_send().is_some() {}
    assert_eq!(session.statistics(), Statistics::default());
}
