//! `polyfn._native`: the core inside the Python interpreter.

mod callback;
mod client;
mod command;
mod convert;
mod current_task;
mod dev;
mod error;
mod event_loop;
mod fill;
mod function;
mod held;
mod http;
mod inbox;
mod interpreter;
mod link;
mod pages;
mod pump;
mod resume;
mod runtime;
mod scope;
mod server;
mod source;
mod step;
mod stream;
mod wake;

/// What the Python half imports.
#[pyo3::pymodule]
mod _native {
    use pyo3::prelude::*;

    #[pymodule_export]
    use crate::client::{Client, connect, form_names, limit_names};
    #[pymodule_export]
    use crate::command::run_command;
    #[pymodule_export]
    use crate::current_task::CurrentTask;
    #[pymodule_export]
    use crate::dev::{Watch, dev_failed, dev_routes};
    #[pymodule_export]
    use crate::error::error_codes;
    #[pymodule_export]
    use crate::function::{Member, RemoteFunction};
    #[pymodule_export]
    use crate::http::{parse_form, problem};
    #[pymodule_export]
    use crate::runtime::{after_fork, at_exit};
    #[pymodule_export]
    use crate::scope::{current_deadline, current_trace};
    #[pymodule_export]
    use crate::server::EmbeddedServer;
    #[pymodule_export]
    use crate::stream::RemoteStream;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        polyfn_core::memory::advise_with(crate::pages::ask);
        module.add("version", env!("CARGO_PKG_VERSION"))?;
        crate::runtime::register(module)
    }
}
