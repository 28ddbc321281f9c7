//! Request bodies, whole and never larger than allowed.

use axum::body::{Body, HttpBody};
use axum::http::StatusCode;
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use polyfn_core::ErrorKind;
use tokio::time::timeout;

use crate::http::problem::Problem;
use crate::limits::Limits;

/// Reads the whole body; one that is announced to be too large is not read at all.
///
/// # Errors
/// 413 above the largest allowed, 408 when it takes as long as a call may take, 400 when the sender stops in the
/// middle.
pub async fn collect(body: Body, limits: &Limits) -> Result<Bytes, Problem> {
    collect_at_most(body, limits.max_request_body, limits).await
}

/// The same where another size is the largest.
///
/// # Errors
/// As [`collect`].
pub async fn collect_at_most(body: Body, largest: usize, limits: &Limits) -> Result<Bytes, Problem> {
    if body.is_end_stream() {
        return Ok(Bytes::new());
    }
    if usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX) > largest {
        return Err(too_large(largest));
    }
    let time = limits.http_call_timeout.duration();
    match timeout(time, Limited::new(body, largest).collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large(largest)),
        Ok(Err(error)) => Err(Problem::new(ErrorKind::Invalid, format!("the body ends too early: {error}"))),
        Err(_) => {
            let text = format!("the body did not come within {} seconds", limits.http_call_timeout);
            Err(Problem::new(ErrorKind::Timeout, text).with_status(StatusCode::REQUEST_TIMEOUT))
        }
    }
}

fn too_large(largest: usize) -> Problem {
    Problem::new(
        ErrorKind::TooLarge,
        format!("the body is larger than {largest} bytes, the most that is taken"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn collected(body: Body, largest: usize) -> Result<Bytes, u16> {
        let limits = Limits { max_request_body: largest, ..Limits::default() };
        collect(body, &limits).await.map_err(|problem| problem.status().as_u16())
    }

    #[tokio::test(start_paused = true)]
    async fn bodies_are_whole_and_bounded() {
        assert_eq!(collected(Body::empty(), 0).await, Ok(Bytes::new()));
        assert_eq!(collected(Body::from("abc"), 3).await, Ok(Bytes::from("abc")));
        assert_eq!(collected(Body::from("abcd"), 3).await, Err(413));
        let pieces = || futures_util::stream::iter(["ab", "cd"].map(Ok::<_, std::io::Error>));
        assert_eq!(collected(Body::from_stream(pieces()), 4).await, Ok(Bytes::from("abcd")));
        assert_eq!(collected(Body::from_stream(pieces()), 3).await, Err(413));
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_does_not_come_is_not_awaited_for_ever() {
        let never = futures_util::stream::pending::<std::io::Result<Bytes>>();
        assert_eq!(collected(Body::from_stream(never), 3).await, Err(408));
    }
}
