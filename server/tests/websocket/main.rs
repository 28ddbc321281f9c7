//! Clients that speak the raw protocol to a server in this process.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod events;
mod extensions;
mod handshake;
mod manager;
mod peer;
mod relay;
mod revoke;
mod types;

use polyfn_server::auth::{Scope, UserInfo};
use polyfn_server::{Config, Running, Server, clock};

async fn start(config: Config) -> Running {
    Server::start(Config { port: 0, ..config }).await.unwrap()
}

/// A token of the user `id` with this scope.
fn token(running: &Running, id: &str, scope: &str) -> String {
    token_until(running, id, scope, clock::now() + 60)
}

fn token_until(running: &Running, id: &str, scope: &str, until: u64) -> String {
    let roles = vec!["user".to_owned()];
    let user = UserInfo { id: id.to_owned(), roles, scope: Scope::parse(scope), ..UserInfo::default() };
    running.state().tokens.issue(&user, 60, until - 60).unwrap()
}
