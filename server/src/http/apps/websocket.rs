//! The beginning of a websocket: the app accepts it, or refuses it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, Method, Response as HttpResponse, StatusCode, header};
use axum::response::Response;
use hyper::upgrade::OnUpgrade;
use polyfn_core::apps::{self, Headers, Kind, Message};
use polyfn_core::codec::Writer;
use polyfn_core::{Error, ErrorKind};
use tokio::time::{Instant, sleep_until};

use super::calling::{Call, Ended, NAMES, RECEIVE, Style, call};
use super::handshake::Handshake;
use super::outgoing::{Change, Failure, Outgoing, answered};
use super::socket::Socket;
use super::{Asked, head};
use crate::auth::Ending;
use crate::http::functions::{Allowed, Refusal, Turn};
use crate::http::problem::Problem;
use crate::hub::{Callbacks, Called};
use crate::state::State;

/// Has the app answer a request for a websocket.
pub(super) async fn answer(asked: &Asked<'_>, style: Style) -> Result<Response, Refusal> {
    let state = asked.state;
    let handshake = Handshake::read(state, asked.parts)?;
    let Some(upgrade) = asked.parts.extensions.get::<OnUpgrade>().cloned() else {
        let text = "this connection cannot become a websocket";
        return Err(Problem::new(ErrorKind::Invalid, text).into());
    };
    let turn = Turn::take(asked.state, asked.service)?;
    let open = Open::take(state)?;
    let callbacks = state.hub.gateway.callbacks(&state.hub, &NAMES);
    let kind = Kind::WebSocket { subprotocols: &handshake.subprotocols };
    let call = call(asked, kind, style, &callbacks, None)?;
    let (outgoing, answer) = Outgoing::new(Method::GET);
    let opening = Opening {
        state: Arc::clone(state),
        callbacks,
        outgoing,
        switching: handshake.answer(),
        offered: handshake.subprotocols.iter().map(|name| (*name).to_owned()).collect(),
        upgrade,
        receiving: VecDeque::new(),
        is_told: false,
        grace: state.config.limits.app_disconnect_grace.duration(),
        until: Instant::now() + Allowed::of(&state.config.limits, asked.service).time,
        ending: state.tokens.ending(&asked.caller.user.credential),
        held: (turn, open),
    };
    tokio::spawn(opening.run(call));
    answered(asked, answer).await
}

/// One of the websockets that are open, until it is dropped.
pub(super) struct Open(Arc<State>);

impl Open {
    fn take(state: &Arc<State>) -> Result<Self, Problem> {
        state.metrics.app_websockets.increment();
        let open = Self(Arc::clone(state));
        let max = state.config.limits.max_app_websockets;
        if state.metrics.app_websockets.get() > max as u64 {
            state.metrics.limited.note("max_app_websockets");
            let problem = Problem::new(ErrorKind::Overloaded, format!("{max} websockets are open already"));
            return Err(problem.with_status(StatusCode::SERVICE_UNAVAILABLE));
        }
        Ok(open)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.metrics.app_websockets.decrement();
    }
}

/// A websocket that is not open yet.
struct Opening {
    state: Arc<State>,
    callbacks: Callbacks,
    outgoing: Outgoing,
    switching: HttpResponse<()>,
    offered: Vec<String>,
    upgrade: OnUpgrade,
    receiving: VecDeque<Called>,
    /// Whether the app was told that somebody asks for a websocket.
    is_told: bool,
    /// How long the app may go on when whoever asked has left.
    grace: Duration,
    until: Instant,
    /// The end of the token of whoever asked.
    ending: Ending,
    held: (Turn, Open),
}

/// What became of it.
enum Outcome {
    /// The app has accepted it by this call of `send`.
    Accepted(Called),
    /// The app has ended without that, or its time is over.
    Ended(Ended),
}

impl Opening {
    async fn run(mut self, mut call: Call) {
        let outcome = loop {
            let is_open = self.outgoing.is_open();
            tokio::select! {
                biased;
                Some(called) = self.callbacks.next() => {
                    if let Some(accepted) = self.take(called).await {
                        break Outcome::Accepted(accepted);
                    }
                }
                Change::Left = self.outgoing.change(false), if is_open => {
                    self.outgoing.leave();
                    self.until = self.until.min(Instant::now() + self.grace);
                    self.tell_the_end();
                }
                ended = &mut call => break Outcome::Ended(ended),
                () = sleep_until(self.until) => {
                    let text = "the app neither accepted nor refused the websocket in time";
                    break Outcome::Ended(Err(Error::new(ErrorKind::Timeout, text)));
                }
            }
        };
        match outcome {
            Outcome::Accepted(accepted) => self.open(accepted, call).await,
            Outcome::Ended(ended) => self.end(ended).await,
        }
    }

    /// Takes a call of the app; gives it back when it accepts the websocket.
    async fn take(&mut self, called: Called) -> Option<Called> {
        if called.index == RECEIVE {
            self.receive(called);
            return None;
        }
        let taken = match Message::from_call(&called.payload) {
            Ok(Message::Accept { subprotocol, headers }) => match self.accept(subprotocol, headers) {
                Ok(()) => return Some(called),
                Err(error) => Err(error),
            },
            Ok(Message::Close { .. }) if !self.outgoing.has_begun() => {
                let problem = Problem::new(ErrorKind::PermissionDenied, "the app refused the websocket");
                let outgoing = std::mem::replace(&mut self.outgoing, Outgoing::Complete);
                outgoing.fail(Failure::Request(problem)).await;
                Ok(())
            }
            Ok(Message::Text(_) | Message::Binary(_)) => {
                Err(Error::invalid("`websocket.accept` must be sent before anything else"))
            }
            Ok(message) => {
                if self.outgoing.is_open() && self.outgoing.has_begun() {
                    _ = self.outgoing.change(true).await;
                }
                self.outgoing.take(message, &self.state)
            }
            Err(error) => Err(error),
        };
        match taken {
            Ok(()) => _ = called.answer(Writer::nil),
            Err(error) => called.fail(&error),
        }
        if !self.outgoing.is_open() {
            self.tell_the_end();
        }
        None
    }

    fn receive(&mut self, called: Called) {
        if !self.is_told {
            self.is_told = called.answer(|out| apps::write_websocket(out, None));
        } else if self.outgoing.is_open() {
            self.receiving.push_back(called);
        } else {
            called.answer(|out| apps::write_disconnect(out, Some((1006, ""))));
        }
    }

    fn tell_the_end(&mut self) {
        for called in self.receiving.drain(..) {
            called.answer(|out| apps::write_disconnect(out, Some((1006, ""))));
        }
    }

    /// Answers the handshake.
    fn accept(&mut self, subprotocol: Option<String>, headers: Headers) -> Result<(), Error> {
        if self.outgoing.has_begun() {
            return Err(Error::invalid("the websocket was refused already, or whoever asked has left"));
        }
        let mut given = head(200, headers).map_err(|problem| Error::invalid(problem.detail()))?;
        let own = [header::CONTENT_LENGTH, header::SEC_WEBSOCKET_ACCEPT, header::SEC_WEBSOCKET_EXTENSIONS];
        own.iter()
            .chain([&header::SEC_WEBSOCKET_PROTOCOL])
            .for_each(|name| drop(given.headers_mut().remove(name)));
        self.switching.headers_mut().extend(std::mem::take(given.headers_mut()));
        if let Some(name) = subprotocol {
            let value = HeaderValue::from_str(&name).ok().filter(|_| self.offered.contains(&name));
            let Some(value) = value else {
                let text = format!("the client offers {:?}, not the subprotocol {name:?}", self.offered);
                return Err(Error::invalid(text));
            };
            self.switching.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, value);
        }
        let response = std::mem::take(&mut self.switching).map(|()| Body::empty());
        if !self.outgoing.give(response) {
            self.outgoing.leave();
        }
        Ok(())
    }

    async fn open(self, accepted: Called, call: Call) {
        let Self { state, callbacks, upgrade, receiving, held, ending, .. } = self;
        match upgrade.await {
            Ok(upgraded) => {
                accepted.answer(Writer::nil);
                Socket::new(state, callbacks, receiving, upgraded, ending).await.run(call).await;
            }
            Err(error) => accepted.fail(&Error::new(ErrorKind::PeerGone, error.to_string())),
        }
        drop(held);
    }

    async fn end(mut self, ended: Ended) {
        if self.outgoing.is_open() {
            let error = match ended {
                Ok(_) => Error::remote("the app ended without having accepted the websocket"),
                Err(error) => error,
            };
            std::mem::replace(&mut self.outgoing, Outgoing::Complete).fail(Failure::Call(error)).await;
        }
    }
}
