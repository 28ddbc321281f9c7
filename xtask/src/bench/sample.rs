//! What the kernel knows of a process: its memory, and the processor time it has used.

use std::fs;

use crate::failure::{During as _, Failure, Outcome};

/// Linux counts processor time in hundredths of a second for programs that ask.
const TICKS_PER_SECOND: f64 = 100.0;

/// Resident memory in bytes.
pub(super) fn memory(id: u32) -> Outcome<f64> {
    let status = fs::read_to_string(format!("/proc/{id}/status")).during("memory of a process")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.trim().split(' ').next()?.parse::<f64>().ok());
    kilobytes.map(|count| count * 1024.0).ok_or_else(|| Failure::new("no VmRSS of a process"))
}

/// Seconds of processor time, user and system, of a process and those that it has started.
pub(super) fn cpu(id: u32) -> Outcome<f64> {
    let own = stat(id).ok_or_else(|| Failure::new("no processor time of a process"))?;
    let mut ticks = own.ticks;
    for entry in fs::read_dir("/proc").during("processes")?.flatten() {
        let other = entry.file_name().to_string_lossy().parse().ok().and_then(stat);
        ticks += other.filter(|other| other.parent == id).map_or(0.0, |other| other.ticks);
    }
    Ok(ticks / TICKS_PER_SECOND)
}

struct Stat {
    parent: u32,
    ticks: f64,
}

fn stat(id: u32) -> Option<Stat> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // the name stands in parentheses and may hold anything; fields are counted from after it
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = fields.get(11..13)?.iter().filter_map(|word| word.parse::<f64>().ok()).sum();
    Some(Stat { parent: fields.get(1)?.parse().ok()?, ticks })
}
