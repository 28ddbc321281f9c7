//! One HTTP request of an app: its body on the way in, its answer on the way out.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use polyfn_core::apps::{self, Kind, Message};
use polyfn_core::codec::Writer;
use polyfn_core::session::Payload;
use polyfn_core::{Error, ErrorKind, Value};
use tokio::time::{Instant, sleep_until, timeout};

use super::Asked;
use super::calling::{Call, Ended, NAMES, RECEIVE, Style, call};
use super::outgoing::{Change, Failure, Outgoing, answered};
use super::upload::{Part, Upload};
use crate::auth::{Ending, TokenError};
use crate::http::functions::{Allowed, Refusal, Turn};
use crate::http::problem::Problem;
use crate::hub::{Callbacks, Called};
use crate::state::State;

/// Calls of `receive`, or of `send`, that an app may have open at a time.
const MAX_OPEN: usize = 16;
/// How long the body of a small request is waited for, to be sent along with the call.
const PATIENCE: Duration = Duration::from_millis(20);

/// Has the app answer a request.
pub(super) async fn answer(asked: &Asked<'_>, style: Style, body: Body) -> Result<Response, Refusal> {
    let state = asked.state;
    let limits = &state.config.limits;
    let own = asked.service.settings.max_request_body.and_then(|own| u64::try_from(own).ok());
    let largest = own.unwrap_or(u64::MAX).min(limits.max_app_body);
    let mut upload = Upload::new(&asked.parts.headers, body, largest)?;
    let turn = Turn::take(asked.state, asked.service)?;
    let callbacks = state.hub.gateway.callbacks(&state.hub, &NAMES);
    let first = if style == Style::Batched { Some(first_part(&mut upload).await?) } else { None };
    let kind = Kind::Http { method: asked.parts.method.as_str() };
    let call = call(asked, kind, style, &callbacks, first)?;
    let (outgoing, answer) = Outgoing::new(asked.parts.method.clone());
    let patience = Allowed::of(limits, asked.service).time;
    let exchange = Exchange {
        state: Arc::clone(state),
        callbacks,
        upload,
        outgoing,
        receiving: VecDeque::new(),
        watching: Vec::new(),
        sending: VecDeque::new(),
        patience,
        grace: limits.app_disconnect_grace.duration().min(patience),
        until: Instant::now() + patience,
        ending: state.tokens.ending(&asked.caller.user.credential),
        _turn: turn,
    };
    tokio::spawn(exchange.run(call));
    answered(asked, answer).await
}

/// What of the body is here, or as good as here.
async fn first_part(upload: &mut Upload) -> Result<Option<Part>, Refusal> {
    if !upload.is_small() {
        return Ok(None);
    }
    Ok(timeout(PATIENCE, upload.next()).await.ok().transpose()?)
}

struct Exchange {
    state: Arc<State>,
    callbacks: Callbacks,
    upload: Upload,
    outgoing: Outgoing,
    /// Calls of `receive` that wait for something to come.
    receiving: VecDeque<Called>,
    /// Calls of `receive` that wait for the end alone.
    watching: Vec<Called>,
    /// Calls of `send` whose message has no room yet.
    sending: VecDeque<(Called, VecDeque<Message>)>,
    patience: Duration,
    /// How long the app may go on when nobody waits for its answer any longer.
    grace: Duration,
    /// When the app must have made some progress; once its answer is complete, or nobody waits for it, when it must
    /// have ended.
    until: Instant,
    /// The end of the token of whoever asked.
    ending: Ending,
    _turn: Turn,
}

impl Exchange {
    async fn run(mut self, mut call: Call) {
        let ended = loop {
            let is_open = self.outgoing.is_open();
            // an answer under way takes as long as it takes
            let is_timed = !(is_open && self.outgoing.has_begun());
            let wants_body = is_open && !self.receiving.is_empty() && !self.upload.is_over();
            let reads_ahead = is_open && self.upload.has_room();
            let has_room = self.sending.len() < MAX_OPEN && self.receiving.len() < MAX_OPEN;
            tokio::select! {
                biased;
                Some(called) = self.callbacks.next(), if has_room => self.take(called),
                change = self.outgoing.change(!self.sending.is_empty()), if is_open => match change {
                    Change::Left => self.left(),
                    Change::Room => self.send(),
                },
                part = self.upload.go_on(wants_body), if wants_body || reads_ahead => match part {
                    Ok(part) => part.into_iter().for_each(|part| self.pass_on(part)),
                    Err(problem) => self.refuse(problem).await,
                },
                () = self.ending.revoked(), if is_open => {
                    let error = Error::new(ErrorKind::PermissionDenied, TokenError::Revoked.to_string());
                    std::mem::replace(&mut self.outgoing, Outgoing::Left).fail(Failure::Call(error)).await;
                    self.left();
                },
                ended = &mut call => break ended,
                () = sleep_until(self.until), if is_timed => {
                    break Err(Error::new(ErrorKind::Timeout, self.why_late()));
                }
            }
        };
        self.end(ended).await;
    }

    fn take(&mut self, called: Called) {
        if called.index == RECEIVE {
            match is_for_the_end(&called.payload) {
                true if self.watching.len() < MAX_OPEN => self.watching.push(called),
                true => called.fail(&Error::new(ErrorKind::Overloaded, "the end is waited for often enough")),
                false => self.receiving.push_back(called),
            }
            return self.tell_the_end();
        }
        match messages(&called.payload) {
            Ok(messages) => {
                self.sending.push_back((called, messages));
                // without a body under way nothing is waited for
                if !matches!(self.outgoing, Outgoing::Body(_)) {
                    self.send();
                }
            }
            Err(error) => called.fail(&error),
        }
    }

    /// Sends one message, for which there is room.
    fn send(&mut self) {
        let Some((_, messages)) = self.sending.front_mut() else { return };
        let was_open = self.outgoing.is_open();
        let sent = messages.pop_front().map_or(Ok(()), |message| self.outgoing.take(message, &self.state));
        let is_done = messages.is_empty();
        if was_open && !self.outgoing.is_open() {
            self.left_or_complete();
        }
        if (is_done || sent.is_err())
            && let Some((called, _)) = self.sending.pop_front()
        {
            match sent {
                Ok(()) => _ = called.answer(Writer::nil),
                Err(error) => called.fail(&error),
            }
        } else if !matches!(self.outgoing, Outgoing::Body(_)) {
            self.send();
        }
    }

    /// Gives a part of the body to the app.
    fn pass_on(&mut self, part: Part) {
        self.until = Instant::now() + self.patience;
        let Some(called) = self.receiving.pop_front() else { return self.upload.give_back(part) };
        if !called.answer(|out| apps::write_request(out, &part.data, part.more)) {
            self.upload.give_back(part);
        }
    }

    /// What is sent is no body that could be passed on, or its sender has left in the middle of it.
    async fn refuse(&mut self, problem: Problem) {
        std::mem::replace(&mut self.outgoing, Outgoing::Left).fail(Failure::Request(problem)).await;
        self.left();
    }

    /// Whoever asked has left.
    fn left(&mut self) {
        self.outgoing.leave();
        self.left_or_complete();
        // what waits for room has it now
        while !self.sending.is_empty() {
            self.send();
        }
    }

    fn left_or_complete(&mut self) {
        let has_left = matches!(self.outgoing, Outgoing::Left);
        self.until = Instant::now() + if has_left { self.grace } else { self.patience };
        self.tell_the_end();
    }

    fn why_late(&self) -> String {
        match self.outgoing {
            Outgoing::Left => format!("the app went on for {} s without a caller", self.grace.as_secs_f64()),
            _ => format!("the app made no progress within {} s", self.patience.as_secs_f64()),
        }
    }

    /// There is nothing more to receive once the answer is complete, or nobody is there for it.
    fn tell_the_end(&mut self) {
        if !self.outgoing.is_open() {
            for called in self.receiving.drain(..).chain(self.watching.drain(..)) {
                called.answer(|out| apps::write_disconnect(out, None));
            }
        }
    }

    /// The call has ended: all that the app has said is in order before that.
    async fn end(mut self, ended: Ended) {
        let failure = match ended {
            Ok(result) => self.send_last(&result).await.err().or_else(|| {
                let text = "the app ended without having sent a complete answer";
                self.outgoing.is_open().then(|| Error::remote(text))
            }),
            Err(error) => Some(error),
        };
        if let Some(error) = failure {
            self.outgoing.fail(Failure::Call(error)).await;
        }
    }

    /// What was sent without waiting, and what the app gave as its result.
    async fn send_last(&mut self, result: &Payload) -> Result<(), Error> {
        let waiting = std::mem::take(&mut self.sending).into_iter().flat_map(|(_, messages)| messages);
        let messages: Vec<Message> = waiting.chain(apps::from_result(result)?).collect();
        for message in messages {
            _ = self.outgoing.change(true).await;
            self.outgoing.take(message, &self.state)?;
        }
        Ok(())
    }
}

/// `receive("http.disconnect")`: takes no part of the body, and is answered when there is nothing more to receive.
fn is_for_the_end(payload: &Payload) -> bool {
    matches!(payload.values(), Ok((args, _)) if matches!(args.as_slice(), [Value::Text(kind)] if kind == "http.disconnect"))
}

/// The message that `send` was called with, or several of them.
fn messages(payload: &Payload) -> Result<VecDeque<Message>, Error> {
    let (mut args, _) = payload.values()?;
    match args.as_mut_slice() {
        [Value::List(messages)] => std::mem::take(messages).into_iter().map(Message::from_value).collect(),
        _ => Message::from_call(payload).map(|message| VecDeque::from([message])),
    }
}
