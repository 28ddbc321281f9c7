//! OpenID Connect: logging in at another issuer, and taking its access tokens.
//!
//! The issuer is found by discovery. A login is the code flow with PKCE, a state that is bound to the browser, and a
//! nonce. Users of issuers have ids with a bar, `issuer|subject`, which no other users have.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use openidconnect::core::{CoreAuthenticationFlow, CoreClient, CoreProviderMetadata};
use openidconnect::{
    AccessTokenHash, AuthorizationCode, ClientId, ClientSecret, CsrfToken, HttpRequest, IssuerUrl, Nonce,
    OAuth2TokenResponse, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, Scope as Word, TokenResponse,
};
use parking_lot::Mutex;
use polyfn_core::{Error, ErrorKind, Result};
use tokio::time::Instant;

use crate::auth::{Permission, Scope, UserInfo};
use crate::config::{Config, ConfigError, Issuer, OidcConfig};
use crate::login::keys::Profile;
use crate::web::{self, WebError};

mod access;
mod subject;

pub(crate) use access::Access;
use subject::Naming;

/// How long an issuer may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long what an issuer says of itself is taken for true.
const METADATA_LIFE: Duration = Duration::from_secs(3600);
/// How long one may take to log in at an issuer.
const PENDING_LIFE: Duration = Duration::from_secs(600);
/// Logins at issuers that are under way.
const PENDING_MAX: usize = 10_000;

/// One issuer.
pub struct Provider {
    settings: OidcConfig,
    naming: Naming,
    metadata: tokio::sync::Mutex<Option<(Instant, CoreProviderMetadata)>>,
}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Provider").field("issuer", &self.settings.issuer).finish_non_exhaustive()
    }
}

/// A login under way.
struct Pending {
    provider: usize,
    browser: String,
    key: String,
    nonce: Nonce,
    verifier: PkceCodeVerifier,
    until: Instant,
}

/// All issuers at which one can log in.
#[derive(Default)]
pub struct Providers {
    list: Vec<Provider>,
    pending: Mutex<HashMap<String, Pending>>,
}

impl fmt::Debug for Providers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.list).finish()
    }
}

/// Who came back from an issuer.
#[derive(Debug)]
pub struct Arrived {
    /// The user.
    pub user: UserInfo,
    /// What the issuer says of them.
    pub profile: Profile,
    /// The key of the program for which they logged in; empty for none.
    pub key: String,
}

impl Providers {
    /// Those of the settings; an own domain of Auth0 is one of them.
    ///
    /// # Errors
    /// For an issuer that is not safe to ask, or that cannot be told from another.
    pub fn new(config: &Config) -> Result<Self, ConfigError> {
        let mut all = config.login.oidc.clone();
        let auth0 = &config.issuer;
        if auth0.domain != Issuer::default().domain {
            all.push(OidcConfig {
                issuer: format!("https://{}/", auth0.domain),
                client_id: auth0.client_id.clone(),
                client_secret: None,
                audience: Some(auth0.audience.clone()),
                is_auth0: true,
            });
        }
        let mut list: Vec<Provider> = Vec::new();
        for settings in all {
            check(&settings)?;
            let naming = Naming::new(&settings);
            if list.iter().any(|other| other.naming == naming) {
                let text = format!("the OIDC issuer {} is there twice, or too like another", settings.issuer);
                return Err(ConfigError(text));
            }
            list.push(Provider { settings, naming, metadata: tokio::sync::Mutex::default() });
        }
        Ok(Self { list, pending: Mutex::default() })
    }

    /// Their names for people, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.list.iter().map(|provider| provider.naming.host())
    }

    /// Begins a login: the URL to which the browser goes.
    ///
    /// # Errors
    /// `not_found` for an issuer that there is not, `internal` for one that does not answer.
    pub async fn begin(&self, provider: usize, browser: &str, key: &str, back: &str) -> Result<String> {
        let chosen = self.list.get(provider);
        let chosen = chosen.ok_or_else(|| Error::new(ErrorKind::NotFound, "There is no such provider"))?;
        let metadata = chosen.metadata(METADATA_LIFE).await?;
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let client = client(&metadata, &chosen.settings).set_redirect_uri(redirect(back)?);
        let (url, state, nonce) = client
            .authorize_url(
                CoreAuthenticationFlow::AuthorizationCode,
                CsrfToken::new_random,
                Nonce::new_random,
            )
            .add_scope(Word::new("email".to_owned()))
            .add_scope(Word::new("profile".to_owned()))
            .set_pkce_challenge(challenge)
            .url();
        let (browser, key, until) = (browser.to_owned(), key.to_owned(), Instant::now() + PENDING_LIFE);
        let mut pending = self.pending.lock();
        if pending.len() >= PENDING_MAX {
            pending.retain(|_, entry| entry.until > Instant::now());
        }
        if pending.len() >= PENDING_MAX {
            return Err(Error::new(ErrorKind::Overloaded, "too many logins are under way: try again later"));
        }
        pending.insert(state.secret().clone(), Pending { provider, browser, key, nonce, verifier, until });
        Ok(url.to_string())
    }

    /// Ends a login with what the browser brought back.
    ///
    /// # Errors
    /// `permission_denied` for a login that was not begun by this browser, or that the issuer does not confirm.
    pub async fn finish(&self, state: &str, code: &str, browser: &str, back: &str) -> Result<Arrived> {
        let entry = self.pending.lock().remove(state);
        let entry = entry.filter(|entry| entry.until > Instant::now() && entry.browser == browser);
        let unknown = || refused("This login was not begun in this browser, or it took too long");
        let Pending { provider, key, nonce, verifier, .. } = entry.ok_or_else(unknown)?;
        let provider = self.list.get(provider).ok_or_else(unknown)?;
        let (user, profile) = provider.finish(code, verifier, &nonce, back).await?;
        Ok(Arrived { user, profile, key })
    }
}

impl Provider {
    async fn metadata(&self, life: Duration) -> Result<CoreProviderMetadata> {
        let mut known = self.metadata.lock().await;
        if let Some((at, metadata)) = &*known
            && at.elapsed() < life
        {
            return Ok(metadata.clone());
        }
        let issuer = IssuerUrl::new(self.settings.issuer.clone()).map_err(|error| unreachable(&error))?;
        let found = CoreProviderMetadata::discover_async(issuer, &ask).await;
        let found = found.map_err(|error| unreachable(&error))?;
        *known = Some((Instant::now(), found.clone()));
        Ok(found)
    }

    async fn finish(
        &self,
        code: &str,
        verifier: PkceCodeVerifier,
        nonce: &Nonce,
        back: &str,
    ) -> Result<(UserInfo, Profile)> {
        let metadata = self.metadata(METADATA_LIFE).await?;
        let exchange = client(&metadata, &self.settings).set_redirect_uri(redirect(back)?);
        let exchange = exchange.exchange_code(AuthorizationCode::new(code.to_owned()));
        let exchange = exchange.map_err(|error| unreachable(&error))?.set_pkce_verifier(verifier);
        let answer = exchange.request_async(&ask).await.map_err(|error| unconfirmed(&error))?;
        let token = answer.id_token().ok_or_else(|| unconfirmed(&"no ID token"))?;
        let mut client = client(&metadata, &self.settings);
        if token.claims(&client.id_token_verifier(), nonce).is_err() {
            // the issuer may have new keys
            client = self::client(&self.metadata(Duration::ZERO).await?, &self.settings);
        }
        let verifier = client.id_token_verifier();
        let claims = token.claims(&verifier, nonce).map_err(|error| unconfirmed(&error))?;
        if let Some(expected) = claims.access_token_hash() {
            let key = token.signing_key(&verifier).map_err(|error| unconfirmed(&error))?;
            let algorithm = token.signing_alg().map_err(|error| unconfirmed(&error))?;
            let found = AccessTokenHash::from_token(answer.access_token(), algorithm, key);
            if found.map_err(|error| unconfirmed(&error))? != *expected {
                return Err(unconfirmed(&"the access token belongs to another login"));
            }
        }
        let text = |value: Option<&str>| value.map(|text| text.chars().take(512).collect::<String>());
        let first = |value: Option<String>| text(value.as_deref());
        let verified = claims.email_verified().unwrap_or(false);
        let profile = Profile {
            user_id: self.naming.user_id(claims.subject().as_str()),
            email: text(claims.email().map(|email| email.as_str())),
            email_verified: verified,
            name: first(claims.name().and_then(|name| name.get(None)).map(|name| name.to_string())),
            nickname: first(claims.nickname().and_then(|name| name.get(None)).map(|name| name.to_string())),
            picture: first(claims.picture().and_then(|url| url.get(None)).map(|url| url.to_string())),
        };
        Ok((user(&profile), profile))
    }
}

/// The user of an issuer. An address that it does not vouch for is no part of who one is.
fn user(profile: &Profile) -> UserInfo {
    let user = UserInfo {
        id: profile.user_id.clone(),
        roles: vec!["user".to_owned()],
        email: profile.email.clone().filter(|_| profile.email_verified),
        ..UserInfo::default()
    };
    let workspaces = vec![(user.own_workspace(), Permission::Admin)];
    UserInfo { scope: Scope { workspaces, ..Scope::default() }, ..user }
}

type Client = CoreClient<
    openidconnect::EndpointSet,
    openidconnect::EndpointNotSet,
    openidconnect::EndpointNotSet,
    openidconnect::EndpointNotSet,
    openidconnect::EndpointMaybeSet,
    openidconnect::EndpointMaybeSet,
>;

fn client(metadata: &CoreProviderMetadata, settings: &OidcConfig) -> Client {
    let secret = settings.client_secret.as_ref().map(|secret| ClientSecret::new(secret.expose().to_owned()));
    CoreClient::from_provider_metadata(metadata.clone(), ClientId::new(settings.client_id.clone()), secret)
}

fn redirect(back: &str) -> Result<RedirectUrl> {
    RedirectUrl::new(back.to_owned()).map_err(|error| Error::new(ErrorKind::Internal, error.to_string()))
}

async fn ask(request: HttpRequest) -> Result<http::Response<Vec<u8>>, WebError> {
    web::send(request, PATIENCE).await
}

fn refused(text: &str) -> Error {
    Error::new(ErrorKind::PermissionDenied, text)
}

fn unreachable(error: &dyn fmt::Display) -> Error {
    tracing::warn!(%error, "a login provider cannot be used");
    Error::new(ErrorKind::PeerGone, "The login provider cannot be reached. Please try again later.")
}

fn unconfirmed(error: &dyn fmt::Display) -> Error {
    tracing::warn!(%error, "a login provider did not confirm a login");
    refused("The login provider did not confirm this login. Please try again.")
}

/// Secrets go to an issuer: anything but TLS is for the own machine only.
fn check(settings: &OidcConfig) -> Result<(), ConfigError> {
    let issuer = &settings.issuer;
    if settings.client_id.is_empty() {
        return Err(ConfigError(format!("the OIDC issuer {issuer} needs an --oidc-client-id")));
    }
    let uri: http::Uri =
        issuer.parse().map_err(|_| ConfigError(format!("the OIDC issuer {issuer} is no URL")))?;
    let is_local = matches!(uri.host(), Some("localhost" | "127.0.0.1" | "[::1]"));
    match uri.scheme_str() {
        Some("https") => Ok(()),
        Some("http") if is_local => Ok(()),
        _ => Err(ConfigError(format!("the OIDC issuer {issuer} must begin with https://"))),
    }
}
