//! What `polyfn dev` decides and says in every language: names, lines, and which files have changed.

use std::path::{Path, PathBuf};

mod report;
mod watch;

pub use report::{failed, request, routes};
pub use watch::Watch;

/// A module whose functions are served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Module {
    /// Its file, absolute.
    pub path: PathBuf,
    /// The service it becomes.
    pub service_id: String,
}

/// What `polyfn dev` is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The modules.
    pub modules: Vec<Module>,
    /// Address to listen at.
    pub host: String,
    /// Port to listen at.
    pub port: u16,
    /// The server to register on, instead of an own one.
    pub server_url: Option<String>,
    /// Token for that server.
    pub token: Option<String>,
    /// Workspace of the services.
    pub workspace: Option<String>,
    /// Whether to load modules again when they change.
    pub reload: bool,
    /// What else to look at for changes.
    pub watch: Vec<PathBuf>,
}

/// The id of the service that a file becomes: its name without the ending, in the letters of an id.
///
/// ```
/// use polyfn_server::dev::service_id;
/// assert_eq!(service_id("src/my functions.v2.py".as_ref()), "my-functions-v2");
/// ```
#[must_use]
pub fn service_id(file: &Path) -> String {
    let stem = file.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let plain = |letter: char| letter.is_alphanumeric() || letter == '-' || letter == '_';
    let id: String = stem.chars().map(|letter| if plain(letter) { letter } else { '-' }).collect();
    if id.is_empty() { "functions".to_owned() } else { id }
}
