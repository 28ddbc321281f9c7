//! What a session is told at its start.

use std::time::Duration;

use super::Extensions;
use super::sealer::Encryption;
use crate::schema::SchemaLimits;
use crate::wire::ChunkLimits;
use crate::{Error, ErrorKind, Result, Value};

/// Settings of a session, with defaults for all languages.
#[derive(Clone, Debug)]
pub struct Options {
    /// How long a call may take without a sign of life. Default 30 s.
    pub method_timeout: Duration,
    /// Messages above this many bytes (plus 1,024) travel in parts. Default 262,144, which every peer takes.
    pub chunk_size: usize,
    /// Parts of one message that may be under way at once, fewer where they only wait behind each other. Default 16.
    pub chunk_window: usize,
    /// Parts wait up to 2 ms for calls that are made again and again, and leave behind them; whoever drives the session has to
    /// keep its times, and to call [`Session::let_parts_follow`](super::Session::let_parts_follow). Default no.
    pub parts_take_turns: bool,
    /// Limits on messages that arrive in parts.
    pub chunks: ChunkLimits,
    /// Calls that may be under way at once. Default 65,536.
    pub max_calls: usize,
    /// Functions of peers that may run at once. Default 65,536.
    pub max_runs: usize,
    /// Those of one peer. Default 32,768.
    pub max_runs_per_peer: usize,
    /// Sessions that hold functions given away in results; each holds one at least. Default 262,144.
    pub max_kept: usize,
    /// Generators of peers that may be read at once. Default 1,024.
    pub max_streams: usize,
    /// Functions that peers may call because they were given to them, in arguments, results and interfaces.
    /// Default 262,144.
    pub max_functions: usize,
    /// Those of one peer. Default 65,536.
    pub max_functions_per_peer: usize,
    /// Items of one generator of a peer that may be under way or wait to be used. Default 1,024.
    pub stream_window: u32,
    /// The same in bytes; one item may be longer. Default 4 MiB.
    pub stream_window_bytes: usize,
    /// Bytes of items of all generators of peers together, beside what each needs to go on. Default 64 MiB.
    pub stream_buffer: usize,
    /// How long a function given away in a result stays without being called. Default 10 minutes.
    pub keep: Duration,
    /// Limits on schemas against which arguments are checked.
    pub schemas: SchemaLimits,
    /// How long a call of a function of an interface (`_rintf`) may take without a sign of life. Default 10 s.
    pub rintf_timeout: Duration,
    /// Encryption from end to end. Default: none.
    pub encryption: Option<Encryption>,
    /// Bytes waiting to be sent above which callers are slowed. Default 64 MiB.
    pub send_buffer: usize,
    /// Bytes of large memory that this process keeps for its next long message, for 10 seconds; of several connections
    /// the largest counts. Only where it asks for [large pages](crate::memory::advise_with). Default 256 MiB.
    pub memory_kept: usize,
    /// The application that services belong to. Default `*`.
    pub app_id: String,
    /// Seed of the ids of calls; the driver draws it from the system.
    pub seed: u64,
    /// Named in the context of calls. Default `websocket`.
    pub connection_type: String,
    /// Extensions of the protocol to offer; those that the server does not know are not used. Default: all.
    pub extensions: Extensions,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            method_timeout: Duration::from_secs(30),
            chunk_size: 262_144,
            chunk_window: 16,
            parts_take_turns: false,
            chunks: ChunkLimits::default(),
            max_calls: 65_536,
            max_runs: 65_536,
            max_runs_per_peer: 32_768,
            max_kept: 262_144,
            max_streams: 1024,
            max_functions: 262_144,
            max_functions_per_peer: 65_536,
            stream_window: 1024,
            stream_window_bytes: 4 << 20,
            stream_buffer: 64 << 20,
            keep: Duration::from_secs(600),
            schemas: SchemaLimits::default(),
            rintf_timeout: Duration::from_secs(10),
            encryption: None,
            send_buffer: 64 << 20,
            memory_kept: 256 << 20,
            app_id: "*".to_owned(),
            seed: 0,
            connection_type: "websocket".to_owned(),
            extensions: Extensions::ALL,
        }
    }
}

type Limit = (&'static str, fn(&mut Options) -> &mut usize);

/// The limits that users of all languages may set, by name.
const LIMITS: [Limit; 11] = [
    ("max_calls", |options| &mut options.max_calls),
    ("max_functions", |options| &mut options.max_functions),
    ("max_functions_per_peer", |options| &mut options.max_functions_per_peer),
    ("max_kept", |options| &mut options.max_kept),
    ("max_runs", |options| &mut options.max_runs),
    ("max_runs_per_peer", |options| &mut options.max_runs_per_peer),
    ("max_streams", |options| &mut options.max_streams),
    ("memory_kept", |options| &mut options.memory_kept),
    ("send_buffer", |options| &mut options.send_buffer),
    ("stream_buffer", |options| &mut options.stream_buffer),
    ("stream_window_bytes", |options| &mut options.stream_window_bytes),
];
/// The one that travels as 32 bits.
const STREAM_WINDOW: &str = "stream_window";

impl Options {
    /// The names that [`Options::set_limit`] takes.
    ///
    /// ```
    /// assert!(polyfn_core::session::Options::limits().any(|name| name == "stream_window"));
    /// ```
    pub fn limits() -> impl Iterator<Item = &'static str> {
        LIMITS.iter().map(|(name, _)| *name).chain([STREAM_WINDOW])
    }

    /// Sets the limit of that name: a number of things or of bytes, from 1 on.
    ///
    /// # Errors
    /// `invalid` for a name that is none, for zero, and for what is too large.
    ///
    /// ```
    /// let mut options = polyfn_core::session::Options::default();
    /// options.set_limit("max_streams", 8)?;
    /// assert_eq!(options.max_streams, 8);
    /// assert!(options.set_limit("max_streams", 0).is_err());
    /// # Ok::<(), polyfn_core::Error>(())
    /// ```
    pub fn set_limit(&mut self, name: &str, value: u64) -> Result<()> {
        let bad = || Error::invalid(format!("{name} must be a whole number from 1 on, not {value}"));
        if value == 0 {
            return Err(bad());
        }
        if name == STREAM_WINDOW {
            self.stream_window = u32::try_from(value).map_err(|_| bad())?;
            return Ok(());
        }
        let Some((_, place)) = LIMITS.iter().find(|(known, _)| *known == name) else {
            return Err(Error::invalid(format!("there is no limit `{name}`")));
        };
        *place(self) = usize::try_from(value).map_err(|_| bad())?;
        Ok(())
    }
}

/// What the server says of a connection that it accepted (protocol section 3.4).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ConnectionInfo {
    /// The workspace that was joined.
    pub workspace: String,
    /// The client's id in it.
    pub client_id: String,
    /// The manager's client id; its address is `*/<manager_id>`.
    pub manager_id: String,
    /// The server's URL as others see it.
    pub public_base_url: String,
    /// Lets the client come back under the same name.
    pub reconnection_token: Option<String>,
    /// How long that token lives.
    pub token_life_time: Option<Duration>,
    /// The way by which the server was reached; empty for what [`Options`] says.
    pub connection_type: String,
    /// Extensions of the protocol that the server knows as well.
    pub extensions: Extensions,
    /// The whole message, for the user to look at.
    pub raw: Value,
}

impl ConnectionInfo {
    /// Reads the server's answer to the handshake.
    ///
    /// # Errors
    /// `invalid` when it is not JSON or lacks what a client needs; when the server refused, the kind that it tells, with
    /// its own words: `overloaded` and `conflict` may pass.
    pub fn from_json(text: &str) -> Result<Self> {
        let json: serde_json::Value = serde_json::from_str(text)
            .map_err(|error| Error::invalid(format!("the server's first message is not JSON: {error}")))?;
        let raw = Value::from(json);
        let map =
            raw.as_map().ok_or_else(|| Error::invalid("the server's first message is not an object"))?;
        match map.text("type") {
            Some("connection_info") => {}
            Some("error") => {
                let message = map.text("message").unwrap_or("no reason given");
                let kind = map.text("code").and_then(|code| code.parse().ok());
                return Err(Error::new(kind.unwrap_or_else(|| refused_by_text(message)), message));
            }
            other => return Err(Error::invalid(format!("expected `connection_info`, found {other:?}"))),
        }
        let need = |key: &str| {
            map.text(key)
                .map(str::to_owned)
                .ok_or_else(|| Error::invalid(format!("the server did not say `{key}`")))
        };
        Ok(Self {
            workspace: need("workspace")?,
            client_id: map.text("client_id").unwrap_or_default().to_owned(),
            manager_id: need("manager_id")?,
            public_base_url: map.text("public_base_url").unwrap_or_default().to_owned(),
            reconnection_token: map.text("reconnection_token").map(str::to_owned),
            token_life_time: map
                .get("reconnection_token_life_time")
                .and_then(Value::as_float)
                .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
                .filter(|life_time| !life_time.is_zero()),
            connection_type: String::new(),
            extensions: map.get("extensions").and_then(Value::as_list).map_or(Extensions::NONE, |names| {
                Extensions::from_names(names.iter().filter_map(Value::as_text))
            }),
            raw,
        })
    }
}

/// What a refusal without a code means: the reference server tells the text alone.
fn refused_by_text(message: &str) -> ErrorKind {
    if message.contains("already exists and is active") {
        ErrorKind::Conflict
    } else if message.contains("Server busy") || message.contains("shutting down") {
        ErrorKind::Overloaded
    } else {
        ErrorKind::PermissionDenied
    }
}
