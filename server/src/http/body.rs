//! Request bodies, whole and never larger than allowed.

use axum::body::{Body, HttpBody};
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use polyfn_core::ErrorKind;

use crate::http::problem::Problem;

/// Reads the whole body; one that is announced to be too large is not read at all.
///
/// # Errors
/// 413 above `limit` bytes, 400 when the sender stops in the middle.
pub async fn collect(body: Body, limit: usize) -> Result<Bytes, Problem> {
    if body.is_end_stream() {
        return Ok(Bytes::new());
    }
    if usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX) > limit {
        return Err(too_large(limit));
    }
    match Limited::new(body, limit).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(too_large(limit)),
        Err(error) => Err(Problem::new(ErrorKind::Invalid, format!("the body ends too early: {error}"))),
    }
}

fn too_large(limit: usize) -> Problem {
    Problem::new(
        ErrorKind::TooLarge,
        format!("the body is larger than {limit} bytes, the most that is taken"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn bodies_are_whole_and_bounded() {
        assert_eq!(collect(Body::empty(), 0).await, Ok(Bytes::new()));
        assert_eq!(collect(Body::from("abc"), 3).await, Ok(Bytes::from("abc")));
        let error = collect(Body::from("abcd"), 3).await.unwrap_err();
        assert_eq!(error.status(), 413);
    }
}
