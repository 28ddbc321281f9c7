//! Accepts network connections and serves HTTP on each.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use crate::http::{self, Ends};
use crate::hub::Peer;
use crate::shutdown::Signal;
use crate::state::State;
use crate::transport::session;

/// How long to wait when the system has no more file descriptors to give.
const PAUSE: Duration = Duration::from_millis(50);

/// The accepting side of one server.
pub(crate) struct Listener {
    state: Arc<State>,
    router: Router,
    socket: TcpListener,
    places: Arc<Semaphore>,
    protocol: http1::Builder,
}

impl Listener {
    pub(crate) fn new(state: Arc<State>, router: Router, socket: TcpListener) -> Self {
        let limits = &state.config.limits;
        let mut protocol = http1::Builder::new();
        protocol
            .timer(TokioTimer::new())
            .header_read_timeout(limits.http_header_timeout.duration())
            .max_header_size(limits.max_header_size);
        let places = Arc::new(Semaphore::new(limits.max_connections.min(Semaphore::MAX_PERMITS)));
        Self { state, router, socket, places, protocol }
    }

    /// Accepts until it is dropped. A connection without a free place waits in the system's queue.
    pub(crate) async fn run(self) {
        loop {
            let Ok(place) = Arc::clone(&self.places).acquire_owned().await else { return };
            match self.socket.accept().await {
                Ok((stream, remote)) => self.serve(stream, remote, place),
                Err(error) => pause_after(&error).await,
            }
        }
    }

    fn serve(&self, stream: TcpStream, remote: SocketAddr, place: OwnedSemaphorePermit) {
        // small frames must leave at once: waiting to fill a packet would cost every call tens of milliseconds
        if stream.set_nodelay(true).is_err() {
            return;
        }
        let Ok(local) = stream.local_addr() else { return };
        let connection = Connection {
            state: Arc::clone(&self.state),
            router: self.router.clone(),
            ends: Ends { remote, local },
            signal: self.state.shutdown.for_requests(),
            _place: place,
        };
        tokio::spawn(connection.run(self.protocol.clone(), stream));
    }
}

/// A connection that the other side gave up before we took it is no reason to pause.
async fn pause_after(error: &io::Error) {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    if !matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted) {
        tracing::warn!(%error, "cannot accept a connection");
        tokio::time::sleep(PAUSE).await;
    }
}

/// What the requests of a connection say of it: one by which a client speaks or is spoken to lasts as long as
/// sessions do, and not only as long as requests.
#[derive(Debug, Default)]
pub(crate) struct Lasting {
    is_lasting: AtomicBool,
    changed: Notify,
    peer: OnceLock<Arc<Peer>>,
}

impl Lasting {
    /// A client speaks by this connection.
    pub(crate) fn lasts(&self) {
        if !self.is_lasting.swap(true, Ordering::Relaxed) {
            self.changed.notify_one();
        }
    }

    /// A client is spoken to by this connection, which ends when the client is to.
    pub(crate) fn carries(&self, peer: &Arc<Peer>) {
        _ = self.peer.set(Arc::clone(peer));
        self.changed.notify_one();
    }

    async fn changed(&self) {
        self.changed.notified().await;
    }

    async fn cut(&self) {
        match self.peer.get() {
            Some(peer) => session::cut(peer).await,
            None => std::future::pending().await,
        }
    }
}

struct Connection {
    state: Arc<State>,
    router: Router,
    ends: Ends,
    signal: Signal,
    /// Keeps the place until HTTP ends here; a websocket counts by the limits for clients.
    _place: OwnedSemaphorePermit,
}

impl Connection {
    async fn run(self, protocol: http1::Builder, stream: TcpStream) {
        let Self { state, router, ends, mut signal, _place } = self;
        let held = Arc::clone(&state);
        let _open = held.metrics.connections.hold();
        held.metrics.connections_total.increment();
        let lasting = Arc::new(Lasting::default());
        let service = service_fn(|request: hyper::Request<Incoming>| {
            let mut request: Request = request.map(Body::new);
            request.extensions_mut().insert(ends);
            if request.uri().path().ends_with("/rpc") {
                request.extensions_mut().insert(Arc::clone(&lasting));
            }
            let answer = http::answer(Arc::clone(&state), router.clone(), request);
            async { Ok::<_, std::convert::Infallible>(answer.await) }
        });
        let serving = protocol.serve_connection(TokioIo::new(stream), service).with_upgrades();
        let mut serving = pin!(serving);
        let ended = loop {
            tokio::select! {
                ended = serving.as_mut() => break ended,
                () = lasting.changed() => signal = held.shutdown.for_session(),
                () = lasting.cut() => return,
                () = signal.finish() => {
                    serving.as_mut().graceful_shutdown();
                    break tokio::select! {
                        ended = serving => ended,
                        () = lasting.cut() => return,
                        () = signal.abort() => return,
                    };
                }
            }
        };
        if let Err(error) = ended {
            tracing::debug!(remote = %ends.remote, %error, "connection ended");
        }
    }
}
