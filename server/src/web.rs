//! Requests of the server's own to other servers: small ones, such as for the keys of a login provider.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use polyfn_core::net::Tls;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Bytes of an answer.
const ANSWER_MAX: usize = 1 << 20;

/// Why there is no answer.
#[derive(Debug)]
pub(crate) struct WebError(String);

impl fmt::Display for WebError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for WebError {}

fn failed(error: impl fmt::Display) -> WebError {
    WebError(error.to_string())
}

/// Sends one request on a connection of its own, and gives the whole answer. Redirects are not followed.
///
/// # Errors
/// When the server is not reached, does not answer within `patience`, or says too much.
pub(crate) async fn send(
    request: Request<Vec<u8>>,
    patience: Duration,
) -> Result<Response<Vec<u8>>, WebError> {
    let host = request.uri().host().unwrap_or_default().to_owned();
    match tokio::time::timeout(patience, exchange(request)).await {
        Ok(answered) => answered.map_err(|error| WebError(format!("{host}: {error}"))),
        Err(_) => Err(WebError(format!("{host} did not answer within {} s", patience.as_secs_f64()))),
    }
}

async fn exchange(request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, WebError> {
    let uri = request.uri().clone();
    let authority = uri.authority().ok_or_else(|| failed("the URL names no host"))?;
    let host = authority.host().trim_matches(['[', ']']).to_owned();
    let is_secure = uri.scheme_str() == Some("https");
    let port = authority.port_u16().unwrap_or(if is_secure { 443 } else { 80 });
    let tcp = TcpStream::connect((host.as_str(), port)).await.map_err(failed)?;
    let request = prepared(request, authority.as_str())?;
    if !is_secure {
        return ask(tcp, request).await;
    }
    let config = trusted().await?.config().map_err(failed)?;
    let name = ServerName::try_from(host).map_err(failed)?;
    ask(TlsConnector::from(config).connect(name, tcp).await.map_err(failed)?, request).await
}

/// The authorities of the web, or in their place those in the file that `SSL_CERT_FILE` names, as other programs have it.
async fn trusted() -> Result<Tls, WebError> {
    let Some(file) = std::env::var_os("SSL_CERT_FILE").filter(|file| !file.is_empty()) else {
        return Ok(Tls::default());
    };
    let shown = file.display().to_string();
    let pem = tokio::fs::read_to_string(file).await;
    let pem = pem.map_err(|error| WebError(format!("SSL_CERT_FILE names {shown}: {error}")))?;
    Ok(Tls { authorities: Some(pem), ..Tls::default() })
}

/// With its path alone, and the host in a header.
fn prepared(request: Request<Vec<u8>>, host: &str) -> Result<Request<Full<Bytes>>, WebError> {
    let (mut parts, body) = request.into_parts();
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    parts.uri = path.parse::<Uri>().map_err(failed)?;
    let host = HeaderValue::from_str(host.rsplit('@').next().unwrap_or_default()).map_err(failed)?;
    parts.headers.insert(header::HOST, host);
    Ok(Request::from_parts(parts, Full::new(Bytes::from(body))))
}

async fn ask<S>(socket: S, request: Request<Full<Bytes>>) -> Result<Response<Vec<u8>>, WebError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(socket)).await.map_err(failed)?;
    let connection = tokio::spawn(connection);
    let answer = async {
        let (parts, body) = sender.send_request(request).await.map_err(failed)?.into_parts();
        let body = Limited::new(body, ANSWER_MAX).collect().await.map_err(failed)?;
        Ok(Response::from_parts(parts, body.to_bytes().to_vec()))
    };
    let answer = answer.await;
    connection.abort();
    answer
}
