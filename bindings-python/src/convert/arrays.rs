//! numpy arrays by their raw parts. numpy is never loaded for sending: where it is not loaded, nothing is an array.

use bytes::Bytes;
use polyfn_core::Error;
use polyfn_core::codec::Writer;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict, PyType};
use pyo3::{PyTypeInfo, intern};

use super::memory;
use crate::error::unsendable;
use crate::fill::Fills;

/// Smaller arrays are copied: that is quicker, and they do not keep the whole frame in memory.
const LEAST_IN_PLACE: usize = 4096;

/// Either side's error.
pub(super) enum Failure {
    Core(Error),
    Python(PyErr),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Core(error)
    }
}

impl From<PyErr> for Failure {
    fn from(error: PyErr) -> Self {
        Self::Python(error)
    }
}

struct Numpy {
    array: Py<PyType>,
    scalar: Py<PyType>,
    dtype: Py<PyAny>,
    frombuffer: Py<PyAny>,
    asarray: Py<PyAny>,
}

impl Numpy {
    fn of(module: &Bound<'_, PyAny>) -> PyResult<Self> {
        Ok(Self {
            array: module.getattr("ndarray")?.cast_into::<PyType>()?.unbind(),
            scalar: module.getattr("generic")?.cast_into::<PyType>()?.unbind(),
            dtype: module.getattr("dtype")?.unbind(),
            frombuffer: module.getattr("frombuffer")?.unbind(),
            asarray: module.getattr("asarray")?.unbind(),
        })
    }
}

static NUMPY: PyOnceLock<Numpy> = PyOnceLock::new();

/// numpy, if the program has loaded it.
fn loaded(py: Python<'_>) -> PyResult<Option<&Numpy>> {
    if let Some(numpy) = NUMPY.get(py) {
        return Ok(Some(numpy));
    }
    let modules = py.import("sys")?.getattr(intern!(py, "modules"))?;
    match modules.get_item("numpy") {
        // A module that is still being loaded may lack its classes.
        Ok(module) if module.hasattr("frombuffer")? => {
            NUMPY.get_or_try_init(py, || Numpy::of(&module)).map(Some)
        }
        _ => Ok(None),
    }
}

/// Writes an array or a scalar of numpy; false for anything else.
pub(super) fn put(out: &mut Writer, object: &Bound<'_, PyAny>) -> Result<bool, Failure> {
    let py = object.py();
    let Some(numpy) = loaded(py)? else { return Ok(false) };
    if !object.is_instance(numpy.array.bind(py))? && !object.is_instance(numpy.scalar.bind(py))? {
        return Ok(false);
    }
    let dtype = object.getattr(intern!(py, "dtype"))?;
    if let Some(remedy) = remedy(object, &dtype)? {
        return Err(unsendable(remedy).into());
    }
    let shape: Vec<u64> = object.getattr(intern!(py, "shape"))?.extract()?;
    let dtype = dtype.str()?;
    let dtype = Some(dtype.to_str()?);
    if let Some(written) = memory::lend(object, |data| out.array(data, Some(&shape), dtype)) {
        written?;
        return Ok(true);
    }
    // In C order, whatever the order in memory is.
    let bytes = object.call_method0(intern!(py, "tobytes"))?;
    let bytes = bytes.cast::<PyBytes>().map_err(PyErr::from)?;
    out.array(bytes.as_bytes(), Some(&shape), dtype)?;
    Ok(true)
}

/// Why an array has no raw form, and what to send instead.
fn remedy(object: &Bound<'_, PyAny>, dtype: &Bound<'_, PyAny>) -> PyResult<Option<&'static str>> {
    let py = object.py();
    if dtype.getattr(intern!(py, "hasobject"))?.is_truthy()? {
        return Ok(Some("an array of Python objects has no raw form, pass its tolist()"));
    }
    if !dtype.getattr(intern!(py, "names"))?.is_none() {
        return Ok(Some("a structured array has no raw form, pass a dict of its fields"));
    }
    let is_masked = object.getattr_opt(intern!(py, "mask"))?.is_some();
    Ok(is_masked.then_some("a masked array would lose its mask, pass its filled(), or its data and mask"))
}

/// The bytes of a frame as numpy takes them without a copy.
#[pyclass(frozen, module = "polyfn._native")]
struct Frame {
    data: Bytes,
}

#[pymethods]
impl Frame {
    #[getter]
    fn __array_interface__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let interface = PyDict::new(py);
        let is_read_only = true;
        interface.set_item("version", 3)?;
        interface.set_item("typestr", "|u1")?;
        interface.set_item("shape", (self.data.len(),))?;
        // The array holds this object, and with it the frame.
        interface.set_item("data", (self.data.as_ptr() as usize, is_read_only))?;
        Ok(interface)
    }
}

/// A read-only array of `data`, in place where that pays; `None` where there is no numpy.
pub(super) fn build<'py>(
    py: Python<'py>,
    data: &Bytes,
    shape: Option<Vec<u64>>,
    dtype: &str,
    fills: &mut Fills,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let numpy = match loaded(py)? {
        Some(numpy) => numpy,
        None => match py.import("numpy") {
            Ok(module) => NUMPY.get_or_try_init(py, || Numpy::of(module.as_any()))?,
            Err(error) if error.is_instance(py, &pyo3::exceptions::PyImportError::type_object(py)) => {
                return Ok(None);
            }
            Err(error) => return Err(error),
        },
    };
    let dtype = numpy.dtype.bind(py).call1((dtype,))?;
    if dtype.getattr(intern!(py, "hasobject"))?.is_truthy()? {
        return Err(PyTypeError::new_err("an array of Python objects has no raw form"));
    }
    // Most of numpy works on numbers at odd places too, but slowly, and other libraries do not.
    let alignment: usize = dtype.getattr(intern!(py, "alignment"))?.extract()?;
    let flat = if data.is_empty() {
        // `frombuffer` refuses an empty buffer.
        py.import("numpy")?.call_method1("zeros", (0, dtype))?
    } else if data.len() < LEAST_IN_PLACE || !(data.as_ptr() as usize).is_multiple_of(alignment.max(1)) {
        numpy.frombuffer.bind(py).call1((fills.bytes(py, data.clone())?, dtype))?
    } else {
        let bytes = numpy.asarray.bind(py).call1((Frame { data: data.clone() },))?;
        bytes.call_method1(intern!(py, "view"), (dtype,))?
    };
    match shape {
        Some(shape) => flat.call_method1(intern!(py, "reshape"), (shape,)).map(Some),
        None => Ok(Some(flat)),
    }
}
