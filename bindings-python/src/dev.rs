//! What `polyfn dev` says and sees, the same in every language.

use std::path::PathBuf;

use parking_lot::Mutex;
use polyfn_server::dev;
use pyo3::prelude::*;

/// The lines that tell the URLs of the functions of a service.
#[pyfunction]
#[expect(clippy::needless_pass_by_value, reason = "PyO3 gives lists of texts away")]
pub(crate) fn dev_routes(url: &str, workspace: &str, service: &str, functions: Vec<String>) -> String {
    dev::routes(url, workspace, service, &functions)
}

/// The line of something that failed, at a line of a file where it is known.
#[pyfunction]
#[pyo3(signature = (error, file = None, line = 0, source = ""))]
pub(crate) fn dev_failed(error: &str, file: Option<&str>, line: u32, source: &str) -> String {
    dev::failed(error, file.map(|file| (file, line, source)))
}

/// Looks after the files of modules.
#[pyclass(frozen, module = "polyfn._native")]
pub(crate) struct Watch(Mutex<dev::Watch>);

#[pymethods]
impl Watch {
    #[new]
    fn new(modules: Vec<PathBuf>, others: Vec<PathBuf>) -> Self {
        Self(Mutex::new(dev::Watch::new(modules, others)))
    }

    /// The files that have changed since the last time.
    fn changed(&self, py: Python<'_>) -> Vec<PathBuf> {
        py.detach(|| self.0.lock().changed())
    }
}
