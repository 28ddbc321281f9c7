//! The functions of `public/hypha-login`, for RPC and for plain requests alike.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use polyfn_core::{Error, ErrorKind, Map, Result, Value};

use crate::auth::UserInfo;
use crate::auth::handshake::specialised;
use crate::clock;
use crate::login::keys::{Granted, KeyError, Profile, Wish};
use crate::login::mint::no_key;
use crate::login::{Login, local};

/// Characters of what is said of a user.
const TEXT_MAX: usize = 512;

/// Seconds that the token of a guest lives at most.
const GUEST_SECONDS: u64 = 3600;

/// One call.
#[derive(Debug)]
pub struct Asked {
    /// Who calls.
    pub user: Arc<UserInfo>,
    /// Where from, if that is known.
    pub address: Option<IpAddr>,
    /// The arguments by name.
    pub arguments: Map,
}

/// One function.
pub struct Function {
    /// Its name.
    pub name: &'static str,
    /// The names of its parameters, in their order.
    pub parameters: &'static [&'static str],
    pub(super) run: fn(Arc<Login>, Asked) -> BoxFuture<'static, Result<Value>>,
}

impl std::fmt::Debug for Function {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// The functions that there always are.
static ALWAYS: [Function; 6] = [
    Function {
        name: "start",
        parameters: &["workspace", "expires_in"],
        run: |login, asked| Box::pin(std::future::ready(start(&login, &asked))),
    },
    Function {
        name: "check",
        parameters: &["key", "timeout", "profile"],
        run: |login, asked| Box::pin(async move { check(&login, &asked).await }),
    },
    Function {
        name: "report",
        parameters: &[
            "key",
            "token",
            "workspace",
            "expires_in",
            "email",
            "email_verified",
            "name",
            "nickname",
            "user_id",
            "picture",
        ],
        run: |login, asked| Box::pin(async move { report(&login, &asked).await }),
    },
    Function {
        name: "generate",
        parameters: &["workspace", "expires_in"],
        run: |login, asked| Box::pin(std::future::ready(generate(&login, &asked))),
    },
    Function {
        name: "guest",
        parameters: &["expires_in"],
        run: |login, asked| Box::pin(std::future::ready(guest(&login, &asked))),
    },
    Function {
        name: "logout",
        parameters: &["config"],
        run: |login, _| {
            let url = format!("{}?logout=true&close=true", login.page_url());
            Box::pin(std::future::ready(Ok(Value::Map(Map::from_iter([("logout_url", url)])))))
        },
    },
];

impl Function {
    /// The arguments by name, those by position among them.
    ///
    /// # Errors
    /// `invalid` when there are more than parameters.
    pub fn bind(&self, positional: Vec<Value>, mut named: Map) -> Result<Map> {
        if positional.len() > self.parameters.len() {
            let text = format!(
                "TypeError: {}() takes {} arguments, found {}",
                self.name,
                self.parameters.len(),
                positional.len()
            );
            return Err(Error::invalid(text));
        }
        for (name, value) in self.parameters.iter().zip(positional) {
            named.insert(*name, value);
        }
        Ok(named)
    }

    /// Calls it.
    ///
    /// # Errors
    /// Its own.
    pub async fn call(&self, login: &Arc<Login>, asked: Asked) -> Result<Value> {
        (self.run)(Arc::clone(login), asked).await
    }
}

impl Login {
    /// What the service offers.
    pub fn functions(&self) -> impl Iterator<Item = &'static Function> {
        let local = self.accounts.is_some().then_some(&local::FUNCTIONS);
        ALWAYS.iter().chain(local.into_iter().flatten())
    }

    /// The function of this name.
    #[must_use]
    pub fn function(&self, name: &str) -> Option<&'static Function> {
        self.functions().find(|function| function.name == name)
    }
}

impl Asked {
    /// A text; from a query, numbers are what they were written as.
    pub(super) fn text(&self, name: &str) -> Result<Option<String>> {
        match self.arguments.get(name) {
            None | Some(Value::Nil) => Ok(None),
            Some(Value::Text(text)) if text.is_empty() => Ok(None),
            Some(Value::Text(text)) => Ok(Some(text.clone())),
            Some(Value::Int(number)) => Ok(Some(number.to_string())),
            Some(_) => Err(Error::invalid(format!("TypeError: '{name}' must be a string"))),
        }
    }

    pub(super) fn required(&self, name: &str) -> Result<String> {
        let missing = || Error::invalid(format!("TypeError: missing required argument: '{name}'"));
        self.text(name)?.ok_or_else(missing)
    }

    fn seconds(&self, name: &str) -> Result<Option<f64>> {
        let value = match self.arguments.get(name) {
            None | Some(Value::Nil) => return Ok(None),
            Some(Value::Text(text)) if text.is_empty() => return Ok(None),
            Some(Value::Text(text)) => text.parse().ok(),
            Some(value) => value.as_float(),
        };
        let number = value.filter(|seconds: &f64| seconds.is_finite());
        let wrong = || Error::invalid(format!("TypeError: '{name}' must be a number of seconds"));
        number.map(Some).ok_or_else(wrong)
    }

    pub(super) fn flag(&self, name: &str) -> bool {
        match self.arguments.get(name) {
            Some(Value::Bool(on)) => *on,
            Some(Value::Text(text)) => text.eq_ignore_ascii_case("true") || text == "1",
            Some(Value::Int(number)) => *number == 1,
            _ => false,
        }
    }

    pub(super) fn wish(&self) -> Result<Wish> {
        let expires_in = match self.seconds("expires_in")? {
            None => None,
            Some(seconds) if seconds >= 1.0 => Some(seconds as u64),
            Some(_) => return Err(Error::invalid("ValueError: expires_in must be at least 1 second")),
        };
        Ok(Wish { workspace: self.text("workspace")?, expires_in })
    }
}

fn start(login: &Login, asked: &Asked) -> Result<Value> {
    let wish = asked.wish()?;
    let key = login.keys.start(wish.clone()).map_err(|error| match error {
        KeyError::Full => Error::new(ErrorKind::Overloaded, error.to_string()),
        error => Error::new(ErrorKind::Internal, error.to_string()),
    })?;
    let page = login.page_url();
    let more = match (&wish.workspace, wish.expires_in) {
        (Some(workspace), _) => format!("&workspace={}", encoded(workspace)),
        (None, Some(seconds)) => format!("&expires_in={seconds}"),
        (None, None) => String::new(),
    };
    let answer = [
        ("login_url", format!("{page}?key={}{more}", key.key)),
        ("key", key.key.clone()),
        ("report_url", login.function_url("report")),
        ("check_url", login.function_url("check")),
        ("generate_url", login.function_url("generate")),
        ("user_code", key.user_code.clone()),
        ("verification_uri", format!("{}/login", login.base)),
    ];
    let mut answer = Map::from_iter(answer);
    answer.insert("expires_in", login.keys.life().as_secs() as i64);
    Ok(Value::Map(answer))
}

fn encoded(text: &str) -> percent_encoding::PercentEncode<'_> {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC)
}

async fn check(login: &Login, asked: &Asked) -> Result<Value> {
    let key = asked.required("key")?;
    let life = login.keys.life();
    let seconds = asked.seconds("timeout")?.map_or(life.as_secs_f64(), |seconds| seconds.max(0.0));
    // a key lives no longer than that
    let timeout = Duration::try_from_secs_f64(seconds).map_or(life, |timeout| timeout.min(life));
    let granted = login.keys.wait(&key, timeout).await.map_err(|error| match error {
        KeyError::Timeout => {
            let text = format!("TimeoutError: Login timeout, waited for {} seconds", timeout.as_secs_f64());
            Error::new(ErrorKind::Timeout, text)
        }
        _ => no_key(),
    })?;
    let Some(granted) = granted else { return Ok(Value::Nil) };
    Ok(if asked.flag("profile") { told(granted) } else { Value::from(granted.token.expose()) })
}

fn told(granted: Granted) -> Value {
    let Granted { token, workspace, expires_in, profile } = granted;
    let expires_in = expires_in.and_then(|seconds| i64::try_from(seconds).ok());
    Value::Map(Map::from_iter([
        ("token", Value::from(token.expose())),
        ("workspace", workspace.into()),
        ("expires_in", expires_in.into()),
        ("email", profile.email.into()),
        ("email_verified", Value::Bool(profile.email_verified)),
        ("name", profile.name.into()),
        ("nickname", profile.nickname.into()),
        ("user_id", Value::from(profile.user_id)),
        ("picture", profile.picture.into()),
    ]))
}

/// Whoever has a token hands it to the program that waits with a key.
async fn report(login: &Login, asked: &Asked) -> Result<Value> {
    let (key, token) = (asked.required("key")?, asked.required("token")?);
    let (wish, _) = login.keys.wish(&key).ok_or_else(no_key)?;
    login.tokens.prepare(&token).await;
    let user = login.tokens.bearer(&token, clock::now()).map_err(|error| refused(&error.to_string()))?;
    if let words @ [_, ..] = &*user.scope.special() {
        return Err(refused(&specialised(words)));
    }
    let said = asked.wish()?;
    // what the program asked for stands above what the page says
    let wish = Wish {
        workspace: wish.workspace.or(said.workspace),
        expires_in: wish.expires_in.or(said.expires_in),
    };
    let as_it_is = wish == Wish::default() && !login.tokens.is_root(&token);
    let token = if as_it_is { token } else { login.mint(&user, &wish)? };
    let profile = Profile {
        email: user.email.clone(),
        // the token is what is believed; the rest is only shown
        email_verified: user.email.is_some() && asked.flag("email_verified"),
        name: shown(asked, "name")?,
        nickname: shown(asked, "nickname")?,
        picture: shown(asked, "picture")?,
        user_id: user.id,
    };
    login.hand_over(&key, token, wish, profile)?;
    Ok(Value::Nil)
}

fn shown(asked: &Asked, name: &str) -> Result<Option<String>> {
    Ok(asked.text(name)?.map(|text| text.chars().filter(|c| !c.is_control()).take(TEXT_MAX).collect()))
}

fn refused(why: &str) -> Error {
    Error::invalid(format!("ValueError: Invalid token provided to report_login: {why}"))
}

/// A token for a workspace, for those who have one already.
fn generate(login: &Login, asked: &Asked) -> Result<Value> {
    if asked.user.is_anonymous {
        let text = "PermissionError: log in first: only registered users can generate a token here";
        return Err(Error::new(ErrorKind::PermissionDenied, text));
    }
    login.mint(&asked.user, &asked.wish()?).map(Value::from)
}

/// A token of a new anonymous user: what who connects without a token gets, for those who cannot connect.
fn guest(login: &Login, asked: &Asked) -> Result<Value> {
    let now = clock::now();
    let internal = |error: &dyn std::fmt::Display| Error::new(ErrorKind::Internal, error.to_string());
    let user = UserInfo::secluded(now).map_err(|error| internal(&error))?;
    let seconds = asked.wish()?.expires_in.unwrap_or(GUEST_SECONDS).min(GUEST_SECONDS);
    login.tokens.issue(&user, seconds, now).map(Value::from).map_err(|error| internal(&error))
}
