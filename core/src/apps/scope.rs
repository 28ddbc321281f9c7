//! What an app is told of a request before it asks for more.

use std::net::SocketAddr;

use crate::Result;
use crate::codec::Writer;

/// What is asked of an app.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind<'a> {
    /// One request and one answer.
    Http {
        /// For example `GET`.
        method: &'a str,
    },
    /// A websocket, which the app may accept.
    WebSocket {
        /// The subprotocols that the client offers, its favourite first.
        subprotocols: &'a [&'a str],
    },
}

/// The scope of a request, with the types that ASGI says. Nothing in it is copied before [`Scope::write`].
///
/// `headers` gives names in lower case, and values; it is gone through once.
#[derive(Clone, Debug)]
pub struct Scope<'a, H> {
    /// What is asked.
    pub kind: Kind<'a>,
    /// `http`, `https`, `ws` or `wss`.
    pub scheme: &'a str,
    /// For example `1.1`.
    pub http_version: &'a str,
    /// Where the app stands in the server's tree of URLs, decoded; `""` for apps that are not to know it.
    pub root_path: &'a str,
    /// The path, decoded; it begins with `root_path`.
    pub path: &'a str,
    /// The same as it was sent, percent-encoded.
    pub raw_path: &'a str,
    /// What stands behind the `?`, as it was sent.
    pub query_string: &'a str,
    /// Names and values, in order.
    pub headers: H,
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
}

impl<'a, H> Scope<'a, H>
where
    H: IntoIterator<Item = (&'a str, &'a [u8]), IntoIter: ExactSizeIterator>,
{
    /// Writes the scope as one map.
    ///
    /// # Errors
    /// Those of [`Writer`].
    ///
    /// ```
    /// use polyfn_core::apps::{Kind, Scope};
    /// use polyfn_core::codec::{Reader, Writer};
    /// let headers: [(&str, &[u8]); 1] = [("host", b"localhost")];
    /// let scope = Scope {
    ///     kind: Kind::Http { method: "GET" },
    ///     scheme: "http",
    ///     http_version: "1.1",
    ///     root_path: "/ws/apps/web",
    ///     path: "/ws/apps/web/é",
    ///     raw_path: "/ws/apps/web/%C3%A9",
    ///     query_string: "",
    ///     headers,
    ///     client: None,
    ///     server: Some(("127.0.0.1", 9527)),
    ///     workspace: "ws",
    ///     service_id: "web",
    ///     user: &[0xc0],
    /// };
    /// let mut out = Writer::new();
    /// scope.write(&mut out)?;
    /// let value = Reader::new(&out.into_bytes().into()).value()?;
    /// assert_eq!(value.as_map().and_then(|map| map.text("type")), Some("http"));
    /// # Ok::<(), polyfn_core::Error>(())
    /// ```
    pub fn write(self, out: &mut Writer) -> Result<()> {
        let headers = self.headers.into_iter();
        out.reserve(self.user.len() + 64 * headers.len() + 512);
        out.open_map(16)?;
        write_kind(out, self.kind)?;
        out.text("asgi")?;
        out.open_map(2)?;
        texts(out, &[("version", "3.0"), ("spec_version", "2.3")])?;
        out.close();
        texts(
            out,
            &[
                ("http_version", self.http_version),
                ("scheme", self.scheme),
                ("root_path", self.root_path),
                ("path", self.path),
                ("workspace", self.workspace),
                ("service_id", self.service_id),
            ],
        )?;
        for (key, value) in [("raw_path", self.raw_path), ("query_string", self.query_string)] {
            out.text(key)?;
            out.bytes(value.as_bytes())?;
        }
        out.text("headers")?;
        out.open_list(headers.len())?;
        for (name, value) in headers {
            out.open_list(2)?;
            out.bytes(name.as_bytes())?;
            out.bytes(value)?;
            out.close();
        }
        out.close();
        out.text("server")?;
        endpoint(out, self.server)?;
        out.text("client")?;
        let host = self.client.map(|client| (client.ip().to_canonical().to_string(), client.port()));
        endpoint(out, host.as_ref().map(|(host, port)| (host.as_str(), *port)))?;
        out.text("state")?;
        out.open_map(0)?;
        out.close();
        write_extensions(out, self.kind, self.user)?;
        out.close();
        Ok(())
    }
}

/// Two entries: the type, and what is known of this type only.
fn write_kind(out: &mut Writer, kind: Kind<'_>) -> Result<()> {
    match kind {
        Kind::Http { method } => texts(out, &[("type", "http"), ("method", method)]),
        Kind::WebSocket { subprotocols } => {
            texts(out, &[("type", "websocket")])?;
            out.text("subprotocols")?;
            out.open_list(subprotocols.len())?;
            subprotocols.iter().try_for_each(|name| out.text(name))?;
            out.close();
            Ok(())
        }
    }
}

/// What the server does beyond the standard: says who calls, and lets an app refuse a websocket in its own words.
fn write_extensions(out: &mut Writer, kind: Kind<'_>, user: &[u8]) -> Result<()> {
    let refuses = matches!(kind, Kind::WebSocket { .. });
    out.text("extensions")?;
    out.open_map(1 + usize::from(refuses))?;
    if refuses {
        out.text("websocket.http.response")?;
        out.open_map(0)?;
        out.close();
    }
    out.text("polyfn")?;
    out.open_map(1)?;
    out.text("user")?;
    out.raw(user)?;
    out.close();
    out.close();
    Ok(())
}

fn texts(out: &mut Writer, entries: &[(&str, &str)]) -> Result<()> {
    entries.iter().try_for_each(|(key, value)| {
        out.text(key)?;
        out.text(value)
    })
}

fn endpoint(out: &mut Writer, endpoint: Option<(&str, u16)>) -> Result<()> {
    let Some((host, port)) = endpoint else { return out.nil() };
    out.open_list(2)?;
    out.text(host)?;
    out.uint(port.into())?;
    out.close();
    Ok(())
}
