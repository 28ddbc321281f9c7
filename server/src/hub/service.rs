//! A registered service, as the server knows it.

use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, OnceLock};

use polyfn_core::functions::{Router, Settings};
use polyfn_core::session::Visibility;
use polyfn_core::wire::ServiceUri;
use polyfn_core::{Map, Value};
use tokio::sync::OnceCell;

use crate::auth::Permission;
use crate::builtin::FALLBACK;
use crate::hub::peer::Caller;
use crate::hub::shelf::Kept;
use crate::hub::told::Told;

/// A service that some client offers; the functions themselves stay with their owner.
#[derive(Clone, Debug)]
pub struct Service {
    /// The workspace.
    pub workspace: String,
    /// The client that offers it.
    pub client: String,
    /// Its own name.
    pub name: String,
    /// The application it belongs to, `*` for none.
    pub app: String,
    /// Its type, such as `functions`.
    pub kind: String,
    /// Who may see and call it.
    pub visibility: Visibility,
    /// Other workspaces that may, too.
    pub authorized: Vec<String>,
    /// Nobody else in the workspace may offer a service of this name.
    pub singleton: bool,
    /// What is told of it as it was registered; what holds now is given by [`Service::described`].
    pub told: Told,
    /// Its places among those of its user and address, where they are limited.
    pub(crate) kept: Option<Arc<Kept>>,
    /// What it says of itself as one that answers over HTTP.
    pub settings: Settings,
    /// Calls over HTTP that are under way, where `settings` say how many may be.
    pub calls: Arc<AtomicUsize>,
    /// Its functions by path, made when the first request over HTTP comes.
    pub routes: OnceLock<Router<String>>,
    /// Its place in the order of registration, given by the registry.
    pub number: u64,
    /// The application that its owner names when it is asked, where that is another one than the registration named.
    pub adopted: OnceCell<Option<String>>,
}

impl Service {
    /// `workspace/client:name`.
    #[must_use]
    pub fn id(&self) -> String {
        format!("{}/{}:{}", self.workspace, self.client, self.name)
    }

    /// The application that it belongs to, `*` for none.
    #[must_use]
    pub fn app(&self) -> &str {
        self.adopted.get().and_then(Option::as_deref).unwrap_or(&self.app)
    }

    /// Where its functions are called, `workspace/client`.
    #[must_use]
    pub fn address(&self) -> String {
        [&*self.workspace, "/", &*self.client].concat()
    }

    /// What is told of it, in the shape of `list_services`.
    #[must_use]
    pub fn described(&self) -> Map {
        let mut info = self.told.read();
        if self.app() != self.app {
            info.insert("app_id", self.app());
        }
        info
    }

    /// Its functions by path.
    #[must_use]
    pub fn router(&self) -> &Router<String> {
        self.routes.get_or_init(|| {
            Router::from_schema(
                self.told.tree().get("service_schema").unwrap_or(&Value::Nil),
                self.settings.signature,
            )
        })
    }

    /// The service that every client registers first.
    #[must_use]
    pub fn is_built_in(&self) -> bool {
        self.name == "built-in"
    }

    /// Whether it gives way to any other of its name: services of the server itself, which operators replace.
    pub(super) fn is_fallback(&self) -> bool {
        if self.workspace != "public" {
            return false;
        }
        let flags = self.told.config().and_then(|config| config.get("flags"));
        let flags = flags.and_then(Value::as_list).unwrap_or_default();
        flags.iter().any(|flag| flag.as_text() == Some(FALLBACK))
    }

    /// Whether it is what `uri` asks for; `*` in the query stands for anything.
    #[must_use]
    pub fn matches(&self, uri: &ServiceUri) -> bool {
        let fits = |asked: &str, own: &str| asked == "*" || asked == own;
        // a name that was good once stays so when the owner has named another application
        let is_of_app = || fits(&uri.app, self.app()) || fits(&uri.app, &self.app);
        fits(&uri.service, &self.name) && fits(&uri.client, &self.client) && is_of_app()
    }

    /// Whether `caller` may get and call it.
    #[must_use]
    pub fn admits(&self, caller: &Caller) -> bool {
        let open = self.visibility != Visibility::Protected
            || caller.permission(&self.workspace) >= Permission::Read
            || self.is_authorized(&caller.workspace);
        open && self.is_within(caller)
    }

    /// Whether those who may not have it are not to know of it either: protected, and called `private` by its owner.
    #[must_use]
    pub fn is_private(&self) -> bool {
        self.told.visibility() == "private"
    }

    /// Whether its owner named `workspace` among those that may use it.
    #[must_use]
    pub fn is_authorized(&self, workspace: &str) -> bool {
        self.authorized.iter().any(|other| other == workspace)
    }
}
