//! The body of a request, part by part as the app asks for it.

use axum::body::{Body, HttpBody};
use axum::http::StatusCode;
use bytes::{Bytes, BytesMut};
use futures_util::FutureExt;
use http_body_util::BodyExt;
use polyfn_core::ErrorKind;

use crate::http::problem::Problem;

/// Bytes of one part, at most: below what old peers take in one message.
const PART: usize = 192 << 10;

/// A body that is read as far as the app has asked for it, and no further: who sends it is slowed down.
pub(super) struct Upload {
    body: Body,
    /// What came in one piece and is more than one part.
    rest: Bytes,
    returned: Option<Part>,
    left: u64,
    limit: u64,
    is_over: bool,
}

/// A part of a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) data: Bytes,
    /// Whether others follow.
    pub(super) more: bool,
}

impl Upload {
    /// # Errors
    /// 413 for a body that is announced to be larger than `limit`.
    pub(super) fn new(body: Body, limit: u64) -> Result<Self, Problem> {
        if body.size_hint().lower() > limit {
            return Err(too_large(limit));
        }
        Ok(Self { body, rest: Bytes::new(), returned: None, left: limit, limit, is_over: false })
    }

    /// Whether the last part was given.
    pub(super) const fn is_over(&self) -> bool {
        self.is_over && self.returned.is_none()
    }

    /// Whether the whole fits into one part.
    pub(super) fn is_small(&self) -> bool {
        self.body.size_hint().exact().is_some_and(|size| size <= PART as u64)
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
        if self.rest.is_empty() && !self.body.is_end_stream() {
            match self.body.frame().await {
                Some(frame) => self.rest = self.data(frame)?,
                None => return Ok(self.part(true)),
            }
        }
        self.gather()?;
        let is_last = self.rest.len() <= PART && self.body.is_end_stream();
        Ok(self.part(is_last))
    }

    /// Takes a part back that nobody got.
    pub(super) fn give_back(&mut self, part: Part) {
        self.returned = Some(part);
    }

    fn part(&mut self, is_last: bool) -> Part {
        self.is_over = is_last;
        Part { data: self.rest.split_to(self.rest.len().min(PART)), more: !is_last }
    }

    /// What is here already goes along.
    fn gather(&mut self) -> Result<(), Problem> {
        let mut whole = BytesMut::new();
        while self.rest.len() + whole.len() < PART && !self.body.is_end_stream() {
            let Some(Some(frame)) = self.body.frame().now_or_never() else { break };
            let data = self.data(frame)?;
            if whole.is_empty() {
                whole.extend_from_slice(&std::mem::take(&mut self.rest));
            }
            whole.extend_from_slice(&data);
        }
        if !whole.is_empty() {
            self.rest = whole.freeze();
        }
        Ok(())
    }

    fn data(&mut self, frame: Result<hyper::body::Frame<Bytes>, axum::Error>) -> Result<Bytes, Problem> {
        let frame = frame.map_err(|error| {
            Problem::new(ErrorKind::Invalid, format!("the body ends too early: {error}"))
                .with_status(StatusCode::BAD_REQUEST)
        })?;
        // trailers say nothing to apps
        let data = frame.into_data().unwrap_or_default();
        self.left = self.left.checked_sub(data.len() as u64).ok_or_else(|| too_large(self.limit))?;
        Ok(data)
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
        match Upload::new(body, limit) {
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
        assert_eq!(sizes_of(pieces([&LONG[..], b"ab"]), all).await, Ok(vec![PART, PART, 7, 0]));
        assert_eq!(sizes_of(pieces([&b"ab"[..], b"cd"]), all).await, Ok(vec![4, 0]));
    }

    #[tokio::test]
    async fn a_body_is_never_larger_than_allowed() {
        assert_eq!(sizes_of(Body::from("abcd"), 3).await, Err(413));
        assert_eq!(sizes_of(pieces([&b"ab"[..], b"cd"]), 3).await, Err(413));
        assert_eq!(sizes_of(pieces([&b"ab"[..], b"cd"]), 4).await, Ok(vec![4, 0]));
    }

    #[tokio::test]
    async fn a_part_that_nobody_got_comes_again() {
        let mut upload = Upload::new(Body::from("abc"), 3).unwrap();
        let part = upload.next().await.unwrap();
        assert!(upload.is_over());
        upload.give_back(part.clone());
        assert!(!upload.is_over());
        assert_eq!(upload.next().await.unwrap(), part);
        assert!(upload.is_over());
    }
}
