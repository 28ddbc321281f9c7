//! From msgpack straight to JSON text.

use std::borrow::Cow;

use crate::codec::{Limits, Reader, Token, timestamp};
use crate::{Error, Result};

/// Writes the next value of `reader` as JSON.
///
/// # Errors
/// `invalid`, with its place, for what JSON cannot hold: bytes, functions, NaN; those of [`Reader`].
pub(super) fn write_json(reader: &mut Reader<'_>, out: &mut Vec<u8>) -> Result<()> {
    write_value(reader, out, Limits::DEFAULT.depth)
}

fn write_value(reader: &mut Reader<'_>, out: &mut Vec<u8>, depth: usize) -> Result<()> {
    let start = (reader.position(), out.len());
    match reader.token()? {
        Token::Nil => out.extend_from_slice(b"null"),
        Token::Bool(value) => out.extend_from_slice(if value { b"true" } else { b"false" }),
        Token::Int(value) => written(serde_json::to_writer(out, &value))?,
        Token::Uint(value) => written(serde_json::to_writer(out, &value))?,
        Token::Float(value) if value.is_finite() => written(serde_json::to_writer(out, &value))?,
        Token::Float(value) => return Err(Error::invalid(format!("{value} has no form in JSON"))),
        Token::Text(value) => written(serde_json::to_writer(out, value))?,
        Token::Bytes(_) => {
            return Err(Error::invalid("bytes have no form in JSON: return them alone, or as text"));
        }
        Token::Extension(code, data) => match timestamp(code, data) {
            Some(text) => written(serde_json::to_writer(out, &text))?,
            None => return Err(Error::invalid("an extension value has no form in JSON")),
        },
        Token::List(_) | Token::Map(_) if depth == 0 => {
            return Err(Error::too_large(format!("nested deeper than {} levels", Limits::DEFAULT.depth)));
        }
        Token::List(len) => write_list(reader, out, len, depth - 1)?,
        Token::Map(len) => write_map(reader, out, len, depth - 1, start)?,
    }
    Ok(())
}

fn write_list(reader: &mut Reader<'_>, out: &mut Vec<u8>, len: usize, depth: usize) -> Result<()> {
    out.push(b'[');
    for at in 0..len {
        if at > 0 {
            out.push(b',');
        }
        write_value(reader, out, depth).map_err(|error| error.at(&format!("[{at}]")))?;
    }
    out.push(b']');
    Ok(())
}

/// Writes a map; `start` is where it begins in the input and the output.
fn write_map(
    reader: &mut Reader<'_>,
    out: &mut Vec<u8>,
    len: usize,
    depth: usize,
    start: (usize, usize),
) -> Result<()> {
    out.push(b'{');
    for at in 0..len {
        if at > 0 {
            out.push(b',');
        }
        let key: Cow<'_, str> = match reader.token()? {
            // A form such as `set`: rare enough to be built and taken apart again.
            Token::Text("_rtype") => return write_tagged(reader, out, start),
            Token::Text(key) => key.into(),
            Token::Int(key) => key.to_string().into(),
            Token::Uint(key) => key.to_string().into(),
            Token::Bool(key) => key.to_string().into(),
            other => {
                return Err(Error::invalid(format!("a key of an object in JSON is a text, found {other:?}")));
            }
        };
        write_entry(reader, out, &key, depth)?;
    }
    out.push(b'}');
    Ok(())
}

fn write_entry(reader: &mut Reader<'_>, out: &mut Vec<u8>, key: &str, depth: usize) -> Result<()> {
    written(serde_json::to_writer(&mut *out, key))?;
    out.push(b':');
    write_value(reader, out, depth).map_err(|error| error.at(&format!(".{key}")))
}

fn write_tagged(reader: &mut Reader<'_>, out: &mut Vec<u8>, (input, output): (usize, usize)) -> Result<()> {
    reader.go_to(input);
    out.truncate(output);
    let json: serde_json::Value = reader.value()?.to_json()?;
    written(serde_json::to_writer(out, &json))
}

fn written(outcome: serde_json::Result<()>) -> Result<()> {
    outcome.map_err(|error| Error::invalid(format!("not to be written as JSON: {error}")))
}
