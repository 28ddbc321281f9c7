//! What is in a workspace, and whether it is well.

use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use polyfn_core::wire::ServiceUri;
use polyfn_core::{Map, Result, Value};

use crate::auth::Permission;
use crate::hub::Ending;
use crate::workspace::clients::{PING_SECONDS, answers, seconds};
use crate::workspace::keeping;
use crate::workspace::manager::Call;

/// Clients asked at the same time.
const ASKED_AT_ONCE: usize = 32;

/// `get_summary`.
pub(super) fn get(call: &mut Call) -> Result<Value> {
    let name = &call.caller.workspace;
    let workspace = keeping::find(&call.hub.registry, name)?;
    let [client, service, app] = ["*", "*", "*"].map(str::to_owned);
    let services = workspace.find(&ServiceUri { workspace: name.clone(), client, service, app });
    let told: Vec<Value> = services
        .iter()
        .filter(|service| !service.is_built_in())
        .map(|service| {
            let kept = ["id", "name", "type", "description", "config"];
            let info = service.described();
            Value::Map(info.into_iter().filter(|(key, _)| kept.contains(&key.as_str())).collect())
        })
        .collect();
    let clients: Vec<Value> = workspace.clients().iter().map(|peer| Value::from(peer.address())).collect();
    let info = workspace.info();
    Ok(Value::Map(Map::from_iter([
        ("name", Value::from(info.name)),
        ("description", info.description.map_or(Value::Nil, Value::from)),
        ("client_count", count(clients.len())),
        ("clients", Value::List(clients)),
        ("service_count", count(told.len())),
        ("services", Value::List(told)),
    ])))
}

fn count(number: usize) -> Value {
    Value::from(i64::try_from(number).unwrap_or(i64::MAX))
}

/// `check_status`.
pub(super) fn check(call: &mut Call) -> Result<Value> {
    let name = &call.caller.workspace;
    let status = if call.hub.registry.workspace(name).is_some() { "ready" } else { "not_found" };
    Ok(Value::Map(Map::from_iter([
        ("status", Value::from(status)),
        ("errors", Value::Nil),
        ("user_permission", Value::from(call.caller.permission(name).letter())),
    ])))
}

/// `cleanup`: asks every client for a sign of life, and lets go those that give none.
pub(super) fn clean(mut call: Call) -> BoxFuture<'static, Result<Value>> {
    Box::pin(async move {
        let asked = call.arguments.optional_text(0, "workspace")?;
        let patience = seconds(call.arguments.take(1), PING_SECONDS)?;
        let name = asked.unwrap_or_else(|| call.caller.workspace.clone());
        call.need(Permission::Admin, &name)?;
        let workspace = keeping::find(&call.hub.registry, &name)?;
        let hub = &call.hub;
        let silent = futures_util::stream::iter(workspace.clients())
            // one that never said what it is cannot answer
            .filter(|peer| std::future::ready(hub.is_announced(peer)))
            .map(|peer| async move { (!answers(hub, &name_of(&peer), patience).await).then_some(peer) })
            .buffer_unordered(ASKED_AT_ONCE)
            .filter_map(std::future::ready);
        let silent: Vec<_> = silent.collect().await;
        for peer in &silent {
            peer.queue.close(Ending::told(1001, "Client gave no sign of life"));
        }
        let mut told = Map::new();
        if !silent.is_empty() {
            let removed = silent.iter().map(|peer| Value::from(peer.client_id.as_str()));
            told.insert("removed_clients", Value::List(removed.collect()));
        }
        Ok(Value::Map(told))
    })
}

fn name_of(peer: &crate::hub::Peer) -> String {
    peer.address().to_owned()
}
