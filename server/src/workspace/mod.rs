//! The workspace manager: the service `default` that clients talk to.

mod arguments;
mod clients;
mod events;
mod manager;
mod naming;
mod narrowed;
mod query;
mod registration;
mod services;
mod table;
mod tokens;
mod types;
mod workspaces;

pub use manager::{Call, Manager};
pub(crate) use workspaces::described;
