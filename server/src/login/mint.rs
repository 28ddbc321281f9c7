//! The tokens that a login ends with: never more than the user who logged in has.

use polyfn_core::{Error, ErrorKind, Result};

use crate::auth::{Permission, Scope, UserInfo};
use crate::clock;
use crate::login::Login;
use crate::login::keys::{Granted, Profile, Wish};

/// How long a login lasts when nothing is said.
pub(crate) const SESSION_SECONDS: u64 = 86_400;
/// How long a token for one workspace lives when nothing is said, as it is with the reference.
const WORKSPACE_SECONDS: u64 = 3600;
/// Ten years: longer is surely a mistake of units.
const MAX_SECONDS: u64 = 10 * 366 * 86_400;

impl Login {
    /// A token for `user`, as `wish` asks for it.
    ///
    /// # Errors
    /// `permission_denied` for a workspace in which the user may nothing, `invalid` for a time out of range.
    pub(crate) fn mint(&self, user: &UserInfo, wish: &Wish) -> Result<String> {
        let usual = if wish.workspace.is_some() { WORKSPACE_SECONDS } else { SESSION_SECONDS };
        let seconds = wish.expires_in.unwrap_or(usual);
        if seconds == 0 || seconds > MAX_SECONDS {
            let text = format!("ValueError: expires_in must be 1 to {MAX_SECONDS} seconds, found {seconds}");
            return Err(Error::invalid(text));
        }
        if user.scope.narrow.is_some() {
            let text = "PermissionError: a narrowed token is good for calls only: log in with another one";
            return Err(Error::new(ErrorKind::PermissionDenied, text));
        }
        if user.credential.is_exhausted() {
            let text = "PermissionError: this token has too many before it to make another one: log in anew";
            return Err(Error::new(ErrorKind::PermissionDenied, text));
        }
        let made = match wish.workspace.as_deref() {
            Some(workspace) => self.narrowed(user, workspace)?,
            None => user.clone(),
        };
        // it ends with the one by which it is made
        let made = UserInfo { credential: user.credential.child(), ..made };
        let now = clock::now();
        let seconds = if is_handed_down(&made) { seconds.min(left(user, now)) } else { seconds };
        let token = self.tokens.issue(&made, seconds, now);
        token.map_err(|error| Error::new(ErrorKind::Internal, error.to_string()))
    }

    fn narrowed(&self, user: &UserInfo, workspace: &str) -> Result<UserInfo> {
        let owner = self.hub.registry.workspace(workspace).is_some_and(|known| known.is_owned_by(&user.id));
        let held = if owner { Permission::Admin } else { user.permission(workspace) };
        let bound = user.current_workspace.as_deref().is_some_and(|bound| bound != workspace);
        if held < Permission::Read || bound || !is_plain(workspace) {
            let shown: String = workspace.chars().take(64).collect();
            let text = format!("PermissionError: Permission denied for workspace {shown}");
            return Err(Error::new(ErrorKind::PermissionDenied, text));
        }
        Ok(UserInfo {
            // the role stands for all rights everywhere, which is not what was asked for
            roles: without_admin(&user.roles),
            scope: Scope {
                current_workspace: Some(workspace.to_owned()),
                workspaces: vec![(workspace.to_owned(), held)],
                ..user.scope.clone()
            },
            current_workspace: Some(workspace.to_owned()),
            ..user.clone()
        })
    }

    /// Gives the program that waits with `key` a token of `user`, for what it asked for.
    ///
    /// # Errors
    /// `invalid` for a key that does not wait, and those of [`Login::mint`].
    pub(crate) fn approve(&self, key: &str, user: &UserInfo, profile: Profile) -> Result<()> {
        let (wish, _) = self.keys.wish(key).ok_or_else(no_key)?;
        let token = self.mint(user, &wish)?;
        let where_to = wish.workspace.clone().unwrap_or_else(|| user.own_workspace());
        self.hand_over(key, token, wish, profile)?;
        self.note(&user.id, "approve_login", &where_to, "a program got a token");
        Ok(())
    }

    pub(super) fn hand_over(&self, key: &str, token: String, wish: Wish, profile: Profile) -> Result<()> {
        let Wish { workspace, expires_in } = wish;
        let granted = Granted { token: token.into(), workspace, expires_in, profile };
        self.keys.grant(key, granted).map_err(|_| no_key())
    }
}

pub(super) fn no_key() -> Error {
    Error::invalid("AssertionError: Invalid key, key does not exist or expired")
}

/// A token that somebody made of another one, or that is good for less than all: what comes of it must not outlive it.
fn is_handed_down(user: &UserInfo) -> bool {
    let extra = user.scope.extra_scopes.as_ref().is_some_and(|words| !words.is_empty());
    let lesser = user.current_workspace.as_deref().is_some_and(|own| !user.may(Permission::Admin, own));
    user.parent.is_some() || user.is_anonymous || user.scope.client_id.is_some() || extra || lesser
}

fn left(user: &UserInfo, now: u64) -> u64 {
    user.expires_at.map_or(WORKSPACE_SECONDS, |until| (until as u64).saturating_sub(now).max(1))
}

fn is_plain(workspace: &str) -> bool {
    !workspace.is_empty() && workspace != "*" && !workspace.contains(|c: char| c.is_whitespace() || c == '#')
}

fn without_admin(roles: &[String]) -> Vec<String> {
    let kept: Vec<_> = roles.iter().filter(|role| *role != "admin").cloned().collect();
    if kept.is_empty() { vec!["user".to_owned()] } else { kept }
}
