//! Where a token comes from: it ends with the one by which it was made.
//!
//! Tokens carry the ids of those before them in the claim `polyfn`, which other servers ignore: `from` names the
//! tokens by which its maker was known, `since` when the first of them was made, and `session`, in a reconnection token, the connection that it belongs to. All
//! reconnection tokens of a connection and its successors share the session, so that revoking one ends all.

use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::auth::token::Claims;
use crate::auth::uses::Count;

/// The claim that holds the origin.
const CLAIM: &str = "polyfn";
/// Tokens before a token.
pub(crate) const ORIGINS_MAX: usize = 32;

/// The name of a token or of a session: what it was signed over, hashed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TokenId([u8; 16]);

impl TokenId {
    /// The id of a token. Its signature plays no part, so that no other spelling of it makes another token.
    #[must_use]
    pub fn of(token: &str) -> Self {
        let signed = token.rsplit_once('.').map_or(token, |(signed, _)| signed);
        let hash = Sha256::digest(signed.as_bytes());
        Self(std::array::from_fn(|at| hash[at]))
    }

    /// The id of something else that tokens may come of, such as a token of somebody else, all of which counts.
    #[must_use]
    pub fn named(kind: &str, name: &str) -> Self {
        // no token begins like this
        let hash = Sha256::digest(format!("{kind}\0{name}").as_bytes());
        Self(std::array::from_fn(|at| hash[at]))
    }

    /// A new one, for a session.
    ///
    /// # Errors
    /// When the operating system has no randomness to give.
    pub fn random() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes)?;
        Ok(Self(bytes))
    }

    /// Reads what [`fmt::Display`] writes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok().map(Self)
    }
}

impl fmt::Display for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl fmt::Debug for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// What the server knows of the token that a user came with; shown to nobody.
#[derive(Clone, Debug, Default)]
pub struct Credential {
    /// All whose end ends this: the token or the session last, its origins before it.
    pub lineage: Vec<TokenId>,
    /// The session of a reconnection token, which is the last of the lineage then.
    pub session: Option<TokenId>,
    /// How often it was used and may be, if that is limited.
    pub uses: Option<(Arc<Count>, u32)>,
    /// When the first of those that it came of was made, in seconds since 1970; 0 when there is none.
    pub issued: u64,
}

impl PartialEq for Credential {
    fn eq(&self, other: &Self) -> bool {
        (&self.lineage, self.session) == (&other.lineage, other.session)
    }
}

impl Eq for Credential {}

impl Credential {
    /// The credential of the token `id` with these claims.
    #[must_use]
    pub fn of(id: TokenId, claims: &Claims) -> Self {
        let origin = claims.get(CLAIM);
        let from = origin.and_then(|origin| origin.get("from")).and_then(Value::as_array);
        let ids = from.into_iter().flatten().filter_map(Value::as_str).filter_map(TokenId::parse);
        let session =
            origin.and_then(|origin| origin.get("session")).and_then(Value::as_str).and_then(TokenId::parse);
        let lineage = ids.take(ORIGINS_MAX).chain([session.unwrap_or(id)]).collect();
        let seconds = |value: Option<&Value>| value.and_then(Value::as_f64).map(|seconds| seconds as u64);
        let made = seconds(claims.get("iat")).unwrap_or_default();
        let issued =
            seconds(origin.and_then(|origin| origin.get("since"))).map_or(made, |since| since.min(made));
        Self { lineage, session, uses: None, issued }
    }

    /// The same for a connection: one that comes back keeps its session, another one begins one.
    ///
    /// # Errors
    /// When the operating system has no randomness to give.
    pub fn connected(&self) -> Result<Self, getrandom::Error> {
        if self.session.is_some() {
            return Ok(self.clone());
        }
        let session = TokenId::random()?;
        let lineage = self.lineage.iter().copied().chain([session]).collect();
        Ok(Self { lineage, session: Some(session), uses: self.uses.clone(), issued: self.issued })
    }

    /// That of a new token that ends with this one.
    #[must_use]
    pub fn child(&self) -> Self {
        Self { lineage: self.lineage.clone(), issued: self.issued, ..Self::default() }
    }

    /// The token whose uses are counted: all reconnection tokens that come of it share them.
    pub(super) fn counted(&self) -> Option<TokenId> {
        let back = if self.session.is_some() && self.lineage.len() > 1 { 2 } else { 1 };
        self.lineage.len().checked_sub(back).map(|at| self.lineage[at])
    }

    /// Takes one use, if they are limited; answers whether there was one left.
    #[must_use]
    pub fn take_use(&self) -> bool {
        self.uses.as_ref().is_none_or(|(count, max)| count.take(*max))
    }

    /// Whether there are so many tokens before this one that it may make no more.
    #[must_use]
    pub const fn is_exhausted(&self) -> bool {
        self.lineage.len() > ORIGINS_MAX
    }

    /// The claim for a token of this origin, if it has any.
    pub(super) fn claim(&self) -> Option<(String, Value)> {
        let before = self.lineage.len() - usize::from(self.session.is_some());
        let from: Vec<String> = self.lineage[..before].iter().map(TokenId::to_string).collect();
        let mut origin = serde_json::Map::new();
        if !from.is_empty() {
            origin.insert("from".to_owned(), json!(from));
        }
        if let Some(session) = self.session {
            origin.insert("session".to_owned(), session.to_string().into());
        }
        if !origin.is_empty() && self.issued > 0 {
            origin.insert("since".to_owned(), self.issued.into());
        }
        (!origin.is_empty()).then(|| (CLAIM.to_owned(), origin.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims(credential: &Credential) -> Claims {
        credential.claim().into_iter().collect()
    }

    #[test]
    fn the_signature_does_not_name_a_token() {
        assert_eq!(TokenId::of("a.b.c"), TokenId::of("a.b.d"));
        assert_ne!(TokenId::of("a.b.c"), TokenId::of("a.c.c"));
        let id = TokenId::of("a.b.c");
        assert_eq!(TokenId::parse(&id.to_string()), Some(id));
        assert_eq!(TokenId::parse("x"), None);
    }

    #[test]
    fn children_name_all_before_them() {
        let first = Credential::of(TokenId::of("first"), &Claims::new());
        let child = Credential::of(TokenId::of("second"), &claims(&first.child()));
        assert_eq!(child.lineage, [TokenId::of("first"), TokenId::of("second")]);
        let grandchild = Credential::of(TokenId::of("third"), &claims(&child.child()));
        assert_eq!(grandchild.lineage[..2], child.lineage);
    }

    #[test]
    fn what_is_made_of_a_token_is_as_old() {
        let made = |iat: u64, more: Claims| {
            Claims::from_iter(more.into_iter().chain([("iat".to_owned(), iat.into())]))
        };
        let first = Credential::of(TokenId::of("first"), &made(100, Claims::new()));
        let child = Credential::of(TokenId::of("second"), &made(200, claims(&first.child())));
        let back = Credential::of(TokenId::of("back"), &made(300, claims(&child.connected().unwrap())));
        assert_eq!([first.issued, child.issued, back.issued], [100; 3]);
        let forward = made(50, claims(&first.child()));
        assert_eq!(
            Credential::of(TokenId::of("x"), &forward).issued,
            50,
            "never younger than it says itself"
        );
    }

    #[test]
    fn a_session_does_not_grow() {
        let first = Credential::of(TokenId::of("first"), &Claims::new()).connected().unwrap();
        let back = Credential::of(TokenId::of("back"), &claims(&first)).connected().unwrap();
        assert_eq!(back, first, "a reconnection token stands for its session");
        assert_eq!(first.lineage.len(), 2);
        assert_ne!(Credential::default().connected().unwrap(), Credential::default().connected().unwrap());
    }
}
