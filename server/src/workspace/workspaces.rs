//! Workspaces: create; and the log.

use polyfn_core::{Error, ErrorKind, Map, Result, Value};

use crate::hub::WorkspaceInfo;
use crate::workspace::arguments::{denied, invalid};
use crate::workspace::manager::Call;

/// Characters of a line in the log.
const LINE_MAX: usize = 4096;
/// Bytes of a workspace's name.
const NAME_MAX: usize = 128;

/// `log`: a line, or a record of a function with its level and the request's id.
pub(super) fn log(call: &mut Call) -> Result<Value> {
    let message = match call.arguments.take(0) {
        Value::Text(text) => text,
        Value::Map(record) if record.text("level").is_some() => {
            log_record(call, &record);
            return Ok(Value::Nil);
        }
        other => other.to_json().map_or_else(|_| "(not text)".to_owned(), |json| json.to_string()),
    };
    let message: String = message.chars().take(LINE_MAX).collect();
    let workspace = &call.caller.workspace;
    tracing::info!(target: "polyfn::client", workspace, user = call.caller.user.id, ?message);
    Ok(Value::Nil)
}

/// What a function logged: `{level, message, request_id, service, fields}`. All of it is the client's word, so it is
/// written with quotes and without line breaks.
fn log_record(call: &Call, record: &Map) {
    let text = |key: &str| record.text(key).unwrap_or_default().chars().take(LINE_MAX).collect::<String>();
    let (message, request, service, level) =
        (text("message"), text("request_id"), text("service"), text("level"));
    let fields = record.get("fields").and_then(|fields| fields.to_json().ok()).map(|json| json.to_string());
    let fields: String = fields.unwrap_or_default().chars().take(LINE_MAX).collect();
    let (workspace, user) = (&call.caller.workspace, &call.caller.user.id);
    macro_rules! write {
        ($level:ident) => {
            tracing::event!(target: "polyfn::functions", tracing::Level::$level,
                workspace, user, ?service, ?request, severity = level, ?message, fields)
        };
    }
    match level.as_str() {
        "trace" => write!(TRACE),
        "debug" => write!(DEBUG),
        "warn" => write!(WARN),
        "error" | "fatal" => write!(ERROR),
        _ => write!(INFO),
    }
}

/// `create_workspace`: for registered users.
pub(super) fn create(call: &mut Call) -> Result<Value> {
    let config = call.arguments.map(0, "config")?;
    let overwrite = call.arguments.flag(1);
    let user = &call.caller.user;
    if user.is_anonymous {
        return Err(denied("Exception: Only registered user can create workspace."));
    }
    let id = config.text("id").ok_or_else(|| invalid("ValueError: a workspace needs an 'id'"))?;
    check_name(id, user.has_role("admin"))?;
    check_free(call, id, overwrite)?;
    let info = read(&config, id, &user.id)?;
    let told = described(&info);
    call.hub.registry.put_workspace(info);
    Ok(told)
}

/// The pattern of the reference: lower case letters, digits, hyphens and bars, with a hyphen unless root asks.
fn check_name(name: &str, admin: bool) -> Result<()> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '|';
    if name.is_empty() || name.len() > NAME_MAX || !name.chars().all(plain) {
        let shown: String = name.chars().take(64).collect();
        return Err(invalid(format!(
            "ValueError: Invalid workspace name: {shown}, only lowercase letters, numbers and hyphens are allowed."
        )));
    }
    if !admin && !name.contains('-') {
        return Err(invalid(
            "ValueError: Workspace name must contain at least one hyphen (e.g. my-workspace).",
        ));
    }
    Ok(())
}

fn check_free(call: &Call, id: &str, overwrite: bool) -> Result<()> {
    let user = &call.caller.user;
    let owned = |workspace: &crate::hub::Workspace| workspace.is_owned_by(&user.id);
    if let Some(known) = call.hub.registry.workspace(id) {
        if !overwrite {
            return Err(Error::new(
                ErrorKind::Conflict,
                format!("RuntimeError: Workspace already exists: {id}"),
            ));
        }
        if !owned(&known) && !user.has_role("admin") {
            return Err(denied(format!(
                "PermissionError: Permission denied: user {} cannot overwrite workspace {id}",
                user.id
            )));
        }
        return Ok(());
    }
    // a workspace named after a user is that user's, whether it exists now or not; so is that of all strangers
    let taken = id == "ws-anonymous" || (id.starts_with("ws-user-") && id != user.own_workspace());
    if taken && !user.has_role("admin") {
        return Err(denied(format!("PermissionError: Permission denied for workspace {id}")));
    }
    let max = call.manager.limits.max_workspaces_per_user;
    if call.hub.registry.workspaces().iter().filter(|workspace| owned(workspace)).count() >= max {
        return Err(Error::new(
            ErrorKind::Overloaded,
            format!("ValueError: Too many workspaces: a user may own {max}"),
        ));
    }
    Ok(())
}

fn read(config: &Map, id: &str, user: &str) -> Result<WorkspaceInfo> {
    let mut info = WorkspaceInfo::joined(id, Some(user));
    if let Some(name) = config.text("name") {
        info.name = name.to_owned();
    }
    info.description = config.text("description").map(str::to_owned);
    info.persistent = config.get("persistent").and_then(Value::as_bool).unwrap_or(false);
    for owner in config.get("owners").and_then(Value::as_list).unwrap_or_default() {
        if let Some(owner) = owner.as_text().filter(|owner| *owner != user) {
            info.owners.push(owner.to_owned());
        }
    }
    if let Some(settings) = config.get("config").filter(|settings| settings.as_map().is_some()) {
        match settings.to_json().map_err(|error| invalid(format!("ValueError: {}", error.message())))? {
            serde_json::Value::Object(settings) => info.config = settings,
            _ => return Err(invalid("ValueError: the config of a workspace must be an object")),
        }
    }
    Ok(info)
}

/// The workspace in the shape of the protocol.
pub(crate) fn described(info: &WorkspaceInfo) -> Value {
    let json = serde_json::json!({
        "type": "workspace",
        "id": info.id,
        "name": info.name,
        "description": info.description,
        "persistent": info.persistent,
        "owners": info.owners,
        "read_only": false,
        "icon": null,
        "covers": null,
        "docs": null,
        "service_types": {},
        "config": info.config,
        "status": {"ready": true, "errors": null},
    });
    Value::from(json)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_pattern() {
        for (name, admin, good) in [
            ("my-lab", false, true),
            ("lab", false, false),
            ("lab", true, true),
            ("My-lab", true, false),
            ("a/b-c", true, false),
            ("*", true, false),
            ("", true, false),
        ] {
            assert_eq!(check_name(name, admin).is_ok(), good, "{name}");
        }
    }
}
