//! The raw memory of objects, read in place.

use std::ffi::{c_int, c_void};

use pyo3::ffi;
use pyo3::prelude::*;

unsafe extern "C" {
    /// Part of the stable ABI in all its versions, and the only way in it to a buffer before 3.11.
    fn PyObject_AsReadBuffer(
        object: *mut ffi::PyObject,
        data: *mut *const c_void,
        len: *mut ffi::Py_ssize_t,
    ) -> c_int;
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
