//! How users of an issuer are called here.

use sha2::{Digest, Sha256};

use crate::config::OidcConfig;

/// Characters of a subject that is taken as it is.
const PLAIN_MAX: usize = 64;

/// Makes ids of subjects: `accounts-example-org|12345`. As a user's workspace is named after the user, only what a
/// workspace may be called is in them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Naming {
    host: String,
    slug: String,
    is_auth0: bool,
}

impl Naming {
    pub(super) fn new(settings: &OidcConfig) -> Self {
        let place = settings.issuer.split_once("://").map_or(settings.issuer.as_str(), |(_, place)| place);
        let place = place.trim_end_matches('/');
        let host = place.split('/').next().unwrap_or_default().to_owned();
        let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
        Self { host, slug: place.chars().map(plain).collect(), is_auth0: settings.is_auth0 }
    }

    /// For people.
    pub(super) fn host(&self) -> &str {
        &self.host
    }

    /// The id of the user with this subject; it has a bar in it.
    pub(super) fn user_id(&self, subject: &str) -> String {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-|".contains(c);
        let is_plain = !subject.is_empty() && subject.len() <= PLAIN_MAX && subject.chars().all(plain);
        // those of Auth0 say where they come from
        if self.is_auth0 && is_plain && subject.contains('|') {
            return subject.to_owned();
        }
        if is_plain && !subject.contains('|') {
            return format!("{}|{subject}", self.slug);
        }
        let digest = Sha256::digest(subject.as_bytes());
        let hash: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        format!("{}|{hash}", self.slug)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn naming(issuer: &str, is_auth0: bool) -> Naming {
        let (issuer, client_id) = (issuer.to_owned(), "c".to_owned());
        Naming::new(&OidcConfig { issuer, client_id, client_secret: None, audience: None, is_auth0 })
    }

    #[test]
    fn subjects_become_ids_that_no_other_user_has() {
        let own = naming("https://Login.example.org/realms/a/", false);
        assert_eq!(own.host(), "Login.example.org");
        assert_eq!(own.user_id("12-ab"), "login-example-org-realms-a|12-ab");
        let hashed = own.user_id("Ada Lovelace");
        assert_eq!(hashed.len(), "login-example-org-realms-a|".len() + 32);
        assert_ne!(hashed, own.user_id("ada lovelace"));
        for subject in ["root", "auth0|1", "", &"x".repeat(65)] {
            assert!(own.user_id(subject).starts_with("login-example-org-realms-a|"), "{subject}");
        }
        let auth0 = naming("https://lab.eu.auth0.com/", true);
        assert_eq!(auth0.user_id("auth0|5f"), "auth0|5f");
        assert_eq!(auth0.user_id("root"), "lab-eu-auth0-com|root");
    }
}
