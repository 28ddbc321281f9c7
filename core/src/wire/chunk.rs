//! Long messages in parts: the receiver's cache (protocol section 11).

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;

use crate::{Error, ErrorKind, Result, memory};

/// Bytes of the key of a message.
const KEY_MAX: usize = 1024;
/// Messages with as many parts as are allowed that there may be at once: places for parts take memory even when empty.
const FULL_MESSAGES: usize = 16;

/// One sender may hold the limit divided by this, so that it cannot shut all others out.
const SENDER_SHARE: usize = 2;

/// Limits of the cache of parts of one receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkLimits {
    /// Messages under way at once, half of them of one sender. Default 256.
    pub messages: usize,
    /// Bytes held at once, half of them of one sender. Default 2 GiB on 64-bit machines, 512 MiB elsewhere.
    pub bytes: usize,
    /// Parts of one message. Default 65,536.
    pub parts: usize,
    /// How long a message may lie without a new part. Default 5 minutes.
    pub age: Duration,
}

impl Default for ChunkLimits {
    fn default() -> Self {
        let bytes = if usize::BITS >= 64 { 2 << 30 } else { 512 << 20 };
        Self { messages: 256, bytes, parts: 65_536, age: Duration::from_secs(300) }
    }
}

/// A message as far as it is here. Parts are joined as they come, so that the last one of a long message costs no more
/// than the first, and no message is held twice.
#[derive(Debug)]
struct Entry {
    /// The parts from the first one on, without a gap.
    joined: Vec<u8>,
    /// Where each of them ends in `joined`.
    ends: Vec<usize>,
    /// Parts behind a gap.
    ahead: BTreeMap<usize, Bytes>,
    /// Bytes of all parts.
    bytes: usize,
    touched: Duration,
}

impl Entry {
    fn new(now: Duration) -> Self {
        Self { joined: Vec::new(), ends: Vec::new(), ahead: BTreeMap::new(), bytes: 0, touched: now }
    }

    /// Places for parts up to the last one, the missing ones included.
    fn places(&self) -> usize {
        self.ahead.last_key_value().map_or(self.ends.len(), |(last, _)| last + 1)
    }

    /// Where part `index` stands in `joined`.
    fn place(&self, index: usize) -> Option<Range<usize>> {
        let end = *self.ends.get(index)?;
        Some(index.checked_sub(1).map_or(0, |before| self.ends[before])..end)
    }

    /// Bytes of the part that stands at `index`, if any.
    fn len_of(&self, index: usize) -> Option<usize> {
        self.place(index).map(|place| place.len()).or_else(|| self.ahead.get(&index).map(Bytes::len))
    }

    /// Puts a part where it belongs. One that is there already is replaced, as long as that moves none of the others.
    fn put(&mut self, index: usize, data: Bytes) -> Result<()> {
        match self.place(index) {
            Some(place) if place.len() == data.len() => self.joined[place].copy_from_slice(&data),
            Some(place) => {
                let (was, is) = (place.len(), data.len());
                return Err(Error::invalid(format!(
                    "part {index} was sent with {was} bytes, and now with {is}"
                )));
            }
            None => _ = self.ahead.insert(index, data),
        }
        while let Some(next) = self.ahead.remove(&self.ends.len()) {
            memory::append(&mut self.joined, &next);
            self.ends.push(self.joined.len());
        }
        Ok(())
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        memory::give(std::mem::take(&mut self.joined));
    }
}

/// What one sender holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Share {
    messages: usize,
    bytes: usize,
}

/// Parts of messages that are not complete yet, kept apart by sender: nobody can touch another's.
#[derive(Debug, Default)]
pub struct ChunkStore {
    limits: ChunkLimits,
    entries: HashMap<(String, String), Entry>,
    shares: HashMap<String, Share>,
    bytes: usize,
    /// Places for parts, over all messages.
    places: usize,
    /// No message was touched last before this.
    oldest: Option<Duration>,
}

impl ChunkStore {
    /// A store with these limits.
    pub fn new(limits: ChunkLimits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// Messages under way.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether none is under way.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Begins the message `key` of `from`.
    ///
    /// # Errors
    /// `conflict` when it exists and may not be replaced, `overloaded` with too many under way.
    pub fn create(&mut self, from: &str, key: &str, overwrite: bool, now: Duration) -> Result<()> {
        if key.len() > KEY_MAX {
            return Err(Error::too_large(format!(
                "the key of a message may have {KEY_MAX} bytes, found {}",
                key.len()
            )));
        }
        let id = (from.to_owned(), key.to_owned());
        if self.entries.contains_key(&id) {
            if !overwrite {
                return Err(Error::new(
                    ErrorKind::Conflict,
                    format!(
                        "Message with the same key ({key}) already exists in the cache store, please use overwrite=True or remove it first."
                    ),
                ));
            }
            self.remove(from, key)?;
        }
        let own = self.share(from).messages;
        if self.entries.len() >= self.limits.messages || own >= self.limits.messages.div_ceil(SENDER_SHARE) {
            return Err(Error::new(
                ErrorKind::Overloaded,
                format!(
                    "{} long messages are under way already, {own} of them yours: try again later",
                    self.entries.len()
                ),
            ));
        }
        self.oldest.get_or_insert(now);
        self.shares.entry(from.to_owned()).or_default().messages += 1;
        self.entries.insert(id, Entry::new(now));
        Ok(())
    }

    /// Stores part `index` of a message, or the next one when no index is given.
    ///
    /// # Errors
    /// `not_found` for an unknown message, `too_large` past a limit, `invalid` for a part that was longer or shorter before.
    pub fn set(
        &mut self,
        from: &str,
        key: &str,
        index: Option<usize>,
        data: Bytes,
        now: Duration,
    ) -> Result<()> {
        let (limits, held, places) = (self.limits, self.bytes, self.places);
        let own = self.share(from).bytes;
        let entry = self.entry(from, key)?;
        let index = index.unwrap_or(entry.places());
        if index >= limits.parts {
            return Err(Error::too_large(format!(
                "part {index} of a message that may have {} parts",
                limits.parts
            )));
        }
        let is_over = |held: usize, limit: usize| held.saturating_add(data.len()) > limit;
        if is_over(held, limits.bytes) || is_over(own, limits.bytes / SENDER_SHARE) {
            return Err(Error::too_large(format!(
                "long messages under way may hold {} bytes in all, half of them of one sender",
                limits.bytes
            )));
        }
        let more = (index + 1).saturating_sub(entry.places());
        if places.saturating_add(more) > limits.parts.saturating_mul(FULL_MESSAGES) {
            return Err(Error::too_large("the long messages under way have too many parts in all"));
        }
        let added = data.len();
        let replaced = entry.len_of(index).unwrap_or_default();
        entry.put(index, data)?;
        entry.bytes = entry.bytes + added - replaced;
        entry.touched = now;
        self.bytes = held + added - replaced;
        if let Some(share) = self.shares.get_mut(from) {
            share.bytes = own + added - replaced;
        }
        self.places = places + more;
        Ok(())
    }

    /// Forgets a message.
    ///
    /// # Errors
    /// `not_found` for an unknown message.
    pub fn remove(&mut self, from: &str, key: &str) -> Result<()> {
        self.take(from, key).map(|_| ())
    }

    /// The whole message, which is forgotten.
    ///
    /// # Errors
    /// `not_found` for an unknown message, `invalid` when a part is missing: it is never skipped.
    pub fn join(&mut self, from: &str, key: &str) -> Result<Bytes> {
        let mut entry = self.take(from, key)?;
        if !entry.ahead.is_empty() {
            let missing = entry.ends.len();
            return Err(Error::invalid(format!("part {missing} of the message with key {key} is missing")));
        }
        Ok(memory::grown(std::mem::take(&mut entry.joined)))
    }

    /// When to look next for messages that have lain too long, if ever.
    pub fn next_check(&self) -> Option<Duration> {
        self.oldest.map(|oldest| oldest + self.limits.age)
    }

    /// Forgets messages that have lain too long.
    pub fn sweep(&mut self, now: Duration) {
        if self.next_check().is_none_or(|at| at > now) {
            return;
        }
        let age = self.limits.age;
        let old: Vec<_> = self
            .entries
            .iter()
            .filter(|(_, entry)| now.saturating_sub(entry.touched) >= age)
            .map(|(id, _)| id.clone())
            .collect();
        for (from, key) in old {
            let _ = self.take(&from, &key);
        }
        self.oldest = self.entries.values().map(|entry| entry.touched).min();
    }

    /// Forgets all messages of a sender that has gone.
    pub fn forget(&mut self, from: &str) {
        let gone: Vec<_> = self.entries.keys().filter(|(sender, _)| sender == from).cloned().collect();
        for (from, key) in gone {
            let _ = self.take(&from, &key);
        }
    }

    fn entry(&mut self, from: &str, key: &str) -> Result<&mut Entry> {
        self.entries.get_mut(&(from.to_owned(), key.to_owned())).ok_or_else(|| unknown(key))
    }

    fn take(&mut self, from: &str, key: &str) -> Result<Entry> {
        let entry = self.entries.remove(&(from.to_owned(), key.to_owned())).ok_or_else(|| unknown(key))?;
        self.bytes -= entry.bytes;
        self.places -= entry.places();
        if let Some(share) = self.shares.get_mut(from) {
            share.messages -= 1;
            share.bytes -= entry.bytes;
            if share.messages == 0 {
                self.shares.remove(from);
            }
        }
        Ok(entry)
    }

    fn share(&self, from: &str) -> Share {
        self.shares.get(from).copied().unwrap_or_default()
    }
}

fn unknown(key: &str) -> Error {
    Error::new(ErrorKind::NotFound, format!("Message with key {key} does not exists."))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::ZERO;

    fn store() -> ChunkStore {
        ChunkStore::new(ChunkLimits { messages: 2, bytes: 20, parts: 4, ..ChunkLimits::default() })
    }

    #[test]
    fn parts_are_joined_in_order_whatever_order_they_came_in() {
        let mut store = store();
        store.create("a", "k", false, NOW).unwrap();
        store.set("a", "k", Some(1), Bytes::from_static(b"cd"), NOW).unwrap();
        store.set("a", "k", Some(0), Bytes::from_static(b"ab"), NOW).unwrap();
        store.set("a", "k", None, Bytes::from_static(b"ef"), NOW).unwrap();
        assert_eq!(store.join("a", "k").unwrap(), "abcdef");
        assert!(store.is_empty());
        assert_eq!(store.bytes, 0);
        assert!(store.shares.is_empty());
    }

    #[test]
    fn a_part_that_comes_again_replaces_the_first() {
        let mut store = store();
        store.create("a", "k", false, NOW).unwrap();
        for (index, part) in [(0, "ab"), (2, "e"), (2, "ef"), (1, "cd"), (1, "CD"), (3, "gh")] {
            store.set("a", "k", Some(index), Bytes::from(part), NOW).unwrap();
        }
        let other = store.set("a", "k", Some(0), Bytes::from_static(b"a"), NOW);
        assert_eq!(other.unwrap_err().kind(), ErrorKind::Invalid);
        assert_eq!((store.bytes, store.places), (8, 4));
        assert_eq!(store.join("a", "k").unwrap(), "abCDefgh");
        assert_eq!((store.bytes, store.places), (0, 0));
    }

    #[test]
    fn empty_places_and_long_keys_are_limited_too() {
        let limits = ChunkLimits { messages: 200, parts: 4, ..ChunkLimits::default() };
        let mut store = ChunkStore::new(limits);
        let far = |store: &mut ChunkStore, key: &str| {
            store.create("a", key, false, NOW)?;
            store.set("a", key, Some(3), Bytes::new(), NOW)
        };
        for key in 0..16 {
            far(&mut store, &key.to_string()).unwrap();
        }
        assert_eq!(far(&mut store, "one too many").unwrap_err().kind(), ErrorKind::TooLarge);
        store.remove("a", "0").unwrap();
        far(&mut store, "room again").unwrap();
        store.forget("a");
        assert_eq!(store.places, 0);
        let long = "k".repeat(KEY_MAX + 1);
        assert_eq!(store.create("a", &long, false, NOW).unwrap_err().kind(), ErrorKind::TooLarge);
    }

    #[test]
    fn a_missing_part_is_an_error_and_never_skipped() {
        let mut store = store();
        store.create("a", "k", false, NOW).unwrap();
        store.set("a", "k", Some(1), Bytes::from_static(b"cd"), NOW).unwrap();
        assert_eq!(store.join("a", "k").unwrap_err().kind(), ErrorKind::Invalid);
    }

    #[test]
    fn limits_hold_and_senders_are_apart() {
        let mut store = store();
        store.create("a", "k", false, NOW).unwrap();
        assert_eq!(store.set("b", "k", None, Bytes::new(), NOW).unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(store.create("a", "k", false, NOW).unwrap_err().kind(), ErrorKind::Conflict);
        assert_eq!(store.set("a", "k", Some(4), Bytes::new(), NOW).unwrap_err().kind(), ErrorKind::TooLarge);
        let big = Bytes::from_static(b"0123456789x");
        assert_eq!(store.set("a", "k", None, big, NOW).unwrap_err().kind(), ErrorKind::TooLarge);
        store.create("b", "k", false, NOW).unwrap();
        assert_eq!(store.create("c", "k", false, NOW).unwrap_err().kind(), ErrorKind::Overloaded);
        store.sweep(Duration::from_secs(301));
        assert!(store.is_empty());
    }

    #[test]
    fn one_sender_leaves_room_for_the_others() {
        let mut store = store();
        store.create("a", "k", false, NOW).unwrap();
        assert_eq!(store.create("a", "l", false, NOW).unwrap_err().kind(), ErrorKind::Overloaded);
        store.set("a", "k", None, Bytes::from_static(b"0123456789"), NOW).unwrap();
        let one = Bytes::from_static(b"x");
        assert_eq!(store.set("a", "k", None, one.clone(), NOW).unwrap_err().kind(), ErrorKind::TooLarge);
        store.create("b", "k", false, NOW).unwrap();
        store.set("b", "k", None, one, NOW).unwrap();
    }
}
