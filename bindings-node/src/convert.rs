//! Values between the wire and JavaScript, by way of a tape.
//!
//! Making a JavaScript object through N-API costs a call per property. So values cross in bulk: Rust writes a tape
//! of steps that JavaScript replays (`incoming`, replayed by `js/decode.ts`), and the other way about (`outgoing`,
//! written by `js/encode.ts`). What the bytes on the wire mean is known to core alone; a tape knows only values.

mod incoming;
mod outgoing;
mod shapes;

pub(crate) use incoming::{Extra, Recorder};
pub(crate) use outgoing::Player;
