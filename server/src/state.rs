//! What every part of a running server shares.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;
use polyfn_core::net::Client;

use crate::auth::provider::Provider;
use crate::auth::{Tokens, token};
use crate::auth_service::AuthService;
use crate::blocks::Blocks;
use crate::config::{Config, ConfigError};
use crate::http::strangers::Strangers;
use crate::http::throttle::Throttle;
use crate::http::turns::Turns;
use crate::hub::{self, Hub};
use crate::login::Login;
use crate::metrics::Metrics;
use crate::names;
use crate::observer::Observer;
use crate::pace::{Pace, Paces};
use crate::shutdown::Shutdown;
use crate::store::{Seal, Store};
use crate::transport::origins::Origins;
use crate::transport::streams::Streams;
use crate::workspace::Manager;

/// The version of this software.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The shared state of one server, held as `Arc<State>` by every connection and handler.
///
/// Everything in it is either fixed at the start or safe to use from many threads.
pub struct State {
    /// Settings, checked.
    pub config: Config,
    /// Name of this server, the same after a restart with the same token secret.
    pub server_id: String,
    /// Client id of the workspace manager, `manager-<server_id>`.
    pub manager_id: String,
    /// URL of this server in links for others, without a slash at the end.
    pub public_base_url: String,
    /// URL of this server on its own machine, without a slash at the end.
    pub local_base_url: String,
    /// Makes and checks tokens.
    pub tokens: Arc<Tokens>,
    /// What functions are told of HTTP requests without a token.
    pub(crate) strangers: Strangers,
    /// Limits on HTTP requests by sender, if there are any.
    pub throttle: Option<Throttle>,
    /// How fast clients may send.
    pub paces: Paces,
    /// Calls over HTTP under way, by whom.
    pub turns: Turns,
    /// Clients by address.
    pub(crate) origins: Origins,
    /// Who is kept out.
    pub blocks: Arc<Blocks>,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// Tells connections to end.
    pub shutdown: Shutdown,
    /// When the server started.
    pub started: Instant,
    /// Who is connected, and where messages go.
    pub hub: Arc<Hub>,
    /// How people log in.
    pub login: Arc<Login>,
    /// A login provider of one's own, if there is one.
    pub(crate) auth: Arc<AuthService>,
    /// The server's own clients; they hold the runtime, so they go when it stops.
    pub(crate) own_clients: Mutex<Vec<Client>>,
    /// Clients that came over HTTP.
    pub streams: Streams,
    /// What is kept over a restart.
    pub store: Store,
    /// Who is told of the HTTP requests.
    pub observer: Option<Observer>,
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State").field("server_id", &self.server_id).finish_non_exhaustive()
    }
}

impl State {
    /// The state of a server that listens at `address`. `config` must be [`Config::checked`].
    ///
    /// # Errors
    /// When no token secret is given and the system has no randomness for one.
    pub fn new(config: Config, address: SocketAddr, store: Store) -> Result<Self, ConfigError> {
        let server_id = config.server_id.clone().unwrap_or_else(|| {
            // the oldest one, so that the name survives a change of keys
            let secret = config.earlier_jwt_secrets.last().or(config.jwt_secret.as_ref());
            let derived = secret.map(|secret| names::derived(secret.expose().as_bytes()));
            derived.unwrap_or_else(names::random)
        });
        let secret = match &config.jwt_secret {
            Some(secret) => secret.clone(),
            None => token::random_secret()
                .map_err(|error| ConfigError(format!("no random token secret: {error}")))?,
        };
        let local_base_url = local_url(address, &config.base_path);
        let manager_id = format!("manager-{server_id}");
        let public_base_url = config.public_base_url.clone().unwrap_or_else(|| local_base_url.clone());
        let metrics = Arc::new(Metrics::default());
        let tokens = Arc::new(Tokens::new(&config, secret.expose().as_bytes()));
        let hub = Arc::new(Hub::new(hub::Settings {
            limits: config.limits.clone(),
            metrics: Arc::clone(&metrics),
            manager_id: manager_id.clone(),
            public_base_url: public_base_url.clone(),
        }));
        let auth = Arc::new(AuthService::new(&hub, config.login.auth_service_timeout.duration()));
        let seconds = config.login.auth_service_cache.duration().as_secs();
        tokens.answers().ask(Arc::clone(&auth) as Arc<dyn Provider>, seconds);
        hub.set_manager(Arc::new(Manager::new(
            (Arc::clone(&tokens), Arc::clone(&auth)),
            (store.clone(), Seal::of(&config)?),
            &config.limits,
            &manager_id,
            &public_base_url,
        )?));
        let login = Login::new(&config, Arc::clone(&tokens), Arc::clone(&hub), &store, &public_base_url)?;
        Ok(Self {
            login: Arc::new(login),
            auth,
            own_clients: Mutex::default(),
            manager_id,
            server_id,
            public_base_url,
            local_base_url,
            hub,
            tokens,
            strangers: Strangers::new(),
            throttle: Throttle::new(&config.limits),
            paces: Paces::new(&config.limits),
            turns: Turns::default(),
            origins: Origins::default(),
            blocks: Arc::default(),
            metrics,
            shutdown: Shutdown::default(),
            started: Instant::now(),
            streams: Streams::default(),
            store,
            observer: None,
            config,
        })
    }

    /// A state for tests that need no server.
    #[cfg(test)]
    pub(crate) fn for_test(config: Config, address: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let store = runtime.block_on(Store::open(&config.database)).unwrap();
        Self::new(config.checked().unwrap(), address.parse().unwrap(), store).unwrap()
    }

    /// Brings up to date what is counted only when somebody asks.
    pub(crate) fn note_gauges(&self) {
        self.metrics.note_sessions(&self.hub.sessions());
        self.metrics.client_calls.set(self.hub.calls_under_way());
    }

    /// What the messages of a client are charged to; those of the server's own client to nobody.
    pub(crate) fn pace_of(&self, peer: &hub::Peer) -> Pace {
        if self.is_own(peer) {
            return Pace::default();
        }
        self.paces.of(&peer.user.id, peer.workspace(), peer.from(), self.hub.elapsed())
    }

    /// Seconds since the start.
    #[must_use]
    pub fn uptime_seconds(&self) -> f64 {
        self.started.elapsed().as_secs_f64()
    }
}

/// A server that listens everywhere is reached on its own machine by the loopback address.
fn local_url(address: SocketAddr, base_path: &str) -> String {
    let host = match address {
        _ if address.ip().is_unspecified() => "127.0.0.1".to_owned(),
        SocketAddr::V4(address) => address.ip().to_string(),
        SocketAddr::V6(address) => format!("[{}]", address.ip()),
    };
    format!("http://{host}:{}{base_path}", address.port())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::UserInfo;

    fn state(config: Config, address: &str) -> State {
        State::for_test(config, address)
    }

    #[test]
    fn the_id_survives_a_restart_with_the_same_secret() {
        let config = Config { jwt_secret: Some("key".into()), ..Config::default() };
        let first = state(config.clone(), "127.0.0.1:1");
        assert_eq!(first.server_id, state(config, "127.0.0.1:2").server_id);
        assert_eq!(first.manager_id, format!("manager-{}", first.server_id));
        assert_ne!(state(Config::default(), "127.0.0.1:1").server_id, first.server_id);
    }

    #[test]
    fn urls_name_a_reachable_host_and_the_base_path() {
        let config = Config { base_path: "hy".to_owned(), ..Config::default() };
        assert_eq!(state(config, "0.0.0.0:80").local_base_url, "http://127.0.0.1:80/hy");
        assert_eq!(state(Config::default(), "[::1]:80").public_base_url, "http://[::1]:80");
    }

    #[test]
    fn each_server_without_secret_has_its_own() {
        let one = state(Config::default(), "127.0.0.1:1");
        let two = state(Config::default(), "127.0.0.1:1");
        let token = one.tokens.issue(&UserInfo::anonymous(0), 60, 0).unwrap();
        assert!(two.tokens.verify(&token, 0).is_err());
    }
}
