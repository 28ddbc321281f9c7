//! The command `polyfn`, as far as it needs no Python.

use std::ffi::OsString;

use polyfn_server::cli::{self, Host, Outcome};
use polyfn_server::dev::Plan;
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// Runs the command, blocking: `("exit", code)` when it is done, else `("dev", plan)` or `("serve_app", arguments)`
/// for what the Python half is to do.
#[pyfunction]
pub(crate) fn run_command(py: Python<'_>, arguments: Vec<OsString>) -> PyResult<(&'static str, Py<PyAny>)> {
    match py.detach(|| cli::run(Host::Python, arguments)) {
        Outcome::Exit(code) => Ok(("exit", code.into_pyobject(py)?.into_any().unbind())),
        Outcome::Dev(plan) => Ok(("dev", shown(py, plan)?.into_any().unbind())),
        Outcome::ServeApp(arguments) => Ok(("serve_app", arguments.into_pyobject(py)?.into_any().unbind())),
    }
}

fn shown(py: Python<'_>, plan: Plan) -> PyResult<Bound<'_, PyDict>> {
    let shown = PyDict::new(py);
    let modules: Vec<_> = plan.modules.into_iter().map(|module| (module.path, module.service_id)).collect();
    shown.set_item("modules", modules)?;
    shown.set_item("host", plan.host)?;
    shown.set_item("port", plan.port)?;
    shown.set_item("server_url", plan.server_url)?;
    shown.set_item("token", plan.token)?;
    shown.set_item("workspace", plan.workspace)?;
    shown.set_item("reload", plan.reload)?;
    shown.set_item("watch", plan.watch)?;
    Ok(shown)
}
