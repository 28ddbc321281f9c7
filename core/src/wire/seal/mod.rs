//! End-to-end encryption: the second segment sealed for one receiver (protocol section 12).
//!
//! `crypto_box` of libsodium: X25519, XSalsa20-Poly1305. The routing stays readable, for the server needs it. What we seal
//! names inside what it is for, so that nobody on the way can use it for something else.

mod bound;
mod keys;

use std::sync::Arc;

use bytes::Bytes;
use crypto_box::aead::AeadInPlace;
use crypto_box::{Nonce, SalsaBox, Tag};

pub use bound::Number;
pub use keys::{KEY_BYTES, KeyPair, PublicKey};

use super::{Body, Header};
use crate::codec::{Reader, Token, Writer};
use crate::{Error, ErrorKind, Result};

/// The version of the envelope, the only one there is.
const VERSION: i64 = 2;
const NONCE_BYTES: usize = 24;
const TAG_BYTES: usize = 16;

/// The secret that two peers share: it seals and opens what they send to each other.
#[derive(Clone)]
pub struct Cipher {
    cipher: Arc<SalsaBox>,
    mine: PublicKey,
}

impl std::fmt::Debug for Cipher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cipher").field("mine", &self.mine).finish_non_exhaustive()
    }
}

impl Cipher {
    /// The secret that `pair` shares with the owner of `other`.
    pub fn new(pair: &KeyPair, other: PublicKey) -> Self {
        let other = crypto_box::PublicKey::from_bytes(*other.as_bytes());
        Self { cipher: Arc::new(SalsaBox::new(&other, pair.secret())), mine: pair.public() }
    }

    /// Seals the second segment of `frame`. `nonce` must never be used again.
    ///
    /// # Errors
    /// `invalid` for a frame that is not one.
    ///
    /// ```
    /// use bytes::Bytes;
    /// use polyfn_core::codec::{Walk, Writer};
    /// use polyfn_core::wire::{Body, Cipher, Content, Header, KeyPair, Number, Route};
    /// use polyfn_core::{Map, Value};
    /// let (ann, bob) = (KeyPair::new([1; 32]), KeyPair::new([2; 32]));
    /// let mut out = Writer::new();
    /// Route { from: "lab/ann", to: "lab/bob", method: "services.calc.add", ..Route::default() }.write(&mut out)?;
    /// Value::Map(Map::from_iter([("args", vec![Value::from(1)])])).walk(&mut out)?;
    /// let number = Number { stream: 5, at: 1 };
    /// let sealed = Cipher::new(&ann, bob.public()).seal(&out.into_bytes().into(), number, [0; 24])?;
    ///
    /// let header = Header::parse(&sealed)?;
    /// let Content::Sealed(envelope) = Content::parse(&sealed, header.end)? else { panic!("it is sealed") };
    /// let opened = envelope.open(&Cipher::new(&bob, envelope.sender), &header)?;
    /// assert_eq!((opened.number, Body::parse(&opened.segment, 0)?.args), (Some(number), Bytes::from_static(&[0x91, 1])));
    /// # Ok::<(), polyfn_core::Error>(())
    /// ```
    pub fn seal(&self, frame: &Bytes, number: Number, nonce: [u8; NONCE_BYTES]) -> Result<Bytes> {
        let header = Header::parse(frame)?;
        let mut sealed = bound::bind(&header, &frame[header.end..], number, TAG_BYTES)?;
        let (room, plain) = sealed.split_at_mut(TAG_BYTES);
        let tag = self.cipher.encrypt_in_place_detached(&Nonce::from(nonce), &[], plain);
        room.copy_from_slice(
            &tag.map_err(|_| Error::new(ErrorKind::Internal, "a message could not be encrypted"))?,
        );
        let mut out = Writer::after(frame[..header.end].to_vec());
        out.open_map(2)?;
        out.text("_enc")?;
        out.open_map(3)?;
        out.text("v")?;
        out.int(VERSION)?;
        out.text("pub")?;
        out.bytes(self.mine.as_bytes())?;
        out.text("nonce")?;
        out.bytes(&nonce)?;
        out.close();
        out.text("data")?;
        out.bytes(&sealed)?;
        out.close();
        Ok(out.into_bytes().into())
    }
}

/// The second segment as it came.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// Readable by everybody on the way.
    Plain(Body),
    /// To be opened first.
    Sealed(Envelope),
}

/// A sealed second segment.
#[derive(Clone, Debug, PartialEq)]
pub struct Envelope {
    /// Who sealed it, if it can be opened.
    pub sender: PublicKey,
    /// The number that the sender never used before for the same receiver.
    pub nonce: [u8; NONCE_BYTES],
    data: Bytes,
}

/// What was in an envelope.
#[derive(Clone, Debug, PartialEq)]
pub struct Opened {
    /// The second segment.
    pub segment: Bytes,
    /// Which message of its sender it is; `None` from peers that do not say it.
    pub number: Option<Number>,
}

impl Content {
    /// Reads segment 2 of `frame`, which begins at `start` and may be absent.
    ///
    /// # Errors
    /// `invalid` for a malformed segment, a reserved key in it, or readable keys beside sealed ones.
    pub fn parse(frame: &Bytes, start: usize) -> Result<Self> {
        match Envelope::find(frame, start)? {
            Some(envelope) => Ok(Self::Sealed(envelope)),
            None => Body::parse(frame, start).map(Self::Plain),
        }
    }
}

impl Envelope {
    /// The envelope in segment 2 of `frame`, which begins at `start`; `None` where it is readable.
    pub(crate) fn find(frame: &Bytes, start: usize) -> Result<Option<Self>> {
        let mut reader = Reader::new(frame).starting_at(start);
        if reader.is_at_end() || reader.map()? != 2 {
            return Ok(None);
        }
        let (mut head, mut data) = (None, None);
        for _ in 0..2 {
            match reader.text()? {
                "_enc" => head = Some(Self::head(&mut reader)?),
                "data" => data = Some(reader.scalar()?),
                _ => return Ok(None),
            }
        }
        match (head, data) {
            (Some((sender, nonce)), Some(Token::Bytes(data))) => {
                Ok(Some(Self { sender, nonce, data: frame.slice_ref(data) }))
            }
            (None, _) => Ok(None),
            _ => Err(Error::invalid("an encrypted message lacks its `data`")),
        }
    }

    fn head(reader: &mut Reader<'_>) -> Result<(PublicKey, [u8; NONCE_BYTES])> {
        let (mut version, mut sender, mut nonce) = (None, None, None);
        for _ in 0..reader.map()? {
            match (reader.text()?, reader.scalar()?) {
                ("v", Token::Int(number)) => version = Some(number),
                ("pub", Token::Bytes(key)) => sender = Some(PublicKey::from_slice(key)?),
                ("nonce", Token::Bytes(bytes)) => nonce = bytes.try_into().ok(),
                _ => {}
            }
        }
        match (version, sender, nonce) {
            (Some(VERSION), Some(sender), Some(nonce)) => Ok((sender, nonce)),
            (Some(VERSION), ..) => Err(Error::invalid("an encrypted message lacks its key or its nonce")),
            _ => Err(Error::invalid(format!("encryption is known in version {VERSION} only"))),
        }
    }

    /// Opens it. `header` is the first segment, under which it came.
    ///
    /// # Errors
    /// `permission_denied` when it was sealed for somebody else, was changed, or was made for another call.
    pub fn open(&self, cipher: &Cipher, header: &Header<'_>) -> Result<Opened> {
        let refused = || {
            let text = format!(
                "Decryption failed for method {}:{}. Invalid key or tampered data.",
                header.from, header.method
            );
            Error::new(ErrorKind::PermissionDenied, text).with_class("PermissionError")
        };
        let (tag, sealed) = self.data.split_first_chunk::<TAG_BYTES>().ok_or_else(refused)?;
        let mut plain = sealed.to_vec();
        cipher
            .cipher
            .decrypt_in_place_detached(&Nonce::from(self.nonce), &[], &mut plain, &Tag::from(*tag))
            .map_err(|_| refused())?;
        let segment = Bytes::from(plain);
        let number = bound::check(header, &segment)?;
        Ok(Opened { segment, number })
    }
}

/// Readable keys beside sealed ones: anybody on the way could have put them there.
pub(super) fn beside() -> Error {
    Error::invalid("an encrypted message may hold nothing beside what is encrypted")
}
