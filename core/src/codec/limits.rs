//! Depth, size and count: checked in one place, before anything is allocated.

/// Limits of one encoded value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How deep lists and maps may nest. Default 64.
    pub depth: usize,
    /// How many values one message may hold, containers included. Default 1,000,000.
    pub items: usize,
}

impl Limits {
    /// The defaults.
    pub const DEFAULT: Self = Self { depth: 64, items: 1_000_000 };
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}
