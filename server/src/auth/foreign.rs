//! The place of another issuer of tokens, such as a login provider that signs with RS256.

use std::fmt;

use futures_util::future::BoxFuture;

use crate::auth::token::{Claims, TokenError};

/// Somebody else whose tokens are accepted.
///
/// The server asks in two steps, since checking a token never waits: [`Foreign::prepare`] where a request or a
/// connection comes in, then [`Foreign::claims`]. What the claims say of user, roles and scope is read like that of a
/// token of the server's own; `exp` and `nbf` are checked by the caller, and the token may have been revoked.
pub trait Foreign: fmt::Debug + Send + Sync {
    /// Fetches what is needed to check `token` and not known yet: the keys, once more when its `kid` is unknown.
    /// Whatever goes wrong shows in [`Foreign::claims`].
    fn prepare<'a>(&'a self, token: &'a str) -> BoxFuture<'a, ()>;

    /// The claims of `token`, after signature, issuer and audience were checked.
    ///
    /// # Errors
    /// Says why it is refused; [`TokenError::Algorithm`] for one that this issuer does not use, `none` among them.
    fn claims(&self, token: &str) -> Result<Claims, TokenError>;
}
