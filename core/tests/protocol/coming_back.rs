//! Streams whose items are sent ahead, when the connection of one end breaks and its client comes back.

use std::time::Duration;

use polyfn_core::codec::Tagged;
use polyfn_core::session::{ConnectionInfo, Event, Extensions, Options, Outgoing, Session, Statistics};
use polyfn_core::{Error, ErrorKind, Map, Value};

use crate::generators::{items, list};
use crate::joining::events;
use crate::manager::{self, body, header};
use crate::pushing::{ME, NOW, OTHER, frame, given, produce, pull, push, remote, session, wanted};

const SECOND: Duration = Duration::from_secs(1);

/// The client comes back under its name; what it says then to others than the manager, beside that it is back.
fn come_back(session: &mut Session) -> Vec<Outgoing> {
    let mut others = Vec::new();
    session.connected(ConnectionInfo { extensions: Extensions::ALL, ..manager::info(ME) }, NOW + SECOND);
    manager::answer(session, &mut others, NOW + SECOND);
    others.retain(|said| header(&said.frame).text("method") != Some("services.built-in.ping"));
    others
}

/// The next thing said to the other end, in the frame of this type.
fn said(others: &[Outgoing], kind: &str) -> Map {
    let [frame] = others else { panic!("one thing is said, but {}", others.len()) };
    assert_eq!(frame.to, OTHER);
    assert_eq!(header(&frame.frame).text("type"), Some(kind));
    body(&frame.frame)
}

fn is_peer_gone(error: &Value) -> bool {
    let Value::Tagged(tagged) = error else { return false };
    matches!(&**tagged, Tagged::Error(error) if error.kind() == ErrorKind::PeerGone)
}

#[test]
fn an_owner_that_comes_back_tells_its_reader_that_the_stream_is_over() {
    let mut session = session(Options::default());
    let (_, stub) = given(&mut session);
    session.receive(&pull(OTHER, &stub, "Q", 100, 1000), NOW).unwrap();
    produce(&mut session, &mut 0);
    // These items may have left, or not.
    session.poll_send();
    session.disconnected("cut");
    assert!(events(&mut session).contains(&Event::Released(9)), "the generator is closed at once");
    let others = come_back(&mut session);
    let told = said(&others, "x-push");
    assert!(told.get("error").is_some_and(is_peer_gone), "{told:?}");
    assert_eq!(header(&others[0].frame).text("session"), Some("Q"));
    // Who still wants more hears that there is nothing: the name of the generator means nothing any longer.
    events(&mut session);
    session.receive(&pull(OTHER, &stub, "Q", 8, 0), NOW).unwrap();
    assert!(said(&[session.poll_send().unwrap()], "x-push").contains("error"));
    assert!(session.begin_items(9).is_none());
    assert_eq!(session.statistics().sources, 0);
}

#[test]
fn a_reader_that_comes_back_tells_the_owner_that_nothing_more_is_wanted() {
    let mut session = session(Options::default());
    session.open_stream(1, &remote(), NOW).unwrap();
    let (name, _) = wanted(&mut session);
    session.receive(&push(&name, 0, &[1, 2], &[]), NOW).unwrap();
    assert_eq!(items(&mut session), [(1, list(&[1, 2]), None)]);
    session.disconnected("cut");
    let told = events(&mut session);
    let is_end = |event: &Event| {
        matches!(event, Event::Items { stream: 1, count: 0, end: Some(Err(error)), .. }
            if error.kind() == ErrorKind::PeerGone)
    };
    assert!(told.iter().any(is_end), "it ends at once: {told:?}");
    let others = come_back(&mut session);
    assert_eq!(said(&others, "x-pull").get("close"), Some(&Value::Bool(true)));
    assert_eq!(header(&others[0].frame).text("session"), Some(&*name));
    // Items that were under way belong to nobody.
    events(&mut session);
    session.receive(&push(&name, 2, &[3], &[]), NOW).unwrap();
    assert!(events(&mut session).is_empty() && !session.has_frames());
    assert_eq!(session.statistics(), Statistics::default());
}

#[test]
fn who_hears_that_the_other_came_back_ends_its_part() {
    // The reader: the owner's last word ends the stream with what it says.
    let mut reader = session(Options::default());
    reader.open_stream(1, &remote(), NOW).unwrap();
    let (name, _) = wanted(&mut reader);
    let error = Error::new(ErrorKind::PeerGone, "the connection broke: cut");
    let gone = Value::Tagged(Box::new(Tagged::Error(error)));
    reader.receive(&push(&name, 0, &[], &[("error", gone)]), NOW).unwrap();
    let told = items(&mut reader);
    assert!(
        matches!(&told[..], [(1, _, Some(Err(error)))] if error.kind() == ErrorKind::PeerGone),
        "{told:?}"
    );
    // The owner: its generator is closed.
    let mut owner = session(Options::default());
    let (_, stub) = given(&mut owner);
    owner.receive(&pull(OTHER, &stub, "Q", 100, 1000), NOW).unwrap();
    events(&mut owner);
    let close = [("close", Value::Bool(true))];
    owner.receive(&frame("x-pull", OTHER, Some(&stub.method), "Q", &close), NOW).unwrap();
    assert!(events(&mut owner).contains(&Event::Released(9)));
}
