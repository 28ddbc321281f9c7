//! Local accounts: who has one, and what it may do.

use polyfn_core::{Error, Result, Value};
use serde_json::json;

use super::Asked;
use crate::login::accounts::{Accounts, Change};

/// Accounts in one list, unless it is said how many, and at most.
const LISTED: u64 = 100;
const LISTED_MAX: u64 = 1000;

/// `list_accounts(limit, offset)`, by their addresses.
pub(super) async fn list(asked: Asked) -> Result<Value> {
    let limit = asked.number(0, "limit")?.unwrap_or(LISTED).min(LISTED_MAX);
    let offset = asked.number(1, "offset")?.unwrap_or_default();
    let [limit, offset] = [limit, offset].map(|number| usize::try_from(number).unwrap_or(usize::MAX));
    let accounts = asked.state.login.local()?.list(limit, offset).await?;
    let told = accounts.into_iter().map(|account| {
        json!({
            "email": account.email,
            "id": account.id,
            "name": account.name,
            "roles": account.roles,
            "verified": account.verified,
            "disabled": account.disabled,
        })
    });
    Ok(Value::from(serde_json::Value::Array(told.collect())))
}

/// `set_role(account, role)`: `admin` or `user`. Says whether that was news.
pub(super) async fn role(asked: Asked) -> Result<Value> {
    let is_admin = match asked.text(1, "role")?.as_str() {
        "admin" => true,
        "user" => false,
        _ => return Err(Error::invalid("ValueError: 'role' must be 'admin' or 'user'")),
    };
    change(&asked, Change::Admin(is_admin)).await
}

/// `disable_account(account)`: nobody can log in with it. Says whether that was news.
pub(super) async fn disable(asked: Asked) -> Result<Value> {
    change(&asked, Change::Disabled(true)).await
}

/// `enable_account(account)`. Says whether that was news.
pub(super) async fn enable(asked: Asked) -> Result<Value> {
    change(&asked, Change::Disabled(false)).await
}

/// `reset_password(account, password)`: gives the new one, a random one unless it is given.
pub(super) async fn reset(asked: Asked) -> Result<Value> {
    let password = match asked.optional_text(1, "password")? {
        Some(password) => password,
        None => Accounts::random_password()?,
    };
    change(&asked, Change::Password(&password)).await?;
    Ok(Value::from(password))
}

async fn change(asked: &Asked, change: Change<'_>) -> Result<Value> {
    let account = asked.text(0, "account")?;
    Ok(Value::Bool(asked.state.login.change_account(&asked.by, &account, change).await?))
}
