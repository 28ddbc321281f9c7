//! Letting a client in, whatever it came by.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value as Json, json};
use tokio::time::timeout;

use crate::auth::{AuthMessage, HandshakeError, Identity, TokenError, UserInfo};
use crate::clock;
use crate::hub::{Ending, Peer};
use crate::state::{State, VERSION};
use crate::transport::origins::Origin;

/// A client that was let in; it leaves when this is dropped.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) peer: Arc<Peer>,
    state: Arc<State>,
    /// The server's own client is none that is counted.
    is_counted: bool,
    _origin: Option<Origin>,
}

impl Drop for Member {
    fn drop(&mut self) {
        self.state.hub.leave(&self.peer);
        if self.is_counted {
            self.state.metrics.clients.decrement();
        }
        tracing::debug!(client = self.peer.address(), "disconnected");
    }
}

/// Lets in who says `hello`; what `welcome` makes of the connection's info is the first thing that the client is told.
///
/// # Errors
/// Says how the client is to be refused.
pub(super) async fn admit<W>(
    state: &Arc<State>,
    hello: &AuthMessage,
    from: Option<IpAddr>,
    welcome: W,
) -> Result<Member, HandshakeError>
where
    W: FnOnce(Map<String, Json>) -> Json,
{
    let limits = &state.config.limits;
    let places = Arc::clone(&state.hub.handshakes);
    let place = timeout(limits.handshake_wait_timeout.duration(), places.acquire_owned());
    let Ok(Ok(place)) = place.await else {
        state.metrics.limited.note("max_concurrent_connections");
        return Err(HandshakeError::busy());
    };
    for token in [&hello.reconnection_token, &hello.token].into_iter().flatten() {
        state.tokens.prepare(token).await;
    }
    let settle = |user: &mut UserInfo| state.hub.registry.settle(user);
    let identity = hello.authenticate_known(&state.tokens, limits, clock::now(), settle)?;
    if let Some(why) = state.blocks.find(&identity.user, &identity.workspace, from) {
        return Err(HandshakeError::blocked(why));
    }
    let origin = Origin::take(state, from)?;
    let welcome = welcome(state.connection_info(&identity)?).to_string();
    // what follows may wait for a sign of life of another client, and must not keep strangers to it waiting
    drop(place);
    let peer = state.hub.join(identity, from, welcome).await?;
    let is_counted = !state.is_own(&peer);
    if is_counted {
        state.metrics.clients.increment();
        state.metrics.clients_total.increment();
    }
    let member = Member { peer, state: Arc::clone(state), is_counted, _origin: origin };
    // who was blocked in between is not closed by anybody else
    if let Some(why) = state.blocks.find(&member.peer.user, member.peer.workspace(), from) {
        return Err(HandshakeError::blocked(why));
    }
    // what was revoked before the client could be found is not closed by anybody else
    if state.tokens.revoked().any(&member.peer.user.credential.lineage) {
        return Err(TokenError::Revoked.into());
    }
    end_in_time(&member.peer);
    if state.shutdown.begun() { Err(HandshakeError::stopping()) } else { Ok(member) }
}

/// A narrowed token is good for so long, however long its connection would last.
fn end_in_time(peer: &Arc<Peer>) {
    let end = peer.user.expires_at.filter(|_| peer.user.scope.narrow.is_some());
    let Some(end) = end else { return };
    let left = Duration::from_secs_f64((end - clock::now() as f64).clamp(0.0, 1e9));
    let peer = Arc::clone(peer);
    tokio::spawn(async move {
        tokio::select! {
            _ = peer.queue.end() => {}
            () = tokio::time::sleep(left) => {
                let reason = format!("Authentication error: {}", TokenError::Expired);
                peer.queue.close(Ending::told(1008, reason));
            }
        }
    });
}

impl State {
    /// Whether this is the client by which the server offers its own services.
    pub(crate) fn is_own(&self, peer: &Peer) -> bool {
        peer.client_id == self.server_id
            && [crate::login::WORKSPACE, crate::admin::WORKSPACE].contains(&peer.workspace())
    }

    /// Notes that a client was refused.
    pub(super) fn refused(&self, error: &HandshakeError) {
        self.metrics.handshakes_refused_total.increment();
        tracing::debug!(code = error.code, message = error.message, "refused a client");
    }

    /// What a client is told when it was let in, in the order of the protocol.
    pub(super) fn connection_info(&self, identity: &Identity) -> Result<Map<String, Json>, HandshakeError> {
        let token = self.reconnection_token(&identity.user, &identity.workspace, &identity.client_id)?;
        let mut info = json!({
            "type": "connection_info",
            "hypha_version": VERSION,
            "public_base_url": self.public_base_url,
            "local_base_url": self.local_base_url,
            "manager_id": self.manager_id,
            "workspace": identity.workspace,
            "client_id": identity.client_id,
            "user": identity.user,
            "reconnection_token": token,
            "reconnection_token_life_time": self.tokens.reconnection_life_time() as f64,
        });
        // clients that name none are not told of any
        if !identity.extensions.is_empty() {
            info["extensions"] = identity.extensions.names().collect();
        }
        Ok(info.as_object().cloned().unwrap_or_default())
    }

    /// The token with which a client comes back.
    pub(super) fn reconnection_token(
        &self,
        user: &UserInfo,
        workspace: &str,
        client: &str,
    ) -> Result<String, HandshakeError> {
        let token = self.tokens.reconnection(user, workspace, client, clock::now());
        token.map_err(HandshakeError::establish)
    }
}
