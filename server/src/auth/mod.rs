//! Who somebody is and what they may do: users, scopes, tokens.

pub mod foreign;
pub mod grant;
pub mod handshake;
pub mod identify;
pub mod lineage;
#[cfg(feature = "serve")]
pub(crate) mod made;
pub mod narrow;
#[cfg(feature = "serve")]
pub mod provider;
pub mod revoke;
pub mod revoked;
pub mod scope;
pub mod token;
pub mod user;
pub mod uses;

pub use foreign::Foreign;
pub use grant::{TokenRequest, grant};
pub use handshake::{AuthMessage, HandshakeError, Identity};
pub use lineage::{Credential, TokenId};
pub use narrow::{Narrow, Pattern};
pub use revoke::{Revocation, RevokeError};
#[cfg(feature = "serve")]
pub use revoked::Ending;
pub use revoked::Revoked;
pub use scope::{Permission, Scope};
pub use token::{TokenError, Tokens};
pub use user::UserInfo;
pub use uses::{Used, Uses};
