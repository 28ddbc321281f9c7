//! The first message of a websocket: who comes, into which workspace, with what right.
//!
//! Pure: time and key are arguments. What needs the list of clients (a live client of the same name, limits by
//! user and workspace) comes after this and belongs to the hub.

use std::fmt;

use http::StatusCode;
use polyfn_core::ErrorKind;
use polyfn_core::session::Extensions;
use serde::Deserialize;

use crate::auth::scope::Permission;
use crate::auth::token::{TokenError, Tokens};
use crate::auth::user::UserInfo;
use crate::limits::Limits;

/// Bytes that the reason of a websocket close frame can hold.
const CLOSE_REASON_MAX: usize = 123;
/// Characters of a name that are repeated in an error.
const SHOWN_MAX: usize = 160;

/// What a client says of itself; unknown keys are ignored.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct AuthMessage {
    /// The name it wants; without one it is refused.
    #[serde(default)]
    pub client_id: Option<String>,
    /// The workspace it wants.
    #[serde(default)]
    pub workspace: Option<String>,
    /// A bearer token.
    #[serde(default)]
    pub token: Option<String>,
    /// A token from an earlier connection; wins over `token`.
    #[serde(default)]
    pub reconnection_token: Option<String>,
    /// Extensions of the protocol that it knows.
    #[serde(default)]
    pub extensions: Vec<String>,
    /// A stranger gets a workspace that cannot be guessed; decided by the way it came.
    #[serde(skip)]
    pub secluded: bool,
}

/// Why a handshake fails: sent as `{"type":"error","message":...,"code":...}`, then the socket is closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandshakeError {
    /// Code of the close frame.
    pub code: u16,
    /// Text of the error frame, and as much of it as fits of the close frame.
    pub message: String,
    /// The same refusal as an HTTP status.
    pub status: StatusCode,
    /// By its code a client knows whether another try may help. The reference server tells the text alone.
    pub kind: ErrorKind,
    /// The limit that leaves no place, by its name in metrics.
    pub limit: Option<&'static str>,
}

/// A refusal to those who came by HTTP, and to all others.
#[derive(Clone, Copy)]
struct Why(StatusCode, ErrorKind);

impl Why {
    const INVALID: Self = Self(StatusCode::BAD_REQUEST, ErrorKind::Invalid);
    const UNAUTHORIZED: Self = Self(StatusCode::UNAUTHORIZED, ErrorKind::PermissionDenied);
    const FORBIDDEN: Self = Self(StatusCode::FORBIDDEN, ErrorKind::PermissionDenied);
    const UNAVAILABLE: Self = Self(StatusCode::SERVICE_UNAVAILABLE, ErrorKind::Overloaded);
}

impl fmt::Display for HandshakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for HandshakeError {}

impl HandshakeError {
    /// The first message is not what it should be.
    #[must_use]
    pub fn undecodable() -> Self {
        Self::new(1003, Why::INVALID, "Failed to decode authentication information")
    }

    /// No message within the time to authenticate.
    #[must_use]
    pub fn timeout() -> Self {
        let why = Why(StatusCode::REQUEST_TIMEOUT, ErrorKind::Timeout);
        Self::new(1008, why, "Authentication payload timeout")
    }

    /// The URL carries what belongs into the first message.
    #[must_use]
    pub fn legacy() -> Self {
        let text = "Connection rejected, please  upgrade to `hypha-rpc` which pass the authentication information \
                    in the first message";
        Self::new(1008, Why::INVALID, text)
    }

    /// No free place for one more handshake within the time to wait.
    #[must_use]
    pub fn busy() -> Self {
        Self::new(1013, Why::UNAVAILABLE, "Server busy, please retry")
    }

    /// The server accepts nobody any more.
    #[must_use]
    pub fn stopping() -> Self {
        Self::new(1001, Why::UNAVAILABLE, "Server is shutting down")
    }

    /// Another client of this name, at `address`, is there.
    #[must_use]
    pub fn taken(address: &str) -> Self {
        let why = format!("Client already exists and is active: {address}");
        Self { status: StatusCode::CONFLICT, kind: ErrorKind::Conflict, ..Self::establish(why) }
    }

    /// The same with the limit that leaves no place.
    #[must_use]
    pub const fn by(mut self, limit: &'static str) -> Self {
        self.limit = Some(limit);
        self
    }

    /// A limit that leaves no place now: `message` as it stands.
    #[must_use]
    pub fn refused(message: impl Into<String>) -> Self {
        Self::new(1008, Why(StatusCode::TOO_MANY_REQUESTS, ErrorKind::Overloaded), message)
    }

    /// A block: `message` as it stands.
    #[must_use]
    pub fn blocked(message: impl Into<String>) -> Self {
        Self::new(1008, Why::FORBIDDEN, message)
    }

    /// The first message is longer than the `max` bytes that are allowed.
    #[must_use]
    pub fn too_long(max: usize) -> Self {
        let text = format!("Authentication message too long: {max} bytes are allowed");
        Self::new(1008, Why(StatusCode::PAYLOAD_TOO_LARGE, ErrorKind::TooLarge), text)
    }

    /// Anything else that keeps the client out.
    #[must_use]
    pub fn establish(why: impl fmt::Display) -> Self {
        Self::new(1001, Why::FORBIDDEN, format!("Failed to establish connection: {why}"))
    }

    fn new(code: u16, Why(status, kind): Why, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), status, kind, limit: None }
    }

    fn authenticate(why: impl fmt::Display) -> Self {
        Self::establish(format_args!("Failed to authenticate user: {why}"))
    }

    /// The message cut to what a close frame can carry.
    #[must_use]
    pub fn close_reason(&self) -> &str {
        close_reason(&self.message)
    }
}

/// As much of `text` as the reason of a close frame can hold.
pub(crate) fn close_reason(text: &str) -> &str {
    let mut ends = (0..=CLOSE_REASON_MAX.min(text.len())).rev();
    let end = ends.find(|end| text.is_char_boundary(*end)).unwrap_or_default();
    &text[..end]
}

impl From<TokenError> for HandshakeError {
    fn from(error: TokenError) -> Self {
        let why = error.to_string();
        match error {
            TokenError::Unavailable(_) => Self::new(1013, Why::UNAVAILABLE, why),
            TokenError::Revoked => Self { status: StatusCode::UNAUTHORIZED, ..Self::authenticate(why) },
            _ => Self::new(1008, Why::UNAUTHORIZED, format!("Authentication error: {why}")),
        }
    }
}

/// A client that passed.
#[derive(Clone, Debug, PartialEq)]
pub struct Identity {
    /// Who it is; `scope.client_id` names this client.
    pub user: UserInfo,
    /// The workspace it joins.
    pub workspace: String,
    /// Its right there, read at least.
    pub permission: Permission,
    /// Its name there.
    pub client_id: String,
    /// It came with a reconnection token and so takes the place of a live client of its name.
    pub reconnecting: bool,
    /// Extensions of the protocol that it knows, as far as we do.
    pub extensions: Extensions,
}

impl AuthMessage {
    /// Reads the first text frame.
    ///
    /// # Errors
    /// Close code 1003 when it is not a JSON object with strings where strings belong.
    pub fn parse(text: &str) -> Result<Self, HandshakeError> {
        // through a map, since serde reads a list as a struct too
        let object: serde_json::Map<_, _> =
            serde_json::from_str(text).map_err(|_| HandshakeError::undecodable())?;
        serde_json::from_value(object.into()).map_err(|_| HandshakeError::undecodable())
    }

    /// Decides who this is, in the order of the protocol: token, its workspace, its purpose, its client, the name,
    /// the right. `now` is in seconds since 1970.
    ///
    /// # Errors
    /// The code and the text with which the connection ends.
    pub fn authenticate(
        &self,
        tokens: &Tokens,
        limits: &Limits,
        now: u64,
    ) -> Result<Identity, HandshakeError> {
        self.authenticate_known(tokens, limits, now, |_| ())
    }

    /// The same where more is known of users than their tokens say: `settle` gives and takes what follows from it.
    ///
    /// # Errors
    /// As [`AuthMessage::authenticate`].
    pub fn authenticate_known(
        &self,
        tokens: &Tokens,
        limits: &Limits,
        now: u64,
        settle: impl FnOnce(&mut UserInfo),
    ) -> Result<Identity, HandshakeError> {
        let asked = given(self.workspace.as_ref());
        let client = given(self.client_id.as_ref());
        let reconnecting = given(self.reconnection_token.as_ref()).is_some();
        let mut user = self.user(tokens, now)?;
        settle(&mut user);
        check_workspace(&user, asked)?;
        check_purpose(&user)?;
        check_client(&user, client, reconnecting)?;
        let workspace = joined(&user, asked);
        let client = client_id(client, &workspace, limits)?;
        let permission = user.permission(&workspace);
        if permission < Permission::Read {
            let name = shown(&workspace);
            return Err(HandshakeError::establish(format_args!("Permission denied for workspace: {name}")));
        }
        user.credential = user.credential.connected().map_err(HandshakeError::establish)?;
        user.scope.client_id = Some(client.to_owned());
        user.scope.current_workspace.get_or_insert_with(|| workspace.clone());
        let extensions = Extensions::from_names(self.extensions.iter().map(String::as_str));
        Ok(Identity { user, permission, client_id: client.to_owned(), workspace, reconnecting, extensions })
    }

    fn user(&self, tokens: &Tokens, now: u64) -> Result<UserInfo, HandshakeError> {
        if let Some(token) = given(self.reconnection_token.as_ref()) {
            return Ok(tokens.verify(token, now)?);
        }
        match given(self.token.as_ref()) {
            None if self.secluded => UserInfo::secluded(now).map_err(HandshakeError::establish),
            None => Ok(UserInfo::anonymous(now)),
            Some(token) if tokens.is_root(token) => {
                Ok(UserInfo::root(given(self.workspace.as_ref()).unwrap_or("ws-user-root")))
            }
            Some(token) => Ok(tokens.verify(token, now)?),
        }
    }
}

/// An empty text means the same as none.
fn given(text: Option<&String>) -> Option<&str> {
    text.map(String::as_str).filter(|text| !text.is_empty())
}

fn shown(name: &str) -> String {
    name.chars().take(SHOWN_MAX).collect()
}

fn check_workspace(user: &UserInfo, asked: Option<&str>) -> Result<(), HandshakeError> {
    match (user.current_workspace.as_deref(), asked) {
        (Some(held), Some(asked)) if held != asked => Err(HandshakeError::authenticate(format_args!(
            "Current workspace encoded in the token ({held}) does not match the specified workspace ({})",
            shown(asked)
        ))),
        _ => Ok(()),
    }
}

fn check_purpose(user: &UserInfo) -> Result<(), HandshakeError> {
    match user.scope.special() {
        words if words.is_empty() => Ok(()),
        words => Err(HandshakeError::authenticate(format_args!("{}", specialised(&words)))),
    }
}

/// The refusal of a token that is good for one purpose only.
#[must_use]
pub(crate) fn specialised(words: &[&str]) -> String {
    format!(
        "Specialized token with scopes [{}] cannot be used for general workspace access. This token can only be \
         used for its intended purpose.",
        words.join(", ")
    )
}

fn check_client(user: &UserInfo, client: Option<&str>, reconnecting: bool) -> Result<(), HandshakeError> {
    let bound = user.scope.client_id.as_deref();
    if reconnecting && (bound.is_none() || bound != client || user.current_workspace.is_none()) {
        return Err(HandshakeError::authenticate("Client id mismatch, disconnecting"));
    }
    match bound {
        Some(bound) if Some(bound) != client => Err(HandshakeError::authenticate(format_args!(
            "Client id mismatch: this token is restricted to client with client_id='{bound}'"
        ))),
        _ => Ok(()),
    }
}

/// The workspace asked for, else that of the token, else the user's own. `public` is nobody's place to connect to,
/// so users with a token get their own instead unless the token names it.
fn joined(user: &UserInfo, asked: Option<&str>) -> String {
    let named = user.scope.workspaces.iter().any(|(name, _)| name == "public");
    let instead = asked == Some("public")
        && !named
        && !user.is_anonymous
        && user.permission("public") < Permission::Read;
    let chosen = asked.filter(|_| !instead).or(user.current_workspace.as_deref());
    chosen.map_or_else(|| user.own_workspace(), str::to_owned)
}

fn client_id<'a>(
    client: Option<&'a str>,
    workspace: &str,
    limits: &Limits,
) -> Result<&'a str, HandshakeError> {
    let Some(client) = client else {
        let text = format!("Failed to authenticate user to workspace: {}", shown(workspace));
        return Err(HandshakeError::establish(text));
    };
    let plain = client.len() <= limits.max_client_id_length && client != "*";
    if plain && !client.contains(|c: char| c == '/' || c.is_control()) {
        return Ok(client);
    }
    Err(HandshakeError::establish(format_args!("Invalid client id: {}", shown(client))))
}

#[cfg(test)]
mod tests;
