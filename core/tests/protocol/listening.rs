//! Time that passes while what comes is not taken.

use std::time::Duration;

use polyfn_core::ErrorKind;
use polyfn_core::codec::Promise;
use polyfn_core::session::{CallSpec, Event, Options, Session};

use crate::joining::events;
use crate::manager::{joined, reply};
use crate::pushing::{self, remote, wanted};

const ME: &str = "lab/me";
const NOW: Duration = Duration::from_secs(100);
const SECOND: Duration = Duration::from_secs(1);

fn options() -> Options {
    Options { method_timeout: 10 * SECOND, ..Options::default() }
}

fn call(session: &mut Session, id: u64, deadline: Option<Duration>) {
    let spec =
        CallSpec { target: "other", method: "f", promise: Promise::Star, deadline, ..CallSpec::default() };
    let draft = session.begin_call(&spec).unwrap();
    session.finish_call(id, draft, NOW).unwrap();
}

/// The call that ended, in time or not.
fn ended(session: &mut Session) -> Option<(u64, ErrorKind)> {
    match &events(session)[..] {
        [] => None,
        [Event::Rejected { call, error }] => Some((*call, error.kind())),
        other => panic!("{other:?}"),
    }
}

#[test]
fn calls_end_by_their_deadlines_alone() {
    let mut session = joined(Session::new(options()), ME, NOW);
    events(&mut session);
    call(&mut session, 1, None);
    let sent = session.poll_send().unwrap();
    call(&mut session, 2, Some(20 * SECOND));
    session.listen(false, NOW + SECOND);
    for second in [10, 19] {
        session.tick(NOW + second * SECOND);
        assert_eq!(ended(&mut session), None);
        assert!(
            session.next_tick() > Some(NOW + second * SECOND),
            "time must not be asked for again at once"
        );
    }
    assert_eq!(session.next_tick(), Some(NOW + 20 * SECOND));
    session.tick(NOW + 20 * SECOND);
    assert_eq!(ended(&mut session), Some((2, ErrorKind::Timeout)));
    session.listen(true, NOW + 60 * SECOND);
    session.tick(NOW + 69 * SECOND);
    assert_eq!(ended(&mut session), None, "it has its whole time again");
    session.receive(&reply(&sent, "heartbeat", polyfn_core::Value::Nil), NOW + 69 * SECOND).unwrap();
    session.tick(NOW + 70 * SECOND);
    assert_eq!(session.next_tick(), Some(NOW + 79 * SECOND));
    session.tick(NOW + 79 * SECOND);
    assert_eq!(ended(&mut session), Some((1, ErrorKind::Timeout)));
    assert_eq!(session.next_tick(), None);
}

#[test]
fn generators_are_not_given_up() {
    let mut session = pushing::session(options());
    session.open_stream(1, &remote(), NOW).unwrap();
    let (name, _) = wanted(&mut session);
    session.listen(false, NOW + SECOND);
    session.tick(NOW + 5 * SECOND);
    assert_eq!(wanted(&mut session), (name, Some((0, 0))), "is it there?");
    session.tick(NOW + 30 * SECOND);
    assert!(session.next_tick() > Some(NOW + 30 * SECOND));
    assert_eq!(events(&mut session), []);
    session.listen(true, NOW + 60 * SECOND);
    session.tick(NOW + 69 * SECOND);
    assert_eq!(events(&mut session), []);
    session.tick(NOW + 70 * SECOND);
    let told = events(&mut session);
    assert!(matches!(&told[..], [Event::Items { stream: 1, end: Some(Err(_)), .. }]), "{told:?}");
}
