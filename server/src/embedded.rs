//! A server inside another program: on a thread of its own, driven by calls that block.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::thread::{Builder, JoinHandle};

use parking_lot::Mutex;
use polyfn_core::net::Connect;
use tokio::runtime::Handle;
use tokio::sync::watch;

use crate::config::{Config, Secret};
use crate::observer::Observer;
use crate::server::{Running, Server, StartError};
use crate::state::State;
use crate::transport::memory::InProcess;
use crate::{auth, runtime};

/// What an embedded server is started with.
#[derive(Default)]
pub struct Settings {
    /// The settings of the server itself. Without a root token it makes one.
    pub config: Config,
    /// Threads that serve; 0 for one per two processors.
    pub workers: usize,
    /// Is told of each HTTP request that was answered.
    pub observer: Option<Observer>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Wish {
    Run,
    Drain,
    Abort,
}

enum Stage {
    Running(JoinHandle<bool>),
    Stopped(bool),
}

/// A server on a thread of its own; [`Embedded::stop`] ends both. Dropped without that, it ends at once and nobody
/// waits for it.
///
/// # Examples
/// ```
/// use polyfn_server::{Config, Embedded, EmbeddedSettings};
/// let config = Config { port: 0, ..Config::default() };
/// let server = Embedded::start(EmbeddedSettings { config, workers: 1, observer: None })?;
/// assert!(server.url().starts_with("http://127.0.0.1:"));
/// assert!(server.stop());
/// # Ok::<(), polyfn_server::StartError>(())
/// ```
pub struct Embedded {
    state: Arc<State>,
    root_token: Secret,
    runtime: Handle,
    wish: watch::Sender<Wish>,
    stage: Mutex<Stage>,
}

impl fmt::Debug for Embedded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Embedded").field("url", &self.url()).finish_non_exhaustive()
    }
}

impl Embedded {
    /// Starts a server; it listens when this returns. Blocks for some milliseconds.
    ///
    /// # Errors
    /// When a setting cannot be used or the address is taken.
    pub fn start(mut settings: Settings) -> Result<Self, StartError> {
        let token = match settings.config.root_token.take() {
            Some(token) => token,
            None => random_token().map_err(StartError::Runtime)?,
        };
        settings.config.root_token = Some(token.clone());
        let (tell, told) = sync_channel(1);
        let (wish, wished) = watch::channel(Wish::Run);
        let thread = Builder::new().name("polyfn-server".to_owned()).spawn(move || {
            let workers = settings.workers;
            let runtime = match runtime::new(workers) {
                Ok(runtime) => runtime,
                Err(error) => {
                    _ = tell.send(Err(StartError::Runtime(error)));
                    return false;
                }
            };
            let handle = runtime.handle().clone();
            let ended = runtime.block_on(async move {
                match Server::start_observed(settings.config, settings.observer).await {
                    Ok(running) => {
                        // whoever does not wait for it any more has dropped the other end of `wished` as well
                        _ = tell.send(Ok((Arc::clone(running.state()), handle)));
                        serve(running, wished).await
                    }
                    Err(error) => {
                        _ = tell.send(Err(error));
                        false
                    }
                }
            });
            // what did not end in time must not keep the program
            runtime.shutdown_background();
            ended
        });
        let thread = thread.map_err(StartError::Runtime)?;
        let gone = || StartError::Runtime(io::Error::other("the thread of the server ended early"));
        let (state, runtime) = told.recv().map_err(|_| gone())??;
        Ok(Self { state, root_token: token, runtime, wish, stage: Mutex::new(Stage::Running(thread)) })
    }

    /// Its URL on this machine, with the base path.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.state.local_base_url
    }

    /// The token with which one may do everything.
    #[must_use]
    pub fn root_token(&self) -> &str {
        self.root_token.expose()
    }

    /// The way to this server that needs no socket: for [`polyfn_core::net::ClientOptions::connect`].
    #[must_use]
    pub fn connector(&self) -> Arc<dyn Connect> {
        Arc::new(InProcess::new(&self.state, self.runtime.clone()))
    }

    /// Stops as [`Running::stop`] does, and waits until the thread has ended. May be called more than once.
    ///
    /// Answers whether everything ended by itself within the time that the settings allow.
    pub fn stop(&self) -> bool {
        self.wish(Wish::Drain);
        let mut stage = self.stage.lock();
        let ended = match std::mem::replace(&mut *stage, Stage::Stopped(false)) {
            Stage::Running(thread) => thread.join().unwrap_or(false),
            Stage::Stopped(ended) => ended,
        };
        *stage = Stage::Stopped(ended);
        ended
    }

    /// Has it end at once, and does not wait for that; a [`Embedded::stop`] under way ends too.
    pub fn abort(&self) {
        self.wish(Wish::Abort);
    }

    fn wish(&self, wish: Wish) {
        self.wish.send_if_modified(|now| {
            let is_more = wish > *now;
            *now = wish.max(*now);
            is_more
        });
    }
}

/// So long that no word in it makes it guessable.
fn random_token() -> io::Result<Secret> {
    let half = || auth::token::random_secret().map_err(|error| io::Error::other(error.to_string()));
    Ok(Secret::from(format!("{}{}", half()?.expose(), half()?.expose())))
}

/// Serves until it is to end; whether everything ended by itself.
async fn serve(running: Running, mut wished: watch::Receiver<Wish>) -> bool {
    // an error means that the handle is gone, and nobody is left who could wish for anything
    _ = wished.wait_for(|wish| *wish >= Wish::Drain).await;
    let aborted = async {
        _ = wished.wait_for(|wish| *wish == Wish::Abort).await;
    };
    tokio::select! {
        ended = running.stop() => ended,
        () = aborted => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server() -> Embedded {
        let config = Config { port: 0, ..Config::default() };
        Embedded::start(Settings { config, workers: 1, observer: None }).unwrap()
    }

    #[test]
    fn it_stops_once_however_often_it_is_told() {
        let server = server();
        assert!(server.stop());
        assert!(server.stop());
        assert!(server.connector().is_over());
    }

    #[test]
    fn each_has_a_root_token_of_its_own() {
        let (one, two) = (server(), server());
        assert_ne!(one.root_token(), two.root_token());
        assert_ne!(one.url(), two.url());
    }

    #[test]
    fn an_aborted_one_is_not_waited_for() {
        let server = server();
        server.abort();
        server.stop();
    }

    #[test]
    fn a_taken_port_is_told() {
        let first = server();
        let port = first.url().rsplit(':').next().and_then(|port| port.parse().ok()).unwrap();
        let config = Config { port, ..Config::default() };
        let error = Embedded::start(Settings { config, ..Settings::default() }).unwrap_err();
        assert!(error.to_string().starts_with("cannot listen at 127.0.0.1:"), "{error}");
    }
}
