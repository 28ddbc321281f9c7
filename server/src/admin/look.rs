//! Looking at the server.

use polyfn_core::{Error, ErrorKind, Result, Value};
use serde_json::json;

use super::Asked;
use crate::state::VERSION;

/// Entries of the audit log, unless it is said how many.
const ENTRIES: u64 = 100;

/// `list_servers`: this one.
pub(super) fn servers(asked: &Asked) -> Value {
    let state = &asked.state;
    Value::from(json!([{
        "id": state.server_id,
        "version": VERSION,
        "url": state.public_base_url,
        "uptime_seconds": state.uptime_seconds(),
    }]))
}

/// `list_workspaces`.
pub(super) fn workspaces(asked: &Asked) -> Value {
    let mut told: Vec<_> = asked
        .state
        .hub
        .registry
        .workspaces()
        .iter()
        .map(|workspace| {
            let (info, (clients, services)) = (workspace.info(), workspace.counts());
            json!({
                "id": info.id,
                "name": info.name,
                "persistent": info.persistent,
                "owners": info.owners,
                "clients": clients,
                "services": services,
            })
        })
        .collect();
    told.sort_by_key(|workspace| workspace["id"].as_str().map(str::to_owned));
    Value::from(json!(told))
}

/// `list_clients(workspace)`: of all workspaces when none is named.
pub(super) fn clients(asked: &Asked) -> Result<Value> {
    let (hub, wanted) = (&asked.state.hub, asked.optional_text(0, "workspace")?);
    let now = hub.elapsed();
    let workspaces = match &wanted {
        Some(name) => hub.registry.workspace(name).into_iter().collect(),
        None => hub.registry.workspaces(),
    };
    let mut told: Vec<_> = workspaces
        .iter()
        .flat_map(|workspace| workspace.clients())
        .map(|peer| {
            let load = peer.load(now);
            json!({
                "id": peer.address(),
                "user": {"id": peer.user.id, "email": peer.user.email},
                "address": peer.from().map(|address| address.to_string()),
                "messages_per_minute": load.messages_per_minute,
                "calls": load.calls,
                "idle_seconds": now.saturating_sub(peer.last_active()).as_secs(),
            })
        })
        .collect();
    told.sort_by_key(|client| client["id"].as_str().map(str::to_owned));
    Ok(Value::from(json!(told)))
}

/// `get_metrics`: what `/metrics` says, by name.
pub(super) fn metrics(asked: &Asked) -> Value {
    let state = &asked.state;
    state.note_gauges();
    let text = state.metrics.text(state.uptime_seconds());
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let numbers = lines.filter_map(|line| {
        let (name, number) = line.rsplit_once(' ')?;
        Some((name.to_owned(), json!(number.parse::<f64>().ok()?)))
    });
    Value::from(serde_json::Value::Object(numbers.collect()))
}

/// `list_blocked`.
pub(super) fn blocked(asked: &Asked) -> Value {
    let told = asked.state.blocks.all().into_iter().map(|block| {
        json!({
            "kind": block.subject.word(),
            "name": block.name,
            "reason": block.reason,
            "by": block.by,
            "at": block.at,
            "until": block.until,
        })
    });
    Value::from(serde_json::Value::Array(told.collect()))
}

/// `audit_log(limit, before)`: the newest first; `before` is the id of an entry.
pub(super) async fn audit(asked: Asked) -> Result<Value> {
    let limit = asked.number(0, "limit")?.unwrap_or(ENTRIES);
    let before = asked.optional_text(1, "before")?;
    asked.state.hub.audit().flush().await;
    let entries = asked.state.store.noted(usize::try_from(limit).unwrap_or(usize::MAX), before.as_deref());
    let entries = entries.await.map_err(|error| Error::new(ErrorKind::Internal, error.to_string()))?;
    let told = entries.into_iter().map(|entry| {
        json!({
            "id": entry.id,
            "at": entry.at,
            "by": entry.by,
            "what": entry.what,
            "target": entry.target,
            "details": entry.details,
        })
    });
    Ok(Value::from(serde_json::Value::Array(told.collect())))
}
