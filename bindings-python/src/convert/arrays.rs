//! numpy arrays by their raw parts. numpy is never loaded for sending: where it is not loaded, nothing is an array.

use polyfn_core::Error;
use polyfn_core::codec::Writer;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyType};
use pyo3::{PyTypeInfo, intern};

use crate::error::unsendable;

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
    frombuffer: Py<PyAny>,
}

impl Numpy {
    fn of(module: &Bound<'_, PyAny>) -> PyResult<Self> {
        Ok(Self {
            array: module.getattr("ndarray")?.cast_into::<PyType>()?.unbind(),
            scalar: module.getattr("generic")?.cast_into::<PyType>()?.unbind(),
            frombuffer: module.getattr("frombuffer")?.unbind(),
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
    if dtype.getattr(intern!(py, "hasobject"))?.is_truthy()? {
        return Err(unsendable("an array of Python objects has no raw form, pass its tolist()").into());
    }
    let shape: Vec<u64> = object.getattr(intern!(py, "shape"))?.extract()?;
    // In C order, whatever the order in memory is.
    let bytes = object.call_method0(intern!(py, "tobytes"))?;
    let bytes = bytes.cast::<PyBytes>().map_err(PyErr::from)?;
    let dtype = dtype.str()?;
    out.array(bytes.as_bytes(), Some(&shape), Some(dtype.to_str()?))?;
    Ok(true)
}

/// An array over `data`, read-only and without a further copy; `None` where there is no numpy.
pub(super) fn build<'py>(
    py: Python<'py>,
    data: &Bound<'py, PyBytes>,
    shape: Option<&[u64]>,
    dtype: &str,
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
    let flat = if data.as_bytes().is_empty() {
        // `frombuffer` refuses an empty buffer.
        py.import("numpy")?.call_method1("zeros", (0, dtype))?
    } else {
        numpy.frombuffer.bind(py).call1((data, dtype))?
    };
    match shape {
        Some(shape) => flat.call_method1(intern!(py, "reshape"), (shape.to_vec(),)).map(Some),
        None => Ok(Some(flat)),
    }
}
