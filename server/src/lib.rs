//! The polyfn server: functions registered by Python and JavaScript programs, called by RPC and over HTTP.
//!
//! The binary `polyfn` is this library behind a command line ([`cli`]); [`Server::start`] runs the same on a
//! runtime of yours, [`Embedded`] on a thread of its own inside another program.

#![forbid(unsafe_code)]

mod admin;
mod audit;
pub mod auth;
pub mod blocks;
mod builtin;
pub mod cli;
pub mod clock;
pub mod config;
pub mod dev;
pub mod embedded;
pub mod http;
pub mod hub;
pub mod limits;
mod listener;
pub mod login;
pub mod metrics;
pub mod names;
pub mod observer;
pub mod pace;
pub mod rate;
mod runtime;
pub mod server;
pub mod shutdown;
pub mod state;
pub mod store;
pub mod transport;
mod uses;
mod web;
pub mod workspace;

pub use config::{Config, ConfigError, Issuer, Secret};
pub use embedded::{Embedded, Settings as EmbeddedSettings};
pub use limits::{Limits, Seconds};
pub use observer::{Answered, Observer, Requests};
pub use server::{Running, Server, StartError};
pub use state::{State, VERSION};
