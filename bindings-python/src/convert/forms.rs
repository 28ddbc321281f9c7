//! Objects that only the Python half knows, by `polyfn.forms`.

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyType;

pub(super) struct Forms {
    /// `collections.OrderedDict`.
    pub(super) ordered: Py<PyType>,
    /// What is sent in place of an object.
    pub(super) form_of: Py<PyAny>,
    /// What a map with `_rtype` means.
    pub(super) rebuild: Py<PyAny>,
    /// A set of members that have no hash by themselves.
    pub(super) members: Py<PyAny>,
    pub(super) pairs: Py<PyAny>,
}

static FORMS: PyOnceLock<Forms> = PyOnceLock::new();

impl Forms {
    pub(super) fn get(py: Python<'_>) -> PyResult<&Self> {
        FORMS.get_or_try_init(py, || {
            let forms = py.import("polyfn.forms")?;
            let ordered = py.import("collections")?.getattr("OrderedDict")?;
            Ok(Self {
                ordered: ordered.cast_into::<PyType>()?.unbind(),
                form_of: forms.getattr("form_of")?.unbind(),
                rebuild: forms.getattr("rebuild")?.unbind(),
                members: forms.getattr("members")?.unbind(),
                pairs: forms.getattr("pairs")?.unbind(),
            })
        })
    }
}
