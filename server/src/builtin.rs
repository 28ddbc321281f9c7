//! The server's own services: those of a client in the same process, so that they are services like all others.
//!
//! The client is called as the server is and lives in the workspace `public`. What it offers is found, listed,
//! described and called by the same code as everything else.

use std::sync::Arc;

use polyfn_core::net::{Call, Client, ClientOptions, Service};
use polyfn_core::{Result, Value};

use crate::auth::UserInfo;
use crate::clock;
use crate::login::functions::{Asked, Function};
use crate::login::{self, Login};
use crate::state::State;
use crate::transport::memory::InProcess;

/// Seconds that the token of the server's own client lives: it is used at once.
const TOKEN_SECONDS: u64 = 60;

/// The flag of services that give way to others of their name in the workspace `public`.
pub(crate) const FALLBACK: &str = "fallback";

/// Connects the server's own client and registers what it offers. The services last as long as the client.
///
/// # Errors
/// When a limit leaves no place for the client or its services.
pub(crate) async fn start(state: &Arc<State>) -> Result<Client> {
    let client = connect(state, login::WORKSPACE).await?;
    client.register_service(login_service(&state.login)).await?;
    Ok(client)
}

/// Connects a client of the server's own in `workspace`.
///
/// # Errors
/// When a limit leaves no place for it.
pub(crate) async fn connect(state: &Arc<State>, workspace: &str) -> Result<Client> {
    let internal = |error: &dyn std::fmt::Display| {
        polyfn_core::Error::new(polyfn_core::ErrorKind::Internal, error.to_string())
    };
    let root = UserInfo::root(workspace);
    let token = state.tokens.issue(&root, TOKEN_SECONDS, clock::now()).map_err(|error| internal(&error))?;
    let options = ClientOptions {
        server_url: state.local_base_url.clone(),
        workspace: Some(workspace.to_owned()),
        client_id: Some(state.server_id.clone()),
        token: Some(token),
        connect: Some(Arc::new(InProcess::own(state))),
        ..ClientOptions::default()
    };
    Client::connect(options).await
}

fn login_service(login: &Arc<Login>) -> Service {
    let service = Service::new(login::SERVICE)
        .entry("type", "functions")
        .entry("name", "Hypha Login")
        .entry("description", "Logging in: a program gets a key, its user approves it in a browser.")
        .config("visibility", "public")
        .config("flags", vec![Value::from(FALLBACK)])
        .config("require_context", true);
    login.functions().fold(service, |service, function| {
        let login = Arc::clone(login);
        service.function(function.name, move |call| run(Arc::clone(&login), function, call))
    })
}

async fn run(login: Arc<Login>, function: &'static Function, call: Call) -> Result<Value> {
    let user = caller(&login, &call);
    let arguments = function.bind(call.args, call.keywords)?;
    function.call(&login, Asked { user, address: None, arguments }).await
}

/// Who calls, looked up by the address that the hub wrote.
fn caller(login: &Login, call: &Call) -> Arc<UserInfo> {
    let context = call.context.as_ref().and_then(Value::as_map);
    let from = context.and_then(|context| context.text("from")).unwrap_or_default();
    let peer =
        from.split_once('/').and_then(|(workspace, client)| login.hub.registry.client(workspace, client));
    peer.map_or_else(|| Arc::new(UserInfo::anonymous_http()), |peer| Arc::clone(&peer.user))
}
