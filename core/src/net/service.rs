//! Services of Rust users.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::session::Time;
use crate::{Map, Result, Value};

/// A call that a peer makes.
#[derive(Clone, Debug, Default)]
pub struct Call {
    /// The arguments by position.
    pub args: Vec<Value>,
    /// The arguments by name.
    pub keywords: Map,
    /// The context, where the service asked for it.
    pub context: Option<Value>,
    /// Until when the caller waits, on the clock of [`super::now`], if it said so.
    pub deadline: Option<Time>,
    /// The trace that the call belongs to, a W3C `traceparent`.
    pub trace: Option<String>,
}

impl Call {
    /// The argument at `at`, or the one called `name`; nil when neither was given.
    pub fn argument(&self, at: usize, name: &str) -> &Value {
        const NIL: &Value = &Value::Nil;
        self.args.get(at).or_else(|| self.keywords.get(name)).unwrap_or(NIL)
    }
}

pub(super) type Handler =
    Arc<dyn Fn(Call) -> Pin<Box<dyn Future<Output = Result<Value>> + Send>> + Send + Sync>;

/// A service to register: an id, settings, and functions.
///
/// ```
/// use polyfn_core::{Value, net::Service};
/// let service = Service::new("calc")
///     .config("visibility", "public")
///     .function("add", |call| async move {
///         Ok(Value::from(call.argument(0, "a").as_int().unwrap_or(0) + call.argument(1, "b").as_int().unwrap_or(0)))
///     });
/// # let _ = service;
/// ```
#[derive(Clone)]
pub struct Service {
    pub(super) entries: Map,
    pub(super) config: Map,
    pub(super) functions: Vec<(String, Handler)>,
    pub(super) overwrite: bool,
}

impl std::fmt::Debug for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Service").field("entries", &self.entries).finish_non_exhaustive()
    }
}

impl Service {
    /// A service called `id`.
    pub fn new(id: &str) -> Self {
        Self { entries: Map::from_iter([("id", id)]), ..Self::empty() }
    }

    fn empty() -> Self {
        Self { entries: Map::new(), config: Map::new(), functions: Vec::new(), overwrite: false }
    }

    /// Takes the place of a service of the same id that this client has registered before; otherwise that is a
    /// `conflict`.
    #[must_use]
    pub fn overwrite(mut self, overwrite: bool) -> Self {
        self.overwrite = overwrite;
        self
    }

    /// Sets an entry such as `type`, `name` or `description`, or a constant that callers may read.
    #[must_use]
    pub fn entry(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.entries.insert(key, value);
        self
    }

    /// Sets an entry of `config`, for example `visibility`.
    #[must_use]
    pub fn config(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.config.insert(key, value);
        self
    }

    /// Adds a folder of functions, called as `name.function`.
    #[must_use]
    pub fn folder(mut self, name: &str, fill: impl FnOnce(Self) -> Self) -> Self {
        let inner = fill(Self::empty());
        for (key, value) in inner.entries {
            self.entries.insert(format!("{name}.{key}"), value);
        }
        self.functions
            .extend(inner.functions.into_iter().map(|(key, handler)| (format!("{name}.{key}"), handler)));
        self
    }

    /// Adds a function.
    #[must_use]
    pub fn function<F, R>(mut self, name: &str, function: F) -> Self
    where
        F: Fn(Call) -> R + Send + Sync + 'static,
        R: Future<Output = Result<Value>> + Send + 'static,
    {
        self.functions.push((name.to_owned(), handler(function)));
        self
    }
}

pub(super) fn handler<F, R>(function: F) -> Handler
where
    F: Fn(Call) -> R + Send + Sync + 'static,
    R: Future<Output = Result<Value>> + Send + 'static,
{
    Arc::new(move |call| Box::pin(function(call)))
}
