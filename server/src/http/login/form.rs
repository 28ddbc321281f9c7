//! What comes from a form: its fields, and the proof that the page it was on is ours.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, header};
use http_body_util::{BodyExt, Limited};
use polyfn_core::ErrorKind;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::http::problem::Problem;

/// Bytes of a form.
const BODY_MAX: usize = 16 << 10;
/// The cookie by which a browser is known from one form to the next.
const COOKIE: &str = "polyfn_form";
/// Characters of its value.
const NONCE_LENGTH: usize = 22;

/// The fields of a form, or of a query.
#[derive(Debug, Default)]
pub(super) struct Fields(Vec<(String, String)>);

impl Fields {
    pub(super) fn of_query(query: Option<&str>) -> Self {
        Self(form_urlencoded::parse(query.unwrap_or_default().as_bytes()).into_owned().collect())
    }

    /// Reads a body.
    ///
    /// # Errors
    /// 413 for one that is too large, 400 for one that breaks off.
    pub(super) async fn read(body: Body) -> Result<Self, Problem> {
        let collected = Limited::new(body, BODY_MAX).collect().await;
        let body = collected.map_err(|error| {
            let kind = if error.is::<http_body_util::LengthLimitError>() {
                ErrorKind::TooLarge
            } else {
                ErrorKind::Invalid
            };
            Problem::new(kind, format!("a form may have {BODY_MAX} bytes"))
        })?;
        Ok(Self(form_urlencoded::parse(&body.to_bytes()).into_owned().collect()))
    }

    /// The field, without white space around it; empty when it is not there.
    pub(super) fn get(&self, name: &str) -> &str {
        self.raw(name).trim()
    }

    /// The field as it is: white space is a part of passwords.
    pub(super) fn raw(&self, name: &str) -> &str {
        self.0.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }
}

/// Knows the browser that got a form from the one that sends it.
#[derive(Debug)]
pub(super) struct Guard {
    nonce: String,
    is_new: bool,
}

impl Guard {
    /// By the cookie of the request; a new one when there is none.
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        if let Some(nonce) = cookie(headers, COOKIE).filter(|nonce| is_nonce(nonce)) {
            return Ok(Self { nonce: nonce.to_owned(), is_new: false });
        }
        let nonce = crate::login::keys::random_key()
            .map_err(|error| Problem::new(ErrorKind::Internal, error.to_string()))?;
        Ok(Self { nonce, is_new: true })
    }

    /// What names the browser elsewhere.
    pub(super) fn nonce(&self) -> &str {
        &self.nonce
    }

    /// The value of the hidden field.
    pub(super) fn token(&self, secret: &[u8; 32]) -> String {
        use std::fmt::Write as _;
        let digest = Sha256::new().chain_update(secret).chain_update(self.nonce.as_bytes()).finalize();
        digest.iter().fold(String::with_capacity(64), |mut text, byte| {
            _ = write!(text, "{byte:02x}");
            text
        })
    }

    /// The cookie to set, when there is a new one.
    pub(super) fn cookie(&self, attributes: &str) -> Option<HeaderValue> {
        let line = self.is_new.then(|| format!("{COOKIE}={}; {attributes}", self.nonce))?;
        HeaderValue::from_str(&line).ok()
    }

    /// Whether the form was on a page of ours, in this browser.
    pub(super) fn admits(&self, fields: &Fields, headers: &HeaderMap, base: &str, secret: &[u8; 32]) -> bool {
        let given = fields.get("form").as_bytes();
        let right = bool::from(self.token(secret).as_bytes().ct_eq(given));
        right && !self.is_new && is_same_origin(headers, base)
    }
}

fn is_nonce(text: &str) -> bool {
    text.len() == NONCE_LENGTH && text.bytes().all(|c| c.is_ascii_alphanumeric() || b"-_".contains(&c))
}

/// What browsers say of where a form comes from, if they say anything, does not speak against it.
fn is_same_origin(headers: &HeaderMap, base: &str) -> bool {
    let text = |name: header::HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let site = headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
    if site.is_some_and(|site| site != b"same-origin" && site != b"none") {
        return false;
    }
    let Some(origin) = text(header::ORIGIN) else { return true };
    let host = origin.split_once("://").map(|(_, host)| host);
    let public = base.split_once("://").map(|(_, rest)| rest.split('/').next().unwrap_or_default());
    host.is_some() && (host == public || host == text(header::HOST))
}

/// The value of a cookie.
pub(super) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let lines = headers.get_all(header::COOKIE).into_iter().filter_map(|line| line.to_str().ok());
    let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        lines.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn a_form_is_taken_from_the_browser_that_got_it() {
        let (secret, base) = ([7; 32], "https://lab.example/hy");
        let first = Guard::of(&HeaderMap::new()).unwrap();
        let set = first.cookie("Path=/").unwrap();
        let cookie = set.to_str().unwrap().split(';').next().unwrap().to_owned();
        let fields = Fields::of_query(Some(&format!("form={}", first.token(&secret))));
        let admits = |more: &[(&'static str, &str)]| {
            let mut lines = vec![("cookie", cookie.as_str())];
            lines.extend(more);
            let headers = headers(&lines);
            Guard::of(&headers).unwrap().admits(&fields, &headers, base, &secret)
        };
        assert!(admits(&[]));
        assert!(admits(&[("origin", "https://lab.example"), ("sec-fetch-site", "same-origin")]));
        assert!(admits(&[("origin", "http://10.0.0.1:9527"), ("host", "10.0.0.1:9527")]), "behind a proxy");
        assert!(!admits(&[("origin", "https://evil.example"), ("host", "lab.example")]));
        assert!(!admits(&[("origin", "null")]));
        assert!(!admits(&[("sec-fetch-site", "cross-site")]));
        let stranger = Guard::of(&HeaderMap::new()).unwrap();
        assert!(!stranger.admits(&fields, &HeaderMap::new(), base, &secret), "no cookie");
        let other = headers(&[("cookie", "polyfn_form=AAAAAAAAAAAAAAAAAAAAAA")]);
        assert!(!Guard::of(&other).unwrap().admits(&fields, &other, base, &secret), "another browser");
    }
}
