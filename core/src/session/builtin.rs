//! The `built-in` service: what every peer must answer (protocol sections 11.2 and 13.3).

use std::sync::Arc;

use bytes::Bytes;

use super::event::{Payload, Time};
use super::runs::Run;
use super::session::Session;
use crate::codec::{Handle, Reader, Stub, Token};
use crate::wire::Header;
use crate::{Error, Map, Result, Value};

const PING: Handle = 0;
const GET_SERVICE: Handle = 1;
const CREATE: Handle = 2;
const APPEND: Handle = 3;
const SET: Handle = 4;
const REMOVE: Handle = 5;
const PROCESS: Handle = 6;

/// The service as a map, its functions numbered.
pub(super) fn service(address: &str) -> Map {
    let function = |number: Handle, name: &str| {
        Value::from(Stub { method: number.to_string(), name: Some(name.to_owned()), ..Stub::default() })
    };
    let cache = Map::from_iter([
        ("create", function(CREATE, "create")),
        ("append", function(APPEND, "append")),
        ("set", function(SET, "set")),
        ("process", function(PROCESS, "process")),
        ("remove", function(REMOVE, "remove")),
    ]);
    let config = Map::from_iter([
        ("require_context", Value::Bool(true)),
        ("visibility", Value::from("public")),
        ("api_version", Value::Int(3)),
    ]);
    Map::from_iter([
        ("id", Value::from("built-in")),
        ("type", Value::from("built-in")),
        ("name", Value::from(format!("Built-in services for {address}"))),
        ("config", Value::Map(config)),
        ("ping", function(PING, "ping")),
        ("get_service", function(GET_SERVICE, "get_service")),
        ("message_cache", Value::Map(cache)),
    ])
}

/// The encoded answer of a built-in function that answers nothing.
const NIL: &[u8] = &[0xc0];

impl Session {
    pub(super) fn run_built_in(
        &mut self,
        number: Handle,
        header: &Header<'_>,
        payload: &Payload,
        run: Option<&Run>,
        frame_len: usize,
        now: Time,
    ) {
        let answer = match number {
            PING => ping(payload),
            GET_SERVICE => self.describe_service(header, payload),
            _ => self.cache_part(number, header, payload, frame_len, now),
        };
        let Some(run) = run else { return };
        match answer {
            Ok(value) => self.send_resolve(run, &value, now),
            Err(error) => self.send_reject(run, &error, now),
        }
    }

    fn describe_service(&self, header: &Header<'_>, payload: &Payload) -> Result<Bytes> {
        let arguments = Arguments::read(payload, &["service_id"])?;
        let id = arguments.text(0, "service_id")?;
        let own = self.own_workspace(header);
        let ws = if header.ws.is_empty() { workspace_of(header.from) } else { header.ws };
        let described = self.services.describe(id, ws, own)?;
        self.as_asked(described, header.to)
    }

    /// A part of the server stands in every workspace. Its functions are those of the address that was asked: old
    /// peers believe an answer only when it comes from where they have called.
    fn as_asked(&self, described: Bytes, asked: &str) -> Result<Bytes> {
        let is_ours = asked.split_once('/').is_some_and(|(_, client)| client == self.info.client_id);
        if self.info.workspace != "*" || !is_ours || asked == self.address {
            return Ok(described);
        }
        let mut service = Reader::new(&described).value()?;
        retarget(&mut service, &self.address, asked);
        Ok(Bytes::from(service.to_msgpack()?))
    }

    fn cache_part(
        &mut self,
        number: Handle,
        header: &Header<'_>,
        payload: &Payload,
        frame_len: usize,
        now: Time,
    ) -> Result<Bytes> {
        let names: &[&str] = match number {
            CREATE => &["key", "heartbeat", "overwrite"],
            APPEND => &["key", "data", "heartbeat"],
            SET => &["key", "index", "data", "heartbeat"],
            _ => &["key", "heartbeat"],
        };
        let arguments = Arguments::read(payload, names)?;
        let key = arguments.text(0, "key")?.to_owned();
        let beat = names.iter().position(|name| *name == "heartbeat").is_some_and(|at| arguments.flag(at));
        if beat {
            if self.calls.get(&key).is_none() {
                return Err(Error::invalid(format!("session does not exist anymore: {key}")));
            }
            self.calls.touch(&key, now);
        }
        let from = header.from;
        match number {
            CREATE => self.chunks.create(from, &key, arguments.flag(2), now)?,
            APPEND => self.chunks.set(from, &key, None, arguments.part(1, frame_len)?, now)?,
            SET => {
                let index = match arguments.0.get(1) {
                    Some(Value::Int(index)) => usize::try_from(*index).ok(),
                    _ => None,
                };
                let index = index.ok_or_else(|| Error::invalid("`index` must be a number from 0 on"))?;
                self.chunks.set(from, &key, Some(index), arguments.part(2, frame_len)?, now)?;
            }
            PROCESS => {
                let joined = self.chunks.join(from, &key)?;
                self.receive_joined(&joined, header, now)?;
            }
            _ => self.chunks.remove(from, &key)?,
        }
        Ok(Bytes::from_static(NIL))
    }
}

/// Has the functions of one address be those of another.
fn retarget(value: &mut Value, from: &str, to: &str) {
    match value {
        Value::Method(stub) if stub.target == from => to.clone_into(&mut Arc::make_mut(stub).target),
        Value::Map(map) => map.iter_mut().for_each(|(_, value)| retarget(value, from, to)),
        Value::List(items) => items.iter_mut().for_each(|item| retarget(item, from, to)),
        _ => {}
    }
}

/// Answers `ping`; old JavaScript peers send a second argument, which is ignored.
fn ping(payload: &Payload) -> Result<Bytes> {
    let mut reader = Reader::new(&payload.args);
    if reader.list()? > 0 && reader.token()? == Token::Text("ping") {
        return Ok(Bytes::from_static(b"\xa4pong"));
    }
    Err(Error::invalid("expected `ping`").with_class("AssertionError"))
}

/// Arguments of a built-in function, in the order of its parameters.
struct Arguments(Vec<Value>);

impl Arguments {
    fn read(payload: &Payload, names: &[&str]) -> Result<Self> {
        let (mut values, mut keywords) = payload.values()?;
        values.truncate(names.len());
        for name in names.iter().skip(values.len()) {
            values.push(keywords.remove(name).unwrap_or_default());
        }
        Ok(Self(values))
    }

    fn text(&self, at: usize, name: &str) -> Result<&str> {
        let text = self.0.get(at).and_then(Value::as_text);
        text.ok_or_else(|| Error::invalid(format!("`{name}` must be a text")).with_class("TypeError"))
    }

    fn flag(&self, at: usize) -> bool {
        self.0.get(at).and_then(Value::as_bool).unwrap_or(false)
    }

    /// The bytes of a part that came in a frame of `frame_len` bytes.
    fn part(&self, at: usize, frame_len: usize) -> Result<Bytes> {
        match self.0.get(at) {
            // to keep a little of a long frame would keep all of it
            Some(Value::Bytes(data)) if data.len() < frame_len / 2 => Ok(Bytes::copy_from_slice(data)),
            Some(Value::Bytes(data)) => Ok(data.clone()),
            _ => Err(Error::invalid("`data` must be bytes").with_class("TypeError")),
        }
    }
}

pub(super) fn workspace_of(address: &str) -> &str {
    address.split('/').next().unwrap_or_default()
}
