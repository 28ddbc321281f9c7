//! Every limit of the server: one name, one documented default, one flag, one environment variable.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A span of time that users write in seconds, fractions included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seconds(Duration);

impl Seconds {
    /// So many whole seconds.
    #[must_use]
    pub const fn new(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// The same as a `Duration`.
    #[must_use]
    pub const fn duration(self) -> Duration {
        self.0
    }
}

impl From<Duration> for Seconds {
    fn from(duration: Duration) -> Self {
        Self(duration)
    }
}

impl From<Seconds> for Duration {
    fn from(seconds: Seconds) -> Self {
        seconds.0
    }
}

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_secs_f64().fmt(f)
    }
}

impl FromStr for Seconds {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.parse()
            .ok()
            .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
            .map(Self)
            .ok_or_else(|| format!("expected a number of seconds, found `{text}`"))
    }
}

/// Writes the struct, its flags and its defaults from one table, so that they cannot differ.
macro_rules! limits {
    ($($(#[doc = $doc:literal])+ $name:ident: $kind:ty = $default:expr,)+) => {
        /// What the server accepts from outside, at most.
        ///
        /// The field `max_frame_size` is the flag `--max-frame-size` and the variable `POLYFN_MAX_FRAME_SIZE`
        /// (or `HYPHA_MAX_FRAME_SIZE`); so with all of them.
        #[derive(Clone, Debug, PartialEq, Eq, clap::Args)]
        pub struct Limits {
            $($(#[doc = $doc])+
            #[arg(long, default_value_t = $default, value_name = "N", help_heading = "Limits")]
            pub $name: $kind,)+
        }

        impl Default for Limits {
            fn default() -> Self {
                Self { $($name: $default,)+ }
            }
        }
    };
}

limits! {
    /// Bytes of one websocket frame; a larger one closes the connection with 1009.
    max_frame_size: usize = 16 << 20,
    /// Bytes of the first (authentication) message of a websocket.
    max_auth_size: usize = 64 << 10,
    /// Characters of a text frame after the handshake; a longer one is ignored.
    max_text_size: usize = 1000,
    /// Bytes of a client id.
    max_client_id_length: usize = 255,
    /// Seconds a new websocket has to authenticate.
    time_to_authenticate: Seconds = Seconds::new(5),
    /// Handshakes at the same time; others wait.
    max_concurrent_connections: usize = 256,
    /// Seconds a handshake waits for its turn before it is refused with 1013.
    handshake_wait_timeout: Seconds = Seconds::new(30),
    /// Frames waiting for one client before its senders are slowed.
    max_queued_frames: usize = 1024,
    /// Bytes waiting for one client before its senders are slowed.
    max_queued_bytes: usize = 32 << 20,
    /// Seconds a client may leave its full queue untouched before it is closed.
    slow_client_timeout: Seconds = Seconds::new(30),
    /// Seconds without a frame after which a websocket is closed.
    ws_idle_timeout: Seconds = Seconds::new(600),
    /// Seconds without any sign of life, questions unanswered, after which a client is let go; 0 for never.
    client_silence_timeout: Seconds = Seconds::new(120),
    /// Bytes of one POST to `/rpc`, which may carry several frames.
    max_post_size: usize = 32 << 20,
    /// Seconds of silence on a stream over HTTP before a sign of life is written into it.
    stream_ping_interval: Seconds = Seconds::new(15),
    /// Messages a second from one client, 0 for no limit; who sends more is read more slowly.
    ws_msg_rate_limit: u32 = 0,
    /// Messages one client may send at once above its rate.
    ws_msg_burst_limit: u32 = 2000,
    /// Bytes a second from one client, 0 for no limit; who sends more is read more slowly.
    ws_byte_rate_limit: u64 = 0,
    /// Messages a second from all clients of one user, 0 for no limit; who sends more is read more slowly.
    user_msg_rate_limit: u32 = 0,
    /// Bytes a second from all clients of one user, 0 for no limit; who sends more is read more slowly.
    user_byte_rate_limit: u64 = 0,
    /// Messages a second from all clients of one workspace, 0 for no limit; who sends more is read more slowly.
    workspace_msg_rate_limit: u32 = 0,
    /// Bytes a second from all clients of one workspace, 0 for no limit; who sends more is read more slowly.
    workspace_byte_rate_limit: u64 = 0,
    /// Messages a second from all clients of one address, 0 for no limit; who sends more is read more slowly.
    address_msg_rate_limit: u32 = 0,
    /// Bytes a second from all clients of one address, 0 for no limit; who sends more is read more slowly.
    address_byte_rate_limit: u64 = 0,
    /// Calls to functions of clients that one client may have under way, 0 for no limit; more wait for their turn.
    max_calls_per_client: usize = 65_536,
    /// The same of all clients of one user, 0 for no limit.
    max_calls_per_user: usize = 262_144,
    /// The same of all clients of one workspace, 0 for no limit.
    max_calls_per_workspace: usize = 1_048_576,
    /// The same of all clients from one address, 0 for no limit.
    max_calls_per_address: usize = 0,
    /// Seconds a call waits for its turn before it is refused as `overloaded`.
    call_wait_timeout: Seconds = Seconds::new(30),
    /// Websockets of one user.
    max_connections_per_user: usize = 200,
    /// Clients in one workspace.
    max_clients_per_workspace: usize = 1000,
    /// Clients from one address, 0 for no limit.
    max_clients_per_address: usize = 0,
    /// Services of one client.
    max_services_per_client: usize = 1000,
    /// Services of all clients of one workspace.
    max_services_per_workspace: usize = 200_000,
    /// Services of all clients of one user, 0 for no limit.
    max_services_per_user: usize = 200_000,
    /// Services of all clients from one address, 0 for no limit.
    max_services_per_address: usize = 0,
    /// Types of services one workspace may have.
    max_service_types: usize = 100,
    /// Event types one client may subscribe to.
    max_subscriptions_per_client: usize = 1000,
    /// Workspaces one user may create.
    max_workspaces_per_user: usize = 100,
    /// Names of workspaces that are gone, kept so that nobody else's tokens are good for the next one; the oldest give way.
    max_workspace_names: usize = 100_000,
    /// Tokens of an auth service that are good at the same time; more are refused until some have expired.
    max_auth_service_tokens: usize = 100_000,
    /// Environment variables of one workspace.
    max_variables_per_workspace: usize = 1000,
    /// Bytes kept of one workspace in the database: its settings and bookmarks, service types, environment variables.
    max_stored_bytes_per_workspace: usize = 16 << 20,
    /// The same of all workspaces that one user owns, 0 for no limit.
    max_stored_bytes_per_user: usize = 0,
    /// Logged events that a workspace keeps; the oldest give way.
    max_events_per_workspace: usize = 10_000,
    /// Entries that the audit log keeps, 0 for no limit; the oldest give way.
    max_audit_entries: u64 = 1_000_000,
    /// Seconds an entry of the audit log is kept, 0 for ever.
    max_audit_age: Seconds = Seconds::new(400 * 86_400),
    /// Seconds an empty workspace is kept.
    workspace_unload_grace_period: Seconds = Seconds::new(0),
    /// Pages that are shown and kept up to date at the same time; more are answered with 429.
    max_page_viewers: usize = 1000,
    /// Open network connections of the whole server; others wait to be accepted.
    max_connections: usize = 16_384,
    /// Bytes of an HTTP request's body.
    max_request_body: usize = 100_000_000,
    /// Bytes of the body of a request to a web app (`type: "asgi"`), which is passed on as it comes.
    max_app_body: u64 = 10 << 30,
    /// Seconds a web app may go on with a request after whoever asked has left; then it is cancelled.
    app_disconnect_grace: Seconds = Seconds::new(30),
    /// Websockets of web apps at the same time; more are refused with 503.
    max_app_websockets: usize = 4096,
    /// Bytes of an HTTP request's line and headers together.
    max_header_size: usize = 64 << 10,
    /// Seconds an HTTP connection may take to send its next request's headers, idle time included.
    http_header_timeout: Seconds = Seconds::new(300),
    /// Seconds a call over HTTP may take before it is answered with 504.
    http_call_timeout: Seconds = Seconds::new(600),
    /// Calls over HTTP at the same time; more are answered with 429.
    max_http_calls: usize = 8192,
    /// Calls over HTTP of one user with a token at the same time, 0 for no limit; more are answered with 429.
    max_http_calls_per_user: usize = 4096,
    /// Calls over HTTP to one workspace at the same time, 0 for no limit; more are answered with 429.
    max_http_calls_per_workspace: usize = 4096,
    /// Calls over HTTP from one address at the same time, 0 for no limit; more are answered with 429.
    max_http_calls_per_address: usize = 0,
    /// Requests a second from one address, 0 for no limit; more are answered with 429.
    http_rate_limit: u32 = 0,
    /// Requests one address may send at once above its rate.
    http_burst_limit: u32 = 500,
    /// Requests a second of one identity with a valid token, 0 for no limit.
    http_authenticated_rate_limit: u32 = 0,
    /// Requests one identity with a valid token may send at once above its rate.
    http_authenticated_burst_limit: u32 = 5000,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_read_and_written() {
        assert_eq!("0.5".parse(), Ok(Seconds::from(Duration::from_millis(500))));
        assert_eq!(Seconds::new(600).to_string(), "600");
        for bad in ["-1", "x", "nan", "inf", ""] {
            assert!(bad.parse::<Seconds>().is_err(), "{bad}");
        }
    }
}
