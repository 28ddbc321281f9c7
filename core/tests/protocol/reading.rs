//! Recorded generators read again, step by step, with a [`Session`] in the place of the client that reads.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use polyfn_core::Value;
use polyfn_core::codec::{Reader, StreamStub};
use polyfn_core::session::{ConnectionInfo, Event, Options, Session};

use crate::manager;
use crate::recording::{self, Frame, Recording};
use crate::replay::{as_reply_to, assert_same_call, first_argument};

const NOW: Duration = Duration::from_secs(1);
const STREAM: u64 = 5;

/// A generator that a client was given.
struct Given<'a> {
    recording: &'a Recording,
    /// The client that reads it.
    reader: &'a str,
    address: String,
    stub: Arc<StreamStub>,
}

/// All generators that were given in the clear.
fn given(recording: &Recording) -> Vec<Given<'_>> {
    let received = recording.frames.iter().filter(|frame| !frame.is_sent && !frame.is_elided);
    let stubs = received.filter_map(|frame| match first_argument(recording, frame)? {
        Value::Stream(stub) => {
            let stub = Arc::new(absolute(&stub, &frame.text("from")));
            Some(Given { recording, reader: &frame.client, address: frame.text("to"), stub })
        }
        _ => None,
    });
    stubs.filter(|given| given.address.contains('/')).collect()
}

/// JavaScript names the owner without its workspace (protocol section 10.4).
fn absolute(stub: &StreamStub, from: &str) -> StreamStub {
    let mut stub = stub.clone();
    if !stub.target.contains('/') {
        from.clone_into(&mut stub.target);
    }
    stub
}

impl Given<'_> {
    /// What the recorded reader asked for, in order.
    fn asked(&self) -> impl Iterator<Item = &Frame> {
        let of_this = |frame: &&Frame| {
            let method = frame.text("method");
            method == self.stub.method || method == self.stub.close_method
        };
        let sent = self.recording.frames.iter().filter(|frame| frame.is_sent && frame.client == self.reader);
        sent.filter(of_this)
    }

    fn reply_to(&self, asked: &Frame) -> Option<&Frame> {
        let call = asked.text("session");
        let ends = |frame: &&Frame| {
            let method = frame.text("method");
            method.strip_prefix(&*call).is_some_and(|end| end == ".resolve" || end == ".reject")
        };
        self.recording.frames.iter().filter(|frame| !frame.is_sent && !frame.is_elided).find(ends)
    }

    /// Reads to the recorded end; gives how many items came.
    fn read_again(&self) -> usize {
        let info = ConnectionInfo { manager_id: "manager-0".to_owned(), ..manager::info(&self.address) };
        let waits = self.asked().next().and_then(|asked| manager::body(&asked.bytes).remove("t")?.as_float());
        let method_timeout = Duration::from_secs_f64(2.0 * waits.unwrap_or(15.0));
        let mut session = Session::local(Options { method_timeout, ..Options::default() }, info);
        session.open_stream(STREAM, &self.stub, NOW).unwrap();
        let mut items = 0;
        for asked in self.asked() {
            let place = format!("{} frame {}", self.recording.name, asked.seq);
            let is_close = asked.text("method") == self.stub.close_method;
            if is_close {
                session.close_stream(STREAM, NOW);
            } else if items > 0 {
                session.grant(STREAM, 1, NOW);
            }
            let sent = session.poll_send().unwrap_or_else(|| panic!("{place}: nothing is asked for"));
            // a generator in an argument belongs to a call; which one is not in the generator
            let parent = manager::header(&asked.bytes).text("parent").map(str::to_owned);
            if parent.is_none() && !is_close {
                assert_same_call(&sent.frame, asked, &place);
            }
            assert_eq!(manager::header(&sent.frame).text("method"), Some(&*asked.text("method")), "{place}");
            let Some(reply) = self.reply_to(asked).filter(|_| !is_close) else { continue };
            session.receive(&as_reply_to(&sent.frame, reply, &asked.text("session")), NOW).unwrap();
            items += self.check_item(&mut session, reply, &place);
        }
        assert_eq!(session.statistics().streams, 0, "{}", self.recording.name);
        items
    }

    /// The item of a reply is told as it was sent, and the end as an end.
    fn check_item(&self, session: &mut Session, reply: &Frame, place: &str) -> usize {
        let expected = first_argument(self.recording, reply).unwrap();
        let is_end = matches!(&expected, Value::Map(map) if map.text("_rtype") == Some("stop_iteration"));
        match session.poll_event() {
            Some(Event::Items { stream: STREAM, count: 0, end: Some(Ok(())), .. }) if is_end => 0,
            Some(Event::Items { stream: STREAM, count: 0, end: Some(Err(error)), .. }) => {
                assert!(reply.text("method").ends_with(".reject"), "{place}: {error}");
                0
            }
            Some(Event::Items { stream: STREAM, items, count: 1, end: None }) => {
                let found = Reader::new(&Bytes::from(items.args.to_vec())).value().unwrap();
                let found = found.as_list().map_or(&found, |list| &list[0]);
                assert_eq!(format!("{found:?}"), format!("{expected:?}"), "{place}");
                1
            }
            other => panic!("{place}: {other:?} is not what was sent"),
        }
    }
}

#[test]
fn generators_are_read_as_the_recorded_client_did() {
    let mut read = Vec::new();
    for recording in recording::all().iter().filter(|recording| recording.keys.is_empty()) {
        for given in given(recording) {
            read.push((recording.name.clone(), given.read_again()));
        }
    }
    println!("{read:?}");
    for name in ["50_", "52_", "53_", "j21_", "j37_"] {
        assert!(
            read.iter().any(|(recording, items)| recording.starts_with(name) && *items > 0),
            "{name}: {read:?}"
        );
    }
}
