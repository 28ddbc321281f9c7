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
use futures_util::Sink;
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::frame::{BINARY, CLOSE, TEXT, put_masked};
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
}

/// Handles of one socket: a websocket library reads by [`AsyncRead`] and answers pings by [`AsyncWrite`], the driver sends
/// by [`Sink`], others by [`Direct`].
#[derive(Clone, Debug)]
pub(super) struct SharedSocket(Arc<Inner>);

impl SharedSocket {
    pub(super) fn new(socket: TcpStream) -> Self {
        Self(Arc::new(Inner { socket, unsent: Mutex::default() }))
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

impl AsyncRead for SharedSocket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            ready!(self.0.socket.poll_read_ready(cx))?;
            match self.0.socket.try_read(into.initialize_unfilled()) {
                Ok(count) => {
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
    use futures_util::StreamExt;
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
            tokio::io::AsyncWriteExt::flush(&mut flushing).await.unwrap();
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
        let flushed = tokio::spawn(async move { tokio::io::AsyncWriteExt::flush(&mut flushing).await });
        for number in 0..count {
            assert_eq!(other.next().await.unwrap().unwrap().into_data(), frame(number));
        }
        flushed.await.unwrap().unwrap();
        assert!(!socket.has_unsent());
    }
}
