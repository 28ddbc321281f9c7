//! Any bytes as a value: read, skipped, written again, answered over HTTP.

#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use polyfn_core::codec::Reader;
use polyfn_core::functions::Response;

fuzz_target!(|data: &[u8]| {
    let frame = Bytes::copy_from_slice(data);
    let mut skipping = Reader::new(&frame);
    let skipped = skipping.skip();
    let mut reading = Reader::new(&frame);
    // What skips can be wrong in ways that only matter to those who read, never the other way round.
    let Ok(value) = reading.value() else { return };
    assert!(skipped.is_ok());
    assert_eq!(reading.position(), skipping.position());
    let _ = value.to_json();
    if let Ok(response) = Response::from_value(&frame) {
        assert!((100..600).contains(&response.status));
        let line_break = |text: &String| text.contains(['\r', '\n', '\0']);
        assert!(!response.headers.iter().any(|(name, value)| line_break(name) || line_break(value)));
    }
    let written = Bytes::from(value.to_msgpack().expect("what was read can be written"));
    let again = Reader::new(&written).value().expect("what was written can be read");
    // As text, so that NaN equals itself.
    assert_eq!(format!("{again:?}"), format!("{value:?}"));
});
