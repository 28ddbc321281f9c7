//! The raw memory of objects, read in place.

use std::ffi::{c_int, c_void};

use bytes::Bytes;
use polyfn_core::Result;
use polyfn_core::codec::Writer;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

unsafe extern "C" {
    /// Part of the stable ABI in all its versions, and the only way in it to a buffer before 3.11.
    fn PyObject_AsReadBuffer(
        object: *mut ffi::PyObject,
        data: *mut *const c_void,
        len: *mut ffi::Py_ssize_t,
    ) -> c_int;
}

/// Memory of a `bytes` object, which lives as long as this and never changes.
///
/// Whoever drops it needs not be attached: the reference is then given back when somebody next is.
struct Kept {
    data: *const u8,
    len: usize,
    _owner: Py<PyBytes>,
}

// SAFETY: the memory is immutable and owned by `_owner`, which may be moved between threads.
unsafe impl Send for Kept {}

impl AsRef<[u8]> for Kept {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: `_owner` keeps the memory alive and at its place.
        unsafe { std::slice::from_raw_parts(self.data, self.len) }
    }
}

/// Writes `bytes`; large ones are sent from where they lie.
pub(super) fn write(object: &Bound<'_, PyBytes>, out: &mut Writer) -> Result<()> {
    let bytes = object.as_bytes();
    if !out.is_shared(bytes.len()) {
        return out.bytes(bytes);
    }
    let kept = Kept { data: bytes.as_ptr(), len: bytes.len(), _owner: object.clone().unbind() };
    out.shared(Bytes::from_owner(kept))
}

/// Lends the memory of an object; `None` where it is not in one piece and in C order.
///
/// `work` must not run Python code: that could free the memory or change its size.
pub(super) fn lend<T>(object: &Bound<'_, PyAny>, work: impl FnOnce(&[u8]) -> T) -> Option<T> {
    let (mut data, mut len) = (std::ptr::null(), 0);
    // SAFETY: `object` is alive and we are attached; both places live through the call.
    let done = unsafe { PyObject_AsReadBuffer(object.as_ptr(), &raw mut data, &raw mut len) };
    if done != 0 {
        drop(PyErr::take(object.py()));
        return None;
    }
    let len = usize::try_from(len).ok()?;
    if len == 0 || data.is_null() {
        return Some(work(&[]));
    }
    // SAFETY: the object exports so many bytes there. It is alive, and as no Python code runs while they are lent,
    // nobody lets go of them, and nobody else can write to them without a data race of his own making.
    Some(work(unsafe { std::slice::from_raw_parts(data.cast(), len) }))
}
