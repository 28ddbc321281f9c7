//! Where a session seals and opens (protocol section 12).

use bytes::Bytes;

use super::draft::CallSpec;
use super::event::Time;
use super::sealer::{Seal, Sealer};
use super::session::Session;
use crate::wire::{Body, Envelope, Header, PublicKey, Reply};
use crate::{Error, Result};

/// Segment 2 of a message, readable, and whose key it was sealed with.
pub(super) struct Said {
    pub(super) body: Body,
    pub(super) key: Option<PublicKey>,
}

/// Segment 2 of a message: it begins at `start` of `bytes`.
pub(super) struct Segment {
    pub(super) bytes: Bytes,
    pub(super) start: usize,
    pub(super) key: Option<PublicKey>,
}

impl Said {
    /// Of a message that cannot be read: the reply goes where every caller takes one.
    pub(super) fn nothing() -> Self {
        Self { body: Body { reply: Reply::Session, ..Body::default() }, key: None }
    }
}

impl Session {
    /// The own public key, where the session encrypts.
    pub fn public_key(&self) -> Option<PublicKey> {
        self.sealer.as_ref().map(Sealer::public)
    }

    /// Tells a session that encrypts the time, before it begins to speak with somebody.
    pub const fn tell_time(&mut self, now: Time) {
        if let Some(sealer) = self.sealer.as_mut() {
            sealer.tell_time(now);
        }
    }

    /// What a call is sealed with, where it is to be.
    pub(super) fn seal_for(&mut self, spec: &CallSpec<'_>) -> Result<Option<Box<Seal>>> {
        if self.sealer.is_none() && spec.seal_answer.is_some() {
            return Err(Error::invalid(
                "encryption_public_key needs a connection with encryption: connect with `encryption` set",
            ));
        }
        Ok(self.seal_to(spec.seal_to))
    }

    /// What a message is sealed with; nothing without a key of either side.
    pub(super) fn seal_to(&mut self, key: Option<PublicKey>) -> Option<Box<Seal>> {
        Some(Box::new(self.sealer.as_mut()?.seal_to(key?)))
    }

    /// Seals a message that needs nobody's objects.
    pub(super) fn sealed(&mut self, frame: Vec<u8>, key: Option<PublicKey>) -> Result<Bytes> {
        let frame = Bytes::from(frame);
        self.seal_to(key).map_or(Ok(frame.clone()), |seal| seal.apply(&frame))
    }

    /// Reads segment 2 of a message, opening it where it is sealed.
    ///
    /// # Errors
    /// `invalid` for a malformed one, `permission_denied` for one that cannot be opened, `conflict` for one that came
    /// before.
    pub(super) fn read_body(&mut self, frame: &Bytes, header: &Header<'_>) -> Result<Said> {
        let Segment { bytes, start, key } = self.read_segment(frame, header)?;
        Ok(Said { body: Body::parse(&bytes, start)?, key })
    }

    /// Finds segment 2 of a message, opening it where it is sealed.
    ///
    /// # Errors
    /// As [`Session::read_body`].
    pub(super) fn read_segment(&mut self, frame: &Bytes, header: &Header<'_>) -> Result<Segment> {
        let Some(envelope) = Envelope::find(frame, header.end)? else {
            return Ok(Segment { bytes: frame.clone(), start: header.end, key: None });
        };
        let sealer = self.sealer.as_mut().ok_or_else(|| {
            Error::invalid(format!(
                "the call of {} is encrypted, but its receiver is connected without encryption",
                header.method
            ))
        })?;
        Ok(Segment { bytes: sealer.open(&envelope, header)?, start: 0, key: Some(envelope.sender) })
    }
}
