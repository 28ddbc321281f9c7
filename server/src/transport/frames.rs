//! The two halves of a websocket.
//!
//! Frames of a server are not masked, so writing them is a head of a few bytes and the payload: what waits leaves in one
//! write, long payloads are not copied, and an idle connection keeps no buffer for what it once sent or read.

use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use polyfn_core::net::frame::{BINARY, CLOSE, Inlet, PING, PONG, Sender, TEXT, put_head};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::task::coop;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::{Error as SocketError, Message};

use crate::auth::handshake::close_reason;
use crate::hub::Item;

/// Bytes of messages after which the task that reads them writes what has come of them.
const TURN: usize = 256 << 10;
/// Payloads up to this size are copied behind each other, longer ones are written from where they are.
const COPIED: usize = 16 << 10;
/// How long the other side has to answer a close frame.
const GOODBYE: Duration = Duration::from_secs(1);

/// The reading half.
pub(super) struct Reader {
    socket: OwnedReadHalf,
    inlet: Inlet,
    /// Bytes that may still come from somebody unknown.
    left: Option<usize>,
    /// Bytes of messages in this turn.
    taken: usize,
    has_ended: bool,
}

/// The writing half.
pub(super) struct Writer(OwnedWriteHalf);

/// The two halves of `stream`, of which `read` was read already.
///
/// Until [`Reader::trust`] no more than `first` bytes are taken in.
pub(super) fn split(stream: TcpStream, read: Vec<u8>, first: usize, max_frame: usize) -> (Reader, Writer) {
    let (socket, writer) = stream.into_split();
    let left = Some(first.saturating_sub(read.len()));
    let inlet = Inlet::new(Sender::Client, max_frame, read);
    (Reader { socket, inlet, left, taken: 0, has_ended: false }, Writer(writer))
}

impl Reader {
    /// The next message; `None` when the connection has ended.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub(super) async fn next(&mut self) -> Option<Result<Message, SocketError>> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Message, SocketError>>> {
        // the same task writes, and must come to that between many small frames, and between long ones
        let turn = ready!(coop::poll_proceed(cx));
        if self.taken > TURN {
            self.taken = 0;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        while !self.has_ended {
            if let Some(message) = self.inlet.next_message().transpose() {
                self.taken += message.as_ref().map_or(0, Message::len);
                self.has_ended = message.is_err();
                turn.made_progress();
                return Poll::Ready(Some(message));
            }
            let read = self.inlet.poll_fill(self.socket.as_ref(), cx);
            if read.is_pending() {
                self.taken = 0;
            }
            match ready!(read).and_then(|count| self.charge(count)) {
                Ok(count) => self.has_ended = count == 0,
                Err(error) => {
                    self.has_ended = true;
                    return Poll::Ready(Some(Err(error.into())));
                }
            }
        }
        Poll::Ready(None)
    }

    fn charge(&mut self, count: usize) -> io::Result<usize> {
        if let Some(left) = &mut self.left {
            *left = left.checked_sub(count).ok_or(io::ErrorKind::FileTooLarge)?;
        }
        Ok(count)
    }

    /// Lets frames of any allowed length come: it is known now who sends them.
    pub(super) fn trust(&mut self) {
        self.left = None;
    }
}

impl Writer {
    /// Writes all items, the small ones together.
    pub(super) async fn write(&mut self, items: Vec<Item>) -> io::Result<()> {
        let mut out = Vec::with_capacity(items.iter().map(room).sum());
        for item in items {
            match item {
                Item::Frame(frame) if frame.len() > COPIED => {
                    put_head(&mut out, BINARY, frame.len(), None);
                    let mut both = Bytes::from(std::mem::take(&mut out)).chain(frame);
                    self.0.write_all_buf(&mut both).await?;
                }
                Item::Frame(frame) => put(&mut out, BINARY, &frame),
                Item::Text(text) => put(&mut out, TEXT, text.as_bytes()),
                Item::Ping => put(&mut out, PING, &[]),
                Item::Pong(payload) => put(&mut out, PONG, &payload),
            }
        }
        if out.is_empty() { Ok(()) } else { self.0.write_all(&out).await }
    }

    /// Writes the error message that is to be told, and the close frame with as much of the reason as fits.
    pub(super) async fn close(&mut self, code: u16, reason: &str, told: Option<String>) -> io::Result<()> {
        let mut out = Vec::new();
        if let Some(text) = told {
            put(&mut out, TEXT, text.as_bytes());
        }
        let payload = [&code.to_be_bytes(), close_reason(reason).as_bytes()].concat();
        put(&mut out, CLOSE, &payload);
        self.0.write_all(&out).await
    }
}

/// Lets the other side hear our last words: what is closed with unread bytes is torn down at once, and what was on
/// its way with it. So we read on, for a moment, whatever comes.
pub(super) async fn drain(reader: Reader, mut writer: Writer) {
    let mut stream = reader.socket;
    _ = timeout(GOODBYE, async {
        _ = writer.0.shutdown().await;
        let mut scrap = vec![0; 64 << 10];
        while stream.read(&mut scrap).await.is_ok_and(|read| read > 0) {}
    })
    .await;
}

/// Bytes that an item takes in the buffer.
fn room(item: &Item) -> usize {
    const HEAD_MAX: usize = 10;
    HEAD_MAX + if item.len() > COPIED { 0 } else { item.len() }
}

fn put(out: &mut Vec<u8>, kind: u8, payload: &[u8]) {
    put_head(out, kind, payload.len(), None);
    out.extend_from_slice(payload);
}
