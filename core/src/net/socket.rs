//! A TCP socket on which a frame may be sent from any thread.
//!
//! Waking the driver costs a lone call two thread switches on each side. When nothing else is under way, the thread
//! that has a frame writes it by itself; what the socket does not take at once, the driver sends.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::transport::Direct;

/// Frames above this go through the driver, which does not hold the caller up.
const SMALL: usize = 64 << 10;

#[derive(Debug)]
struct Inner {
    socket: TcpStream,
    /// What the socket did not take yet: always whole frames, but for the part of the first that is sent.
    unsent: Mutex<Vec<u8>>,
}

/// Handles of one socket: the driver reads and writes by [`AsyncRead`] and [`AsyncWrite`], others by [`Direct`].
#[derive(Clone, Debug)]
pub(super) struct SharedSocket(Arc<Inner>);

impl SharedSocket {
    pub(super) fn new(socket: TcpStream) -> Self {
        Self(Arc::new(Inner { socket, unsent: Mutex::default() }))
    }

    /// Writes `bytes` behind what is unsent; what does not go now is kept.
    fn write(&self, bytes: &[u8]) -> io::Result<()> {
        let mut unsent = self.0.unsent.lock();
        let mut sent = 0;
        while unsent.is_empty() && sent < bytes.len() {
            match self.0.socket.try_write(&bytes[sent..]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => sent += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        unsent.extend_from_slice(&bytes[sent..]);
        Ok(())
    }

    fn poll_unsent(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            if self.0.unsent.lock().is_empty() {
                return Poll::Ready(Ok(()));
            }
            ready!(self.0.socket.poll_write_ready(cx))?;
            let mut unsent = self.0.unsent.lock();
            match self.0.socket.try_write(&unsent) {
                Ok(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Ok(count) => drop(unsent.drain(..count)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl Direct for SharedSocket {
    fn send_now(&self, frame: &Bytes) -> bool {
        if frame.len() > SMALL || !self.0.unsent.lock().is_empty() {
            return false;
        }
        self.write(&masked(frame)).is_ok()
    }

    fn has_unsent(&self) -> bool {
        !self.0.unsent.lock().is_empty()
    }
}

/// A binary frame of a client (RFC 6455 section 5.2): whole, and masked with a fresh key.
fn masked(frame: &Bytes) -> Vec<u8> {
    const BINARY: u8 = 0x82;
    const MASKED: u8 = 0x80;
    let mut out = Vec::with_capacity(frame.len() + 14);
    out.push(BINARY);
    match frame.len() {
        len @ 0..126 => out.push(MASKED | len as u8),
        len @ 126..0x1_0000 => {
            out.push(MASKED | 126);
            out.extend_from_slice(&(len as u16).to_be_bytes());
        }
        len => {
            out.push(MASKED | 127);
            out.extend_from_slice(&(len as u64).to_be_bytes());
        }
    }
    let key: [u8; 4] = rand::random();
    out.extend_from_slice(&key);
    let start = out.len();
    out.extend_from_slice(frame);
    out[start..].iter_mut().zip(key.iter().cycle()).for_each(|(byte, key)| *byte ^= key);
    out
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
        self.write(bytes)?;
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
