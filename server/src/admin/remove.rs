//! Closing connections.

use std::sync::Arc;

use polyfn_core::{Error, ErrorKind, Result, Value};

use super::Asked;
use crate::hub::{Ending, Peer};
use crate::state::State;

/// Close code, unless it is said which.
const CODE: u64 = 1000;

/// `kickout_client(workspace, client_id, code, reason)`.
pub(super) fn client(asked: &Asked) -> Result<Value> {
    let (workspace, client) = (asked.text(0, "workspace")?, asked.text(1, "client_id")?);
    let code = asked.number(2, "code")?.unwrap_or(CODE);
    let reason = asked.optional_text(3, "reason")?.unwrap_or_else(|| "Admin requested disconnect".to_owned());
    let code = u16::try_from(code).ok().filter(|code| (1000..5000).contains(code));
    let code = code.ok_or_else(|| Error::invalid("ValueError: 'code' must be a close code, 1000 to 4999"))?;
    let Some(peer) = asked.state.hub.registry.client(&workspace, &client) else {
        let text = format!("KeyError: 'Client not found: {workspace}/{client}'");
        return Err(Error::new(ErrorKind::NotFound, text));
    };
    check_own(&asked.state, &peer)?;
    asked.state.hub.audit().note(&asked.by, "kick", peer.address(), &reason);
    peer.queue.close(Ending::told(code, reason));
    Ok(Value::Nil)
}

fn check_own(state: &State, peer: &Arc<Peer>) -> Result<()> {
    if state.is_own(peer) {
        return Err(Error::invalid("ValueError: this client is the server itself"));
    }
    Ok(())
}

/// `unload_workspace(workspace)`: closes all connections of a workspace. Gives how many.
pub(super) fn workspace(asked: &Asked) -> Result<Value> {
    let name = asked.text(0, "workspace")?;
    let Some(workspace) = asked.state.hub.registry.workspace(&name) else {
        return Err(Error::new(ErrorKind::NotFound, format!("KeyError: 'Workspace not found: {name}'")));
    };
    let why = Ending::told(1000, "The workspace is unloaded by an admin");
    let closed = close(&asked.state, &workspace.clients(), &why);
    asked.state.hub.audit().note(&asked.by, "unload", &name, "");
    Ok(Value::from(closed as u64))
}

/// Closes connections, those of the server itself apart.
pub(super) fn close(state: &State, peers: &[Arc<Peer>], why: &Ending) -> usize {
    let others = peers.iter().filter(|peer| !state.is_own(peer));
    others.map(|peer| peer.queue.close(why.clone())).count()
}
