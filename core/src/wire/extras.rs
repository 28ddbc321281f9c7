//! Key `x` of segment 1: what polyfn peers tell each other beside the protocol of Hypha.

use std::ops::Range;
use std::time::Duration;

use bytes::{Bytes, BytesMut};

use crate::Result;
use crate::codec::{Reader, Token, Writer};
use crate::session::Extensions;

/// The key in segment 1.
pub(super) const KEY: &str = "x";
/// A deadline further away counts as this.
pub(crate) const FURTHEST: Duration = Duration::from_hours(365 * 24);

/// What `x` holds. Only peers that negotiated extensions write it, and only such peers are sent it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extras<'a> {
    /// What the sender can do.
    pub extensions: Extensions,
    /// How long the caller still waits.
    pub deadline: Option<Duration>,
    /// The trace that the call belongs to, a W3C `traceparent`.
    pub trace: Option<&'a str>,
}

impl<'a> Extras<'a> {
    /// Reads the value of `x`, which begins at `start`. What makes no sense counts as not there: it must never cost a
    /// call its answer.
    pub(super) fn parse(frame: &'a Bytes, start: usize) -> Result<Self> {
        let mut reader = Reader::new(frame).starting_at(start);
        let mut extras = Self::default();
        let Token::Map(len) = reader.token()? else { return Ok(extras) };
        for _ in 0..len {
            let key = reader.peek();
            reader.skip()?;
            let value = reader.peek();
            reader.skip()?;
            let Some(Token::Text(key)) = key else { continue };
            match (key, value) {
                ("e", Some(Token::Int(bits))) => {
                    extras.extensions = Extensions::from_bits(u64::try_from(bits).unwrap_or_default());
                }
                ("d", Some(Token::Int(left))) => {
                    extras.deadline =
                        u64::try_from(left).ok().map(|left| Duration::from_millis(left).min(FURTHEST));
                }
                ("t", Some(Token::Text(trace))) => extras.trace = Some(trace).filter(|trace| is_trace(trace)),
                _ => {}
            }
        }
        Ok(extras)
    }

    pub(super) fn write(&self, out: &mut Writer) -> Result<()> {
        let trace = self.trace.filter(|trace| is_trace(trace));
        out.open_map(1 + usize::from(self.deadline.is_some()) + usize::from(trace.is_some()))?;
        out.text("e")?;
        out.uint(self.extensions.bits().into())?;
        if let Some(left) = self.deadline {
            out.text("d")?;
            // rounded up: what is left is not nothing
            let left = left.min(FURTHEST).as_nanos().div_ceil(1_000_000);
            out.uint(u64::try_from(left).unwrap_or_default())?;
        }
        if let Some(trace) = trace {
            out.text("t")?;
            out.text(trace)?;
        }
        out.close();
        Ok(())
    }
}

/// A frame without its `x`. What travels in parts is not seen by the server, which could not keep `x` from a receiver
/// that does not know it: the message that ends the parts carries it instead.
///
/// The payload stays where it is; what stands before `x` moves up to it.
pub(crate) fn without_extras(frame: Bytes) -> Bytes {
    const SMALL_MAP: u8 = 0x80;
    let Some(place) = place(&frame) else { return frame };
    let mut bytes = frame.try_into_mut().unwrap_or_else(|shared| BytesMut::from(&shared[..]));
    if bytes[0] & 0xf0 != SMALL_MAP {
        return bytes.freeze();
    }
    bytes.copy_within(..place.start, place.len());
    bytes[place.len()] -= 1;
    bytes.freeze().slice(place.len()..)
}

/// Where the key and its value stand.
fn place(frame: &Bytes) -> Option<Range<usize>> {
    let mut reader = Reader::new(frame);
    for _ in 0..reader.map().ok()? {
        let start = reader.position();
        let key = reader.text().ok()?;
        reader.skip().ok()?;
        if key == KEY {
            return Some(start..reader.position());
        }
    }
    None
}

/// Whether `text` is a `traceparent` of the W3C's Trace Context: `version-trace-parent-flags` in small hexadecimals,
/// neither id all zeros. Versions above 0 may hold more behind another dash.
///
/// ```
/// use polyfn_core::wire::is_trace;
/// assert!(is_trace("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"));
/// assert!(!is_trace("00-00000000000000000000000000000000-00f067aa0ba902b7-01"));
/// ```
pub fn is_trace(text: &str) -> bool {
    /// Versions to come may hold more, but nobody needs a page.
    const LONGEST: usize = 256;
    const PLAIN: usize = 55;
    let bytes = text.as_bytes();
    let is_hex = |part: &[u8]| part.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let is_id = |part: &[u8]| is_hex(part) && part.iter().any(|byte| *byte != b'0');
    if bytes.len() < PLAIN || bytes.len() > LONGEST {
        return false;
    }
    let (version, rest) = (&bytes[..2], &bytes[PLAIN..]);
    let ends = rest.is_empty() || (version != b"00" && rest[0] == b'-');
    let dashes = [2, 35, 52].iter().all(|at| bytes[*at] == b'-');
    let parts = is_hex(version) && is_id(&bytes[3..35]) && is_id(&bytes[36..52]) && is_hex(&bytes[53..55]);
    ends && dashes && parts && version != b"ff"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traces_have_the_form_of_the_w3c() {
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert!(is_trace(good) && is_trace(&format!("cc{}-what-comes", &good[2..])));
        let upper = good.to_uppercase();
        let table: [&str; 8] = [
            "",
            &good[1..],
            &upper,
            &format!("{good}-more"),
            &format!("ff{}", &good[2..]),
            &good.replace("00f067aa0ba902b7", "0000000000000000"),
            &good.replace('-', "_"),
            &format!("01{}-{}", &good[2..], "x".repeat(300)),
        ];
        for bad in table {
            assert!(!is_trace(bad), "{bad}");
        }
        assert!(!is_trace("ü".repeat(28).as_str()), "bytes are not characters");
    }
}
