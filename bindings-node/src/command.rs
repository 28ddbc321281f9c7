//! The command `polyfn`, as far as it needs no JavaScript; and what `polyfn dev` says and sees.

use std::ffi::OsString;
use std::path::PathBuf;

use napi_derive::napi;
use polyfn_server::cli::{self, Host, Outcome};
use polyfn_server::dev;

/// What has become of a command.
#[napi(object)]
pub struct CommandOutcome {
    /// The exit code, when it is done.
    pub code: Option<u32>,
    /// What `polyfn dev` is to do.
    pub plan: Option<DevPlan>,
}

/// A module that is to be served.
#[napi(object)]
pub struct DevModule {
    /// Its file.
    pub path: String,
    /// The service it becomes.
    pub service_id: String,
}

/// What `polyfn dev` is to do.
#[napi(object)]
pub struct DevPlan {
    /// The modules.
    pub modules: Vec<DevModule>,
    /// Address to listen at.
    pub host: String,
    /// Port to listen at.
    pub port: u32,
    /// The server to register on.
    pub server_url: Option<String>,
    /// Token for that server.
    pub token: Option<String>,
    /// Workspace of the services.
    pub workspace: Option<String>,
    /// Whether to load modules again when they change.
    pub reload: bool,
    /// What else to look at.
    pub watch: Vec<String>,
}

fn text(path: PathBuf) -> String {
    path.into_os_string().to_string_lossy().into_owned()
}

impl From<dev::Plan> for DevPlan {
    fn from(plan: dev::Plan) -> Self {
        let module =
            |module: dev::Module| DevModule { path: text(module.path), service_id: module.service_id };
        Self {
            modules: plan.modules.into_iter().map(module).collect(),
            host: plan.host,
            port: plan.port.into(),
            server_url: plan.server_url,
            token: plan.token,
            workspace: plan.workspace,
            reload: plan.reload,
            watch: plan.watch.into_iter().map(text).collect(),
        }
    }
}

/// Runs the command, blocking.
#[napi]
pub fn run_command(arguments: Vec<String>) -> CommandOutcome {
    match cli::run(Host::Node, arguments.into_iter().map(OsString::from)) {
        Outcome::Exit(code) => CommandOutcome { code: Some(code.into()), plan: None },
        Outcome::Dev(plan) => CommandOutcome { code: None, plan: Some(plan.into()) },
        // only Python is ever told to
        Outcome::ServeApp(_) => CommandOutcome { code: Some(1), plan: None },
    }
}

/// The lines that tell the URLs of the functions of a service.
#[napi]
pub fn dev_routes(url: String, workspace: String, service: String, functions: Vec<String>) -> String {
    dev::routes(&url, &workspace, &service, &functions)
}

/// The line of something that failed, at a line of a file where it is known.
#[napi]
pub fn dev_failed(error: String, file: Option<String>, line: u32, source: String) -> String {
    dev::failed(&error, file.as_deref().map(|file| (file, line, source.as_str())))
}

/// Looks after the files of modules.
#[napi]
pub struct Watch(dev::Watch);

#[napi]
impl Watch {
    /// Begins to look.
    #[napi(constructor)]
    pub fn new(modules: Vec<String>, others: Vec<String>) -> Self {
        let paths = |names: Vec<String>| names.into_iter().map(PathBuf::from).collect();
        Self(dev::Watch::new(paths(modules), paths(others)))
    }

    /// The files that have changed since the last time.
    #[napi]
    pub fn changed(&mut self) -> Vec<String> {
        self.0.changed().into_iter().map(text).collect()
    }
}
