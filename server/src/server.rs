//! Puts the parts together: start, accept, drain, stop.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use polyfn_core::ErrorKind;
use tokio::net::{TcpListener, TcpSocket, lookup_host};
use tokio::task::JoinHandle;

use crate::admin;
use crate::builtin;
use crate::clock;
use crate::config::{Config, ConfigError};
use crate::http;
use crate::listener::Listener;
use crate::observer::Observer;
use crate::state::State;
use crate::store::{Store, StoreError};
use crate::uses;
use crate::workspace;

/// Connections that the system keeps ready while we accept others.
const BACKLOG: u32 = 4096;

/// Why a server does not start.
#[derive(Debug)]
pub enum StartError {
    /// A setting cannot be used.
    Config(ConfigError),
    /// The database cannot be used.
    Store(StoreError),
    /// The address cannot be listened at.
    Listen(String, io::Error),
    /// The system does not give what a server needs to run: a thread, randomness.
    Runtime(io::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(error) => error.fmt(f),
            Self::Store(error) => error.fmt(f),
            Self::Listen(address, error) => write!(f, "cannot listen at {address}: {error}"),
            Self::Runtime(error) => write!(f, "cannot start the runtime: {error}"),
        }
    }
}

impl std::error::Error for StartError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Config(error) => Some(error),
            Self::Store(error) => Some(error),
            Self::Listen(_, error) | Self::Runtime(error) => Some(error),
        }
    }
}

impl From<ConfigError> for StartError {
    fn from(error: ConfigError) -> Self {
        Self::Config(error)
    }
}

impl From<StoreError> for StartError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<StartError> for polyfn_core::Error {
    fn from(error: StartError) -> Self {
        let kind = match &error {
            StartError::Config(_) => ErrorKind::Invalid,
            StartError::Listen(_, error) if error.kind() == io::ErrorKind::AddrInUse => ErrorKind::Conflict,
            StartError::Listen(_, error) if error.kind() == io::ErrorKind::PermissionDenied => {
                ErrorKind::PermissionDenied
            }
            StartError::Store(StoreError::Locked(_)) => ErrorKind::Conflict,
            StartError::Store(StoreError::Place(_)) => ErrorKind::Invalid,
            StartError::Store(_) | StartError::Listen(..) | StartError::Runtime(_) => ErrorKind::Internal,
        };
        Self::new(kind, error.to_string())
    }
}

/// The way to start one; see [`Server::start`].
#[derive(Clone, Copy, Debug)]
pub struct Server;

impl Server {
    /// Starts a server on the current tokio runtime; it listens when this returns.
    ///
    /// # Errors
    /// When a setting cannot be used or the address is taken.
    ///
    /// # Examples
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// use polyfn_server::{Config, Server};
    /// let running = Server::start(Config { port: 0, ..Config::default() }).await?;
    /// assert_ne!(running.address().port(), 0);
    /// assert!(running.stop().await);
    /// # Ok::<(), polyfn_server::StartError>(())
    /// # }).unwrap();
    /// ```
    pub async fn start(config: Config) -> Result<Running, StartError> {
        Self::start_observed(config, None).await
    }

    /// The same, and `observer` is told of each HTTP request that was answered.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub async fn start_observed(config: Config, observer: Option<Observer>) -> Result<Running, StartError> {
        let config = config.checked()?;
        let socket = listen(&config.host, config.port).await?;
        let name = || format!("{}:{}", config.host, config.port);
        let address = socket.local_addr().map_err(|error| StartError::Listen(name(), error))?;
        let store = Store::open(&config.database).await?;
        let state = Arc::new(State { observer, ..State::new(config, address, store)? });
        state.tokens.revoked().load(state.store.revoked(clock::now()).await?);
        state.tokens.made().load(state.store.made().await?);
        state.tokens.uses().load(state.store.uses(clock::now()).await?);
        uses::keep(&state, state.shutdown.for_session());
        workspace::keeping::load(&state.store, &state.hub.registry).await?;
        state.hub.start(state.shutdown.for_session());
        let internal = |error: polyfn_core::Error| StartError::Runtime(io::Error::other(error.to_string()));
        state.login.begin().await.map_err(internal)?;
        let login = builtin::start(&state).await.map_err(internal)?;
        state.blocks.load(state.store.blocked(clock::now()).await?);
        state.hub.audit().start(state.store.clone(), &state.config.limits);
        let admin = admin::start(&state).await.map_err(internal)?;
        state.own_clients.lock().extend([login, admin]);
        let router = http::router(&state);
        let accepting = tokio::spawn(Listener::new(Arc::clone(&state), router, socket).run());
        Ok(Running { state, address, accepting })
    }
}

/// A server at work. Dropping it leaves the server running; [`Running::stop`] ends it.
#[derive(Debug)]
pub struct Running {
    state: Arc<State>,
    address: SocketAddr,
    accepting: JoinHandle<()>,
}

impl Running {
    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its URL on this machine.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.state.local_base_url
    }

    /// What its parts share.
    #[must_use]
    pub const fn state(&self) -> &Arc<State> {
        &self.state
    }

    /// Stops: accepts nothing more, lets requests finish, tells clients to come back later, closes.
    ///
    /// Answers whether everything ended by itself within the time that the settings allow.
    pub async fn stop(self) -> bool {
        self.accepting.abort();
        _ = self.accepting.await;
        let ended = self.state.shutdown.run(self.state.config.shutdown_timeout.duration()).await;
        let own = std::mem::take(&mut *self.state.own_clients.lock());
        for client in own {
            client.disconnect().await;
        }
        self.state.hub.audit().end().await;
        self.state.store.close().await;
        ended
    }
}

async fn listen(host: &str, port: u16) -> Result<TcpListener, StartError> {
    let failed = |error| StartError::Listen(format!("{host}:{port}"), error);
    let addresses = lookup_host((host, port)).await.map_err(failed)?;
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in addresses {
        match bind(address) {
            Ok(listener) => return Ok(listener),
            Err(error) => last = error,
        }
    }
    Err(failed(last))
}

/// The address is reusable, so that a restart need not wait for connections that linger.
fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}
