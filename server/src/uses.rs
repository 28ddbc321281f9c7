//! Writes down how often tokens were used, a moment after they were: calls do not wait for it.

use std::sync::{Arc, Weak};
use std::time::Duration;

use crate::clock;
use crate::shutdown::Signal;
use crate::state::State;

/// What may be forgotten when the process is killed.
const BEHIND: Duration = Duration::from_millis(250);

/// Keeps writing until `signal` says that the server stops, and once more then.
pub(crate) fn keep(state: &Arc<State>, mut signal: Signal) {
    let state: Weak<State> = Arc::downgrade(state);
    tokio::spawn(async move {
        let mut ends = false;
        while !ends {
            ends = tokio::time::timeout(BEHIND, signal.finish()).await.is_ok();
            let Some(state) = state.upgrade() else { return };
            write(&state).await;
        }
    });
}

async fn write(state: &State) {
    for used in state.tokens.uses().changed() {
        if let Err(error) = state.store.keep_use(used).await {
            tracing::error!(%error, "how often a token was used is not written down");
        }
    }
    state.tokens.uses().forget_expired(clock::now());
}
