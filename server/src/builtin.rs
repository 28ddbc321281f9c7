//! The server's own services: those of a client in the same process, so that they are services like all others.
//!
//! The client is called as the server is and lives in the workspace `public`. What it offers is found, listed,
//! described and called by the same code as everything else.

use std::collections::BTreeSet;
use std::sync::Arc;

use polyfn_core::net::{Call, Client, ClientOptions, Service};
use polyfn_core::{Result, Value};

use crate::auth::UserInfo;
use crate::auth_service::AuthService;
use crate::clock;
use crate::hub::encode_user;
use crate::login::functions::Asked;
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
    client.register_service(login_service(&state.login, &state.auth)).await?;
    follow(state, client.clone());
    Ok(client)
}

/// Sees to it that the login service has the members that an auth service offers, as long as the server runs.
fn follow(state: &Arc<State>, client: Client) {
    let (login, auth) = (Arc::clone(&state.login), Arc::clone(&state.auth));
    let (mut wanted, mut signal) = (auth.wanted(), state.shutdown.for_session());
    tokio::spawn(async move {
        loop {
            tokio::select! {
                () = signal.finish() => return,
                changed = wanted.changed() => if changed.is_err() { return },
            }
            let times = *wanted.borrow_and_update();
            let service = login_service(&login, &auth).overwrite(true);
            if let Err(error) = client.register_service(service).await {
                tracing::error!(%error, "the login service has not changed");
            }
            auth.note_done(times);
        }
    });
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

fn login_service(login: &Arc<Login>, auth: &Arc<AuthService>) -> Service {
    let service = Service::new(login::SERVICE)
        .entry("type", "functions")
        .entry("name", "Hypha Login")
        .entry("description", "Logging in: a program gets a key, its user approves it in a browser.")
        .config("visibility", "public")
        .config("flags", vec![Value::from(FALLBACK)])
        .config("require_context", true);
    let own = login.functions().map(|function| function.name.to_owned());
    let names: BTreeSet<String> = own.chain(auth.members()).collect();
    names.into_iter().fold(service, |service, name| {
        let (login, auth, function) = (Arc::clone(login), Arc::clone(auth), name.clone());
        service
            .function(&name, move |call| run(Arc::clone(&login), Arc::clone(&auth), function.clone(), call))
    })
}

/// Answers by the function of the auth service, if it has one of this name, else by the server's own.
async fn run(login: Arc<Login>, auth: Arc<AuthService>, name: String, call: Call) -> Result<Value> {
    let user = caller(&login, &call);
    if auth.has(&name) {
        return auth.call(&name, &encode_user(&user), call.args, call.keywords).await;
    }
    let function = login.function(&name).ok_or_else(|| {
        polyfn_core::Error::new(polyfn_core::ErrorKind::NotFound, format!("{name} not found."))
    })?;
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
