//! JavaScript functions as handlers: what they answered goes back to whoever called them.

use polyfn_core::net::Connection;
use polyfn_core::session::RunId;

use crate::convert::Player;

/// Sends the value on the tape as the answer to a run. `false` when it was not sent, because nobody waits for it
/// any longer or it is too large: JavaScript then lets go of the functions in it.
pub(crate) fn answer<B: AsRef<[u8]>>(connection: &Connection, run: RunId, mut tape: Player<'_, B>) -> bool {
    let Some(mut draft) = connection.begin_reply(run) else { return false };
    match tape.value(&mut draft.writer) {
        Ok(()) => {
            connection.finish_reply(draft);
            true
        }
        Err(error) => {
            draft.abandon();
            connection.reject(run, &error.at("the result"));
            false
        }
    }
}
