//! Tokens: make, look into, take back.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use polyfn_core::{Error, ErrorKind, Map, Result, Value};

use crate::auth::grant::{GrantError, TokenRequest, grant};
use crate::auth::made::Made;
use crate::auth::revoke::RevokeError;
use crate::auth::scope::Permission;
use crate::auth::user::UserInfo;
use crate::workspace::arguments::{denied, invalid};
use crate::workspace::manager::Call;
use crate::{clock, names};

/// `generate_token`: never more than the caller has.
pub(super) fn generate(mut call: Call) -> BoxFuture<'static, Result<Value>> {
    Box::pin(async move {
        let request = read(&call.arguments.map(0, "config")?)?;
        let (current, caller) = (&call.caller.workspace, &call.caller.user);
        let workspace = request.workspace.as_deref().unwrap_or(current);
        let owner = call.hub.registry.workspace(workspace).is_some_and(|w| w.is_owned_by(&caller.id));
        let user = grant(caller, current, owner, &request, names::random()).map_err(|error| match error {
            GrantError::Denied(text) => denied(format!("PermissionError: {text}")),
            GrantError::Invalid(text) => invalid(format!("ValueError: {text}")),
        })?;
        call.hub.registry.note_token_for(workspace);
        let auth = &call.manager.auth;
        // a provider knows nothing of narrowed tokens, and would make one that is good for more
        let token = if user.scope.narrow.is_none() && auth.makes_tokens() {
            check_room(&call).await?;
            let token = auth.token_for(&user, request.expires_in).await?;
            keep(&call, &user, &token, request.expires_in).await?;
            token
        } else {
            let token = call.manager.tokens.issue(&user, request.expires_in, clock::now());
            token.map_err(|error| Error::new(ErrorKind::Internal, error.to_string()))?
        };
        let details = format!("for {}, {} s: {}", user.id, request.expires_in, user.scope.claim());
        call.hub.audit().note(&caller.id, "generate_token", workspace, &details);
        Ok(Value::from(token))
    })
}

/// Whether one more token that a provider makes can be remembered.
///
/// # Errors
/// `overloaded` when it cannot: the token would not end with the caller's.
async fn check_room(call: &Call) -> Result<()> {
    let (made, now) = (call.manager.tokens.made(), clock::now());
    let max = call.manager.limits.max_auth_service_tokens;
    if made.len() >= max {
        call.manager.store.forget_made(now).await?;
        made.forget_expired(now);
    }
    if made.len() < max {
        return Ok(());
    }
    let text = format!(
        "{max} tokens of the auth service are good: ask for shorter ones, or try again when some have expired"
    );
    Err(call.limited("max_auth_service_tokens", text))
}

/// Remembers what a token comes of that a provider has made for `user`: the provider does not know.
async fn keep(call: &Call, user: &UserInfo, token: &str, seconds: u64) -> Result<()> {
    let (tokens, now) = (&call.manager.tokens, clock::now());
    let made = Made::new(tokens.id_of_made(token, now), user, seconds, now);
    call.manager.store.put_made(&made).await?;
    tokens.made().load([made]);
    Ok(())
}

fn read(config: &Map) -> Result<TokenRequest> {
    let text = |key: &str| match config.get(key) {
        None | Some(Value::Nil) => Ok(None),
        Some(Value::Text(text)) => Ok(Some(text.clone())),
        Some(_) => Err(invalid(format!("ValueError: '{key}' must be a string"))),
    };
    let default = TokenRequest::default();
    let permission = match text("permission")? {
        None => default.permission,
        Some(word) => Permission::from_word(&word).ok_or_else(|| {
            invalid("ValueError: 'permission' must be 'read', 'read_write' or 'admin'".to_owned())
        })?,
    };
    let expires_in = match config.get("expires_in") {
        None | Some(Value::Nil) => default.expires_in,
        Some(value) => seconds(value).ok_or_else(|| {
            invalid("ValueError: 'expires_in' must be a positive number of seconds".to_owned())
        })?,
    };
    let max_uses = match config.get("max_uses") {
        None | Some(Value::Nil) => None,
        Some(Value::Int(uses)) if u32::try_from(*uses).is_ok_and(|uses| uses > 0) => {
            u32::try_from(*uses).ok()
        }
        Some(_) => {
            return Err(invalid(format!("ValueError: 'max_uses' must be an integer from 1 to {}", u32::MAX)));
        }
    };
    Ok(TokenRequest {
        workspace: text("workspace")?,
        permission,
        expires_in,
        client_id: text("client_id")?,
        extra_scopes: texts(config, "extra_scopes")?,
        email: text("email")?,
        services: patterns(config, "services")?,
        methods: patterns(config, "methods")?,
        max_uses,
    })
}

/// An empty list would read as "none" and mean "all".
fn patterns(config: &Map, key: &str) -> Result<Vec<String>> {
    let patterns = texts(config, key)?;
    if patterns.is_empty() && config.get(key).is_some_and(|given| *given != Value::Nil) {
        return Err(invalid(format!("ValueError: '{key}' is empty: name some, or leave it out for all")));
    }
    Ok(patterns)
}

fn texts(config: &Map, key: &str) -> Result<Vec<String>> {
    let wrong = || invalid(format!("ValueError: '{key}' must be a list of strings"));
    match config.get(key) {
        None | Some(Value::Nil) => Ok(Vec::new()),
        Some(Value::List(items)) => {
            let texts = items.iter().map(|item| item.as_text().map(str::to_owned));
            texts.collect::<Option<_>>().ok_or_else(wrong)
        }
        Some(_) => Err(wrong()),
    }
}

fn seconds(value: &Value) -> Option<u64> {
    let seconds = value.as_float().filter(|seconds| *seconds >= 1.0 && *seconds < 1e12)?;
    Some(seconds as u64)
}

/// `revoke_token`: ends the token, what was made by it, and the connections of both.
pub(super) fn revoke(mut call: Call) -> BoxFuture<'static, Result<Value>> {
    Box::pin(async move {
        let token = call.arguments.text(0, "token")?;
        let tokens = Arc::clone(&call.manager.tokens);
        tokens.prepare(&token).await;
        let found = tokens.revocation(&call.caller.user, &token, clock::now());
        let revocation = found.map_err(|error| match &error {
            RevokeError::Denied(_) => denied(error.to_string()),
            RevokeError::Invalid(_) | RevokeError::Expired => invalid(error.to_string()),
        })?;
        // first where it stays: what was told to be revoked must not come back with the next start
        call.manager.store.revoke(revocation).await?;
        tokens.revoked().load([revocation]);
        tokens.revoked().forget_expired(clock::now());
        tracing::info!(id = %revocation.id, user = call.caller.user.id, workspace = call.caller.workspace, "revoked a token");
        let by = &call.caller.user.id;
        call.hub.audit().note(by, "revoke_token", &call.caller.workspace, &revocation.id.to_string());
        call.hub.end_revoked(tokens.revoked(), call.caller.peer.as_ref());
        Ok(Value::Nil)
    })
}

/// `parse_token`.
pub(super) fn parse(mut call: Call) -> BoxFuture<'static, Result<Value>> {
    Box::pin(async move {
        let token = call.arguments.text(0, "token")?;
        call.manager.tokens.prepare(&token).await;
        let user = call.manager.tokens.verify(&token, clock::now());
        let user = user.map_err(|error| invalid(format!("ValueError: Invalid token: {error}")))?;
        Ok(Value::from(serde_json::to_value(user).unwrap_or_default()))
    })
}
