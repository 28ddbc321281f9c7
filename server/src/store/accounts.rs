//! People who log in with a password.

use std::fmt;

use sqlx::Row;
use sqlx::any::AnyRow;

use super::{Store, StoreError};
use crate::clock;

/// One account.
#[derive(Clone, PartialEq, Eq)]
pub struct Account {
    /// The user's id.
    pub id: String,
    /// The address, in lower case.
    pub email: String,
    /// The name.
    pub name: String,
    /// The hash of the password.
    pub password: String,
    /// The roles.
    pub roles: Vec<String>,
    /// Whether somebody made sure that the address is theirs.
    pub verified: bool,
    /// Whether nobody can log in with it.
    pub disabled: bool,
}

/// Without the hash.
impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account").field("id", &self.id).field("roles", &self.roles).finish_non_exhaustive()
    }
}

const COLUMNS: &str = "SELECT id, email, name, password, roles, verified, disabled FROM accounts";

impl Store {
    /// Keeps a new account; `false` when the address has one already.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn add_account(&self, account: &Account) -> Result<bool, StoreError> {
        let put = "INSERT INTO accounts (id, email, name, password, roles, verified, created) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (email) DO NOTHING";
        let done = sqlx::query(put)
            .bind(account.id.clone())
            .bind(account.email.clone())
            .bind(account.name.clone())
            .bind(account.password.clone())
            .bind(account.roles.join(" "))
            .bind(i64::from(account.verified))
            .bind(i64::try_from(clock::now()).unwrap_or(i64::MAX))
            .execute(self.pool())
            .await?;
        Ok(done.rows_affected() == 1)
    }

    /// The account of an address.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn account_of(&self, email: &str) -> Result<Option<Account>, StoreError> {
        let row = sqlx::query(sql(&format!("{COLUMNS} WHERE email = $1")))
            .bind(email.to_owned())
            .fetch_optional(self.pool())
            .await?;
        row.as_ref().map(read).transpose()
    }

    /// The account of a user.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn account(&self, id: &str) -> Result<Option<Account>, StoreError> {
        let row = sqlx::query(sql(&format!("{COLUMNS} WHERE id = $1")))
            .bind(id.to_owned())
            .fetch_optional(self.pool())
            .await?;
        row.as_ref().map(read).transpose()
    }

    /// Keeps another name and another password of an account.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn change_account(&self, id: &str, name: &str, password: &str) -> Result<(), StoreError> {
        sqlx::query("UPDATE accounts SET name = $2, password = $3 WHERE id = $1")
            .bind(id.to_owned())
            .bind(name.to_owned())
            .bind(password.to_owned())
            .execute(self.pool())
            .await?;
        Ok(())
    }

    /// Accounts by their addresses: `limit` of them, without the first `offset`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn accounts(&self, limit: usize, offset: usize) -> Result<Vec<Account>, StoreError> {
        let [limit, offset] = [limit, offset].map(|number| i64::try_from(number).unwrap_or(i64::MAX));
        let rows = sqlx::query(sql(&format!("{COLUMNS} ORDER BY email LIMIT $1 OFFSET $2")))
            .bind(limit)
            .bind(offset)
            .fetch_all(self.pool())
            .await?;
        rows.iter().map(read).collect()
    }

    /// Keeps roles, password and state of an account as they are given here; name and address stay.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn put_account(&self, account: &Account) -> Result<(), StoreError> {
        sqlx::query("UPDATE accounts SET roles = $2, password = $3, disabled = $4 WHERE id = $1")
            .bind(account.id.clone())
            .bind(account.roles.join(" "))
            .bind(account.password.clone())
            .bind(i64::from(account.disabled))
            .execute(self.pool())
            .await?;
        Ok(())
    }

    /// Whether there is any account.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn has_accounts(&self) -> Result<bool, StoreError> {
        Ok(sqlx::query("SELECT id FROM accounts LIMIT 1").fetch_optional(self.pool()).await?.is_some())
    }
}

/// Only constants of ours are put together here; values are bound.
fn sql(text: &str) -> sqlx::AssertSqlSafe<String> {
    sqlx::AssertSqlSafe(text.to_owned())
}

fn read(row: &AnyRow) -> Result<Account, StoreError> {
    let roles: String = row.try_get("roles")?;
    let verified: i64 = row.try_get("verified")?;
    let disabled: i64 = row.try_get("disabled")?;
    Ok(Account {
        id: row.try_get("id")?,
        email: row.try_get("email")?,
        name: row.try_get("name")?,
        password: row.try_get("password")?,
        roles: roles.split_whitespace().map(str::to_owned).collect(),
        verified: verified != 0,
        disabled: disabled != 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Place;

    #[tokio::test]
    async fn an_address_has_one_account() {
        let store = Store::open(&Place::Memory).await.unwrap();
        assert!(!store.has_accounts().await.unwrap());
        let account = Account {
            id: "quiet-dove-1".to_owned(),
            email: "a@b.c".to_owned(),
            name: "Ada".to_owned(),
            password: "$hash".to_owned(),
            roles: vec!["admin".to_owned(), "user".to_owned()],
            verified: true,
            disabled: false,
        };
        assert!(store.add_account(&account).await.unwrap());
        let other = Account { id: "other".to_owned(), ..account.clone() };
        assert!(!store.add_account(&other).await.unwrap());
        assert_eq!(store.account_of("a@b.c").await.unwrap(), Some(account.clone()));
        assert_eq!(store.account("other").await.unwrap(), None);
        store.change_account(&account.id, "Ada L.", "$new").await.unwrap();
        let changed = store.account(&account.id).await.unwrap().unwrap();
        assert_eq!((changed.name.as_str(), changed.password.as_str()), ("Ada L.", "$new"));
        assert!(store.has_accounts().await.unwrap());
        store.put_account(&Account { roles: vec![], disabled: true, ..changed.clone() }).await.unwrap();
        assert_eq!(store.accounts(5, 1).await.unwrap(), []);
        let [kept] = <[_; 1]>::try_from(store.accounts(5, 0).await.unwrap()).unwrap();
        assert_eq!((kept.disabled, kept.roles.len(), kept.name.as_str()), (true, 0, "Ada L."));
        assert!(!format!("{changed:?}").contains("$new"));
    }
}
