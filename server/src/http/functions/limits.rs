//! What a service allows of what the server allows.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use polyfn_core::ErrorKind;

use crate::http::problem::Problem;
use crate::hub::Service;
use crate::limits::Limits;
use crate::state::State;

/// The limits of one call: the service's own, never above those of the server.
#[derive(Clone, Copy, Debug)]
pub(in crate::http) struct Allowed {
    /// Bytes of the request's body.
    pub(super) body: usize,
    /// How long the call may take.
    pub(in crate::http) time: Duration,
}

impl Allowed {
    pub(in crate::http) fn of(limits: &Limits, service: &Service) -> Self {
        let own = &service.settings;
        let (body, time) = (limits.max_request_body, limits.http_call_timeout.duration());
        Self {
            body: own.max_request_body.map_or(body, |own| own.min(body)),
            time: own.http_call_timeout.map_or(time, |own| own.min(time)),
        }
    }
}

/// One of the calls of a service that are under way, until it is dropped.
#[derive(Debug)]
pub(in crate::http) struct Turn(Option<Arc<AtomicUsize>>);

impl Turn {
    /// A call more.
    ///
    /// # Errors
    /// 429 when the service has as many as it wants.
    pub(in crate::http) fn take(state: &State, service: &Service) -> Result<Self, Problem> {
        let Some(max) = service.settings.max_http_calls else { return Ok(Self(None)) };
        let turn = Self(Some(Arc::clone(&service.calls)));
        if service.calls.fetch_add(1, Ordering::Relaxed) >= max {
            state.metrics.limited.note("max_http_calls_per_service");
            let text = format!("{max} calls of this service are under way already");
            return Err(Problem::new(ErrorKind::Overloaded, text));
        }
        Ok(turn)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(calls) = &self.0 {
            calls.fetch_sub(1, Ordering::Relaxed);
        }
    }
}
