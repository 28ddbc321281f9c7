//! `/{workspace}/services/...`: what services there are, and calling them with plain requests.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, Request, State as Extract};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::Response;
use axum::routing::get;
use polyfn_core::session::Visibility;
use polyfn_core::{Error, ErrorKind, Map, Result, Value};

use crate::auth::Permission;
use crate::http::caller::Caller;
use crate::http::functions::{check_free, selection, service_uri};
use crate::http::problem::{Form, Problem};
use crate::http::trace::trace;
use crate::http::turns::Turns;
use crate::http::{self, call_error, openapi, redirect_to_folder, site};
use crate::hub::{self, CallRequest, Selection, Service};
use crate::state::State;

mod arguments;
mod format;
pub(super) mod login;
mod member;
mod once;
mod plain;
mod result;
mod streamed;

use arguments::Arguments;
use format::Format;
use member::Member;
pub(crate) use once::call_once;

/// The names under which the workspace manager is reached.
const MANAGER: [&str; 2] = ["ws", "~"];

/// The routes of services and of information on a workspace.
pub fn router() -> Router<Arc<State>> {
    Router::new()
        .route("/{workspace}/info", get(workspace_info))
        .route("/{workspace}/services", get(with_slash))
        .route("/{workspace}/services/", get(list))
        .route("/{workspace}/services/{service}", get(info))
        .route("/{workspace}/services/{service}/{function}", get(call).post(call))
}

async fn with_slash(Extract(state): Extract<Arc<State>>, uri: Uri) -> Response {
    redirect_to_folder(&state.config.base_path, &uri)
}

/// `GET /{workspace}/info`: for those who may read the workspace.
async fn workspace_info(
    Extract(state): Extract<Arc<State>>,
    Path(workspace): Path<String>,
    caller: Caller,
) -> Response {
    if !caller.may(Permission::Read, &workspace) {
        let text = format!("{} has no permission to access {workspace}", caller.user.id);
        return Problem::new(ErrorKind::PermissionDenied, text).answer(Form::Reference);
    }
    match state.hub.registry.workspace(&workspace) {
        Some(found) => told(Ok(crate::workspace::described(&found.info())), Format::Json),
        None => {
            let text = format!("Workspace '{workspace}' not found");
            Problem::new(ErrorKind::NotFound, text).answer(Form::Reference)
        }
    }
}

/// `GET /{workspace}/services/`: what the caller may see.
async fn list(
    Extract(state): Extract<Arc<State>>,
    Path(workspace): Path<String>,
    caller: Caller,
) -> Response {
    let asks = hub::Caller::new(Arc::clone(&caller.user), caller.workspace(&workspace));
    let query = Map::from_iter([("workspace", workspace.as_str())]);
    let listed = manage(&state, asks, "list_services", vec![Value::Map(query)], Map::new()).await;
    let is_empty = || matches!(&listed, Ok(Value::List(infos)) if infos.is_empty());
    let is_known = state.hub.registry.workspace(&workspace).is_some();
    // who sees nothing in it and has no right there does not learn whether there is such a workspace
    if !is_known || (!caller.may(Permission::Read, &workspace) && is_empty()) {
        let text = format!("'Workspace {workspace} does not exist or is not accessible'");
        return Problem::new(ErrorKind::NotFound, text).answer(Form::Reference);
    }
    told(listed.map(without_workspace), Format::Json)
}

/// In a list for one workspace ids need not name it.
fn without_workspace(mut listed: Value) -> Value {
    let Value::List(infos) = &mut listed else { return listed };
    for info in infos {
        let Value::Map(info) = info else { continue };
        let short = info.text("id").and_then(|id| id.split_once('/')).map(|(_, id)| id.to_owned());
        if let Some(id) = short {
            info.insert("id", id);
        }
    }
    listed
}

/// `GET /{workspace}/services/{service}`: what is known of one.
async fn info(
    Extract(state): Extract<Arc<State>>,
    Path((workspace, id)): Path<(String, String)>,
    uri: Uri,
    caller: Caller,
) -> Response {
    let asks = hub::Caller::new(Arc::clone(&caller.user), caller.workspace(&workspace));
    if MANAGER.contains(&id.as_str()) {
        return told(manage(&state, asks, "get_service", vec!["~".into()], Map::new()).await, Format::Json);
    }
    let service = match service_uri(&workspace, &id) {
        Ok(service) => service,
        Err(problem) => return problem.answer(Form::Reference),
    };
    let mode = uri.query().and_then(selection);
    let options: Map = mode.iter().map(|mode| ("mode", mode.as_ref())).collect();
    let arguments = vec![Value::from(service.to_string()), Value::Map(options)];
    match manage(&state, asks, "get_service_info", arguments, Map::new()).await {
        // whether there is a service that may not be seen is not told here
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            told(Err(Error::new(ErrorKind::NotFound, error.message())), Format::Json)
        }
        found => told(found, Format::Json),
    }
}

/// `GET` and `POST /{workspace}/services/{service}/{function}`: a call.
async fn call(
    Extract(state): Extract<Arc<State>>,
    Path((workspace, id, function)): Path<(String, String, String)>,
    request: Request,
) -> Response {
    let metrics = &state.metrics;
    let _held = metrics.http_calls.hold();
    metrics.http_calls_total.increment();
    let format = Format::of(request.headers());
    let place = CallPlace { workspace, id, function };
    let answer = match admit(&state, request.headers()) {
        Ok(caller) => {
            let from = request.extensions().get::<http::Ends>().map(|ends| ends.remote.ip());
            match Turns::take(&state, &caller, &place.workspace, from) {
                Ok(_turn) => match make_call(&state, &caller, &place, request).await {
                    Ok(outcome) => answer(&state, &caller, outcome, format),
                    Err(stop) => stop,
                },
                Err(problem) => problem.answer(Form::Json),
            }
        }
        Err(problem) => problem.answer(Form::Json),
    };
    if !answer.status().is_success() {
        metrics.http_call_errors_total.increment();
    }
    answer
}

fn admit(state: &State, headers: &HeaderMap) -> Result<Caller, Problem> {
    check_free(state)?;
    if site::is_another_by_cookie(state, headers) {
        let text = "a page of another site cannot call services with the cookies of this one";
        return Err(Problem::new(ErrorKind::PermissionDenied, text));
    }
    Caller::from_headers(state, headers)
}

/// What a URL asks to be called.
struct CallPlace {
    workspace: String,
    id: String,
    /// May be dotted: `nest.deep.hello`.
    function: String,
}

/// What came of a call that worked.
enum Outcome {
    /// An encoded list of one, and who gave it to whom.
    Payload(polyfn_core::session::Payload, Ends),
    /// A value that the server had to look at.
    Value(Value),
}

/// Between whom a call was made.
struct Ends {
    /// The workspace that it was made from.
    caller: String,
    /// The workspace and the name of the function's owner.
    owner: (String, String),
}

fn answer(state: &Arc<State>, caller: &Caller, outcome: Outcome, format: Format) -> Response {
    let (payload, ends) = match outcome {
        Outcome::Value(value) => return result::of_value(&value, format),
        Outcome::Payload(payload, ends) => (payload, ends),
    };
    let user = caller.encoded(state);
    let owner = state.hub.registry.client(&ends.owner.0, &ends.owner.1);
    let owner = owner.map(|owner| owner.extensions).unwrap_or_default();
    let reader =
        hub::Reader { user: &user, workspace: &ends.caller, owner, credential: &caller.user.credential };
    if let Some(stub) = streamed::stub_of(&payload) {
        let answered = streamed::respond(state, &stub, &reader, format);
        return answered.unwrap_or_else(|error| refusal(&error));
    }
    let answer = result::of_payload(&payload, format);
    if !answer.status().is_success() {
        // nobody will read what could not be told of
        for stub in payload.value().iter().flat_map(streamed::stubs_in) {
            state.hub.gateway.discard(&state.hub, &stub, &reader);
        }
    }
    answer
}

async fn make_call(
    state: &Arc<State>,
    caller: &Caller,
    place: &CallPlace,
    request: Request,
) -> Result<Outcome, Response> {
    let asks = hub::Caller::new(Arc::clone(&caller.user), caller.workspace(&place.workspace));
    if MANAGER.contains(&place.id.as_str()) {
        let Arguments { positional, named } = read(state, request).await?;
        let ended = manage(state, asks, &place.function, positional, named).await;
        return ended.map(|value| Outcome::Value(member::plain(value))).map_err(|error| refusal(&error));
    }
    if let Some(function) = login::function(state, &place.workspace, &place.id, &place.function) {
        return login::call(state, caller, function, request).await;
    }
    let uri = service_uri(&place.workspace, &place.id).map_err(|problem| problem.answer(Form::Reference))?;
    let mode = request.uri().query().and_then(selection).map(std::borrow::Cow::into_owned);
    let service = state
        .hub
        .find(&uri, &asks, Selection::new(mode.as_deref()))
        .await
        .map_err(|error| refusal(&error))?;
    // the owner of a protected service takes calls of its own workspace only; who may call was decided above
    let speaks_in = match service.visibility {
        Visibility::Protected => service.workspace.as_str(),
        _ => asks.workspace.as_str(),
    };
    match member::find(&service, &place.function) {
        Member::Missing => {
            let described = described(state, &service, place).filter(|_| request.method() == Method::GET);
            Err(described.unwrap_or_else(|| no_member(&place.function)))
        }
        Member::Function => {
            let trace = trace(request.headers()).map(str::to_owned);
            let checked = caller.check_call(&service, &place.function);
            checked.map_err(|problem| problem.answer(Form::Reference))?;
            let mut arguments = read(state, request).await?;
            arguments.drop_context(&service);
            let called = Called { service: &service, function: &place.function, speaks_in, trace };
            let made = invoke(state, caller, &called, arguments).await;
            let owner = (service.workspace.clone(), service.client.clone());
            let ends = Ends { caller: speaks_in.to_owned(), owner };
            made.map(|result| Outcome::Payload(result, ends))
                .map_err(|error| refused(&error, call_error::status_of_call(&error)))
        }
        Member::Value => {
            let checked = caller.check_call(&service, &place.function);
            checked.map_err(|problem| problem.answer(Form::Reference))?;
            // the registry knows of values only that they are there
            let id = vec![Value::from(service.id())];
            let described = manage(state, asks, "get_service", id, Map::new()).await;
            let described = described.map_err(|error| refusal(&error))?;
            let value = member::value_at(described, &place.function);
            value.map(|value| Outcome::Value(member::plain(value))).ok_or_else(|| no_member(&place.function))
        }
    }
}

fn no_member(name: &str) -> Response {
    Problem::new(ErrorKind::NotFound, format!("{name} not found.")).answer(Form::Reference)
}

/// What a service offers to those who want to know of it, as long as it has no functions of these names.
fn described(state: &State, service: &Service, place: &CallPlace) -> Option<Response> {
    match place.function.as_str() {
        openapi::DOCUMENT => {
            let described = openapi::describe(service, &place.id, &state.public_base_url);
            Some(openapi::document(&described))
        }
        openapi::PAGE => Some(openapi::page(&state.config.base_path, &service.name, openapi::DOCUMENT)),
        _ => None,
    }
}

async fn read(state: &State, request: Request) -> Result<Arguments, Response> {
    Arguments::of(request, &state.config.limits).await.map_err(|problem| problem.answer(Form::Reference))
}

/// The function of a client that is called.
struct Called<'a> {
    service: &'a Service,
    function: &'a str,
    /// The workspace that the call is made from.
    speaks_in: &'a str,
    trace: Option<String>,
}

async fn invoke(
    state: &Arc<State>,
    caller: &Caller,
    called: &Called<'_>,
    arguments: Arguments,
) -> Result<polyfn_core::session::Payload> {
    let request = CallRequest {
        user: &caller.encoded(state),
        workspace: called.speaks_in,
        target: &called.service.address(),
        method: &format!("services.{}.{}", called.service.name, called.function),
        args: arguments.len(),
        with_kwargs: !arguments.named.is_empty(),
        write: |out: &mut _| arguments.write(out),
        timeout: state.config.limits.http_call_timeout.duration(),
        trace: called.trace.as_deref(),
    };
    state.hub.gateway.call(&state.hub, request).await
}

/// Asks the workspace manager on behalf of the caller.
pub(super) async fn manage(
    state: &Arc<State>,
    caller: hub::Caller,
    method: &str,
    arguments: Vec<Value>,
    keywords: Map,
) -> Result<Value> {
    let manager = state.hub.manager()?;
    manager.invoke(&state.hub, caller, method, arguments, keywords).await
}

fn told(result: Result<Value>, format: Format) -> Response {
    match result {
        Ok(value) => result::of_value(&member::plain(value), format),
        Err(error) => refusal(&error),
    }
}

fn refusal(error: &Error) -> Response {
    refused(error, call_error::status(error))
}

fn refused(error: &Error, status: StatusCode) -> Response {
    if status.is_server_error() {
        let trace = error.trace().unwrap_or_default();
        tracing::info!(error = error.message(), trace, "a call of a service over HTTP failed");
    }
    let text = format!("RemoteException: {}", call_error::shown(error));
    Problem::new(error.kind(), text).with_status(status).answer(Form::Reference)
}
