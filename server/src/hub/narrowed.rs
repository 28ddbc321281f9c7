//! What clients with a narrowed token may send: calls of the services and methods that it names, and answers.
//!
//! Only the routing segment is looked at. A message in parts holds the name of its method in the first part, where the
//! server does not look; so these clients send none.

use polyfn_core::wire::{Relayed, is_extension};
use polyfn_core::{Error, ErrorKind};

use crate::auth::{Narrow, TokenError};
use crate::hub::peer::{Caller, Peer};
use crate::hub::service::Service;

impl Peer {
    /// Whether what the client sends to `client` in `workspace` is within its token; takes one of its uses for a call.
    ///
    /// # Errors
    /// `permission_denied` for what is not.
    pub(super) fn check_narrow(
        &self,
        workspace: &str,
        client: &str,
        relayed: &Relayed<'_>,
    ) -> Result<(), Error> {
        let Some(narrow) = self.user.scope.narrow.as_deref() else { return Ok(()) };
        if is_extension(relayed.kind) {
            return Ok(());
        }
        if relayed.kind != "method" || client == "*" {
            return Err(denied("it sends no events"));
        }
        let Some(path) = relayed.method.strip_prefix("services.") else { return Ok(()) };
        if path == "built-in.ping" || path.starts_with("_rintf_") {
            return Ok(());
        }
        let (service, method) = path.split_once('.').unwrap_or((path, ""));
        check_call(narrow, (workspace, client, service), method)?;
        if self.user.credential.take_use() { Ok(()) } else { Err(spent()) }
    }
}

impl Service {
    /// Whether the caller's token is good for this service, in its workspace and by its name, if it is a narrowed one.
    #[must_use]
    pub fn is_within(&self, caller: &Caller) -> bool {
        let narrow = caller.user.scope.narrow.as_deref();
        narrow.is_none_or(|narrow| {
            !self.is_built_in() && narrow.admits_service(&self.workspace, &self.client, &self.name)
        })
    }
}

/// Whether a narrowed token is good for a method of the service `(workspace, client, name)`.
///
/// # Errors
/// `permission_denied` if it is not.
pub(crate) fn check_call(narrow: &Narrow, service: (&str, &str, &str), method: &str) -> Result<(), Error> {
    let (workspace, client, name) = service;
    if name == "built-in" {
        let text = "it sends no messages in parts, which are those of more than 256 kB, and asks clients for nothing \
                    but a ping";
        return Err(denied(text));
    }
    if narrow.admits_service(workspace, client, name) && narrow.admits_method(method) {
        return Ok(());
    }
    let [name, method] = [name, method].map(|text| text.chars().take(64).collect::<String>());
    Err(denied(&format!("it is not good for calling `{name}.{method}`")))
}

/// The refusal of a use too many.
fn spent() -> Error {
    Error::new(ErrorKind::PermissionDenied, format!("PermissionError: {}", TokenError::Spent))
}

fn denied(why: &str) -> Error {
    Error::new(ErrorKind::PermissionDenied, format!("PermissionError: this token is narrowed: {why}"))
}
