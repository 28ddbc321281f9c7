//! Local accounts: sign-up, login, changes.
//!
//! What is told, and how long it takes, does not say whether an address has an account; without a mail server a
//! sign-up is the exception, as it ends at once.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use parking_lot::Mutex;
use polyfn_core::{Error, ErrorKind, Result};
use subtle::ConstantTimeEq;
use tokio::time::Instant;

use crate::audit::Audit;
use crate::auth::{Permission, Scope, UserInfo};
use crate::config::{ConfigError, LoginConfig};
use crate::login::keys::Profile;
use crate::login::lockout::{Attempt, Lockout};
use crate::login::mail::Mailer;
use crate::login::password::{self, Passwords};
use crate::names;
use crate::store::Store;
use crate::store::accounts::Account;

mod changes;

pub(crate) use changes::Change;

/// How long a code is good for.
const CODE_LIFE: Duration = Duration::from_secs(600);
/// Wrong codes until one has to begin again.
const CODE_ATTEMPTS: u32 = 5;
/// Time between two e-mails to one address.
const RESEND_AFTER: Duration = Duration::from_secs(30);
/// Sign-ups that wait for their code.
const PENDING_MAX: usize = 10_000;
/// Characters of a name, and of an address.
const NAME_MAX: usize = 200;
const EMAIL_MAX: usize = 254;

/// Accounts of one server.
#[derive(Debug)]
pub struct Accounts {
    store: Store,
    passwords: Passwords,
    mailer: Option<Mailer>,
    pending: Mutex<HashMap<String, Pending>>,
    can_sign_up: bool,
}

/// A sign-up that waits for its code.
struct Pending {
    name: String,
    hash: String,
    code: String,
    attempts: u32,
    until: Instant,
    sent: Instant,
    /// The address has an account already: no code is right.
    is_decoy: bool,
}

impl std::fmt::Debug for Pending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pending").finish_non_exhaustive()
    }
}

/// What became of a sign-up.
#[derive(Debug)]
pub enum SignedUp {
    /// There is an account now.
    Made(Box<Account>),
    /// A code is on its way to the address.
    CodeSent,
}

/// How attempts are counted.
#[derive(Clone, Copy, Debug)]
pub struct Counter<'a> {
    /// What remembers them.
    pub lockout: &'a Lockout,
    /// Time since the server began.
    pub now: Duration,
    /// Where this one comes from, if that is known.
    pub address: Option<IpAddr>,
    /// Where is noted what became of it.
    pub(crate) audit: Option<&'a Audit>,
}

impl Counter<'_> {
    fn note(&self, by: &str, what: &str, target: &str) {
        let from = self.address.filter(|address| !address.is_unspecified());
        let details = from.map_or_else(|| "by RPC".to_owned(), |address| format!("from {address}"));
        if let Some(audit) = self.audit {
            audit.note(by, what, target, &details);
        }
    }
}

fn refused(text: impl Into<String>) -> Error {
    Error::new(ErrorKind::PermissionDenied, text)
}

/// The refusal of somebody who has to wait.
pub(crate) fn too_many(wait: Duration) -> Error {
    let text = format!("Too many attempts. Please wait {} seconds.", wait.as_secs().max(1));
    Error::new(ErrorKind::Overloaded, text)
}

impl Accounts {
    /// What the settings ask for; `None` when there are to be no local accounts.
    ///
    /// # Errors
    /// For a mail server that cannot be used.
    pub fn new(config: &LoginConfig, store: Store) -> Result<Option<Self>, ConfigError> {
        let mailer = Mailer::new(config)?;
        Ok(config.enable_local_auth.then(|| Self {
            store,
            passwords: Passwords::default(),
            mailer,
            pending: Mutex::default(),
            can_sign_up: !config.disable_sign_up,
        }))
    }

    /// Whether strangers may make themselves an account.
    #[must_use]
    pub const fn can_sign_up(&self) -> bool {
        self.can_sign_up
    }

    /// Makes the first account when there is none: an administrator, whose password is the answer.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn make_admin(&self, email: &str) -> Result<Option<String>> {
        if self.store.has_accounts().await? {
            return Ok(None);
        }
        let random = crate::login::keys::random_key();
        let password = random.map_err(|error| Error::new(ErrorKind::Internal, error.to_string()))?;
        let hash = self.passwords.hash(&password).await?;
        let roles = vec!["admin".to_owned(), "user".to_owned()];
        let admin = Account { roles, ..account(email.to_owned(), "Administrator".to_owned(), hash) };
        Ok(self.store.add_account(&admin).await?.then_some(password))
    }

    /// Begins an account, or makes it at once when no mail server can be asked to prove the address.
    ///
    /// # Errors
    /// Says what to do; `internal` when mail server or database fail.
    pub async fn sign_up(
        &self,
        name: &str,
        email: &str,
        password: &str,
        counter: Counter<'_>,
    ) -> Result<SignedUp> {
        if !self.can_sign_up {
            return Err(refused("Sign-up is disabled on this server: ask its operator for an account"));
        }
        let name: String = name.trim().chars().filter(|c| !c.is_control()).take(NAME_MAX).collect();
        if name.is_empty() || email.trim().is_empty() || password.is_empty() {
            return Err(Error::invalid("Name, email and password are required"));
        }
        let email = normal(email)?;
        password::check(password).map_err(Error::invalid)?;
        let attempt = Attempt::new(&format!("sign up {email}"), counter.address);
        counter.lockout.check(&attempt, counter.now).map_err(too_many)?;
        counter.lockout.fail(&attempt, counter.now);
        let hash = self.passwords.hash(password).await?;
        let is_known = self.store.account_of(&email).await?.is_some();
        let Some(mailer) = &self.mailer else {
            let made = account(email, name, hash);
            if is_known || !self.store.add_account(&made).await? {
                return Err(Error::new(ErrorKind::Conflict, "Email already registered"));
            }
            counter.note(&made.id, "sign_up", &made.email);
            return Ok(SignedUp::Made(Box::new(made)));
        };
        let code = random_digits()?;
        self.remember(
            &email,
            Pending {
                name,
                hash,
                code: code.clone(),
                attempts: 0,
                until: Instant::now() + CODE_LIFE,
                sent: Instant::now(),
                is_decoy: is_known,
            },
        )?;
        send(mailer, &email, &code, is_known).await?;
        Ok(SignedUp::CodeSent)
    }

    fn remember(&self, email: &str, entry: Pending) -> Result<()> {
        let mut pending = self.pending.lock();
        if pending.len() >= PENDING_MAX {
            pending.retain(|_, entry| entry.until > Instant::now());
        }
        if let Some(known) = pending.get(email) {
            wait_to_send(known)?;
        } else if pending.len() >= PENDING_MAX {
            let text = "too many sign-ups are under way: try again later";
            return Err(Error::new(ErrorKind::Overloaded, text));
        }
        pending.insert(email.to_owned(), entry);
        Ok(())
    }

    /// Ends a sign-up with the code that was sent.
    ///
    /// # Errors
    /// Says what to do.
    pub async fn verify(&self, email: &str, code: &str, counter: Counter<'_>) -> Result<Account> {
        let email = normal(email)?;
        let made = {
            let mut pending = self.pending.lock();
            let entry = pending.get_mut(&email).filter(|entry| entry.until > Instant::now());
            let Some(entry) = entry else {
                let text =
                    "No pending verification for this email, or the code has expired. Please sign up again.";
                return Err(refused(text));
            };
            let right = bool::from(entry.code.as_bytes().ct_eq(code.trim().as_bytes()));
            if !right || entry.is_decoy {
                entry.attempts += 1;
                let left = CODE_ATTEMPTS.saturating_sub(entry.attempts);
                if left == 0 {
                    pending.remove(&email);
                    return Err(refused("Too many incorrect attempts. Please sign up again."));
                }
                return Err(refused(format!("Incorrect code. {left} attempt(s) remaining.")));
            }
            pending.remove(&email)
        };
        let made = made.map(|entry| Account { verified: true, ..account(email, entry.name, entry.hash) });
        let made = made.ok_or_else(|| refused("Please sign up again."))?;
        if !self.store.add_account(&made).await? {
            return Err(Error::new(ErrorKind::Conflict, "Email already registered"));
        }
        counter.note(&made.id, "sign_up", &made.email);
        Ok(made)
    }

    /// Sends another code for a sign-up.
    ///
    /// # Errors
    /// Says how long to wait, or that there is none to send.
    pub async fn resend(&self, email: &str) -> Result<()> {
        let email = normal(email)?;
        let (code, is_decoy) = {
            let mut pending = self.pending.lock();
            let entry = pending.get_mut(&email).filter(|entry| entry.until > Instant::now());
            let none = || refused("No pending verification for this email. Please sign up again.");
            let entry = entry.ok_or_else(none)?;
            wait_to_send(entry)?;
            entry.code = random_digits()?;
            entry.sent = Instant::now();
            (entry.code.clone(), entry.is_decoy)
        };
        match &self.mailer {
            Some(mailer) => send(mailer, &email, &code, is_decoy).await,
            None => Ok(()),
        }
    }

    /// The account of whoever knows its password.
    ///
    /// # Errors
    /// One text for all that can be wrong, and how long to wait after too many attempts.
    pub async fn sign_in(&self, email: &str, password: &str, counter: Counter<'_>) -> Result<Account> {
        let wrong = || refused("Invalid email or password");
        let email = normal(email).map_err(|_| wrong())?;
        if password.len() > password::PASSWORD_MAX {
            return Err(wrong());
        }
        let attempt = Attempt::new(&email, counter.address);
        counter.lockout.check(&attempt, counter.now).map_err(too_many)?;
        let locks = counter.lockout.fail(&attempt, counter.now);
        let found = self.store.account_of(&email).await?;
        let hash = found.as_ref().map(|found| found.password.clone());
        if !self.passwords.verify(password, hash).await? {
            if locks {
                counter.note("", "login_locked", &email);
            }
            return Err(wrong());
        }
        counter.lockout.succeed(&attempt);
        let found = found.ok_or_else(wrong)?;
        if found.disabled {
            return Err(refused("This account is disabled: ask the operator of this server"));
        }
        Ok(found)
    }

    /// The account of a user.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn of(&self, user: &UserInfo) -> Result<Option<Account>> {
        // a token that was made for somebody else, or for one workspace only, is no session
        let is_session = user.parent.is_none() && user.scope.special().is_empty();
        if !is_session {
            return Ok(None);
        }
        Ok(self.store.account(&user.id).await?.filter(|account| !account.disabled))
    }

    /// Changes name and password; the latter takes the one there is.
    ///
    /// # Errors
    /// Says what to do.
    pub async fn change(
        &self,
        account: &Account,
        name: Option<&str>,
        passwords: Option<(&str, &str)>,
        counter: Counter<'_>,
    ) -> Result<()> {
        let name = name.map(str::trim).filter(|name| !name.is_empty()).unwrap_or(&account.name);
        let name: String = name.chars().filter(|c| !c.is_control()).take(NAME_MAX).collect();
        let hash = match passwords {
            None => account.password.clone(),
            Some((current, new)) => {
                password::check(new).map_err(Error::invalid)?;
                let known = self.sign_in(&account.email, current, counter).await;
                known.map_err(|error| match error.kind() {
                    ErrorKind::PermissionDenied => refused("Current password is incorrect"),
                    _ => error,
                })?;
                self.passwords.hash(new).await?
            }
        };
        self.store.change_account(&account.id, &name, &hash).await?;
        counter.note(&account.id, if passwords.is_some() { "password" } else { "profile" }, &account.email);
        Ok(())
    }
}

fn account(email: String, name: String, password: String) -> Account {
    let roles = vec!["user".to_owned()];
    Account { id: names::random(), email, name, password, roles, verified: false, disabled: false }
}

impl Account {
    /// The user that this account stands for, with all rights in the own workspace.
    #[must_use]
    pub fn user(&self) -> UserInfo {
        let user = UserInfo {
            id: self.id.clone(),
            roles: self.roles.clone(),
            email: Some(self.email.clone()),
            ..UserInfo::default()
        };
        let workspaces = vec![(user.own_workspace(), Permission::Admin)];
        UserInfo { scope: Scope { workspaces, ..Scope::default() }, ..user }
    }

    /// What programs are told of the user.
    #[must_use]
    pub fn profile(&self) -> Profile {
        Profile {
            user_id: self.id.clone(),
            email: Some(self.email.clone()),
            email_verified: self.verified,
            name: Some(self.name.clone()),
            nickname: None,
            picture: None,
        }
    }
}

/// The address in one spelling.
fn normal(email: &str) -> Result<String> {
    let email = email.trim().to_lowercase();
    let plain = |c: char| !c.is_whitespace() && !c.is_control() && !"<>,;:\"()[]\\".contains(c);
    let parts = email.split_once('@').filter(|(name, host)| !name.is_empty() && !host.is_empty());
    let good = parts.is_some_and(|(_, host)| !host.contains('@'));
    if good && email.len() <= EMAIL_MAX && email.chars().all(plain) {
        return Ok(email);
    }
    Err(Error::invalid("Please give a valid e-mail address"))
}

fn wait_to_send(entry: &Pending) -> Result<()> {
    let left = RESEND_AFTER.saturating_sub(entry.sent.elapsed());
    if left.is_zero() {
        return Ok(());
    }
    let text = format!("Please wait {}s before requesting another code.", left.as_secs().max(1));
    Err(Error::new(ErrorKind::Overloaded, text))
}

async fn send(mailer: &Mailer, email: &str, code: &str, is_known: bool) -> Result<()> {
    let text = if is_known {
        "Somebody, perhaps you, tried to sign up with this address. It has an account already: log in with its \
         password.\n\nIf this was not you, there is nothing to do."
            .to_owned()
    } else {
        format!(
            "Your code is {code}\n\nIt is good for {} minutes. If you did not sign up, there is nothing to do.",
            CODE_LIFE.as_secs() / 60
        )
    };
    mailer.send(email, "Your sign-up", text).await
}

/// Six digits.
fn random_digits() -> Result<String> {
    let failed = |error: getrandom::Error| Error::new(ErrorKind::Internal, error.to_string());
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).map_err(failed)?;
    Ok(format!("{:06}", u64::from_be_bytes(bytes) % 1_000_000))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Place;

    async fn accounts() -> Accounts {
        let config = LoginConfig { enable_local_auth: true, ..LoginConfig::default() };
        let store = Store::open(&Place::Memory).await.unwrap();
        Accounts::new(&config, store).unwrap().unwrap()
    }

    fn text<T: std::fmt::Debug>(result: Result<T>) -> String {
        result.unwrap_err().message().to_owned()
    }

    #[tokio::test]
    async fn one_signs_up_and_logs_in() {
        let (accounts, lockout) = (accounts().await, Lockout::new(100));
        let counter = Counter { lockout: &lockout, now: Duration::ZERO, address: None, audit: None };
        let up =
            |email: &'static str, password: &'static str| accounts.sign_up("Ada", email, password, counter);
        assert_eq!(text(up("", "12345678").await), "Name, email and password are required");
        assert_eq!(text(up("a@b.c", "1234567").await), "Password must be at least 8 characters");
        assert_eq!(text(up("a b@c", "12345678").await), "Please give a valid e-mail address");
        let SignedUp::Made(made) = up(" A@b.C ", "12345678").await.unwrap() else { panic!("no account") };
        assert_eq!((made.email.as_str(), made.verified), ("a@b.c", false));
        assert_eq!(text(up("a@b.c", "12345678").await), "Email already registered");
        let user = accounts.sign_in("A@B.c", "12345678", counter).await.unwrap().user();
        assert_eq!(
            (user.id.as_str(), user.scope.claim().as_str()),
            (&*made.id, &*format!("ws:ws-user-{}#a", made.id))
        );
        for (email, password) in [("a@b.c", "123456789"), ("no@b.c", "12345678"), ("no", "")] {
            assert_eq!(text(accounts.sign_in(email, password, counter).await), "Invalid email or password");
        }
    }

    #[tokio::test]
    async fn guesses_are_slowed_alike_with_and_without_an_account() {
        let (accounts, lockout) = (accounts().await, Lockout::new(100));
        let counter = Counter { lockout: &lockout, now: Duration::ZERO, address: None, audit: None };
        accounts.sign_up("Ada", "a@b.c", "12345678", counter).await.unwrap();
        for email in ["a@b.c", "no@b.c"] {
            let mut answers = Vec::new();
            for _ in 0..6 {
                answers.push(text(accounts.sign_in(email, "wrong", counter).await));
            }
            assert_eq!(answers[4], "Invalid email or password", "{email}");
            assert_eq!(answers[5], "Too many attempts. Please wait 1 seconds.", "{email}");
        }
        assert!(accounts.sign_in("a@b.c", "12345678", counter).await.is_err(), "even with the right one");
        let later = Counter { now: Duration::from_secs(61), ..counter };
        assert!(accounts.sign_in("a@b.c", "12345678", later).await.is_ok());
    }

    #[tokio::test]
    async fn the_first_account_is_an_admin_once() {
        let (accounts, lockout) = (accounts().await, Lockout::new(100));
        let counter = Counter { lockout: &lockout, now: Duration::ZERO, address: None, audit: None };
        let password = accounts.make_admin("admin@localhost").await.unwrap().unwrap();
        assert_eq!(accounts.make_admin("admin@localhost").await.unwrap(), None);
        let admin = accounts.sign_in("admin@localhost", &password, counter).await.unwrap();
        assert_eq!(admin.roles, ["admin", "user"]);
        let wrong = accounts.change(&admin, None, Some(("no", "another one")), counter).await;
        assert_eq!(text(wrong), "Current password is incorrect");
        accounts.change(&admin, Some("Root"), Some((&password, "another one")), counter).await.unwrap();
        assert!(accounts.sign_in("admin@localhost", &password, counter).await.is_err());
        assert_eq!(accounts.sign_in("admin@localhost", "another one", counter).await.unwrap().name, "Root");
    }
}
