//! The open streams, and the proof that a request comes from the client whose stream it is.
//!
//! Whoever knows the address of a client could send a request in its name, so each one carries a proof: the token of
//! the client's user, or the secret of the stream. We tell our own clients the secret in `connection_info`; others get
//! it as a cookie, which Python's HTTP library and browsers send back by themselves. Strangers who keep no cookies have
//! nothing to show: they are known by a workspace that cannot be guessed, by the address and by the web origin that
//! their stream came from; and as soon as a stream has shown its secret once, nothing less is taken.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::http::{HeaderMap, HeaderValue, header};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use parking_lot::Mutex;
use polyfn_core::ErrorKind;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tokio::sync::Semaphore;

use crate::auth::{Tokens, identify};
use crate::clock;
use crate::http::Problem;
use crate::hub::Peer;
use crate::pace::Pace;
use crate::state::State;
use crate::transport::stream::SECRET;

/// Bytes that one permit of [`Stream::room`] stands for.
const PERMIT: usize = 1 << 10;

/// Streams by the address of their client.
#[derive(Debug, Default)]
pub struct Streams(Mutex<HashMap<String, Arc<Stream>>>);

impl Streams {
    /// The stream of the client at `address`, unless it is ending.
    pub(super) fn find(&self, address: &str) -> Option<Arc<Stream>> {
        let found = self.0.lock().get(address).cloned();
        found.filter(|stream| !stream.peer.queue.is_closed())
    }

    pub(super) fn put(&self, stream: &Arc<Stream>) {
        self.0.lock().insert(stream.peer.address().to_owned(), Arc::clone(stream));
    }

    /// Forgets a stream that has ended, and not the one that took its place.
    pub(super) fn remove(&self, stream: &Arc<Stream>) {
        let mut streams = self.0.lock();
        if streams.get(stream.peer.address()).is_some_and(|known| Arc::ptr_eq(known, stream)) {
            streams.remove(stream.peer.address());
        }
    }
}

/// One open stream, as those see it who send requests in its name.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) peer: Arc<Peer>,
    pub(super) secret: Secret,
    /// Where the stream was asked for.
    from: Source,
    /// Nothing less than a token or the secret is taken.
    strict: AtomicBool,
    /// Room for the bodies of requests under way, in kibibytes.
    pub(super) room: Arc<Semaphore>,
    room_max: usize,
    /// Requests are worked off one after the other, as frames of a websocket are.
    pub(super) line: tokio::sync::Mutex<Line>,
}

/// How far the requests of one stream have come.
#[derive(Debug)]
pub(super) struct Line {
    /// The number of the last one that was worked off; 0 before the first.
    pub(super) last: u64,
    /// What its frames are charged to.
    pub(super) pace: Pace,
}

/// The place that a request comes from, as far as can be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Source {
    address: Option<IpAddr>,
    origin: Option<HeaderValue>,
}

impl Source {
    pub(super) fn of(headers: &HeaderMap, address: Option<IpAddr>) -> Self {
        Self { address, origin: headers.get(header::ORIGIN).cloned() }
    }
}

/// What a client got with its stream and nobody else knows.
#[derive(Debug)]
pub(super) struct Secret {
    text: String,
    /// Under which name it is kept as a cookie: that of the client, since several may live in one browser.
    cookie: String,
}

impl Secret {
    /// A fresh one for the client at `address`.
    pub(super) fn new(address: &str) -> Result<Self, getrandom::Error> {
        let mut random = [0; 32];
        getrandom::fill(&mut random)?;
        let name = Sha256::digest(address.as_bytes());
        let cookie = format!("polyfn_stream_{}", URL_SAFE_NO_PAD.encode(&name[..12]));
        Ok(Self { text: URL_SAFE_NO_PAD.encode(random), cookie })
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// The line that hands it over as a cookie.
    pub(super) fn set_cookie(&self, base_path: &str, secure: bool) -> String {
        let secure = if secure { "; Secure" } else { "" };
        format!("{}={}; Path={base_path}/rpc; HttpOnly; SameSite=Strict{secure}", self.cookie, self.text)
    }

    /// What a request shows as the secret, right or wrong.
    fn shown<'a>(&self, headers: &'a HeaderMap) -> Option<&'a str> {
        if let Some(shown) = headers.get(SECRET) {
            return shown.to_str().ok();
        }
        let lines = headers.get_all(header::COOKIE).into_iter().filter_map(|line| line.to_str().ok());
        let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
        pairs.find(|(name, _)| *name == self.cookie).map(|(_, shown)| shown)
    }

    fn is_in(&self, headers: &HeaderMap) -> bool {
        self.shown(headers).is_some_and(|shown| bool::from(shown.as_bytes().ct_eq(self.text.as_bytes())))
    }
}

impl Stream {
    /// A stream that was asked for with `headers`; `must` says that its client has to show something from the start.
    pub(super) fn new(
        peer: Arc<Peer>,
        secret: Secret,
        headers: &HeaderMap,
        from: Source,
        must: bool,
        state: &State,
    ) -> Self {
        let limits = &state.config.limits;
        // who has a cookie of an earlier stream keeps cookies
        let strict = must || !peer.user.is_anonymous || secret.shown(headers).is_some();
        let room_max = limits.max_queued_bytes.max(limits.max_post_size).div_ceil(PERMIT).max(1);
        let room_max = room_max.min(u32::MAX as usize);
        let pace = state.pace_of(&peer);
        Self {
            peer,
            secret,
            from,
            strict: AtomicBool::new(strict),
            room: Arc::new(Semaphore::new(room_max)),
            room_max,
            line: tokio::sync::Mutex::new(Line { last: 0, pace }),
        }
    }

    /// Permits for a body of `bytes`.
    pub(super) fn permits(&self, bytes: usize) -> u32 {
        u32::try_from(bytes.div_ceil(PERMIT).clamp(1, self.room_max)).unwrap_or(u32::MAX)
    }

    /// Checks that a request with `headers` comes from the client of this stream.
    ///
    /// # Errors
    /// 401 when it cannot show that, 403 when it shows to be somebody else.
    pub(super) fn check(&self, headers: &HeaderMap, from: &Source, tokens: &Tokens) -> Result<(), Problem> {
        if self.secret.is_in(headers) {
            self.strict.store(true, Ordering::Relaxed);
            return Ok(());
        }
        let token =
            identify::credentials(headers).map_err(|error| Problem::unauthorized(error.to_string()))?;
        if let Some(token) = token {
            return self.check_token(&token, tokens);
        }
        if !self.strict.load(Ordering::Relaxed) && *from == self.from {
            return Ok(());
        }
        let text = "a request of a client with a stream needs the client's token or the secret of its stream";
        Err(Problem::unauthorized(text))
    }

    /// The token must be one with which this client could have come: of the same user, with no less right, and not
    /// bound to another client or workspace.
    fn check_token(&self, token: &str, tokens: &Tokens) -> Result<(), Problem> {
        let user = tokens.bearer(token, clock::now());
        let user = user.map_err(|error| Problem::unauthorized(error.to_string()))?;
        let peer = &self.peer;
        let fits = user.id == peer.user.id
            && user.scope.special().is_empty()
            && user.scope.client_id.as_deref().is_none_or(|client| client == peer.client_id)
            && user.current_workspace.as_deref().is_none_or(|workspace| workspace == peer.workspace())
            && user.permission(peer.workspace()) >= peer.permission;
        if fits {
            return Ok(());
        }
        let text = format!("this token does not belong to the client {}", peer.address());
        Err(Problem::new(ErrorKind::PermissionDenied, text))
    }
}
