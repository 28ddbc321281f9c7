//! A TCP socket on which a frame may be sent from any thread.
//!
//! Waking the driver costs a lone call two thread switches on each side. When nothing else is under way, the thread
//! that has a frame writes it by itself; what the socket does not take at once, the driver sends. Everything that is to
//! leave waits in one buffer, masked on its way there.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::{Sink, Stream};
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::{self, Message as Frame};

use super::frame::{BINARY, CLOSE, Inlet, PONG, Sender, TEXT, put_masked};
use super::transport::{Direct, Message};
use crate::{Error, ErrorKind};

/// Frames above this go through the driver, which does not hold the caller up.
const SMALL: usize = 64 << 10;
/// So many bytes are not kept waiting for more that could leave with them.
const ENOUGH: usize = 64 << 10;
/// Memory for what is to leave that is kept when nothing is.
const KEPT: usize = 1 << 20;
/// Code of an ordinary end (RFC 6455 section 7.4.1).
const NORMAL: u16 = 1000;
/// Bytes of a reason that have room in the frame that ends a connection.
const REASON_MAX: usize = 123;

/// What the socket did not take yet: always whole frames, but for the part of the first that is sent.
#[derive(Debug, Default)]
struct Unsent {
    bytes: Vec<u8>,
    /// Bytes of it that have left.
    gone: usize,
}

impl Unsent {
    fn len(&self) -> usize {
        self.bytes.len() - self.gone
    }

    /// Gives the socket what it takes.
    fn leave(&mut self, socket: &TcpStream) -> io::Result<()> {
        while self.gone < self.bytes.len() {
            match socket.try_write(&self.bytes[self.gone..]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => self.gone += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.gone = 0;
        self.bytes.clear();
        self.bytes.shrink_to(KEPT);
        Ok(())
    }
}

#[derive(Debug)]
struct Inner {
    socket: TcpStream,
    unsent: Mutex<Unsent>,
    /// What was read by [`AsyncRead`].
    read: Mutex<Vec<u8>>,
}

/// Handles of one socket: a library does the handshake by [`AsyncRead`] and [`AsyncWrite`], the driver reads by
/// [`Incoming`] and sends by [`Sink`], others by [`Direct`].
#[derive(Clone, Debug)]
pub(super) struct SharedSocket(Arc<Inner>);

impl SharedSocket {
    pub(super) fn new(socket: TcpStream) -> Self {
        Self(Arc::new(Inner { socket, unsent: Mutex::default(), read: Mutex::default() }))
    }

    /// The messages that come after the handshake.
    pub(super) fn incoming(&self, max: usize) -> Incoming {
        const END: &[u8] = b"\r\n\r\n";
        let mut read = std::mem::take(&mut *self.0.read.lock());
        // the library may have read more than the answer to the handshake, and keeps it to itself
        let end =
            read.windows(END.len()).position(|bytes| bytes == END).map_or(read.len(), |at| at + END.len());
        let inlet = Inlet::new(Sender::Server, max, read.split_off(end));
        Incoming { socket: self.clone(), inlet, is_answering: false, has_ended: false }
    }

    fn poll_unsent(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            if self.0.unsent.lock().len() == 0 {
                return Poll::Ready(Ok(()));
            }
            ready!(self.0.socket.poll_write_ready(cx))?;
            self.0.unsent.lock().leave(&self.0.socket)?;
        }
    }
}

impl Direct for SharedSocket {
    fn send_now(&self, frame: &Bytes) -> bool {
        let mut unsent = self.0.unsent.lock();
        if frame.len() > SMALL || unsent.len() > 0 {
            return false;
        }
        put_masked(&mut unsent.bytes, BINARY, frame);
        // what goes wrong here, the driver meets as well
        unsent.leave(&self.0.socket).is_ok()
    }

    fn has_unsent(&self) -> bool {
        self.0.unsent.lock().len() > 0
    }
}

fn broken(error: &io::Error) -> Error {
    Error::new(ErrorKind::PeerGone, format!("the connection broke: {error}"))
}

impl Sink<Message> for SharedSocket {
    type Error = Error;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        if self.0.unsent.lock().len() < ENOUGH {
            return Poll::Ready(Ok(()));
        }
        self.poll_unsent(cx).map_err(|error| broken(&error))
    }

    fn start_send(self: Pin<&mut Self>, message: Message) -> Result<(), Error> {
        let mut unsent = self.0.unsent.lock();
        match message {
            Message::Text(text) => put_masked(&mut unsent.bytes, TEXT, text.as_bytes()),
            Message::Binary(frame) => put_masked(&mut unsent.bytes, BINARY, &frame),
            Message::Close(reason) => {
                let reason = &reason.as_bytes()[..reason.floor_char_boundary(REASON_MAX)];
                put_masked(&mut unsent.bytes, CLOSE, &[&NORMAL.to_be_bytes(), reason].concat());
            }
        }
        if unsent.len() < ENOUGH {
            Ok(())
        } else {
            unsent.leave(&self.0.socket).map_err(|error| broken(&error))
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.poll_unsent(cx).map_err(|error| broken(&error))
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        // the other side learns of the end when the last handle closes the socket
        self.poll_unsent(cx).map_err(|error| broken(&error))
    }
}

/// Messages that come in; pings are answered.
pub(super) struct Incoming {
    socket: SharedSocket,
    inlet: Inlet,
    /// The answer to a ping has not left.
    is_answering: bool,
    has_ended: bool,
}

impl Incoming {
    /// Answers a ping; what the socket does not take now leaves when there is room.
    fn pong(&mut self, payload: &[u8], cx: &mut Context<'_>) {
        put_masked(&mut self.socket.0.unsent.lock().bytes, PONG, payload);
        self.answer(cx);
    }

    fn answer(&mut self, cx: &mut Context<'_>) {
        // what goes wrong here, whoever sends or reads meets as well
        self.is_answering = self.socket.poll_unsent(cx).is_pending();
    }
}

impl Stream for Incoming {
    type Item = Result<Frame, tungstenite::Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.is_answering {
            self.answer(cx);
        }
        while !self.has_ended {
            let this = &mut *self;
            match this.inlet.next_message().transpose() {
                Some(Ok(Frame::Ping(payload))) => self.pong(&payload, cx),
                Some(message) => {
                    self.has_ended = message.is_err();
                    return Poll::Ready(Some(message));
                }
                None => match ready!(this.inlet.poll_fill(&this.socket.0.socket, cx)) {
                    Ok(count) => self.has_ended = count == 0,
                    Err(error) => {
                        self.has_ended = true;
                        return Poll::Ready(Some(Err(error.into())));
                    }
                },
            }
        }
        Poll::Ready(None)
    }
}

impl AsyncRead for SharedSocket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            ready!(self.0.socket.poll_read_ready(cx))?;
            match self.0.socket.try_read(into.initialize_unfilled()) {
                Ok(count) => {
                    self.0.read.lock().extend_from_slice(&into.initialize_unfilled()[..count]);
                    into.advance(count);
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl AsyncWrite for SharedSocket {
    /// Takes all bytes or none, so that a frame written from another thread never comes between two parts of one.
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_unsent(cx))?;
        let mut unsent = self.0.unsent.lock();
        unsent.bytes.extend_from_slice(bytes);
        unsent.leave(&self.0.socket)?;
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_unsent(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_unsent(cx))?;
        // The other side learns of the end when the last handle closes the socket.
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{SinkExt, StreamExt};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio_tungstenite::WebSocketStream;
    use tokio_tungstenite::tungstenite::protocol::Role;

    use super::*;

    /// A socket, and the other end as a websocket.
    async fn pair() -> (SharedSocket, WebSocketStream<TcpStream>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let socket = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (other, _) = listener.accept().await.unwrap();
        socket.writable().await.unwrap();
        (SharedSocket::new(socket), WebSocketStream::from_raw_socket(other, Role::Server, None).await)
    }

    #[tokio::test]
    async fn frames_of_every_length_arrive_whole() {
        let (socket, mut other) = pair().await;
        for len in [0, 1, 125, 126, 127, 0xffff, 0x1_0000, SMALL] {
            let frame: Bytes = (0..len).map(|at| (at % 251) as u8).collect();
            let sending = tokio::task::spawn_blocking({
                let (socket, frame) = (socket.clone(), frame.clone());
                move || socket.send_now(&frame)
            });
            assert!(sending.await.unwrap(), "{len}");
            let mut flushing = socket.clone();
            AsyncWriteExt::flush(&mut flushing).await.unwrap();
            assert_eq!(other.next().await.unwrap().unwrap().into_data(), frame, "{len}");
        }
    }

    #[tokio::test]
    async fn what_the_socket_does_not_take_is_sent_later_and_in_order() {
        let (socket, mut other) = pair().await;
        let frame = |number: u8| Bytes::from(vec![number; SMALL]);
        let mut count = 0u8;
        while !socket.has_unsent() {
            assert!(socket.send_now(&frame(count)));
            count += 1;
        }
        assert!(!socket.send_now(&frame(count)), "nothing may overtake what waits");
        let mut flushing = socket.clone();
        let flushed = tokio::spawn(async move { AsyncWriteExt::flush(&mut flushing).await });
        for number in 0..count {
            assert_eq!(other.next().await.unwrap().unwrap().into_data(), frame(number));
        }
        flushed.await.unwrap().unwrap();
        assert!(!socket.has_unsent());
    }

    #[tokio::test]
    async fn pings_are_answered_between_messages() {
        let (socket, mut other) = pair().await;
        let mut incoming = socket.incoming(1000);
        other.send(Frame::Ping("there?".into())).await.unwrap();
        other.send(Frame::Binary("work".into())).await.unwrap();
        assert_eq!(incoming.next().await.unwrap().unwrap().into_data(), "work");
        assert_eq!(other.next().await.unwrap().unwrap(), Frame::Pong("there?".into()));
        drop(other);
        assert!(incoming.next().await.is_none_or(|end| end.is_err()));
        assert!(incoming.next().await.is_none());
    }

    #[tokio::test]
    async fn what_comes_with_the_handshake_is_not_lost() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let socket = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (mut other, _) = listener.accept().await.unwrap();
        let mut socket = SharedSocket::new(socket);
        other.write_all(b"HTTP/1.1 101 Switching Protocols\r\n\r\n\x82\x01a").await.unwrap();
        let mut read = Vec::new();
        while !read.ends_with(b"a") {
            socket.read_buf(&mut read).await.unwrap();
        }
        let message = socket.incoming(1000).next().await.unwrap().unwrap();
        assert_eq!(message.into_data(), "a");
    }
}
