//! Functions given away, counted: in arguments, in results, in interfaces. No peer can make us hold so many that
//! there is no room for others.

use std::collections::HashMap;

use super::options::Options;
use super::session::Session;
use crate::codec::{Export, Writer};
use crate::wire::PublicKey;
use crate::{Error, ErrorKind, Result};

/// How many functions each peer may call.
#[derive(Debug, Default)]
pub(super) struct References {
    by_peer: HashMap<String, usize>,
    all: usize,
}

impl References {
    /// Counts `count` functions more for `peer`.
    ///
    /// # Errors
    /// `overloaded` when that would be too many; nothing is counted then.
    pub(super) fn add(&mut self, peer: &str, count: usize, options: &Options) -> Result<()> {
        if count == 0 {
            return Ok(());
        }
        let of_peer = self.by_peer.get(peer).copied().unwrap_or_default() + count;
        let all = self.all + count;
        let refused = |whom: &str, count: usize, limit: &str, max: usize| {
            let text = format!(
                "{whom} would hold {count} functions of this client, {limit} is {max}: let some of them go first"
            );
            Error::new(ErrorKind::Overloaded, text)
        };
        if of_peer > options.max_functions_per_peer {
            return Err(refused(peer, of_peer, "max_functions_per_peer", options.max_functions_per_peer));
        }
        if all > options.max_functions {
            return Err(refused("all others together", all, "max_functions", options.max_functions));
        }
        self.all = all;
        self.by_peer.insert(peer.to_owned(), of_peer);
        Ok(())
    }

    /// `count` functions that `peer` could call are gone.
    pub(super) fn remove(&mut self, peer: &str, count: usize) {
        let Some(of_peer) = self.by_peer.get_mut(peer).filter(|_| count > 0) else { return };
        *of_peer = of_peer.saturating_sub(count);
        self.all = self.all.saturating_sub(count);
        if *of_peer == 0 {
            self.by_peer.remove(peer);
        }
    }

    /// How many there are in all.
    pub(super) const fn len(&self) -> usize {
        self.all
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

impl Session {
    /// Keeps the interfaces in a message for `peer` and counts its functions, which it gives; all are let go when there
    /// are too many.
    pub(super) fn give(
        &mut self,
        writer: &mut Writer,
        peer: &str,
        key: Option<PublicKey>,
    ) -> Result<Vec<(String, Export)>> {
        let (objects, interfaces) = (writer.take_objects(), writer.take_interfaces());
        if let Err(error) = self.references.add(peer, objects.len(), &self.options) {
            self.release(objects);
            self.release_interfaces(interfaces);
            return Err(error);
        }
        match self.give_interfaces(interfaces, peer, key) {
            Ok(()) => Ok(objects),
            Err(error) => {
                self.take_back(peer, objects);
                Err(error)
            }
        }
    }

    /// `peer` cannot call these any longer.
    pub(super) fn take_back(&mut self, peer: &str, objects: Vec<(String, Export)>) {
        self.references.remove(peer, objects.len());
        self.release(objects);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_peer_leaves_room_for_others() {
        let options = Options { max_functions: 10, max_functions_per_peer: 6, ..Options::default() };
        let mut references = References::default();
        references.add("lab/greedy", 6, &options).unwrap();
        let error = references.add("lab/greedy", 1, &options).unwrap_err();
        assert_eq!(
            (error.kind(), error.message()),
            (
                ErrorKind::Overloaded,
                "lab/greedy would hold 7 functions of this client, max_functions_per_peer is 6: let some of them go first"
            )
        );
        references.add("lab/modest", 4, &options).unwrap();
        assert!(references.add("lab/third", 1, &options).unwrap_err().message().starts_with("all others"));
        references.remove("lab/greedy", 6);
        references.add("lab/third", 1, &options).unwrap();
        references.remove("lab/modest", 4);
        references.remove("lab/third", 1);
        assert_eq!((references.len(), references.by_peer.len()), (0, 0));
    }
}
