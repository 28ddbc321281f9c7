//! Types of events that no peer may send.

/// Told by the server alone, besides all that begin with `workspace_`.
const OF_SERVER: [&str; 8] = [
    "client_connected",
    "client_disconnected",
    "client_updated",
    "force-exit",
    "peer_not_found",
    "service_added",
    "service_removed",
    "service_updated",
];

/// Told by a client to its own program: a peer that sends one of them lies.
const OF_CLIENT: [&str; 7] = [
    "connected",
    "disconnected",
    "manager_refreshed",
    "reconnected",
    "remote_client_disconnected",
    "services_registered",
    "services_registration_failed",
];

/// Whether events of this type come from the server alone.
///
/// ```
/// use polyfn_core::wire::{is_client_event, is_server_event};
/// assert!(is_server_event("client_disconnected") && is_server_event("workspace_deleted"));
/// assert!(!is_server_event("news") && is_client_event("services_registered"));
/// ```
pub fn is_server_event(kind: &str) -> bool {
    OF_SERVER.contains(&kind) || kind.starts_with("workspace_")
}

/// Whether events of this type are made by each client for itself.
pub fn is_client_event(kind: &str) -> bool {
    OF_CLIENT.contains(&kind)
}
