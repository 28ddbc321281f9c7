//! The little of HTTP that a stream needs: connections to one server, and requests on them.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{CONTENT_LENGTH, HOST, HeaderMap};
use hyper::http::request::Builder;
use hyper::{Request, Response, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::headers;
use super::tls::Tls;
use crate::{Error, ErrorKind, Result};

/// Bytes of an answer that is read for what it says of a failure.
const ANSWER_MAX: usize = 64 << 10;
/// How long the rest of an answer may take.
const ANSWER_PATIENCE: Duration = Duration::from_secs(10);

/// One connection, on which one request is under way at a time.
pub(super) type Sender = SendRequest<Full<Bytes>>;

/// A place on a server.
#[derive(Debug)]
pub(super) struct Target {
    is_secure: bool,
    host: String,
    port: u16,
    /// Host and port as they stand in the URL.
    authority: String,
    path: String,
    /// Those of the user, sent with every request.
    pub(super) headers: HeaderMap,
    /// Whom to believe to be the server.
    pub(super) tls: Arc<ClientConfig>,
}

impl Target {
    /// The place at `url`, which must be absolute.
    pub(super) fn new(url: &str) -> Result<Self> {
        let bad = || Error::invalid(format!("`{url}` is not a URL"));
        let uri: Uri = url.parse().map_err(|_| bad())?;
        let authority = uri.authority().ok_or_else(bad)?;
        let is_secure = uri.scheme_str() == Some("https");
        let port = authority.port_u16().unwrap_or(if is_secure { 443 } else { 80 });
        let host = authority.host().trim_matches(['[', ']']).to_owned();
        // a name and a password before an `@` are not for the server's eyes
        let place = authority.as_str().rsplit('@').next().unwrap_or_default().to_owned();
        let path = uri.path().to_owned();
        let (headers, tls) = (HeaderMap::new(), Tls::default().config()?);
        Ok(Self { is_secure, host, port, authority: place, path, headers, tls })
    }

    /// The URL, for messages.
    pub(super) fn url(&self) -> String {
        let scheme = if self.is_secure { "https" } else { "http" };
        format!("{scheme}://{}{}", self.authority, self.path)
    }

    /// The beginning of a request with this query.
    pub(super) fn request(&self, method: &str, query: &str) -> Builder {
        let uri = format!("{}?{query}", self.path);
        Request::builder().method(method).uri(uri).header(HOST, &self.authority)
    }

    /// The request with this body, and with the headers of the user.
    pub(super) fn with_body(&self, request: Builder, body: Bytes) -> Result<Request<Full<Bytes>>> {
        let request = request.header(CONTENT_LENGTH, body.len()).body(Full::new(body));
        let mut request = request
            .map_err(|error| Error::invalid(format!("a token or a name cannot be sent by HTTP: {error}")))?;
        headers::add(&self.headers, request.headers_mut());
        Ok(request)
    }

    /// Opens a connection.
    pub(super) async fn open(&self) -> Result<Sender> {
        let tcp = TcpStream::connect((self.host.as_str(), self.port)).await;
        let tcp = tcp.map_err(|error| self.unreachable(&error))?;
        // Requests are small and answers are waited for: no delay for the sake of fuller packets.
        tcp.set_nodelay(true).map_err(|error| self.unreachable(&error))?;
        if !self.is_secure {
            return self.begin(tcp).await;
        }
        let name = ServerName::try_from(self.host.clone()).map_err(|error| self.unreachable(&error))?;
        let tls = TlsConnector::from(self.tls.clone()).connect(name, tcp).await;
        let tls = tls.map_err(|error| self.unreachable(&error))?;
        self.begin(tls).await
    }

    async fn begin<S>(&self, socket: S) -> Result<Sender>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let begun = http1::handshake(TokioIo::new(socket)).await;
        let (sender, connection) = begun.map_err(|error| self.unreachable(&error))?;
        // it ends when the sender and the answers are dropped
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection by HTTP broke");
            }
        });
        Ok(sender)
    }

    fn unreachable(&self, error: &dyn std::fmt::Display) -> Error {
        Error::new(ErrorKind::PeerGone, format!("cannot connect to {}: {error}", self.url()))
    }
}

/// What an answer that is no success says of the reason.
pub(super) struct Detail {
    pub(super) status: StatusCode,
    pub(super) said: String,
    /// The code of the error, from servers that tell it.
    pub(super) code: Option<String>,
}

/// Reads an answer to its end, so that the connection can go on.
pub(super) async fn detail(answer: Response<Incoming>) -> Detail {
    let status = answer.status();
    let body = Limited::new(answer.into_body(), ANSWER_MAX).collect();
    let body = match tokio::time::timeout(ANSWER_PATIENCE, body).await {
        Ok(Ok(body)) => body.to_bytes(),
        _ => Bytes::new(),
    };
    let json: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
    let text = |key: &str| json[key].as_str().map(str::to_owned);
    let said = text("detail");
    let said = said.unwrap_or_else(|| status.canonical_reason().unwrap_or("no reason given").to_owned());
    Detail { status, said, code: text("code") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_taken_apart() {
        let target = Target::new("https://me:secret@[::1]:8443/base/rpc").unwrap();
        assert_eq!((target.host.as_str(), target.port, target.is_secure), ("::1", 8443, true));
        assert_eq!(target.url(), "https://[::1]:8443/base/rpc");
        let target = Target::new("http://lab.example/rpc").unwrap();
        assert_eq!((target.host.as_str(), target.port), ("lab.example", 80));
        assert!(Target::new("/rpc").is_err());
    }
}
