//! The clock of all connections of this process, so that what one says of time holds for the others.

use std::sync::LazyLock;
use std::time::{Instant, SystemTime};

use crate::session::Time;

static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// The time on the clock of all connections.
///
/// ```
/// let deadline = polyfn_core::net::now() + std::time::Duration::from_secs(5);
/// assert!(deadline.saturating_sub(polyfn_core::net::now()).as_secs() <= 5);
/// ```
pub fn now() -> Time {
    START.elapsed()
}

/// What the clock of the world said, since 1970, when this one was at zero.
pub(super) fn began() -> Time {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().saturating_sub(now())
}

/// The same moment for those who sleep until it.
pub(super) fn instant(time: Time) -> Instant {
    *START + time
}
