//! The workspace manager: the service `default` that clients talk to.

mod arguments;
mod auth_service;
mod bookmarks;
mod clients;
mod environment;
mod events;
pub(crate) mod keeping;
mod life;
mod log;
mod manager;
mod methods;
mod naming;
mod narrowed;
mod query;
mod registration;
mod services;
mod summary;
mod table;
mod tokens;
mod types;
mod workspaces;

pub use manager::{Call, Manager};
pub(crate) use workspaces::described;
