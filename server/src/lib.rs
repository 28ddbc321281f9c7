//! The polyfn server: functions registered by Python and JavaScript programs, called by RPC and over HTTP.
//!
//! The binary `polyfn` is this library behind a command line ([`cli`]); [`Server::start`] runs the same on a
//! runtime of yours, [`Embedded`] on a thread of its own inside another program.

#![forbid(unsafe_code)]

#[cfg(feature = "serve")]
mod admin;
#[cfg(feature = "serve")]
mod audit;
pub mod auth;
#[cfg(feature = "serve")]
mod auth_service;
#[cfg(feature = "serve")]
pub mod blocks;
#[cfg(feature = "serve")]
mod builtin;
#[cfg(feature = "serve")]
pub mod cli;
#[cfg(feature = "serve")]
pub mod clock;
pub mod config;
#[cfg(feature = "serve")]
pub mod dev;
#[cfg(feature = "serve")]
pub mod embedded;
#[cfg(feature = "serve")]
pub mod http;
#[cfg(feature = "serve")]
pub mod hub;
pub mod limits;
#[cfg(feature = "serve")]
mod listener;
#[cfg(feature = "serve")]
pub mod login;
#[cfg(feature = "serve")]
pub mod metrics;
pub mod names;
#[cfg(feature = "serve")]
pub mod observer;
#[cfg(feature = "serve")]
pub mod pace;
#[cfg(feature = "serve")]
pub mod rate;
#[cfg(feature = "serve")]
mod runtime;
#[cfg(feature = "serve")]
pub mod server;
#[cfg(feature = "serve")]
pub mod shutdown;
#[cfg(feature = "serve")]
pub mod state;
#[cfg(feature = "serve")]
pub mod store;
#[cfg(feature = "serve")]
pub mod transport;
#[cfg(feature = "serve")]
mod uses;
#[cfg(feature = "serve")]
mod web;
#[cfg(feature = "serve")]
pub mod workspace;

pub use config::{Config, ConfigError, Issuer, Secret};
#[cfg(feature = "serve")]
pub use embedded::{Embedded, Settings as EmbeddedSettings};
pub use limits::{Limits, Seconds};
#[cfg(feature = "serve")]
pub use observer::{Answered, Observer, Requests};
#[cfg(feature = "serve")]
pub use server::{Running, Server, StartError};
#[cfg(feature = "serve")]
pub use state::{State, VERSION};
