//! What waits to be written to one connection: bounded, with one reader and many senders.
//!
//! # Why a full queue cannot lock two clients up
//!
//! A connection is read and written at the same time: its writer takes from this queue whatever its reader does,
//! and never waits for anything but its own socket. A reader that finds the queue of a target full waits for
//! that target's *socket*, not for its reader. So a circle of waiting needs clients that do not read what is sent
//! to them; such a client is closed when its queue was not touched for the time that the settings allow, and the
//! circle is broken. What the server itself has to say (events, replies of the manager) never waits in a reader.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::limits::Limits;

/// Bytes that are taken out for one write.
const BATCH_BYTES: usize = 256 << 10;
/// A queue that once was long gives its memory back when it is empty.
const KEPT_CAPACITY: usize = 64;

/// Something to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// A message.
    Frame(Bytes),
    /// A control message in text.
    Text(String),
    /// A question whether anybody is there.
    Ping,
    /// The answer to such a question.
    Pong(Bytes),
}

impl Item {
    /// Bytes of the payload.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Frame(frame) | Self::Pong(frame) => frame.len(),
            Self::Text(text) => text.len(),
            Self::Ping => 0,
        }
    }
}

/// How a connection ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// With a close frame.
    Close {
        /// Its code.
        code: u16,
        /// Its reason, cut where it is too long for the frame.
        reason: String,
        /// Whether the reason is also told in an error message before it.
        told: bool,
    },
    /// Without a word: somebody else has taken the place, or nobody is there to hear it.
    Cut,
}

impl Ending {
    /// An end whose reason is told.
    pub fn told(code: u16, reason: impl Into<String>) -> Self {
        Self::Close { code, reason: reason.into(), told: true }
    }
}

/// What the writer is to do.
#[derive(Debug)]
pub enum Next {
    /// Write these.
    Batch(Vec<Item>),
    /// End the connection.
    End(Ending),
}

/// Why nothing was put in.
#[derive(Debug, PartialEq, Eq)]
pub enum Refused {
    /// It is full; the item comes back.
    Full(Item),
    /// The connection has ended.
    Closed,
}

#[derive(Debug, Default)]
struct Waiting {
    items: VecDeque<Item>,
    bytes: usize,
    senders_wait: bool,
    end: Option<Ending>,
}

/// The queue of one connection.
#[derive(Debug)]
pub struct Queue {
    waiting: Mutex<Waiting>,
    /// Told when there is something to write.
    filled: Notify,
    /// Told when there is room.
    emptied: Notify,
    /// Told when the connection is to end.
    ended: Notify,
    max_items: usize,
    max_bytes: usize,
    patience: Duration,
}

impl Queue {
    /// An empty queue.
    #[must_use]
    pub fn new(limits: &Limits) -> Self {
        Self {
            waiting: Mutex::default(),
            filled: Notify::new(),
            emptied: Notify::new(),
            ended: Notify::new(),
            max_items: limits.max_queued_frames.max(1),
            max_bytes: limits.max_queued_bytes.max(1),
            patience: limits.slow_client_timeout.duration(),
        }
    }

    /// Puts `item` in if there is room.
    ///
    /// # Errors
    /// [`Refused`] says why not.
    pub fn push(&self, item: Item) -> Result<(), Refused> {
        self.push_within(item, 1)
    }

    /// Puts in what the server has to say, for which twice the room is kept.
    ///
    /// # Errors
    /// [`Refused`] says why not.
    pub fn push_urgent(&self, item: Item) -> Result<(), Refused> {
        self.push_within(item, 2)
    }

    fn push_within(&self, item: Item, room: usize) -> Result<(), Refused> {
        let mut waiting = self.waiting.lock();
        if waiting.end.is_some() {
            return Err(Refused::Closed);
        }
        if waiting.items.len() >= self.max_items * room
            || waiting.bytes >= self.max_bytes.saturating_mul(room)
        {
            waiting.senders_wait = true;
            return Err(Refused::Full(item));
        }
        let was_empty = waiting.items.is_empty();
        waiting.bytes += item.len();
        waiting.items.push_back(item);
        drop(waiting);
        // a writer that sleeps found the queue empty: one that does not looks again before it sleeps
        if was_empty {
            self.filled.notify_one();
        }
        Ok(())
    }

    /// Puts `item` in as soon as there is room. A receiver that takes nothing for too long is closed.
    ///
    /// Answers whether the item was put in.
    pub async fn send(&self, item: Item) -> bool {
        match self.push(item) {
            Ok(()) => true,
            Err(Refused::Closed) => false,
            Err(Refused::Full(item)) => self.send_slowly(item).await,
        }
    }

    async fn send_slowly(&self, mut item: Item) -> bool {
        loop {
            let room = self.emptied.notified();
            let mut room = std::pin::pin!(room);
            room.as_mut().enable();
            match self.push(item) {
                Ok(()) => return true,
                Err(Refused::Closed) => return false,
                Err(Refused::Full(back)) => item = back,
            }
            // each piece that the receiver takes begins the time anew
            if timeout(self.patience, room).await.is_err() {
                self.close_slow();
                return false;
            }
        }
    }

    /// Waits until there is room, or the connection has ended.
    pub async fn room(&self) {
        loop {
            let room = self.emptied.notified();
            let mut room = std::pin::pin!(room);
            room.as_mut().enable();
            if !self.is_full() {
                return;
            }
            if timeout(self.patience, room).await.is_err() {
                return self.close_slow();
            }
        }
    }

    /// Whether senders have to wait.
    pub fn is_full(&self) -> bool {
        let mut waiting = self.waiting.lock();
        let full = waiting.end.is_none()
            && (waiting.items.len() >= self.max_items || waiting.bytes >= self.max_bytes);
        waiting.senders_wait |= full;
        full
    }

    fn close_slow(&self) {
        let seconds = self.patience.as_secs_f64();
        self.close(Ending::told(1008, format!("Client is too slow: it took no message for {seconds} s")));
    }

    /// Ends the connection after what waits already; a cut does not wait.
    pub fn close(&self, end: Ending) {
        let mut waiting = self.waiting.lock();
        if end == Ending::Cut {
            waiting.items.clear();
            waiting.bytes = 0;
            waiting.end = Some(end);
        } else {
            waiting.end.get_or_insert(end);
        }
        drop(waiting);
        self.tell_end();
    }

    /// The other side has closed: nothing but the answer to that is written any more.
    pub fn hang_up(&self, code: u16) {
        let mut waiting = self.waiting.lock();
        waiting.items.clear();
        waiting.bytes = 0;
        waiting.end.get_or_insert(Ending::Close { code, reason: String::new(), told: false });
        drop(waiting);
        self.tell_end();
    }

    fn tell_end(&self) {
        self.filled.notify_one();
        self.emptied.notify_waiters();
        self.ended.notify_waiters();
    }

    /// Waits until the connection is to end; says how.
    pub async fn end(&self) -> Ending {
        loop {
            let ended = self.ended.notified();
            let mut ended = std::pin::pin!(ended);
            ended.as_mut().enable();
            if let Some(end) = self.waiting.lock().end.clone() {
                return end;
            }
            ended.await;
        }
    }

    /// Whether the connection has ended or is about to.
    pub fn is_closed(&self) -> bool {
        self.waiting.lock().end.is_some()
    }

    /// Ends the connection without a word and gives what it did not write any more.
    pub fn take_over(&self) -> Vec<Item> {
        let mut waiting = self.waiting.lock();
        let items = std::mem::take(&mut waiting.items);
        waiting.bytes = 0;
        waiting.end = Some(Ending::Cut);
        drop(waiting);
        self.tell_end();
        items.into()
    }

    /// What to do next; waits until there is something. For one writer only.
    pub async fn next(&self) -> Next {
        loop {
            if let Some(next) = self.take() {
                return next;
            }
            self.filled.notified().await;
        }
    }

    fn take(&self) -> Option<Next> {
        let mut waiting = self.waiting.lock();
        if waiting.items.is_empty() {
            return waiting.end.clone().map(Next::End);
        }
        let mut batch = Vec::with_capacity(waiting.items.len().min(KEPT_CAPACITY));
        let mut size = 0;
        while size < BATCH_BYTES
            && let Some(item) = waiting.items.pop_front()
        {
            size += item.len();
            batch.push(item);
        }
        waiting.bytes -= size;
        if waiting.items.is_empty() && waiting.items.capacity() > KEPT_CAPACITY {
            waiting.items = VecDeque::new();
        }
        let wake = std::mem::take(&mut waiting.senders_wait);
        drop(waiting);
        if wake {
            self.emptied.notify_waiters();
        }
        Some(Next::Batch(batch))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::limits::Seconds;

    fn queue(frames: usize) -> Arc<Queue> {
        let limits =
            Limits { max_queued_frames: frames, slow_client_timeout: Seconds::new(5), ..Limits::default() };
        Arc::new(Queue::new(&limits))
    }

    fn frame(byte: u8) -> Item {
        Item::Frame(Bytes::copy_from_slice(&[byte]))
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_queue_holds_its_senders_until_there_is_room() {
        let queue = queue(1);
        assert!(queue.send(frame(1)).await);
        let sender = tokio::spawn({
            let queue = queue.clone();
            async move { queue.send(frame(2)).await }
        });
        tokio::time::sleep(Duration::from_secs(4)).await;
        assert!(!sender.is_finished());
        assert!(matches!(queue.next().await, Next::Batch(batch) if batch == [frame(1)]));
        assert!(sender.await.unwrap());
        assert!(matches!(queue.next().await, Next::Batch(batch) if batch == [frame(2)]));
    }

    #[tokio::test(start_paused = true)]
    async fn a_receiver_that_takes_nothing_is_closed() {
        let queue = queue(1);
        assert!(queue.send(frame(1)).await);
        assert!(!queue.send(frame(2)).await);
        assert!(matches!(queue.next().await, Next::Batch(_)));
        assert!(matches!(queue.next().await, Next::End(Ending::Close { code: 1008, .. })));
        assert_eq!(queue.push(frame(3)), Err(Refused::Closed));
    }

    #[tokio::test]
    async fn the_server_has_room_of_its_own() {
        let queue = queue(1);
        queue.push(frame(1)).unwrap();
        assert_eq!(queue.push(frame(2)), Err(Refused::Full(frame(2))));
        queue.push_urgent(frame(2)).unwrap();
        assert_eq!(queue.push_urgent(frame(3)), Err(Refused::Full(frame(3))));
    }

    #[tokio::test]
    async fn the_next_connection_gets_what_was_not_written() {
        let queue = queue(9);
        queue.push(frame(1)).unwrap();
        assert_eq!(queue.take_over(), [frame(1)]);
        assert!(matches!(queue.next().await, Next::End(Ending::Cut)));
    }
}
