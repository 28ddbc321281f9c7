//! Which methods of the manager a narrowed token is good for.

use polyfn_core::Result;

use crate::hub::Caller;
use crate::workspace::arguments::denied;

/// Those about services, which look at the patterns of the token, and those that tell nothing. All others are refused,
/// new ones until somebody has thought about them.
pub(super) const METHODS: [&str; 12] = [
    "echo",
    "log",
    "register_service",
    "unregister_service",
    "list_services",
    "get_service_info",
    "get_service",
    "check_status",
    "ping",
    "ping_client",
    "subscribe",
    "unsubscribe",
];

/// # Errors
/// `permission_denied` when the caller's token is narrowed and not good for the method.
pub(super) fn check(caller: &Caller, method: &str) -> Result<()> {
    if caller.user.scope.narrow.is_none() || METHODS.contains(&method) {
        return Ok(());
    }
    Err(denied(format!("PermissionError: this token is narrowed: it is not good for calling `{method}`")))
}

/// Names of services and clients travel with events, so only the one that tells of clients that are gone is for
/// narrowed tokens.
///
/// # Errors
/// `permission_denied` for any other.
pub(super) fn check_events(caller: &Caller, kinds: &[String]) -> Result<()> {
    let other = kinds.iter().find(|kind| *kind != "client_disconnected");
    match other.filter(|_| caller.user.scope.narrow.is_some()) {
        Some(_) => Err(denied(
            "PermissionError: this token is narrowed: it is good for the event `client_disconnected` only",
        )),
        None => Ok(()),
    }
}

/// # Errors
/// `permission_denied` when the caller's token is narrowed and does not name the service `name` of `client`.
pub(super) fn check_registration(caller: &Caller, client: &str, name: &str) -> Result<()> {
    let narrow = caller.user.scope.narrow.as_deref();
    let within = |narrow: &crate::auth::Narrow| narrow.admits_service(&caller.workspace, client, name);
    if name == "built-in" || narrow.is_none_or(within) {
        return Ok(());
    }
    let shown: String = name.chars().take(64).collect();
    Err(denied(format!("PermissionError: this token is narrowed: it is not good for the service `{shown}`")))
}
