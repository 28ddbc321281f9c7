//! `admin-utils` in the workspace `ws-user-root`: what the root user can do with a running server.
//!
//! Every function needs admin rights in that workspace, which only the root user and tokens that it made for it have.

use std::sync::{Arc, Weak};

use futures_util::future::BoxFuture;
use polyfn_core::net::{Call, Client, Service};
use polyfn_core::{Error, ErrorKind, Result, Value};

use crate::builtin;
use crate::state::State;

mod accounts;
mod block;
mod look;
mod remove;

/// The workspace of the root user.
pub(crate) const WORKSPACE: &str = "ws-user-root";
/// The name of the service.
pub(crate) const SERVICE: &str = "admin-utils";

/// One call of a function.
struct Asked {
    state: Arc<State>,
    /// Who calls.
    by: String,
    call: Call,
}

type Run = fn(Asked) -> BoxFuture<'static, Result<Value>>;

/// The functions. Some have the names that the reference gives them.
const FUNCTIONS: [(&str, Run); 19] = [
    ("list_servers", |asked| Box::pin(async move { Ok(look::servers(&asked)) })),
    ("list_workspaces", |asked| Box::pin(async move { Ok(look::workspaces(&asked)) })),
    ("list_clients", |asked| Box::pin(async move { look::clients(&asked) })),
    ("get_metrics", |asked| Box::pin(async move { Ok(look::metrics(&asked)) })),
    ("list_blocked", |asked| Box::pin(async move { Ok(look::blocked(&asked)) })),
    ("audit_log", |asked| Box::pin(look::audit(asked))),
    ("kickout_client", |asked| Box::pin(async move { remove::client(&asked) })),
    ("unload_workspace", |asked| Box::pin(async move { remove::workspace(&asked) })),
    ("block", |asked| Box::pin(block::any(asked))),
    ("unblock", |asked| Box::pin(block::lift_any(asked))),
    ("block_user", |asked| Box::pin(block::user(asked))),
    ("unblock_user", |asked| Box::pin(block::lift_user(asked))),
    ("block_ip", |asked| Box::pin(block::address(asked))),
    ("unblock_ip", |asked| Box::pin(block::lift_address(asked))),
    ("list_accounts", |asked| Box::pin(accounts::list(asked))),
    ("set_role", |asked| Box::pin(accounts::role(asked))),
    ("disable_account", |asked| Box::pin(accounts::disable(asked))),
    ("enable_account", |asked| Box::pin(accounts::enable(asked))),
    ("reset_password", |asked| Box::pin(accounts::reset(asked))),
];

/// Offers the service, as long as the client that is given lives.
///
/// # Errors
/// When a limit leaves no place for the client.
pub(crate) async fn start(state: &Arc<State>) -> Result<Client> {
    let client = builtin::connect(state, WORKSPACE).await?;
    let service = Service::new(SERVICE)
        .entry("name", "Admin Utilities")
        .entry("description", "Looks at a running server, and keeps others out of it.")
        .config("visibility", "protected")
        .config("require_context", true);
    let service = FUNCTIONS.into_iter().fold(service, |service, (name, run)| {
        let state = Arc::downgrade(state);
        service.function(name, move |call| begin(state.clone(), run, call))
    });
    client.register_service(service).await?;
    Ok(client)
}

async fn begin(state: Weak<State>, run: Run, call: Call) -> Result<Value> {
    let state = state.upgrade().ok_or_else(|| Error::new(ErrorKind::PeerGone, "the server stops"))?;
    let by = administrator(&call)?;
    run(Asked { state, by, call }).await
}

/// The caller, whom the hub has named, if it may administer.
fn administrator(call: &Call) -> Result<String> {
    let context = call.context.as_ref().and_then(Value::as_map);
    let user = context.and_then(|context| context.get("user")).and_then(Value::as_map);
    let scope = user.and_then(|user| user.get("scope")).and_then(Value::as_map);
    let workspaces = scope.and_then(|scope| scope.get("workspaces")).and_then(Value::as_map);
    let rights = ["*", WORKSPACE].map(|name| workspaces.and_then(|workspaces| workspaces.text(name)));
    match user.and_then(|user| user.text("id")) {
        Some(id) if rights.contains(&Some("a")) => Ok(id.to_owned()),
        _ => Err(Error::new(
            ErrorKind::PermissionDenied,
            format!("PermissionError: Permission denied: this needs admin rights in {WORKSPACE}"),
        )),
    }
}

impl Asked {
    fn optional_text(&self, at: usize, name: &str) -> Result<Option<String>> {
        match self.call.argument(at, name) {
            Value::Nil => Ok(None),
            Value::Text(text) => Ok(Some(text.clone())),
            _ => Err(Error::invalid(format!("TypeError: argument '{name}' must be a string"))),
        }
    }

    fn text(&self, at: usize, name: &str) -> Result<String> {
        self.optional_text(at, name)?
            .filter(|text| !text.is_empty())
            .ok_or_else(|| Error::invalid(format!("TypeError: missing required argument: '{name}'")))
    }

    fn number(&self, at: usize, name: &str) -> Result<Option<u64>> {
        match self.call.argument(at, name) {
            Value::Nil => Ok(None),
            value => value
                .as_float()
                .filter(|number| (0.0..1e15).contains(number))
                .map(|number| Some(number as u64))
                .ok_or_else(|| Error::invalid(format!("TypeError: argument '{name}' must be a number"))),
        }
    }
}
