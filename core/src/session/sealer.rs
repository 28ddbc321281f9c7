//! The keys of a session, and what it remembers of those that it speaks with: a sealed message counts once.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::event::Time;
use super::seen::{Coming, Forgotten, Seen};
use crate::wire::{Cipher, Envelope, Header, KEY_BYTES, KeyPair, Number, PublicKey};
use crate::{Error, ErrorKind, Result};

/// Encryption of a session.
#[derive(Clone, Debug)]
pub struct Encryption {
    /// The own keys.
    pub keys: KeyPair,
    /// Randomness of the system; never the same for two sessions.
    pub entropy: Entropy,
    /// Keys of others that are remembered. Default 4,096; the one unused for longest makes room.
    pub max_keys: usize,
    /// Keys that one peer may use at a time. Default 16; its own oldest makes room.
    pub max_keys_per_peer: usize,
    /// Messages of one key that are told apart from repeated ones, beyond those that came in order. Default 1,024.
    pub max_remembered: usize,
    /// Keys that made room of which it is still known how far they came. Default 65,536; beyond, what began before the
    /// oldest of them is not taken of keys that are not known.
    pub max_forgotten: usize,
    /// What the clock of the world said, since 1970, when the session's was at zero.
    pub began: Duration,
}

/// Bits of a stream's number that are random, below the microseconds since 1970: streams that begin later have higher
/// numbers.
const RANDOM_BITS: u32 = 12;

/// Randomness that is not shown.
#[derive(Clone)]
pub struct Entropy(pub [u8; KEY_BYTES]);

impl std::fmt::Debug for Entropy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Entropy")
    }
}

impl Encryption {
    /// The defaults for a pair of keys.
    pub const fn new(keys: KeyPair, entropy: [u8; KEY_BYTES]) -> Self {
        Self {
            keys,
            entropy: Entropy(entropy),
            max_keys: 4096,
            max_keys_per_peer: 16,
            max_remembered: 1024,
            max_forgotten: 65_536,
            began: Duration::ZERO,
        }
    }
}

/// Seals and opens messages.
#[derive(Debug)]
pub(super) struct Sealer {
    encryption: Encryption,
    random: StdRng,
    known: HashMap<PublicKey, Known>,
    forgotten: Forgotten,
    uses: u64,
    now: Time,
}

/// The owner of a key.
#[derive(Debug)]
struct Known {
    cipher: Cipher,
    /// The peer that used the key first; empty when only we have used it.
    peer: String,
    used: u64,
    sent: Number,
    seen: Seen,
}

/// Everything needed to seal one message, without the session.
#[derive(Debug)]
pub(crate) struct Seal {
    cipher: Cipher,
    number: Number,
    nonce: [u8; 24],
}

impl Seal {
    pub(crate) fn apply(&self, frame: &Bytes) -> Result<Bytes> {
        self.cipher.seal(frame, self.number, self.nonce)
    }
}

impl Sealer {
    pub(super) fn new(encryption: Encryption) -> Self {
        Self {
            random: StdRng::from_seed(encryption.entropy.0),
            known: HashMap::new(),
            forgotten: Forgotten::default(),
            uses: 0,
            now: Time::ZERO,
            encryption,
        }
    }

    pub(super) const fn tell_time(&mut self, now: Time) {
        self.now = now;
    }

    /// Begins a row with everybody: who does not know the old ones any longer takes these.
    pub(super) fn begin_anew(&mut self, now: Time) {
        self.now = now;
        let sent = before_first(self.stream_at(now), &mut self.random);
        self.known.values_mut().for_each(|known| known.sent = sent);
    }

    pub(super) const fn public(&self) -> PublicKey {
        self.encryption.keys.public()
    }

    /// What the next message to the owner of `key` is sealed with.
    pub(super) fn seal_to(&mut self, key: PublicKey) -> Seal {
        let mut nonce = [0; 24];
        self.random.fill_bytes(&mut nonce);
        let known = self.know(key, "", None);
        known.sent.at += 1;
        Seal { cipher: known.cipher.clone(), number: known.sent, nonce }
    }

    /// Opens a message that has not come before.
    ///
    /// # Errors
    /// `permission_denied` when it cannot be opened or is too old to be told from others, `conflict` when it came before.
    pub(super) fn open(&mut self, envelope: &Envelope, header: &Header<'_>) -> Result<Bytes> {
        let key = envelope.sender;
        // Only who owns a key can make us remember it.
        let cipher = match self.known.get(&key) {
            Some(known) => known.cipher.clone(),
            None => Cipher::new(&self.encryption.keys, key),
        };
        let opened = envelope.open(&cipher, header)?;
        let max = self.encryption.max_remembered;
        let known = self.know(key, header.from, Some(cipher));
        let coming = match opened.number {
            Some(number) => known.seen.of_numbered(number, max),
            None => known.seen.of_nonce(&envelope.nonce, max),
        };
        match coming {
            Coming::First => Ok(opened.segment),
            Coming::Again => Err(came_again(header)),
            Coming::TooLate => Err(too_late(header)),
        }
    }

    fn know(&mut self, key: PublicKey, peer: &str, cipher: Option<Cipher>) -> &mut Known {
        if !self.known.contains_key(&key) {
            self.make_room(peer);
        }
        self.uses += 1;
        let stream = self.stream_at(self.now);
        let (keys, random) = (&self.encryption.keys, &mut self.random);
        let known = self.known.entry(key).or_insert_with(|| Known {
            cipher: cipher.unwrap_or_else(|| Cipher::new(keys, key)),
            peer: String::new(),
            used: 0,
            sent: before_first(stream, random),
            seen: self.forgotten.recall(key),
        });
        if known.peer.is_empty() {
            peer.clone_into(&mut known.peer);
        }
        known.used = self.uses;
        known
    }

    fn make_room(&mut self, peer: &str) {
        let of_peer = |known: &Known| !peer.is_empty() && known.peer == peer;
        let count = self.known.values().filter(|known| of_peer(known)).count();
        let is_crowded = count >= self.encryption.max_keys_per_peer;
        if !is_crowded && self.known.len() < self.encryption.max_keys {
            return;
        }
        let candidates = self.known.iter().filter(|(_, known)| !is_crowded || of_peer(known));
        let oldest = candidates.min_by_key(|(_, known)| known.used).map(|(key, _)| *key);
        let Some((key, known)) = oldest.and_then(|key| self.known.remove_entry(&key)) else { return };
        let now = self.stream_at(self.now);
        self.forgotten.put(key, &known.seen, self.encryption.max_forgotten, now);
    }

    /// The number of a stream that begins then, without what is random in it.
    const fn stream_at(&self, time: Time) -> u64 {
        let micros = self.encryption.began.saturating_add(time).as_micros() as u64;
        micros << RANDOM_BITS
    }
}

/// What comes before the first message of a row, which gets the rest of its number.
fn before_first(stream: u64, random: &mut StdRng) -> Number {
    Number { stream: stream | random.next_u64() >> (u64::BITS - RANDOM_BITS), at: 0 }
}

fn came_again(header: &Header<'_>) -> Error {
    let text =
        format!("an encrypted message of {} for {} came again, it was not taken", header.from, header.method);
    Error::new(ErrorKind::Conflict, text)
}

fn too_late(header: &Header<'_>) -> Error {
    let text = format!(
        "An encrypted message of {} for {} is older than what is remembered of its key; connect anew, and look at the \
         clock where that does not help",
        header.from, header.method
    );
    Error::new(ErrorKind::PermissionDenied, text).with_class("PermissionError")
}
