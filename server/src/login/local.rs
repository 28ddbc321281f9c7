//! The functions of `public/hypha-login` about local accounts. Like those of the reference they answer with a flag
//! `success` and say in `error` what went wrong.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use polyfn_core::{Error, ErrorKind, Map, Result, Value};

use crate::auth::UserInfo;
use crate::login::Login;
use crate::login::accounts::{Accounts, Counter, SignedUp};
use crate::login::functions::{Asked, Function};
use crate::login::keys::Wish;
use crate::store::accounts::Account;

/// The functions, where there are local accounts.
pub(super) static FUNCTIONS: [Function; 5] = [
    Function {
        name: "signup",
        parameters: &["name", "email", "password"],
        run: |login, asked| Box::pin(async move { answer(sign_up(&login, &asked).await) }),
    },
    Function {
        name: "verify_email",
        parameters: &["email", "code"],
        run: |login, asked| Box::pin(async move { answer(verify(&login, &asked).await) }),
    },
    Function {
        name: "resend_code",
        parameters: &["email"],
        run: |login, asked| Box::pin(async move { answer(resend(&login, &asked).await) }),
    },
    Function {
        name: "login",
        parameters: &["email", "password", "workspace", "key", "expires_in"],
        run: |login, asked| Box::pin(async move { answer(sign_in(&login, &asked).await) }),
    },
    Function {
        name: "update_profile",
        parameters: &["user_email", "name", "current_password", "new_password"],
        run: |login, asked| Box::pin(async move { answer(update(&login, &asked).await) }),
    },
];

/// What went wrong is told in the answer; what is the server's fault is none.
fn answer(result: Result<Map>) -> Result<Value> {
    let (success, mut map) = match result {
        Ok(map) => (true, map),
        Err(error) if error.kind() == ErrorKind::Internal => return Err(error),
        Err(error) => (false, Map::from_iter([("error", error.message())])),
    };
    let mut answer = Map::from_iter([("success", Value::Bool(success))]);
    for (key, value) in std::mem::take(&mut map) {
        answer.insert(key, value);
    }
    Ok(Value::Map(answer))
}

impl Login {
    /// The local accounts.
    ///
    /// # Errors
    /// When there are none.
    pub(crate) fn local(&self) -> Result<&Accounts> {
        let none = || Error::new(ErrorKind::NotFound, "there are no local accounts on this server");
        self.accounts.as_ref().ok_or_else(none)
    }

    /// The account of whoever knows its password, and its user, who has just arrived.
    ///
    /// # Errors
    /// As [`Accounts::sign_in`].
    pub(crate) async fn sign_in(
        &self,
        email: &str,
        password: &str,
        address: Option<IpAddr>,
    ) -> Result<(Account, UserInfo)> {
        let accounts = self.local()?;
        let account = accounts.sign_in(email, password, self.counter(address)).await?;
        let user = self.arrived(account.user())?;
        // who changes an account ends its logins afterwards: a change until here would leave this one out
        if accounts.named(&account.id).await? != account {
            let text = "The account was changed just now: log in again";
            return Err(Error::new(ErrorKind::PermissionDenied, text));
        }
        Ok((account, user))
    }

    /// How attempts from `address` are counted. Those of which none is known, as they come by RPC, count together:
    /// else they would be free.
    pub(crate) fn counter(&self, address: Option<IpAddr>) -> Counter<'_> {
        let address = Some(address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)));
        Counter { lockout: &self.lockout, now: self.elapsed(), address, audit: Some(self.hub.audit()) }
    }
}

async fn sign_up(login: &Arc<Login>, asked: &Asked) -> Result<Map> {
    let text = |name: &str| asked.text(name).map(Option::unwrap_or_default);
    let (name, email, password) = (text("name")?, text("email")?, text("password")?);
    let done = login.local()?.sign_up(&name, &email, &password, login.counter(asked.address)).await?;
    let email = email.trim().to_lowercase();
    Ok(match done {
        SignedUp::CodeSent => {
            Map::from_iter([("verification_required", Value::Bool(true)), ("email", Value::from(email))])
        }
        SignedUp::Made(account) => Map::from_iter([
            ("verification_required", Value::Bool(false)),
            ("email", Value::from(email)),
            ("user_id", Value::from(account.id)),
        ]),
    })
}

async fn verify(login: &Arc<Login>, asked: &Asked) -> Result<Map> {
    let account = login
        .local()?
        .verify(&asked.required("email")?, &asked.required("code")?, login.counter(asked.address))
        .await?;
    Ok(Map::from_iter([("user_id", Value::from(account.id)), ("email_verified", Value::Bool(true))]))
}

async fn resend(login: &Arc<Login>, asked: &Asked) -> Result<Map> {
    let email = asked.required("email")?;
    login.local()?.resend(&email).await?;
    Ok(Map::from_iter([("email", Value::from(email))]))
}

async fn sign_in(login: &Arc<Login>, asked: &Asked) -> Result<Map> {
    let (email, password) = (asked.text("email")?.unwrap_or_default(), asked.text("password")?);
    let password = password.unwrap_or_default();
    let (account, user) = login.sign_in(&email, &password, asked.address).await?;
    let wish = asked.wish()?;
    let token = login.mint(&user, &wish)?;
    login.note_login(&user, "by password", asked.address);
    if let Some(key) = asked.text("key")? {
        login.approve(&key, &user, account.profile())?;
    }
    let Wish { workspace, .. } = wish;
    Ok(Map::from_iter([
        ("token", Value::from(token)),
        ("user_id", Value::from(user.id.as_str())),
        ("email", Value::from(account.email)),
        ("workspace", Value::from(workspace.unwrap_or_else(|| user.own_workspace()))),
    ]))
}

/// Only the user in person changes a profile.
async fn update(login: &Arc<Login>, asked: &Asked) -> Result<Map> {
    let accounts = login.local()?;
    let own = accounts.of(&asked.user).await?;
    let denied =
        || Error::new(ErrorKind::PermissionDenied, "Log in first: a profile is changed by its user only");
    let own = own.filter(|_| !asked.user.is_anonymous).ok_or_else(denied)?;
    if asked.text("user_email")?.is_some_and(|email| email.trim().to_lowercase() != own.email) {
        return Err(denied());
    }
    let (name, current, new) =
        (asked.text("name")?, asked.text("current_password")?, asked.text("new_password")?);
    let passwords = new.as_deref().map(|new| (current.as_deref().unwrap_or_default(), new));
    accounts.change(&own, name.as_deref(), passwords, login.counter(asked.address)).await?;
    let mut answer = Map::from_iter([("message", "Profile updated successfully")]);
    if passwords.is_some() {
        // the caller's token ends with all others of the user
        login.end_all(&own.id, &own.id, "the password was changed").await?;
        answer.insert("token", login.mint(&login.arrived(own.user())?, &Wish::default())?);
    }
    Ok(answer)
}
