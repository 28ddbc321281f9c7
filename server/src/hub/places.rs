//! Places for calls under way, of one connection, one user, one workspace or one address; and for services.
//!
//! A place is taken when a call is passed on and given back with its answer. Neither takes a lock unless somebody
//! waits.

use std::collections::HashMap;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::hub::shelf::Shelf;
use crate::limits::Limits;

/// Entries before those that nobody holds any longer are forgotten.
const SWEEP_FROM: usize = 1024;

/// Set in the count of a connection that has ended: its calls take no places any longer.
const GONE: usize = 1 << (usize::BITS - 1);
/// More than anybody can have.
const ANY: usize = GONE - 1;

/// So many calls may be under way, or services registered.
#[derive(Debug)]
pub(super) struct Places {
    max: usize,
    /// The limit, by its name in metrics.
    name: &'static str,
    taken: AtomicUsize,
    freed: Notify,
}

impl Places {
    /// Without a limit for 0.
    const fn new(name: &'static str, max: usize) -> Self {
        let max = if max == 0 || max > ANY { ANY } else { max };
        Self { max, name, taken: AtomicUsize::new(0), freed: Notify::const_new() }
    }

    fn try_take(&self) -> Option<Place<'_>> {
        let more = |taken| (taken < self.max).then_some(taken + 1);
        self.taken.fetch_update(Ordering::AcqRel, Ordering::Acquire, more).ok().map(|_| Place(self))
    }

    /// The limit, by its name in metrics, and how many it allows.
    pub(super) const fn limit(&self) -> (&'static str, usize) {
        (self.name, self.max)
    }

    /// Takes one to keep, if there is one; [`Places::give_back`] must follow.
    pub(super) fn keep(&self) -> bool {
        self.try_take().map(std::mem::forget).is_some()
    }

    fn has_room(&self) -> bool {
        let taken = self.taken.load(Ordering::Acquire);
        taken < self.max || taken & GONE != 0
    }

    pub(super) fn give_back(&self, count: usize) {
        self.taken.fetch_sub(count, Ordering::AcqRel);
        (0..count.min(1)).for_each(|_| self.freed.notify_one());
    }

    async fn until<T>(&self, look: impl Fn() -> Option<T>) -> T {
        loop {
            let mut freed = pin!(self.freed.notified());
            // from here on nothing that is given back is missed
            freed.as_mut().enable();
            if let Some(found) = look() {
                // there may be room for another one who waits
                self.freed.notify_one();
                return found;
            }
            freed.await;
        }
    }
}

/// One of them, until it is dropped.
#[derive(Debug)]
struct Place<'a>(&'a Places);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.give_back(1);
    }
}

/// What one call takes: a place of its connection, and of its user, workspace and address where those are limited.
#[derive(Debug, Default)]
pub(super) struct Taken(Option<Arc<Seated>>);

impl Drop for Taken {
    fn drop(&mut self) {
        let Some(seats) = self.0.take() else { return };
        let less = |taken: usize| (taken & GONE == 0).then(|| taken - 1);
        // those of a connection that has ended are given back already
        if seats.own.taken.fetch_update(Ordering::AcqRel, Ordering::Acquire, less).is_ok() {
            seats.own.freed.notify_one();
            seats.shared().for_each(|places| places.give_back(1));
        }
    }
}

#[derive(Debug)]
struct Seated {
    own: Places,
    shared: [Option<Arc<Places>>; 3],
}

impl Seated {
    fn shared(&self) -> impl Iterator<Item = &Places> {
        self.shared.iter().flatten().map(|places| &**places)
    }
}

/// The places that the calls of one connection take.
#[derive(Clone, Debug)]
pub(super) struct Seats(Arc<Seated>);

impl Seats {
    /// Whether any number of calls may be under way.
    pub(super) fn is_free(&self) -> bool {
        self.0.own.max == ANY && self.0.shared().next().is_none()
    }

    /// Takes what a call needs; its own place last, so that who has that has all.
    ///
    /// # Errors
    /// The name of a limit that leaves no place.
    pub(super) fn try_take(&self) -> Result<Taken, &'static str> {
        if !self.0.own.has_room() {
            return Err(self.0.own.name);
        }
        let mut held = [None, None, None];
        for (places, place) in self.0.shared().zip(&mut held) {
            *place = Some(places.try_take().ok_or(places.name)?);
        }
        let own = self.0.own.try_take().ok_or(self.0.own.name)?;
        std::mem::forget(own);
        held.into_iter().flatten().for_each(std::mem::forget);
        Ok(Taken(Some(Arc::clone(&self.0))))
    }

    /// Waits for what a call needs; nothing, when the connection ends.
    pub(super) async fn take(&self) -> Taken {
        let seats = &self.0;
        loop {
            seats.own.until(|| seats.own.has_room().then_some(())).await;
            if seats.own.taken.load(Ordering::Acquire) & GONE != 0 {
                return Taken::default();
            }
            let mut held = [None, None, None];
            for (places, place) in seats.shared().zip(&mut held) {
                *place = Some(places.until(|| places.try_take()).await);
            }
            if let Some(own) = seats.own.try_take() {
                std::mem::forget(own);
                held.into_iter().flatten().for_each(std::mem::forget);
                return Taken(Some(Arc::clone(seats)));
            }
        }
    }

    /// The connection has ended: nobody waits for its calls any longer.
    pub(super) fn leave(&self) {
        let taken = self.0.own.taken.swap(GONE, Ordering::AcqRel);
        if taken & GONE == 0 {
            self.0.shared().for_each(|places| places.give_back(taken));
        }
        self.0.own.freed.notify_one();
    }
}

/// The name of the limit, and to whom it applies.
type Whose = (&'static str, String);

/// The places of everybody who is connected.
#[derive(Debug, Default)]
pub(super) struct Hall {
    shared: Mutex<HashMap<Whose, Weak<Places>>>,
}

impl Hall {
    /// The places for calls of a connection of `user` in `workspace`, which comes from an address.
    pub(super) fn seats(&self, limits: &Limits, user: &str, workspace: &str, from: Option<IpAddr>) -> Seats {
        let own = Places::new("max_calls_per_client", limits.max_calls_per_client);
        let shared = [
            self.shared("max_calls_per_user", limits.max_calls_per_user, user),
            self.shared("max_calls_per_workspace", limits.max_calls_per_workspace, workspace),
            from.and_then(|from| {
                self.of_address("max_calls_per_address", limits.max_calls_per_address, from)
            }),
        ];
        Seats(Arc::new(Seated { own, shared }))
    }

    /// The places for its services.
    pub(super) fn shelf(&self, limits: &Limits, user: &str, from: Option<IpAddr>) -> Shelf {
        let (name, max) = ("max_services_per_address", limits.max_services_per_address);
        Shelf::new([
            self.shared("max_services_per_user", limits.max_services_per_user, user),
            from.and_then(|from| self.of_address(name, max, from)),
        ])
    }

    fn of_address(&self, name: &'static str, max: usize, from: IpAddr) -> Option<Arc<Places>> {
        if max == 0 { None } else { self.shared(name, max, &from.to_string()) }
    }

    fn shared(&self, name: &'static str, max: usize, whose: &str) -> Option<Arc<Places>> {
        if max == 0 {
            return None;
        }
        let whose: Whose = (name, whose.to_owned());
        let mut shared = self.shared.lock();
        if let Some(places) = shared.get(&whose).and_then(Weak::upgrade) {
            return Some(places);
        }
        let places = Arc::new(Places::new(name, max));
        if shared.len() >= SWEEP_FROM {
            shared.retain(|_, places| places.strong_count() > 0);
        }
        shared.insert(whose, Arc::downgrade(&places));
        Some(places)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn limits() -> Limits {
        let (max_calls_per_client, max_calls_per_user) = (2, 3);
        Limits { max_calls_per_client, max_calls_per_user, max_calls_per_workspace: 0, ..Limits::default() }
    }

    #[test]
    fn calls_count_for_connection_and_user() {
        let hall = Hall::default();
        let [one, other] = [(), ()].map(|()| hall.seats(&limits(), "ann", "lab", None));
        let bob = hall.seats(&limits(), "bob", "lab", None);
        let mut held: Vec<_> = [&one, &one, &other].map(|seats| seats.try_take().unwrap()).into();
        assert_eq!(one.try_take().unwrap_err(), "max_calls_per_client");
        assert_eq!(other.try_take().unwrap_err(), "max_calls_per_user");
        // what was taken before the last one was refused is given back
        held.pop();
        held.push(other.try_take().unwrap());
        assert!(bob.try_take().is_ok());
        // nobody waits for the calls of a connection that has ended
        one.leave();
        assert_eq!(one.try_take().unwrap_err(), "max_calls_per_client");
        held.push(other.try_take().unwrap());
        assert_eq!(other.try_take().unwrap_err(), "max_calls_per_client");
        drop(held);
        let again = hall.seats(&limits(), "ann", "lab", None);
        let held: Vec<_> = [&other, &other, &again].map(|seats| seats.try_take().unwrap()).into();
        assert_eq!((held.len(), again.try_take().unwrap_err()), (3, "max_calls_per_user"));
    }

    #[test]
    fn who_waits_is_served_when_a_place_is_free() {
        let hall = Hall::default();
        let seats = hall.seats(&Limits { max_calls_per_client: 1, ..limits() }, "ann", "lab", None);
        let first = seats.try_take().unwrap();
        let mut waiting = pin!(seats.take());
        assert!(waiting.as_mut().now_or_never().is_none());
        drop(first);
        assert!(waiting.now_or_never().is_some());
    }

    #[test]
    fn nothing_is_counted_without_a_limit() {
        let none = Limits { max_calls_per_client: 0, max_calls_per_user: 0, ..limits() };
        let seats = Hall::default().seats(&none, "ann", "lab", None);
        assert!(seats.is_free());
        assert!(seats.try_take().is_ok());
    }
}
