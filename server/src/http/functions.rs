//! `/{workspace}/apps/{service}/{path}`: functions of clients, answered over HTTP.
//!
//! This is the path that decides how fast the server is: no tree of values is built, the event goes straight from
//! the request into the frame, and the answer is read where it stands.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use polyfn_core::codec::Writer;
use polyfn_core::functions::{self, Context, HttpRequest, Match, Signature};
use polyfn_core::session::Payload;
use polyfn_core::wire::ServiceUri;
use polyfn_core::{Error, ErrorKind};

use crate::auth::Permission;
use crate::http::apps;
use crate::http::caller::Caller;
use crate::http::problem::Problem;
use crate::http::trace::trace;
use crate::http::turns::Turns;
use crate::http::{Ends, body, redirect_to_folder};
use crate::hub::{self, CallRequest, Reader, Service};
use crate::state::State;

mod compress;
mod conditional;
mod limits;
mod origin;
mod place;
mod refusal;
mod streamed;
mod told;

pub(in crate::http) use limits::{Allowed, Turn};
use origin::Rules;
pub use place::Place;
pub(super) use place::uri as service_uri;
pub(in crate::http) use refusal::Refusal;
pub(in crate::http) use streamed::Counted;
use told::Told;

/// Answers a request whose path is a [`Place`].
pub async fn answer(state: &Arc<State>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let mut found = None;
    let mut response = match Place::of(parts.uri.path()) {
        Some(place) => answer_at(state, &parts, &place, body, &mut found).await,
        None => Problem::new(ErrorKind::NotFound, "Not Found").into_response(),
    };
    let service = found.as_ref().and_then(|service: &Arc<Service>| service.settings.cors.as_ref());
    // an app decides for itself, unless its service has rules
    if service.is_some() || response.extensions().get::<apps::Own>().is_none() {
        let rules = Rules { server: &state.config.allow_origins, service };
        rules.allow(&parts.headers, response.headers_mut());
    }
    response
}

/// Notes in `seen` which service was asked, whatever comes of it.
async fn answer_at(
    state: &Arc<State>,
    parts: &Parts,
    place: &Place<'_>,
    body: Body,
    seen: &mut Option<Arc<Service>>,
) -> Response {
    let Some(path) = place.path else { return redirect_to_folder(&state.config.base_path, &parts.uri) };
    let metrics = &state.metrics;
    let _held = metrics.http_calls.hold();
    metrics.http_calls_total.increment();
    match call(state, parts, place, path, body, seen).await {
        Ok(response) => response,
        Err(refusal) => {
            metrics.http_call_errors_total.increment();
            refusal.answer(&parts.headers)
        }
    }
}

async fn call(
    state: &Arc<State>,
    parts: &Parts,
    place: &Place<'_>,
    path: &str,
    body: Body,
    seen: &mut Option<Arc<Service>>,
) -> Result<Response, Refusal> {
    check_free(state)?;
    let caller = Caller::from_headers(state, &parts.headers)?;
    let from = parts.extensions.get::<Ends>().map(|ends| ends.remote.ip());
    let _turn = Turns::take(state, &caller, &place.workspace, from)?;
    let found = find(state, &caller, place, parts.uri.query()).await.map_err(Refusal::from);
    let preflight = origin::is_preflight(&parts.method, &parts.headers);
    // also for a preflight, which comes without the token that will be sent: the rules of a service that is hidden from
    // the caller would tell that it is there
    *seen = found.as_ref().ok().cloned();
    if let Ok(service) = &found
        && apps::is_app(&service.kind)
        && !(preflight && service.settings.cors.is_some())
    {
        caller.check_call(service, "serve")?;
        return apps::answer(apps::Asked { state, parts, place, path, caller: &caller, service }, body).await;
    }
    let found = found.and_then(|service| choose(&service, parts, path).map(|chosen| (service, chosen)));
    // a browser asks before it sends what it is allowed to send: functions need not know
    if preflight && !matches!(&found, Ok((_, chosen)) if chosen.takes_options()) {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let (service, chosen) = found?;
    caller.check_call(&service, chosen.path())?;
    if chosen.is_own_health(&service, path) {
        return Ok("OK".into_response());
    }
    let accepted = compress::Accepted::read(&parts.headers)?;
    let allowed = Allowed::of(&state.config.limits, &service);
    let body = body::collect_at_most(body, allowed.body, &state.config.limits).await?;
    let told = Told::read(parts, &body, service.settings.signature)?;
    let turn = Turn::take(state, &service)?;
    let request_id = told::request_id(&parts.headers);
    let user = caller.encoded(state);
    let event = Asked {
        parts,
        place,
        path,
        user: &user,
        body,
        told: &told,
        request_id: &request_id,
        time: allowed.time,
    };
    let answered = match event.call(state, &service, &chosen).await.and_then(|result| read_answer(&result)) {
        Ok(mut answer) => {
            conditional::prepare(&mut answer, &parts.method, &parts.headers);
            match answer.stream.take() {
                Some(stub) => {
                    let reader = reader_of(state, &service, &caller, &user, &place.workspace);
                    streamed::respond(state, answer, &stub, &reader, &parts.method, (allowed.time, turn))
                        .await
                }
                None => Ok(respond(answer, &parts.method)),
            }
        }
        Err(error) => Err(error),
    };
    let response = answered
        .map(|response| told.finish(response, &request_id))
        .map_err(|error| Refusal::of_request(state, &caller, &service, &error, request_id))?;
    Ok(compress::compress(&parts.method, accepted, response).await)
}

/// Whom a generator in the answer is read for.
fn reader_of<'a>(
    state: &State,
    service: &Service,
    caller: &'a Caller,
    user: &'a [u8],
    workspace: &'a str,
) -> Reader<'a> {
    let address = service.address();
    let owner =
        address.split_once('/').and_then(|(workspace, client)| state.hub.registry.client(workspace, client));
    let owner = owner.map(|owner| owner.extensions).unwrap_or_default();
    Reader { user, workspace, owner, credential: &caller.user.credential }
}

/// Refuses a call when too many are under way; this one is counted already.
pub(super) fn check_free(state: &State) -> Result<(), Problem> {
    let max = state.config.limits.max_http_calls;
    if state.metrics.http_calls.get() > max as u64 {
        state.metrics.limited.note("max_http_calls");
        return Err(Problem::new(ErrorKind::Overloaded, format!("{max} calls are under way already")));
    }
    Ok(())
}

async fn find(
    state: &State,
    caller: &Caller,
    place: &Place<'_>,
    query: Option<&str>,
) -> Result<Arc<Service>, Problem> {
    let uri = place.uri()?;
    let mode = query.and_then(selection);
    let asks = hub::Caller::new(Arc::clone(&caller.user), caller.workspace(&place.workspace));
    let found = state.hub.find(&uri, &asks, hub::Selection::new(mode.as_deref())).await;
    let service = found.map_err(|error| not_found(state, caller, &uri, &error))?;
    if service.kind != "functions" && !apps::is_app(&service.kind) {
        let text = format!(
            "Invalid service type: {}, only services of type `functions` or `asgi` answer here",
            service.kind
        );
        return Err(Problem::new(ErrorKind::Invalid, text));
    }
    Ok(service)
}

/// `random` of `a=b&_mode=random`.
pub(super) fn selection(query: &str) -> Option<Cow<'_, str>> {
    let value = query.split('&').rev().find_map(|pair| pair.strip_prefix("_mode="))?;
    Some(percent_encoding::percent_decode_str(value).decode_utf8_lossy())
}

fn not_found(state: &State, caller: &Caller, uri: &ServiceUri, error: &Error) -> Problem {
    // who has no right there does not learn whether there is such a workspace
    let is_unknown = || {
        caller.may(Permission::Read, &uri.workspace) && state.hub.registry.workspace(&uri.workspace).is_none()
    };
    match error.kind() {
        ErrorKind::NotFound if is_unknown() => {
            let text = format!("Workspace {} does not exist or is not accessible", uri.workspace);
            Problem::new(ErrorKind::NotFound, text)
        }
        kind => {
            let problem = Problem::new(kind, format!("RemoteException: {}", error.message()));
            if kind == ErrorKind::Conflict { problem.with_status(StatusCode::BAD_REQUEST) } else { problem }
        }
    }
}

/// The function that answers a request.
struct Chosen {
    /// `services.shop.api.users`.
    method: String,
    /// The path, for a function that answers everything.
    function_path: Option<String>,
}

impl Chosen {
    /// Whether it is asked how a module is that has no answer of its own: as its owner is there, it is well.
    fn is_own_health(&self, service: &Service, path: &str) -> bool {
        service.settings.signature == Signature::Context
            && functions::signature::is_health(path)
            && self.method.ends_with(".handle")
    }

    /// The path of the function in its service.
    fn path(&self) -> &str {
        self.method.splitn(3, '.').nth(2).unwrap_or_default()
    }

    fn takes_options(&self) -> bool {
        self.method.ends_with(".OPTIONS")
    }
}

fn choose(service: &Service, parts: &Parts, path: &str) -> Result<Chosen, Refusal> {
    if place::is_devious(path) {
        let text = "the path may not hold `.` or `..` as a segment, or NUL";
        return Err(Problem::new(ErrorKind::Invalid, text).into());
    }
    match service.router().route(parts.method.as_str(), path) {
        Match::Found { member, function_path } => {
            Ok(Chosen { method: ["services.", &service.name, ".", member].concat(), function_path })
        }
        Match::MethodNotAllowed { allow } => Err(Refusal::method_not_allowed(allow)),
        Match::NotFound { path } => {
            Err(Problem::new(ErrorKind::NotFound, format!("Function not found: {path}")).into())
        }
    }
}

/// A request, as far as the function is told of it.
struct Asked<'a> {
    parts: &'a Parts,
    place: &'a Place<'a>,
    path: &'a str,
    user: &'a [u8],
    body: Bytes,
    told: &'a Told,
    request_id: &'a str,
    time: Duration,
}

impl Asked<'_> {
    async fn call(self, state: &Arc<State>, service: &Service, chosen: &Chosen) -> Result<Payload, Error> {
        let Self { parts, place, path, user, body, told, request_id, time } = self;
        let ends = parts.extensions.get::<Ends>();
        let host = ends.map(|ends| ends.local.ip().to_canonical().to_string());
        let (from, address) = (state.hub.gateway.address(&place.workspace), service.address());
        let path_decoded = percent_encoding::percent_decode_str(path).decode_utf8_lossy();
        let event = HttpRequest {
            method: parts.method.as_str(),
            scheme: "http",
            http_version: if parts.version == Version::HTTP_10 { "1.0" } else { "1.1" },
            path: &path_decoded,
            raw_path: path,
            query_string: parts.uri.query().unwrap_or_default(),
            headers: parts.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())),
            body,
            client: ends.map(|ends| ends.remote),
            server: ends.and_then(|ends| Some((host.as_deref()?, ends.local.port()))),
            workspace: &place.workspace,
            service_id: &place.service,
            user,
            context: Context {
                from: &from,
                to: &address,
                method: &chosen.method,
                ws: &place.workspace,
                user: Some(user),
                connection_type: "http",
                trace: trace(&parts.headers),
                ..Context::default()
            },
            function_path: chosen.function_path.as_deref(),
            cloudevent: told.event.as_ref(),
        };
        let request = CallRequest {
            user,
            workspace: &place.workspace,
            target: &address,
            method: &chosen.method,
            args: 1,
            with_kwargs: false,
            write: |out: &mut Writer| match &told.context {
                Some(body) => event.write_context(&functions::signature::Told { request_id, body }, out),
                None => event.write(out),
            },
            timeout: time,
            trace: trace(&parts.headers),
        };
        state.hub.gateway.call(&state.hub, request).await
    }
}

/// A result that is no answer is an error of the function, and told as one.
fn read_answer(result: &Payload) -> Result<functions::Response, Error> {
    let wrong = |what: String| Error::remote(format!("the function's result is no HTTP answer: {what}"));
    let answer =
        functions::Response::from_result(result).map_err(|error| wrong(error.message().to_owned()))?;
    if answer.status < 200 {
        return Err(wrong(format!("the status {} is not final", answer.status)));
    }
    Ok(answer)
}

/// Headers that belong to the connection and are the server's own business.
const FRAMING: [HeaderName; 7] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("keep-alive"),
];

fn respond(answer: functions::Response, method: &Method) -> Response {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let has_body = has_body(status);
    let length = answer.body.len();
    let body = if has_body && method != Method::HEAD { Body::from(answer.body) } else { Body::empty() };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    for (name, value) in answer.headers {
        // core has checked both; what it lets through and HTTP does not is left out
        let Ok(name) = HeaderName::from_bytes(name.as_bytes()) else { continue };
        let Ok(value) = HeaderValue::from_maybe_shared(Bytes::from(value)) else { continue };
        if !FRAMING.contains(&name) {
            headers.append(name, value);
        } else if name == header::CONTENT_LENGTH && method == Method::HEAD && length == 0 {
            keep_length(headers, value);
        }
    }
    if method == Method::HEAD && has_body && length > 0 {
        headers.insert(header::CONTENT_LENGTH, length.into());
    }
    response
}

const fn has_body(status: StatusCode) -> bool {
    !matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
}

/// A function may tell HEAD the length of a body that it does not make.
fn keep_length(headers: &mut HeaderMap, value: HeaderValue) {
    if value.to_str().is_ok_and(|text| text.parse::<u64>().is_ok()) {
        headers.insert(header::CONTENT_LENGTH, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, headers: &[(&str, &str)], body: &'static str) -> functions::Response {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        functions::Response { status, headers, body: Bytes::from(body), stream: None, octets: false }
    }

    #[test]
    fn functions_do_not_frame_messages() {
        let headers =
            [("content-length", "99"), ("connection", "close"), ("set-cookie", "a"), ("set-cookie", "b")];
        let response = respond(answer(200, &headers, "abc"), &Method::GET);
        let names: Vec<_> = response.headers().iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["set-cookie", "set-cookie"]);
        let response = respond(answer(200, &headers[..1], ""), &Method::HEAD);
        assert_eq!(response.headers()[header::CONTENT_LENGTH], "99");
        let response = respond(answer(200, &headers[..1], "abc"), &Method::HEAD);
        assert_eq!(response.headers()[header::CONTENT_LENGTH], "3");
        let response = respond(answer(204, &[], "abc"), &Method::GET);
        assert!(axum::body::HttpBody::is_end_stream(response.body()));
    }

    #[test]
    fn the_last_selection_counts() {
        assert_eq!(selection("a=1&_mode=first&_mode=r%61ndom").as_deref(), Some("random"));
        assert_eq!(selection("x_mode=first&_mode"), None);
    }
}
