//! Services and functions of peers, for Rust users.

use std::sync::Arc;
use std::time::Duration;

use super::client::Client;
use crate::codec::Stub;
use crate::{Error, ErrorKind, Map, Result, Value};

/// How a call is made, where that differs from the settings of the connection.
///
/// ```
/// use std::time::Duration;
/// use polyfn_core::net::CallOptions;
/// let options = CallOptions { deadline: Some(Duration::from_secs(5)), ..CallOptions::default() };
/// # let _ = options;
/// ```
#[derive(Clone, Debug, Default)]
pub struct CallOptions {
    /// How long to wait in all. The function is told, and broken off when the time is over, where its client knows
    /// deadlines; the call ends in any case.
    pub deadline: Option<Duration>,
    /// The trace that the call belongs to, a W3C `traceparent`.
    pub trace: Option<String>,
}

/// A service of a peer.
#[derive(Clone, Debug)]
pub struct RemoteService {
    client: Client,
    value: Value,
}

impl RemoteService {
    pub(super) const fn new(client: Client, value: Value) -> Self {
        Self { client, value }
    }

    /// The whole description, functions included.
    pub const fn value(&self) -> &Value {
        &self.value
    }

    /// The function at `path`, for example `api.v1.users`.
    ///
    /// # Errors
    /// `not_found` when there is none.
    pub fn function(&self, path: &str) -> Result<RemoteFunction> {
        let found = path.split('.').try_fold(&self.value, |value, key| value.as_map()?.get(key));
        match found {
            Some(Value::Method(stub)) => Ok(RemoteFunction {
                client: self.client.clone(),
                stub: stub.clone(),
                options: CallOptions::default(),
            }),
            _ => Err(Error::new(ErrorKind::NotFound, format!("the service has no function `{path}`"))),
        }
    }

    /// Calls the function at `path`.
    ///
    /// # Errors
    /// `not_found`, and those of [`Client::call`].
    pub async fn call(&self, path: &str, args: impl IntoIterator<Item = Value>) -> Result<Value> {
        self.function(path)?.call(args).await
    }
}

/// A function of a peer.
#[derive(Clone, Debug)]
pub struct RemoteFunction {
    client: Client,
    stub: Arc<Stub>,
    options: CallOptions,
}

impl RemoteFunction {
    /// The same function, called in another way.
    ///
    /// ```no_run
    /// # async fn example(calc: polyfn_core::net::RemoteService) -> polyfn_core::Result<()> {
    /// use std::time::Duration;
    /// use polyfn_core::net::CallOptions;
    /// let options = CallOptions { deadline: Some(Duration::from_secs(5)), ..CallOptions::default() };
    /// let sum = calc.function("add")?.with_options(options).call([1.into(), 2.into()]).await?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn with_options(mut self, options: CallOptions) -> Self {
        self.options = options;
        self
    }

    /// Calls it. Dropping the future breaks the function off, where its client knows cancelling.
    ///
    /// # Errors
    /// Those of [`Client::call`].
    pub async fn call(&self, args: impl IntoIterator<Item = Value>) -> Result<Value> {
        self.call_with(args, Map::new()).await
    }

    /// Calls it with arguments by name as well.
    ///
    /// # Errors
    /// Those of [`Client::call`].
    pub async fn call_with(&self, args: impl IntoIterator<Item = Value>, keywords: Map) -> Result<Value> {
        self.client.call_as(&self.stub, args, keywords, &self.options).await
    }
}
