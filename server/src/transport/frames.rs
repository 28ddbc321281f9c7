//! The two halves of a websocket: tungstenite reads, we write.
//!
//! Frames of a server are not masked, so writing them is a head of a few bytes and the payload: done here, what waits
//! leaves in one write, long payloads are not copied, and an idle connection keeps no buffer for what it once sent.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use futures_util::StreamExt;
use polyfn_core::net::frame::{BINARY, CLOSE, PING, PONG, TEXT, put_head};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::task::coop;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error as SocketError, Message};

use crate::auth::handshake::close_reason;
use crate::hub::Item;

/// Bytes read at once. An idle connection holds this much, so it is small.
const READ_BUFFER: usize = 2 << 10;
/// Bytes read at once as long as more come than are asked for: a long frame in small pieces costs a call each.
const AHEAD: usize = 64 << 10;
/// Payloads up to this size are copied behind each other, longer ones are written from where they are.
const COPIED: usize = 16 << 10;
/// How long the other side has to answer a close frame.
const GOODBYE: Duration = Duration::from_secs(1);

/// The reading half.
pub(super) struct Reader(WebSocketStream<ReadOnly>);

/// The writing half.
pub(super) struct Writer(OwnedWriteHalf);

/// The two halves of `stream`, of which `read` was read already.
///
/// Until [`Reader::trust`] no more than `first` bytes are taken in.
pub(super) async fn split(
    stream: TcpStream,
    read: Vec<u8>,
    first: usize,
    max_frame: usize,
) -> (Reader, Writer) {
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER)
        .max_frame_size(Some(max_frame))
        .max_message_size(Some(max_frame));
    let (reader, writer) = stream.into_split();
    let left = Some(first.saturating_sub(read.len()));
    let source = ReadOnly { socket: reader, left, ahead: BytesMut::new(), is_long: false };
    let socket = WebSocketStream::from_partially_read(source, read, Role::Server, Some(config));
    (Reader(socket.await), Writer(writer))
}

impl Reader {
    /// The next message; `None` when the connection has ended.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub(super) async fn next(&mut self) -> Option<Result<Message, SocketError>> {
        self.0.next().await
    }

    /// Lets frames of any allowed length come: it is known now who sends them.
    pub(super) fn trust(&mut self) {
        self.0.get_mut().left = None;
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
    let mut stream = reader.0.into_inner().socket;
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

/// The socket as tungstenite sees it. What it writes by itself (pongs, answers to a close) goes nowhere: our writer
/// does that.
struct ReadOnly {
    socket: OwnedReadHalf,
    /// Bytes that may still come from somebody unknown.
    left: Option<usize>,
    /// Read and not asked for yet; nothing is kept here while nothing comes.
    ahead: BytesMut,
    /// The last read gave all that there was room for: there is more.
    is_long: bool,
}

impl ReadOnly {
    /// Reads into what was asked for, and not beyond it.
    fn read_directly(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let (before, room) = (buf.filled().len(), buf.remaining());
        let read = Pin::new(&mut self.socket).poll_read(cx, buf);
        let count = buf.filled().len() - before;
        self.is_long = count == room;
        if let Some(left) = &mut self.left {
            match left.checked_sub(count) {
                Some(rest) => *left = rest,
                None => return Poll::Ready(Err(io::ErrorKind::FileTooLarge.into())),
            }
        }
        read
    }

    /// Reads more than was asked for; the rest is there for the next time.
    fn read_ahead(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut ahead = BytesMut::with_capacity(AHEAD);
        let read = std::pin::pin!(self.socket.read_buf(&mut ahead)).poll(cx);
        self.is_long = ahead.len() == AHEAD;
        self.ahead = ahead;
        self.give(buf);
        read.map_ok(|_| ())
    }

    /// Gives what was read already.
    fn give(&mut self, buf: &mut ReadBuf<'_>) {
        let count = self.ahead.len().min(buf.remaining());
        buf.put_slice(&self.ahead[..count]);
        self.ahead.advance(count);
        if self.ahead.is_empty() {
            self.ahead = BytesMut::new();
        }
    }
}

impl AsyncRead for ReadOnly {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.ahead.is_empty() {
            // as a read of the socket would be: the same task writes, and must come to that between many small frames
            let turn = ready!(coop::poll_proceed(cx));
            self.give(buf);
            turn.made_progress();
            return Poll::Ready(Ok(()));
        }
        if self.is_long && self.left.is_none() {
            self.read_ahead(cx, buf)
        } else {
            self.read_directly(cx, buf)
        }
    }
}

impl AsyncWrite for ReadOnly {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
