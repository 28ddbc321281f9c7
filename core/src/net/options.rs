//! Everything a user may set when connecting, with defaults for all languages.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use super::backoff::Backoff;
use super::clock;
use super::fallback::Fallback;
use super::http_stream::HttpStream;
use super::tls::Tls;
use super::transport::Connect;
use super::websocket::WebSocket;
use crate::session::{self, Encryption};
use crate::wire::{FURTHEST, KeyPair};
use crate::{Error, Result};

/// Bytes of a part of a long message: shorter ones would hold little beside their own routing.
const CHUNK_MIN: usize = 1024;

/// Settings of a connection.
#[derive(Clone)]
pub struct ClientOptions {
    /// The server: `http(s)://host[:port][/base]`, or the `ws(s)://` URL of its websocket.
    pub server_url: String,
    /// The workspace to join. Default: the token's, else the user's own.
    pub workspace: Option<String>,
    /// The client's id. Default: random.
    pub client_id: Option<String>,
    /// The token. Default: none, which makes an anonymous user.
    pub token: Option<String>,
    /// A token of an earlier connection, to come back under the same name.
    pub reconnection_token: Option<String>,
    /// A name for people to read.
    pub name: Option<String>,
    /// Headers of the requests that reach the server, beside those of the protocol. Default: none.
    pub headers: Vec<(String, String)>,
    /// Whom to believe to be the server, for `https` and `wss`.
    pub tls: Tls,
    /// How long connecting may take. Default 30 s.
    pub connect_timeout: Duration,
    /// How often to ask whether the server is there. Default 20 s.
    pub ping_interval: Duration,
    /// How long to wait for its answer. Default 20 s.
    pub ping_timeout: Duration,
    /// How often to fetch a fresh reconnection token, at the latest: one is fetched before two thirds of its life are
    /// over. Zero for never. Default 2 h.
    pub token_refresh_interval: Duration,
    /// Whether to connect again when the connection breaks. Default true.
    pub reconnect: bool,
    /// When to try again.
    pub backoff: Backoff,
    /// Settings of the session: timeout of calls, size of chunks, application.
    pub session: session::Options,
    /// Whether what is said to peers whose key is known is encrypted from end to end. Default false.
    pub encryption: bool,
    /// The own private key: 32 bytes, or 64 hexadecimal digits. Default: made for this connection.
    pub encryption_private_key: Option<Vec<u8>>,
    /// Its public twin, in the same forms. Default: computed.
    pub encryption_public_key: Option<Vec<u8>>,
    /// How to reach the server. Default: by websocket, and by HTTP where there is none to be had.
    pub transport: TransportMode,
    /// Another way to reach the server; `transport` is then not looked at.
    pub connect: Option<Arc<dyn Connect>>,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            server_url: String::new(),
            workspace: None,
            client_id: None,
            token: None,
            reconnection_token: None,
            name: None,
            headers: Vec::new(),
            tls: Tls::default(),
            connect_timeout: Duration::from_secs(30),
            ping_interval: Duration::from_secs(20),
            ping_timeout: Duration::from_secs(20),
            token_refresh_interval: Duration::from_secs(7200),
            reconnect: true,
            backoff: Backoff::default(),
            session: session::Options::default(),
            transport: TransportMode::default(),
            encryption: false,
            encryption_private_key: None,
            encryption_public_key: None,
            connect: None,
        }
    }
}

impl fmt::Debug for ClientOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Tokens are secrets: what is logged says only whether there is one.
        f.debug_struct("ClientOptions")
            .field("server_url", &self.server_url)
            .field("workspace", &self.workspace)
            .field("client_id", &self.client_id)
            .field("has_token", &self.token.is_some())
            .finish_non_exhaustive()
    }
}

impl ClientOptions {
    /// The defaults for a server.
    pub fn new(server_url: impl Into<String>) -> Self {
        Self { server_url: server_url.into(), ..Self::default() }
    }

    /// The keys that the settings ask for.
    ///
    /// # Errors
    /// `invalid` for keys that are none, and for keys without encryption.
    pub(super) fn keys(&self) -> Result<Option<Encryption>> {
        let (private, public) =
            (self.encryption_private_key.as_deref(), self.encryption_public_key.as_deref());
        if !self.encryption {
            return match private.or(public) {
                Some(_) => Err(Error::invalid("keys are given, but `encryption` is not set")),
                None => Ok(None),
            };
        }
        let keys = match private {
            Some(private) => KeyPair::read(private, public)?,
            None if public.is_some() => {
                return Err(Error::invalid("encryption_public_key is given without encryption_private_key"));
            }
            None => KeyPair::new(rand::random()),
        };
        Ok(Some(Encryption { began: clock::began(), ..Encryption::new(keys, rand::random()) }))
    }

    /// What is empty is not given, as with the clients of Hypha: it comes from variables that are not set.
    pub(super) fn without_empty(mut self) -> Self {
        for text in [&mut self.workspace, &mut self.client_id, &mut self.token, &mut self.reconnection_token]
        {
            text.take_if(|text| text.is_empty());
        }
        self
    }

    /// Nobody waits longer than this, and clocks can be added to it.
    pub(super) fn with_times_that_end(mut self) -> Self {
        let session = &mut self.session;
        for time in [
            &mut self.connect_timeout,
            &mut self.ping_interval,
            &mut self.ping_timeout,
            &mut self.token_refresh_interval,
            &mut session.method_timeout,
            &mut session.rintf_timeout,
        ] {
            *time = FURTHEST.min(*time);
        }
        self
    }

    /// # Errors
    /// `invalid` for what no connection can live with.
    pub(super) fn check(&self) -> Result<()> {
        let size = self.session.chunk_size;
        if size < CHUNK_MIN {
            let text = format!("long_message_chunk_size is {size}, it must be {CHUNK_MIN} bytes at least");
            return Err(Error::invalid(text));
        }
        if self.ping_interval.is_zero() {
            return Err(Error::invalid(
                "ping_interval is 0, it must be longer: seconds between two questions",
            ));
        }
        Ok(())
    }

    pub(super) fn connector(&self) -> Result<Arc<dyn Connect>> {
        if let Some(connect) = &self.connect {
            return Ok(connect.clone());
        }
        Ok(match self.transport {
            TransportMode::Auto => Arc::new(Fallback::new(self)?),
            TransportMode::WebSocket => Arc::new(WebSocket::new(self)?),
            TransportMode::Http => Arc::new(HttpStream::new(self)?),
        })
    }

    /// The first message on a connection (protocol section 3.3).
    pub(super) fn handshake(
        &self,
        client_id: &str,
        workspace: Option<&str>,
        reconnection: Option<&str>,
    ) -> String {
        let mut hello = serde_json::json!({
            "client_id": client_id,
            "workspace": workspace.or(self.workspace.as_deref()),
            "token": self.token,
            "reconnection_token": reconnection,
        });
        if !self.session.extensions.is_empty() {
            hello["extensions"] = self.session.extensions.names().collect();
        }
        hello.to_string()
    }
}

/// The ways to a server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TransportMode {
    /// The websocket, and HTTP when the websocket cannot be had: a proxy refuses it or cuts it off.
    #[default]
    Auto,
    /// The websocket only.
    WebSocket,
    /// HTTP only: one answer that does not end, and requests beside it.
    Http,
}

impl FromStr for TransportMode {
    type Err = Error;

    /// ```
    /// use polyfn_core::net::TransportMode;
    /// assert_eq!("http".parse(), Ok(TransportMode::Http));
    /// ```
    fn from_str(text: &str) -> Result<Self> {
        match text {
            "auto" => Ok(Self::Auto),
            "websocket" => Ok(Self::WebSocket),
            "http" => Ok(Self::Http),
            other => Err(Error::invalid(format!(
                "transport must be `auto`, `websocket` or `http`, found `{other}`"
            ))),
        }
    }
}

/// The URL under which a server answers requests, without a slash at its end.
pub(super) fn http_url(server_url: &str) -> Result<String> {
    let websocket = websocket_url(server_url)?;
    let rest = websocket.strip_prefix("ws").unwrap_or(&websocket);
    let rest = rest.strip_suffix("/ws").unwrap_or(rest);
    Ok(format!("http{}", rest.trim_end_matches('/')))
}

/// The URL of the websocket of a server (protocol section 3.1).
pub(super) fn websocket_url(server_url: &str) -> Result<String> {
    let url = server_url.trim();
    if url.starts_with("ws://") || url.starts_with("wss://") {
        return Ok(url.to_owned());
    }
    let rest = url.strip_prefix("http").filter(|rest| rest.starts_with("://") || rest.starts_with("s://"));
    match rest {
        Some(rest) => Ok(format!("ws{}/ws", rest.trim_end_matches('/'))),
        None => Err(Error::invalid(format!(
            "`{server_url}` is not a server url, expected for example `http://localhost:9527`"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn server_urls_become_urls_for_requests() {
        for (given, url) in [
            ("http://localhost:9527", "http://localhost:9527"),
            ("https://lab.example/base//", "https://lab.example/base"),
            ("ws://localhost:9527/ws", "http://localhost:9527"),
            ("wss://lab.example/base/ws", "https://lab.example/base"),
        ] {
            assert_eq!(http_url(given).as_deref(), Ok(url));
        }
        assert!(http_url("localhost:9527").is_err());
    }

    #[test]
    fn keys_are_given_whole_or_made() {
        let options = |encryption, private: Option<&str>, public: Option<&str>| {
            let bytes = |key: &str| key.as_bytes().to_vec();
            let options = ClientOptions {
                encryption,
                encryption_private_key: private.map(bytes),
                encryption_public_key: public.map(bytes),
                ..ClientOptions::default()
            };
            options.keys().map(|keys| keys.map(|keys| keys.keys.public().to_string()))
        };
        let private = "07".repeat(32);
        let public = KeyPair::new([7; 32]).public().to_string();
        assert_eq!(options(false, None, None), Ok(None));
        assert_eq!(options(true, Some(&private), None), Ok(Some(public.clone())));
        assert_eq!(options(true, Some(&private), Some(&public)), Ok(Some(public.clone())));
        assert_ne!(options(true, None, None), options(true, None, None), "fresh ones for each connection");
        for (encryption, private, public) in [
            (false, Some(&*private), None),
            (true, None, Some(&*public)),
            (true, Some("07"), None),
            (true, Some(&*public), Some(&*public)),
        ] {
            assert!(options(encryption, private, public).is_err(), "{encryption} {private:?} {public:?}");
        }
    }

    #[test]
    fn server_urls_become_websocket_urls() {
        for (given, url) in [
            ("http://localhost:9527", "ws://localhost:9527/ws"),
            ("https://lab.example/base//", "wss://lab.example/base/ws"),
            ("wss://lab.example/other", "wss://lab.example/other"),
        ] {
            assert_eq!(websocket_url(given).as_deref(), Ok(url));
        }
        assert!(websocket_url("localhost:9527").is_err());
        assert!(websocket_url("httpx://a").is_err());
    }
}
