//! Who may take which token back.

use std::fmt;

use crate::auth::grant::MAX_SECONDS;
use crate::auth::lineage::TokenId;
use crate::auth::scope::{Permission, Scope};
use crate::auth::token::{TokenError, Tokens};
use crate::auth::user::UserInfo;

/// What is to be put into the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Revocation {
    /// The token, or the session of a reconnection token.
    pub id: TokenId,
    /// Until when, in seconds since 1970: nothing that was made by it is valid any longer then.
    pub until: u64,
}

/// Why a token is not taken back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RevokeError {
    /// It is none, or none of this server.
    Invalid(String),
    /// Its time is over anyway.
    Expired,
    /// The caller lacks the right in this workspace.
    Denied(String),
}

impl fmt::Display for RevokeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid(why) => write!(f, "ValueError: Invalid token: {why}"),
            Self::Expired => f.write_str("ValueError: Token has already expired"),
            Self::Denied(workspace) => {
                write!(f, "PermissionError: Permission denied for workspace {workspace}")
            }
        }
    }
}

impl std::error::Error for RevokeError {}

impl Tokens {
    /// What is to be put into the list so that `token` ends, with all that was made by it. Nothing is put there yet.
    ///
    /// The right is held by the user of the token, by the one it was made by, and by those who may do all in each
    /// workspace that it is good for: who merely came to know it cannot take it from others. A token that was taken
    /// back already may be taken back again.
    ///
    /// # Errors
    /// Says why not. The root token is a setting of the server and is no token in this sense.
    pub fn revocation(&self, caller: &UserInfo, token: &str, now: u64) -> Result<Revocation, RevokeError> {
        if self.is_root(token) {
            let text = "the root token is a setting of the server: start it with another one";
            return Err(RevokeError::Invalid(text.to_owned()));
        }
        let bearer = self.looked_into(token, now).map_err(|error| match error {
            TokenError::Expired => RevokeError::Expired,
            other => RevokeError::Invalid(other.to_string()),
        })?;
        let is_own = caller.id == bearer.id || bearer.parent.as_deref() == Some(caller.id.as_str());
        let lacking = (!is_own).then(|| lacking(caller, &bearer)).flatten();
        if let Some(workspace) = lacking {
            return Err(RevokeError::Denied(workspace));
        }
        let id = bearer.credential.lineage.last().copied().unwrap_or_else(|| TokenId::of(token));
        let longest = now.saturating_add(MAX_SECONDS).saturating_add(self.reconnection_life_time());
        Ok(Revocation { id, until: longest })
    }
}

/// A workspace in which the caller has not all rights, of those that the token is good for. The workspace that every
/// user has is not among them: nobody needs to have made it.
fn lacking(caller: &UserInfo, bearer: &UserInfo) -> Option<String> {
    let Scope { workspaces, current_workspace, .. } = &bearer.scope;
    let own = bearer.own_workspace();
    let mut named: Vec<&str> = workspaces.iter().map(|(name, _)| name.as_str()).collect();
    named.extend(current_workspace.as_deref());
    named.retain(|name| *name != own);
    if named.is_empty() {
        named.push(&own);
    }
    let lacking = named.into_iter().find(|name| caller.permission(name) < Permission::Admin);
    lacking.map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    const NOW: u64 = 1_795_220_574;

    fn user(id: &str, scope: &str) -> UserInfo {
        UserInfo { id: id.to_owned(), scope: Scope::parse(scope), ..UserInfo::default() }
    }

    fn tokens() -> Tokens {
        Tokens::new(&Config::default(), b"key")
    }

    #[test]
    fn who_may_do_all_in_its_workspaces_may_take_it_back() {
        let tokens = tokens();
        let token = tokens.issue(&user("guest", "ws:lab-one#r wid:lab-one"), 60, NOW).unwrap();
        let asked = |caller: &UserInfo| tokens.revocation(caller, &token, NOW).map(|found| found.id);
        let id = TokenId::of(&token);
        assert_eq!(asked(&user("boss", "ws:lab-one#a")), Ok(id));
        assert_eq!(asked(&user("guest", "ws:lab-one#r")), Ok(id), "its own user");
        for scope in ["ws:lab-one#rw", "ws:lab-two#a", "ws:ws-user-guest#a"] {
            assert_eq!(asked(&user("other", scope)), Err(RevokeError::Denied("lab-one".to_owned())));
        }
    }

    #[test]
    fn what_it_gives_in_one_place_does_not_matter_in_another() {
        let tokens = tokens();
        let token = tokens.issue(&user("guest", "ws:lab-one#r ws:lab-two#r"), 60, NOW).unwrap();
        let caller = user("boss", "ws:lab-one#a");
        assert_eq!(tokens.revocation(&caller, &token, NOW), Err(RevokeError::Denied("lab-two".to_owned())));
        let everywhere = tokens.issue(&user("guest", "ws:*#r"), 60, NOW).unwrap();
        assert!(tokens.revocation(&caller, &everywhere, NOW).is_err());
        assert!(tokens.revocation(&UserInfo::root("*"), &everywhere, NOW).is_ok());
        let personal = tokens.issue(&user("guest", ""), 60, NOW).unwrap();
        assert!(tokens.revocation(&caller, &personal, NOW).is_err());
    }

    #[test]
    fn what_ends_a_token_ends_what_was_made_by_it() {
        let tokens = tokens();
        let first = tokens.verify(&tokens.issue(&user("a", "ws:lab-one#a"), 60, NOW).unwrap(), NOW).unwrap();
        let connected =
            UserInfo { credential: first.credential.connected().unwrap(), ..user("a", "ws:lab-one#a") };
        let back = tokens.reconnection(&connected, "lab-one", "c", NOW).unwrap();
        let child = UserInfo { credential: connected.credential.child(), ..user("b", "ws:lab-one#r") };
        let child = tokens.issue(&child, 3600, NOW).unwrap();
        let ended = tokens.revocation(&connected, &back, NOW).unwrap();
        tokens.revoked().add(ended.id, ended.until);
        let later = tokens.reconnection(&connected, "lab-one", "c", NOW + 5).unwrap();
        for token in [&back, &child, &later] {
            assert_eq!(tokens.verify(token, NOW + 5), Err(TokenError::Revoked));
        }
        assert_eq!(
            tokens.verify(&child, NOW + 3599),
            Err(TokenError::Revoked),
            "longer than its maker lives"
        );
        assert!(!tokens.revoked().any(&first.credential.lineage), "the token before it is another one");
        tokens.revoked().add(*first.credential.lineage.last().unwrap(), u64::MAX);
        assert!(tokens.revoked().any(&connected.credential.lineage));
    }

    #[test]
    fn errors_are_those_of_the_protocol() {
        let (tokens, root) = (tokens(), UserInfo::root("*"));
        let text = |token: &str, now| tokens.revocation(&root, token, now).unwrap_err().to_string();
        assert_eq!(text("x", NOW), "ValueError: Invalid token: Error decoding token headers.");
        let token = tokens.issue(&root, 60, NOW).unwrap();
        assert_eq!(text(&token, NOW + 60), "ValueError: Token has already expired");
    }
}
