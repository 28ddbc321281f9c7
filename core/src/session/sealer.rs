//! The keys of a session, and what it remembers of those that it speaks with: a sealed message counts once.

use std::collections::{BTreeSet, HashMap, VecDeque};

use bytes::Bytes;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

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
}

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
        Self { keys, entropy: Entropy(entropy), max_keys: 4096, max_keys_per_peer: 16, max_remembered: 1024 }
    }
}

/// Seals and opens messages.
#[derive(Debug)]
pub(super) struct Sealer {
    encryption: Encryption,
    random: StdRng,
    known: HashMap<PublicKey, Known>,
    uses: u64,
}

/// The owner of a key.
#[derive(Debug)]
struct Known {
    cipher: Cipher,
    /// The peer that used the key first; empty when only we have used it.
    peer: String,
    used: u64,
    sent: Number,
    seen: VecDeque<Row>,
    /// Numbers used once of old peers, the first half of each: they do not count their messages.
    nonces: VecDeque<u64>,
}

/// What has come of one row of messages.
#[derive(Debug)]
struct Row {
    stream: u64,
    last: u64,
    /// Those before `last` that have not come.
    missing: BTreeSet<u64>,
}

/// Rows of one key: each connection of its owner begins one.
const ROWS: usize = 16;

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
        Self { random: StdRng::from_seed(encryption.entropy.0), known: HashMap::new(), uses: 0, encryption }
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
    /// `permission_denied` when it cannot be opened, `conflict` when it came before.
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
        let is_first = match opened.number {
            Some(number) => known.takes(number, max),
            None => known.takes_nonce(&envelope.nonce, max),
        };
        is_first.then_some(opened.segment).ok_or_else(|| {
            let text = format!(
                "an encrypted message of {} for {} came again, it was not taken",
                header.from, header.method
            );
            Error::new(ErrorKind::Conflict, text)
        })
    }

    fn know(&mut self, key: PublicKey, peer: &str, cipher: Option<Cipher>) -> &mut Known {
        if !self.known.contains_key(&key) {
            self.make_room(peer);
        }
        self.uses += 1;
        let (keys, random) = (&self.encryption.keys, &mut self.random);
        let known = self.known.entry(key).or_insert_with(|| Known {
            cipher: cipher.unwrap_or_else(|| Cipher::new(keys, key)),
            peer: String::new(),
            used: 0,
            sent: Number { stream: random.next_u64(), at: 0 },
            seen: VecDeque::new(),
            nonces: VecDeque::new(),
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
        oldest.map(|key| self.known.remove(&key));
    }
}

impl Known {
    /// Whether a message comes for the first time; one that comes too late to be told counts as repeated.
    fn takes(&mut self, number: Number, max: usize) -> bool {
        let Number { stream, at } = number;
        let place = self.seen.iter().position(|row| row.stream == stream).unwrap_or_else(|| {
            if self.seen.len() >= ROWS {
                self.seen.pop_front();
            }
            self.seen.push_back(Row { stream, last: 0, missing: BTreeSet::new() });
            self.seen.len() - 1
        });
        self.seen[place].takes(at, max)
    }

    fn takes_nonce(&mut self, nonce: &[u8; 24], max: usize) -> bool {
        let half = nonce.first_chunk().map_or(0, |half| u64::from_be_bytes(*half));
        if self.nonces.contains(&half) {
            return false;
        }
        if self.nonces.len() >= max {
            self.nonces.pop_front();
        }
        self.nonces.push_back(half);
        true
    }
}

impl Row {
    fn takes(&mut self, at: u64, max: usize) -> bool {
        if at <= self.last {
            return self.missing.remove(&at);
        }
        // What was left out may still come: long messages are overtaken by short ones.
        let from = (self.last + 1).max(at.saturating_sub(max as u64));
        self.missing.extend(from..at);
        self.last = at;
        while self.missing.len() > max {
            self.missing.pop_first();
        }
        true
    }
}
