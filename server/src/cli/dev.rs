//! The flags of `polyfn dev`, and which of its files which package can serve.

use std::path::{Path, PathBuf};

use clap::Args;

use super::Host;
use crate::dev::{Module, Plan, service_id};

pub(super) const EXAMPLES: &str = "\
The package for Python serves .py, the one for Node .js, .mjs, .cjs and, where Node can read it, .ts.

Examples:
  Serve the functions of a module at http://127.0.0.1:9527/dev/apps/hello/:
    polyfn dev hello.py
  Serve them through another server instead of one of its own:
    polyfn dev hello.mjs --server-url https://functions.example.org --token \"$TOKEN\"";

/// The workspace of a server that `dev` starts itself.
const WORKSPACE: &str = "dev";

/// What `polyfn dev` understands.
#[derive(Clone, Debug, Args)]
pub struct DevFlags {
    /// Modules to serve, each as a service named after its file.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Address to listen at; 0.0.0.0 for all.
    #[arg(long, default_value = "127.0.0.1", conflicts_with = "server_url")]
    pub host: String,
    /// Port to listen at; 0 for any free one.
    #[arg(long, default_value_t = 9527, conflicts_with = "server_url")]
    pub port: u16,
    /// Register the functions on this server instead of starting one.
    #[arg(long, value_name = "URL")]
    pub server_url: Option<String>,
    /// Token for that server; better given as POLYFN_TOKEN.
    #[arg(long, value_name = "TOKEN", env = "POLYFN_TOKEN", hide_env = true, hide_env_values = true)]
    pub token: Option<String>,
    /// Workspace of the services; `dev`, or with --server-url that of the token.
    #[arg(long, value_name = "NAME")]
    pub workspace: Option<String>,
    /// Load the modules once, whatever becomes of their files.
    #[arg(long)]
    pub no_reload: bool,
    /// Load the modules again when this file, or a file in this folder, is saved too.
    #[arg(long, value_name = "PATH")]
    pub watch: Vec<PathBuf>,
}

impl DevFlags {
    /// What is to be done.
    ///
    /// # Errors
    /// Says which file this package cannot serve, and which one can.
    pub(super) fn plan(self, host: Host) -> Result<Plan, String> {
        let mut modules: Vec<Module> = Vec::new();
        for file in self.files {
            servable(host, &file)?;
            let path = std::path::absolute(&file).map_err(|error| format!("{}: {error}", file.display()))?;
            let service_id = service_id(&file);
            if modules.iter().any(|other| other.service_id == service_id) {
                return Err(format!("two files would be the service `{service_id}`: rename one of them"));
            }
            modules.push(Module { path, service_id });
        }
        if let Some(missing) = self.watch.iter().find(|path| !path.exists()) {
            return Err(format!("there is nothing to watch at {}", missing.display()));
        }
        // the token is for another server: an own one takes everybody of this process
        let token = self.token.filter(|_| self.server_url.is_some());
        let own = self.server_url.is_none().then(|| WORKSPACE.to_owned());
        Ok(Plan {
            modules,
            host: self.host,
            port: self.port,
            token,
            workspace: self.workspace.or(own),
            server_url: self.server_url,
            reload: !self.no_reload,
            watch: self.watch,
        })
    }
}

fn servable(host: Host, file: &Path) -> Result<(), String> {
    let name = file.display();
    let (wanted, how) = match file.extension().and_then(|kind| kind.to_str()) {
        Some("py") => (Host::Python, "`pip install polyfn`, then `python3 -m polyfn dev"),
        Some("js" | "mjs" | "cjs" | "ts" | "mts" | "cts") => {
            (Host::Node, "`npm install polyfn`, then `npx polyfn dev")
        }
        _ => return Err(format!("{name} is neither Python (.py) nor JavaScript (.js, .mjs, .cjs, .ts)")),
    };
    if !file.is_file() {
        return Err(format!("there is no file {name}"));
    }
    if wanted != host {
        return Err(format!("{name} needs the package of its language: {how} {name}`"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags(files: &[&str]) -> DevFlags {
        DevFlags {
            files: files.iter().map(PathBuf::from).collect(),
            host: "127.0.0.1".to_owned(),
            port: 0,
            server_url: None,
            token: Some("secret".to_owned()),
            workspace: None,
            no_reload: false,
            watch: Vec::new(),
        }
    }

    fn refused(host: Host, files: &[&str]) -> String {
        flags(files).plan(host).unwrap_err()
    }

    #[test]
    fn each_file_is_for_the_package_of_its_language() {
        let rust = concat!(env!("CARGO_MANIFEST_DIR"), "/src/lib.rs");
        assert!(refused(Host::Python, &[rust]).contains("neither Python (.py) nor JavaScript"));
        assert_eq!(refused(Host::Python, &["no.py"]), "there is no file no.py");
        let folder = std::env::temp_dir().join(format!("polyfn-dev-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let file = folder.join("hello.py");
        std::fs::write(&file, "").unwrap();
        let name = file.to_str().unwrap();
        assert!(refused(Host::Binary, &[name]).contains("`pip install polyfn`, then `python3 -m polyfn dev"));
        assert!(refused(Host::Node, &[name]).contains("pip install"));
        assert!(refused(Host::Python, &[name, name]).contains("two files would be the service `hello`"));
        let plan = flags(&[name]).plan(Host::Python).unwrap();
        assert_eq!((plan.workspace.as_deref(), plan.token), (Some("dev"), None));
        std::fs::remove_dir_all(folder).unwrap();
    }
}
