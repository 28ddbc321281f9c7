//! Generators of clients that HTTP requests read.

use std::fmt;
use std::sync::Arc;

use polyfn_core::session::{Extensions, Payload, SpeakAs, StreamId};
use polyfn_core::{Error, ErrorKind, Result};
use tokio::sync::mpsc::UnboundedReceiver;

use crate::auth::{Credential, Ending, TokenError};
use crate::hub::hub::Hub;

/// Whom a generator is read for: who made the call that gave it.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    /// The user, encoded by [`crate::hub::encode_user`].
    pub user: &'a [u8],
    /// The workspace that the call was made from.
    pub workspace: &'a str,
    /// What the generator's owner can do.
    pub owner: Extensions,
    /// By which token the user is known.
    pub credential: &'a Credential,
}

impl<'a> Reader<'a> {
    pub(super) fn speaks(&self, from: &'a str) -> SpeakAs<'a> {
        SpeakAs { from, workspace: self.workspace, user: self.user, receiver: self.owner }
    }
}

/// Items that came together.
#[derive(Debug)]
pub struct Batch {
    /// A list of them.
    pub items: Payload,
    /// How many there are.
    pub count: u32,
    /// How the generator ended behind them, if it did.
    pub end: Option<Result<()>>,
}

/// A generator that is being read. Its owner is told to close it when this is dropped before the end.
pub struct Reading {
    hub: Arc<Hub>,
    id: StreamId,
    batches: UnboundedReceiver<Batch>,
    /// Items that were given out last: more are asked for when they are used up.
    given: u32,
    has_ended: bool,
    /// The end of the token of whoever reads.
    ending: Ending,
}

impl fmt::Debug for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reading").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Reading {
    pub(super) fn new(hub: Arc<Hub>, id: StreamId, batches: UnboundedReceiver<Batch>) -> Self {
        Self { hub, id, batches, given: 0, has_ended: false, ending: Ending::default() }
    }

    /// Ends, too, when `ending` says so.
    #[must_use]
    pub fn until(mut self, ending: Ending) -> Self {
        self.ending = ending;
        self
    }

    /// The next items; `None` behind the end. Those of the call before count as used up.
    ///
    /// # Errors
    /// `permission_denied` as soon as the token of whoever reads has been taken back.
    pub async fn next(&mut self) -> Result<Option<Batch>> {
        if self.has_ended {
            return Ok(None);
        }
        let used = std::mem::take(&mut self.given);
        if used > 0 {
            self.hub.gateway.grant(&self.hub, self.id, used);
        }
        let batch = tokio::select! {
            biased;
            () = self.ending.revoked() => {
                self.has_ended = true;
                self.hub.gateway.stop_reading(&self.hub, self.id);
                return Err(Error::new(ErrorKind::PermissionDenied, TokenError::Revoked.to_string()));
            }
            batch = self.batches.recv() => batch,
        };
        self.has_ended = batch.as_ref().is_none_or(|batch| batch.end.is_some());
        self.given = batch.as_ref().map_or(0, |batch| batch.count);
        Ok(batch)
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        if !self.has_ended {
            self.hub.gateway.stop_reading(&self.hub, self.id);
        }
    }
}
