//! What a server is started with, and what of it is refused.

mod place;

use std::fmt;

pub use place::Place;

use crate::limits::{Limits, Seconds};

/// A text that must not appear in logs, messages or debug output.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The text itself; take care where it goes.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// The names in the tokens of this server, and the public values of its login provider.
///
/// The defaults are those of the reference server, so that both accept each other's tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issuer {
    /// `aud` claim of tokens.
    pub audience: String,
    /// `iss` claim of tokens.
    pub issuer: String,
    /// Prefix of the claims `roles`, `email` and `parent`.
    pub namespace: String,
    /// Client id at the login provider.
    pub client_id: String,
    /// Domain of the login provider.
    pub domain: String,
}

impl Default for Issuer {
    fn default() -> Self {
        Self {
            audience: "https://amun-ai.eu.auth0.com/api/v2/".to_owned(),
            issuer: "https://amun.ai/".to_owned(),
            namespace: "https://amun.ai/".to_owned(),
            client_id: "paEagfNXPBVw8Ss80U5RAmAV4pjCPsD2".to_owned(),
            domain: "amun-ai.eu.auth0.com".to_owned(),
        }
    }
}

/// An OpenID Connect issuer at which people can log in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OidcConfig {
    /// Its URL, under which `/.well-known/openid-configuration` is; as it stands in its tokens.
    pub issuer: String,
    /// The client that this server is there.
    pub client_id: String,
    /// The secret of that client, if it has one.
    pub client_secret: Option<Secret>,
    /// The audience of access tokens that are accepted as tokens of this server; none are when absent.
    pub audience: Option<String>,
    /// Its claims for roles and workspaces are believed, and its subjects are names of users.
    pub is_auth0: bool,
}

/// How people log in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoginConfig {
    /// How long a program may wait for its user to log in.
    pub maximum_login_time: Seconds,
    /// Programs that may wait at the same time.
    pub max_login_keys: usize,
    /// People may have accounts with a password here.
    pub enable_local_auth: bool,
    /// Nobody can make an account by themselves.
    pub disable_sign_up: bool,
    /// Address of the first administrator, whose account is made at the first start.
    pub admin_email: String,
    /// The mail server that sends codes; without one addresses are not proven.
    pub smtp_url: Option<Secret>,
    /// Whom its e-mails come from.
    pub mail_from: Option<String>,
    /// Issuers at which people can log in.
    pub oidc: Vec<OidcConfig>,
    /// How long an auth service of one's own is waited for.
    pub auth_service_timeout: Seconds,
    /// How long counts what it has said of a token.
    pub auth_service_cache: Seconds,
}

impl Default for LoginConfig {
    fn default() -> Self {
        Self {
            maximum_login_time: Seconds::new(180),
            max_login_keys: 10_000,
            enable_local_auth: false,
            disable_sign_up: false,
            admin_email: "admin@localhost".to_owned(),
            smtp_url: None,
            mail_from: None,
            oidc: Vec::new(),
            auth_service_timeout: Seconds::new(5),
            auth_service_cache: Seconds::new(10),
        }
    }
}

/// All settings of a server; `Config::default()` serves on `127.0.0.1:9527`.
///
/// # Examples
/// ```
/// use polyfn_server::Config;
/// let config = Config { port: 0, ..Config::default() };
/// assert_eq!(config.host, "127.0.0.1");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Name or address to listen at.
    pub host: String,
    /// Port to listen at, 0 for any free one.
    pub port: u16,
    /// Prefix of every route, `/` for none.
    pub base_path: String,
    /// URL of this server in the links it gives out, base path included; made from host and port when absent.
    pub public_base_url: Option<String>,
    /// Web origins that may read answers; `*` for all.
    pub allow_origins: Vec<String>,
    /// Name of this server; derived from `jwt_secret` when absent, random when there is none.
    pub server_id: Option<String>,
    /// Key that signs tokens; random, so that tokens end with the process, when absent.
    pub jwt_secret: Option<Secret>,
    /// Keys that signed tokens before: what they signed stays good. Each one listed is accepted, none of them signs.
    pub earlier_jwt_secrets: Vec<Secret>,
    /// Token of the root user; there is none when absent.
    pub root_token: Option<Secret>,
    /// Where is kept what outlives the process.
    pub database: Place,
    /// Seals what users keep secret in the database, so that a copy of it is of no use alone; made from `jwt_secret`
    /// when absent. Without both it is random, and what was sealed is lost with the process.
    pub seal_key: Option<Secret>,
    /// Names in tokens.
    pub issuer: Issuer,
    /// How people log in.
    pub login: LoginConfig,
    /// Life time of reconnection tokens.
    pub reconnection_token_life_time: Seconds,
    /// How long a stopping server waits for what still runs.
    pub shutdown_timeout: Seconds,
    /// Log one line for each HTTP request.
    pub access_log: bool,
    /// Take requests of a client with a stream only with a token or the secret of the stream: what strangers who keep
    /// no cookies cannot show.
    pub require_stream_proof: bool,
    /// Put remote tracebacks into HTTP answers to strangers.
    pub expose_detailed_errors: bool,
    /// What is accepted from outside.
    pub limits: Limits,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            host: "127.0.0.1".to_owned(),
            port: 9527,
            base_path: "/".to_owned(),
            public_base_url: None,
            allow_origins: vec!["*".to_owned()],
            server_id: None,
            jwt_secret: None,
            earlier_jwt_secrets: Vec::new(),
            root_token: None,
            database: Place::default(),
            seal_key: None,
            issuer: Issuer::default(),
            login: LoginConfig::default(),
            reconnection_token_life_time: Seconds::new(172_800),
            shutdown_timeout: Seconds::new(10),
            access_log: false,
            require_stream_proof: false,
            expose_detailed_errors: false,
            limits: Limits::default(),
        }
    }
}

/// A setting with which the server does not start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError(pub String);

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ConfigError {}

impl Config {
    /// The same with `base_path` and `public_base_url` brought to one form: no slash at the end, `""` for none.
    ///
    /// # Errors
    /// Names the first setting that cannot be used.
    pub fn checked(mut self) -> Result<Self, ConfigError> {
        self.base_path = normal_base_path(&self.base_path)?;
        self.public_base_url = self.public_base_url.as_deref().map(normal_url).transpose()?;
        self.root_token.as_ref().map_or(Ok(()), check_root_token)?;
        self.server_id.as_deref().map_or(Ok(()), check_server_id)?;
        let mut secrets = self.jwt_secret.iter().chain(&self.earlier_jwt_secrets);
        if secrets.any(|secret| secret.expose().is_empty()) {
            return Err(ConfigError("the token secret is empty: set it or leave it out".to_owned()));
        }
        if self.jwt_secret.is_none() && !self.earlier_jwt_secrets.is_empty() {
            let text = "earlier token secrets need one that signs now: set --jwt-secret, too";
            return Err(ConfigError(text.to_owned()));
        }
        Ok(self)
    }
}

fn normal_base_path(path: &str) -> Result<String, ConfigError> {
    let trimmed = path.trim_matches('/');
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.~/".contains(c);
    match trimmed {
        "" => Ok(String::new()),
        _ if trimmed.chars().all(plain) && !trimmed.contains("//") => Ok(format!("/{trimmed}")),
        _ => Err(ConfigError(format!(
            "the base path `{path}` is not usable: use letters, digits and `-_.~` between slashes"
        ))),
    }
}

fn normal_url(url: &str) -> Result<String, ConfigError> {
    if url.starts_with("http://") || url.starts_with("https://") {
        return Ok(url.trim_end_matches('/').to_owned());
    }
    Err(ConfigError(format!("the public base URL `{url}` must begin with `http://` or `https://`")))
}

/// The server id stands in addresses and log lines, so it is kept to characters that are safe in both.
fn check_server_id(id: &str) -> Result<(), ConfigError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if !id.is_empty() && id.len() <= 128 && id.chars().all(plain) {
        return Ok(());
    }
    Err(ConfigError(format!("the server id `{id}` is not usable: use 1 to 128 letters, digits or `-_.`")))
}

const ROOT_TOKEN_MIN: usize = 32;
/// From this length on guessable words inside no longer matter.
const ROOT_TOKEN_LONG: usize = 64;
const ROOT_TOKEN_WORDS: [&str; 10] =
    ["test", "root", "admin", "password", "token", "secret", "123", "abc", "hypha", "default"];

fn check_root_token(token: &Secret) -> Result<(), ConfigError> {
    let token = token.expose();
    if token.chars().count() < ROOT_TOKEN_MIN {
        return Err(ConfigError(format!(
            "Root token must be at least {ROOT_TOKEN_MIN} characters long for security, found {}",
            token.chars().count()
        )));
    }
    let lower = token.to_lowercase();
    let weak = ROOT_TOKEN_WORDS.iter().find(|word| lower.contains(**word));
    match weak.filter(|_| token.chars().count() < ROOT_TOKEN_LONG) {
        Some(word) => Err(ConfigError(format!(
            "Root token must not contain `{word}` unless it has {ROOT_TOKEN_LONG} characters: use random ones"
        ))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root(token: &str) -> Result<Config, ConfigError> {
        Config { root_token: Some(token.into()), ..Config::default() }.checked()
    }

    #[test]
    fn weak_root_tokens_are_refused() {
        assert!(root("short").unwrap_err().0.starts_with("Root token must be at least 32 characters"));
        assert!(root("xK3vQ9mZpL7wRt5yUiHgFdSaZxCvBnADMIN").unwrap_err().0.contains("`admin`"));
        assert!(root("xK3vQ9mZpL7wRt5yUiHgFdSaZxCvBnMq").is_ok());
        assert!(root(&"admin".repeat(13)).is_ok());
    }

    #[test]
    fn base_paths_take_one_form() {
        for (given, normal) in [("/", ""), ("", ""), ("hy", "/hy"), ("/hy/", "/hy"), ("/a/b", "/a/b")] {
            let config = Config { base_path: given.to_owned(), ..Config::default() };
            assert_eq!(config.checked().unwrap().base_path, normal);
        }
        let config = Config { base_path: "/{x}".to_owned(), ..Config::default() };
        assert!(config.checked().is_err());
    }

    #[test]
    fn secrets_stay_out_of_debug_output() {
        let config = Config { jwt_secret: Some("hush".into()), ..Config::default() };
        assert!(!format!("{config:?}").contains("hush"));
    }
}
