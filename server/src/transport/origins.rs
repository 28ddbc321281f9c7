//! How many clients come from one address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::auth::HandshakeError;
use crate::state::State;

/// Clients by address, where that has a limit.
#[derive(Debug, Default)]
pub(crate) struct Origins(Mutex<HashMap<IpAddr, usize>>);

/// One client of an address, until this is dropped.
#[derive(Debug)]
pub(super) struct Origin {
    state: Arc<State>,
    address: IpAddr,
}

impl Origin {
    /// One client more from `address`.
    ///
    /// # Errors
    /// When the address has as many as it may.
    pub(super) fn take(state: &Arc<State>, address: Option<IpAddr>) -> Result<Option<Self>, HandshakeError> {
        let max = state.config.limits.max_clients_per_address;
        let Some(address) = address.filter(|_| max > 0) else { return Ok(None) };
        let mut clients = state.origins.0.lock();
        let count = clients.entry(address).or_default();
        if *count >= max {
            state.metrics.limited.note("max_clients_per_address");
            let text = format!("Too many clients from one address: {max} are allowed");
            return Err(HandshakeError::refused(text));
        }
        *count += 1;
        Ok(Some(Self { state: Arc::clone(state), address }))
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        let mut clients = self.state.origins.0.lock();
        if let Some(count) = clients.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                clients.remove(&self.address);
            }
        }
    }
}
