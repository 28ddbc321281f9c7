//! The polyfn server.

pub mod auth;
pub mod cli;
pub mod config;
pub mod limits;
pub mod names;

pub use config::{Config, ConfigError, Secret};
pub use limits::Limits;
