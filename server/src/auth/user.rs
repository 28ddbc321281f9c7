//! Users as they are shown to clients and functions.

use serde::Serialize;

use crate::auth::lineage::Credential;
use crate::auth::scope::{Permission, Scope};
use crate::names;

/// How long an anonymous user is said to live; its connection does not end with it.
const ANONYMOUS_SECONDS: u64 = 600;

/// A user, in the shape and key order of the protocol.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct UserInfo {
    /// Unique name.
    pub id: String,
    /// `anonymous`, `user`, `admin` and others.
    pub roles: Vec<String>,
    /// Whether `anonymous` is among the roles.
    pub is_anonymous: bool,
    /// What the user may do.
    pub scope: Scope,
    /// Known for users of a login provider.
    pub email: Option<String>,
    /// The user who made the token of this one.
    pub parent: Option<String>,
    /// Seconds since 1970.
    pub expires_at: Option<f64>,
    /// The workspace of the token; absent for users without one.
    pub current_workspace: Option<String>,
    /// By which token the user is known, for the server alone.
    #[serde(skip)]
    pub credential: Credential,
}

impl UserInfo {
    /// A stranger who connects: a fresh id with a workspace of its own.
    ///
    /// `now` is in seconds since 1970.
    #[must_use]
    pub fn anonymous(now: u64) -> Self {
        Self::anonymous_named(names::anonymous_user(), now)
    }

    /// A stranger who connects by requests, which prove little: its workspace cannot be guessed.
    ///
    /// # Errors
    /// When the operating system has no randomness to give.
    pub fn secluded(now: u64) -> Result<Self, getrandom::Error> {
        Ok(Self::anonymous_named(names::secluded_user()?, now))
    }

    fn anonymous_named(id: String, now: u64) -> Self {
        let scope = Scope::owner_of(&own_workspace(&id));
        let expires_at = Some((now + ANONYMOUS_SECONDS) as f64);
        Self {
            id,
            roles: vec!["anonymous".to_owned()],
            is_anonymous: true,
            scope,
            expires_at,
            ..Self::default()
        }
    }

    /// A stranger who asks over HTTP: everybody the same, and read only.
    #[must_use]
    pub fn anonymous_http() -> Self {
        let scope = Scope {
            current_workspace: Some("ws-anonymous".to_owned()),
            workspaces: vec![("ws-anonymous".to_owned(), Permission::Read)],
            ..Scope::default()
        };
        let roles = vec!["anonymous".to_owned()];
        Self { id: "anonymouz-http".to_owned(), roles, is_anonymous: true, scope, ..Self::default() }
    }

    /// The bearer of the root token, acting in `workspace`; `*` is the server itself.
    #[must_use]
    pub fn root(workspace: &str) -> Self {
        let scope = Scope {
            current_workspace: Some(workspace.to_owned()),
            workspaces: vec![("*".to_owned(), Permission::Admin)],
            ..Scope::default()
        };
        Self { id: "root".to_owned(), roles: vec!["admin".to_owned()], scope, ..Self::default() }
    }

    /// The workspace that belongs to this user alone, `ws-user-<id>`.
    #[must_use]
    pub fn own_workspace(&self) -> String {
        own_workspace(&self.id)
    }

    /// Gives a user who comes in person, not with a token for one workspace, the workspaces that it owns.
    pub fn own(&mut self, owned: impl FnOnce(&str) -> Vec<String>) {
        if self.current_workspace.is_none() && self.scope.narrow.is_none() && !self.is_anonymous {
            owned(&self.id).iter().for_each(|name| self.scope.allow(name, Permission::Admin));
        }
    }

    /// The strongest right of this user on `workspace`.
    #[must_use]
    pub fn permission(&self, workspace: &str) -> Permission {
        self.scope.permission(workspace)
    }

    /// Whether this user may do in `workspace` what needs `right`.
    #[must_use]
    pub fn may(&self, right: Permission, workspace: &str) -> bool {
        self.permission(workspace) >= right
    }

    /// Whether `role` is among the roles.
    #[must_use]
    pub fn has_role(&self, role: &str) -> bool {
        self.roles.iter().any(|own| own == role)
    }
}

fn own_workspace(id: &str) -> String {
    format!("ws-user-{id}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shape_is_that_of_the_protocol() {
        let mut user =
            UserInfo::anonymous_named("anonymouz-honeysuckle-flame-09635305".to_owned(), 1_795_220_574);
        user.scope.client_id = Some("client-a".to_owned());
        let expected = concat!(
            r#"{"id":"anonymouz-honeysuckle-flame-09635305","roles":["anonymous"],"is_anonymous":true,"scope":"#,
            r#"{"current_workspace":"ws-user-anonymouz-honeysuckle-flame-09635305","workspaces":"#,
            r#"{"ws-user-anonymouz-honeysuckle-flame-09635305":"a"},"client_id":"client-a","extra_scopes":null},"#,
            r#""email":null,"parent":null,"expires_at":1795221174.0,"current_workspace":null}"#
        );
        assert_eq!(serde_json::to_string(&user).unwrap(), expected);
    }

    #[test]
    fn the_server_itself_is_root_everywhere() {
        let expected = concat!(
            r#"{"id":"root","roles":["admin"],"is_anonymous":false,"scope":{"current_workspace":"*","workspaces":"#,
            r#"{"*":"a"},"client_id":null,"extra_scopes":null},"email":null,"parent":null,"expires_at":null,"#,
            r#""current_workspace":null}"#
        );
        assert_eq!(serde_json::to_string(&UserInfo::root("*")).unwrap(), expected);
    }

    #[test]
    fn strangers_over_http_only_read() {
        let user = UserInfo::anonymous_http();
        assert!(user.may(Permission::Read, "ws-anonymous"));
        assert!(!user.may(Permission::ReadWrite, "ws-anonymous"));
        assert!(!user.may(Permission::Read, "public"));
    }

    #[test]
    fn each_anonymous_user_is_another() {
        assert_ne!(UserInfo::anonymous(0).id, UserInfo::anonymous(0).id);
    }
}
