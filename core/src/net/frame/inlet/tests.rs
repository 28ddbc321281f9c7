//! What is read, beside what the library reads of the same bytes.

use std::io::{self, Read, Write};

use proptest::prelude::*;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocket, WebSocketConfig};

use super::*;
use crate::net::frame::{put_head, put_masked};

const MAX: usize = 1000;
const BROKEN: &str = "broken";

/// Bytes that come in pieces of some length, and then no more.
struct Line {
    bytes: Vec<u8>,
    piece: usize,
}

impl Read for Line {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.bytes.len().min(self.piece).min(into.len());
        if count == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        into[..count].copy_from_slice(&self.bytes[..count]);
        self.bytes.drain(..count);
        Ok(count)
    }
}

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What the messages are, up to the first that ends it all: an error or a close.
fn told(mut next: impl FnMut() -> Option<Result<Message>>) -> Vec<String> {
    let mut all = Vec::new();
    while let Some(message) = next() {
        let is_over = !matches!(&message, Ok(message) if !message.is_close());
        all.push(
            message.map_or_else(|error| format!("{BROKEN} {error:?}"), |message| format!("{message:?}")),
        );
        if is_over {
            break;
        }
    }
    all
}

fn ours(sender: Sender, bytes: &[u8], piece: usize) -> Vec<String> {
    let mut inlet = Inlet::new(sender, MAX, Vec::new());
    let mut line = Line { bytes: bytes.to_vec(), piece };
    told(|| {
        loop {
            if let Some(message) = inlet.next_message().transpose() {
                return Some(message);
            }
            let read = inlet.fill(|buffer| {
                let mut piece = vec![0; buffer.capacity() - buffer.len()];
                let count = line.read(&mut piece)?;
                buffer.extend_from_slice(&piece[..count]);
                io::Result::Ok(count)
            });
            read.ok()?;
        }
    })
}

fn theirs(sender: Sender, bytes: &[u8], piece: usize) -> Vec<String> {
    let role = if sender == Sender::Client { Role::Server } else { Role::Client };
    let config = WebSocketConfig::default().max_frame_size(Some(MAX)).max_message_size(Some(MAX));
    let line = Line { bytes: bytes.to_vec(), piece };
    let mut socket = WebSocket::from_raw_socket(line, role, Some(config));
    told(|| match socket.read() {
        Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => None,
        message => Some(message),
    })
}

/// The library looks at each part of a text, we at the whole. We see what is wrong with a head before the payload is here,
/// which may be sooner; of two errors in one head either may be told.
fn check(sender: Sender, bytes: &[u8], piece: usize) -> Result<(), TestCaseError> {
    let is_broken = |told: &String| told.starts_with(BROKEN);
    let (mut ours, mut theirs) = (ours(sender, bytes, piece), theirs(sender, bytes, piece));
    if theirs.pop_if(|told| is_broken(told) && told.contains("Utf8")).is_some() {
        ours.truncate(theirs.len());
    } else if theirs.pop_if(|told| is_broken(told)).is_some() || ours.len() > theirs.len() {
        prop_assert!(ours.pop().is_some_and(|told| is_broken(&told)));
    }
    prop_assert_eq!(ours, theirs);
    Ok(())
}

fn frame(sender: Sender, kind: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    if sender == Sender::Client {
        put_masked(&mut out, kind, payload);
    } else {
        put_head(&mut out, kind, payload.len(), None);
        out.extend_from_slice(payload);
    }
    out
}

/// Mostly proper frames: of text and of bytes, whole and in parts, and those that are about the connection.
fn any_frame(sender: Sender) -> impl Strategy<Value = Vec<u8>> {
    let kinds = prop_oneof![
        8 => Just(0x82_u8), 4 => Just(0x81), 4 => Just(0x02), 4 => Just(0x00), 4 => Just(0x80),
        2 => Just(0x89), 2 => Just(0x8a), 1 => Just(0x88), 1 => any::<u8>()
    ];
    let payload = prop_oneof![
        6 => prop::collection::vec(any::<u8>(), 0..130), 4 => "\\PC{0,60}".prop_map(String::into_bytes),
        2 => prop::collection::vec(any::<u8>(), 400..1100)
    ];
    (kinds, payload).prop_map(move |(kind, payload)| frame(sender, kind, &payload))
}

proptest! {
    #[test]
    fn what_the_library_reads_is_read(
        frames in prop::collection::vec(any_frame(Sender::Client), 0..12), piece in 1..3000_usize
    ) {
        check(Sender::Client, &frames.concat(), piece)?;
    }

    #[test]
    fn so_it_is_of_servers(
        frames in prop::collection::vec(any_frame(Sender::Server), 0..12), piece in 1..3000_usize
    ) {
        check(Sender::Server, &frames.concat(), piece)?;
    }

    #[test]
    fn no_bytes_are_too_strange(bytes in prop::collection::vec(any::<u8>(), 0..300), piece in 1..40_usize) {
        for sender in [Sender::Client, Sender::Server] {
            check(sender, &bytes, piece)?;
        }
    }
}

#[test]
fn a_letter_may_be_cut_in_two() {
    let bytes = [frame(Sender::Client, 0x01, &[0xc3]), frame(Sender::Client, 0x80, &[0xa4])].concat();
    assert_eq!(ours(Sender::Client, &bytes, 1), [r#"Text(Utf8Bytes(b"\xc3\xa4"))"#]);
}

#[test]
fn a_message_in_parts_is_no_longer_than_allowed_and_a_ping_is_no_part_of_it() {
    let parts = [
        frame(Sender::Client, 0x02, &[1; MAX]),
        frame(Sender::Client, 0x89, &[2; 100]),
        frame(Sender::Client, 0x80, &[3; 1]),
    ];
    let told = ours(Sender::Client, &parts.concat(), 100);
    assert!(told[0].starts_with("Ping") && told[1].contains("size: 1001, max_size: 1000"), "{told:?}");
}

#[test]
fn what_is_no_text_is_refused() {
    for parts in [vec![(0x81, &[0xff][..])], vec![(0x01, &[0xc3][..]), (0x80, &[0xc3][..])]] {
        let bytes: Vec<u8> =
            parts.into_iter().flat_map(|(kind, part)| frame(Sender::Client, kind, part)).collect();
        let told = ours(Sender::Client, &bytes, 100);
        assert!(told.len() == 1 && told[0].contains("Utf8"), "{told:?}");
    }
}

#[test]
fn nothing_is_held_while_nothing_comes() {
    let mut inlet = Inlet::new(Sender::Server, MAX, Vec::new());
    let nothing = inlet.fill(|_| Err::<usize, _>(()));
    assert_eq!((nothing, inlet.buffer.capacity()), (Err(()), 0));
}
