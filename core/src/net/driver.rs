//! Drives a session: connects, reads, writes, watches the clock, connects again.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::{FutureExt, SinkExt, StreamExt};
use tokio::time::{Instant, sleep_until, timeout};

use super::clock;
use super::connection::Shared;
use super::options::ClientOptions;
use super::transport::{Connect, Message, Transport};
use crate::session::{ConnectionInfo, Session};
use crate::{Error, ErrorKind, Result};

/// Messages taken from the socket before the language is told of them.
const READ_BATCH: usize = 256;
/// Bytes handed to the socket before it is flushed.
const WRITE_BATCH: usize = 1 << 20;
/// Bytes of a frame that is handed over as the last one.
const LONG: usize = 64 << 10;
/// A connection that ends sooner than this counts as a failed attempt.
const SETTLED: Duration = Duration::from_secs(5);

pub(super) struct Driver {
    shared: Arc<Shared>,
    options: ClientOptions,
    connector: Arc<dyn Connect>,
    client_id: String,
    workspace: Option<String>,
    reconnection: Option<String>,
    random: fastrand::Rng,
}

/// Why there is no connection.
enum Failed {
    /// It was opened, and nothing came of it.
    Mute(Error),
    /// It could not be opened, or the server said why not.
    Said(Error),
}

impl Failed {
    fn into_error(self) -> Error {
        match self {
            Self::Mute(error) | Self::Said(error) => error,
        }
    }
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self::Said(error)
    }
}

/// A seed that differs between processes and connections.
pub(super) fn random_seed() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    std::collections::hash_map::RandomState::new().build_hasher().finish() | 1
}

impl Driver {
    pub(super) fn new(shared: Arc<Shared>, options: ClientOptions, connector: Arc<dyn Connect>) -> Self {
        let mut random = fastrand::Rng::with_seed(random_seed());
        let client_id = options
            .client_id
            .clone()
            .unwrap_or_else(|| std::iter::repeat_with(|| random.alphanumeric()).take(22).collect());
        let reconnection = options.reconnection_token.clone();
        Self { shared, options, connector, client_id, workspace: None, reconnection, random }
    }

    /// Runs until the connection is closed or cannot be had.
    pub(super) async fn run(mut self) {
        let shared = self.shared.clone();
        let error = tokio::select! {
            error = self.run_until_closed() => error,
            error = keep_time(&shared) => error,
        };
        if !self.shared.is_abandoned.load(Ordering::Acquire) {
            self.shared.with(|session, now| session.close(&error, now));
        }
    }

    async fn run_until_closed(&mut self) -> Error {
        let shared = self.shared.clone();
        let mut attempt = 0;
        let mut was_connected = false;
        loop {
            if self.shared.is_closing.load(Ordering::Acquire) {
                return closed_by_us();
            }
            let joined = tokio::select! {
                biased;
                () = closed(&shared) => return closed_by_us(),
                joined = self.join() => joined,
            };
            match joined {
                Ok((transport, info)) => {
                    let since = Instant::now();
                    self.workspace = Some(info.workspace.clone());
                    let refreshes = refreshes(&self.options, &info);
                    self.shared.with(|session, now| session.connected(info, now));
                    was_connected = true;
                    let end = self.serve(transport, refreshes).await;
                    let Err(reason) = end else { return closed_by_us() };
                    self.shared.with(|session, now| {
                        session.listen(true, now);
                        session.disconnected(reason.message());
                    });
                    attempt = if since.elapsed() < SETTLED { attempt + 1 } else { 0 };
                    if !self.options.reconnect || self.connector.is_over() {
                        return reason;
                    }
                }
                Err(error) if !was_connected || self.connector.is_over() || !self.may_retry(&error) => {
                    return error;
                }
                Err(error) => {
                    tracing::debug!(%error, attempt, "cannot connect yet");
                    attempt += 1;
                }
            }
            let wait = self.options.backoff.wait(attempt, self.random.f64());
            tokio::select! {
                () = closed(&shared) => return closed_by_us(),
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Whether a refused reconnect is worth another try.
    fn may_retry(&mut self, error: &Error) -> bool {
        if error.kind() != ErrorKind::PermissionDenied {
            return true;
        }
        // The reconnection token may have run out; the token that we began with may still be good.
        self.options.token.is_some() && self.reconnection.take().is_some()
    }

    /// Opens a transport and does the handshake; where there is another way, it gets half of the time.
    async fn join(&mut self) -> Result<(Transport, ConnectionInfo)> {
        let limit = self.options.connect_timeout;
        let has_other = self.connector.has_other_way();
        let first = if has_other { limit / 2 } else { limit };
        match self.join_within(first).await {
            Err(Failed::Mute(error)) if has_other => {
                tracing::info!(%error, "nothing comes this way: trying another");
                self.connector.take_other_way();
                self.join_within(limit - first).await.map_err(Failed::into_error)
            }
            joined => joined.map_err(Failed::into_error),
        }
    }

    async fn join_within(&mut self, limit: Duration) -> Result<(Transport, ConnectionInfo), Failed> {
        timeout(limit, self.handshake()).await.unwrap_or_else(|_| {
            Err(Failed::Mute(Error::new(
                ErrorKind::Timeout,
                format!(
                    "the server at {} did not answer within {} s",
                    self.options.server_url,
                    limit.as_secs_f64()
                ),
            )))
        })
    }

    async fn handshake(&mut self) -> Result<(Transport, ConnectionInfo), Failed> {
        let mut transport = self.connector.connect().await?;
        let hello =
            self.options.handshake(&self.client_id, self.workspace.as_deref(), self.reconnection.as_deref());
        transport.outgoing.send(Message::Text(hello)).await.map_err(Failed::Mute)?;
        loop {
            match transport.incoming.next().await {
                Some(Ok(Message::Text(text))) => {
                    let mut info = ConnectionInfo::from_json(&text)?;
                    if info.client_id.is_empty() {
                        info.client_id.clone_from(&self.client_id);
                    }
                    info.connection_type = transport.connection_type.to_owned();
                    self.check_workspace(&info)?;
                    self.reconnection = info.reconnection_token.clone().or(self.reconnection.take());
                    return Ok((transport, info));
                }
                // A server may attach the route before it says so: what comes early is for the connection before.
                Some(Ok(Message::Binary(_))) => {}
                Some(Ok(Message::Close(reason))) => {
                    let text = format!("the server closed the connection: {reason}");
                    return Err(Error::new(ErrorKind::PeerGone, text).into());
                }
                Some(Err(error)) => return Err(Failed::Mute(error)),
                None => {
                    let text = "the connection ended during the handshake";
                    return Err(Failed::Mute(Error::new(ErrorKind::PeerGone, text)));
                }
            }
        }
    }

    fn check_workspace(&self, info: &ConnectionInfo) -> Result<()> {
        match self.workspace.as_ref().or(self.options.workspace.as_ref()) {
            Some(asked) if *asked != info.workspace => Err(Error::new(
                ErrorKind::PermissionDenied,
                format!("asked for workspace {asked}, the server gave {}", info.workspace),
            )),
            _ => Ok(()),
        }
    }

    /// Serves an open connection; `Ok` when it was closed by us, else why it ended.
    async fn serve(&mut self, transport: Transport, refreshes: Duration) -> Result<()> {
        let shared = self.shared.clone();
        let Transport { mut incoming, mut outgoing, direct, .. } = transport;
        *shared.direct.lock() = direct;
        let heard = parking_lot::Mutex::new(Instant::now());
        let control = tokio::sync::Notify::new();
        let fresh = parking_lot::Mutex::new(None);
        let pings = parking_lot::Mutex::new(Vec::new());
        let end = {
            let reader = read(&self.shared, &mut incoming, &heard, &fresh);
            let writer = write(&self.shared, &mut outgoing, &control, &pings);
            let clock = watch(&self.options, refreshes, &heard, &control, &pings);
            tokio::select! {
                biased;
                () = closed(&shared) => Ok(()),
                error = reader => Err(error),
                error = writer => Err(error),
                error = clock => Err(error),
            }
        };
        *shared.direct.lock() = None;
        shared.is_writing.store(false, Ordering::Relaxed);
        if let Some(token) = fresh.into_inner() {
            self.reconnection = Some(token);
        }
        if end.is_ok() && !self.shared.is_abandoned.load(Ordering::Acquire) {
            self.say_goodbye(&mut incoming, &mut outgoing).await;
        }
        end
    }

    /// Sends what still waits, and the close frame; the other side has a second to answer.
    async fn say_goodbye(
        &self,
        incoming: &mut (impl futures_util::Stream<Item = Result<Message>> + Unpin),
        outgoing: &mut (impl futures_util::Sink<Message, Error = Error> + Unpin),
    ) {
        let farewell = async {
            loop {
                let next = self.shared.session.lock().poll_send();
                let Some(next) = next else { break };
                outgoing.feed(Message::Binary(next.frame)).await?;
            }
            outgoing.send(Message::Close(String::new())).await?;
            while let Some(Ok(message)) = incoming.next().await {
                if matches!(message, Message::Close(_)) {
                    break;
                }
            }
            Ok::<_, Error>(())
        };
        let _ = timeout(Duration::from_secs(1), farewell).await;
    }
}

/// Waits for the user to close the connection.
async fn closed(shared: &Shared) {
    while !shared.is_closing.load(Ordering::Acquire) {
        shared.closing.notified().await;
    }
}

fn closed_by_us() -> Error {
    Error::new(ErrorKind::PeerGone, "the connection was closed by this client")
}

/// Reads frames and tells the language of what they meant, a batch at a time.
async fn read(
    shared: &Shared,
    incoming: &mut (impl futures_util::Stream<Item = Result<Message>> + Unpin),
    heard: &parking_lot::Mutex<Instant>,
    fresh: &parking_lot::Mutex<Option<String>>,
) -> Error {
    let ended = || Error::new(ErrorKind::PeerGone, "the connection ended");
    let mut batch = Vec::with_capacity(READ_BATCH);
    loop {
        let mut next = incoming.next().await;
        *heard.lock() = Instant::now();
        let mut end = None;
        loop {
            match next {
                Some(Ok(Message::Binary(frame))) => batch.push(frame),
                Some(Ok(Message::Text(text))) => take_control(&text, fresh),
                Some(Ok(Message::Close(reason))) => end = Some(Error::new(ErrorKind::PeerGone, reason)),
                Some(Err(error)) => end = Some(error),
                None => end = Some(ended()),
            }
            // Before the next one is taken: a message taken and not kept would be lost.
            if end.is_some() || batch.len() >= READ_BATCH {
                break;
            }
            match incoming.next().now_or_never() {
                Some(more) => next = more,
                None => break,
            }
        }
        let is_lost = shared.with(|session, now| {
            for frame in batch.drain(..) {
                if let Err(error) = session.receive(&frame, now) {
                    tracing::debug!(%error, bytes = frame.len(), "a frame was dropped");
                }
            }
            session.is_lost()
        });
        if is_lost {
            return Error::new(ErrorKind::PeerGone, "the server has lost this connection");
        }
        if let Some(end) = end {
            return end;
        }
        if shared.sink.is_full() {
            wait_for_room(shared, heard).await;
        }
    }
}

/// Waits until the language has room. We do not listen meanwhile, so nobody can be blamed for silence.
async fn wait_for_room(shared: &Shared, heard: &parking_lot::Mutex<Instant>) {
    shared.with(|session, now| session.listen(false, now));
    while shared.sink.is_full() {
        let _ = timeout(Duration::from_secs(1), shared.resumed.notified()).await;
        *heard.lock() = Instant::now();
    }
    shared.with(|session, now| session.listen(true, now));
}

/// A control message of the server; everything but a fresh token is only for the log.
fn take_control(text: &str, fresh: &parking_lot::Mutex<Option<String>>) {
    let Ok(message) = serde_json::from_str::<serde_json::Value>(text) else { return };
    match message["type"].as_str() {
        Some("reconnection_token") => {
            if let Some(token) = message["reconnection_token"].as_str() {
                *fresh.lock() = Some(token.to_owned());
            }
        }
        Some("error") => tracing::warn!(message = message["message"].as_str(), "the server reports an error"),
        _ => {}
    }
}

/// Writes frames; those that wait together leave in one flush.
async fn write(
    shared: &Shared,
    outgoing: &mut (impl futures_util::Sink<Message, Error = Error> + Unpin),
    control: &tokio::sync::Notify,
    pings: &parking_lot::Mutex<Vec<String>>,
) -> Error {
    let mut frames = Vec::new();
    loop {
        let has_events;
        {
            let mut session = shared.session.lock();
            frames.extend(pings.lock().drain(..).map(Message::Text));
            let mut bytes = 0;
            while bytes < WRITE_BATCH
                && let Some(next) = session.poll_send()
            {
                // Behind a long one we look again: what is short and has come meanwhile is to pass the next.
                bytes += if next.frame.len() > LONG { WRITE_BATCH } else { next.frame.len() };
                frames.push(Message::Binary(next.frame));
            }
            shared.is_writing.store(!frames.is_empty(), Ordering::Relaxed);
            // What leaves may make room for generators that waited for it.
            has_events = session.has_events();
        }
        if has_events {
            shared.with(|_, _| ());
        }
        if frames.is_empty() && !has_unsent(shared) {
            tokio::select! {
                () = shared.wake.notified() => {}
                () = control.notified() => {}
            }
            continue;
        }
        for frame in frames.drain(..) {
            if let Err(error) = outgoing.feed(frame).await {
                return error;
            }
        }
        if let Err(error) = outgoing.flush().await {
            return error;
        }
    }
}

/// Lets time pass in the session, connected or not: deadlines hold while the connection is away.
async fn keep_time(shared: &Shared) -> Error {
    /// Nothing is due: look again after this, or when something becomes due.
    const IDLE: Duration = Duration::from_secs(3600);
    loop {
        let at = {
            // Under the session's lock, so that no call can slip in between the look and the note.
            let session = shared.session.lock();
            let at = session.next_tick().unwrap_or_else(|| clock::now() + IDLE);
            *shared.alarm.lock() = at;
            at
        };
        tokio::select! {
            () = sleep_until(Instant::from_std(clock::instant(at))) => {
                shared.with(Session::tick);
            }
            () = shared.sooner.notified() => {}
        }
    }
}

/// Whether a frame that was sent past the driver has not left as a whole.
fn has_unsent(shared: &Shared) -> bool {
    shared.direct.lock().as_ref().is_some_and(|direct| direct.has_unsent())
}

/// How often to fetch a fresh token: in time before one has run out (protocol section 5.1).
fn refreshes(options: &ClientOptions, info: &ConnectionInfo) -> Duration {
    /// However short it lives, as nobody is to be asked without a pause.
    const SOONEST: Duration = Duration::from_secs(1);
    let in_time = info.token_life_time.map_or(Duration::MAX, |life_time| (life_time / 3 * 2).max(SOONEST));
    options.token_refresh_interval.min(in_time)
}

/// Asks whether the server is there, and fetches fresh tokens.
async fn watch(
    options: &ClientOptions,
    refreshes: Duration,
    heard: &parking_lot::Mutex<Instant>,
    control: &tokio::sync::Notify,
    pings: &parking_lot::Mutex<Vec<String>>,
) -> Error {
    let mut next_ping = Instant::now() + options.ping_interval;
    let mut next_refresh = (!refreshes.is_zero()).then(|| Instant::now() + refreshes);
    loop {
        sleep_until(next_refresh.map_or(next_ping, |at| at.min(next_ping))).await;
        let now = Instant::now();
        if now >= next_ping {
            let silent = now - *heard.lock();
            if silent > options.ping_interval + options.ping_timeout {
                return Error::new(
                    ErrorKind::PeerGone,
                    format!("the server was silent for {} s", silent.as_secs()),
                );
            }
            next_ping = now + options.ping_interval;
            pings.lock().push(r#"{"type":"ping"}"#.to_owned());
        }
        if next_refresh.is_some_and(|at| now >= at) {
            next_refresh = Some(now + refreshes);
            pings.lock().push(r#"{"type":"refresh_token"}"#.to_owned());
        }
        control.notify_one();
    }
}

#[cfg(test)]
mod tests;
