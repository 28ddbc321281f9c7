//! JSON Web Tokens: made and checked so that this server and the reference one accept each other's.

use std::fmt;
use std::sync::{Arc, OnceLock};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::auth::foreign::Foreign;
use crate::auth::lineage::{Credential, TokenId};
#[cfg(feature = "serve")]
use crate::auth::made::MadeTokens;
#[cfg(feature = "serve")]
use crate::auth::provider::Answers;
use crate::auth::revoked::Revoked;
use crate::auth::scope::Scope;
use crate::auth::user::UserInfo;
use crate::auth::uses::Uses;
#[cfg(feature = "serve")]
use crate::clock;
use crate::config::{Config, Issuer, Secret};

mod claims;

pub(crate) use claims::refusal;

/// How this server signs; all others belong to foreign issuers.
const OWN_ALGORITHM: &str = "HS256";

/// The payload of a token.
pub type Claims = Map<String, Value>;

/// Why a token is refused; the texts are part of the protocol, clients show them and tests look for them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenError {
    /// Not a token at all.
    Header,
    /// Signed in a way that this server does not check (`none` among them).
    Algorithm(String),
    /// Signed with another key, or changed.
    Signature,
    /// Past its time.
    Expired,
    /// Taken back, or made by one that was.
    Revoked,
    /// Used as often as it may be.
    Spent,
    /// Made for somebody else, or without a claim that must be there.
    Claim(String),
    /// Nobody can say now whether it is good.
    Unavailable(String),
}

impl fmt::Display for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header => f.write_str("Error decoding token headers."),
            Self::Algorithm(name) => write!(f, "Invalid algorithm: {name}"),
            Self::Signature => f.write_str("Signature verification failed."),
            Self::Expired => f.write_str("The token has expired. Please fetch a new one"),
            Self::Revoked => f.write_str("Token has been revoked"),
            Self::Spent => f.write_str("The token has been used as often as it may be"),
            Self::Claim(what) | Self::Unavailable(what) => f.write_str(what),
        }
    }
}

impl std::error::Error for TokenError {}

#[cfg(feature = "serve")]
impl TokenError {
    /// Whether the token may be one of somebody else.
    const fn is_of_others(&self) -> bool {
        matches!(self, Self::Header | Self::Algorithm(_) | Self::Signature | Self::Claim(_))
    }
}

/// Makes and checks the tokens of one server.
pub struct Tokens {
    signing: EncodingKey,
    /// The key that signs, then those that did before.
    checking: Vec<DecodingKey>,
    validation: Validation,
    names: Issuer,
    root: Option<[u8; 32]>,
    reconnection_life_time: u64,
    foreign: OnceLock<Arc<dyn Foreign>>,
    #[cfg(feature = "serve")]
    answers: Answers,
    revoked: Revoked,
    #[cfg(feature = "serve")]
    made: MadeTokens,
    uses: Uses,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens").field("names", &self.names).finish_non_exhaustive()
    }
}

impl Tokens {
    /// Tokens signed with `secret`, named and timed as `config` says; those signed with one of its earlier secrets
    /// are good, too.
    #[must_use]
    pub fn new(config: &Config, secret: &[u8]) -> Self {
        let names = config.issuer.clone();
        let earlier = config.earlier_jwt_secrets.iter().map(|secret| secret.expose().as_bytes());
        Self {
            signing: EncodingKey::from_secret(secret),
            checking: [secret].into_iter().chain(earlier).map(DecodingKey::from_secret).collect(),
            validation: validation(&names),
            names,
            root: config.root_token.as_ref().map(|token| fingerprint(token.expose())),
            reconnection_life_time: config.reconnection_token_life_time.duration().as_secs(),
            foreign: OnceLock::new(),
            #[cfg(feature = "serve")]
            answers: Answers::default(),
            revoked: Revoked::default(),
            #[cfg(feature = "serve")]
            made: MadeTokens::default(),
            uses: Uses::default(),
        }
    }

    /// Accepts tokens of another issuer, too; they are those whose `alg` is not `HS256`. A second one is ignored.
    pub fn set_foreign(&self, issuer: Arc<dyn Foreign>) {
        _ = self.foreign.set(issuer);
    }

    /// Lets the other issuer, if there is one and `token` is of its kind, fetch what it needs to check it, and asks
    /// the provider about tokens that are of nobody else. To be awaited where a token comes in, before it is verified.
    pub async fn prepare(&self, token: &str) {
        if let Some(foreign) = self.foreign.get()
            && algorithm(token).is_ok_and(|name| name != OWN_ALGORITHM)
        {
            foreign.prepare(token).await;
        }
        #[cfg(feature = "serve")]
        self.ask(token).await;
    }

    #[cfg(feature = "serve")]
    async fn ask(&self, token: &str) {
        if self.answers.is_asked() && !self.is_root(token) {
            let now = clock::now();
            if self.issued(token, now).is_err_and(|error| error.is_of_others()) {
                self.answers.prepare(token, now).await;
            }
        }
    }

    /// Whether [`Tokens::prepare`] has anything to do.
    #[must_use]
    #[cfg(feature = "serve")]
    pub fn is_foreign_accepted(&self) -> bool {
        self.foreign.get().is_some() || self.answers.is_asked()
    }

    /// What a provider has said of tokens that are not the server's own.
    #[cfg(feature = "serve")]
    pub(crate) const fn answers(&self) -> &Answers {
        &self.answers
    }

    /// The tokens that were taken back.
    #[must_use]
    pub const fn revoked(&self) -> &Revoked {
        &self.revoked
    }

    /// What the tokens come of that a provider has made.
    #[cfg(feature = "serve")]
    pub(crate) const fn made(&self) -> &MadeTokens {
        &self.made
    }

    /// The name of a token that a provider has made: it may be one like those of the server.
    #[cfg(feature = "serve")]
    pub(crate) fn id_of_made(&self, token: &str, now: u64) -> TokenId {
        match self.issued(token, now) {
            Err(error) if error.is_of_others() => Answers::id_of(token),
            _ => TokenId::of(token),
        }
    }

    /// How often those were used that may be used so many times only.
    #[must_use]
    pub const fn uses(&self) -> &Uses {
        &self.uses
    }

    /// Seconds a reconnection token lives.
    #[must_use]
    pub const fn reconnection_life_time(&self) -> u64 {
        self.reconnection_life_time
    }

    /// Whether `token` is the root token; the time taken tells nothing about how much of it was right.
    #[must_use]
    pub fn is_root(&self, token: &str) -> bool {
        self.root.is_some_and(|root| bool::from(root.ct_eq(&fingerprint(token))))
    }

    /// The user of a bearer token: the root token, or a JWT. `now` is in seconds since 1970.
    ///
    /// # Errors
    /// Says why the token is refused.
    pub fn bearer(&self, token: &str, now: u64) -> Result<UserInfo, TokenError> {
        if self.is_root(token) { Ok(UserInfo::root("ws-user-root")) } else { self.verify(token, now) }
    }

    /// The user that a JWT names, after its signature, names and time were checked.
    ///
    /// # Errors
    /// Says why the token is refused.
    pub fn verify(&self, token: &str, now: u64) -> Result<UserInfo, TokenError> {
        let mut user = self.looked_into(token, now)?;
        if self.revoked.any(&user.credential.lineage) {
            return Err(TokenError::Revoked);
        }
        let max = user.scope.narrow.as_deref().and_then(|narrow| narrow.max_uses);
        if let (Some(max), Some(id)) = (max, user.credential.counted()) {
            let count = self.uses.of(id, user.expires_at.unwrap_or_default() as u64);
            if count.is_spent(max) {
                return Err(TokenError::Spent);
            }
            user.credential.uses = Some((count, max));
        }
        Ok(user)
    }

    /// The same without a look at the list of those taken back.
    pub(super) fn looked_into(&self, token: &str, now: u64) -> Result<UserInfo, TokenError> {
        let user = self.issued(token, now);
        #[cfg(feature = "serve")]
        let user = match user {
            Err(error) if error.is_of_others() => self.answers.known(token, now).unwrap_or(Err(error)),
            known => known,
        }
        .and_then(|user| self.made.bind(user, now));
        user
    }

    /// The user of a token that is the server's own, or of an issuer that it knows.
    fn issued(&self, token: &str, now: u64) -> Result<UserInfo, TokenError> {
        let claims = match (algorithm(token)?.as_str(), self.foreign.get()) {
            (OWN_ALGORITHM, _) => self.own_claims(token)?,
            (_, Some(foreign)) => foreign.claims(token)?,
            (other, None) => return Err(TokenError::Algorithm(other.chars().take(32).collect())),
        };
        claims::check_time(&claims, now)?;
        let credential = Credential::of(TokenId::of(token), &claims);
        Ok(UserInfo { credential, ..self.user(&claims)? })
    }

    /// The first key that fits decides what else is wrong.
    fn own_claims(&self, token: &str) -> Result<Claims, TokenError> {
        let mut refused = TokenError::Signature;
        for key in &self.checking {
            match jsonwebtoken::decode::<Claims>(token, key, &self.validation) {
                Ok(decoded) => return Ok(decoded.claims),
                Err(error) => refused = refusal(error.kind()),
            }
            if refused != TokenError::Signature {
                break;
            }
        }
        Err(refused)
    }

    fn user(&self, claims: &Claims) -> Result<UserInfo, TokenError> {
        let named = |name: &str| claims.get(&format!("{}{name}", self.names.namespace));
        let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
        let id = text(claims.get("sub")).filter(|id| !id.is_empty());
        let id = id.ok_or_else(|| TokenError::Claim("Missing required claim: sub".to_owned()))?;
        let roles = named("roles").and_then(Value::as_array).into_iter().flatten();
        let scope = Scope::parse(claims.get("scope").and_then(Value::as_str).unwrap_or_default());
        let user = UserInfo {
            email: text(named("email")),
            parent: text(named("parent")),
            expires_at: claims.get("exp").and_then(Value::as_f64),
            roles: roles.filter_map(|role| text(Some(role))).collect(),
            id,
            scope,
            ..UserInfo::default()
        };
        Ok(user.endowed())
    }

    /// A token for `user` with exactly the rights of its scope, for `seconds` from `now`. It ends with any of those
    /// that the user's credential names as its origin.
    ///
    /// # Errors
    /// Only when signing fails, which it does for no input of ours.
    pub fn issue(&self, user: &UserInfo, seconds: u64, now: u64) -> Result<String, TokenError> {
        let claims = self.claims(user, now, now.saturating_add(seconds));
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &self.signing)
            .map_err(|error| TokenError::Claim(error.to_string()))
    }

    /// A token with which the client `client_id` of `user` comes back to `workspace` after its connection was cut. That
    /// of a narrowed token ends with it.
    ///
    /// # Errors
    /// As [`Tokens::issue`].
    pub fn reconnection(
        &self,
        user: &UserInfo,
        workspace: &str,
        client_id: &str,
        now: u64,
    ) -> Result<String, TokenError> {
        let mut bound = user.clone();
        bound.scope.client_id = Some(client_id.to_owned());
        bound.scope.current_workspace = Some(workspace.to_owned());
        let end = user.expires_at.filter(|_| user.scope.narrow.is_some());
        let left = end.map_or(u64::MAX, |end| (end as u64).saturating_sub(now));
        self.issue(&bound, self.reconnection_life_time.min(left), now)
    }

    fn claims(&self, user: &UserInfo, now: u64, until: u64) -> Claims {
        let name = |claim: &str| format!("{}{claim}", self.names.namespace);
        let mut claims = Map::new();
        let mut put = |name: String, value: Value| claims.insert(name, value);
        put("iss".to_owned(), self.names.issuer.as_str().into());
        put("sub".to_owned(), user.id.as_str().into());
        put("aud".to_owned(), self.names.audience.as_str().into());
        put("iat".to_owned(), now.into());
        put("exp".to_owned(), until.into());
        put("scope".to_owned(), user.scope.claim().into());
        put("gty".to_owned(), "client-credentials".into());
        put(name("roles"), user.roles.clone().into());
        put(name("email"), user.email.clone().into());
        if let Some(parent) = &user.parent {
            put(name("parent"), parent.as_str().into());
        }
        if let Some((name, origin)) = user.credential.claim() {
            put(name, origin);
        }
        claims
    }
}

/// A random key for servers that were given none; its tokens end with the process.
///
/// # Errors
/// When the operating system has no randomness to give.
pub fn random_secret() -> Result<Secret, getrandom::Error> {
    let mut key = [0; 32];
    getrandom::fill(&mut key)?;
    Ok(Secret::from(URL_SAFE_NO_PAD.encode(key)))
}

fn fingerprint(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

/// Times are checked by us against the clock we are given, so the library must not look at its own.
fn validation(names: &Issuer) -> Validation {
    let mut validation = Validation::new(Algorithm::HS256);
    validation.validate_exp = false;
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    validation.set_audience(&[&names.audience]);
    validation.set_issuer(&[&names.issuer]);
    validation
}

/// The `alg` of the header, read without trusting it, so that a refusal can name it.
fn algorithm(token: &str) -> Result<String, TokenError> {
    let (header, _) = token.split_once('.').ok_or(TokenError::Header)?;
    let header = URL_SAFE_NO_PAD.decode(header.trim_end_matches('=')).map_err(|_| TokenError::Header)?;
    let header: Map<String, Value> = serde_json::from_slice(&header).map_err(|_| TokenError::Header)?;
    header.get("alg").and_then(Value::as_str).map(str::to_owned).ok_or(TokenError::Header)
}

#[cfg(test)]
mod tests;
