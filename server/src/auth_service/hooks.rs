//! What the service is asked: whose a token is, where it is in a request, and for a new one.

use std::borrow::Cow;

use futures_util::future::BoxFuture;
use http::request::Parts;
use polyfn_core::{Error, ErrorKind, Map, Result, Value};

use super::{AuthService, not_connected, user};
use crate::auth::provider::Provider;
use crate::auth::{TokenError, UserInfo};

/// Bytes of a token.
const TOKEN_MAX: usize = 16 << 10;
/// Characters of a refusal.
const TEXT_MAX: usize = 200;

impl Provider for AuthService {
    fn is_there(&self) -> bool {
        self.lasting("parse_token").is_some()
    }

    fn parse<'a>(&'a self, token: &'a str) -> BoxFuture<'a, std::result::Result<UserInfo, TokenError>> {
        Box::pin(async move {
            let answer = self.ask("parse_token", vec![Value::from(token)]).await;
            let told = answer.map_err(|error| refusal(&error))?;
            if told == Value::Nil {
                return Err(TokenError::Claim("the login service does not know this token".to_owned()));
            }
            user::read(told).map_err(|error| {
                tracing::warn!(%error, "the auth service told of a user that is none");
                TokenError::Claim(format!(
                    "the login service told of a user that is none: {}",
                    error.message()
                ))
            })
        })
    }
}

/// That nobody could be asked is told apart from a no.
fn refusal(error: &Error) -> TokenError {
    let text = shown(error);
    match error.kind() {
        ErrorKind::PeerGone => TokenError::Unavailable(not_connected().message().to_owned()),
        ErrorKind::Timeout | ErrorKind::Overloaded | ErrorKind::Cancelled => TokenError::Unavailable(text),
        _ => TokenError::Claim(text),
    }
}

/// The last line of an error, which says what is wrong; those before it tell where.
fn shown(error: &Error) -> String {
    let line = error.message().lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default();
    line.chars().filter(|c| !c.is_control()).take(TEXT_MAX).collect()
}

impl AuthService {
    async fn ask(&self, hook: &str, args: Vec<Value>) -> Result<Value> {
        let root = self.hub.upgrade().ok_or_else(not_connected)?.root_user();
        self.call(hook, &root, args, Map::new()).await
    }

    /// Whether requests without a token in the usual places are to be shown to it. While it is gone they are those of
    /// strangers: most are, and what is public is to go on.
    pub(crate) fn finds_tokens(&self) -> bool {
        self.has("get_token")
    }

    /// The token of a request, where the service finds one.
    ///
    /// # Errors
    /// `unavailable` when it could not be asked, or what it says.
    pub(crate) async fn token_of(&self, parts: &Parts) -> std::result::Result<Option<String>, TokenError> {
        match self.ask("get_token", vec![scope(parts)]).await {
            Ok(Value::Text(token)) if token.len() <= TOKEN_MAX && !token.is_empty() => Ok(Some(token)),
            Ok(Value::Nil) => Ok(None),
            Ok(Value::Text(token)) if token.is_empty() => Ok(None),
            Ok(_) => Err(TokenError::Claim("the login service found a token that is none".to_owned())),
            Err(error) => Err(refusal(&error)),
        }
    }

    /// Whether tokens are made by it.
    pub(crate) fn makes_tokens(&self) -> bool {
        self.lasting("generate_token").is_some()
    }

    /// A token for `user`, made by the service.
    ///
    /// # Errors
    /// What it says; `internal` when it makes none.
    pub(crate) async fn token_for(&self, user: &UserInfo, seconds: u64) -> Result<String> {
        let told = Value::from(serde_json::to_value(user).unwrap_or_default());
        let seconds = Value::Int(i64::try_from(seconds).unwrap_or(i64::MAX));
        match self.ask("generate_token", vec![told, seconds]).await? {
            Value::Text(token) if !token.is_empty() && token.len() <= TOKEN_MAX => Ok(token),
            _ => Err(Error::new(ErrorKind::Internal, "the login service has made no token")),
        }
    }
}

/// The request in the form in which web frameworks of Python know it, headers as bytes.
fn scope(parts: &Parts) -> Value {
    let bytes = |bytes: &[u8]| Value::Bytes(bytes::Bytes::copy_from_slice(bytes));
    let pair = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
        Value::List(vec![bytes(name.as_str().as_bytes()), bytes(value.as_bytes())])
    };
    let path = percent_encoding::percent_decode_str(parts.uri.path()).decode_utf8_lossy();
    Value::Map(Map::from_iter([
        ("type", Value::from("http")),
        ("method", Value::from(parts.method.as_str())),
        ("path", Value::from(Cow::into_owned(path))),
        ("query_string", bytes(parts.uri.query().unwrap_or_default().as_bytes())),
        ("headers", Value::List(parts.headers.iter().map(pair).collect())),
    ]))
}
