//! What a function is told of an HTTP request: an ASGI scope in terms that every language has.

use std::borrow::Cow;
use std::net::SocketAddr;

use bytes::Bytes;

use super::Context;
use crate::codec::{Token, Walk, Writer};
use crate::session::Payload;
use crate::{Result, Value};

/// A request to a function. Nothing in it is copied before [`HttpRequest::write`] puts it on the wire.
///
/// `headers` gives names and values; it is gone through once.
#[derive(Clone, Debug)]
pub struct HttpRequest<'a, H> {
    /// For example `GET`.
    pub method: &'a str,
    /// `http` or `https`.
    pub scheme: &'a str,
    /// For example `1.1`.
    pub http_version: &'a str,
    /// The path from the service on, decoded.
    pub path: &'a str,
    /// The same as it was sent, percent-encoded.
    pub raw_path: &'a str,
    /// What stands behind the `?`, as it was sent.
    pub query_string: &'a str,
    /// Names and values, in order.
    pub headers: H,
    /// The whole body.
    pub body: Bytes,
    /// Who is connected.
    pub client: Option<SocketAddr>,
    /// The host and port that were asked.
    pub server: Option<(&'a str, u16)>,
    /// The workspace in the URL.
    pub workspace: &'a str,
    /// The service in the URL.
    pub service_id: &'a str,
    /// The caller's user, encoded.
    pub user: &'a [u8],
    /// Who calls, as `context` of the event.
    pub context: Context<'a>,
    /// The path that `default` answers.
    pub function_path: Option<&'a str>,
    /// The CloudEvent that the request is, or the list of them, see [`super::cloudevent`].
    pub cloudevent: Option<&'a Value>,
}

impl<'a, H: IntoIterator<Item = (&'a str, &'a [u8])>> HttpRequest<'a, H> {
    /// Writes the event as one map.
    ///
    /// # Errors
    /// Those of [`Writer`].
    pub fn write(self, out: &mut Writer) -> Result<()> {
        let headers: Vec<Header<'_>> = self.headers.into_iter().map(Header::from).collect();
        let distinct = distinct(&headers);
        let repeats = distinct < headers.len();
        out.reserve(self.body.len() + 2 * self.user.len() + 64 * headers.len() + 512);
        let optional = [repeats, self.function_path.is_some(), self.cloudevent.is_some()];
        out.open_map(18 + optional.into_iter().filter(|is_there| *is_there).count())?;
        write_texts(out, &[("type", "http"), ("http_version", self.http_version)])?;
        out.text("asgi")?;
        out.open_map(2)?;
        write_texts(out, &[("version", "3.0"), ("spec_version", "2.3")])?;
        out.close();
        out.text("server")?;
        write_endpoint(out, self.server.map(|(host, port)| (host.into(), port)))?;
        out.text("client")?;
        write_endpoint(
            out,
            self.client.map(|client| (client.ip().to_canonical().to_string().into(), client.port())),
        )?;
        write_texts(
            out,
            &[
                ("scheme", self.scheme),
                ("method", self.method),
                ("root_path", ""),
                ("path", self.path),
                ("raw_path", self.raw_path),
                ("query_string", self.query_string),
                ("workspace", self.workspace),
                ("service_id", self.service_id),
            ],
        )?;
        write_headers(out, &headers, distinct)?;
        if repeats {
            write_header_list(out, &headers)?;
        }
        out.text("state")?;
        out.open_map(0)?;
        out.close();
        out.text("body")?;
        if self.body.is_empty() {
            out.nil()?;
        } else {
            out.bytes(&self.body)?;
        }
        out.text("user")?;
        out.raw(self.user)?;
        out.text("context")?;
        self.context.write(out)?;
        if let Some(path) = self.function_path {
            write_texts(out, &[("function_path", path)])?;
        }
        if let Some(event) = self.cloudevent {
            out.text("cloudevent")?;
            event.walk(out)?;
        }
        out.close();
        Ok(())
    }
}

/// Whether the first argument of a call is the event of an HTTP request, whichever server has sent it.
pub fn is_event(arguments: &Payload) -> bool {
    says_http(arguments).unwrap_or(false)
}

fn says_http(arguments: &Payload) -> Result<bool> {
    let mut reader = arguments.reader();
    if reader.list()? <= usize::from(arguments.with_kwargs) {
        return Ok(false);
    }
    let Token::Map(len) = reader.token()? else { return Ok(false) };
    for _ in 0..len {
        let Token::Text(key) = reader.token()? else { return Ok(false) };
        if key == "type" {
            return Ok(reader.token()? == Token::Text("http"));
        }
        reader.skip()?;
    }
    Ok(false)
}

/// A header with its name in lower case and its value as text.
pub(super) struct Header<'a> {
    name: Cow<'a, str>,
    value: Cow<'a, str>,
}

impl<'a> From<(&'a str, &'a [u8])> for Header<'a> {
    fn from((name, value): (&'a str, &'a [u8])) -> Self {
        let is_lower = !name.bytes().any(|byte| byte.is_ascii_uppercase());
        let name = if is_lower { Cow::Borrowed(name) } else { Cow::Owned(name.to_ascii_lowercase()) };
        // What is not UTF-8 is what headers were before it: latin-1, where every byte is a character.
        let value = match std::str::from_utf8(value) {
            Ok(text) => Cow::Borrowed(text),
            Err(_) => Cow::Owned(value.iter().copied().map(char::from).collect()),
        };
        Self { name, value }
    }
}

impl Header<'_> {
    fn repeats(&self, before: &[Self]) -> bool {
        before.iter().any(|other| other.name == self.name)
    }
}

/// How many names there are.
pub(super) fn distinct(headers: &[Header<'_>]) -> usize {
    headers.iter().enumerate().filter(|(at, header)| !header.repeats(&headers[..*at])).count()
}

pub(super) fn write_texts(out: &mut Writer, entries: &[(&str, &str)]) -> Result<()> {
    entries.iter().try_for_each(|(key, value)| {
        out.text(key)?;
        out.text(value)
    })
}

fn write_endpoint(out: &mut Writer, endpoint: Option<(Cow<'_, str>, u16)>) -> Result<()> {
    let Some((host, port)) = endpoint else { return out.nil() };
    out.open_list(2)?;
    out.text(&host)?;
    out.uint(port.into())?;
    out.close();
    Ok(())
}

/// One entry for each name; the values of a repeated one are joined as RFC 9110 and 6265 say.
pub(super) fn write_headers(out: &mut Writer, headers: &[Header<'_>], distinct: usize) -> Result<()> {
    out.text("headers")?;
    out.open_map(distinct)?;
    for (at, header) in headers.iter().enumerate() {
        if distinct == headers.len() {
            write_texts(out, &[(&header.name, &header.value)])?;
        } else if !header.repeats(&headers[..at]) {
            let values = headers[at..].iter().filter(|other| other.name == header.name);
            let values: Vec<&str> = values.map(|other| &*other.value).collect();
            let joined = values.join(if header.name == "cookie" { "; " } else { ", " });
            write_texts(out, &[(&header.name, &joined)])?;
        }
    }
    out.close();
    Ok(())
}

/// Every header by itself, for functions that need to tell repeated ones apart.
fn write_header_list(out: &mut Writer, headers: &[Header<'_>]) -> Result<()> {
    out.text("headers_list")?;
    out.open_list(headers.len())?;
    for header in headers {
        out.open_list(2)?;
        out.text(&header.name)?;
        out.text(&header.value)?;
        out.close();
    }
    out.close();
    Ok(())
}

#[cfg(test)]
mod tests;
