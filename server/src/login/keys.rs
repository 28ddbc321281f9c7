//! Login keys: the name under which a program waits for its user to log in somewhere else.
//!
//! A program gets a key, shows its user where to go, and waits; a browser in which the user is logged in approves the
//! key. Keys are random, live for a short time, are bounded in number, and are used up by the one who gets the token.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::config::Secret;

/// Letters of the code that people compare or type; no vowels, so that it spells no words.
const LETTERS: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";
/// Letters of such a code, in two groups.
const CODE_LENGTH: usize = 8;

/// What a program asked for when it got its key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wish {
    /// The workspace that the token is to be for.
    pub workspace: Option<String>,
    /// Seconds that the token is to live.
    pub expires_in: Option<u64>,
}

/// What the program gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Granted {
    /// The token.
    pub token: Secret,
    /// The workspace that it is for, if it is for one only.
    pub workspace: Option<String>,
    /// Seconds that it lives, where that was asked for.
    pub expires_in: Option<u64>,
    /// Who logged in.
    pub profile: Profile,
}

/// Who logged in, as far as that is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Profile {
    /// The user.
    pub user_id: String,
    /// The address.
    pub email: Option<String>,
    /// Whether somebody made sure that it is theirs.
    pub email_verified: bool,
    /// The name.
    pub name: Option<String>,
    /// A short name.
    pub nickname: Option<String>,
    /// URL of a picture.
    pub picture: Option<String>,
}

/// A key that was just made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// The secret under which the program waits.
    pub key: String,
    /// What people compare or type, such as `BCDF-GHJK`.
    pub user_code: String,
}

/// Why there is nothing to get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyError {
    /// There is no such key: never, not any longer, or it was used up.
    Unknown,
    /// Nobody approved it in time.
    Timeout,
    /// Too many wait already.
    Full,
    /// It was approved before.
    Taken,
    /// The system has no randomness to give.
    Random,
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unknown => "Invalid key, key does not exist or expired",
            Self::Timeout => "Login timeout",
            Self::Full => "too many logins are under way: try again later",
            Self::Taken => "this login was approved already",
            Self::Random => "the system has no randomness to give",
        })
    }
}

impl std::error::Error for KeyError {}

struct Entry {
    wish: Wish,
    user_code: String,
    until: Instant,
    granted: watch::Sender<Option<Granted>>,
}

/// All keys that wait.
pub struct Keys {
    table: Mutex<HashMap<String, Entry>>,
    life: Duration,
    max: usize,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").field("waiting", &self.table.lock().len()).finish_non_exhaustive()
    }
}

impl Keys {
    /// None yet; each lives for `life`, and at most `max` wait at the same time.
    #[must_use]
    pub fn new(life: Duration, max: usize) -> Self {
        Self { table: Mutex::default(), life, max }
    }

    /// How long a key lives.
    #[must_use]
    pub const fn life(&self) -> Duration {
        self.life
    }

    /// A new key.
    ///
    /// # Errors
    /// [`KeyError::Full`] when too many wait.
    pub fn start(&self, wish: Wish) -> Result<Key, KeyError> {
        let (key, now) = (random_key()?, Instant::now());
        let mut table = self.table.lock();
        if table.len() >= self.max {
            table.retain(|_, entry| entry.until > now);
        }
        if table.len() >= self.max {
            return Err(KeyError::Full);
        }
        let mut user_code = random_code()?;
        while table.values().any(|entry| entry.user_code == user_code) {
            user_code = random_code()?;
        }
        let entry = Entry {
            wish,
            user_code: user_code.clone(),
            until: now + self.life,
            granted: watch::Sender::new(None),
        };
        table.insert(key.clone(), entry);
        Ok(Key { key, user_code })
    }

    /// What was asked for with this key, and its code, as long as nobody approved it.
    #[must_use]
    pub fn wish(&self, key: &str) -> Option<(Wish, String)> {
        let table = self.table.lock();
        let entry = table.get(key).filter(|entry| entry.until > Instant::now())?;
        entry.granted.borrow().is_none().then(|| (entry.wish.clone(), entry.user_code.clone()))
    }

    /// The key with this code, typed in any case and with or without its hyphen.
    #[must_use]
    pub fn of_code(&self, typed: &str) -> Option<String> {
        let plain = |text: &str| -> String {
            text.chars().filter(char::is_ascii_alphabetic).map(|c| c.to_ascii_uppercase()).collect()
        };
        let (typed, now) = (plain(typed), Instant::now());
        let table = self.table.lock();
        let found = table.iter().find(|(_, entry)| plain(&entry.user_code) == typed && entry.until > now);
        found.map(|(key, _)| key.clone())
    }

    /// Hands over to whoever waits with `key`.
    ///
    /// # Errors
    /// [`KeyError::Unknown`], and [`KeyError::Taken`] when that was done before.
    pub fn grant(&self, key: &str, granted: Granted) -> Result<(), KeyError> {
        let table = self.table.lock();
        let entry = table.get(key).filter(|entry| entry.until > Instant::now()).ok_or(KeyError::Unknown)?;
        if entry.granted.borrow().is_some() {
            return Err(KeyError::Taken);
        }
        entry.granted.send_replace(Some(granted));
        Ok(())
    }

    /// Waits until `key` is approved, and uses it up. Without time to wait, `None` says that it was not yet.
    ///
    /// # Errors
    /// [`KeyError::Unknown`], [`KeyError::Timeout`].
    ///
    /// # Cancel safety
    /// A key is not used up by a call that is dropped.
    pub async fn wait(&self, key: &str, timeout: Duration) -> Result<Option<Granted>, KeyError> {
        let (mut watcher, until) = {
            let table = self.table.lock();
            let entry = table.get(key).ok_or(KeyError::Unknown)?;
            (entry.granted.subscribe(), entry.until)
        };
        let now = Instant::now();
        if until <= now {
            self.table.lock().remove(key);
            return Err(KeyError::Unknown);
        }
        if timeout.is_zero() {
            let is_ready = watcher.borrow_and_update().is_some();
            return if is_ready { self.take(key).map(Some) } else { Ok(None) };
        }
        let end = until.min(now + timeout);
        // what was seen is a lock on the value, and must be let go before that is taken
        let seen = tokio::time::timeout_at(end, watcher.wait_for(Option::is_some)).await;
        let seen = seen.map(|seen| seen.is_ok());
        match seen {
            Ok(true) => self.take(key).map(Some),
            // somebody else was faster
            Ok(false) => Err(KeyError::Unknown),
            Err(_) => Err(KeyError::Timeout),
        }
    }

    fn take(&self, key: &str) -> Result<Granted, KeyError> {
        let entry = self.table.lock().remove(key).ok_or(KeyError::Unknown)?;
        entry.granted.send_replace(None).ok_or(KeyError::Unknown)
    }
}

/// 128 random bits in 22 characters.
pub(crate) fn random_key() -> Result<String, KeyError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|_| KeyError::Random)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

fn random_code() -> Result<String, KeyError> {
    let mut code = String::with_capacity(CODE_LENGTH + 1);
    let mut byte = [0];
    while code.len() < CODE_LENGTH {
        getrandom::fill(&mut byte).map_err(|_| KeyError::Random)?;
        // the numbers left over would make some letters likelier than others
        if let Some(letter) = LETTERS.get(usize::from(byte[0]) % 20).filter(|_| byte[0] < 240) {
            code.push(char::from(*letter));
        }
    }
    code.insert(CODE_LENGTH / 2, '-');
    Ok(code)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn keys() -> Keys {
        Keys::new(Duration::from_secs(180), 3)
    }

    fn granted(token: &str) -> Granted {
        let profile = Profile::default();
        Granted { token: token.into(), workspace: None, expires_in: None, profile }
    }

    #[tokio::test]
    async fn a_key_is_used_up_by_the_first_who_gets_the_token() {
        let keys = Arc::new(keys());
        let key = keys.start(Wish::default()).unwrap().key;
        assert_eq!(key.len(), 22);
        assert_eq!(keys.wait(&key, Duration::ZERO).await, Ok(None));
        let waiting: Vec<_> = (0..2)
            .map(|_| {
                let (keys, key) = (Arc::clone(&keys), key.clone());
                tokio::spawn(async move { keys.wait(&key, Duration::from_secs(60)).await })
            })
            .collect();
        tokio::task::yield_now().await;
        assert_eq!(keys.grant(&key, granted("T")), Ok(()));
        let mut ends = Vec::new();
        for task in waiting {
            ends.push(task.await.unwrap());
        }
        assert!(ends.contains(&Ok(Some(granted("T")))) && ends.contains(&Err(KeyError::Unknown)), "{ends:?}");
        assert_eq!(keys.grant(&key, granted("U")), Err(KeyError::Unknown));
    }

    #[tokio::test(start_paused = true)]
    async fn keys_end_with_their_time() {
        let keys = keys();
        let key = keys.start(Wish::default()).unwrap().key;
        assert_eq!(keys.wait(&key, Duration::from_secs(2)).await, Err(KeyError::Timeout));
        tokio::time::advance(Duration::from_secs(200)).await;
        assert_eq!(keys.wish(&key), None);
        assert_eq!(keys.grant(&key, granted("T")), Err(KeyError::Unknown));
        assert_eq!(keys.wait(&key, Duration::from_secs(2)).await, Err(KeyError::Unknown));
    }

    #[tokio::test(start_paused = true)]
    async fn their_number_is_bounded() {
        let keys = keys();
        for _ in 0..3 {
            keys.start(Wish::default()).unwrap();
        }
        assert_eq!(keys.start(Wish::default()), Err(KeyError::Full));
        tokio::time::advance(Duration::from_secs(181)).await;
        assert!(keys.start(Wish::default()).is_ok());
    }

    #[test]
    fn a_key_is_found_by_its_code() {
        let keys = keys();
        let made = keys.start(Wish::default()).unwrap();
        let typed = made.user_code.to_lowercase().replace('-', " ");
        assert_eq!(keys.of_code(&typed), Some(made.key.clone()));
        assert_eq!(keys.of_code("BBBB"), None);
        assert_eq!(keys.of_code(""), None);
        keys.grant(&made.key, granted("T")).unwrap();
        assert_eq!((keys.wish(&made.key), keys.grant(&made.key, granted("U"))), (None, Err(KeyError::Taken)));
    }
}
