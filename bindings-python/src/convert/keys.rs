//! Keys of maps, made once: the same few come with every message.

use std::sync::atomic::{AtomicUsize, Ordering};

use pyo3::prelude::*;
use pyo3::types::PyString;

const SLOTS: usize = 512;
/// Longer keys are hardly names.
const LONGEST: usize = 32;
/// Interned texts may stay for ever, so peers cannot make us intern without end.
const MOST_INTERNED: usize = 1024;

static INTERNED: AtomicUsize = AtomicUsize::new(0);

/// A cache with one place for each key: a newcomer takes the place of whoever had it.
pub(crate) struct Keys {
    slots: Vec<Option<(Box<str>, Py<PyString>)>>,
}

impl Default for Keys {
    fn default() -> Self {
        Self { slots: std::iter::repeat_with(|| None).take(SLOTS).collect() }
    }
}

impl Keys {
    pub(super) fn get<'py>(&mut self, py: Python<'py>, key: &str) -> Bound<'py, PyString> {
        if key.len() > LONGEST {
            return PyString::new(py, key);
        }
        let slot = &mut self.slots[place(key.as_bytes())];
        if let Some((known, object)) = slot
            && **known == *key
        {
            return object.bind(py).clone();
        }
        let object = if INTERNED.fetch_add(1, Ordering::Relaxed) < MOST_INTERNED {
            PyString::intern(py, key)
        } else {
            PyString::new(py, key)
        };
        *slot = Some((key.into(), object.clone().unbind()));
        object
    }
}

/// Mixes the length, the first and the last bytes: enough to tell names apart, cheaper than a hash of all.
fn place(key: &[u8]) -> usize {
    let word = |part: &[u8]| {
        let mut bytes = [0; 8];
        bytes[..part.len()].copy_from_slice(part);
        u64::from_le_bytes(bytes)
    };
    let first = word(&key[..key.len().min(8)]);
    let last = word(&key[key.len().saturating_sub(8)..]);
    let mixed = (first ^ last.rotate_left(23) ^ key.len() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> 55) as usize % SLOTS
}
