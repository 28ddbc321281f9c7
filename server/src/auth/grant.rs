//! The rules by which a user may hand a part of their rights to somebody else as a token.

use std::fmt;

use crate::auth::narrow::{Narrow, PATTERN_MAX, PATTERNS_MAX, PREFIX, Pattern};
use crate::auth::scope::{Permission, Scope};
use crate::auth::user::UserInfo;

/// How long a token lives when nothing is said.
pub const DEFAULT_SECONDS: u64 = 3600;
/// Ten years: longer is surely a mistake of units.
pub const MAX_SECONDS: u64 = 10 * 366 * 86_400;

/// What `generate_token` is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRequest {
    /// Where the token is good; the caller's current workspace when absent.
    pub workspace: Option<String>,
    /// The right it gives there.
    pub permission: Permission,
    /// Seconds it lives.
    pub expires_in: u64,
    /// The only client that may connect with it.
    pub client_id: Option<String>,
    /// More words for the scope; one with a colon makes the token specialised.
    pub extra_scopes: Vec<String>,
    /// Address of the new user; for callers with the role `admin` only.
    pub email: Option<String>,
    /// Services that it is good for, as patterns; all when empty. Any of these three makes it a narrowed token.
    pub services: Vec<String>,
    /// Methods that it is good for, as patterns; all when empty.
    pub methods: Vec<String>,
    /// How many calls may be made with it.
    pub max_uses: Option<u32>,
}

impl Default for TokenRequest {
    fn default() -> Self {
        Self {
            workspace: None,
            permission: Permission::ReadWrite,
            expires_in: DEFAULT_SECONDS,
            client_id: None,
            extra_scopes: Vec::new(),
            email: None,
            services: Vec::new(),
            methods: Vec::new(),
            max_uses: None,
        }
    }
}

impl TokenRequest {
    const fn is_narrowed(&self) -> bool {
        !self.services.is_empty() || !self.methods.is_empty() || self.max_uses.is_some()
    }

    /// The scope asked for, in `workspace`.
    ///
    /// # Errors
    /// [`GrantError::Invalid`] for patterns that are none, and for what a narrowed token cannot be.
    pub fn scope(&self, workspace: &str) -> Result<Scope, GrantError> {
        if !self.is_narrowed() {
            return Ok(Scope {
                current_workspace: Some(workspace.to_owned()),
                workspaces: vec![(workspace.to_owned(), self.permission)],
                client_id: self.client_id.clone(),
                extra_scopes: Some(self.extra_scopes.clone()),
                narrow: None,
            });
        }
        if !self.extra_scopes.is_empty() {
            let text =
                "a token with services, methods or max_uses has no extra_scopes: leave one of them out";
            return Err(GrantError::Invalid(text.to_owned()));
        }
        if self.max_uses == Some(0) {
            return Err(GrantError::Invalid("max_uses must be at least 1".to_owned()));
        }
        let narrow = Narrow {
            workspace: workspace.to_owned(),
            permission: self.permission,
            services: patterns("services", &self.services)?,
            methods: patterns("methods", &self.methods)?,
            max_uses: self.max_uses,
        };
        Ok(Scope { client_id: self.client_id.clone(), ..Scope::narrowed(narrow) })
    }
}

fn patterns(name: &str, texts: &[String]) -> Result<Vec<Pattern>, GrantError> {
    if texts.len() > PATTERNS_MAX {
        let text = format!("{name} may hold {PATTERNS_MAX} patterns, found {}", texts.len());
        return Err(GrantError::Invalid(text));
    }
    let read = texts.iter().map(|text| {
        let shown: String = text.chars().take(64).collect();
        Pattern::new(text).ok_or_else(|| {
            GrantError::Invalid(format!(
                "{name} must be names of 1 to {PATTERN_MAX} bytes in which `*` stands for anything, found `{shown}`"
            ))
        })
    });
    read.collect()
}

/// Why no token is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GrantError {
    /// The caller lacks the right.
    Denied(String),
    /// The request makes no sense.
    Invalid(String),
}

impl fmt::Display for GrantError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Denied(text) | Self::Invalid(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for GrantError {}

/// The new user for whom [`super::Tokens::issue`] then makes the token.
///
/// `current` is the caller's workspace, `owner` whether the caller in person owns the workspace asked for, and
/// `id` the name of the new user. The new user never has more than the caller.
///
/// # Errors
/// [`GrantError::Denied`] unless the caller is admin or owner of the workspace; [`GrantError::Invalid`] for words
/// that would change the meaning of the scope, and for times out of range.
pub fn grant(
    caller: &UserInfo,
    current: &str,
    owner: bool,
    request: &TokenRequest,
    id: String,
) -> Result<UserInfo, GrantError> {
    let workspace = request.workspace.as_deref().unwrap_or(current);
    let held = if owner { Permission::Admin } else { caller.permission(workspace) };
    check_right(held, workspace, request)?;
    check_words(workspace, request)?;
    if request.email.is_some() && !caller.has_role("admin") {
        let text = "Only callers with the 'admin' role may set TokenConfig.email";
        return Err(GrantError::Denied(text.to_owned()));
    }
    if caller.credential.is_exhausted() {
        let text = "too many tokens were made by one another: make this one with an earlier one of them";
        return Err(GrantError::Denied(text.to_owned()));
    }
    Ok(UserInfo {
        id,
        roles: handed_down(&caller.roles),
        is_anonymous: caller.is_anonymous,
        scope: request.scope(workspace)?,
        email: request.email.clone(),
        parent: Some(caller.parent.clone().unwrap_or_else(|| caller.id.clone())),
        current_workspace: Some(workspace.to_owned()),
        credential: caller.credential.child(),
        ..UserInfo::default()
    })
}

/// The role `admin` stands for all rights everywhere, so it does not travel with a token for one workspace.
fn handed_down(roles: &[String]) -> Vec<String> {
    let kept: Vec<_> = roles.iter().filter(|role| *role != "admin").cloned().collect();
    if kept.is_empty() && !roles.is_empty() { vec!["user".to_owned()] } else { kept }
}

fn check_right(held: Permission, workspace: &str, request: &TokenRequest) -> Result<(), GrantError> {
    match held {
        Permission::None => {
            Err(GrantError::Denied(format!("You do not have any permission for workspace: {workspace}")))
        }
        Permission::Admin if request.permission > Permission::None => Ok(()),
        Permission::Admin => Err(GrantError::Invalid("a token needs a permission to give".to_owned())),
        _ => Err(GrantError::Denied("Only admin can generate token.".to_owned())),
    }
}

fn check_words(workspace: &str, request: &TokenRequest) -> Result<(), GrantError> {
    if workspace == "*" || workspace.is_empty() || workspace.contains(|c: char| c.is_whitespace() || c == '#')
    {
        return Err(GrantError::Invalid(format!(
            "a token needs the name of one workspace, found `{workspace}`"
        )));
    }
    let reserved = |word: &String| {
        word.is_empty()
            || word.contains(char::is_whitespace)
            || ["ws:", "cid:", "wid:", PREFIX].iter().any(|prefix| word.starts_with(prefix))
    };
    if let Some(word) = request.extra_scopes.iter().find(|word| reserved(word)) {
        let text = format!("the extra scope `{word}` is reserved or has white space: name it otherwise");
        return Err(GrantError::Invalid(text));
    }
    if request.expires_in == 0 || request.expires_in > MAX_SECONDS {
        let text = format!("expires_in must be 1 to {MAX_SECONDS} seconds, found {}", request.expires_in);
        return Err(GrantError::Invalid(text));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(scope: &str, roles: &[&str]) -> UserInfo {
        let roles = roles.iter().map(|role| (*role).to_owned()).collect();
        UserInfo { id: "maker".to_owned(), roles, scope: Scope::parse(scope), ..UserInfo::default() }
    }

    fn ask(caller: &UserInfo, owner: bool, request: &TokenRequest) -> Result<UserInfo, GrantError> {
        grant(caller, "lab-one", owner, request, "made".to_owned())
    }

    #[test]
    fn an_admin_gives_exactly_what_was_asked() {
        let user = ask(&caller("ws:lab-one#a", &["user"]), false, &TokenRequest::default()).unwrap();
        assert_eq!(user.scope.claim(), "ws:lab-one#rw wid:lab-one");
        assert_eq!(
            (user.parent.as_deref(), user.roles.as_slice()),
            (Some("maker"), &["user".to_owned()][..])
        );
    }

    #[test]
    fn lesser_rights_give_nothing() {
        let request = TokenRequest { permission: Permission::Read, ..TokenRequest::default() };
        for scope in ["ws:lab-one#r", "ws:lab-one#rw"] {
            let refused = ask(&caller(scope, &["anonymous"]), false, &request).unwrap_err();
            assert_eq!(refused.to_string(), "Only admin can generate token.");
        }
        let stranger = caller("ws:other-one#a", &["user"]);
        let text = "You do not have any permission for workspace: lab-one";
        assert_eq!(ask(&stranger, false, &request).unwrap_err().to_string(), text);
        assert!(ask(&stranger, true, &request).is_ok(), "the owner in person may");
    }

    #[test]
    fn nobody_sets_an_address_but_admins() {
        let request = TokenRequest { email: Some("a@b.c".to_owned()), ..TokenRequest::default() };
        assert!(matches!(ask(&caller("ws:*#a", &["user"]), false, &request), Err(GrantError::Denied(_))));
        assert!(ask(&caller("ws:*#a", &["admin"]), false, &request).is_ok());
    }

    #[test]
    fn the_role_admin_does_not_travel() {
        let user = ask(&caller("ws:*#a", &["admin"]), false, &TokenRequest::default()).unwrap();
        assert_eq!(user.roles, ["user"]);
    }

    #[test]
    fn words_that_would_widen_the_scope_are_refused() {
        for word in ["ws:other#a", "cid:x", "wid:other", "a ws:other#a", "a\tb", ""] {
            let request = TokenRequest { extra_scopes: vec![word.to_owned()], ..TokenRequest::default() };
            let refused = ask(&caller("ws:lab-one#a", &["user"]), false, &request);
            assert!(matches!(refused, Err(GrantError::Invalid(_))), "{word:?}");
        }
        for workspace in ["*", "", "a b", "a#a"] {
            let request = TokenRequest { workspace: Some(workspace.to_owned()), ..TokenRequest::default() };
            assert!(ask(&caller("ws:*#a", &["admin"]), false, &request).is_err(), "{workspace:?}");
        }
    }

    #[test]
    fn times_out_of_range_are_refused() {
        for expires_in in [0, u64::MAX] {
            let request = TokenRequest { expires_in, ..TokenRequest::default() };
            assert!(ask(&caller("ws:lab-one#a", &["user"]), false, &request).is_err());
        }
    }
}
