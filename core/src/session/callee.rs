//! A function that is to be called, and what its calls must be.

use std::sync::Arc;

use super::access::Trusted;
use super::event::Payload;
use crate::codec::Handle;
use crate::functions::Signature;
use crate::schema::Arguments;
use crate::wire::{Header, PublicKey};
use crate::{Error, ErrorKind, Result};

/// Who may call a function, as far as keys say it.
pub(super) enum Admits {
    /// Callers with one of these keys; everybody where there are none.
    Trusted(Trusted),
    /// The one that the function was given to, under the seal that it was given under.
    Receiver(Option<PublicKey>),
}

/// A function that is to be called.
pub(super) struct Callee {
    pub(super) handle: Handle,
    pub(super) wants_context: bool,
    /// How it takes events of HTTP requests, where it answers them.
    pub(super) takes_events: Option<Signature>,
    pub(super) arguments: Option<Arc<Arguments>>,
    pub(super) admits: Admits,
}

impl Callee {
    /// A function that was given away in a message, sealed to `key`.
    pub(super) const fn given(handle: Handle, key: Option<PublicKey>) -> Self {
        Self {
            handle,
            wants_context: false,
            takes_events: None,
            arguments: None,
            admits: Admits::Receiver(key),
        }
    }

    /// Whether a caller with `key` may call it.
    ///
    /// # Errors
    /// `permission_denied`, in the words of the reference.
    pub(super) fn admits(&self, header: &Header<'_>, key: Option<PublicKey>) -> Result<()> {
        let (admitted, why) = match &self.admits {
            Admits::Trusted(Some(trusted)) => (&**trusted, "trusted_keys is set"),
            Admits::Receiver(Some(receiver)) => {
                (std::slice::from_ref(receiver), "it was given in an encrypted message")
            }
            _ => return Ok(()),
        };
        let method = format_args!("{}:{}", header.from, header.method);
        let text = match key {
            Some(key) if admitted.contains(&key) => return Ok(()),
            Some(_) => format!("Caller's public key is not in the trusted keys list for {method}"),
            None => format!("Encryption required for method {method} ({why})"),
        };
        Err(Error::new(ErrorKind::PermissionDenied, text).with_class("PermissionError"))
    }

    /// Whether the arguments are as declared.
    ///
    /// # Errors
    /// `invalid` when they are not.
    pub(super) fn check(&self, payload: &Payload) -> Result<()> {
        let Some(arguments) = &self.arguments else { return Ok(()) };
        let (positional, keywords) = payload.values()?;
        arguments.check(&positional, &keywords)
    }
}
