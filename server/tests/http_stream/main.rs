//! Clients without a websocket: `GET` and `POST /rpc`, byte by byte, on a server in this process.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod life;
mod peer;
mod proof;
mod requests;

use polyfn_server::auth::{Scope, UserInfo};
use polyfn_server::{Config, Running, Server, clock};

async fn start(config: Config) -> Running {
    Server::start(Config { port: 0, ..config }).await.unwrap()
}

/// A token of the user `id` with this scope.
fn token(running: &Running, id: &str, scope: &str) -> String {
    let roles = vec!["user".to_owned()];
    let user = UserInfo { id: id.to_owned(), roles, scope: Scope::parse(scope), ..UserInfo::default() };
    running.state().tokens.issue(&user, 60, clock::now()).unwrap()
}
