//! Who asks, with what rights, from a request's parts.

use std::sync::{Arc, OnceLock};

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::request::Parts;
use bytes::Bytes;
use polyfn_core::ErrorKind;

use crate::auth::handshake::specialised;
use crate::auth::{Permission, TokenError, UserInfo, identify};
use crate::clock;
use crate::http::problem::Problem;
use crate::hub::{Service, check_call, encode_user};
use crate::state::State;

/// The user behind an HTTP request; as an argument of a handler it answers bad tokens with 401.
///
/// # Examples
/// ```
/// use polyfn_server::http::Caller;
/// async fn handler(caller: Caller) -> String {
///     caller.user.id.clone()
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Caller {
    /// Who asks; of strangers each request is somebody else.
    pub user: Arc<UserInfo>,
    /// The same as functions are told of it, once it was asked for.
    encoded: OnceLock<Bytes>,
    is_stranger: bool,
}

impl Caller {
    /// The caller of a request with these headers.
    ///
    /// # Errors
    /// 401 for a token that is not accepted, 403 for one that is good for another purpose only.
    pub fn from_headers(state: &State, headers: &HeaderMap) -> Result<Self, Problem> {
        let user = identify::user(headers, &state.tokens, clock::now()).map_err(|error| refused(&error))?;
        let Some(mut user) = user else { return Ok(Self::new(UserInfo::anonymous_http(), true)) };
        state.hub.registry.settle(&mut user);
        match user.scope.special() {
            words if words.is_empty() => Ok(Self::new(user, false)),
            words => Err(Problem::new(ErrorKind::PermissionDenied, specialised(&words))),
        }
    }

    fn new(user: UserInfo, is_stranger: bool) -> Self {
        Self { user: Arc::new(user), encoded: OnceLock::new(), is_stranger }
    }

    /// The workspace in which the caller acts when asking for something in `asked`.
    #[must_use]
    pub fn workspace(&self, asked: &str) -> String {
        identify::acting_workspace(&self.user, Some(asked))
    }

    /// Whether nothing is known of the caller: the request came without a token.
    #[must_use]
    pub const fn is_stranger(&self) -> bool {
        self.is_stranger
    }

    /// The user as functions and services are told of it, encoded once.
    #[must_use]
    pub fn encoded(&self, state: &State) -> Bytes {
        let encode = || match self.is_stranger {
            true => state.strangers.encode(&self.user.id),
            false => encode_user(&self.user),
        };
        self.encoded.get_or_init(encode).clone()
    }

    /// Whether the caller may do in `workspace` what needs `right`. Narrowed tokens are good for calls alone, and those
    /// are asked for with [`Caller::check_call`].
    #[must_use]
    pub fn may(&self, right: Permission, workspace: &str) -> bool {
        self.user.scope.narrow.is_none() && self.user.may(right, workspace)
    }

    /// Checks that the caller's token is good for a method of `service`, by its path there, and takes one of its uses.
    ///
    /// # Errors
    /// 403 when it is not; 401 when it has been used too often.
    pub fn check_call(&self, service: &Service, method: &str) -> Result<(), Problem> {
        let Some(narrow) = self.user.scope.narrow.as_deref() else { return Ok(()) };
        let place = (&*service.workspace, &*service.client, &*service.name);
        check_call(narrow, place, method)
            .map_err(|error| Problem::new(ErrorKind::PermissionDenied, error.message()))?;
        if self.user.credential.take_use() { Ok(()) } else { Err(refused(&TokenError::Spent)) }
    }
}

pub(super) fn refused(error: &TokenError) -> Problem {
    match error {
        TokenError::Unavailable(why) => Problem::unavailable(why),
        error => Problem::unauthorized(error.to_string()),
    }
}

impl FromRequestParts<Arc<State>> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &Arc<State>) -> Result<Self, Problem> {
        Self::from_headers(state, &parts.headers)
    }
}
