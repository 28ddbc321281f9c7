//! Moments in time: `datetime` with a time zone, and msgpack's extension -1, which JavaScript's `Date` is.

use polyfn_core::codec::Writer;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyDict;

use super::arrays::Failure;

pub(super) const TIMESTAMP: i8 = -1;

struct Moments {
    datetime: Py<PyAny>,
    timedelta: Py<PyAny>,
    epoch: Py<PyAny>,
}

static MOMENTS: PyOnceLock<Moments> = PyOnceLock::new();

fn moments(py: Python<'_>) -> PyResult<&Moments> {
    MOMENTS.get_or_try_init(py, || {
        let module = py.import("datetime")?;
        let datetime = module.getattr("datetime")?;
        let zone = PyDict::new(py);
        zone.set_item("tzinfo", module.getattr("timezone")?.getattr("utc")?)?;
        let epoch = datetime.call((1970, 1, 1), Some(&zone))?.unbind();
        Ok(Moments { datetime: datetime.unbind(), timedelta: module.getattr("timedelta")?.unbind(), epoch })
    })
}

/// Writes a moment; false for anything else, also for a `datetime` that says no time zone.
pub(super) fn put(out: &mut Writer, object: &Bound<'_, PyAny>) -> Result<bool, Failure> {
    let py = object.py();
    let moments = moments(py)?;
    if !object.is_instance(moments.datetime.bind(py))? || object.call_method0("utcoffset")?.is_none() {
        return Ok(false);
    }
    let since = object.sub(moments.epoch.bind(py))?;
    let days: i64 = since.getattr("days")?.extract()?;
    let rest: i64 = since.getattr("seconds")?.extract()?;
    let micros: u32 = since.getattr("microseconds")?.extract()?;
    let seconds = days * 86_400 + rest;
    // The three lengths of the form: seconds; nanoseconds and seconds in 64 bits; both in full.
    match (u32::try_from(seconds), u64::try_from(seconds)) {
        (Ok(seconds), _) if micros == 0 => out.extension(TIMESTAMP, &seconds.to_be_bytes())?,
        (_, Ok(seconds)) if seconds < 1 << 34 => {
            let both = (u64::from(micros) * 1000) << 34 | seconds;
            out.extension(TIMESTAMP, &both.to_be_bytes())?;
        }
        _ => {
            let mut both = [0; 12];
            both[..4].copy_from_slice(&(micros * 1000).to_be_bytes());
            both[4..].copy_from_slice(&seconds.to_be_bytes());
            out.extension(TIMESTAMP, &both)?;
        }
    }
    Ok(true)
}

/// The moment that `data` says, in UTC; `None` for a form that is not known.
pub(super) fn build<'py>(py: Python<'py>, data: &[u8]) -> PyResult<Option<Bound<'py, PyAny>>> {
    let (seconds, nanos) = match *data {
        [a, b, c, d] => (i64::from(u32::from_be_bytes([a, b, c, d])), 0),
        [a, b, c, d, e, f, g, h] => {
            let both = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
            ((both & ((1 << 34) - 1)) as i64, (both >> 34) as u32)
        }
        [a, b, c, d, e, f, g, h, i, j, k, l] => {
            (i64::from_be_bytes([e, f, g, h, i, j, k, l]), u32::from_be_bytes([a, b, c, d]))
        }
        _ => return Ok(None),
    };
    let moments = moments(py)?;
    let since = moments.timedelta.bind(py).call1((0, seconds, nanos / 1000));
    since.and_then(|since| moments.epoch.bind(py).add(since)).map(Some).map_err(|_| {
        let text = format!(
            "a moment {seconds} s from 1970 is outside of the years 1 to 9999 that a datetime can hold"
        );
        PyValueError::new_err(text)
    })
}
