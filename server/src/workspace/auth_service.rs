//! `register_auth_service` and its end.

use futures_util::future::BoxFuture;
use polyfn_core::{Result, Value};

use crate::auth_service;
use crate::workspace::arguments::invalid;
use crate::workspace::manager::Call;
use crate::workspace::services::own_service;

/// Puts a service of the caller in charge of tokens and logins.
pub(super) fn register(mut call: Call) -> BoxFuture<'static, Result<Value>> {
    Box::pin(async move {
        auth_service::check_right(&call.caller.user)?;
        let peer = call.peer()?;
        let given = (1..OF_REFERENCE).any(|at| call.arguments.take(at) != Value::Nil);
        let Some(id) = call.arguments.take(0).as_text().map(str::to_owned).filter(|_| !given) else {
            return Err(invalid(
                "TypeError: functions that are given to a call end with it: register them as a service, in the \
                 workspace `public` or `ws-user-root`, and call register_auth_service with its id",
            ));
        };
        let service = own_service(&call, &peer, &id)?;
        let auth = &call.manager.auth;
        auth.register(&call.hub, &peer, &service)?;
        call.manager.tokens.answers().forget();
        auth.settled().await;
        Ok(Value::Nil)
    })
}

/// Parameters of `register_auth_service`, those of the reference among them.
const OF_REFERENCE: usize = 9;

/// Nobody is in charge any longer but the server itself.
pub(super) fn unregister(call: Call) -> BoxFuture<'static, Result<Value>> {
    Box::pin(async move {
        let auth = &call.manager.auth;
        let was_there = auth.unregister(&call.hub, &call.caller.user)?;
        call.manager.tokens.answers().forget();
        auth.settled().await;
        Ok(Value::Bool(was_there))
    })
}
