//! The overview as server-sent events: one at once, then one after each change, a second apart at least.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, State as Extract};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::Stream;
use futures_util::stream::unfold;
use polyfn_core::ErrorKind;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};

use super::overview;
use crate::auth::Ending;
use crate::http::caller::Caller;
use crate::http::problem::Problem;
use crate::shutdown::Signal;
use crate::state::State;

/// The least time between two events.
const APART: Duration = Duration::from_secs(1);
/// Silence after which a comment is written, so that proxies keep the connection; and loads are told anew.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// `GET /overview/events`.
pub(super) async fn of_server(
    Extract(state): Extract<Arc<State>>,
    caller: Caller,
    headers: HeaderMap,
) -> Response {
    open(state, &caller, headers, None)
}

/// `GET /{workspace}/overview/events`.
pub(super) async fn of_workspace(
    Extract(state): Extract<Arc<State>>,
    Path(name): Path<String>,
    caller: Caller,
    headers: HeaderMap,
) -> Response {
    open(state, &caller, headers, Some(name))
}

fn open(state: Arc<State>, caller: &Caller, headers: HeaderMap, name: Option<String>) -> Response {
    let max = state.config.limits.max_page_viewers;
    let viewing = Viewing::begin(&state);
    if state.metrics.page_viewers.get() > max as u64 {
        state.metrics.limited.note("max_page_viewers");
        let text = format!("{max} pages are shown already");
        return Problem::new(ErrorKind::Overloaded, text).into_response();
    }
    let watcher = Watcher {
        changes: state.hub.registry.changes(),
        signal: state.shutdown.for_requests(),
        ending: state.tokens.ending(&caller.user.credential),
        next: Instant::now(),
        last: None,
        _viewing: viewing,
        headers,
        name,
        state,
    };
    let kind = [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-store")];
    (kind, Body::from_stream(watcher.events())).into_response()
}

/// One page that is shown, until it is dropped.
struct Viewing(Arc<State>);

impl Viewing {
    fn begin(state: &Arc<State>) -> Self {
        state.metrics.page_viewers.increment();
        Self(Arc::clone(state))
    }
}

impl Drop for Viewing {
    fn drop(&mut self) {
        self.0.metrics.page_viewers.decrement();
    }
}

struct Watcher {
    state: Arc<State>,
    headers: HeaderMap,
    name: Option<String>,
    changes: watch::Receiver<u64>,
    signal: Signal,
    /// The end of the token of whoever looks.
    ending: Ending,
    /// When the next event may be sent.
    next: Instant,
    last: Option<String>,
    _viewing: Viewing,
}

impl Watcher {
    fn events(self) -> impl Stream<Item = Result<Bytes, Infallible>> {
        unfold(self, |mut watcher| async move {
            let (mut signal, mut ending) = (watcher.signal.clone(), std::mem::take(&mut watcher.ending));
            let event = tokio::select! {
                event = watcher.event() => event?,
                () = signal.finish() => return None,
                () = ending.revoked() => return None,
            };
            watcher.ending = ending;
            Some((Ok(event), watcher))
        })
    }

    /// The next event; `None` when the caller may not hear any more, its token having ended.
    async fn event(&mut self) -> Option<Bytes> {
        loop {
            if self.last.is_some() && !self.wait().await {
                // a load may have changed though nothing came or went
                let told = self.told().await?;
                return Some(self.written(told).unwrap_or_else(|| Bytes::from_static(b": still here\n\n")));
            }
            sleep_until(self.next).await;
            self.changes.mark_unchanged();
            self.next = Instant::now() + APART;
            let told = self.told().await?;
            if let Some(event) = self.written(told) {
                return Some(event);
            }
        }
    }

    /// Waits for a change in what is watched; says whether there was one in time.
    async fn wait(&mut self) -> bool {
        let version = self.version();
        let changed = async {
            while self.changes.changed().await.is_ok() {
                if self.name.is_none() || self.version() != version {
                    return;
                }
            }
            std::future::pending::<()>().await;
        };
        timeout(KEEP_ALIVE, changed).await.is_ok()
    }

    fn version(&self) -> Option<u64> {
        let name = self.name.as_deref()?;
        self.state.hub.registry.workspace(name).map(|workspace| workspace.version())
    }

    async fn told(&self) -> Option<String> {
        let told = overview::told(&self.state, &self.headers, self.name.as_deref()).await?;
        Some(told.to_string())
    }

    /// What differs from what was sent before.
    fn written(&mut self, told: String) -> Option<Bytes> {
        if self.last.as_ref() == Some(&told) {
            return None;
        }
        let event = Bytes::from(format!("data: {told}\n\n"));
        self.last = Some(told);
        Some(event)
    }
}
