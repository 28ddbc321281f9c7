//! Clients: list, ping.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use polyfn_core::session::Payload;
use polyfn_core::wire::ServiceUri;
use polyfn_core::{Map, Result, Value};

use crate::auth::Permission;
use crate::hub::{CallRequest, Hub};
use crate::workspace::arguments::invalid;
use crate::workspace::manager::Call;

/// Seconds to wait for a client.
pub(super) const PING_SECONDS: f64 = 5.0;
const PING_SECONDS_MAX: f64 = 60.0;

/// `list_clients`: those that registered their `built-in` service.
pub(super) fn list(call: &mut Call) -> Result<Value> {
    let asked = call.arguments.optional_text(0, "workspace")?;
    let name = asked.as_deref().unwrap_or(&call.caller.workspace);
    call.need(Permission::Read, name)?;
    let Some(workspace) = call.hub.registry.workspace(name) else { return Ok(Value::List(Vec::new())) };
    let [client, app] = ["*", "*"].map(str::to_owned);
    let uri = ServiceUri { workspace: name.to_owned(), client, service: "built-in".to_owned(), app };
    let clients = workspace.find(&uri).into_iter().filter_map(|service| workspace.client(&service.client));
    let infos = clients.map(|peer| {
        let user = Value::from(serde_json::to_value(&*peer.user).unwrap_or_default());
        Value::Map(Map::from_iter([("id", Value::from(peer.address())), ("user", user)]))
    });
    Ok(Value::List(infos.collect()))
}

/// `ping_client`: a client that does not answer is no error, its text says why.
pub(super) fn ping(mut call: Call) -> BoxFuture<'static, Result<Value>> {
    Box::pin(async move {
        let client = call.arguments.text(0, "client_id")?;
        let patience = seconds(call.arguments.take(1), PING_SECONDS)?;
        let address =
            if client.contains('/') { client } else { format!("{}/{client}", call.caller.workspace) };
        let workspace = address.split('/').next().unwrap_or_default();
        call.need(Permission::Read, workspace)?;
        match ask(&call.hub, &address, patience).await {
            Ok(answer) => answer.value(),
            Err(error) => Ok(Value::from(format!("Failed to ping client {address}: {error}"))),
        }
    })
}

/// A span of time that a caller gives, `default` seconds when it does not.
pub(super) fn seconds(value: Value, default: f64) -> Result<Duration> {
    let seconds = match value {
        Value::Nil => default,
        value => value
            .as_float()
            .filter(|seconds| seconds.is_finite() && *seconds > 0.0)
            .ok_or_else(|| invalid("TypeError: argument 'timeout' must be a positive number"))?,
    };
    Ok(Duration::from_secs_f64(seconds.min(PING_SECONDS_MAX)))
}

/// Whether the client at `address` gives a sign of life in time.
pub(super) async fn answers(hub: &Arc<Hub>, address: &str, patience: Duration) -> bool {
    ask(hub, address, patience).await.is_ok()
}

async fn ask(hub: &Arc<Hub>, address: &str, timeout: Duration) -> Result<Payload> {
    let user = hub.root_user();
    let request = CallRequest {
        user: &user,
        workspace: address.split('/').next().unwrap_or_default(),
        target: address,
        method: "services.built-in.ping",
        args: 1,
        with_kwargs: false,
        write: |out: &mut polyfn_core::codec::Writer| out.text("ping"),
        timeout,
        trace: None,
    };
    hub.gateway.call(hub, request).await
}
