//! The answer of an app on its way to whoever asked.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{Method, StatusCode, header};
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream;
use polyfn_core::apps::{Headers, Message};
use polyfn_core::{Error, ErrorKind};
use tokio::sync::{mpsc, oneshot};

use super::{Asked, head};
use crate::http::functions::{Counted, Refusal};
use crate::http::problem::Problem;
use crate::state::State;

/// Parts of a body that may wait until they are sent, before the app is made to wait.
const MAX_PARTS: usize = 4;
/// What an app may send where no body is due, such as to HEAD, before it is told so by an error.
const MAX_IN_VAIN: usize = 1 << 20;

type Part = Result<Bytes, Error>;

/// Why there is no answer of the app.
#[derive(Debug)]
pub(super) enum Failure {
    /// The call failed, or the app did something that is no HTTP.
    Call(Error),
    /// The request itself cannot be served.
    Request(Problem),
}

/// Waits for the answer of an app.
pub(super) async fn answered(
    asked: &Asked<'_>,
    answer: oneshot::Receiver<Result<Response, Failure>>,
) -> Result<Response, Refusal> {
    let error = match answer.await {
        Ok(Ok(response)) => return Ok(response),
        Ok(Err(Failure::Request(problem))) => return Err(problem.into()),
        Ok(Err(Failure::Call(error))) => error,
        Err(_) => Error::new(ErrorKind::Cancelled, "the server stops"),
    };
    Err(Refusal::of_call(asked.state, asked.caller, asked.service, &error))
}

/// What has happened to an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// Whoever asked has left.
    Left,
    /// There is room for a part of the body.
    Room,
}

/// How far the answer is.
pub(super) enum Outgoing {
    /// Nothing was sent, but maybe the head was made: it leaves with the first part of the body.
    Head { made: Option<(u16, Headers)>, asker: oneshot::Sender<Result<Response, Failure>>, method: Method },
    /// The body is being sent.
    Body(mpsc::Sender<Part>),
    /// All was sent.
    Complete,
    /// The head was all that is sent; what the app makes behind it counts.
    HeadOnly(usize),
    /// Whoever asked has left.
    Left,
}

impl Outgoing {
    pub(super) fn new(method: Method) -> (Self, oneshot::Receiver<Result<Response, Failure>>) {
        let (asker, answer) = oneshot::channel();
        (Self::Head { made: None, asker, method }, answer)
    }

    pub(super) const fn is_open(&self) -> bool {
        matches!(self, Self::Head { .. } | Self::Body(_))
    }

    pub(super) const fn has_begun(&self) -> bool {
        !matches!(self, Self::Head { .. })
    }

    /// Waits until whoever asked has left, or, if that is wanted, until there is room for a part of the body.
    pub(super) async fn change(&mut self, wants_room: bool) -> Change {
        match self {
            _ if !wants_room => {
                match self {
                    Self::Head { asker, .. } => asker.closed().await,
                    Self::Body(parts) => parts.closed().await,
                    Self::Complete | Self::HeadOnly(_) | Self::Left => std::future::pending().await,
                }
                Change::Left
            }
            Self::Body(parts) => match parts.reserve().await {
                Ok(_) => Change::Room,
                Err(_) => Change::Left,
            },
            _ => Change::Room,
        }
    }

    pub(super) fn leave(&mut self) {
        *self = Self::Left;
    }

    /// Gives an answer of the server's own in the place of the app's; says whether somebody still waited for it.
    pub(super) fn give(&mut self, response: Response) -> bool {
        match std::mem::replace(self, Self::Complete) {
            Self::Head { asker, .. } => asker.send(Ok(response)).is_ok(),
            _ => false,
        }
    }

    /// Takes a message of the app; there must be room for it.
    ///
    /// # Errors
    /// `invalid` for a message that does not fit here, `peer_gone` for too many that nobody hears.
    pub(super) fn take(&mut self, message: Message, state: &Arc<State>) -> Result<(), Error> {
        match (self, message) {
            (Self::Head { made: made @ None, .. }, Message::Start { status, headers }) => {
                *made = Some((status, headers));
                Ok(())
            }
            (this @ Self::Head { made: Some(_), .. }, Message::Body { body, more }) => {
                this.begin(body, more, state)
            }
            (this @ Self::Body(_), Message::Body { body, more }) => this.go_on(body, more),
            (Self::HeadOnly(sent), Message::Body { body, .. }) => {
                *sent += body.len().max(1 << 10);
                if *sent <= MAX_IN_VAIN { Ok(()) } else { Err(unheard()) }
            }
            (Self::Left, Message::Start { .. } | Message::Body { .. }) => Err(unheard()),
            (_, Message::Other(kind)) if kind == "http.response.debug" => Ok(()),
            (Self::Head { made: None, .. }, Message::Body { .. }) => {
                Err(Error::invalid("`http.response.start` must be sent before the body"))
            }
            (Self::Complete, _) => {
                Err(Error::invalid("the response is complete, nothing can be sent behind it"))
            }
            (_, Message::Start { .. }) => Err(Error::invalid("`http.response.start` was sent already")),
            (_, other) => Err(Error::invalid(format!("{other:?} is no message of an HTTP response"))),
        }
    }

    fn begin(&mut self, body: Bytes, more: bool, state: &Arc<State>) -> Result<(), Error> {
        let Self::Head { made, asker, method } = std::mem::replace(self, Self::Complete) else {
            return Ok(());
        };
        let Some((status, headers)) = made else { return Ok(()) };
        let mut response = match head(status, headers) {
            Ok(response) => response.map(|()| Body::empty()),
            Err(problem) => {
                let error = Error::invalid(problem.detail());
                _ = asker.send(Err(Failure::Call(Error::remote(problem.detail()))));
                return Err(error);
            }
        };
        let is_empty = method == Method::HEAD
            || matches!(response.status(), StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        if more {
            let (parts, queue) = mpsc::channel(MAX_PARTS);
            if !body.is_empty() {
                // a new queue has room
                _ = parts.try_send(Ok(body));
            }
            if is_empty {
                // the app may go on, but nobody listens
                *self = Self::HeadOnly(0);
            } else {
                *self = Self::Body(parts);
                *response.body_mut() = streamed(queue, state);
            }
        } else if !is_empty {
            response.headers_mut().remove(header::CONTENT_LENGTH);
            *response.body_mut() = Body::from(body);
        } else if !body.is_empty() {
            response.headers_mut().insert(header::CONTENT_LENGTH, body.len().into());
        }
        if asker.send(Ok(response)).is_err() {
            self.leave();
            return Err(unheard());
        }
        Ok(())
    }

    fn go_on(&mut self, body: Bytes, more: bool) -> Result<(), Error> {
        let Self::Body(parts) = self else { return Ok(()) };
        let sent = if body.is_empty() { Ok(()) } else { parts.try_send(Ok(body)).map_err(drop) };
        if sent.is_err() && parts.is_closed() {
            self.leave();
            return Err(unheard());
        }
        if !more {
            *self = Self::Complete;
        }
        Ok(())
    }

    /// The app has failed: whoever asked is told, or cut off when the head is sent already.
    pub(super) async fn fail(self, failure: Failure) {
        match self {
            Self::Head { asker, .. } => _ = asker.send(Err(failure)),
            Self::Body(parts) => {
                let error = match failure {
                    Failure::Call(error) => error,
                    Failure::Request(problem) => Error::invalid(problem.detail()),
                };
                tracing::warn!(%error, "the answer of an app was cut off");
                _ = parts.send(Err(error)).await;
            }
            Self::Complete | Self::HeadOnly(_) | Self::Left => {}
        }
    }
}

/// What `send` fails with when nobody is there for what is sent: an `OSError` in Python, as ASGI has it.
fn unheard() -> Error {
    Error::new(ErrorKind::PeerGone, "whoever asked has left, nobody hears what is sent")
}

/// A body that is one of the calls under way as long as it is being sent.
fn streamed(queue: mpsc::Receiver<Part>, state: &Arc<State>) -> Body {
    let counted = Counted::new(state);
    Body::from_stream(stream::unfold((queue, counted), |(mut queue, counted)| async move {
        let part = queue.recv().await?;
        if part.is_err() {
            // what was given before leaves first
            tokio::task::yield_now().await;
        }
        Some((part, (queue, counted)))
    }))
}
