//! The clock, the wires and the weather.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use bytes::Bytes;
use polyfn_core::Value;
use polyfn_core::session::Options;
use polyfn_core::wire::ChunkLimits;

use crate::client::{BEHAVIOURS, Client};
use crate::ledger::Ledger;
use crate::server::{Delivery, Server};

const SECOND: Duration = Duration::from_secs(1);

/// How bad it gets.
pub(crate) struct Weather {
    /// One action in so many is a fault; 0 for none.
    fault_in: u32,
    actions: usize,
}

impl Weather {
    pub(crate) fn fair() -> Self {
        Self { fault_in: 0, actions: 60 }
    }

    pub(crate) fn stormy() -> Self {
        Self { fault_in: 12, actions: 60 }
    }
}

/// What happens at some moment.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Happening {
    /// A frame of a client reaches the server.
    Up {
        client: usize,
        connection: u64,
        frame: Bytes,
    },
    /// A frame of the server reaches a client.
    Down {
        client: usize,
        connection: u64,
        frame: Bytes,
    },
    /// The program of some client does something.
    Act,
    /// A client opens a connection.
    Connect(usize),
    /// A client notices that its connection is over.
    NoticedByClient {
        client: usize,
        connection: u64,
    },
    /// The server notices it.
    NoticedByServer {
        client: usize,
        connection: u64,
    },
    ServerStarts,
}

/// One client's way to the server.
struct Wire {
    /// Which connection this is; 0 before the first.
    connection: u64,
    /// The client believes to be connected.
    is_open: bool,
    /// Frames of this connection no longer arrive, in either direction.
    is_cut: bool,
    /// Nothing may arrive before what was sent earlier.
    last_up: Duration,
    last_down: Duration,
}

pub(crate) struct World {
    now: Duration,
    happenings: BinaryHeap<Reverse<(Duration, u64, Happening)>>,
    sequence: u64,
    clients: Vec<Client>,
    wires: Vec<Wire>,
    server: Option<Server>,
    ledger: Ledger,
    random: fastrand::Rng,
    fault_in: u32,
    actions: usize,
}

impl World {
    pub(crate) fn new(seed: u64, weather: &Weather) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let count = random.usize(2..5);
        let options = Options {
            method_timeout: 10 * SECOND,
            keep: 60 * SECOND,
            chunk_size: 2048,
            chunks: ChunkLimits { age: 30 * SECOND, ..ChunkLimits::default() },
            ..Options::default()
        };
        let wire = || Wire {
            connection: 0,
            is_open: false,
            is_cut: false,
            last_up: Duration::ZERO,
            last_down: Duration::ZERO,
        };
        let mut world = Self {
            now: 1000 * SECOND,
            happenings: BinaryHeap::new(),
            sequence: 0,
            clients: (0..count).map(|number| Client::new(number, &options)).collect(),
            wires: (0..count).map(|_| wire()).collect(),
            server: Some(Server::new()),
            ledger: Ledger::default(),
            random,
            fault_in: weather.fault_in,
            actions: weather.actions,
        };
        (0..count).for_each(|client| world.connect(client));
        world.at(SECOND, Happening::Act);
        world
    }

    /// Lives through all actions, then lets everything come to rest; gives what was asked and how it ended, and how
    /// many generators were read to their end.
    pub(crate) fn live(mut self) -> (Ledger, usize) {
        self.run_until(None);
        self.fault_in = 0;
        // Longer than every limit there is: what is held after it is held for ever.
        let end = self.now + 4000 * SECOND;
        self.run_until(Some(end));
        self.ledger.check();
        self.clients.iter().for_each(Client::check_empty);
        assert!(self.wires.iter().all(|wire| wire.is_open), "everybody is back");
        let whole = self.clients.iter().map(|client| client.streams.whole).sum();
        (self.ledger, whole)
    }

    fn at(&mut self, wait: Duration, happening: Happening) {
        self.sequence += 1;
        self.happenings.push(Reverse((self.now + wait, self.sequence, happening)));
    }

    /// Goes on until the programs have done all they do, or until `end`.
    fn run_until(&mut self, end: Option<Duration>) {
        while end.is_some() || self.actions > 0 {
            self.settle();
            let happening = self.happenings.peek().map(|Reverse((at, ..))| *at);
            let tick = self.clients.iter().filter_map(Client::next_time).min();
            let Some(next) = happening.into_iter().chain(tick).min() else { return };
            if end.is_some_and(|end| next > end) {
                return;
            }
            self.now = self.now.max(next);
            if happening == Some(next) {
                if let Some(Reverse((.., happening))) = self.happenings.pop() {
                    self.happen(happening);
                }
            } else {
                let now = self.now;
                self.clients.iter_mut().for_each(|client| client.tick(now));
            }
        }
    }

    /// Lets the programs hear what their sessions tell, and puts what they send on its way.
    fn settle(&mut self) {
        let now = self.now;
        for number in 0..self.clients.len() {
            while self.clients[number].listen(&mut self.ledger, now) {}
            while self.wires[number].is_open
                && let Some(sent) = self.clients[number].session.poll_send()
            {
                self.send_up(number, sent.frame);
            }
        }
    }

    fn latency(&mut self) -> Duration {
        let slow = self.fault_in > 0 && self.random.u32(..20) == 0;
        Duration::from_millis(self.random.u64(if slow { 50..2000 } else { 1..20 }))
    }

    fn send_up(&mut self, client: usize, frame: Bytes) {
        let latency = self.latency();
        let wire = &mut self.wires[client];
        wire.last_up = wire.last_up.max(self.now + latency);
        let (wait, connection) = (wire.last_up - self.now, wire.connection);
        self.at(wait, Happening::Up { client, connection, frame });
    }

    fn send_down(&mut self, deliveries: Vec<Delivery>) {
        for (client, frame) in deliveries {
            let latency = self.latency();
            let wire = &mut self.wires[client];
            wire.last_down = wire.last_down.max(self.now + latency);
            let (wait, connection) = (wire.last_down - self.now, wire.connection);
            self.at(wait, Happening::Down { client, connection, frame });
        }
    }

    fn happen(&mut self, happening: Happening) {
        let now = self.now;
        match happening {
            Happening::Up { client, connection, frame } => {
                let wire = &self.wires[client];
                let is_lost = wire.connection == connection && wire.is_cut;
                let Some(server) = self.server.as_mut().filter(|_| !is_lost) else { return };
                let deliveries = server.receive(client, connection, &frame, now);
                self.send_down(deliveries);
            }
            Happening::Down { client, connection, frame } => {
                let wire = &self.wires[client];
                if wire.connection == connection && wire.is_open && !wire.is_cut {
                    self.clients[client].session.receive(&frame, now).unwrap();
                }
            }
            Happening::Act => self.act(),
            Happening::Connect(client) => self.connect(client),
            Happening::NoticedByClient { client, connection } => self.break_off(client, connection),
            Happening::NoticedByServer { client, connection } => {
                let deliveries = self.server.as_mut().map(|server| server.leave(client, connection));
                self.send_down(deliveries.unwrap_or_default());
            }
            Happening::ServerStarts => self.server = Some(Server::new()),
        }
    }

    fn connect(&mut self, client: usize) {
        if self.wires[client].is_open {
            return;
        }
        let Some(server) = &mut self.server else { return self.retry(client) };
        let wire = &mut self.wires[client];
        wire.connection += 1;
        (wire.is_open, wire.is_cut) = (true, false);
        (wire.last_up, wire.last_down) = (self.now, self.now);
        server.join(client, wire.connection);
        self.clients[client].session.connected(Server::welcome(client), self.now);
    }

    fn retry(&mut self, client: usize) {
        let wait = Duration::from_millis(self.random.u64(100..3000));
        self.at(wait, Happening::Connect(client));
    }

    /// The client sees that its connection is gone.
    fn break_off(&mut self, client: usize, connection: u64) {
        let wire = &mut self.wires[client];
        if wire.connection != connection || !std::mem::take(&mut wire.is_open) {
            return;
        }
        self.clients[client].session.disconnected("cut");
        self.retry(client);
    }

    /// One thing that a program does, or that goes wrong.
    fn act(&mut self) {
        self.actions -= 1;
        if self.actions > 0 {
            let wait = Duration::from_millis(self.random.u64(1..1500));
            self.at(wait, Happening::Act);
        }
        if self.fault_in > 0 && self.random.u32(..self.fault_in) == 0 {
            return self.fault();
        }
        let (client, now) = (self.random.usize(..self.clients.len()), self.now);
        let others = self.clients.len() - 1;
        let to = (client + 1 + self.random.usize(..others)) % self.clients.len();
        let program = &mut self.clients[client];
        match self.random.u32(..10) {
            // Functions in results are kept for a while only: in fair weather they are called in time.
            0 if !program.received.is_empty() => {
                let at = self.random.usize(..program.received.len());
                program.call_received(at, &mut self.ledger, now);
            }
            // Who gives a call up takes its callbacks away from it: that may fail in any weather.
            1 if self.fault_in > 0 && program.calls_under_way() > 0 => {
                let at = self.random.usize(..program.calls_under_way());
                program.give_up(at, &mut self.ledger, now);
            }
            _ => {
                let what = self.random.usize(..BEHAVIOURS.len());
                let size = if self.random.u32(..4) == 0 { self.random.usize(..20_000) } else { 10 };
                let argument = Value::from("x".repeat(size).as_str());
                for _ in 0..self.random.usize(1..4) {
                    program.call(to, what, argument.clone(), &mut self.ledger, now);
                }
            }
        }
    }

    fn fault(&mut self) {
        let client = self.random.usize(..self.clients.len());
        match self.random.u32(..5) {
            0 => self.restart(),
            // Both sides notice at once; what was on its way is lost.
            1 | 2 => self.cut(client, Duration::ZERO, Duration::ZERO),
            // Half open: one side, or both, notice after a while.
            _ => {
                let limit = 30_000;
                let waits = (self.random.u64(..limit), self.random.u64(..limit));
                self.cut(client, Duration::from_millis(waits.0), Duration::from_millis(waits.1));
            }
        }
    }

    fn cut(&mut self, client: usize, for_client: Duration, for_server: Duration) {
        let wire = &mut self.wires[client];
        if !wire.is_open || wire.is_cut {
            return;
        }
        wire.is_cut = true;
        let connection = wire.connection;
        self.at(for_client, Happening::NoticedByClient { client, connection });
        self.at(for_server, Happening::NoticedByServer { client, connection });
    }

    /// The server goes away with all its connections, and comes back after a while.
    fn restart(&mut self) {
        if self.server.take().is_none() {
            return;
        }
        for client in 0..self.clients.len() {
            self.wires[client].is_cut = true;
            self.break_off(client, self.wires[client].connection);
        }
        let wait = Duration::from_millis(self.random.u64(100..20_000));
        self.at(wait, Happening::ServerStarts);
    }
}
