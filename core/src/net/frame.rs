//! Websocket frames (RFC 6455 section 5.2): how they are written, always whole ones, and how they are read.
//!
//! Libraries keep what they write in buffers of their own and move it about; of a long message each byte counts.

mod inlet;

pub use inlet::{Inlet, Sender};

/// A frame of text.
pub const TEXT: u8 = 0x81;
/// A frame of bytes.
pub const BINARY: u8 = 0x82;
/// The end.
pub const CLOSE: u8 = 0x88;
/// A question whether anybody is there.
pub const PING: u8 = 0x89;
/// The answer to it.
pub const PONG: u8 = 0x8a;

/// The bit of the length that tells of a key.
const MASKED: u8 = 0x80;
/// Bytes that are masked while they are still near the processor.
const BLOCK: usize = 4 << 10;

/// Appends the head of a frame of `len` bytes; clients send a key, with which the payload is masked.
pub fn put_head(out: &mut Vec<u8>, kind: u8, len: usize, key: Option<[u8; 4]>) {
    let masked = if key.is_some() { MASKED } else { 0 };
    out.push(kind);
    match len {
        0..=125 => out.push(masked | len as u8),
        126..=0xffff => {
            out.push(masked | 126);
            out.extend_from_slice(&(len as u16).to_be_bytes());
        }
        _ => {
            out.push(masked | 127);
            out.extend_from_slice(&(len as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(key.as_ref().map_or(&[], |key| key.as_slice()));
}

/// Appends a frame of a client, masked with a fresh key.
pub(super) fn put_masked(out: &mut Vec<u8>, kind: u8, payload: &[u8]) {
    const HEAD_MAX: usize = 14;
    let key: [u8; 4] = rand::random();
    out.reserve(HEAD_MAX + payload.len());
    put_head(out, kind, payload.len(), Some(key));
    for block in payload.chunks(BLOCK) {
        let start = out.len();
        out.extend_from_slice(block);
        mask(&mut out[start..], key);
    }
}

/// Masks from the begin of a payload on, or from a multiple of the key's length.
fn mask(bytes: &mut [u8], key: [u8; 4]) {
    let [a, b, c, d] = key;
    let twice = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let (words, rest) = bytes.as_chunks_mut::<8>();
    for word in words {
        *word = (u64::from_ne_bytes(*word) ^ twice).to_ne_bytes();
    }
    rest.iter_mut().zip(key.iter().cycle()).for_each(|(byte, key)| *byte ^= key);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(len: usize, key: Option<[u8; 4]>) -> Vec<u8> {
        let mut out = Vec::new();
        put_head(&mut out, BINARY, len, key);
        out
    }

    #[test]
    fn heads_take_the_shortest_form() {
        assert_eq!(head(0, None), [0x82, 0]);
        assert_eq!(head(125, None), [0x82, 125]);
        assert_eq!(head(126, None), [0x82, 126, 0, 126]);
        assert_eq!(head(0xffff, None), [0x82, 126, 0xff, 0xff]);
        assert_eq!(head(0x1_0000, None), [0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0]);
        assert_eq!(head(1, Some([1, 2, 3, 4])), [0x82, 0x81, 1, 2, 3, 4]);
        assert_eq!(head(126, Some([1, 2, 3, 4])), [0x82, 0xfe, 0, 126, 1, 2, 3, 4]);
    }

    #[test]
    fn each_byte_is_masked_with_its_byte_of_the_key() {
        let key = [1, 2, 4, 8];
        for len in 0..40 {
            let mut masked = vec![0; len];
            mask(&mut masked, key);
            let wanted: Vec<u8> = key.into_iter().cycle().take(len).collect();
            assert_eq!(masked, wanted);
        }
    }
}
