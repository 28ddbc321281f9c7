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

/// Seconds of processor time, user and system.
pub(super) fn cpu(id: u32) -> Outcome<f64> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).during("processor time of a process")?;
    // the name stands in parentheses and may hold anything; the 14th and 15th field are counted from after it
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks: f64 =
        after_name.split_whitespace().skip(11).take(2).filter_map(|word| word.parse::<f64>().ok()).sum();
    Ok(ticks / TICKS_PER_SECOND)
}
