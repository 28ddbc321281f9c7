//! Workspaces come and go: what is told of it, and to whom.
//!
//! | change | events, each once |
//! | --- | --- |
//! | somebody joins a workspace that was not there, or makes one | `workspace_loaded`, `workspace_ready`, `workspace_status_changed` (`ready`) |
//! | the last client has left, or it was deleted | `workspace_unloaded`, `workspace_status_changed` (`not_found`) |
//!
//! They are told where whoever made it is, and in the workspace of the root user: in the workspace itself there is nobody
//! yet, or nobody any longer.

use std::sync::Arc;

use polyfn_core::{Map, Value};

use crate::admin;
use crate::hub::{Registry, WorkspaceInfo, tell_subscribers};
use crate::workspace::workspaces::described;

/// A workspace is there; `by` is the workspace of whoever made it.
pub(super) fn loaded(registry: &Arc<Registry>, info: &WorkspaceInfo, by: Option<&str>) {
    let told: [(&str, &dyn Fn() -> Value); 3] = [
        ("workspace_loaded", &|| described(info)),
        ("workspace_ready", &|| described(info)),
        ("workspace_status_changed", &|| status(info, "ready")),
    ];
    tell(registry, &info.id, by, &told);
}

/// It is not there any longer.
pub(super) fn unloaded(registry: &Arc<Registry>, info: &WorkspaceInfo) {
    let told: [(&str, &dyn Fn() -> Value); 2] = [
        ("workspace_unloaded", &|| described(info)),
        ("workspace_status_changed", &|| status(info, "not_found")),
    ];
    tell(registry, &info.id, None, &told);
}

fn status(info: &WorkspaceInfo, status: &str) -> Value {
    Value::Map(Map::from_iter([("workspace", info.id.as_str()), ("status", status)]))
}

fn tell(registry: &Registry, name: &str, by: Option<&str>, told: &[(&str, &dyn Fn() -> Value)]) {
    let mut places = vec![name, admin::WORKSPACE];
    places.extend(by);
    places.sort_unstable();
    places.dedup();
    for (kind, data) in told {
        tell_subscribers(registry, &places, kind, data);
    }
}
