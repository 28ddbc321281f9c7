//! The body of a request, part by part as the app asks for it.

use std::collections::VecDeque;
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::http::{HeaderMap, StatusCode, header};
use bytes::{Bytes, BytesMut};
use futures_util::FutureExt;
use http_body_util::BodyExt;
use polyfn_core::ErrorKind;
use tokio::time::{Instant, sleep_until};

use crate::http::problem::Problem;

/// Bytes of one part, at most: below what old peers take in one message.
const PART: usize = 192 << 10;
/// Bytes that are read although the app has not asked for them: whether whoever sends them has left is seen by reading
/// only.
const AHEAD: usize = 256 << 10;

/// How long nothing is read ahead of a sender that waits to be told to go on: the app may refuse the whole.
const EXPECTED: Duration = Duration::from_secs(1);

/// A body that is read as far as the app has asked for it, and little further: who sends it is slowed down.
pub(super) struct Upload {
    body: Body,
    /// What has come and was not given yet.
    waiting: VecDeque<Bytes>,
    /// Bytes of it.
    held: usize,
    returned: Option<Part>,
    left: u64,
    limit: u64,
    /// Whether everything has come.
    has_come: bool,
    /// Whether everything was given.
    is_given: bool,
    /// When reading ahead may begin.
    ahead_from: Option<Instant>,
}

/// A part of a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) data: Bytes,
    /// Whether others follow.
    pub(super) more: bool,
}

impl Upload {
    /// The body of a request with these headers.
    ///
    /// # Errors
    /// 413 for a body that is announced to be larger than `limit`.
    pub(super) fn new(headers: &HeaderMap, body: Body, limit: u64) -> Result<Self, Problem> {
        if body.size_hint().lower() > limit {
            return Err(too_large(limit));
        }
        let has_come = body.is_end_stream();
        let ahead_from = headers.contains_key(header::EXPECT).then(|| Instant::now() + EXPECTED);
        let (waiting, returned, left) = (VecDeque::new(), None, limit);
        Ok(Self { body, waiting, held: 0, returned, left, limit, has_come, is_given: false, ahead_from })
    }

    /// Whether the last part was given.
    pub(super) const fn is_over(&self) -> bool {
        self.is_given && self.returned.is_none()
    }

    /// Whether the whole fits into one part.
    pub(super) fn is_small(&self) -> bool {
        self.body.size_hint().exact().is_some_and(|size| size <= PART as u64)
    }

    /// Whether more may be read than was asked for.
    pub(super) const fn has_room(&self) -> bool {
        !self.has_come && self.held < AHEAD
    }

    /// The next part, if it is wanted; otherwise reads ahead.
    ///
    /// # Errors
    /// As [`Upload::next`].
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub(super) async fn go_on(&mut self, is_wanted: bool) -> Result<Option<Part>, Problem> {
        if is_wanted { self.next().await.map(Some) } else { self.read_ahead().await.map(|()| None) }
    }

    /// Reads what comes next and keeps it, until there is no room for more.
    async fn read_ahead(&mut self) -> Result<(), Problem> {
        if let Some(from) = self.ahead_from {
            sleep_until(from).await;
        }
        while self.has_room() {
            let frame = self.body.frame().await;
            self.keep(frame)?;
        }
        Ok(())
    }

    /// The next part.
    ///
    /// # Errors
    /// 413 when the body is larger than allowed, 400 when its sender stops in the middle.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub(super) async fn next(&mut self) -> Result<Part, Problem> {
        if let Some(part) = self.returned.take() {
            return Ok(part);
        }
        if self.waiting.is_empty() && !self.has_come {
            let frame = self.body.frame().await;
            self.keep(frame)?;
        }
        // what is here already goes along
        while self.held < PART && !self.has_come {
            let Some(frame) = self.body.frame().now_or_never() else { break };
            self.keep(frame)?;
        }
        let data = self.take();
        self.is_given = self.has_come && self.held == 0;
        Ok(Part { data, more: !self.is_given })
    }

    /// Takes a part back that nobody got.
    pub(super) fn give_back(&mut self, part: Part) {
        self.returned = Some(part);
    }

    /// As much of what waits as goes into one part.
    fn take(&mut self) -> Bytes {
        let size = self.held.min(PART);
        self.held -= size;
        if let Some(first) = self.waiting.front_mut().filter(|first| first.len() > size) {
            return first.split_to(size);
        }
        if let Some(first) = self.waiting.pop_front_if(|first| first.len() == size) {
            return first;
        }
        let mut whole = BytesMut::with_capacity(size);
        while let Some(next) = self.waiting.front_mut().filter(|_| whole.len() < size) {
            whole.extend_from_slice(&next.split_to(next.len().min(size - whole.len())));
            if next.is_empty() {
                self.waiting.pop_front();
            }
        }
        whole.freeze()
    }

    fn keep(&mut self, frame: Option<Result<hyper::body::Frame<Bytes>, axum::Error>>) -> Result<(), Problem> {
        let Some(frame) = frame else {
            self.has_come = true;
            return Ok(());
        };
        let frame = frame.map_err(|error| {
            Problem::new(ErrorKind::Invalid, format!("the body ends too early: {error}"))
                .with_status(StatusCode::BAD_REQUEST)
        })?;
        // trailers say nothing to apps
        let data = frame.into_data().unwrap_or_default();
        self.left = self.left.checked_sub(data.len() as u64).ok_or_else(|| too_large(self.limit))?;
        self.held += data.len();
        self.waiting.extend(Some(data).filter(|data| !data.is_empty()));
        self.has_come = self.body.is_end_stream();
        Ok(())
    }
}

fn too_large(limit: u64) -> Problem {
    Problem::new(
        ErrorKind::TooLarge,
        format!("the body is larger than {limit} bytes, the most that an app is given"),
    )
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    fn pieces(pieces: impl IntoIterator<Item = &'static [u8], IntoIter: Send + 'static>) -> Body {
        Body::from_stream(futures_util::stream::iter(pieces.into_iter().map(Ok::<_, io::Error>)))
    }

    async fn sizes(mut upload: Upload) -> Result<Vec<usize>, u16> {
        let mut sizes = Vec::new();
        while !upload.is_over() {
            let part = upload.next().await.map_err(|problem| problem.status().as_u16())?;
            assert_eq!(part.more, !upload.is_over());
            sizes.push(part.data.len());
        }
        Ok(sizes)
    }

    async fn sizes_of(body: Body, limit: u64) -> Result<Vec<usize>, u16> {
        match Upload::new(&HeaderMap::new(), body, limit) {
            Ok(upload) => sizes(upload).await,
            Err(problem) => Err(problem.status().as_u16()),
        }
    }

    #[tokio::test]
    async fn a_body_comes_in_parts_of_a_size_that_everybody_takes() {
        static LONG: [u8; 2 * PART + 5] = [7; 2 * PART + 5];
        let all = u64::MAX;
        assert_eq!(sizes_of(Body::empty(), 0).await, Ok(vec![0]));
        assert_eq!(sizes_of(Body::from("abc"), all).await, Ok(vec![3]));
        assert_eq!(sizes_of(Body::from(&LONG[..]), all).await, Ok(vec![PART, PART, 5]));
        assert_eq!(sizes_of(pieces([&LONG[..], b"ab"]), all).await, Ok(vec![PART, PART, 7]));
        assert_eq!(sizes_of(pieces([&b"ab"[..], b"cd"]), all).await, Ok(vec![4]));
    }

    #[tokio::test]
    async fn a_body_is_never_larger_than_allowed() {
        assert_eq!(sizes_of(Body::from("abcd"), 3).await, Err(413));
        assert_eq!(sizes_of(pieces([&b"ab"[..], b"cd"]), 3).await, Err(413));
        assert_eq!(sizes_of(pieces([&b"ab"[..], b"cd"]), 4).await, Ok(vec![4]));
    }

    #[tokio::test]
    async fn a_little_is_read_that_nobody_asked_for() {
        static PIECE: [u8; 100 << 10] = [7; 100 << 10];
        let mut upload = Upload::new(&HeaderMap::new(), pieces([&PIECE[..]; 5]), u64::MAX).unwrap();
        upload.read_ahead().await.unwrap();
        assert_eq!((upload.held, upload.has_room(), upload.has_come), (300 << 10, false, false));
        assert_eq!(sizes(upload).await, Ok(vec![PART, PART, (500 << 10) - 2 * PART]));
        let torn = [Ok(Bytes::from("ab")), Err(io::Error::other("gone"))];
        let mut upload =
            Upload::new(&HeaderMap::new(), Body::from_stream(futures_util::stream::iter(torn)), 3).unwrap();
        assert_eq!(upload.read_ahead().await.map_err(|problem| problem.status().as_u16()), Err(400));
    }

    #[tokio::test]
    async fn a_part_that_nobody_got_comes_again() {
        let mut upload = Upload::new(&HeaderMap::new(), Body::from("abc"), 3).unwrap();
        let part = upload.next().await.unwrap();
        assert!(upload.is_over());
        upload.give_back(part.clone());
        assert!(!upload.is_over());
        assert_eq!(upload.next().await.unwrap(), part);
        assert!(upload.is_over());
    }
}
