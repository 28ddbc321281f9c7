//! What a connection keeps of large memory. The whole process has it in common, so these tests have one of their own.

use std::time::Duration;

use polyfn_core::memory::{LARGE, advise_with, recycle};
use polyfn_core::session::{Options, Session};
use polyfn_core::{Error, ErrorKind};

const SECOND: Duration = Duration::from_secs(1);

fn session(memory_kept: usize) -> Session {
    Session::new(Options { memory_kept, ..Options::default() })
}

fn used() {
    recycle(vec![0; LARGE].into());
}

// One test, for the same reason.
#[test]
fn memory_is_kept_for_a_while_by_who_is_connected() {
    let mut first = session(4 * LARGE);
    used();
    assert_eq!(first.next_tick(), None, "nobody has asked for large pages");
    advise_with(|_, _| ());

    used();
    assert!(first.next_tick().is_some());
    first.tick(5 * SECOND);
    assert_eq!(first.next_tick(), Some(15 * SECOND));
    first.tick(15 * SECOND);
    assert_eq!(first.next_tick(), None, "nobody has used it for ten seconds");

    let mut second = session(LARGE / 2);
    let gone = Error::new(ErrorKind::PeerGone, "over");
    used();
    second.close(&gone, 16 * SECOND);
    assert!(first.next_tick().is_some(), "another connection keeps it");
    first.close(&gone, 16 * SECOND);
    assert_eq!(first.next_tick(), None, "it is given back with the last of them");
    used();
    assert_eq!(first.next_tick(), None);

    let thrifty = session(LARGE / 2);
    used();
    assert_eq!(thrifty.next_tick(), None, "more than it may be");
}
