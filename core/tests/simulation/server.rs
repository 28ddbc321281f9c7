//! The server: `wire::Relayed` between connections, and a manager that knows nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use polyfn_core::codec::{Walk as _, Writer};
use polyfn_core::session::{ConnectionInfo, Event, Extensions, Invocation, Options, Session};
use polyfn_core::wire::{Relayed, Route, Sender};
use polyfn_core::{Error, ErrorKind, Function, Map, Value};

/// The workspace that everybody is in.
pub(crate) const WORKSPACE: &str = "lab";

/// What a client can do: one of three is of the old kind.
fn known(client: usize) -> Extensions {
    if client % 3 == 1 { Extensions::NONE } else { Extensions::ALL }
}

/// What the server wants to have delivered: to which client, what.
pub(crate) type Delivery = (usize, Bytes);

pub(crate) struct Server {
    manager: Session,
    /// Connected clients, by the number of their connection.
    online: BTreeMap<usize, u64>,
}

impl Server {
    pub(crate) fn new() -> Self {
        let info = ConnectionInfo {
            workspace: "*".to_owned(),
            client_id: "manager".to_owned(),
            manager_id: "manager".to_owned(),
            ..ConnectionInfo::default()
        };
        let mut manager = Session::local(Options { seed: 7, ..Options::default() }, info);
        let function = |(name, handle)| (name, Value::Function(Function { handle, ..Function::default() }));
        let mut service =
            Map::from_iter(["register_service", "subscribe"].into_iter().zip(0..).map(function));
        service.insert("id", "default");
        service.insert("config", Map::from_iter([("visibility", "public")]));
        let mut draft = manager.begin_service();
        Value::Map(service).walk(&mut draft.writer).unwrap();
        manager.add_service(draft, false).unwrap();
        Self { manager, online: BTreeMap::new() }
    }

    /// What a client is told at its handshake.
    pub(crate) fn welcome(client: usize) -> ConnectionInfo {
        ConnectionInfo {
            workspace: WORKSPACE.to_owned(),
            client_id: format!("c{client}"),
            manager_id: "manager".to_owned(),
            extensions: known(client),
            ..ConnectionInfo::default()
        }
    }

    /// A client joins; a connection that it had before is superseded.
    pub(crate) fn join(&mut self, client: usize, connection: u64) {
        self.online.insert(client, connection);
    }

    /// The server notices that a connection is over; the others are told.
    pub(crate) fn leave(&mut self, client: usize, connection: u64) -> Vec<Delivery> {
        if self.online.get(&client) != Some(&connection) {
            return Vec::new();
        }
        self.online.remove(&client);
        let data = Map::from_iter([("id", format!("c{client}").as_str()), ("workspace", WORKSPACE)]);
        let message = Map::from_iter([
            ("type", Value::from("client_disconnected")),
            ("to", "*".into()),
            ("data", data.into()),
        ]);
        let frame = Bytes::from(Value::Map(message).to_msgpack().unwrap());
        self.online.keys().map(|other| (*other, frame.clone())).collect()
    }

    /// Takes a frame of a client.
    pub(crate) fn receive(
        &mut self,
        from: usize,
        connection: u64,
        frame: &Bytes,
        now: Duration,
    ) -> Vec<Delivery> {
        if self.online.get(&from) != Some(&connection) {
            return Vec::new();
        }
        let relayed = Relayed::read(frame, &sender(from)).unwrap();
        let target = relayed.to.strip_prefix("lab/c").and_then(|number| number.parse().ok());
        let knows = target.is_some_and(|target| !known(target).is_empty());
        let written = relayed.write(&sender(from), WORKSPACE, knows).unwrap();
        if relayed.to == "*/manager" {
            self.manager.receive(&written, now).unwrap();
            return self.answers(now);
        }
        match target.filter(|target| self.online.contains_key(target)) {
            Some(target) => vec![(target, written)],
            None => {
                relayed.session.map(|session| (from, gone(&relayed.to, from, session))).into_iter().collect()
            }
        }
    }

    /// The manager takes whatever it is asked for.
    fn answers(&mut self, now: Duration) -> Vec<Delivery> {
        while let Some(event) = self.manager.poll_event() {
            let Event::Invoke(Invocation { run: Some(run), .. }) = event else { continue };
            let mut draft = self.manager.begin_reply(run).unwrap();
            draft.writer.nil().unwrap();
            self.manager.finish_reply(draft, now);
        }
        let mut deliveries = Vec::new();
        while let Some(sent) = self.manager.poll_send() {
            let target = sent.to.strip_prefix("lab/c").and_then(|number| number.parse().ok());
            deliveries.extend(target.map(|target| (target, sent.frame)));
        }
        self.manager.tick(now);
        deliveries
    }
}

fn sender(client: usize) -> Sender {
    let user = Value::Map(Map::from_iter([("id", format!("user {client}"))])).to_msgpack().unwrap();
    Sender { workspace: WORKSPACE.to_owned(), address: address(client), user: user.into() }
}

/// The address of a client.
pub(crate) fn address(client: usize) -> String {
    format!("{WORKSPACE}/c{client}")
}

/// What the server answers for a client that is not there (protocol section 6.6).
fn gone(target: &str, caller: usize, session: &str) -> Bytes {
    let (to, method) = (address(caller), format!("{session}.reject"));
    let mut out = Writer::new();
    Route { from: target, to: &to, method: &method, ..Route::default() }.write(&mut out).unwrap();
    out.open_map(1).unwrap();
    out.text("args").unwrap();
    out.open_list(1).unwrap();
    out.error(&Error::new(ErrorKind::PeerGone, format!("Target peer {target} is not connected"))).unwrap();
    out.into_bytes().into()
}
