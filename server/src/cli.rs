//! The command line: arguments and environment to [`crate::Config`], and the command that serves.
//!
//! The same command comes with the binary and with the packages of both languages: [`Host`] says which it is.

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{Parser, Subcommand};

use crate::dev::Plan;
use crate::runtime;
use crate::server::{Running, Server, StartError};
use crate::state::VERSION;

mod admin;
mod backup;
mod dev;
mod doctor;
mod environment;
mod flags;
mod inert;
mod log;
mod login;
mod settings;
mod terminal;
mod token;
mod token_text;

use self::backup::{BackupCommand, RestoreCommand};

pub use admin::AdminFlags;
pub use dev::DevFlags;
pub use flags::ServeFlags;
pub use settings::{Setting, embedded};
pub use terminal::LoginCommand;
use token::TokenCommand;

/// Exit code for a command line or a setting that cannot be used.
const UNUSABLE: u8 = 2;
/// Exit code for everything else that goes wrong.
const FAILED: u8 = 1;

/// Functions from Python and JavaScript, called by RPC and over HTTP.
#[derive(Debug, Parser)]
#[command(name = "polyfn", version, arg_required_else_help = true, infer_long_args = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server.
    #[command(infer_long_args = true, after_help = flags::EXAMPLES)]
    Serve(Box<ServeFlags>),
    /// Look at a running server, and keep others out of it; needs the root token.
    #[command(after_help = admin::EXAMPLES)]
    Admin(AdminFlags),
    /// Look whether `serve` could work with the same flags: port, clock, database, secret, version.
    #[command(infer_long_args = true, after_help = doctor::EXAMPLES)]
    Doctor(Box<ServeFlags>),
    /// Serve the functions of a module, and load it again when it is saved.
    #[command(after_help = dev::EXAMPLES)]
    Dev(DevFlags),
    /// Log in with a browser, and print the token.
    #[command(after_help = terminal::EXAMPLES)]
    Login(LoginCommand),
    /// Copy the database of a server, which may be running, into a file.
    #[command(after_help = backup::EXAMPLES)]
    Backup(BackupCommand),
    /// Put a copy made by `backup` in the place of a database.
    #[command(after_help = backup::RESTORE_EXAMPLES)]
    Restore(RestoreCommand),
    /// Make, read and revoke tokens.
    #[command(subcommand, after_help = token::EXAMPLES)]
    Token(TokenCommand),
    /// Serve an ASGI or WSGI application of Python's through a server; needs the Python package.
    #[command(disable_help_flag = true)]
    ServeApp {
        /// `module:application` and flags; `--help` tells them.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGUMENTS")]
        arguments: Vec<String>,
    },
}

/// What the command is a part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Host {
    /// The binary alone.
    Binary,
    /// The package for Python.
    Python,
    /// The package for Node.
    Node,
}

/// What has become of a command.
#[derive(Debug)]
pub enum Outcome {
    /// It is done; the process is to end with this code.
    Exit(u8),
    /// The host is to serve these modules.
    Dev(Plan),
    /// The host is to run its module `serve_app` with these arguments.
    ServeApp(Vec<String>),
}

/// Runs the command that the process was started with.
pub fn main() -> ExitCode {
    match run(Host::Binary, std::env::args_os()) {
        Outcome::Exit(code) => ExitCode::from(code),
        Outcome::Dev(_) | Outcome::ServeApp(_) => ExitCode::from(FAILED),
    }
}

/// Runs the command in `arguments`, whose first one is the program's name, as far as it needs no other language
/// than this one.
///
/// Blocks until that is done; it makes its own tokio runtime, so it is not to be called from one.
pub fn run(host: Host, arguments: impl IntoIterator<Item = OsString>) -> Outcome {
    let (cli, notes) = match parse(arguments.into_iter().collect(), &|name| std::env::var(name).ok()) {
        Ok(parsed) => parsed,
        Err(error) => return Outcome::Exit(show(&error)),
    };
    match cli.command {
        Command::Serve(flags) => {
            log::start(&flags.log);
            for note in notes.into_iter().chain(flags.inert.warnings()) {
                tracing::warn!("{note}");
            }
            Outcome::Exit(serve(&flags))
        }
        Command::Admin(flags) => match admin::run(&flags, &|name| std::env::var(name).ok()) {
            Ok(text) => {
                println!("{text}");
                Outcome::Exit(0)
            }
            Err(error) => Outcome::Exit(fail(FAILED, &error)),
        },
        Command::Doctor(flags) => Outcome::Exit(if doctor::run(&flags) { 0 } else { FAILED }),
        Command::Dev(flags) => match flags.plan(host) {
            Ok(plan) => Outcome::Dev(plan),
            Err(error) => Outcome::Exit(fail(UNUSABLE, &error)),
        },
        Command::Backup(command) => Outcome::Exit(command.run()),
        Command::Restore(command) => Outcome::Exit(command.run()),
        Command::Login(command) => Outcome::Exit(log_in(&command)),
        Command::Token(command) => Outcome::Exit(tell(command)),
        Command::ServeApp { arguments } if host == Host::Python => Outcome::ServeApp(arguments),
        Command::ServeApp { .. } => {
            let text = "`serve-app` runs Python applications: `pip install polyfn`, then `python3 -m polyfn \
                        serve-app ...`";
            let node =
                "; an app of Node's is registered by its own program, as a service of the type `fetch`";
            Outcome::Exit(fail(UNUSABLE, &format!("{text}{}", if host == Host::Node { node } else { "" })))
        }
    }
}

fn log_in(command: &LoginCommand) -> u8 {
    let done = match runtime::new(1) {
        Ok(runtime) => runtime.block_on(command.run()),
        Err(error) => Err(StartError::Runtime(error).to_string()),
    };
    done.map_or_else(|error| fail(FAILED, &error), |()| 0)
}

/// Reads the arguments, then again with what the environment adds. Also answers what of the environment was left
/// out, and why.
fn parse(
    arguments: Vec<OsString>,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<(Cli, Vec<String>), clap::Error> {
    Cli::try_parse_from(&arguments)?;
    let (arguments, mut notes) = environment::with_variables::<Cli>(arguments, "serve", variable);
    let (arguments, more) = environment::with_variables::<Cli>(arguments, "doctor", variable);
    notes.extend(more);
    Ok((Cli::try_parse_from(arguments)?, notes))
}

/// Help and version go to stdout and are a success, as usual.
fn show(error: &clap::Error) -> u8 {
    _ = error.print();
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => 0,
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => 0,
        _ => UNUSABLE,
    }
}

fn tell(command: TokenCommand) -> u8 {
    match command.run(&|name| std::env::var(name).ok()) {
        Ok(told) => {
            // nobody may be reading; that is no reason to fail
            _ = std::io::stdout().lock().write_all(told.text.as_bytes());
            if told.good { 0 } else { FAILED }
        }
        Err(error) => fail(FAILED, &error),
    }
}

fn serve(flags: &ServeFlags) -> u8 {
    let runtime = match runtime::new(flags.workers) {
        Ok(runtime) => runtime,
        Err(error) => return fail(FAILED, &StartError::Runtime(error).to_string()),
    };
    let code = runtime.block_on(serve_until_signal(flags));
    // what did not end in time must not keep the process
    runtime.shutdown_background();
    code
}

async fn serve_until_signal(flags: &ServeFlags) -> u8 {
    let mut signals = match Signals::new() {
        Ok(signals) => signals,
        Err(error) => return fail(FAILED, &format!("cannot listen for signals: {error}")),
    };
    let running = match Server::start(flags.config()).await {
        Ok(running) => running,
        Err(error @ StartError::Config(_)) => return fail(UNUSABLE, &error.to_string()),
        Err(error) => return fail(FAILED, &error.to_string()),
    };
    announce(&running);
    signals.next().await;
    tracing::info!("stopping: a second signal stops at once");
    tokio::select! {
        ended = running.stop() => {
            if !ended {
                tracing::warn!("stopped with work under way: it did not end in time");
            }
            0
        }
        () = signals.next() => FAILED,
    }
}

/// The one line on stdout that programs wait for.
fn announce(running: &Running) {
    let state = running.state();
    tracing::info!(address = %running.address(), server_id = state.server_id, "listening");
    if state.config.jwt_secret.is_none() {
        tracing::info!("no token secret is set: tokens end with this process (POLYFN_JWT_SECRET keeps them)");
    }
    let mut out = std::io::stdout().lock();
    // nobody may be reading; that is no reason to stop
    _ = writeln!(out, "polyfn {VERSION} ready at {}", running.url()).and_then(|()| out.flush());
}

fn fail(code: u8, message: &str) -> u8 {
    eprintln!("polyfn: {message}");
    code
}

/// The signals by which a process is asked to end.
struct Signals {
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    #[cfg(unix)]
    fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    #[cfg(unix)]
    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    #[cfg(not(unix))]
    fn new() -> std::io::Result<Self> {
        Ok(Self {})
    }

    #[cfg(not(unix))]
    async fn next(&mut self) {
        _ = tokio::signal::ctrl_c().await;
    }
}

#[cfg(test)]
mod tests;
