//! Any bytes as a frame: relayed by the server, received by a client.

#![no_main]

use std::cell::RefCell;
use std::time::Duration;

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use polyfn_core::codec::{Promise, Walk};
use polyfn_core::session::{CallSpec, ConnectionInfo, Event, Options, Session};
use polyfn_core::wire::{Body, Header, Sender, rewrite};
use polyfn_core::{Function, Map, Value};

const NOW: Duration = Duration::from_secs(1);

thread_local! {
    static SESSION: RefCell<Session> = RefCell::new(session());
}

/// A client with a service and a call under way.
fn session() -> Session {
    let info = ConnectionInfo {
        workspace: "w".to_owned(),
        client_id: "c".to_owned(),
        manager_id: "m".to_owned(),
        ..ConnectionInfo::default()
    };
    let options = Options { max_runs: 4, max_kept: 4, ..Options::default() };
    let mut session = Session::local(options, info);
    let function = |handle| Value::Function(Function { handle, ..Function::default() });
    let config = Map::from_iter([("visibility", Value::from("public")), ("require_context", true.into())]);
    let service = Map::from_iter([("id", "s".into()), ("config", config.into()), ("f", function(1))]);
    let mut draft = session.begin_service();
    Value::Map(service).walk(&mut draft.writer).expect("a service is written");
    session.add_service(draft, false).expect("a service is added");
    let spec = CallSpec {
        target: "d",
        method: "services.s.f",
        promise: Promise::Star,
        args: 1,
        ..CallSpec::default()
    };
    let mut draft = session.begin_call(&spec).expect("a call begins");
    function(2).walk(&mut draft.writer).expect("an argument is written");
    session.finish_call(1, draft, NOW).expect("a call is sent");
    session
}

fuzz_target!(|data: &[u8]| {
    let frame = Bytes::copy_from_slice(data);
    if let Ok(header) = Header::parse(&frame) {
        let _ = Body::parse(&frame, header.end);
    }
    let sender =
        Sender { workspace: "w".to_owned(), address: "w/x".to_owned(), user: Bytes::from_static(&[0x80]) };
    let relayed = rewrite(&frame, &sender, "w");
    SESSION.with_borrow_mut(|session| {
        let _ = session.receive(&frame, NOW);
        if let Ok(relayed) = relayed {
            if let Ok(header) = Header::parse(&relayed) {
                assert_eq!((header.from, header.ws, header.user), ("w/x", "w", Some(&[0x80u8][..])));
            }
            let _ = session.receive(&relayed, NOW);
        }
        session.tick(NOW + Duration::from_secs(3));
        while session.poll_send().is_some() {}
        while let Some(event) = session.poll_event() {
            if let Event::Invoke(invocation) = event {
                let _ = invocation.payload.values();
            }
        }
        assert!(session.statistics().runs <= 4 && session.statistics().chunks <= 256);
    });
});
