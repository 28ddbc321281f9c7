//! What is wrong with the claims of a token.

use serde_json::Value;

use super::{Claims, TokenError};

pub(crate) fn refusal(kind: &jsonwebtoken::errors::ErrorKind) -> TokenError {
    use jsonwebtoken::errors::ErrorKind;
    match kind {
        ErrorKind::InvalidAudience => TokenError::Claim("Invalid audience".to_owned()),
        ErrorKind::InvalidIssuer => TokenError::Claim("Invalid issuer".to_owned()),
        ErrorKind::MissingRequiredClaim(name) => TokenError::Claim(format!("Missing required claim: {name}")),
        ErrorKind::InvalidClaimFormat(name) => TokenError::Claim(format!("Invalid claim: {name}")),
        _ => TokenError::Signature,
    }
}

pub(super) fn check_time(claims: &Claims, now: u64) -> Result<(), TokenError> {
    let seconds = |name: &str| claims.get(name).and_then(Value::as_f64);
    let expires = seconds("exp").ok_or_else(|| TokenError::Claim("Invalid claim: exp".to_owned()))?;
    if expires <= now as f64 {
        return Err(TokenError::Expired);
    }
    match seconds("nbf") {
        Some(start) if start > now as f64 => {
            Err(TokenError::Claim("The token is not yet valid (nbf)".to_owned()))
        }
        _ => Ok(()),
    }
}
