//! The pages of local accounts: log in with a password, sign up, prove an address, change a profile.

use axum::http::StatusCode;
use axum::response::Response;
use polyfn_core::Result;

use super::view::{Field, Frame, page};
use super::{Visit, redirect_seen, said};
use crate::auth::UserInfo;
use crate::http::pages::escape;
use crate::login::Wish;
use crate::login::accounts::{Accounts, SignedUp};
use crate::store::accounts::Account;

const EMAIL: &str = "type=\"email\" autocomplete=\"username\" maxlength=\"254\" required";
const NEW_PASSWORD: &str =
    "type=\"password\" autocomplete=\"new-password\" minlength=\"8\" maxlength=\"1024\" required";
const CURRENT_PASSWORD: &str =
    "type=\"password\" autocomplete=\"current-password\" maxlength=\"1024\" required";
const LENGTH: &str = "8 characters at least.";

const fn field<'a>(name: &'a str, label: &'a str, attributes: &'a str, value: &'a str) -> Field<'a> {
    Field { name, label, attributes, value, hint: "" }
}

impl Visit<'_> {
    fn accounts(&self) -> Option<&Accounts> {
        self.login().accounts.as_ref()
    }

    /// What of the page to log in belongs to accounts; nothing where there are none.
    pub(super) fn password_form(&self) -> String {
        let Some(accounts) = self.accounts() else { return String::new() };
        let fields = field("email", "E-mail", EMAIL, self.fields.get("email")).html()
            + &field("password", "Password", CURRENT_PASSWORD, "").html();
        let link = accounts.can_sign_up().then(|| {
            format!("<p>No account yet? <a href=\"./?view=sign-up{}\">Sign up</a></p>", self.and_key())
        });
        self.form("sign-in", &fields, "Log in", "") + &link.unwrap_or_default()
    }

    pub(super) fn sign_up_page(&self, status: StatusCode, error: Option<&str>) -> Response {
        let name = field(
            "name",
            "Name",
            "autocomplete=\"name\" maxlength=\"200\" required",
            self.fields.get("name"),
        );
        let password = Field { hint: LENGTH, ..field("password", "Password", NEW_PASSWORD, "") };
        let email = field("email", "E-mail", EMAIL, self.fields.get("email"));
        let fields = name.html() + &email.html() + &password.html();
        let back = format!("<p>You have an account? <a href=\"./?{}\">Log in</a></p>", self.and_key());
        let main = self.form("sign-up", &fields, "Sign up", "") + &back;
        page(status, &Frame { title: "Sign up", error, note: None }, &main)
    }

    fn verify_page(&self, status: StatusCode, error: Option<&str>, note: Option<&str>) -> Response {
        let email = self.fields.get("email");
        let attributes = "inputmode=\"numeric\" autocomplete=\"one-time-code\" maxlength=\"12\" required";
        let hidden = format!("<input type=\"hidden\" name=\"email\" value=\"{}\">", escape(email));
        let code = field("code", "Code", attributes, "").html();
        let main = format!(
            "<p>We have sent a code to <strong>{}</strong>.</p>{}{}",
            escape(email),
            self.form("verify", &(hidden.clone() + &code), "Go on", ""),
            self.form("resend", &hidden, "Send another code", "quiet"),
        );
        page(status, &Frame { title: "Check your e-mail", error, note }, &main)
    }

    /// `GET profile`: for who is logged in with an account.
    pub(super) async fn profile(
        &self,
        status: StatusCode,
        error: Option<&str>,
        note: Option<&str>,
    ) -> Response {
        let Some(account) = self.account().await else { return redirect_seen("./") };
        let name = field("name", "Name", "autocomplete=\"name\" maxlength=\"200\" required", &account.name);
        // a password manager is to know whose password is changed
        let hidden = format!(
            "<input type=\"hidden\" name=\"username\" autocomplete=\"username\" value=\"{}\">",
            escape(&account.email)
        );
        let current = field("current_password", "Current password", CURRENT_PASSWORD, "");
        let new = Field { hint: LENGTH, ..field("new_password", "New password", NEW_PASSWORD, "") };
        let main = format!(
            "<p><strong>{}</strong></p>{}<h2>Password</h2>{}<p><a href=\"./\">Back</a></p>",
            escape(&account.email),
            self.form("profile", &name.html(), "Save", "quiet"),
            self.form("password", &(hidden + &current.html() + &new.html()), "Change the password", "quiet"),
        );
        page(status, &Frame { title: "Your profile", error, note }, &main)
    }

    /// The account of who is logged in.
    pub(super) async fn account(&self) -> Option<Account> {
        let found = self.accounts()?.of(self.user.as_deref()?).await;
        found.ok().flatten()
    }

    pub(super) async fn sign_in(&self) -> Response {
        if self.accounts().is_none() {
            return self.index(StatusCode::NOT_FOUND, None);
        }
        let (email, password) = (self.fields.get("email"), self.fields.raw("password"));
        let found = self.login().sign_in(email, password, self.address).await;
        match found.and_then(|(_, user)| self.session(&user, "by password")) {
            Ok(token) => self.signed_in(&token),
            Err(error) => self.failed(&error),
        }
    }

    fn session(&self, user: &UserInfo, how: &str) -> Result<String> {
        let token = self.login().mint(user, &Wish::default())?;
        self.login().note_login(user, how, self.address);
        Ok(token)
    }

    /// That of an account that was just made.
    fn first_session(&self, account: &Account) -> Result<String> {
        self.session(&self.login().arrived(account.user())?, "by signing up")
    }

    pub(super) async fn sign_up(&self) -> Response {
        let Some(accounts) = self.accounts() else { return self.index(StatusCode::NOT_FOUND, None) };
        let (name, email) = (self.fields.get("name"), self.fields.get("email"));
        let counter = self.login().counter(self.address);
        let done = accounts.sign_up(name, email, self.fields.raw("password"), counter).await;
        let done = done.and_then(|done| match done {
            SignedUp::Made(account) => self.first_session(&account).map(Some),
            SignedUp::CodeSent => Ok(None),
        });
        match done {
            Ok(Some(token)) => self.signed_in(&token),
            Ok(None) => self.verify_page(StatusCode::OK, None, None),
            Err(error) => {
                let (status, text) = said(&error);
                self.sign_up_page(status, Some(text))
            }
        }
    }

    pub(super) async fn verify(&self) -> Response {
        let Some(accounts) = self.accounts() else { return self.index(StatusCode::NOT_FOUND, None) };
        let counter = self.login().counter(self.address);
        let made = accounts.verify(self.fields.get("email"), self.fields.get("code"), counter).await;
        match made.and_then(|account| self.first_session(&account)) {
            Ok(token) => self.signed_in(&token),
            Err(error) => {
                let (status, text) = said(&error);
                self.verify_page(status, Some(text), None)
            }
        }
    }

    pub(super) async fn resend(&self) -> Response {
        let Some(accounts) = self.accounts() else { return self.index(StatusCode::NOT_FOUND, None) };
        match accounts.resend(self.fields.get("email")).await {
            Ok(()) => self.verify_page(StatusCode::OK, None, Some("Another code is on its way.")),
            Err(error) => {
                let (status, text) = said(&error);
                self.verify_page(status, Some(text), None)
            }
        }
    }

    /// Ends all logins of the user, this one too, and gives another one for this browser.
    async fn begin_anew(&self, account: &Account) -> Result<String> {
        self.login().end_all(&account.id, &account.id, "the password was changed").await?;
        self.login().mint(&self.login().arrived(account.user())?, &Wish::default())
    }

    pub(super) async fn change(&self, with_password: bool) -> Response {
        let Some((accounts, account)) = self.accounts().zip(self.account().await) else {
            return self.index(StatusCode::UNAUTHORIZED, Some("Please log in first."));
        };
        let passwords = (self.fields.raw("current_password"), self.fields.raw("new_password"));
        let name = (!with_password).then(|| self.fields.get("name"));
        let counter = self.login().counter(self.address);
        let changed = accounts.change(&account, name, with_password.then_some(passwords), counter).await;
        let changed = match changed {
            Ok(()) if with_password => self.begin_anew(&account).await.map(Some),
            changed => changed.map(|()| None),
        };
        match changed {
            Ok(None) => self.profile(StatusCode::OK, None, Some("Saved.")).await,
            Ok(Some(token)) => {
                let note = "Saved. All other browsers and programs of yours are logged out.";
                self.with_session(self.profile(StatusCode::OK, None, Some(note)).await, &token)
            }
            Err(error) => {
                let (status, text) = said(&error);
                self.profile(status, Some(text), None).await
            }
        }
    }
}
