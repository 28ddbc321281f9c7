//! A websocket of an app, from its opening to its end.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use polyfn_core::apps::{self, Message};
use polyfn_core::codec::Writer;
use polyfn_core::{Error, ErrorKind};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error as SocketError, Message as Frame};

use super::calling::{Call, Ended, RECEIVE};
use crate::auth::handshake::close_reason;
use crate::auth::{Ending, TokenError};
use crate::hub::{Callbacks, Called};
use crate::shutdown::Signal;
use crate::state::State;

/// Messages that may wait for the app, before the client is made to wait.
const MAX_INBOX: usize = 16;
/// Bytes of them; one may be longer.
const MAX_INBOX_BYTES: usize = 1 << 20;
/// Messages of the app that may wait to be written.
const MAX_OUTBOX: usize = 16;
/// How long the other side has to answer a close frame.
const GOODBYE: Duration = Duration::from_secs(5);
/// How long a silent client is left alone before it is asked for a sign of life.
const PING: Duration = Duration::from_secs(20);

type Stream = WebSocketStream<TokioIo<Upgraded>>;
/// What is written, and the call of `send` that waits until it is.
type Outbox = mpsc::Sender<(Frame, Option<Called>)>;

/// What the app is given.
enum Incoming {
    Text(String),
    Binary(Bytes),
    /// The end, with its code and reason.
    End(u16, String),
}

pub(super) struct Socket {
    callbacks: Callbacks,
    receiving: VecDeque<Called>,
    inbox: VecDeque<Incoming>,
    inbox_bytes: usize,
    reader: SplitStream<Stream>,
    outbox: Outbox,
    /// The end, once it is known.
    end: Option<(u16, String)>,
    /// A close frame was sent: until when its answer is waited for.
    closing: Option<Instant>,
    heard: Instant,
    asked: Instant,
    silence: Duration,
    patience: Duration,
    /// How long the app may go on when the client has left.
    grace: Duration,
    signal: Signal,
    /// The end of the token of whoever opened it.
    ending: Ending,
    /// When the app must have ended, once the websocket has.
    until: Option<Instant>,
}

impl Socket {
    pub(super) async fn new(
        state: Arc<State>,
        callbacks: Callbacks,
        receiving: VecDeque<Called>,
        upgraded: Upgraded,
        ending: Ending,
    ) -> Self {
        let limits = &state.config.limits;
        let config = WebSocketConfig::default()
            .max_frame_size(Some(limits.max_frame_size))
            .max_message_size(Some(limits.max_frame_size));
        let stream =
            WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, Some(config)).await;
        let (writer, reader) = stream.split();
        let (outbox, frames) = mpsc::channel(MAX_OUTBOX);
        tokio::spawn(write(writer, frames));
        let now = Instant::now();
        Self {
            callbacks,
            receiving,
            inbox: VecDeque::new(),
            inbox_bytes: 0,
            reader,
            outbox,
            end: None,
            closing: None,
            heard: now,
            asked: now,
            silence: limits.ws_idle_timeout.duration(),
            patience: limits.http_call_timeout.duration(),
            grace: limits.app_disconnect_grace.duration().min(limits.http_call_timeout.duration()),
            signal: state.shutdown.for_session(),
            ending,
            until: None,
        }
    }

    pub(super) async fn run(mut self, mut call: Call) {
        let ended = loop {
            let is_open = self.end.is_none();
            let reads = is_open && self.inbox.len() < MAX_INBOX && self.inbox_bytes < MAX_INBOX_BYTES;
            let alarm = self.alarm(reads);
            tokio::select! {
                biased;
                Some(called) = self.callbacks.next(), if self.outbox.capacity() > 1 || !is_open => self.take(called),
                frame = self.reader.next(), if reads => self.read(frame),
                () = self.signal.finish(), if is_open && self.closing.is_none() => {
                    self.close(1001, "the server stops");
                }
                () = self.ending.revoked(), if is_open && self.closing.is_none() => {
                    self.close(1008, &format!("Authentication error: {}", TokenError::Revoked));
                }
                ended = &mut call => break Some(ended),
                () = sleep_until(alarm) => if self.has_no_time_left(reads) { break None },
            }
        };
        self.finish(ended).await;
    }

    /// When to look after the client next, or after the app.
    fn alarm(&self, reads: bool) -> Instant {
        let far = Instant::now() + self.patience.max(PING);
        match (self.until, self.closing) {
            (Some(until), _) => until,
            (_, Some(closing)) => closing,
            _ if reads => self.heard.max(self.asked) + PING,
            _ => far,
        }
    }

    fn has_no_time_left(&mut self, reads: bool) -> bool {
        let now = Instant::now();
        if self.until.is_some_and(|until| until <= now) {
            return true;
        }
        if self.closing.is_some_and(|closing| closing <= now) {
            self.ends(1006, String::new());
        } else if reads && self.end.is_none() && self.closing.is_none() {
            if !self.silence.is_zero() && now.duration_since(self.heard) >= self.silence {
                self.ends(1006, "the client is silent".to_owned());
            } else {
                self.asked = now;
                _ = self.outbox.try_send((Frame::Ping(Bytes::new()), None));
            }
        }
        false
    }

    fn take(&mut self, called: Called) {
        if called.index == RECEIVE {
            self.receiving.push_back(called);
            return self.hand_out();
        }
        match Message::from_call(&called.payload).and_then(|message| self.frame(message)) {
            Ok(frame) => {
                if let Err(refused) = self.outbox.try_send((frame, Some(called)))
                    && let (_, Some(called)) = refused.into_inner()
                {
                    called.fail(&left());
                }
            }
            Err(error) => called.fail(&error),
        }
    }

    /// What a message of the app is on the wire.
    fn frame(&mut self, message: Message) -> Result<Frame, Error> {
        if self.end.is_some() {
            return Err(left());
        }
        if self.closing.is_some() {
            return Err(Error::invalid("the websocket is closed, nothing can be sent behind that"));
        }
        match message {
            Message::Text(text) => Ok(Frame::text(text)),
            Message::Binary(data) => Ok(Frame::binary(data)),
            Message::Close { code, reason } => {
                if !CloseCode::from(code).is_allowed() {
                    return Err(Error::invalid(format!("{code} is no code to close a websocket with")));
                }
                self.closing = Some(Instant::now() + GOODBYE);
                Ok(close_frame(code, &reason))
            }
            Message::Accept { .. } => Err(Error::invalid("the websocket was accepted already")),
            other => Err(Error::invalid(format!("{other:?} is no message of an open websocket"))),
        }
    }

    fn close(&mut self, code: u16, reason: &str) {
        self.closing = Some(Instant::now() + GOODBYE);
        _ = self.outbox.try_send((close_frame(code, reason), None));
    }

    fn read(&mut self, frame: Option<Result<Frame, SocketError>>) {
        self.heard = Instant::now();
        match frame {
            Some(Ok(Frame::Text(text))) => self.put(text.len(), Incoming::Text(text.as_str().to_owned())),
            Some(Ok(Frame::Binary(data))) => self.put(data.len(), Incoming::Binary(data)),
            Some(Ok(Frame::Close(said))) => {
                let said = said.map_or((1005, String::new()), |said| {
                    (said.code.into(), said.reason.as_str().to_owned())
                });
                // the library has written the answer, our writer sends it
                self.ends(said.0, said.1);
            }
            Some(Ok(_)) => {}
            Some(Err(SocketError::Capacity(_))) => {
                self.close(1009, "the message is too long");
                self.ends(1009, "the message is too long".to_owned());
            }
            Some(Err(_)) | None => self.ends(1006, String::new()),
        }
    }

    fn put(&mut self, size: usize, incoming: Incoming) {
        self.inbox_bytes += size;
        self.inbox.push_back(incoming);
        self.hand_out();
    }

    /// The websocket has ended: the app hears of it behind all that came before.
    fn ends(&mut self, code: u16, reason: String) {
        if self.end.is_none() {
            self.end = Some((code, reason));
            // an app that has closed it by itself may have more to do
            let has_left = self.closing.is_none();
            self.until = Some(Instant::now() + if has_left { self.grace } else { self.patience });
            // the writer ends with what it has: the goodbye, if there is one
            self.outbox = mpsc::channel(1).0;
            self.hand_out();
        }
    }

    /// Gives what has come to whoever waits for it.
    fn hand_out(&mut self) {
        while let Some(called) = self.receiving.pop_front() {
            let incoming = self.inbox.pop_front();
            let end = || self.end.clone().map(|(code, reason)| Incoming::End(code, reason));
            let Some(incoming) = incoming.or_else(end) else { return self.receiving.push_front(called) };
            let was_taken = called.answer(|out| match &incoming {
                Incoming::Text(text) => apps::write_text(out, text),
                Incoming::Binary(data) => apps::write_websocket(out, Some(data)),
                Incoming::End(code, reason) => apps::write_disconnect(out, Some((*code, reason))),
            });
            match incoming {
                Incoming::End(..) => {}
                // nobody waited any longer: it is for the next who asks
                incoming if !was_taken => self.inbox.push_front(incoming),
                Incoming::Text(text) => self.inbox_bytes -= text.len(),
                Incoming::Binary(data) => self.inbox_bytes -= data.len(),
            }
        }
    }

    /// The app has ended: so does the websocket, if it has not yet.
    async fn finish(mut self, ended: Option<Ended>) {
        if self.end.is_some() {
            return;
        }
        if self.closing.is_none() {
            match ended {
                Some(Ok(_)) => self.close(1000, ""),
                Some(Err(error)) => {
                    tracing::warn!(%error, "the app of a websocket failed");
                    self.close(1011, "");
                }
                None => self.close(1001, ""),
            }
        }
        // the other side says goodbye too, whatever it has said before
        let Self { mut reader, outbox, .. } = self;
        _ = timeout(GOODBYE, async move {
            while reader.next().await.is_some_and(|frame| frame.is_ok()) {}
            drop(outbox);
        })
        .await;
    }
}

fn left() -> Error {
    Error::new(ErrorKind::PeerGone, "the websocket has ended, nobody hears what is sent")
}

fn close_frame(code: u16, reason: &str) -> Frame {
    Frame::Close(Some(CloseFrame { code: code.into(), reason: close_reason(reason).into() }))
}

/// Writes one after the other; a slow client slows the app.
async fn write(mut sink: SplitSink<Stream, Frame>, mut frames: mpsc::Receiver<(Frame, Option<Called>)>) {
    while let Some((frame, called)) = frames.recv().await {
        let written = sink.send(frame).await;
        match (written, called) {
            (Ok(()), Some(called)) => _ = called.answer(Writer::nil),
            (Err(_), Some(called)) => called.fail(&left()),
            _ => {}
        }
    }
    _ = sink.close().await;
}
