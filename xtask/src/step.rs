//! Steps of a command: each is announced, run, timed, and counted in the closing summary.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::failure::{During as _, Failure, Outcome};

/// Says on one line what happens now.
pub(crate) fn say(text: &str) {
    println!("==> {text}");
}

/// A program to start in `folder`.
pub(crate) fn command(folder: &Path, program: impl AsRef<OsStr>, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.current_dir(folder).args(arguments);
    command
}

/// Runs a program to its end, its output going to ours.
pub(crate) fn run(mut command: Command) -> Outcome {
    let name =
        Path::new(command.get_program()).file_name().unwrap_or_default().to_string_lossy().into_owned();
    let status = command.status().during(&format!("`{name}` does not start, is it installed?"))?;
    if status.success() { Ok(()) } else { Err(Failure::new(format!("`{name}` ended with {status}"))) }
}

/// Runs a program to its end and gives what it printed.
pub(crate) fn capture(mut command: Command) -> Outcome<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output().during(&format!("`{name}` does not start"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
    }
    let text = String::from_utf8_lossy(&output.stderr);
    Err(Failure::new(format!("`{name}` ended with {}: {}", output.status, text.trim())))
}

/// The parts of one command and how each ended.
#[derive(Default)]
pub(crate) struct Summary {
    lines: Vec<(bool, String)>,
}

impl Summary {
    /// Runs one part; a failure is noted and the next part still runs.
    pub(crate) fn part(&mut self, name: &str, work: impl FnOnce() -> Outcome<String>) {
        say(name);
        let begun = Instant::now();
        let ended = work();
        let seconds = begun.elapsed().as_secs_f64();
        let (good, note) = match ended {
            Ok(note) => (true, note),
            Err(failure) => (false, failure.to_string()),
        };
        let mark = if good { "ok    " } else { "FAILED" };
        let note = if note.is_empty() { String::new() } else { format!("  {note}") };
        self.lines.push((good, format!("{mark} {name} ({seconds:.1} s){note}")));
    }

    /// Prints one line per part; fails when a part did.
    pub(crate) fn close(self, command: &str) -> Outcome {
        println!("\n{command}:");
        for (_, line) in &self.lines {
            println!("  {line}");
        }
        let failed = self.lines.iter().filter(|(good, _)| !good).count();
        if failed == 0 {
            return Ok(());
        }
        Err(Failure::new(format!("{failed} of {} parts failed", self.lines.len())))
    }
}
