//! Plain requests to the login service of the server: answered here, where it is known from which address they come.

use std::sync::Arc;

use axum::extract::Request;
use axum::response::Response;
use polyfn_core::wire::ServiceUri;

use crate::http::Ends;
use crate::http::caller::Caller;
use crate::http::services::arguments::Arguments;
use crate::http::services::{Outcome, read, refusal};
use crate::login::functions::{Asked, Function};
use crate::login::{SERVICE, WORKSPACE};
use crate::state::State;

/// The function of the server's own login service that a URL names, unless another one has taken its place.
pub(super) fn function(state: &State, workspace: &str, id: &str, name: &str) -> Option<&'static Function> {
    let is_own =
        || id.strip_prefix(&*state.server_id).and_then(|rest| rest.strip_prefix(':')) == Some(SERVICE);
    let is_named = workspace == WORKSPACE && (id == SERVICE || is_own());
    if is_named && is_in_charge(state) && !state.auth.has(name) { state.login.function(name) } else { None }
}

/// Whether the only login service is the one of the server itself.
pub(in crate::http) fn is_in_charge(state: &State) -> bool {
    let [workspace, client, service, app] = [WORKSPACE, "*", SERVICE, "*"].map(str::to_owned);
    let found = state.hub.registry.find(&ServiceUri { workspace, client, service, app });
    matches!(&*found, [only] if only.client == state.server_id)
}

/// Calls it.
pub(super) async fn call(
    state: &Arc<State>,
    caller: &Caller,
    function: &'static Function,
    request: Request,
) -> Result<Outcome, Response> {
    let address = request.extensions().get::<Ends>().map(|ends| ends.remote.ip());
    let Arguments { positional, named } = read(state, request).await?;
    let arguments = function.bind(positional, named).map_err(|error| refusal(&error))?;
    let asked = Asked { user: Arc::clone(&caller.user), address, arguments };
    let ended = function.call(&state.login, asked).await;
    ended.map(Outcome::Value).map_err(|error| refusal(&error))
}
