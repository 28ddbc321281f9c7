//! Who somebody is and what they may do: users, scopes, tokens.

pub mod grant;
pub mod handshake;
pub mod identify;
pub mod scope;
pub mod token;
pub mod user;

pub use grant::{TokenRequest, grant};
pub use handshake::{AuthMessage, HandshakeError, Identity};
pub use scope::{Permission, Scope};
pub use token::{TokenError, Tokens};
pub use user::UserInfo;
