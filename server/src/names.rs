//! Readable ids: two words and eight digits, such as `quiet-dove-50258445`.

use sha2::{Digest, Sha256};

const FIRST: [&str; 64] = [
    "amber", "autumn", "azure", "bold", "brave", "brisk", "bright", "calm", "clear", "clever", "coral",
    "cosmic", "crisp", "curious", "dawn", "deep", "eager", "early", "easy", "fair", "fancy", "fine", "fond",
    "fresh", "gentle", "glad", "golden", "grand", "green", "happy", "hazel", "honest", "ivory", "jolly",
    "keen", "kind", "late", "light", "lively", "lucky", "lunar", "merry", "mild", "misty", "noble", "olive",
    "patient", "plain", "proud", "quick", "quiet", "rapid", "rosy", "royal", "sandy", "silent", "silver",
    "smooth", "solid", "sunny", "swift", "tidy", "warm", "wise",
];

const SECOND: [&str; 64] = [
    "acorn", "anchor", "apple", "badger", "beacon", "beech", "birch", "breeze", "bridge", "brook", "canyon",
    "cedar", "cherry", "cloud", "clover", "comet", "crane", "creek", "dove", "dune", "eagle", "ember",
    "falcon", "fern", "field", "finch", "forest", "garden", "glacier", "grove", "harbor", "heron", "hill",
    "island", "lagoon", "lake", "lantern", "lark", "maple", "meadow", "moon", "oak", "ocean", "orchard",
    "otter", "pebble", "pine", "planet", "plum", "pond", "prairie", "raven", "reef", "ridge", "river",
    "robin", "sparrow", "spring", "stone", "summit", "thistle", "tulip", "valley", "willow",
];

/// A fresh random id. Ids are names, not secrets: knowing one gives no right.
#[must_use]
pub fn random() -> String {
    compose(fastrand::u64(..))
}

/// The id that belongs to `secret`: the same after each restart, and telling nothing useful about it.
#[must_use]
pub fn derived(secret: &[u8]) -> String {
    let digest = Sha256::new().chain_update(b"polyfn server id\0").chain_update(secret).finalize();
    let number = digest.iter().take(8).fold(0u64, |number, byte| (number << 8) | u64::from(*byte));
    compose(number)
}

/// A fresh id for an anonymous user; the spelling is part of the protocol.
#[must_use]
pub fn anonymous_user() -> String {
    format!("anonymouz-{}", random())
}

/// The same with 128 random bits behind it: a name that nobody can guess.
///
/// # Errors
/// When the operating system has no randomness to give.
pub fn secluded_user() -> Result<String, getrandom::Error> {
    let mut random = [0; 16];
    getrandom::fill(&mut random)?;
    Ok(format!("{}-{:032x}", anonymous_user(), u128::from_be_bytes(random)))
}

fn compose(number: u64) -> String {
    let [first, second] = [number & 63, (number >> 6) & 63].map(|index| index as usize);
    format!("{}-{}-{:08}", FIRST[first], SECOND[second], (number >> 12) % 100_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_two_words_and_eight_digits() {
        for _ in 0..200 {
            let id = random();
            let parts: Vec<_> = id.split('-').collect();
            assert_eq!(parts.len(), 3, "{id}");
            assert!(FIRST.contains(&parts[0]) && SECOND.contains(&parts[1]), "{id}");
            assert!(parts[2].len() == 8 && parts[2].bytes().all(|digit| digit.is_ascii_digit()), "{id}");
        }
    }

    #[test]
    fn secluded_users_have_names_that_cannot_be_guessed() {
        let [one, two] = [0, 1].map(|_| secluded_user().unwrap());
        assert_ne!(one[one.len() - 32..], two[two.len() - 32..]);
        assert!(one.starts_with("anonymouz-") && one.split('-').count() == 5, "{one}");
    }

    #[test]
    fn a_secret_always_gives_the_same_id() {
        assert_eq!(derived(b"one"), derived(b"one"));
        assert_ne!(derived(b"one"), derived(b"two"));
    }
}
