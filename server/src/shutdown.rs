//! Stopping in order: first the HTTP requests under way, then the sessions that may be answering them.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

/// The part of the time to stop that is kept for the sessions, at most.
const KEPT_FOR_SESSIONS: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    #[default]
    Open,
    /// Finish, then end.
    Finish,
    /// End at once.
    Abort,
}

/// Tells connections that the server stops, and waits for them.
#[derive(Debug, Default)]
pub struct Shutdown {
    requests: watch::Sender<Phase>,
    sessions: watch::Sender<Phase>,
}

/// Held by a connection as long as it is open; the server waits until it is dropped.
#[derive(Clone, Debug)]
pub struct Signal(watch::Receiver<Phase>);

impl Shutdown {
    /// For a connection that carries HTTP requests: told as soon as stopping begins.
    #[must_use]
    pub fn for_requests(&self) -> Signal {
        Signal(self.requests.subscribe())
    }

    /// For a connected client: told when the HTTP requests, which it may be serving, are done.
    #[must_use]
    pub fn for_session(&self) -> Signal {
        Signal(self.sessions.subscribe())
    }

    /// Whether stopping has begun: nothing new is to be accepted.
    #[must_use]
    pub fn begun(&self) -> bool {
        *self.requests.borrow() > Phase::Open
    }

    /// Stops: tells the requests, waits, tells the sessions, waits; after `limit` all are told to end at once.
    ///
    /// Answers whether everything ended by itself.
    pub async fn run(&self, limit: Duration) -> bool {
        let end = Instant::now() + limit;
        let requests_end = end - KEPT_FOR_SESSIONS.min(limit / 4);
        let requests = finish(&self.requests, requests_end).await;
        let sessions = finish(&self.sessions, end).await;
        requests && sessions
    }
}

async fn finish(group: &watch::Sender<Phase>, end: Instant) -> bool {
    group.send_replace(Phase::Finish);
    let ended = timeout_at(end, group.closed()).await.is_ok();
    group.send_replace(Phase::Abort);
    ended
}

impl Signal {
    /// Waits until this connection is to finish what it does and end.
    ///
    /// # Cancel safety
    /// Safe to use in `select!`.
    pub async fn finish(&mut self) {
        self.reached(Phase::Finish).await;
    }

    /// Waits until this connection is to end at once.
    ///
    /// # Cancel safety
    /// Safe to use in `select!`.
    pub async fn abort(&mut self) {
        self.reached(Phase::Abort).await;
    }

    /// A server that is dropped without stopping has aborted too.
    async fn reached(&mut self, phase: Phase) {
        _ = self.0.wait_for(|now| *now >= phase).await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn sessions_end_after_requests() {
        let shutdown = Arc::new(Shutdown::default());
        let (mut request, mut session) = (shutdown.for_requests(), shutdown.for_session());
        let stopping = tokio::spawn({
            let shutdown = shutdown.clone();
            async move { shutdown.run(Duration::from_secs(10)).await }
        });
        request.finish().await;
        assert!(shutdown.begun());
        assert_eq!(*session.0.borrow(), Phase::Open);
        drop(request);
        session.finish().await;
        drop(session);
        assert!(stopping.await.unwrap());
    }

    #[tokio::test(start_paused = true)]
    async fn what_does_not_end_is_aborted() {
        let shutdown = Shutdown::default();
        let (mut request, mut session) = (shutdown.for_requests(), shutdown.for_session());
        assert!(!shutdown.run(Duration::from_secs(10)).await);
        request.abort().await;
        session.abort().await;
    }

    #[tokio::test]
    async fn an_idle_server_stops_at_once() {
        assert!(Shutdown::default().run(Duration::ZERO).await);
    }
}
