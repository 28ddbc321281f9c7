//! Programs that run beside us: servers, workers, examples. They end when they are dropped, or when we are interrupted.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child as Process, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::failure::{During as _, Failure, Outcome};

static RUNNING: Mutex<Vec<u32>> = Mutex::new(Vec::new());

/// One program; its stdout is read line by line, its stderr goes where the command says.
pub(crate) struct Child {
    name: String,
    process: Process,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
}

impl Child {
    /// Starts a program, its stderr going to `log` or to ours.
    pub(crate) fn start(name: &str, mut command: Command, log: Option<&Path>) -> Outcome<Self> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        if let Some(log) = log {
            let file = std::fs::File::create(log).during("opening a log")?;
            command.stderr(file);
        }
        let program = command.get_program().to_string_lossy().into_owned();
        let mut process = command.spawn().during(&format!("`{program}` does not start"))?;
        lock().push(process.id());
        let lines = read_lines(process.stdout.take());
        let input = process.stdin.take();
        Ok(Self { name: name.to_owned(), process, input, lines })
    }

    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        !matches!(self.process.try_wait(), Ok(None))
    }

    /// The next line of its stdout.
    pub(crate) fn line(&mut self, limit: Duration) -> Outcome<String> {
        match self.lines.recv_timeout(limit) {
            Ok(line) => Ok(line),
            Err(RecvTimeoutError::Timeout) => {
                Err(Failure::new(format!("{} said nothing for {} s", self.name, limit.as_secs())))
            }
            Err(RecvTimeoutError::Disconnected) => {
                let status = self.process.wait()?;
                Err(Failure::new(format!("{} ended early ({status})", self.name)))
            }
        }
    }

    /// The next line that starts with `start`, without it; what comes before is passed over.
    pub(crate) fn line_after(&mut self, start: &str, limit: Duration) -> Outcome<String> {
        let deadline = Instant::now() + limit;
        loop {
            let line = self.line(deadline.saturating_duration_since(Instant::now()))?;
            if let Some(rest) = line.strip_prefix(start) {
                return Ok(rest.to_owned());
            }
        }
    }

    /// Writes one line to its stdin.
    pub(crate) fn tell(&mut self, line: &str) -> Outcome {
        let Some(input) = &mut self.input else { return Ok(()) };
        writeln!(input, "{line}").during(&self.name)?;
        input.flush().during(&self.name)
    }

    /// Ends it as an administrator would, and by force when it does not go within `limit`.
    pub(crate) fn stop(&mut self, limit: Duration) {
        drop(self.input.take());
        terminate(&[self.process.id()]);
        let deadline = Instant::now() + limit;
        while Instant::now() < deadline {
            if self.has_ended() {
                break;
            }
            thread::sleep(Duration::from_millis(5));
        }
        self.end();
    }

    fn end(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        lock().retain(|id| *id != self.process.id());
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if self.has_ended() {
            self.end();
        } else {
            self.stop(Duration::from_secs(3));
        }
    }
}

/// From now on an interrupt ends every child before it ends us; the code is that of an interrupted program, or 0
/// where stopping is how the command ends.
pub(crate) fn end_children_on_interrupt(code: i32) -> Outcome {
    ctrlc::set_handler(move || {
        terminate(&lock().clone());
        thread::sleep(Duration::from_millis(300));
        std::process::exit(code);
    })
    .during("the interrupt handler")
}

fn lock() -> std::sync::MutexGuard<'static, Vec<u32>> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

fn terminate(ids: &[u32]) {
    if ids.is_empty() {
        return;
    }
    let ids = ids.iter().map(u32::to_string);
    let mut kill = if cfg!(windows) {
        let mut kill = Command::new("taskkill");
        kill.args(ids.flat_map(|id| ["/PID".to_owned(), id]));
        kill
    } else {
        let mut kill = Command::new("kill");
        kill.args(ids);
        kill
    };
    let _ = kill.stdout(Stdio::null()).stderr(Stdio::null()).status();
}

fn read_lines(output: Option<ChildStdout>) -> Receiver<String> {
    let (send, lines) = channel();
    if let Some(output) = output {
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if send.send(line).is_err() {
                    break;
                }
            }
        });
    }
    lines
}
