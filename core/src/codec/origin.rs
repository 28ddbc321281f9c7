//! Who sent a value, and what that says about it.

use crate::extensions::Extensions;
use crate::wire::PublicKey;

/// Where a value came from: decides what relative addresses in it mean (protocol section 2.4).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// The sender, `workspace/client`.
    pub from: String,
    /// The session of the message, when it wants a reply.
    pub session: Option<String>,
    /// What the sender can do, as far as both sides named it.
    pub extensions: Extensions,
    /// The key for functions in it, known from elsewhere: it goes before any that they bring along.
    pub seal_key: Option<PublicKey>,
}

impl Origin {
    pub(super) fn absolute(&self, target: &str) -> String {
        match self.from.split_once('/') {
            Some((workspace, _)) if !target.contains('/') => format!("{workspace}/{target}"),
            _ => target.to_owned(),
        }
    }
}
