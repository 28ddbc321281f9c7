//! The servers that are measured, each on a free port of this machine.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use crate::bench::foreign;
use crate::bench::row::{Row, System};
use crate::bench::stand::Stand;
use crate::child::Child;
use crate::failure::{Failure, Outcome};
use crate::fetch;
use crate::step::command;

const START_LIMIT: Duration = Duration::from_secs(60);

/// Limits of both servers, raised so that the machine is measured and not they.
const NO_LIMITS: [&str; 9] = [
    "HYPHA_WS_MSG_RATE_LIMIT",
    "HYPHA_WS_MSG_BURST_LIMIT",
    "HYPHA_HTTP_RATE_LIMIT",
    "HYPHA_HTTP_BURST_LIMIT",
    "HYPHA_HTTP_AUTHENTICATED_RATE_LIMIT",
    "HYPHA_HTTP_AUTHENTICATED_BURST_LIMIT",
    "HYPHA_MAX_CONNECTIONS_PER_USER",
    "HYPHA_MAX_CLIENTS_PER_WORKSPACE",
    "HYPHA_MAX_SERVICES_PER_CLIENT",
];

/// A server that is ready.
pub(super) struct Server {
    child: Child,
    pub(super) url: String,
    /// From the start of the process to its first good answer.
    pub(super) ready_after: Duration,
}

impl Server {
    pub(super) fn start(stand: &Stand<'_>, system: System) -> Outcome<Self> {
        Self::start_with(stand, system, &[])
    }

    /// The same, with more flags.
    pub(super) fn start_with(stand: &Stand<'_>, system: System, flags: &[&str]) -> Outcome<Self> {
        let port = free_port()?;
        let mut program = match system {
            System::Hypha => hypha(stand, port),
            System::Nats => nats(stand, port)?,
            _ => polyfn(stand, port),
        };
        program.args(flags);
        let health = (system != System::Nats).then_some("/health/readiness");
        Self::started(stand, system, program, port, health)
    }

    /// A server that runs the measured function, or the web app, in its own process.
    pub(super) fn of_function(stand: &Stand<'_>, row: &Row) -> Outcome<Self> {
        let port = free_port()?;
        let program = foreign::program(stand.layout, row, port);
        Self::started(stand, row.system, program, port, Some(foreign::path(row.system)))
    }

    fn started(
        stand: &Stand<'_>,
        system: System,
        program: Command,
        port: u16,
        health: Option<&str>,
    ) -> Outcome<Self> {
        let scheme = if system == System::Nats { "nats" } else { "http" };
        let begun = Instant::now();
        let log = stand.log(system.word());
        let mut child = Child::start(system.title(), program, Some(&log))?;
        wait_until_ready(&mut child, port, health)?;
        let ready_after = begun.elapsed();
        Ok(Self { child, url: format!("{scheme}://127.0.0.1:{port}"), ready_after })
    }

    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }
}

/// A ceiling: the program that was built beside us, and where it listens.
pub(super) fn ceiling(stand: &Stand<'_>, word: &str) -> Outcome<(Child, serde_json::Value)> {
    let mut program = Command::new(stand.layout.binary(stand.profile, "polyfn-ceiling"));
    program.arg(word);
    let mut child = Child::start(word, program, Some(&stand.log(word)))?;
    let places = serde_json::from_str(&child.line(START_LIMIT)?)?;
    Ok((child, places))
}

fn polyfn(stand: &Stand<'_>, port: u16) -> Command {
    let mut server = Command::new(stand.layout.binary(stand.profile, "polyfn"));
    server.current_dir(stand.folder());
    server.args(["serve", "--host", "127.0.0.1", "--port", &port.to_string()]);
    server.args(["--database-uri", "sqlite::memory:"]);
    raise_limits(server)
}

fn hypha(stand: &Stand<'_>, port: u16) -> Command {
    let python = stand.layout.python(".venv-hypha");
    let port = port.to_string();
    let mut server = command(stand.folder(), python, &["-m", "hypha.server", "--host", "127.0.0.1"]);
    server.args(["--port", &port]);
    raise_limits(server)
}

fn nats(stand: &Stand<'_>, port: u16) -> Outcome<Command> {
    let settings = stand.folder().join("nats.conf");
    fs::write(&settings, "max_payload: 16MB\n")?;
    let mut server = Command::new(nats_program());
    server.args(["--addr", "127.0.0.1", "--port", &port.to_string(), "--config"]).arg(settings);
    Ok(server)
}

/// Debian puts it where only the administrator's `PATH` looks.
fn nats_program() -> &'static str {
    let debian = "/usr/sbin/nats-server";
    if Path::new(debian).is_file() { debian } else { "nats-server" }
}

fn raise_limits(mut server: Command) -> Command {
    for name in NO_LIMITS {
        server.env(name, "1000000000");
    }
    server
}

fn free_port() -> Outcome<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

/// Asks again and again, without a pause long enough to be seen in the figure.
fn wait_until_ready(child: &mut Child, port: u16, health: Option<&str>) -> Outcome {
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let deadline = Instant::now() + START_LIMIT;
    while Instant::now() < deadline {
        if answers(address, health).unwrap_or(false) {
            return Ok(());
        }
        if child.has_ended() {
            return Err(Failure::new("the server ended before it was ready"));
        }
        thread::sleep(Duration::from_micros(500));
    }
    Err(Failure::new(format!("the server is not ready after {} s", START_LIMIT.as_secs())))
}

fn answers(address: SocketAddr, health: Option<&str>) -> Outcome<bool> {
    match health {
        Some(path) => Ok(fetch::get(address, path)?.status == 200),
        None => Ok(TcpStream::connect(address).is_ok()),
    }
}
