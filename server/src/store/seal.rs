//! Seals what must not be read by whoever gets hold of the database: ChaCha20-Poly1305 (RFC 8439) with a random
//! nonce, bound to the place where it is kept.

use std::fmt;
use std::io::{ErrorKind, Write as _};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use sha2::{Digest as _, Sha256};

use super::{Place, StoreError};
use crate::auth::token::random_secret;
use crate::config::{Config, ConfigError, Secret};

/// Bytes that tell with which key something was sealed.
const KEY_ID: usize = 4;

/// The keys of a server: the first one seals, each of them opens what it has sealed.
pub(crate) struct Seal {
    keys: Vec<Key>,
}

struct Key {
    key: LessSafeKey,
    id: [u8; KEY_ID],
}

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seal(***)")
    }
}

impl Key {
    fn new(secret: &[u8]) -> Self {
        let derived = |purpose: &[u8]| -> [u8; 32] {
            Sha256::new().chain_update(purpose).chain_update(secret).finalize().into()
        };
        let (key, id) = (derived(b"polyfn seal key\0"), derived(b"polyfn seal name\0"));
        // the length is the algorithm's, so it is a key
        let key = UnboundKey::new(&CHACHA20_POLY1305, &key).unwrap_or_else(|_| unreachable!("32 bytes"));
        Self { key: LessSafeKey::new(key), id: [id[0], id[1], id[2], id[3]] }
    }
}

impl Seal {
    /// Keys made of `secrets`, which must have been chosen at random.
    pub(crate) fn new<'a>(secrets: impl IntoIterator<Item = &'a [u8]>) -> Self {
        Self { keys: secrets.into_iter().map(Key::new).collect() }
    }

    /// The keys of a server with these settings: its seal key, else its token secret, else one in a file beside the
    /// database, else a random one. Those that come later open what was sealed before an earlier one was set.
    pub(crate) fn of(config: &Config) -> Result<Self, ConfigError> {
        let given = [&config.seal_key, &config.jwt_secret].into_iter().flatten().cloned();
        let mut secrets: Vec<Secret> = given.collect();
        match &config.database {
            Place::File(path) => secrets.extend(beside(path, secrets.is_empty())?),
            _ if secrets.is_empty() => secrets.push(random()?),
            _ => {}
        }
        Ok(Self::new(secrets.iter().map(|secret| secret.expose().as_bytes())))
    }

    /// `text` sealed for `place`, in Base64.
    pub(crate) fn close(&self, place: &str, text: &str) -> Result<String, StoreError> {
        let mut nonce = [0; NONCE_LEN];
        getrandom::fill(&mut nonce).map_err(|error| StoreError::Sealed(format!("no randomness: {error}")))?;
        let mut sealed = text.as_bytes().to_vec();
        let aad = Aad::from(place.as_bytes());
        let first = self.keys.first().ok_or_else(|| StoreError::Sealed("there is no key".to_owned()))?;
        let closed =
            first.key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut sealed);
        closed.map_err(|_| StoreError::Sealed("the value is too long to be sealed".to_owned()))?;
        Ok(STANDARD_NO_PAD.encode([&first.id[..], &nonce, &sealed].concat()))
    }

    /// What was sealed for `place`.
    pub(crate) fn open(&self, place: &str, sealed: &str) -> Result<String, StoreError> {
        let damaged = || StoreError::Damaged(format!("a sealed value of {place}"));
        let bytes = STANDARD_NO_PAD.decode(sealed).map_err(|_| damaged())?;
        let (id, rest) = bytes.split_at_checked(KEY_ID).ok_or_else(damaged)?;
        let another = "the value was sealed with another key: start the server with the --seal-key (or token \
                       secret) it had then, or set the value again";
        let key = self.keys.iter().find(|key| key.id == id);
        let key = key.ok_or_else(|| StoreError::Sealed(another.to_owned()))?;
        let (nonce, rest) = rest.split_at_checked(NONCE_LEN).ok_or_else(damaged)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| damaged())?;
        let mut text = rest.to_vec();
        let text =
            key.key.open_in_place(nonce, Aad::from(place.as_bytes()), &mut text).map_err(|_| damaged())?;
        String::from_utf8(text.to_vec()).map_err(|_| damaged())
    }
}

fn random() -> Result<Secret, ConfigError> {
    random_secret().map_err(|error| ConfigError(format!("no random key: {error}")))
}

/// The key in the file beside the database, made when it is not there and `needed`.
fn beside(database: &Path, needed: bool) -> Result<Option<Secret>, ConfigError> {
    let path = database.with_extension("key");
    let failed = |error: std::io::Error| ConfigError(format!("the key at {}: {error}", path.display()));
    match std::fs::read_to_string(&path) {
        Ok(text) => return Ok(Some(text.into())),
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed(error)),
        Err(_) if !needed => return Ok(None),
        Err(_) => {}
    }
    let secret = random()?;
    let mut options = std::fs::File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&path).map_err(failed)?;
    file.write_all(secret.expose().as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
    Ok(Some(secret))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_lies_beside_the_database_when_none_is_given() {
        let folder = tempfile::tempdir().unwrap();
        let database = Place::File(folder.path().join("x.db"));
        let config = Config { database, ..Config::default() };
        let sealed = Seal::of(&config).unwrap().close("a", "b").unwrap();
        assert_eq!(Seal::of(&config).unwrap().open("a", &sealed).unwrap(), "b");
        // a key that is given later seals from now on, and what was sealed is still read
        let config = Config { seal_key: Some("key".into()), ..config };
        let later = Seal::of(&config).unwrap();
        assert_eq!(later.open("a", &sealed).unwrap(), "b");
        assert!(Seal::new([b"key".as_slice()]).open("a", &later.close("a", "b").unwrap()).is_ok());
    }

    #[test]
    fn what_was_sealed_is_read_again() {
        let seal = Seal::new([b"key".as_slice()]);
        let sealed = seal.close("ws/NAME", "välue").unwrap();
        assert!(!sealed.contains("lue"));
        assert_ne!(sealed, seal.close("ws/NAME", "välue").unwrap());
        assert_eq!(seal.open("ws/NAME", &sealed).unwrap(), "välue");
    }

    #[test]
    fn other_keys_other_places_and_changes_are_noticed() {
        let seal = Seal::new([b"key".as_slice()]);
        let sealed = seal.close("ws/NAME", "value").unwrap();
        let error = Seal::new([b"another".as_slice()]).open("ws/NAME", &sealed).unwrap_err();
        assert!(matches!(error, StoreError::Sealed(_)), "{error}");
        assert!(matches!(seal.open("other/NAME", &sealed).unwrap_err(), StoreError::Damaged(_)));
        for damaged in ["", "AAAA", "!", &sealed[..sealed.len() - 2]] {
            assert!(seal.open("ws/NAME", damaged).is_err(), "{damaged}");
        }
    }
}
