//! What a session does with a frame (protocol section 8.6).
//!
//! Who speaks is taken from segment 1 alone, which the server has written; what is said, from segment 2 alone.

use bytes::Bytes;

use super::Extensions;
use super::builtin::workspace_of;
use super::callee::{Admits, Callee};
use super::event::{Event, Invocation, Payload, Time};
use super::interfaces::is_member;
use super::objects::Found;
use super::runs::Run;
use super::sealing::Said;
use super::services::{Refused, Target};
use super::session::Session;
use crate::codec::{Origin, Reader, Writer};
use crate::functions::{Context, is_event};
use crate::wire::{Body, CANCEL, Header, PULL, PUSH, PublicKey, is_client_event, is_server_event};
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
        // what the server says in a peer's name has no user
        if header.user.is_some() {
            self.is_there(header.from, now);
        }
        match header.kind {
            "method" => self.receive_call(frame, header, now),
            "" => Err(Error::invalid("a frame needs a `type`")),
            CANCEL if self.extensions.has(Extensions::CANCEL) => {
                self.receive_cancel(header, now);
                Ok(())
            }
            PULL if self.extensions.has(Extensions::PUSHED) => self.receive_pull(frame, header, now),
            PUSH if self.extensions.has(Extensions::PUSHED) => self.receive_push(frame, header, now),
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
            return if end == "reject" { self.refuse_stream(frame, header, session) } else { Ok(()) };
        }
        if end == "heartbeat" {
            self.calls.touch(session, now);
            return Ok(());
        }
        let outcome = self.read_body(frame, header).and_then(|said| {
            let expected = self.calls.get(session).and_then(|call| call.seal_to);
            // Who cannot open a call may say so in the clear; nobody may answer it like that.
            let is_open_reject = end == "reject" && said.key.is_none();
            if said.key == expected || is_open_reject || expected.is_none() {
                return Ok(said);
            }
            Err(Error::new(
                ErrorKind::PermissionDenied,
                format!(
                    "the reply of {} was refused: it is not encrypted by the owner of the key",
                    header.from
                ),
            ))
        });
        let outcome = match outcome {
            // A message that was taken before says nothing about this call.
            Err(error) if error.kind() == ErrorKind::Conflict => return Err(error),
            outcome => outcome,
        };
        let Some(call) = self.calls.take(session) else { return Ok(()) };
        let outcome = match outcome.map(|said| self.payload(header, said.body, call.seal_answer)) {
            Ok(value) if end == "resolve" => Ok(value),
            Ok(value) => Err(self.check_lost(header, rejection(&value))),
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
        if is_member(path) {
            let member = self.interfaces.find(path, header.from, ws, own);
            return self.receive_member_call(frame, header, member, now);
        }
        match self.services.find(path, ws, own, header.from == self.manager) {
            Ok(Target::Language { handle, wants_context, takes_events, arguments, trusted }) => {
                let admits = Admits::Trusted(trusted);
                let callee = Callee { handle, wants_context, takes_events, arguments, admits };
                self.invoke(frame, header, &callee, now)
            }
            Ok(Target::BuiltIn(number)) => {
                let Some(said) = self.read_or_refuse(frame, header, now)? else { return Ok(()) };
                let run = Run::of(header, &said, self.extensions, now);
                let payload = self.payload(header, said.body, None);
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
        let place = (session, name);
        match self.find_object(place, header.from, now) {
            Found::Function(handle, key) if !closes => {
                self.invoke(frame, header, &Callee::given(handle, key), now)
            }
            Found::Generator(handle, _) if closes => self.receive_close(frame, header, place, handle, now),
            Found::Generator(handle, key) => {
                self.receive_next(frame, header, place, &Callee::given(handle, key), now)
            }
            found => self.refuse(frame, header, &found.refusal(header), now),
        }
    }

    /// What was given away under this name, if it was to this peer, or has come home.
    pub(super) fn find_object(&mut self, (session, object): (&str, &str), from: &str, now: Time) -> Found {
        let peer = (from != self.address).then_some(from);
        match self.calls.get(session) {
            Some(call) if peer.is_some_and(|peer| call.target != peer) => Found::Foreign(call.target.clone()),
            Some(call) => {
                let found = call.objects.iter().find(|(id, _)| id == object).map(|(_, found)| *found);
                Found::of(found, call.seal_to)
            }
            None => self.objects.find(session, object, peer, now),
        }
    }

    pub(super) fn invoke(
        &mut self,
        frame: &Bytes,
        header: &Header<'_>,
        callee: &Callee,
        now: Time,
    ) -> Result<()> {
        let Some(said) = self.read_or_refuse(frame, header, now)? else { return Ok(()) };
        let run = Run::of(header, &said, self.extensions, now);
        let Said { body, key } = said;
        let payload = self.payload(header, body, None);
        if let Err(error) = callee.admits(header, key).and_then(|()| callee.check(&payload)) {
            run.iter().for_each(|run| self.send_reject(run, &error, now));
            return Ok(());
        }
        let context = if callee.wants_context { Some(self.context(header, key)?) } else { None };
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
            handler: callee.handle,
            event: callee.takes_events.filter(|_| is_event(&payload)),
            payload,
            context,
            deadline: header.deadline(self.extensions).map(|left| now + left),
            trace: header.trace(self.extensions).map(str::to_owned),
        }));
        Ok(())
    }

    pub(super) fn refuse(
        &mut self,
        frame: &Bytes,
        header: &Header<'_>,
        error: &Error,
        now: Time,
    ) -> Result<()> {
        let Some(said) = self.read_or_refuse(frame, header, now)? else { return Ok(()) };
        if let Some(run) = Run::of(header, &said, self.extensions, now) {
            self.send_reject(&run, error, now);
        }
        Ok(())
    }

    /// Reads what a caller says. Of what cannot be read the caller is told, of what came before nobody is.
    pub(super) fn read_or_refuse(
        &mut self,
        frame: &Bytes,
        header: &Header<'_>,
        now: Time,
    ) -> Result<Option<Said>> {
        let error = match self.read_body(frame, header) {
            Ok(said) => return Ok(Some(said)),
            Err(error) => error,
        };
        if error.kind() != ErrorKind::Conflict {
            let run = Run::of(header, &Said::nothing(), self.extensions, now);
            run.into_iter().for_each(|run| self.send_reject(&run, &error, now));
        }
        Err(error)
    }

    /// The context of a call as an encoded map: built here, from what the server says of the caller.
    fn context(&self, header: &Header<'_>, key: Option<PublicKey>) -> Result<Bytes> {
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
            trace: header.trace(self.extensions),
            caller_public_key: key,
        };
        context.write(&mut out)?;
        Ok(Bytes::from(out.into_bytes()))
    }

    /// The workspace that decides on access. A part of the server stands in every workspace.
    pub(super) fn own_workspace<'a>(&'a self, header: &Header<'a>) -> &'a str {
        if self.info.workspace == "*" { workspace_of(header.to) } else { &self.info.workspace }
    }

    /// Who sent a message, as values in it are to be read; `seal_key` is that of the functions in it, where it is
    /// known from elsewhere.
    pub(super) fn origin(&self, header: &Header<'_>, seal_key: Option<PublicKey>) -> Origin {
        Origin {
            from: header.from.to_owned(),
            session: header.session.map(str::to_owned),
            extensions: header.extensions() & self.extensions,
            seal_key,
        }
    }

    pub(super) fn payload(&self, header: &Header<'_>, body: Body, seal_key: Option<PublicKey>) -> Payload {
        let origin = self.origin(header, seal_key);
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

fn is_cache_method(method: &str) -> bool {
    method.starts_with("services.built-in.message_cache.")
}

impl Session {
    /// Whether the server has said that it lost this connection, though its socket is open: only a new one helps. The
    /// driver asks after each [`Session::receive`].
    pub const fn is_lost(&self) -> bool {
        self.is_lost
    }

    /// A Hypha server says so in the reject of whatever is sent to it (protocol section 5.4).
    fn check_lost(&mut self, header: &Header<'_>, error: Error) -> Error {
        // what another client sends has its user, whom the server adds
        let is_from_server = header.user.is_none() && header.ws.is_empty();
        let text = format!("Connection has already been closed (client: {})", self.address);
        if !is_from_server || error.message() != text {
            return error;
        }
        self.is_lost = true;
        Error::new(ErrorKind::PeerGone, text)
    }
}

/// The error in a reject. Old JavaScript peers may reject with any value.
pub(super) fn rejection(value: &Payload) -> Error {
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
