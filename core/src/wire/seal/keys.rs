//! Keys of X25519, as 32 bytes or 64 hexadecimal digits.

use std::fmt;
use std::str::FromStr;

use crypto_box::SecretKey;

use crate::{Error, Result};

/// How many bytes a key has.
pub const KEY_BYTES: usize = 32;

/// The key by which others know a peer: what is sealed to it, only the owner of its private twin can read.
///
/// ```
/// use polyfn_core::wire::KeyPair;
/// let pair = KeyPair::new([7; 32]);
/// let text = pair.public().to_string();
/// assert_eq!(text.len(), 64);
/// assert_eq!(text.parse(), Ok(pair.public()));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey([u8; KEY_BYTES]);

/// Points of small order: a secret shared with one of them is known to everybody, so they prove nothing.
const KNOWN_TO_ALL: [[u8; KEY_BYTES]; 7] = [
    [0; KEY_BYTES],
    edge(1, 0, 0),
    edge(0xec, 0xff, 0x7f),
    edge(0xed, 0xff, 0x7f),
    edge(0xee, 0xff, 0x7f),
    [
        0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f, 0xc4, 0x6a, 0xda,
        0x09, 0x8d, 0xeb, 0x9c, 0x32, 0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00,
    ],
    [
        0x5f, 0x9c, 0x95, 0xbc, 0xa3, 0x50, 0x8c, 0x24, 0xb1, 0xd0, 0xb1, 0x55, 0x9c, 0x83, 0xef, 0x5b, 0x04,
        0x44, 0x5c, 0xc4, 0x58, 0x1c, 0x8e, 0x86, 0xd8, 0x22, 0x4e, 0xdd, 0xd0, 0x9f, 0x11, 0x57,
    ],
];

const fn edge(first: u8, middle: u8, last: u8) -> [u8; KEY_BYTES] {
    let mut point = [middle; KEY_BYTES];
    point[0] = first;
    point[KEY_BYTES - 1] = last;
    point
}

impl PublicKey {
    /// A key from its bytes.
    ///
    /// # Errors
    /// `invalid` for another length, or for a key whose secrets everybody can compute.
    pub fn from_slice(bytes: &[u8]) -> Result<Self> {
        let key: [u8; KEY_BYTES] = bytes.try_into().map_err(|_| {
            Error::invalid(format!("a public key has {KEY_BYTES} bytes, this one has {}", bytes.len()))
        })?;
        let mut canonical = key;
        canonical[KEY_BYTES - 1] &= 0x7f;
        if KNOWN_TO_ALL.contains(&canonical) {
            return Err(Error::invalid(
                "this public key protects nothing: everybody can compute its secrets",
            ));
        }
        Ok(Self(key))
    }

    /// A key as a user writes it: its 32 bytes, or 64 hexadecimal digits.
    ///
    /// # Errors
    /// `invalid` for anything else.
    pub fn read(text: &[u8]) -> Result<Self> {
        read(text, "public").and_then(|bytes| Self::from_slice(&bytes))
    }

    /// The bytes.
    pub const fn as_bytes(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

impl FromStr for PublicKey {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        from_hex(text.as_bytes(), "public").and_then(|bytes| Self::from_slice(&bytes))
    }
}

/// A private key with its public twin. The private part is never shown.
#[derive(Clone)]
pub struct KeyPair {
    secret: SecretKey,
    public: PublicKey,
}

impl KeyPair {
    /// The pair of a private key.
    pub fn new(private: [u8; KEY_BYTES]) -> Self {
        let secret = SecretKey::from_bytes(private);
        let public = PublicKey(secret.public_key().to_bytes());
        Self { secret, public }
    }

    /// A pair as a user gives it: each key in 32 bytes or 64 hexadecimal digits; the public one may be left out.
    ///
    /// # Errors
    /// `invalid` for a key of another form, or a public key that belongs to another private one.
    pub fn read(private: &[u8], public: Option<&[u8]>) -> Result<Self> {
        let pair = Self::new(read(private, "private")?);
        match public.map(PublicKey::read).transpose()? {
            Some(public) if public != pair.public => Err(Error::invalid(format!(
                "public key {public} does not belong to the private key that is given"
            ))),
            _ => Ok(pair),
        }
    }

    /// The public key.
    pub const fn public(&self) -> PublicKey {
        self.public
    }

    pub(super) const fn secret(&self) -> &SecretKey {
        &self.secret
    }
}

impl fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyPair").field("public", &self.public).finish_non_exhaustive()
    }
}

fn read(text: &[u8], which: &str) -> Result<[u8; KEY_BYTES]> {
    text.try_into().or_else(|_| from_hex(text, which))
}

fn from_hex(text: &[u8], which: &str) -> Result<[u8; KEY_BYTES]> {
    let digit = |at: usize| char::from(text[at]).to_digit(16);
    let mut key = [0; KEY_BYTES];
    let is_read = text.len() == 2 * KEY_BYTES
        && key.iter_mut().enumerate().all(|(at, byte)| match (digit(2 * at), digit(2 * at + 1)) {
            (Some(high), Some(low)) => {
                *byte = (high << 4 | low) as u8;
                true
            }
            _ => false,
        });
    // A private key is not repeated in a message that may be logged.
    is_read.then_some(key).ok_or_else(|| {
        Error::invalid(format!("a {which} key is {KEY_BYTES} bytes or {} hexadecimal digits", 2 * KEY_BYTES))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_read_and_nothing_else() {
        let pair = KeyPair::new([9; KEY_BYTES]);
        let hex = pair.public().to_string();
        assert_eq!(PublicKey::read(hex.as_bytes()), Ok(pair.public()));
        assert_eq!(PublicKey::read(hex.to_uppercase().as_bytes()), Ok(pair.public()));
        assert_eq!(PublicKey::read(pair.public().as_bytes()), Ok(pair.public()));
        for bad in [&hex.as_bytes()[1..], &[0; 31], b"", &[b'z'; 64]] {
            assert!(PublicKey::read(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn keys_that_protect_nothing_are_refused() {
        for key in KNOWN_TO_ALL {
            assert!(PublicKey::from_slice(&key).is_err(), "{key:?}");
            let mut other = key;
            other[KEY_BYTES - 1] |= 0x80;
            assert!(PublicKey::from_slice(&other).is_err(), "{other:?}");
        }
    }

    #[test]
    fn a_pair_that_is_none_is_refused() {
        let (one, other) = (KeyPair::new([1; KEY_BYTES]), KeyPair::new([2; KEY_BYTES]));
        assert!(KeyPair::read(&[1; KEY_BYTES], Some(one.public().as_bytes())).is_ok());
        let error = KeyPair::read(&[1; KEY_BYTES], Some(other.public().as_bytes())).unwrap_err();
        assert!(error.message().contains("does not belong"), "{error}");
    }

    #[test]
    fn a_private_key_is_never_shown() {
        let secret = [b'7'; 64];
        assert!(!format!("{:?}", KeyPair::read(&secret, None)).contains("7777"));
        assert!(!KeyPair::read(&[b'x'; 64], None).unwrap_err().message().contains("xx"));
    }
}
