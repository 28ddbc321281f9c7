//! Logging in: keys that programs wait with, and the tokens that they get.
//!
//! One [`Login`] for the server. Two surfaces stand on it: the service `public/hypha-login` ([`functions`]) and the
//! pages for people (`crate::http::login`).

pub mod accounts;
pub mod functions;
pub mod keys;
mod local;
pub mod lockout;
mod mail;
mod mint;
pub mod oidc;
pub mod password;
mod sessions;

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use crate::auth::Tokens;
use crate::config::Config;
use crate::config::ConfigError;
use crate::hub::Hub;
use crate::store::Store;
use accounts::Accounts;
pub use keys::{Granted, Key, KeyError, Keys, Profile, Wish};
use lockout::Lockout;
pub(crate) use mint::SESSION_SECONDS;
use oidc::{Access, Providers};
use sessions::Sessions;

/// The name of the service in the workspace `public`.
pub const SERVICE: &str = "hypha-login";
/// The workspace that the server's own services are in.
pub const WORKSPACE: &str = "public";
/// Accounts and addresses whose failures are remembered.
const LOCKOUT_MAX: usize = 20_000;

/// The parts of logging in that a server has.
pub struct Login {
    /// Programs that wait for their user.
    pub keys: Keys,
    pub(crate) lockout: Lockout,
    /// People with a password, where there are to be any.
    pub accounts: Option<Accounts>,
    admin_email: String,
    pub(crate) sessions: Sessions,
    /// Issuers at which one can log in.
    pub providers: Arc<Providers>,
    pub(crate) tokens: Arc<Tokens>,
    pub(crate) hub: Arc<Hub>,
    /// URL of the server in links, without a slash at the end.
    pub(crate) base: String,
    /// Binds the forms of the pages to the browsers that they were made for.
    pub(crate) form_secret: [u8; 32],
    started: Instant,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").field("keys", &self.keys).finish_non_exhaustive()
    }
}

impl Login {
    /// What the settings ask for.
    ///
    /// # Errors
    /// For a mail server that cannot be used, and when the system has no randomness to give.
    pub fn new(
        config: &Config,
        tokens: Arc<Tokens>,
        hub: Arc<Hub>,
        store: &Store,
        base: &str,
    ) -> Result<Self, ConfigError> {
        let mut form_secret = [0; 32];
        getrandom::fill(&mut form_secret)
            .map_err(|error| ConfigError(format!("no random bytes: {error}")))?;
        let providers = Arc::new(Providers::new(config)?);
        if let Some(access) = Access::new(&providers, &config.issuer.namespace) {
            tokens.set_foreign(Arc::new(access));
        }
        Ok(Self {
            providers,
            form_secret,
            keys: Keys::new(config.login.maximum_login_time.duration(), config.login.max_login_keys),
            lockout: Lockout::new(LOCKOUT_MAX),
            sessions: Sessions::new(store.clone()),
            accounts: Accounts::new(&config.login, store.clone())?,
            admin_email: config.login.admin_email.clone(),
            tokens,
            hub,
            base: base.to_owned(),
            started: Instant::now(),
        })
    }

    /// What is to be done once before anybody can log in: the first account. Its password is shown here and nowhere
    /// else, and stays out of the log.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn begin(&self) -> polyfn_core::Result<()> {
        self.sessions.load().await?;
        let Some(accounts) = &self.accounts else { return Ok(()) };
        let email = &self.admin_email;
        if let Some(password) = accounts.make_admin(email).await? {
            eprintln!("polyfn: the first account: {email} with the password {password} (shown only now)");
        }
        Ok(())
    }

    /// Time since the server began, the clock of what is remembered here.
    pub(crate) fn elapsed(&self) -> std::time::Duration {
        self.started.elapsed()
    }

    /// Where the page is.
    #[must_use]
    pub fn page_url(&self) -> String {
        format!("{}/{WORKSPACE}/apps/{SERVICE}/", self.base)
    }

    /// Where a function of the service is called by a plain request.
    pub(crate) fn function_url(&self, name: &str) -> String {
        format!("{}/{WORKSPACE}/services/{SERVICE}/{name}", self.base)
    }
}
