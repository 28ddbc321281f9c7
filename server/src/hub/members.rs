//! The clients of one workspace and what they offer: found by name, by client, and in the order of registration.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::ControlFlow;
use std::sync::Arc;

use polyfn_core::session::Visibility;
use polyfn_core::wire::ServiceUri;

use crate::hub::peer::Peer;
use crate::hub::registry::{AddError, Added};
use crate::hub::service::Service;
use crate::hub::shelf::Shelf;

/// Whoever is in a workspace. What one client does takes time by what it has, not by what all others have.
#[derive(Debug, Default)]
pub(super) struct Members {
    pub(super) clients: HashMap<String, Arc<Peer>>,
    /// Each list in order of registration.
    by_name: HashMap<String, Vec<Arc<Service>>>,
    by_number: BTreeMap<u64, Arc<Service>>,
    /// Numbers of those that others than members may see in a list.
    open: BTreeSet<u64>,
    offers: HashMap<String, Offers>,
    /// Registrations so far.
    registered: u64,
}

/// What one client offers.
#[derive(Debug, Default)]
struct Offers {
    /// Whether its `built-in` service is among them.
    is_announced: bool,
    /// The numbers of its services.
    numbers: BTreeSet<u64>,
}

impl Members {
    /// How many services there are, the `built-in` ones apart.
    pub(super) fn count_services(&self) -> usize {
        self.by_number.len() - self.by_name.get("built-in").map_or(0, Vec::len)
    }

    /// Shows a list of what `uri` asks for to somebody who is no member, as [`Members::visit`] does. How long it takes
    /// does not tell what there is beside.
    pub(super) fn visit_open(
        &self,
        uri: &ServiceUri,
        mut look: impl FnMut(&Arc<Service>) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let mut open = self.open.iter().filter_map(|number| self.by_number.get(number));
        open.try_for_each(
            |service| if service.matches(uri) { look(service) } else { ControlFlow::Continue(()) },
        )
    }

    /// Shows what `uri` asks for, in order of registration, until `look` has seen enough.
    pub(super) fn visit(
        &self,
        uri: &ServiceUri,
        mut look: impl FnMut(&Arc<Service>) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let fitting = |service: &Arc<Service>| {
            if service.matches(uri) { look(service) } else { ControlFlow::Continue(()) }
        };
        let named = match uri.service.as_str() {
            "*" => None,
            name => Some(self.by_name.get(name).map(Vec::as_slice).unwrap_or_default()),
        };
        let of_client = match uri.client.as_str() {
            "*" => None,
            client => Some(self.offers.get(client).map(|offers| &offers.numbers)),
        };
        match (named, of_client) {
            (None, None) => self.by_number.values().try_for_each(fitting),
            // a name that all clients have, such as `built-in`
            (Some(list), Some(numbers)) if list.len() <= numbers.map_or(0, BTreeSet::len) => {
                list.iter().try_for_each(fitting)
            }
            (_, Some(numbers)) => {
                let mut own = numbers.into_iter().flatten().filter_map(|number| self.by_number.get(number));
                own.try_for_each(fitting)
            }
            (Some(list), None) => list.iter().try_for_each(fitting),
        }
    }

    /// Takes a client out with all that it offers; gives how many services that were.
    pub(super) fn leave(&mut self, client: &str) -> usize {
        self.clients.remove(client);
        let Some(offers) = self.offers.remove(client) else { return 0 };
        for number in &offers.numbers {
            if let Some(service) = self.by_number.remove(number) {
                self.open.remove(number);
                self.forget_name(&service);
            }
        }
        offers.numbers.len()
    }

    /// Puts a service in, in the place of the one of the same name that its client had. `max` is how many a client may
    /// have, `max_of_all` how many all together; `shelf` has places for those of its user and address.
    pub(super) fn add(
        &mut self,
        mut service: Service,
        (max, max_of_all): (usize, usize),
        shelf: &Shelf,
    ) -> Result<Added, AddError> {
        let offers = self.offers.get(&service.client);
        if !service.is_built_in() && !offers.is_some_and(|offers| offers.is_announced) {
            return Err(AddError::NotAnnounced);
        }
        let known = self.by_name.get(&service.name).map(Vec::as_slice).unwrap_or_default();
        let own = |other: &&Arc<Service>| other.client == service.client;
        if known.iter().any(|other| !own(&other) && (other.singleton || service.singleton)) {
            return Err(AddError::Singleton);
        }
        let replaced = known.iter().find(own).cloned();
        service.kept = replaced.as_ref().and_then(|replaced| replaced.kept.clone());
        if replaced.is_none() {
            if offers.map_or(0, |offers| offers.numbers.len()) >= max {
                return Err(AddError::TooMany);
            }
            if !service.is_built_in() && self.by_number.len() >= max_of_all {
                return Err(AddError::WorkspaceFull);
            }
            if !service.is_built_in() {
                service.kept = shelf.take()?;
            }
        }
        if let Some(replaced) = &replaced {
            self.remove(replaced);
        }
        self.registered += 1;
        service.number = self.registered;
        self.insert(Arc::new(service));
        Ok(Added { replaced })
    }

    fn insert(&mut self, service: Arc<Service>) {
        let offers = self.offers.entry(service.client.clone()).or_default();
        offers.numbers.insert(service.number);
        offers.is_announced |= service.is_built_in();
        if is_open(&service) {
            self.open.insert(service.number);
        }
        self.by_name.entry(service.name.clone()).or_default().push(Arc::clone(&service));
        self.by_number.insert(service.number, service);
    }

    /// Takes a service out; says whether it was there.
    pub(super) fn remove(&mut self, service: &Arc<Service>) -> bool {
        // another workspace, or another service, may have the number
        if !self.by_number.get(&service.number).is_some_and(|known| Arc::ptr_eq(known, service)) {
            return false;
        }
        self.by_number.remove(&service.number);
        self.open.remove(&service.number);
        self.forget_name(service);
        if let Some(offers) = self.offers.get_mut(&service.client) {
            offers.numbers.remove(&service.number);
            offers.is_announced &= !service.is_built_in();
            if offers.numbers.is_empty() {
                self.offers.remove(&service.client);
            }
        }
        true
    }

    fn forget_name(&mut self, service: &Service) {
        let Some(list) = self.by_name.get_mut(&service.name) else { return };
        if let Ok(at) = list.binary_search_by_key(&service.number, |other| other.number) {
            list.remove(at);
        }
        if list.is_empty() {
            self.by_name.remove(&service.name);
        }
    }
}

/// Who is in a workspace is not told to others, so their `built-in` services are not.
fn is_open(service: &Service) -> bool {
    let shown = service.visibility == Visibility::Public || !service.authorized.is_empty();
    shown && !service.is_built_in()
}

#[cfg(test)]
mod tests {
    use std::sync::OnceLock;

    use proptest::prelude::*;
    use tokio::sync::OnceCell;

    use super::*;
    use crate::hub::told::Told;

    const MAX: usize = 6;

    fn service(client: &str, name: &str, visibility: Visibility, singleton: bool) -> Service {
        Service {
            workspace: "lab".into(),
            client: client.into(),
            name: name.into(),
            app: "*".into(),
            kind: "generic".into(),
            visibility,
            authorized: Vec::new(),
            singleton,
            told: Told::default(),
            kept: None,
            settings: polyfn_core::functions::Settings::default(),
            calls: Arc::default(),
            routes: OnceLock::new(),
            number: 0,
            adopted: OnceCell::new(),
        }
    }

    fn uri(client: &str, name: &str) -> ServiceUri {
        let [workspace, app] = ["lab", "*"].map(str::to_owned);
        ServiceUri { workspace, client: client.into(), service: name.into(), app }
    }

    fn seen(members: &Members, client: &str, name: &str, open: bool) -> Vec<u64> {
        let (uri, mut found) = (uri(client, name), Vec::new());
        let look = |service: &Arc<Service>| {
            found.push(service.number);
            ControlFlow::Continue(())
        };
        _ = if open { members.visit_open(&uri, look) } else { members.visit(&uri, look) };
        found
    }

    /// What a list of all would say.
    fn agrees(members: &Members, all: &[Arc<Service>]) {
        for client in ["*", "ann", "bob", "nobody"] {
            for name in ["*", "built-in", "one", "two", "none"] {
                let fits = |service: &&Arc<Service>| service.matches(&uri(client, name));
                let wanted: Vec<u64> = all.iter().filter(fits).map(|service| service.number).collect();
                assert_eq!(seen(members, client, name, false), wanted, "{client}:{name}");
                let open = |service: &&Arc<Service>| {
                    fits(service) && service.visibility == Visibility::Public && service.name != "built-in"
                };
                let wanted: Vec<u64> = all.iter().filter(open).map(|service| service.number).collect();
                assert_eq!(seen(members, client, name, true), wanted, "{client}:{name}, open ones");
            }
        }
        let built_in = all.iter().filter(|service| service.is_built_in()).count();
        assert_eq!(members.count_services(), all.len() - built_in);
    }

    /// Registers, and says the same of a list of all.
    fn add(members: &mut Members, all: &mut Vec<Arc<Service>>, service: Service) {
        let (client, name) = (service.client.clone(), service.name.clone());
        let own = |other: &Arc<Service>| other.client == client && other.name == name;
        let announced = all.iter().any(|other| other.client == client && other.is_built_in());
        let excluded = all.iter().any(|other| {
            other.name == name && other.client != client && (other.singleton || service.singleton)
        });
        let held = all.iter().filter(|other| other.client == client).count();
        let is_new = !all.iter().any(own);
        let wanted = if !announced && name != "built-in" {
            Err(AddError::NotAnnounced)
        } else if excluded {
            Err(AddError::Singleton)
        } else if is_new && held >= MAX {
            Err(AddError::TooMany)
        } else {
            Ok(!is_new)
        };
        let added = members.add(service, (MAX, 100), &Shelf::default()).map(|added| added.replaced.is_some());
        assert_eq!(added, wanted);
        if added.is_ok() {
            all.retain(|other| !own(other));
            all.push(Arc::clone(members.by_number.values().next_back().unwrap()));
        }
    }

    proptest! {
        #[test]
        fn it_finds_what_a_list_of_all_would_find(
            steps in prop::collection::vec((0..4_u8, 0..2_usize, 0..4_usize, any::<bool>(), 0..8_u8), 0..60)
        ) {
            let (mut members, mut all) = (Members::default(), Vec::<Arc<Service>>::new());
            for (what, client, name, public, singleton) in steps {
                let (client, name) = (["ann", "bob"][client], ["built-in", "one", "two", "three"][name]);
                match what {
                    0 | 1 => {
                        let visibility = if public { Visibility::Public } else { Visibility::Protected };
                        let singleton = singleton == 0 && name != "built-in";
                        add(&mut members, &mut all, service(client, name, visibility, singleton));
                    }
                    2 => {
                        let at = all.iter().position(|s| s.client == client && s.name == name);
                        let gone = at.map(|at| all.remove(at));
                        prop_assert!(gone.is_none_or(|gone| members.remove(&gone) && !members.remove(&gone)));
                    }
                    _ => {
                        let before = all.len();
                        all.retain(|service| service.client != client);
                        prop_assert_eq!(members.leave(client), before - all.len());
                    }
                }
                agrees(&members, &all);
            }
        }
    }
}
