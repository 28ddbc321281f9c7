//! Events: who wants to hear of what. They never leave their workspace.

use polyfn_core::{Result, Value};

use crate::workspace::arguments::{denied, invalid};
use crate::workspace::manager::Call;
use crate::workspace::narrowed;

/// Bytes of the name of an event.
const NAME_MAX: usize = 255;

/// `subscribe`.
pub(super) fn subscribe(call: &mut Call) -> Result<Value> {
    let kinds = kinds(call.arguments.take(0))?;
    narrowed::check_events(&call.caller, &kinds)?;
    let peer = call.peer()?;
    for kind in &kinds {
        check(kind, peer.workspace())?;
    }
    let max = call.manager.limits.max_subscriptions_per_client;
    if !peer.subscribe(kinds.iter().map(String::as_str), max) {
        let text = format!("ValueError: Too many subscriptions: a client may have {max}");
        return Err(call.limited("max_subscriptions_per_client", text));
    }
    Ok(Value::Bool(true))
}

/// `unsubscribe`.
pub(super) fn unsubscribe(call: &mut Call) -> Result<Value> {
    let peer = call.peer()?;
    for kind in kinds(call.arguments.take(0))? {
        peer.unsubscribe(&kind);
    }
    Ok(Value::Bool(true))
}

fn kinds(given: Value) -> Result<Vec<String>> {
    let wrong = || invalid("TypeError: argument 'event_type' must be a string or a list of strings");
    let items = match given {
        Value::Text(kind) => vec![Value::Text(kind)],
        Value::List(items) => items,
        _ => return Err(wrong()),
    };
    let texts = items.into_iter().map(|item| match item {
        Value::Text(kind) if kind.is_empty() => Err(invalid("ValueError: the type of an event is empty")),
        Value::Text(kind) if kind.len() > NAME_MAX => Err(invalid(format!(
            "ValueError: the type of an event may have {NAME_MAX} bytes, this one has {}",
            kind.len()
        ))),
        Value::Text(kind) => Ok(kind),
        _ => Err(wrong()),
    });
    texts.collect()
}

/// Names that point to another workspace are refused: `other/...`, `ws-other...`, `ws-other:...`.
fn check(kind: &str, own: &str) -> Result<()> {
    let named = kind.split(['/', ':']).next().unwrap_or_default();
    let points_elsewhere = kind.contains('/') || kind.starts_with("ws-");
    if !points_elsewhere || named == own || kind == own {
        return Ok(());
    }
    Err(denied(format!(
        "ValueError: Subscription to event '{kind}' is forbidden. Event workspace '{named}' does not match your \
         workspace '{own}'. Clients can only subscribe to events within their own workspace or system events."
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_of_other_workspaces_are_refused() {
        for kind in ["other/x", "ws-other", "ws-other:x", "ws-labx"] {
            assert!(check(kind, "ws-lab").is_err(), "{kind}");
        }
        for kind in ["ws-lab/x", "ws-lab", "ws-lab:x", "client_connected", "my-ev", "a:b"] {
            assert!(check(kind, "ws-lab").is_ok(), "{kind}");
        }
    }
}
