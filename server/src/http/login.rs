//! `/public/apps/hypha-login/...`: the pages on which people log in, and approve the logins of their programs.
//!
//! | route | right |
//! | --- | --- |
//! | `GET /login` | none; leads to the page |
//! | `GET /public/apps/hypha-login/`, `.../profile` | none; what is shown depends on who is logged in |
//! | `POST .../{token,sign-in,sign-up,verify,resend}` | a form of ours, from the browser that got it |
//! | `POST .../{approve,profile,password,sign-out,sign-out-everywhere}` | the same, and to be logged in |
//!
//! Pages need no script. A page never acts for what is only a link: whoever follows one sees a button first.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State as Extract};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use polyfn_core::{Error, ErrorKind};

use crate::auth::UserInfo;
use crate::clock;
use crate::http::caller::Caller;
use crate::http::pages::escape;
use crate::http::problem::Problem;
use crate::http::services::login::is_in_charge;
use crate::http::{Ends, method_not_allowed, not_found, redirect, redirect_to_folder};
use crate::login::lockout::Attempt;
use crate::login::{Login, Profile, Wish};
use crate::state::State;

mod accounts;
mod form;
mod view;

use form::{Fields, Guard};
use view::{Field, Frame, form as form_html, page};

/// Where the pages are.
const PLACE: &str = "/public/apps/hypha-login";
/// The cookie that all routes take a token from.
const SESSION: &str = "access_token";

/// Whether a request for this path is one for the pages.
pub(super) fn serves(state: &State, path: &str) -> bool {
    let rest = path.strip_prefix(PLACE);
    let is_page = rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    is_page && is_in_charge(state) && !state.auth.has("index")
}

/// `GET /login`.
pub(super) async fn short(Extract(state): Extract<Arc<State>>, uri: Uri) -> Response {
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    redirect(&format!("{}{PLACE}/{query}", state.config.base_path))
}

/// Answers a request that [`serves`] is true for.
pub(super) async fn answer(state: &Arc<State>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let rest = parts.uri.path().strip_prefix(PLACE).unwrap_or_default();
    let Some(name) = rest.strip_prefix('/') else {
        return redirect_to_folder(&state.config.base_path, &parts.uri);
    };
    let is_post = parts.method == Method::POST;
    if !is_post && parts.method != Method::GET && parts.method != Method::HEAD {
        return method_not_allowed().await;
    }
    let fields = if is_post { Fields::read(body).await } else { Ok(Fields::of_query(parts.uri.query())) };
    let visit = fields.and_then(|fields| Visit::new(state, parts.headers, parts.extensions.get(), fields));
    let visit = match visit {
        Ok(visit) => visit,
        Err(problem) => return problem.into_response(),
    };
    let mut response = if is_post { visit.post(name).await } else { visit.get(name).await };
    if let Some(cookie) = visit.guard.cookie(&visit.cookie_attributes(None)) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}

/// One request for a page.
struct Visit<'a> {
    state: &'a Arc<State>,
    headers: HeaderMap,
    address: Option<IpAddr>,
    guard: Guard,
    /// Who is logged in.
    user: Option<Arc<UserInfo>>,
    fields: Fields,
}

impl<'a> Visit<'a> {
    fn new(
        state: &'a Arc<State>,
        headers: HeaderMap,
        ends: Option<&Ends>,
        fields: Fields,
    ) -> Result<Self, Problem> {
        let guard = Guard::of(&headers)?;
        // a token that has expired is none here: this is where one gets another
        let caller = Caller::from_headers(state, &headers).ok().filter(|caller| !caller.user.is_anonymous);
        let user = caller.map(|caller| caller.user).filter(|user| user.scope.narrow.is_none());
        Ok(Self { state, address: ends.map(|ends| ends.remote.ip()), headers, guard, user, fields })
    }

    fn login(&self) -> &'a Arc<Login> {
        &self.state.login
    }

    fn key(&self) -> &str {
        self.fields.get("key")
    }

    /// Attributes of cookies; without a time they end with the browser.
    fn cookie_attributes(&self, seconds: Option<u64>) -> String {
        let base = self.state.config.base_path.as_str();
        let path = if base.is_empty() { "/" } else { base };
        let secure = if self.state.public_base_url.starts_with("https://") { "; Secure" } else { "" };
        let age = seconds.map(|seconds| format!("; Max-Age={seconds}")).unwrap_or_default();
        format!("Path={path}; HttpOnly; SameSite=Lax{secure}{age}")
    }

    async fn get(&self, name: &str) -> Response {
        match name {
            "" | "index" if self.fields.get("logout") == "true" => self.sign_out_page(),
            "" | "index" if !self.fields.get("code").is_empty() => self.find_code(),
            "" | "index" if self.fields.get("view") == "sign-up" && self.can_sign_up() => {
                self.sign_up_page(StatusCode::OK, None)
            }
            "" | "index" => self.index(StatusCode::OK, None),
            "profile" => self.profile(StatusCode::OK, None, None).await,
            "oidc" => self.to_provider().await,
            "oidc-callback" => self.back_from_provider().await,
            _ => not_found(self.uri(name)).await,
        }
    }

    async fn post(&self, name: &str) -> Response {
        let secret = &self.login().form_secret;
        if !self.guard.admits(&self.fields, &self.headers, &self.state.public_base_url, secret) {
            let text = "This form is too old, or your browser keeps no cookies. Please try again.";
            return self.index(StatusCode::FORBIDDEN, Some(text));
        }
        match name {
            "token" => self.sign_in_by_token().await,
            "sign-in" => self.sign_in().await,
            "sign-up" => self.sign_up().await,
            "verify" => self.verify().await,
            "resend" => self.resend().await,
            "profile" => self.change(false).await,
            "password" => self.change(true).await,
            "approve" => self.approve().await,
            "sign-out" => self.sign_out(false).await,
            "sign-out-everywhere" => self.sign_out(true).await,
            _ => not_found(self.uri(name)).await,
        }
    }

    fn uri(&self, name: &str) -> Uri {
        format!("{PLACE}/{name}").parse().unwrap_or_default()
    }

    /// The page that suits: to sign in, to approve, or to see who one is.
    fn index(&self, status: StatusCode, error: Option<&str>) -> Response {
        if self.key().is_empty() {
            return match &self.user {
                Some(user) => self.home(status, error, user),
                None => self.sign_in_page(status, error, None),
            };
        }
        let Some((wish, code)) = self.login().keys.wish(self.key()) else {
            let text = "This login has expired or was used already. Please start it again in your program.";
            let frame = Frame { title: "Log in", error: Some(text), ..Frame::default() };
            return page(StatusCode::NOT_FOUND, &frame, "<p><a href=\"./\">To the start page</a></p>");
        };
        match &self.user {
            Some(user) => self.approve_page(status, error, user, &wish, &code),
            None => self.sign_in_page(status, error, Some(&code)),
        }
    }

    fn sign_in_page(&self, status: StatusCode, error: Option<&str>, code: Option<&str>) -> Response {
        let main = [
            code.map(code_note).unwrap_or_default(),
            self.provider_links(),
            self.password_form(),
            self.token_form(),
            if code.is_none() { code_form() } else { String::new() },
        ];
        let main = main.concat();
        page(status, &Frame { title: "Log in", error, note: None }, &main)
    }

    /// For those who have a token: on its own where there is no other way to log in, else folded away.
    fn token_form(&self) -> String {
        let hint = "A token of this server, such as the root token.";
        let attributes = "type=\"password\" autocomplete=\"off\" required";
        let token = Field { name: "token", label: "Token", attributes, value: "", hint };
        let form = self.form("token", &token.html(), "Log in with a token", "quiet");
        if self.login().accounts.is_none() && self.login().providers.names().next().is_none() {
            return form;
        }
        format!("<details><summary>Log in with a token</summary>{form}</details>")
    }

    fn provider_links(&self) -> String {
        let link = |(at, name): (usize, &str)| {
            let key = self.and_key();
            format!(
                "<p><a class=\"button quiet\" href=\"oidc?provider={at}{key}\">Log in with {}</a></p>",
                escape(name)
            )
        };
        self.login().providers.names().enumerate().map(link).collect()
    }

    fn callback(&self) -> String {
        format!("{}oidc-callback", self.login().page_url())
    }

    /// Goes to an issuer.
    async fn to_provider(&self) -> Response {
        let provider = self.fields.get("provider").parse().unwrap_or(usize::MAX);
        let (browser, back) = (self.guard.nonce(), self.callback());
        match self.login().providers.begin(provider, browser, self.key(), &back).await {
            Ok(url) => redirect_seen(&url),
            Err(error) => self.failed(&error),
        }
    }

    /// Comes back from there.
    async fn back_from_provider(&self) -> Response {
        let (state, code) = (self.fields.get("state"), self.fields.get("code"));
        if code.is_empty() {
            // the issuer's own words could be anybody's, as this is but a link
            return self.index(StatusCode::FORBIDDEN, Some("The login provider did not let you in."));
        }
        let (browser, back) = (self.guard.nonce(), self.callback());
        let arrived = self.login().providers.finish(state, code, browser, &back).await;
        let done = arrived.and_then(|arrived| {
            let user = self.login().arrived(arrived.user)?;
            let token = self.login().mint(&user, &Wish::default())?;
            self.login().note_login(&user, "by an issuer", self.address);
            Ok((token, arrived.key))
        });
        match done {
            Ok((token, key)) => self.signed_in_for(&token, &key),
            Err(error) => self.failed(&error),
        }
    }

    fn can_sign_up(&self) -> bool {
        self.login().accounts.as_ref().is_some_and(crate::login::accounts::Accounts::can_sign_up)
    }

    /// The key for a link, if there is one.
    fn and_key(&self) -> String {
        if self.key().is_empty() { String::new() } else { format!("&amp;key={}", encoded(self.key())) }
    }

    fn approve_page(
        &self,
        status: StatusCode,
        error: Option<&str>,
        user: &UserInfo,
        wish: &Wish,
        code: &str,
    ) -> Response {
        let what = match &wish.workspace {
            Some(workspace) => format!("in the workspace <strong>{}</strong>", escape(workspace)),
            None => "with all your rights".to_owned(),
        };
        let time = wish.expires_in.map(|seconds| format!(", for {}", span(seconds))).unwrap_or_default();
        let main = format!(
            "<p>You are <strong>{}</strong>. A program asks to act as you {what}{time}.</p>{}\
             <p>Go on only if you have just started this login yourself.</p>{}{}",
            escape(&name_of(user)),
            code_note(code),
            self.form("approve", "", "Approve", ""),
            self.form("sign-out", "", "Log in as somebody else", "quiet"),
        );
        page(status, &Frame { title: "Approve this login?", error, note: None }, &main)
    }

    fn home(&self, status: StatusCode, error: Option<&str>, user: &UserInfo) -> Response {
        let note = (self.fields.get("done") == "approved")
            .then_some("Done. You can close this page and go back to your program.");
        let profile = if self.login().accounts.is_some() && user.email.is_some() {
            "<p><a href=\"profile\">Profile and password</a></p>"
        } else {
            ""
        };
        let main = format!(
            "<p>You are <strong>{}</strong>.</p><p class=\"hint\">User {}</p>{profile}{}{}",
            escape(&name_of(user)),
            escape(&user.id),
            code_form(),
            self.sign_out_forms(user),
        );
        page(status, &Frame { title: "You are logged in", error, note }, &main)
    }

    /// What was approved in this browser ends with its login; who wants to end all has a button of its own.
    fn sign_out_forms(&self, user: &UserInfo) -> String {
        let here = self.form("sign-out", "", "Log out", "quiet");
        if !self.login().is_session(user) {
            return here;
        }
        let hint = "<p class=\"hint\">Programs that you have approved here are logged out as well.</p>";
        here + hint + &self.form("sign-out-everywhere", "", "Log out everywhere", "quiet")
    }

    fn sign_out_page(&self) -> Response {
        if self.user.is_none() {
            let main = "<p>You can close this page.</p><p><a href=\"./\">Log in</a></p>";
            return page(StatusCode::OK, &Frame { title: "You are logged out", ..Frame::default() }, main);
        }
        let main = self.form("sign-out", "", "Log out", "");
        page(StatusCode::OK, &Frame { title: "Log out?", ..Frame::default() }, &main)
    }

    /// Somebody typed the code that a terminal shows.
    fn find_code(&self) -> Response {
        let login = self.login();
        let attempt = Attempt::new("user codes", self.address);
        let now = login.elapsed();
        if let Err(wait) = login.lockout.check_address(&attempt, now) {
            return self.index(StatusCode::TOO_MANY_REQUESTS, Some(&too_many(wait)));
        }
        match login.keys.of_code(self.fields.get("code")) {
            Some(key) => redirect_seen(&format!("./?key={key}")),
            None => {
                login.lockout.fail(&attempt, now);
                self.index(StatusCode::NOT_FOUND, Some("There is no login with this code. Has it expired?"))
            }
        }
    }

    async fn sign_in_by_token(&self) -> Response {
        let (login, token) = (self.login(), self.fields.get("token"));
        login.tokens.prepare(token).await;
        let user = match login.tokens.bearer(token, clock::now()) {
            Ok(user) if user.scope.special().is_empty() && user.scope.narrow.is_none() => user,
            Ok(_) => {
                return self.index(StatusCode::FORBIDDEN, Some("This token is good for one purpose only."));
            }
            Err(error) => return self.index(StatusCode::FORBIDDEN, Some(&error.to_string())),
        };
        let session = || login.arrived(user.clone()).and_then(|user| login.mint(&user, &Wish::default()));
        let minted = login.tokens.is_root(token).then(session);
        login.note_login(&user, "by token", self.address);
        match minted.transpose() {
            Ok(minted) => self.signed_in(minted.as_deref().unwrap_or(token)),
            Err(error) => self.failed(&error),
        }
    }

    /// The browser gets its cookie, and goes on to where it wanted.
    fn signed_in(&self, token: &str) -> Response {
        self.signed_in_for(token, self.key())
    }

    fn signed_in_for(&self, token: &str, key: &str) -> Response {
        let target = if key.is_empty() { "./".to_owned() } else { format!("./?key={}", encoded(key)) };
        self.with_session(redirect_seen(&target), token)
    }

    fn with_session(&self, mut response: Response, token: &str) -> Response {
        let attributes = self.cookie_attributes(Some(crate::login::SESSION_SECONDS));
        if let Ok(cookie) = HeaderValue::from_str(&format!("{SESSION}={token}; {attributes}")) {
            response.headers_mut().append(header::SET_COOKIE, cookie);
        }
        response
    }

    async fn approve(&self) -> Response {
        let Some(user) = &self.user else {
            return self.index(StatusCode::UNAUTHORIZED, Some("Please log in first."));
        };
        let known = self.account().await.map(|account| account.profile());
        let profile = known.unwrap_or_else(|| Profile {
            user_id: user.id.clone(),
            email: user.email.clone(),
            ..Profile::default()
        });
        match self.login().approve(self.key(), user, profile) {
            Ok(()) => redirect_seen("./?done=approved"),
            Err(error) => self.failed(&error),
        }
    }

    /// The browser loses its token, which is good for nobody any longer: it may have been copied.
    async fn sign_out(&self, everywhere: bool) -> Response {
        if let Some(user) = &self.user {
            let ended = match everywhere && self.login().is_session(user) {
                true => self.login().end_all(&user.id, &user.id, "logged out everywhere").await,
                false => self.login().end_session(user).await.map(drop),
            };
            if let Err(error) = ended {
                return self.failed(&error);
            }
        }
        let target = match self.key() {
            "" => "./?logout=true".to_owned(),
            key => format!("./?key={}", encoded(key)),
        };
        let mut response = redirect_seen(&target);
        if let Ok(cookie) = HeaderValue::from_str(&format!("{SESSION}=; {}", self.cookie_attributes(Some(0))))
        {
            response.headers_mut().append(header::SET_COOKIE, cookie);
        }
        response
    }

    /// A form that comes back with the key, and with the proof that it is ours.
    fn form(&self, action: &str, fields: &str, button: &str, class: &str) -> String {
        let token = self.guard.token(&self.login().form_secret);
        form_html(action, &[("form", &token), ("key", self.key())], fields, button, class)
    }

    fn failed(&self, error: &Error) -> Response {
        let (status, text) = said(error);
        self.index(status, Some(text))
    }
}

/// An error as people are told of it.
fn said(error: &Error) -> (StatusCode, &str) {
    if error.kind() == ErrorKind::Internal {
        tracing::error!(%error, "a login failed");
    }
    let text = error.message();
    let text = text.split_once("Error: ").map_or(text, |(_, text)| text);
    (crate::http::problem::status(error.kind()), text)
}

/// Goes on to another page, whatever the method was.
fn redirect_seen(location: &str) -> Response {
    let mut response = (StatusCode::SEE_OTHER, [(header::CACHE_CONTROL, "no-store")]).into_response();
    if let Ok(location) = HeaderValue::from_str(location) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}

fn encoded(text: &str) -> percent_encoding::PercentEncode<'_> {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC)
}

fn code_note(code: &str) -> String {
    format!(
        "<p class=\"note\">A program waits for this login. If it shows a code, it must be this one:<br>\
         <span class=\"code\">{}</span></p>",
        escape(code)
    )
}

fn code_form() -> String {
    let attributes = "autocomplete=\"off\" autocapitalize=\"characters\" spellcheck=\"false\" required";
    let hint = "The code that your terminal shows, such as BCDF-GHJK.";
    let field = Field { name: "code", label: "Code", attributes, value: "", hint };
    format!(
        "<h2>Log in a program</h2><form method=\"get\" action=\"./\">{}<button class=\"quiet\">Next</button></form>",
        field.html()
    )
}

fn name_of(user: &UserInfo) -> String {
    user.email.clone().unwrap_or_else(|| user.id.clone())
}

fn too_many(wait: std::time::Duration) -> String {
    format!("Too many attempts. Please wait {}.", span(wait.as_secs().max(1)))
}

/// So many seconds in words.
fn span(seconds: u64) -> String {
    let (number, unit) = match seconds {
        0..120 => (seconds, "second"),
        120..7200 => (seconds / 60, "minute"),
        7200..172_800 => (seconds / 3600, "hour"),
        _ => (seconds / 86_400, "day"),
    };
    format!("{number} {unit}{}", if number == 1 { "" } else { "s" })
}
