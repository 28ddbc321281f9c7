//! Services of type `asgi`: web apps of clients, answered over HTTP and by websockets.
//!
//! `serve` of the service is called once for each request. What comes from the browser is given to it by the function
//! `receive`, what goes there comes by `send`: see [`polyfn_core::apps`]. Nothing is ever held whole here.

use std::sync::Arc;

use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, Response as HttpResponse, header};
use axum::response::Response;
use polyfn_core::ErrorKind;
use polyfn_core::apps::Headers;

use crate::http::caller::Caller;
use crate::http::functions::{Place, Refusal};
use crate::http::problem::Problem;
use crate::hub::Service;
use crate::state::State;

mod asked;
mod calling;
mod exchange;
mod handshake;
mod outgoing;
mod socket;
mod upload;
mod websocket;

/// Marks answers that an app gave: nobody else adds to their headers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Own;

/// Whether services of this type are apps.
pub(super) fn is_app(kind: &str) -> bool {
    kind.eq_ignore_ascii_case("asgi")
}

/// A request to an app.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) state: &'a Arc<State>,
    pub(super) parts: &'a Parts,
    pub(super) place: &'a Place<'a>,
    /// The path from the service on.
    pub(super) path: &'a str,
    pub(super) caller: &'a Caller,
    pub(super) service: &'a Arc<Service>,
}

/// Has the app answer.
pub(super) async fn answer(asked: Asked<'_>, body: Body) -> Result<Response, Refusal> {
    let style = calling::Style::of(asked.service)?;
    let mut response = if handshake::is_asked_for(&asked.parts.headers) {
        websocket::answer(&asked, style).await?
    } else {
        exchange::answer(&asked, style, body).await?
    };
    response.extensions_mut().insert(Own);
    Ok(response)
}

/// Headers that belong to the connection and are the server's own business.
const FRAMING: [HeaderName; 6] = [
    header::CONNECTION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("keep-alive"),
];

/// An answer without a body. The length that an app names is kept for its streams, and for HEAD.
fn head(status: u16, headers: Headers) -> Result<HttpResponse<()>, Problem> {
    let wrong = |what: &str| Problem::new(ErrorKind::Remote, format!("the app's answer is no HTTP: {what}"));
    let mut response = HttpResponse::new(());
    *response.status_mut() = status.try_into().map_err(|_| wrong("its status"))?;
    for (name, value) in headers {
        let name = HeaderName::from_bytes(&name).map_err(|_| wrong("the name of a header"))?;
        let value = HeaderValue::from_maybe_shared(value).map_err(|_| wrong("the value of a header"))?;
        if name == header::CONTENT_LENGTH {
            let length = value.to_str().ok().and_then(|text| text.parse::<u64>().ok());
            let Some(length) = length else { return Err(wrong("its content-length")) };
            response.headers_mut().insert(name, length.into());
        } else if !FRAMING.contains(&name) {
            response.headers_mut().append(name, value);
        }
    }
    Ok(response)
}
