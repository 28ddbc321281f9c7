//! The end of connections whose token was taken back.

use std::sync::Arc;
use std::time::Duration;

use crate::auth::{Revoked, TokenError};
use crate::hub::hub::Hub;
use crate::hub::peer::Peer;
use crate::hub::queue::Ending;

/// How long whoever has ended its own connection has to read the answer.
pub(crate) const TO_READ_THE_ANSWER: Duration = Duration::from_millis(200);

impl Hub {
    /// Closes the connections that came by a token in `revoked`, or by one made by it; that of `asking` last.
    pub(crate) fn end_revoked(&self, revoked: &Revoked, asking: Option<&Arc<Peer>>) {
        let clients = self.registry.workspaces().into_iter().flat_map(|workspace| workspace.clients());
        for peer in clients.filter(|peer| revoked.any(&peer.user.credential.lineage)) {
            tracing::info!(client = peer.address(), "closed a connection whose token was revoked");
            match asking {
                Some(asking) if Arc::ptr_eq(asking, &peer) => {
                    tokio::spawn(async move {
                        tokio::time::sleep(TO_READ_THE_ANSWER).await;
                        end(&peer);
                    });
                }
                _ => end(&peer),
            }
        }
    }
}

fn end(peer: &Peer) {
    peer.queue.close(Ending::told(1008, format!("Authentication error: {}", TokenError::Revoked)));
}
