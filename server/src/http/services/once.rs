//! A call in one POST to `/rpc`, of somebody who has no stream: answered in JSON (protocol section 16.3).

use std::sync::Arc;

use axum::Json;
use bytes::Bytes;
use polyfn_core::codec::Reader;
use polyfn_core::{ErrorKind, Map, Value};
use serde_json::{Value as Answer, json};

use crate::auth::Permission;
use crate::http::call_error;
use crate::http::caller::Caller;
use crate::http::functions::check_free;
use crate::http::problem::Problem;
use crate::http::services::arguments::Arguments;
use crate::http::services::member::{self, Member};
use crate::http::services::{Called, invoke};
use crate::hub::{self, Selection};
use crate::state::State;

/// Makes the call that `body` asks for: `{type: "method", to: "client:service", method, args?, kwargs?}`.
///
/// # Errors
/// 400 for a body that asks for no call, 403 without the right to call in `workspace`, 404 for what is not there; the
/// status of the error with which the call ended.
pub(crate) async fn call_once(
    state: &Arc<State>,
    caller: &Caller,
    workspace: &str,
    body: Bytes,
) -> Result<Json<Answer>, Problem> {
    let metrics = &state.metrics;
    let _held = metrics.http_calls.hold();
    metrics.http_calls_total.increment();
    let called = Call::read(&body).map(|call| call.make(state, caller, workspace));
    let called = match called {
        Ok(call) => call.await,
        Err(problem) => Err(problem),
    };
    if called.is_err() {
        metrics.http_call_errors_total.increment();
    }
    Ok(Json(json!({"success": true, "result": called?})))
}

struct Call {
    service: String,
    method: String,
    arguments: Arguments,
}

impl Call {
    fn read(body: &Bytes) -> Result<Self, Problem> {
        if body.is_empty() {
            return Err(invalid("Empty request body"));
        }
        let message = Reader::new(body).value().map_err(|error| invalid(error.message()))?;
        let Value::Map(mut message) = message else { return Err(invalid("expected a map")) };
        if message.text("type") != Some("method") {
            return Err(invalid("Stateless calls require type='method'"));
        }
        let service = message.text("to").unwrap_or_default().to_owned();
        if service.split(':').count() != 2 {
            let text = "Invalid target format, expected 'client_id:service_id' (or the stream of this client is gone)";
            return Err(invalid(text));
        }
        let method = message.text("method").unwrap_or_default().to_owned();
        let positional = match message.insert("args", Value::Nil) {
            Some(Value::List(args)) => args,
            None | Some(Value::Nil) => Vec::new(),
            Some(_) => return Err(invalid("`args` must be a list")),
        };
        let named = match message.insert("kwargs", Value::Nil) {
            Some(Value::Map(named)) => named,
            None | Some(Value::Nil) => Map::new(),
            Some(_) => return Err(invalid("`kwargs` must be a map")),
        };
        Ok(Self { service, method, arguments: Arguments { positional, named } })
    }

    async fn make(mut self, state: &Arc<State>, caller: &Caller, workspace: &str) -> Result<Answer, Problem> {
        check_free(state)?;
        if !caller.user.may(Permission::ReadWrite, workspace) {
            let text = format!("Permission denied for workspace {workspace}");
            return Err(Problem::new(ErrorKind::PermissionDenied, text));
        }
        let asks = hub::Caller::new(Arc::clone(&caller.user), workspace.to_owned());
        let found = state.hub.find_service(&self.service, &asks, Selection::new(None)).await;
        let service = found.map_err(|error| of_call(&error))?;
        if member::find(&service, &self.method) != Member::Function {
            let text = format!("Method '{}' not found", self.method);
            return Err(Problem::new(ErrorKind::NotFound, text));
        }
        caller.check_call(&service, &self.method)?;
        self.arguments.drop_context(&service);
        let called = Called { service: &service, function: &self.method, speaks_in: workspace, trace: None };
        let made = invoke(state, caller, &called, self.arguments).await;
        let value = made.and_then(|payload| payload.value()?.to_json());
        value.map_err(|error| of_call(&error).with_status(call_error::status_of_call(&error)))
    }
}

fn of_call(error: &polyfn_core::Error) -> Problem {
    Problem::new(error.kind(), call_error::shown(error)).with_status(call_error::status(error))
}

fn invalid(text: impl Into<String>) -> Problem {
    Problem::new(ErrorKind::Invalid, text)
}
