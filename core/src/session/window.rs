//! How much a peer may send of its generators: so many items and bytes of each, so many bytes of all together.
//!
//! What a peer may send counts as held already, so that what is promised can be kept. One item may be longer than
//! what is left: nobody knows its length before. It is taken, and nothing more is granted until it is used up.

use std::collections::VecDeque;

use super::options::Options;
use crate::{Error, Result};

/// Items that a peer may send at first. Each grant doubles the number, up to the limit: who reads only the first items
/// does not have many made in vain.
const FIRST_ITEMS: u32 = 16;
/// Bytes that a generator of which nothing is held may send, however much the others hold: it goes on, slowly.
const LEAST_BYTES: usize = 16 << 10;

/// What is granted to a peer, in addition to what it had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Grant {
    pub(super) items: u32,
    pub(super) bytes: u64,
}

/// What all generators of peers hold together.
#[derive(Debug, Default)]
pub(super) struct Pool {
    bytes: usize,
}

impl Pool {
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }
}

/// What one generator of a peer holds, and may still send.
#[derive(Debug, Default)]
pub(super) struct Window {
    /// Items that the peer may still send.
    items: u32,
    /// Bytes that it may still send; below zero after an item that was longer.
    bytes: i64,
    /// What has come and is not used up: items and bytes of each frame.
    waiting: VecDeque<(u32, usize)>,
    waiting_items: u32,
    waiting_bytes: usize,
    /// How many items there shall be, under way and waiting.
    aim: u32,
}

impl Window {
    /// A window with its first grant.
    pub(super) fn open(pool: &mut Pool, options: &Options) -> (Self, Grant) {
        let mut window = Self { aim: FIRST_ITEMS.min(options.stream_window).max(1), ..Self::default() };
        let grant = window.grant(pool, options);
        (window, grant)
    }

    /// What is counted as held.
    fn held(&self) -> usize {
        self.waiting_bytes + usize::try_from(self.bytes).unwrap_or_default()
    }

    /// Changes the window and what it counts for in the pool.
    fn change<T>(&mut self, pool: &mut Pool, work: impl FnOnce(&mut Self) -> T) -> T {
        let before = self.held();
        let value = work(self);
        pool.bytes = pool.bytes.saturating_sub(before) + self.held();
        value
    }

    /// Items have come.
    ///
    /// # Errors
    /// `too_large` for more than was granted.
    pub(super) fn arrived(
        &mut self,
        pool: &mut Pool,
        items: u32,
        bytes: usize,
        options: &Options,
    ) -> Result<()> {
        if items > self.items || self.bytes <= 0 {
            return Err(Error::too_large(format!(
                "a peer sent {items} items of a generator where {} items and {} bytes were granted",
                self.items,
                self.bytes.max(0)
            )));
        }
        let granted = self.held() - self.waiting_bytes;
        let over = i64::try_from(bytes).unwrap_or(i64::MAX).saturating_sub(self.bytes);
        let most = options.stream_buffer.saturating_add(options.chunks.bytes);
        if over > 0 && (pool.bytes - granted).saturating_add(bytes) > most {
            return Err(Error::too_large(format!(
                "items of generators that wait to be read would hold more than {most} bytes"
            )));
        }
        self.change(pool, |window| {
            window.items -= items;
            window.bytes = over.saturating_neg();
            window.waiting.push_back((items, bytes));
            window.waiting_items += items;
            window.waiting_bytes += bytes;
        });
        Ok(())
    }

    /// Items are used up: what the peer is granted for them, when it is enough to be worth a message.
    pub(super) fn used(&mut self, pool: &mut Pool, items: u32, options: &Options) -> Option<Grant> {
        self.change(pool, |window| window.take(items));
        let is_low = (self.items + self.waiting_items) * 2 <= self.aim;
        // The limit is what it is compared with, not what may be had: where others hold all, little by little is enough.
        let wanted = self.room(pool, options);
        let is_short =
            wanted > 0 && self.bytes.saturating_mul(2) <= i64::try_from(wanted).unwrap_or(i64::MAX);
        if !is_low && !is_short {
            return None;
        }
        self.aim = self.aim.saturating_mul(2).min(options.stream_window).max(1);
        let grant = self.grant(pool, options);
        (grant.items > 0 || grant.bytes > 0).then_some(grant)
    }

    fn take(&mut self, mut items: u32) {
        while items > 0
            && let Some((left, bytes)) = self.waiting.front_mut()
        {
            let taken = items.min(*left);
            *left -= taken;
            items -= taken;
            self.waiting_items -= taken;
            if *left == 0 {
                self.waiting_bytes -= *bytes;
                self.waiting.pop_front();
            }
        }
    }

    /// How many bytes the peer may be allowed to send from here on, those included that it may send already.
    fn room(&self, pool: &Pool, options: &Options) -> usize {
        let own = options.stream_window_bytes.saturating_sub(self.waiting_bytes);
        let others = pool.bytes.saturating_sub(self.held());
        let shared = options.stream_buffer.saturating_sub(others).saturating_sub(self.waiting_bytes);
        let least = if self.waiting.is_empty() { LEAST_BYTES } else { 0 };
        own.min(shared.max(least))
    }

    /// Grants what is missing.
    fn grant(&mut self, pool: &mut Pool, options: &Options) -> Grant {
        let items = self.aim.saturating_sub(self.items + self.waiting_items);
        let room = i64::try_from(self.room(pool, options)).unwrap_or(i64::MAX);
        let bytes = room.saturating_sub(self.bytes).max(0);
        self.change(pool, |window| {
            window.items += items;
            window.bytes += bytes;
        });
        Grant { items, bytes: bytes.unsigned_abs() }
    }

    /// The stream is over: what it held is free. What its reader still has of it is the language's.
    pub(super) fn close(mut self, pool: &mut Pool) {
        self.change(pool, |window| *window = Self::default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(window: u32, window_bytes: usize, buffer: usize) -> Options {
        Options {
            stream_window: window,
            stream_window_bytes: window_bytes,
            stream_buffer: buffer,
            ..Options::default()
        }
    }

    #[test]
    fn a_reader_that_keeps_up_is_sent_more_and_more() {
        let options = options(100, 1 << 20, 1 << 20);
        let mut pool = Pool::default();
        let (mut window, mut grant) = Window::open(&mut pool, &options);
        assert_eq!(grant, Grant { items: 16, bytes: 1 << 20 });
        let mut granted = Vec::new();
        for _ in 0..5 {
            window.arrived(&mut pool, grant.items, 10, &options).unwrap();
            grant = window.used(&mut pool, grant.items, &options).unwrap();
            granted.push(grant.items);
        }
        assert_eq!(granted, [32, 64, 100, 100, 100]);
        assert_eq!(pool.bytes(), 1 << 20, "what may be sent is held");
        window.close(&mut pool);
        assert_eq!(pool.bytes(), 0);
    }

    #[test]
    fn a_grant_waits_until_it_is_worth_a_message() {
        let options = options(16, 1 << 20, 1 << 20);
        let mut pool = Pool::default();
        let (mut window, _) = Window::open(&mut pool, &options);
        window.arrived(&mut pool, 16, 16, &options).unwrap();
        assert_eq!(window.used(&mut pool, 7, &options), None);
        assert_eq!(window.used(&mut pool, 1, &options), Some(Grant { items: 8, bytes: 0 }));
    }

    #[test]
    fn what_was_not_granted_is_refused() {
        let options = options(16, 1000, 1 << 20);
        let mut pool = Pool::default();
        let (mut window, _) = Window::open(&mut pool, &options);
        assert!(window.arrived(&mut pool, 17, 1, &options).is_err(), "too many items");
        window.arrived(&mut pool, 1, 5000, &options).unwrap();
        assert_eq!(pool.bytes(), 5000, "one item may be longer");
        assert!(window.arrived(&mut pool, 1, 1, &options).is_err(), "but no second one");
        let grant = window.used(&mut pool, 1, &options).unwrap();
        assert_eq!(grant.bytes, 5000, "the debt and the window");
        assert_eq!(pool.bytes(), 1000);
        window.arrived(&mut pool, 1, 1000, &options).unwrap();
    }

    #[test]
    fn all_together_hold_no_more_than_the_limit() {
        let options = options(16, 100_000, 250_000);
        let mut pool = Pool::default();
        let mut windows: Vec<_> = (0..4).map(|_| Window::open(&mut pool, &options)).collect();
        let bytes: Vec<u64> = windows.iter().map(|(_, grant)| grant.bytes).collect();
        assert_eq!(bytes, [100_000, 100_000, 50_000, LEAST_BYTES as u64], "each goes on, if only slowly");
        windows.drain(..).for_each(|(window, _)| window.close(&mut pool));
        assert_eq!(pool.bytes(), 0);
    }

    #[test]
    fn items_longer_than_all_limits_together_are_refused() {
        let mut options = options(16, 1000, 1000);
        options.chunks.bytes = 6000;
        let mut pool = Pool::default();
        let (mut first, _) = Window::open(&mut pool, &options);
        let (mut second, _) = Window::open(&mut pool, &options);
        first.arrived(&mut pool, 1, 5500, &options).unwrap();
        assert!(second.arrived(&mut pool, 1, 30_000, &options).is_err());
        second.arrived(&mut pool, 1, 1000, &options).unwrap();
    }
}
