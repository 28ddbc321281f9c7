//! Websocket messages as they are read (RFC 6455 sections 5 and 7).
//!
//! It is given bytes, by a socket or by hand, and asked for messages. A library that reads by itself empties its memory before each
//! read and takes long messages in small pieces; here a long message is read to where it stays.

use std::io::{self, Cursor};
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::error::{CapacityError, Error, ProtocolError};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::FrameHeader;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{CloseCode, Control, Data, OpCode};
use tokio_tungstenite::tungstenite::{Message, Result, Utf8Bytes};

use super::mask;

/// Bytes that there is room for when nothing is known of what comes.
const ROOM: usize = 2 << 10;
/// The same where more comes than there was room for.
const MORE_ROOM: usize = 16 << 10;
/// Bytes of a frame that there is room for before any of them is here.
const ROOM_AHEAD: usize = 1 << 20;
/// Bytes of a control frame (RFC 6455 section 5.5).
const CONTROL_MAX: u64 = 125;

/// Who sends what is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    /// Its frames must be masked.
    Client,
    /// Its frames must not be.
    Server,
}

/// What has come of a message whose end has not.
#[derive(Debug)]
struct Begun {
    kind: Data,
    payload: BytesMut,
}

/// Makes messages of the bytes of one sender.
#[derive(Debug)]
pub struct Inlet {
    sender: Sender,
    /// Bytes of a message.
    max: usize,
    buffer: BytesMut,
    /// The frame whose payload is being read.
    frame: Option<(FrameHeader, usize)>,
    begun: Option<Begun>,
    /// The last read filled all the room there was.
    is_full: bool,
}

impl Inlet {
    /// Of `read` bytes that are here already; no message may be longer than `max` bytes.
    pub fn new(sender: Sender, max: usize, read: Vec<u8>) -> Self {
        let buffer = BytesMut::from(Bytes::from(read));
        Self { sender, max, buffer, frame: None, begun: None, is_full: false }
    }

    /// Reads more bytes by `read`, which appends them and says how many there were. While nothing comes no memory is held.
    ///
    /// # Errors
    /// What `read` says.
    pub fn fill<E>(&mut self, read: impl FnOnce(&mut BytesMut) -> Result<usize, E>) -> Result<usize, E> {
        let few = if self.is_full { MORE_ROOM } else { ROOM };
        let rest = self.frame.as_ref().map_or(0, |(_, len)| len.saturating_sub(self.buffer.len()));
        self.buffer.reserve(rest.min(ROOM_AHEAD).max(few));
        let room = self.buffer.capacity() - self.buffer.len();
        let count = read(&mut self.buffer);
        self.is_full = count.as_ref().is_ok_and(|count| *count == room);
        if self.buffer.is_empty() {
            self.buffer = BytesMut::new();
        }
        count
    }

    /// Reads what a socket has; 0 is its end.
    ///
    /// # Errors
    /// What the socket says.
    pub fn poll_fill(&mut self, socket: &TcpStream, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        loop {
            ready!(socket.poll_read_ready(cx))?;
            match self.fill(|buffer| socket.try_read_buf(buffer)) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                read => return Poll::Ready(read),
            }
        }
    }

    /// The next message, as soon as all of it is here. After an error there is no other.
    ///
    /// # Errors
    /// `Capacity` for a message that is too long, `Protocol` and `Utf8` for what is no message.
    ///
    /// ```
    /// use polyfn_core::net::frame::{BINARY, Inlet, Sender, put_head};
    /// let mut bytes = Vec::new();
    /// put_head(&mut bytes, BINARY, 3, None);
    /// let mut inlet = Inlet::new(Sender::Server, 1024, bytes);
    /// assert_eq!(inlet.next_message()?, None);
    /// inlet.fill(|buffer| { buffer.extend_from_slice(b"abc"); Ok::<_, std::io::Error>(3) })?;
    /// assert_eq!(inlet.next_message()?, Some("abc".as_bytes().into()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn next_message(&mut self) -> Result<Option<Message>> {
        loop {
            let Some((head, payload)) = self.next_frame()? else { return Ok(None) };
            if let Some(message) = self.take(&head, payload)? {
                return Ok(Some(message));
            }
        }
    }

    fn next_frame(&mut self) -> Result<Option<(FrameHeader, BytesMut)>> {
        if self.frame.is_none() {
            let mut cursor = Cursor::new(&self.buffer);
            let Some((head, len)) = FrameHeader::parse(&mut cursor)? else { return Ok(None) };
            let read = cursor.position() as usize;
            self.buffer.advance(read);
            let len = self.check(&head, len)?;
            self.frame = Some((head, len));
        }
        let Some((head, len)) = self.frame.take_if(|(_, len)| *len <= self.buffer.len()) else {
            return Ok(None);
        };
        let mut payload = self.buffer.split_to(len);
        match (self.sender, head.mask) {
            (Sender::Client, Some(key)) => mask(&mut payload, key),
            (Sender::Client, None) => return Err(ProtocolError::UnmaskedFrameFromClient.into()),
            (Sender::Server, None) => {}
            (Sender::Server, Some(_)) => return Err(ProtocolError::MaskedFrameFromServer.into()),
        }
        Ok(Some((head, payload)))
    }

    /// The length of a frame, unless it is too long, or the message becomes so by it.
    fn check(&self, head: &FrameHeader, len: u64) -> Result<usize> {
        if matches!(head.opcode, OpCode::Control(_)) {
            return if len > CONTROL_MAX {
                Err(ProtocolError::ControlFrameTooBig.into())
            } else {
                Ok(len as usize)
            };
        }
        let before = self.begun.as_ref().map_or(0, |begun| begun.payload.len());
        let size = usize::try_from(len).unwrap_or(usize::MAX).saturating_add(before);
        if size > self.max {
            return Err(CapacityError::MessageTooLong { size, max_size: self.max }.into());
        }
        Ok(size - before)
    }

    fn take(&mut self, head: &FrameHeader, payload: BytesMut) -> Result<Option<Message>> {
        if head.rsv1 || head.rsv2 || head.rsv3 {
            return Err(ProtocolError::NonZeroReservedBits.into());
        }
        match head.opcode {
            OpCode::Control(control) => control_message(control, head.is_final, payload.freeze()).map(Some),
            OpCode::Data(data) => self.take_data(data, head.is_final, payload),
        }
    }

    fn take_data(&mut self, data: Data, is_final: bool, payload: BytesMut) -> Result<Option<Message>> {
        let all = match (data, self.begun.take()) {
            (Data::Continue, None) => return Err(ProtocolError::UnexpectedContinueFrame.into()),
            (Data::Continue, Some(mut begun)) => {
                begun.payload.unsplit(payload);
                begun
            }
            (_, Some(_)) => return Err(ProtocolError::ExpectedFragment(data).into()),
            (Data::Reserved(kind), _) => return Err(ProtocolError::UnknownDataFrameType(kind).into()),
            (kind, None) => Begun { kind, payload },
        };
        if !is_final {
            self.begun = Some(all);
            return Ok(None);
        }
        let payload = all.payload.freeze();
        Ok(Some(if all.kind == Data::Text {
            Message::Text(payload.try_into()?)
        } else {
            Message::Binary(payload)
        }))
    }
}

fn control_message(control: Control, is_final: bool, payload: Bytes) -> Result<Message> {
    if !is_final {
        return Err(ProtocolError::FragmentedControlFrame.into());
    }
    Ok(match control {
        Control::Ping => Message::Ping(payload),
        Control::Pong => Message::Pong(payload),
        Control::Close => Message::Close(close(payload)?),
        Control::Reserved(kind) => return Err(ProtocolError::UnknownControlFrameType(kind).into()),
    })
}

/// A code that nobody may send counts as a breach of the protocol (RFC 6455 section 7.4).
fn close(mut payload: Bytes) -> Result<Option<CloseFrame>> {
    if payload.is_empty() {
        return Ok(None);
    }
    let code = payload.try_get_u16().map_err(|_| Error::from(ProtocolError::InvalidCloseSequence))?;
    let (code, reason) = (CloseCode::from(code), Utf8Bytes::try_from(payload)?);
    if code.is_allowed() {
        return Ok(Some(CloseFrame { code, reason }));
    }
    Ok(Some(CloseFrame { code: CloseCode::Protocol, reason: Utf8Bytes::from_static("Protocol violation") }))
}

#[cfg(test)]
mod tests;
