//! What a sealed message is for, said inside of it: who on the way changes the routing is found out, and who sends a
//! recorded message again as well. Old peers ignore the entry.

use bytes::Bytes;

use crate::codec::{Reader, Token, Writer};
use crate::wire::Header;
use crate::{Error, ErrorKind, Result};

/// The entry of a sealed segment that says what it is for. It stands first.
const KEY: &str = "_bound";

/// Which message of its sender a sealed message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Number {
    /// The row in which the sender counts, one for each key that it speaks to; one that begins later has a higher number.
    pub stream: u64,
    /// The place in it, from 1 on.
    pub at: u64,
}

fn routing<'a>(header: &Header<'a>) -> [&'a str; 5] {
    [header.kind, header.from, header.to, header.method, header.session.unwrap_or_default()]
}

/// The segment with what it is for in front, behind `room` bytes that are left free.
pub(super) fn bind(header: &Header<'_>, segment: &[u8], number: Number, room: usize) -> Result<Vec<u8>> {
    let (head, entries) = match segment.split_first() {
        Some((head @ 0x80..=0x8e, entries)) => (head + 1, entries),
        _ => return Err(Error::new(ErrorKind::Internal, "only a small map can be encrypted")),
    };
    let mut buffer = Vec::with_capacity(room + segment.len() + 256);
    buffer.resize(room, 0);
    buffer.push(head);
    let mut out = Writer::after(buffer);
    out.text(KEY)?;
    let routing = routing(header);
    out.open_list(routing.len() + 2)?;
    routing.iter().try_for_each(|part| out.text(part))?;
    out.uint(number.stream)?;
    out.uint(number.at)?;
    out.close();
    out.raw(entries)?;
    Ok(out.into_bytes())
}

/// The number of a message that was made for the routing in `header`; `None` when it does not say what it is for.
pub(super) fn check(header: &Header<'_>, segment: &Bytes) -> Result<Option<Number>> {
    let mut reader = Reader::new(segment);
    if reader.map()? == 0 || reader.peek() != Some(Token::Text(KEY)) {
        return Ok(None);
    }
    reader.token()?;
    let routing = routing(header);
    let is_right_length = reader.list()? == routing.len() + 2;
    let is_for_this = is_right_length
        && routing
            .iter()
            .try_fold(true, |is_same, part| Ok::<_, Error>(reader.text()? == *part && is_same))?;
    if !is_for_this {
        return Err(moved(header));
    }
    match (number(&mut reader)?, number(&mut reader)?) {
        (Some(stream), Some(at)) => Ok(Some(Number { stream, at })),
        _ => Err(moved(header)),
    }
}

fn number(reader: &mut Reader<'_>) -> Result<Option<u64>> {
    Ok(match reader.scalar()? {
        Token::Int(number) => u64::try_from(number).ok(),
        Token::Uint(number) => Some(number),
        _ => None,
    })
}

fn moved(header: &Header<'_>) -> Error {
    let text =
        format!("An encrypted message was made for something else than {}:{}", header.from, header.method);
    Error::new(ErrorKind::PermissionDenied, text).with_class("PermissionError")
}
