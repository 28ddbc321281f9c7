//! What a session does with a frame (protocol section 8.6).
//!
//! Who speaks is taken from segment 1 alone, which the server has written; what is said, from segment 2 alone.

use std::sync::Arc;

use bytes::Bytes;

use super::Extensions;
use super::builtin::workspace_of;
use super::event::{Event, Invocation, Payload, Time};
use super::objects::Found;
use super::runs::Run;
use super::services::{Refused, Target};
use super::session::Session;
use crate::codec::{Handle, Origin, Reader, Writer};
use crate::functions::Context;
use crate::schema::Arguments;
use crate::wire::{Body, CANCEL, Header, is_client_event, is_server_event};
use crate::{Error, ErrorKind, Result, Value};

impl Session {
    /// Takes a frame from the connection.
    ///
    /// # Errors
    /// `invalid` for a frame that cannot be read; nothing happens then. The driver logs it.
    pub fn receive(&mut self, frame: &Bytes, now: Time) -> Result<()> {
        let header = Header::parse(frame)?;
        self.dispatch(frame, &header, now)
    }

    /// Takes a message that came in parts. Its own first segment never saw the server: who speaks is the peer
    /// that sent the parts.
    pub(super) fn receive_joined(&mut self, frame: &Bytes, carrier: &Header<'_>, now: Time) -> Result<()> {
        let inner = Header::parse(frame)?;
        if inner.kind == "method" && is_cache_method(inner.method) {
            return Err(Error::invalid("a message in parts may not carry another one"));
        }
        let Header { from, to, ws, user, extras, .. } = *carrier;
        let header = Header { from, to, ws, user, extras, ..inner };
        self.dispatch(frame, &header, now)
    }

    fn dispatch(&mut self, frame: &Bytes, header: &Header<'_>, now: Time) -> Result<()> {
        match header.kind {
            "method" => self.receive_call(frame, header, now),
            "" => Err(Error::invalid("a frame needs a `type`")),
            CANCEL if self.extensions.has(Extensions::CANCEL) => {
                self.receive_cancel(header);
                Ok(())
            }
            _ => self.receive_signal(frame, header, now),
        }
    }

    fn receive_call(&mut self, frame: &Bytes, header: &Header<'_>, now: Time) -> Result<()> {
        if header.from.is_empty() || header.method.is_empty() {
            return Err(Error::invalid("a call needs `from` and `method`"));
        }
        if let Some(path) = header.method.strip_prefix("services.") {
            return self.receive_service_call(frame, header, path, now);
        }
        match header.method.rsplit_once('.') {
            Some((session, end @ ("resolve" | "reject" | "heartbeat"))) => {
                self.receive_reply(frame, header, session, end, now)
            }
            Some((session, object)) => self.receive_object_call(frame, header, session, object, now),
            None => {
                let text =
                    format!("Method not found: {}:{} at {}", header.from, header.method, self.info.client_id);
                self.refuse(frame, header, &Error::new(ErrorKind::NotFound, text), now)
            }
        }
    }

    /// The reply to a call of ours. Only the peer that was called may give it.
    fn receive_reply(
        &mut self,
        frame: &Bytes,
        header: &Header<'_>,
        session: &str,
        end: &str,
        now: Time,
    ) -> Result<()> {
        if self.calls.get(session).is_none_or(|call| call.target != header.from) {
            return Ok(());
        }
        if end == "heartbeat" {
            self.calls.touch(session, now);
            return Ok(());
        }
        let outcome = Body::parse(frame, header.end).map(|body| self.payload(header, body));
        let Some(call) = self.calls.take(session) else { return Ok(()) };
        let outcome = match outcome {
            Ok(value) if end == "resolve" => Ok(value),
            Ok(value) => Err(rejection(&value)),
            Err(error) => Err(error),
        };
        self.end_call(call, outcome, now);
        Ok(())
    }

    fn receive_service_call(
        &mut self,
        frame: &Bytes,
        header: &Header<'_>,
        path: &str,
        now: Time,
    ) -> Result<()> {
        let ws = workspace_of(header.from);
        let own = self.own_workspace(header);
        match self.services.find(path, ws, own, header.from == self.manager) {
            Ok(Target::Language { handle, wants_context, arguments }) => {
                let handler = Handler { handle, wants_context, arguments };
                self.invoke(frame, header, &handler, now)
            }
            Ok(Target::BuiltIn(number)) => {
                let body = Body::parse(frame, header.end)?;
                let run = Run::of(header, &body, self.extensions, now);
                let payload = self.payload(header, body);
                self.run_built_in(number, header, &payload, run.as_ref(), frame.len(), now);
                Ok(())
            }
            Err(Refused::NotFound) => {
                let text = format!("Method expired or not found: {}:{}", header.from, header.method);
                self.refuse(frame, header, &Error::new(ErrorKind::NotFound, text), now)
            }
            Err(Refused::Protected) => {
                let text = format!(
                    "Permission denied for invoking protected method {}:{}, workspace mismatch: {own} != {ws}",
                    header.from, header.method
                );
                let error = Error::new(ErrorKind::PermissionDenied, text).with_class("PermissionError");
                self.refuse(frame, header, &error, now)
            }
        }
    }

    /// A call of a function that was given away: in the arguments of a call under way, or in a result.
    fn receive_object_call(
        &mut self,
        frame: &Bytes,
        header: &Header<'_>,
        session: &str,
        object: &str,
        now: Time,
    ) -> Result<()> {
        let (name, closes) = object.strip_suffix(":close").map_or((object, false), |name| (name, true));
        let found = match self.calls.get(session) {
            Some(call) if call.target != header.from => Found::Foreign(call.target.clone()),
            Some(call) => {
                Found::from(call.objects.iter().find(|(id, _)| id == name).map(|(_, found)| *found))
            }
            None => self.objects.find(session, name, header.from, now),
        };
        let place = (session, name);
        let at = format!("{}:{}", header.from, header.method);
        let error = match found {
            Found::Function(handle) if !closes => {
                return self.invoke(frame, header, &Handler::of(handle), now);
            }
            Found::Generator(handle) if closes => {
                return self.receive_close(frame, header, place, handle, now);
            }
            Found::Generator(handle) => return self.receive_next(frame, header, place, handle, now),
            Found::NoFunction | Found::Function(_) => {
                Error::new(ErrorKind::NotFound, format!("Method expired or not found: {at}"))
            }
            Found::NoSession => Error::new(ErrorKind::NotFound, format!("Session not found: {at}")),
            Found::Foreign(target) => Error::new(
                ErrorKind::PermissionDenied,
                format!(
                    "Access denied for method call ({}) from {} to target {target}",
                    header.method, header.from
                ),
            ),
        };
        self.refuse(frame, header, &error, now)
    }

    fn invoke(&mut self, frame: &Bytes, header: &Header<'_>, handler: &Handler, now: Time) -> Result<()> {
        let body = match Body::parse(frame, header.end) {
            Ok(body) => body,
            Err(error) => {
                let body = Body { reply: crate::wire::Reply::Session, ..Body::default() };
                let run = Run::of(header, &body, self.extensions, now);
                run.into_iter().for_each(|run| self.send_reject(&run, &error, now));
                return Err(error);
            }
        };
        let run = Run::of(header, &body, self.extensions, now);
        let payload = self.payload(header, body);
        if let Err(error) = handler.check(&payload) {
            run.iter().for_each(|run| self.send_reject(run, &error, now));
            return Ok(());
        }
        let context = if handler.wants_context { Some(self.context(header)?) } else { None };
        let run = match run.map(|run| self.start_run(run)) {
            None => None,
            Some(Ok(id)) => Some(id),
            Some(Err((run, error))) => {
                self.send_reject(&run, &error, now);
                return Ok(());
            }
        };
        self.emit(Event::Invoke(Invocation {
            run,
            handler: handler.handle,
            payload,
            context,
            deadline: header.deadline(self.extensions).map(|left| now + left),
            trace: header.trace(self.extensions).map(str::to_owned),
        }));
        Ok(())
    }

    fn refuse(&mut self, frame: &Bytes, header: &Header<'_>, error: &Error, now: Time) -> Result<()> {
        let body = Body::parse(frame, header.end)?;
        if let Some(run) = Run::of(header, &body, self.extensions, now) {
            self.send_reject(&run, error, now);
        }
        Ok(())
    }

    /// The context of a call as an encoded map: built here, from what the server says of the caller.
    fn context(&self, header: &Header<'_>) -> Result<Bytes> {
        let mut out = Writer::new();
        let context = Context {
            from: header.from,
            to: header.to,
            method: header.method,
            parent: header.parent,
            session: header.session,
            ws: header.ws,
            user: header.user,
            connection_type: match self.info.connection_type.as_str() {
                "" => &self.options.connection_type,
                known => known,
            },
        };
        context.write(&mut out)?;
        Ok(Bytes::from(out.into_bytes()))
    }

    /// The workspace that decides on access. A part of the server stands in every workspace.
    pub(super) fn own_workspace<'a>(&'a self, header: &Header<'a>) -> &'a str {
        if self.info.workspace == "*" { workspace_of(header.to) } else { &self.info.workspace }
    }

    fn payload(&self, header: &Header<'_>, body: Body) -> Payload {
        let origin = Origin {
            from: header.from.to_owned(),
            session: header.session.map(str::to_owned),
            extensions: header.extensions() & self.extensions,
        };
        Payload { args: body.args, with_kwargs: body.with_kwargs, origin }
    }

    fn receive_signal(&mut self, frame: &Bytes, header: &Header<'_>, now: Time) -> Result<()> {
        // The server's own events carry no sender; nobody else can send one without.
        let is_from_server = header.from.is_empty() || header.from == self.manager;
        if is_client_event(header.kind) || (is_server_event(header.kind) && !is_from_server) {
            let text = format!("a message of type `{}` does not come from a peer", header.kind);
            return Err(Error::new(ErrorKind::PermissionDenied, text));
        }
        let message = merged(frame, header)?;
        if is_from_server {
            let map = Reader::new(&message).value()?;
            if header.kind == "client_disconnected"
                && let Some(data) = map.as_map().and_then(|map| map.get("data")).and_then(Value::as_map)
                && let Some(id) = data.text("id")
            {
                let peer = crate::wire::absolute(id, data.text("workspace").unwrap_or(&self.info.workspace));
                self.peer_gone(&peer, now);
            }
        }
        let origin = Origin { from: header.from.to_owned(), ..Origin::default() };
        self.emit(Event::Signal { kind: header.kind.to_owned(), message, origin });
        Ok(())
    }
}

/// A function that is to be called, with what its call must be.
struct Handler {
    handle: Handle,
    wants_context: bool,
    arguments: Option<Arc<Arguments>>,
}

impl Handler {
    const fn of(handle: Handle) -> Self {
        Self { handle, wants_context: false, arguments: None }
    }

    fn check(&self, payload: &Payload) -> Result<()> {
        let Some(arguments) = &self.arguments else { return Ok(()) };
        let (positional, keywords) = payload.values()?;
        arguments.check(&positional, &keywords)
    }
}

fn is_cache_method(method: &str) -> bool {
    method.starts_with("services.built-in.message_cache.")
}

/// The error in a reject. Old JavaScript peers may reject with any value.
fn rejection(value: &Payload) -> Error {
    match value.value() {
        Ok(Value::Tagged(tagged)) => match *tagged {
            crate::codec::Tagged::Error(error) => error,
            other => Error::remote(format!("{other:?}")),
        },
        Ok(Value::Text(text)) => Error::remote(text),
        Ok(other) => {
            Error::remote(other.to_json().map_or_else(|_| format!("{other:?}"), |json| json.to_string()))
        }
        Err(error) => error,
    }
}

/// An event as one map: segment 1 with the entries of segment 2 behind it.
fn merged(frame: &Bytes, header: &Header<'_>) -> Result<Bytes> {
    let mut first = Reader::new(frame);
    let len = first.map()?;
    let entries = &frame[first.position()..header.end];
    let mut second = Reader::new(frame).starting_at(header.end);
    let mut added = Vec::new();
    if !second.is_at_end() {
        for _ in 0..second.map()? {
            let start = second.position();
            let key = second.text()?;
            if matches!(key, "ctx" | "from" | "to" | "ws" | "user" | "type" | "method" | "session") {
                return Err(Error::invalid(format!("key `{key}` may not stand in the second segment")));
            }
            second.skip()?;
            added.push(&frame[start..second.position()]);
        }
    }
    let mut out = Writer::new();
    out.open_map(len + added.len())?;
    out.raw(entries)?;
    added.iter().try_for_each(|entry| out.raw(entry))?;
    out.close();
    Ok(Bytes::from(out.into_bytes()))
}
