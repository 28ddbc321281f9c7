//! Access tokens of issuers, checked with the keys that these publish.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::future::BoxFuture;
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use parking_lot::RwLock;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{PATIENCE, Providers};
use crate::auth::foreign::Foreign;
use crate::auth::token::{Claims, TokenError, refusal};
use crate::web;

/// Nobody makes us fetch keys more often than that.
const BETWEEN: Duration = Duration::from_secs(10);
/// Keys of one issuer.
const KEYS_MAX: usize = 100;

/// What is known of the keys of one issuer.
#[derive(Default)]
struct Known {
    keys: RwLock<HashMap<String, DecodingKey>>,
    /// When they were fetched; held while they are.
    fetched: tokio::sync::Mutex<Option<Instant>>,
}

/// Checks the access tokens of those issuers that have an audience for them.
pub(crate) struct Access {
    providers: Arc<Providers>,
    known: Vec<Known>,
    namespace: String,
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access").field("providers", &self.providers).finish_non_exhaustive()
    }
}

impl Access {
    /// `None` when no issuer has an audience.
    pub(crate) fn new(providers: &Arc<Providers>, namespace: &str) -> Option<Self> {
        let any = providers.list.iter().any(|provider| provider.settings.audience.is_some());
        any.then(|| Self {
            known: providers.list.iter().map(|_| Known::default()).collect(),
            providers: Arc::clone(providers),
            namespace: namespace.to_owned(),
        })
    }

    /// The issuer that a token says it is of, and the id of its key; neither is trusted yet.
    fn place(&self, token: &str) -> Result<(usize, String), TokenError> {
        let mut parts = token.split('.').map(|part| {
            let part = URL_SAFE_NO_PAD.decode(part).map_err(|_| TokenError::Header)?;
            serde_json::from_slice::<Value>(&part).map_err(|_| TokenError::Header)
        });
        let mut part = || parts.next().unwrap_or(Err(TokenError::Header));
        let (header, body) = (part()?, part()?);
        let text = |value: &Value, name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
        let algorithm = text(&header, "alg").ok_or(TokenError::Header)?;
        if algorithm != "RS256" {
            return Err(TokenError::Algorithm(algorithm.chars().take(32).collect()));
        }
        let issuer = text(&body, "iss");
        let issuer = issuer.ok_or_else(|| TokenError::Claim("Missing required claim: iss".to_owned()))?;
        let at =
            self.providers.list.iter().position(|provider| {
                provider.settings.audience.is_some() && provider.settings.issuer == issuer
            });
        let at = at.ok_or_else(|| TokenError::Claim("Invalid issuer".to_owned()))?;
        Ok((at, text(&header, "kid").unwrap_or_default()))
    }

    async fn fetch(&self, at: usize, kid: &str) {
        let (Some(provider), Some(known)) = (self.providers.list.get(at), self.known.get(at)) else { return };
        let mut fetched = known.fetched.lock().await;
        let is_known = known.keys.read().contains_key(kid);
        if is_known || fetched.is_some_and(|at| at.elapsed() < BETWEEN) {
            return;
        }
        *fetched = Some(Instant::now());
        let Ok(metadata) = provider.metadata(super::METADATA_LIFE).await else { return };
        let request = http::Request::get(metadata.jwks_uri().as_str()).body(Vec::new());
        let Ok(request) = request else { return };
        match web::send(request, PATIENCE).await {
            Ok(answer) => *known.keys.write() = read(answer.body()),
            Err(error) => tracing::warn!(%error, "the keys of a login provider cannot be fetched"),
        }
    }

    /// The claims in the form of our own tokens.
    fn translated(&self, at: usize, mut claims: Claims) -> Result<Claims, TokenError> {
        let missing = || TokenError::Claim("Missing required claim: sub".to_owned());
        let provider = self.providers.list.get(at).ok_or_else(missing)?;
        let subject = claims.get("sub").and_then(Value::as_str).filter(|subject| !subject.is_empty());
        let id = provider.naming.user_id(subject.ok_or_else(missing)?);
        claims.insert("sub".to_owned(), id.into());
        let name = |claim: &str| format!("{}{claim}", self.namespace);
        let scope = claims.remove("scope");
        if provider.settings.is_auth0 {
            // rules of the tenant write these claims; other words are about other servers
            let words = scope.as_ref().and_then(Value::as_str).unwrap_or_default().split_whitespace();
            let own = |word: &&str| ["ws:", "wid:", "cid:"].iter().any(|prefix| word.starts_with(prefix));
            let scope: Vec<&str> = words.filter(own).collect();
            claims.insert("scope".to_owned(), scope.join(" ").into());
        } else {
            let verified = claims.get("email_verified").and_then(Value::as_bool) == Some(true);
            let email = claims.get("email").filter(|_| verified).cloned();
            for claim in ["roles", "parent", "email"] {
                claims.remove(&name(claim));
            }
            claims.insert(name("email"), email.unwrap_or_default());
        }
        claims.entry(name("roles")).or_insert_with(|| json!(["user"]));
        // it names tokens of ours, which only we do
        claims.remove("polyfn");
        Ok(claims)
    }
}

fn read(body: &[u8]) -> HashMap<String, DecodingKey> {
    let Ok(set) = serde_json::from_slice::<JwkSet>(body) else {
        tracing::warn!("the keys of a login provider cannot be read");
        return HashMap::new();
    };
    let keys = set.keys.iter().take(KEYS_MAX);
    keys.filter_map(|key| {
        Some((key.common.key_id.clone().unwrap_or_default(), DecodingKey::from_jwk(key).ok()?))
    })
    .collect()
}

impl Foreign for Access {
    fn prepare<'a>(&'a self, token: &'a str) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            if let Ok((at, kid)) = self.place(token) {
                let is_known = self.known.get(at).is_some_and(|known| known.keys.read().contains_key(&kid));
                if !is_known {
                    self.fetch(at, &kid).await;
                }
            }
        })
    }

    fn claims(&self, token: &str) -> Result<Claims, TokenError> {
        let (at, kid) = self.place(token)?;
        let settings = &self.providers.list.get(at).ok_or(TokenError::Signature)?.settings;
        let mut validation = Validation::new(Algorithm::RS256);
        // the time is checked by who asks
        validation.validate_exp = false;
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        validation.set_issuer(&[&settings.issuer]);
        validation.set_audience(&[settings.audience.as_deref().unwrap_or_default()]);
        let keys = self.known.get(at).ok_or(TokenError::Signature)?.keys.read();
        let key = keys.get(&kid).ok_or(TokenError::Signature)?;
        let decoded = jsonwebtoken::decode::<Claims>(token, key, &validation);
        let claims = decoded.map_err(|error| refusal(error.kind()))?.claims;
        self.translated(at, claims)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Issuer};

    fn claims(json: &Value) -> Claims {
        json.as_object().cloned().unwrap()
    }

    #[test]
    fn a_domain_of_auth0_may_say_more_than_other_issuers() {
        let issuer = Issuer { domain: "lab.eu.auth0.com".to_owned(), ..Issuer::default() };
        let providers = Arc::new(Providers::new(&Config { issuer, ..Config::default() }).unwrap());
        assert_eq!(providers.names().collect::<Vec<_>>(), ["lab.eu.auth0.com"]);
        let access = Access::new(&providers, "https://amun.ai/").unwrap();
        let told = claims(&json!({
            "sub": "auth0|5f", "scope": "openid read:all ws:lab-one#rw", "polyfn": {"from": []},
            "https://amun.ai/roles": ["admin"], "https://amun.ai/email": "a@b.c",
        }));
        let read = Value::Object(access.translated(0, told).unwrap());
        let expected = json!({
            "sub": "auth0|5f", "https://amun.ai/roles": ["admin"], "https://amun.ai/email": "a@b.c",
            "scope": "ws:lab-one#rw",
        });
        assert_eq!(read, expected);
        let root = access.translated(0, claims(&json!({"sub": "root"}))).unwrap();
        assert_eq!(root.get("sub"), Some(&json!("lab-eu-auth0-com|root")));
        assert_eq!(root.get("https://amun.ai/roles"), Some(&json!(["user"])));
        assert!(access.translated(0, claims(&json!({"sub": ""}))).is_err());
    }

    #[test]
    fn the_default_domain_is_nobody_of_ours() {
        let providers = Arc::new(Providers::new(&Config::default()).unwrap());
        assert!(Access::new(&providers, "https://amun.ai/").is_none());
    }

    #[test]
    fn issuers_are_asked_by_tls_only() {
        for (issuer, client_id, good) in [
            ("https://login.example.org", "c", true),
            ("http://127.0.0.1:80", "c", true),
            ("http://login.example.org", "c", false),
            ("https://login.example.org", "", false),
            ("login", "c", false),
        ] {
            let mut config = Config::default();
            config.login.oidc.push(crate::config::OidcConfig {
                issuer: issuer.to_owned(),
                client_id: client_id.to_owned(),
                client_secret: None,
                audience: None,
                is_auth0: false,
            });
            assert_eq!(Providers::new(&config).is_ok(), good, "{issuer} {client_id}");
            config.login.oidc.extend(config.login.oidc.clone());
            assert!(Providers::new(&config).is_err(), "the same issuer twice");
        }
    }
}
