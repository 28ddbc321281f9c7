//! Users as they are shown to clients and functions.

use serde::Serialize;

use crate::auth::lineage::Credential;
use crate::auth::scope::{Permission, Scope};
use crate::names;

/// How long an anonymous user is said to live; its connection does not end with it.
const ANONYMOUS_SECONDS: u64 = 600;

/// How the names of strangers over HTTP begin.
pub(crate) const HTTP_STRANGER: &str = "anonymouz-http-";

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

    /// A stranger who asks over HTTP: each request is somebody else, at home in a workspace of its own that does not
    /// exist, as nobody can put anything there.
    #[must_use]
    pub fn anonymous_http() -> Self {
        let id = format!("{HTTP_STRANGER}{:016x}", fastrand::u64(..));
        let own = own_workspace(&id);
        let scope = Scope {
            current_workspace: Some(own.clone()),
            workspaces: vec![(own, Permission::Read)],
            ..Scope::default()
        };
        let roles = vec!["anonymous".to_owned()];
        Self { id, roles, is_anonymous: true, scope, ..Self::default() }
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

    /// With what follows from id, roles and scope of a user that a token names: all rights in the own workspace, and
    /// everywhere with the role `admin`. Who comes with a narrowed token has neither.
    #[must_use]
    pub(crate) fn endowed(mut self) -> Self {
        if self.scope.narrow.is_some() {
            // it is good for what it says, and for nothing else
            self.roles.retain(|role| role != "admin");
        } else {
            self.scope.allow(&self.own_workspace(), Permission::Admin);
            if self.has_role("admin") {
                self.scope.allow("*", Permission::Admin);
            }
        }
        self.is_anonymous = self.has_role("anonymous");
        self.current_workspace = self.scope.current_workspace.clone();
        self
    }

    /// The workspace that belongs to this user alone, `ws-user-<id>`.
    #[must_use]
    pub fn own_workspace(&self) -> String {
        own_workspace(&self.id)
    }

    /// Whether it comes in person, not with a token for one workspace: then it has what it owns.
    #[must_use]
    pub fn is_in_person(&self) -> bool {
        self.current_workspace.is_none() && self.scope.narrow.is_none() && !self.is_anonymous
    }

    /// Whether the user, or the one who made its token, is among `owners`, or is root, who owns all.
    #[must_use]
    pub fn speaks_for(&self, owners: &[String]) -> bool {
        let is_owner = |id: &str| id == "root" || owners.iter().any(|owner| owner == id);
        is_owner(&self.id) || self.parent.as_deref().is_some_and(is_owner)
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
    ["ws-user-", id].concat()
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
        assert!(user.may(Permission::Read, &user.own_workspace()));
        assert!(!user.may(Permission::ReadWrite, &user.own_workspace()));
        assert!(!user.may(Permission::Read, "public"));
        assert_ne!(UserInfo::anonymous_http().id, user.id);
    }

    #[test]
    fn each_anonymous_user_is_another() {
        assert_ne!(UserInfo::anonymous(0).id, UserInfo::anonymous(0).id);
    }
}
