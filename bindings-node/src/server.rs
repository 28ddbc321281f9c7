//! A server inside this process: thin handles on [`polyfn_server::Embedded`].

use std::sync::{Arc, OnceLock};

use napi::bindgen_prelude::{AsyncTask, Function};
use napi::threadsafe_function::{ThreadsafeFunctionCallMode, UnknownReturnValue};
use napi::{Env, Task};
use napi_derive::napi;
use polyfn_core::net::Connect;
use polyfn_core::{Error, ErrorKind, Result};
use polyfn_server::cli::{self, Setting};
use polyfn_server::{Embedded, Requests, StartError, dev};

use crate::error::told;
use crate::pump::Wake;

/// A request that was answered.
#[napi(object)]
pub struct AnsweredRequest {
    /// Its method.
    pub method: String,
    /// Its path.
    pub path: String,
    /// The status of the answer.
    pub status: u32,
    /// From the head of the request to the head of the answer.
    pub seconds: f64,
    /// All that for people.
    pub line: String,
}

struct Inner {
    server: OnceLock<Embedded>,
    requests: Arc<Requests>,
}

/// A server on a thread of its own.
#[napi]
pub struct EmbeddedServer {
    inner: Arc<Inner>,
}

#[napi]
impl EmbeddedServer {
    /// A server that is to be started.
    #[napi(constructor)]
    pub fn new(env: Env) -> napi::Result<Self> {
        let inner = Arc::new(Inner { server: OnceLock::new(), requests: Arc::default() });
        // weak: what is stopped and let go of needs no end
        env.add_env_cleanup_hook(Arc::downgrade(&inner), |inner| {
            if let Some(server) = inner.upgrade().as_ref().and_then(|inner| inner.server.get()) {
                server.abort();
                server.stop();
            }
        })?;
        Ok(Self { inner })
    }

    /// Starts it with settings by the names of the flags, as JSON. With `wake`, requests are kept for `requests`, and
    /// it is called when there are some. Ends with what went wrong, or nothing.
    #[napi]
    pub fn start(
        &self,
        settings: String,
        wake: Option<Function<'_, (), UnknownReturnValue>>,
    ) -> napi::Result<AsyncTask<Start>> {
        let wake = wake.map(|wake| {
            let wake = wake.build_threadsafe_function::<()>().callee_handled::<false>().weak::<true>();
            wake.build_callback(|_| Ok(()))
        });
        Ok(AsyncTask::new(Start { inner: self.inner.clone(), settings, wake: wake.transpose()? }))
    }

    /// Stops it; ends with whether everything ended by itself in time.
    #[napi]
    pub fn stop(&self) -> AsyncTask<Stop> {
        AsyncTask::new(Stop(self.inner.clone()))
    }

    /// The requests that were answered since the last time.
    #[napi]
    pub fn requests(&self) -> Vec<AnsweredRequest> {
        let shown = self.inner.requests.take().into_iter().map(|answered| AnsweredRequest {
            line: dev::request(&answered),
            method: answered.method.to_string(),
            path: answered.path,
            status: answered.status.into(),
            seconds: answered.time.as_secs_f64(),
        });
        shown.collect()
    }

    /// Its URL; empty before it was started.
    #[napi]
    pub fn url(&self) -> String {
        self.inner.server.get().map(|server| server.url().to_owned()).unwrap_or_default()
    }

    /// The token that may do everything; empty before it was started.
    #[napi]
    pub fn root_token(&self) -> String {
        self.inner.server.get().map(|server| server.root_token().to_owned()).unwrap_or_default()
    }
}

impl EmbeddedServer {
    pub(crate) fn connector(&self) -> Result<Arc<dyn Connect>> {
        let missing = || Error::new(ErrorKind::PeerGone, "the server has not been started");
        self.inner.server.get().map(Embedded::connector).ok_or_else(missing)
    }
}

/// Starts a server, off JavaScript's thread.
pub struct Start {
    inner: Arc<Inner>,
    settings: String,
    wake: Option<Wake>,
}

impl Start {
    fn run(&mut self) -> Result<(), StartError> {
        let settings = Setting::read_json(&self.settings)?;
        let mut settings = cli::embedded(&settings)?;
        if let Some(wake) = self.wake.take() {
            let requests = self.inner.requests.clone();
            settings.observer = Some(Arc::new(move |answered| {
                if requests.push(answered) {
                    // an environment that ends hears of nothing any more
                    let _ = wake.call((), ThreadsafeFunctionCallMode::NonBlocking);
                }
            }));
        }
        let _ = self.inner.server.set(Embedded::start(settings)?);
        Ok(())
    }
}

impl Task for Start {
    type JsValue = Option<String>;
    type Output = Option<String>;

    fn compute(&mut self) -> napi::Result<Option<String>> {
        Ok(self.run().err().map(|error| told(&error.into())))
    }

    fn resolve(&mut self, _: Env, told: Option<String>) -> napi::Result<Option<String>> {
        Ok(told)
    }
}

/// Stops a server, off JavaScript's thread.
pub struct Stop(Arc<Inner>);

impl Task for Stop {
    type JsValue = bool;
    type Output = bool;

    fn compute(&mut self) -> napi::Result<bool> {
        Ok(self.0.server.get().is_none_or(Embedded::stop))
    }

    fn resolve(&mut self, _: Env, ended: bool) -> napi::Result<bool> {
        Ok(ended)
    }
}
