//! Places for services, of one user or one address. A service holds its own until it is gone.

use std::sync::Arc;

use crate::hub::places::Places;
use crate::hub::registry::AddError;

/// The places from which the services of one connection take; none where nothing limits them.
#[derive(Debug, Default)]
pub(super) struct Shelf([Option<Arc<Places>>; 2]);

impl Shelf {
    pub(super) const fn new(places: [Option<Arc<Places>>; 2]) -> Self {
        Self(places)
    }

    /// Takes what a service needs; nothing, where nothing limits it.
    ///
    /// # Errors
    /// The limit that leaves no place.
    pub(super) fn take(&self) -> Result<Option<Arc<Kept>>, AddError> {
        let mut kept = Kept::default();
        for (places, place) in self.0.iter().zip(&mut kept.0) {
            let Some(places) = places else { continue };
            // what was taken before is given back with `kept`
            if !places.keep() {
                let (name, max) = places.limit();
                return Err(AddError::Full(name, max));
            }
            *place = Some(Arc::clone(places));
        }
        let is_limited = kept.0.iter().any(Option::is_some);
        Ok(is_limited.then(|| Arc::new(kept)))
    }
}

/// The places of one service, and of those that come in its place.
#[derive(Debug, Default)]
pub(crate) struct Kept([Option<Arc<Places>>; 2]);

impl Drop for Kept {
    fn drop(&mut self) {
        self.0.iter().flatten().for_each(|places| places.give_back(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::places::Hall;
    use crate::limits::Limits;

    #[test]
    fn services_count_for_user_and_address() {
        let hall = Hall::default();
        let limits = Limits { max_services_per_user: 2, max_services_per_address: 3, ..Limits::default() };
        let here = Some([127, 0, 0, 1].into());
        let [ann, again] = [(), ()].map(|()| hall.shelf(&limits, "ann", here));
        let bob = hall.shelf(&limits, "bob", here);
        let mut kept = vec![ann.take().unwrap(), again.take().unwrap()];
        assert!(matches!(ann.take(), Err(AddError::Full("max_services_per_user", 2))));
        kept.push(bob.take().unwrap());
        assert!(matches!(bob.take(), Err(AddError::Full("max_services_per_address", 3))));
        assert!(
            hall.shelf(&limits, "bob", None).take().is_ok(),
            "what was refused took nothing of the user's"
        );
        kept.remove(0);
        assert!(ann.take().is_ok());
        let free = Limits { max_services_per_user: 0, ..Limits::default() };
        assert!(hall.shelf(&free, "ann", here).take().unwrap().is_none());
    }
}
