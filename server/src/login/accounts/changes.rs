//! What an administrator does with the accounts of others.

use polyfn_core::{Error, ErrorKind, Result};

use super::{Accounts, refused};
use crate::login::{Login, keys, password};
use crate::store::accounts::Account;

/// A change of an account.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Change<'a> {
    /// Whether it may administer the server.
    Admin(bool),
    /// Whether nobody can log in with it.
    Disabled(bool),
    /// Another password.
    Password(&'a str),
}

impl Change<'_> {
    /// Its name in the audit log.
    const fn word(self) -> &'static str {
        match self {
            Self::Admin(_) => "set_role",
            Self::Disabled(true) => "disable_account",
            Self::Disabled(false) => "enable_account",
            Self::Password(_) => "reset_password",
        }
    }

    /// Why logins end.
    const fn reason(self) -> &'static str {
        match self {
            Self::Admin(_) => "the role was changed",
            Self::Disabled(_) => "the account was disabled or enabled",
            Self::Password(_) => "the password was reset",
        }
    }
}

impl Accounts {
    /// Accounts by their addresses.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn list(&self, limit: usize, offset: usize) -> Result<Vec<Account>> {
        Ok(self.store.accounts(limit, offset).await?)
    }

    /// The account of this address or id.
    ///
    /// # Errors
    /// `not_found` when there is none.
    pub(crate) async fn named(&self, name: &str) -> Result<Account> {
        let found = match name.contains('@') {
            true => self.store.account_of(&name.trim().to_lowercase()).await?,
            false => self.store.account(name).await?,
        };
        found.ok_or_else(|| {
            let shown: String = name.chars().take(64).collect();
            Error::new(ErrorKind::NotFound, format!("KeyError: 'Account not found: {shown}'"))
        })
    }

    /// A password that nobody knows yet.
    ///
    /// # Errors
    /// When the system has no randomness to give.
    pub(crate) fn random_password() -> Result<String> {
        keys::random_key().map_err(|error| Error::new(ErrorKind::Internal, error.to_string()))
    }

    async fn changed(&self, account: Account, change: Change<'_>) -> Result<Account> {
        Ok(match change {
            Change::Admin(true) => Account { roles: vec!["admin".to_owned(), "user".to_owned()], ..account },
            Change::Admin(false) => Account { roles: vec!["user".to_owned()], ..account },
            Change::Disabled(disabled) => Account { disabled, ..account },
            Change::Password(new) => {
                password::check(new).map_err(Error::invalid)?;
                Account { password: self.passwords.hash(new).await?, ..account }
            }
        })
    }
}

impl Login {
    /// Changes an account, by its address or id, in the name of the user `by`. All its logins end, with their
    /// connections: they had the rights of before. Says whether there was anything to change.
    ///
    /// # Errors
    /// `not_found` for no such account; `permission_denied` for one's own, so that nobody locks the last administrator
    /// out; `invalid` for a bad password.
    pub(crate) async fn change_account(&self, by: &str, name: &str, change: Change<'_>) -> Result<bool> {
        let accounts = self.local()?;
        let account = accounts.named(name).await?;
        if account.id == by {
            let text =
                "PermissionError: your own account is changed by another administrator, or by the root user";
            return Err(refused(text));
        }
        let changed = accounts.changed(account.clone(), change).await?;
        if changed == account {
            return Ok(false);
        }
        accounts.store.put_account(&changed).await?;
        let details = format!("{}, roles: {}", changed.email, changed.roles.join(" "));
        self.note(by, change.word(), &changed.id, &details);
        self.end_all(by, &changed.id, change.reason()).await?;
        Ok(true)
    }
}
