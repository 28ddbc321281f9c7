//! What two polyfn peers can do beyond the protocol of Hypha.

use std::fmt;
use std::ops::{BitAnd, BitOr};
use std::str::FromStr;

use crate::{Error, Result};

/// A set of extensions of the protocol. A client names those that it knows, the server answers with those that both
/// know, and only these are used. The bits are fixed for ever: they stand in frames.
///
/// ```
/// use polyfn_core::session::Extensions;
/// let ours = Extensions::CANCEL | Extensions::TRACE;
/// let theirs = Extensions::from_names(["trace", "something-newer"]);
/// assert_eq!(ours & theirs, Extensions::TRACE);
/// assert_eq!((ours & theirs).names().collect::<Vec<_>>(), ["trace"]);
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Extensions(u8);

impl Extensions {
    /// None: the protocol of Hypha and nothing else.
    pub const NONE: Self = Self(0);
    /// A caller that gives up says so.
    pub const CANCEL: Self = Self(1);
    /// A call says how long its caller waits.
    pub const DEADLINE: Self = Self(2);
    /// Items of a generator are sent without a call for each.
    pub const PUSH_STREAM: Self = Self(4);
    /// Such items are sent no faster than they are used.
    pub const CREDIT: Self = Self(8);
    /// A call names the trace that it belongs to.
    pub const TRACE: Self = Self(16);
    /// What both sides must know for items of a generator to be sent ahead.
    pub const PUSHED: Self = Self(Self::PUSH_STREAM.0 | Self::CREDIT.0);
    /// All that this version knows.
    pub const ALL: Self = Self(31);

    const NAMES: [(Self, &'static str); 5] = [
        (Self::CANCEL, "cancel"),
        (Self::DEADLINE, "deadline"),
        (Self::PUSH_STREAM, "push-stream"),
        (Self::CREDIT, "credit"),
        (Self::TRACE, "trace"),
    ];

    /// Those of `names` that are known; the others belong to newer versions.
    pub fn from_names<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        names.into_iter().filter_map(|name| name.parse().ok()).fold(Self::NONE, |all, one| all | one)
    }

    /// The names, in the order of the bits.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Self::NAMES.into_iter().filter(move |(one, _)| self.has(*one)).map(|(_, name)| name)
    }

    /// Whether all of `others` are in the set.
    pub const fn has(self, others: Self) -> bool {
        self.0 & others.0 == others.0
    }

    /// The set without `others`.
    #[must_use]
    pub const fn without(self, others: Self) -> Self {
        Self(self.0 & !others.0)
    }

    /// Whether there are none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// As a number, for the wire.
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// From a number; bits of newer versions are left out.
    pub const fn from_bits(bits: u64) -> Self {
        Self((bits & Self::ALL.0 as u64) as u8)
    }
}

impl BitAnd for Extensions {
    type Output = Self;

    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl BitOr for Extensions {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl fmt::Debug for Extensions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

impl FromStr for Extensions {
    type Err = Error;

    /// Reads the name of one extension.
    fn from_str(name: &str) -> Result<Self> {
        let known = Self::NAMES.into_iter().find(|(_, known)| *known == name);
        known.map(|(one, _)| one).ok_or_else(|| {
            let names: Vec<_> = Self::ALL.names().collect();
            Error::invalid(format!("extension `{name}` is not known, expected one of {}", names.join(", ")))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_bits_stay_what_they_are() {
        let all: Vec<_> = Extensions::ALL.names().map(|name| (name, name.parse::<Extensions>())).collect();
        let bits = [1, 2, 4, 8, 16].map(|bit| Ok(Extensions::from_bits(bit)));
        let names = ["cancel", "deadline", "push-stream", "credit", "trace"];
        assert_eq!(all, names.into_iter().zip(bits).collect::<Vec<_>>());
        assert_eq!(Extensions::from_bits(0xff), Extensions::ALL);
        assert!("resume".parse::<Extensions>().is_err());
    }
}
