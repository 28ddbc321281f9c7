//! How the function `serve` of a service wants to be called.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use polyfn_core::apps::{self, Kind};
use polyfn_core::codec::Writer;
use polyfn_core::session::Payload;
use polyfn_core::{ErrorKind, Map, Value};

use super::Asked;
use super::upload::Part;
use crate::http::functions::Refusal;
use crate::http::problem::Problem;
use crate::http::trace::trace;
use crate::hub::{CallRequest, Callbacks, Names, Service};

/// The call of an app, which owns all that it needs.
pub(super) type Call = BoxFuture<'static, Ended>;
pub(super) type Ended = polyfn_core::Result<Payload>;

/// The functions that every call gives along, by their places.
pub(super) const NAMES: [&str; 2] = ["receive", "send"];
pub(super) const RECEIVE: usize = 0;

/// How `serve` takes its arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// `serve({"scope": ..., "receive": ..., "send": ...})`.
    One,
    /// The same with `request`, the first message that `receive` would give, if it is here already. `send` may be called
    /// with several messages at once, and the last of them may be the result of `serve`. `config.app_protocol: 2`.
    Batched,
    /// `serve(scope, receive, send)`: an ASGI app that was registered as it is.
    Three,
}

impl Style {
    /// How the service's function is declared to take them.
    ///
    /// # Errors
    /// 404 for a service without the function.
    pub(super) fn of(service: &Service) -> Result<Self, Refusal> {
        let schema = service.told.tree().get("service_schema").and_then(Value::as_map);
        let Some(serve) = schema.and_then(|schema| schema.get("serve")).and_then(Value::as_map) else {
            let text = format!("the service {} has no function `serve`", service.name);
            return Err(Problem::new(ErrorKind::NotFound, text).into());
        };
        let properties = ["function", "parameters", "properties"]
            .iter()
            .try_fold(serve, |map, key| map.get(key).and_then(Value::as_map));
        let has_all = |known: &Map| ["scope", "receive", "send"].iter().all(|name| known.contains(name));
        if properties.is_some_and(has_all) {
            return Ok(Self::Three);
        }
        let config = service.told.config();
        let protocol = config.and_then(|config| config.get("app_protocol"));
        Ok(if protocol == Some(&Value::Int(2)) { Self::Batched } else { Self::One })
    }

    pub(super) const fn args(self) -> usize {
        match self {
            Self::One | Self::Batched => 1,
            Self::Three => 3,
        }
    }

    /// Writes the arguments. `first` writes what of the request is here already.
    pub(super) fn write(
        self,
        out: &mut Writer,
        names: Names,
        scope: impl FnOnce(&mut Writer) -> polyfn_core::Result<()>,
        first: Option<impl FnOnce(&mut Writer) -> polyfn_core::Result<()>>,
    ) -> polyfn_core::Result<()> {
        let one = self != Self::Three;
        if one {
            out.open_map(3 + usize::from(first.is_some()))?;
            out.text("scope")?;
        }
        scope(out)?;
        for (index, name) in NAMES.iter().enumerate() {
            if one {
                out.text(name)?;
            }
            names.write(index, out)?;
        }
        if one {
            if let Some(first) = first {
                out.text("request")?;
                first(out)?;
            }
            out.close();
        }
        Ok(())
    }
}

/// Prepares the call: what of the request is here already goes along as `first`, where the app takes that.
pub(super) fn call(
    asked: &Asked<'_>,
    kind: Kind<'_>,
    style: Style,
    callbacks: &Callbacks,
    first: Option<Option<Part>>,
) -> Result<Call, Refusal> {
    let state = Arc::clone(asked.state);
    let user = asked.caller.encoded(&state);
    let names = callbacks.names();
    // written once more into the call, where functions can be
    let mut scope = Writer::new();
    asked
        .write_scope(kind, &user, &mut scope)
        .map_err(|error| Refusal::of_call(&state, asked.caller, asked.service, &error))?;
    let scope = scope.into_bytes();
    let (target, method) = (asked.service.address(), asked.method());
    let workspace = asked.place.workspace.to_string();
    let trace = trace(&asked.parts.headers).map(str::to_owned);
    Ok(Box::pin(async move {
        let first = first.map(|part| {
            move |out: &mut Writer| match part {
                Some(part) => apps::write_request(out, &part.data, part.more),
                None => out.nil(),
            }
        });
        let request = CallRequest {
            user: &user,
            workspace: &workspace,
            target: &target,
            method: &method,
            args: style.args(),
            with_kwargs: false,
            write: |out: &mut Writer| style.write(out, names, |out| out.raw(&scope), first),
            timeout: state.config.limits.http_call_timeout.duration(),
            trace: trace.as_deref(),
        };
        state.hub.gateway.call_lasting(&state.hub, request).await
    }))
}
