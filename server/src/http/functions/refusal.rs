//! A request to a function that the function itself did not answer.

use std::sync::Arc;

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use polyfn_core::{Error, ErrorKind};

use crate::auth::Permission;
use crate::http::call_error::{is_raised, shown};
use crate::http::caller::Caller;
use crate::http::functions::told;
use crate::http::problem::{Form, Problem};
use crate::http::weight;
use crate::hub::Service;
use crate::state::State;

/// Why there is no answer of the function, and how that is told.
#[derive(Debug)]
pub(in crate::http) struct Refusal {
    problem: Problem,
    /// How it is told to those who do not say what they accept.
    form: Form,
    allow: Option<String>,
}

/// A refusal before a function is called is told in text, as the reference does, unless JSON is asked for.
impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self { problem, form: Form::Text, allow: None }
    }
}

impl Refusal {
    /// There are functions for other methods only.
    pub(super) fn method_not_allowed(allow: String) -> Self {
        let problem = Problem::new(ErrorKind::Invalid, format!("Method not allowed, use {allow}"));
        let problem = problem.with_status(StatusCode::METHOD_NOT_ALLOWED);
        Self { problem, form: Form::Text, allow: Some(allow) }
    }

    /// A call that failed. The log has everything; a caller with a token for the workspace is shown the error, a
    /// stranger only that there was one, and where the log tells of it.
    pub(in crate::http) fn of_call(
        state: &State,
        caller: &Caller,
        service: &Arc<Service>,
        error: &Error,
    ) -> Self {
        Self::of_request(state, caller, service, error, told::request_id(&HeaderMap::new()))
    }

    /// The same for a request that has an id already.
    pub(super) fn of_request(
        state: &State,
        caller: &Caller,
        service: &Arc<Service>,
        error: &Error,
        incident: String,
    ) -> Self {
        let trusted = state.config.expose_detailed_errors
            || (!caller.is_stranger() && caller.may(Permission::Read, &service.workspace));
        let detail = if trusted { shown(error) } else { hidden(error).to_owned() };
        let mut problem = Problem::new(error.kind(), detail);
        if is_raised(error) {
            problem = problem.with_status(StatusCode::INTERNAL_SERVER_ERROR);
        }
        if problem.status().is_server_error() {
            let trace = error.trace().unwrap_or_default();
            tracing::warn!(
                incident,
                service = service.id(),
                user = caller.user.id,
                error = error.message(),
                trace,
                "a call over HTTP failed"
            );
            problem = problem.with_incident(incident);
        }
        if let Some(trace) = error.trace().filter(|trace| trusted && !trace.is_empty()) {
            problem = problem.with_traceback(trace);
        }
        Self { problem, form: Form::Json, allow: None }
    }

    pub(super) fn answer(self, request: &HeaderMap) -> Response {
        let mut response = self.problem.answer(accepted(request, self.form));
        if let Some(allow) = self.allow.and_then(|allow| HeaderValue::try_from(allow).ok()) {
            response.headers_mut().insert(header::ALLOW, allow);
        }
        response
    }
}

/// What a stranger is told of an error: nothing that a function, or the way to it, has put into words.
const fn hidden(error: &Error) -> &'static str {
    match error.kind() {
        ErrorKind::Timeout => "the function did not answer in time",
        ErrorKind::PeerGone => "the owner of the function is not connected",
        ErrorKind::Overloaded => "too many calls are under way, try again later",
        ErrorKind::TooLarge => "the request or its answer is too large",
        _ => "the function failed",
    }
}

/// The form that the sender of a request accepts; `otherwise` when everything, or nothing, is said.
fn accepted(request: &HeaderMap, otherwise: Form) -> Form {
    let wanted = weight::listed(request, &header::ACCEPT).filter(|(_, weight)| *weight > 0);
    let media: Vec<String> = wanted.map(|(media, _)| media.to_ascii_lowercase()).collect();
    let is_json =
        |media: &String| media == "application/json" || media == "application/*" || media.ends_with("+json");
    if media.iter().any(is_json) {
        Form::Json
    } else if media.is_empty() || media.iter().any(|media| media == "*/*") {
        otherwise
    } else {
        Form::Text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asks_for_json_gets_it() {
        for (accept, text_first, json_first) in [
            ("", Form::Text, Form::Json),
            ("*/*", Form::Text, Form::Json),
            ("text/html, */*;q=0.8", Form::Text, Form::Json),
            ("application/json", Form::Json, Form::Json),
            ("text/html, Application/Problem+JSON;q=0.5", Form::Json, Form::Json),
            ("application/*", Form::Json, Form::Json),
            ("text/html", Form::Text, Form::Text),
            ("application/json;q=0, text/plain", Form::Text, Form::Text),
        ] {
            let mut headers = HeaderMap::new();
            if !accept.is_empty() {
                headers.insert(header::ACCEPT, accept.parse().unwrap());
            }
            assert_eq!(accepted(&headers, Form::Text), text_first, "{accept}");
            assert_eq!(accepted(&headers, Form::Json), json_first, "{accept}");
        }
    }
}
