//! Passwords: hashed with argon2id, on threads of their own, and so few at once that logins cannot take the machine.

use std::sync::LazyLock;

use argon2::password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash};
use argon2::{Algorithm, Argon2, Params, Version};
use polyfn_core::{Error, ErrorKind, Result};
use tokio::sync::Semaphore;

/// Characters a password has at least.
pub const PASSWORD_MIN: usize = 8;
/// Bytes a password has at most: hashing more costs more.
pub const PASSWORD_MAX: usize = 1024;
/// Hashes at the same time; each takes 19 MiB.
const AT_ONCE: usize = 4;
/// How many may wait for their turn.
const WAITING_MAX: usize = 256;

/// A hash of nothing anybody knows: checking against it costs as much as against a true one.
static NOBODY: LazyLock<Option<String>> = LazyLock::new(|| {
    let mut random = [0; 32];
    getrandom::fill(&mut random).ok()?;
    argon2().hash_password(&random).ok().map(|hash| hash.to_string())
});

/// Hashes and checks passwords.
#[derive(Debug)]
pub struct Passwords {
    turns: Semaphore,
    waiting: Semaphore,
}

impl Default for Passwords {
    fn default() -> Self {
        Self { turns: Semaphore::new(AT_ONCE), waiting: Semaphore::new(WAITING_MAX) }
    }
}

/// The parameters that OWASP recommends for argon2id: 19 MiB, two passes.
fn argon2() -> Argon2<'static> {
    Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::DEFAULT)
}

impl Passwords {
    /// The hash of a password, in the PHC form `$argon2id$...`.
    ///
    /// # Errors
    /// `overloaded` when too many wait, `internal` when the system has no randomness to give.
    pub async fn hash(&self, password: &str) -> Result<String> {
        let password = password.as_bytes().to_vec();
        self.run(move || {
            let hash = argon2().hash_password(&password);
            hash.map(|hash| hash.to_string()).map_err(|error| internal(&error))
        })
        .await?
    }

    /// Whether `password` is the one of `hash`. Without a hash it is not, and takes as long to say so.
    ///
    /// # Errors
    /// `overloaded` when too many wait.
    pub async fn verify(&self, password: &str, hash: Option<String>) -> Result<bool> {
        let password = password.as_bytes().to_vec();
        self.run(move || {
            let known = hash.is_some();
            let Some(hash) = hash.or_else(|| NOBODY.clone()) else { return false };
            let parsed = PasswordHash::new(&hash);
            let right = parsed.is_ok_and(|hash| argon2().verify_password(&password, &hash).is_ok());
            right && known
        })
        .await
    }

    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        let busy = || Error::new(ErrorKind::Overloaded, "too many logins at the same time: try again later");
        let _waiting = self.waiting.try_acquire().map_err(|_| busy())?;
        let _turn = self.turns.acquire().await.map_err(|_| busy())?;
        tokio::task::spawn_blocking(work).await.map_err(|error| internal(&error))
    }
}

fn internal(error: &dyn std::fmt::Display) -> Error {
    Error::new(ErrorKind::Internal, format!("hashing a password failed: {error}"))
}

/// Refuses passwords that are too short or too long.
///
/// # Errors
/// The text that is shown.
pub fn check(password: &str) -> Result<(), String> {
    if password.chars().count() < PASSWORD_MIN {
        return Err(format!("Password must be at least {PASSWORD_MIN} characters"));
    }
    if password.len() > PASSWORD_MAX {
        return Err(format!("Password must be at most {PASSWORD_MAX} bytes"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_right_password_fits() {
        let passwords = Passwords::default();
        let hash = passwords.hash("correct horse").await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert_ne!(hash, passwords.hash("correct horse").await.unwrap(), "each has a salt of its own");
        assert!(passwords.verify("correct horse", Some(hash.clone())).await.unwrap());
        assert!(!passwords.verify("correct hors", Some(hash)).await.unwrap());
        assert!(!passwords.verify("correct horse", None).await.unwrap());
        assert!(!passwords.verify("x", Some("no hash".to_owned())).await.unwrap());
    }

    #[test]
    fn lengths_are_checked() {
        assert_eq!(check("1234567").unwrap_err(), "Password must be at least 8 characters");
        assert!(check("12345678").is_ok());
        assert!(check(&"x".repeat(PASSWORD_MAX + 1)).is_err());
    }
}
