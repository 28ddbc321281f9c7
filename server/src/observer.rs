//! What a program that embeds the server hears of the requests.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::Method;
use parking_lot::{Condvar, Mutex};

/// A request that was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// Its method.
    pub method: Method,
    /// Its path, base path included. The query is left out, as it may carry a token.
    pub path: String,
    /// The status of the answer.
    pub status: u16,
    /// From the head of the request to the head of the answer.
    pub time: Duration,
}

/// Is told of each request that was answered. Called on the server's threads: it must not wait.
pub type Observer = Arc<dyn Fn(Answered) + Send + Sync>;

/// Requests that may wait to be told to a program that embeds the server.
const WAITING_MAX: usize = 1024;

/// Answered requests on their way to a program, which takes them when it has time; while it has none for too long,
/// the oldest are let go.
#[derive(Debug, Default)]
pub struct Requests {
    waiting: Mutex<VecDeque<Answered>>,
    changed: Condvar,
    is_closed: AtomicBool,
}

impl Requests {
    /// Notes a request; whether it is the first one that waits.
    pub fn push(&self, answered: Answered) -> bool {
        let mut waiting = self.waiting.lock();
        if waiting.len() >= WAITING_MAX {
            waiting.pop_front();
        }
        waiting.push_back(answered);
        self.changed.notify_one();
        waiting.len() == 1
    }

    /// Takes all that wait.
    #[must_use]
    pub fn take(&self) -> Vec<Answered> {
        self.waiting.lock().drain(..).collect()
    }

    /// Takes all that wait, as soon as there are some; none when `limit` is over, and `None` when no more will come.
    #[must_use]
    pub fn wait(&self, limit: Duration) -> Option<Vec<Answered>> {
        let mut waiting = self.waiting.lock();
        if waiting.is_empty() && !self.is_closed.load(Ordering::Acquire) {
            self.changed.wait_for(&mut waiting, limit);
        }
        let taken: Vec<_> = waiting.drain(..).collect();
        (!taken.is_empty() || !self.is_closed.load(Ordering::Acquire)).then_some(taken)
    }

    /// No more will come.
    pub fn close(&self) {
        let _waiting = self.waiting.lock();
        self.is_closed.store(true, Ordering::Release);
        self.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(number: usize) -> Answered {
        let path = format!("/{number}");
        Answered { method: Method::GET, path, status: 200, time: Duration::ZERO }
    }

    #[test]
    fn the_oldest_give_way_to_the_newest() {
        let requests = Requests::default();
        assert!(requests.push(answered(0)));
        assert!((1..=WAITING_MAX).all(|number| !requests.push(answered(number))));
        let taken = requests.take();
        assert_eq!((taken.len(), taken[0].path.as_str()), (WAITING_MAX, "/1"));
    }

    #[test]
    fn who_waits_is_told_of_the_end() {
        let requests = Arc::new(Requests::default());
        let waiting = std::thread::spawn({
            let requests = requests.clone();
            move || requests.wait(Duration::from_secs(60))
        });
        requests.close();
        assert_eq!(waiting.join().unwrap(), None);
        requests.push(answered(1));
        assert_eq!(requests.wait(Duration::ZERO), Some(vec![answered(1)]));
    }
}
