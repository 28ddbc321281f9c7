//! Senders that send more than they may are read more slowly: nothing is refused and no connection is cut.
//!
//! A message is charged to its connection, its user, its workspace and its address. Whoever is over waits until the
//! debt is paid, and is not read meanwhile, so that the network itself holds the sender back.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;

use crate::limits::Limits;
use crate::metrics::Metrics;
use crate::rate::{Bucket, Rate};

/// So many seconds' worth may be sent at once, where no limit of its own says otherwise.
const BURST_SECONDS: f64 = 10.0;
/// The longest that a single message holds its sender back.
const WAIT_MAX: Duration = Duration::from_secs(60);
/// Entries before those that nobody holds any longer are forgotten.
const SWEEP_FROM: usize = 1024;

/// One of the limits, with its name in metrics.
#[derive(Clone, Copy, Debug)]
struct Named {
    rate: Rate,
    name: &'static str,
}

impl Named {
    /// `None` for 0, which stands for no limit.
    fn new(name: &'static str, per_second: u64, burst: Option<u64>) -> Option<Self> {
        let per_second = per_second as f64;
        let burst = burst.map_or(per_second * BURST_SECONDS, |burst| burst as f64);
        Some(Self { rate: Rate::new(per_second, burst)?, name })
    }
}

/// What somebody has left; less than nothing when it is over.
#[derive(Debug)]
struct Account {
    limit: Named,
    bucket: Bucket,
}

impl Account {
    fn full(limit: Named, now: Duration) -> Self {
        Self { limit, bucket: Bucket::full(limit.rate, now) }
    }
}

/// The messages and the bytes of one connection, user, workspace or address.
#[derive(Debug, Default)]
struct Accounts(Mutex<[Option<Account>; 2]>);

impl Accounts {
    fn new(rates: Rates, now: Duration) -> Self {
        Self(Mutex::new(rates.map(|limit| limit.map(|limit| Account::full(limit, now)))))
    }

    /// The longest wait, and the limit that asks for it.
    fn charge(&self, bytes: usize, now: Duration) -> Option<(Duration, &'static str)> {
        let mut accounts = self.0.lock();
        let waits = accounts.iter_mut().zip([1.0, bytes as f64]).filter_map(|(account, amount)| {
            let account = account.as_mut()?;
            let Account { limit, bucket } = account;
            Some((bucket.charge(limit.rate, amount, WAIT_MAX, now), limit.name))
        });
        waits.filter(|(wait, _)| !wait.is_zero()).max()
    }
}

/// Messages a second, bytes a second.
type Rates = [Option<Named>; 2];

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Sender {
    User(String),
    Workspace(String),
    Address(IpAddr),
}

/// The accounts of all senders that are connected.
#[derive(Debug)]
pub struct Paces {
    connection: Rates,
    user: Rates,
    workspace: Rates,
    address: Rates,
    shared: Mutex<HashMap<Sender, Weak<Accounts>>>,
}

impl Paces {
    /// What the settings allow.
    #[must_use]
    pub fn new(limits: &Limits) -> Self {
        let burst = Some(u64::from(limits.ws_msg_burst_limit));
        Self {
            connection: [
                Named::new("ws_msg_rate_limit", limits.ws_msg_rate_limit.into(), burst),
                Named::new("ws_byte_rate_limit", limits.ws_byte_rate_limit, None),
            ],
            user: [
                Named::new("user_msg_rate_limit", limits.user_msg_rate_limit.into(), None),
                Named::new("user_byte_rate_limit", limits.user_byte_rate_limit, None),
            ],
            workspace: [
                Named::new("workspace_msg_rate_limit", limits.workspace_msg_rate_limit.into(), None),
                Named::new("workspace_byte_rate_limit", limits.workspace_byte_rate_limit, None),
            ],
            address: [
                Named::new("address_msg_rate_limit", limits.address_msg_rate_limit.into(), None),
                Named::new("address_byte_rate_limit", limits.address_byte_rate_limit, None),
            ],
            shared: Mutex::default(),
        }
    }

    /// The accounts of one connection, and of those it belongs to.
    #[must_use]
    pub fn of(&self, user: &str, workspace: &str, address: Option<IpAddr>, now: Duration) -> Pace {
        let mut accounts = Vec::new();
        if self.connection.iter().any(Option::is_some) {
            accounts.push(Arc::new(Accounts::new(self.connection, now)));
        }
        for (rates, sender) in [
            (self.user, Some(Sender::User(user.to_owned()))),
            (self.workspace, Some(Sender::Workspace(workspace.to_owned()))),
            (self.address, address.map(Sender::Address)),
        ] {
            if let Some(sender) = sender.filter(|_| rates.iter().any(Option::is_some)) {
                accounts.push(self.shared(sender, rates, now));
            }
        }
        Pace(accounts)
    }

    fn shared(&self, sender: Sender, rates: Rates, now: Duration) -> Arc<Accounts> {
        let mut shared = self.shared.lock();
        if let Some(accounts) = shared.get(&sender).and_then(Weak::upgrade) {
            return accounts;
        }
        if shared.len() >= SWEEP_FROM {
            shared.retain(|_, accounts| accounts.strong_count() > 0);
        }
        let accounts = Arc::new(Accounts::new(rates, now));
        shared.insert(sender, Arc::downgrade(&accounts));
        accounts
    }
}

/// What the messages of one connection are charged to.
#[derive(Debug, Default)]
pub struct Pace(Vec<Arc<Accounts>>);

impl Pace {
    /// Charges a message of so many bytes; says how long its sender is not to be read.
    pub fn charge(&self, bytes: usize, now: Duration, metrics: &Metrics) -> Option<Duration> {
        let (wait, limit) = self.0.iter().filter_map(|accounts| accounts.charge(bytes, now)).max()?;
        metrics.limited.note(limit);
        Some(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn who_sends_too_much_waits_until_it_is_paid() {
        let limits = Limits { ws_msg_rate_limit: 2, ws_msg_burst_limit: 3, ..Limits::default() };
        let (paces, metrics) = (Paces::new(&limits), Metrics::default());
        let pace = paces.of("ann", "lab", None, at(0));
        for _ in 0..3 {
            assert_eq!(pace.charge(9, at(0), &metrics), None);
        }
        assert_eq!(pace.charge(9, at(0), &metrics), Some(Duration::from_millis(500)));
        assert_eq!(pace.charge(9, at(1), &metrics), None);
        assert!(metrics.text(0.0).contains("polyfn_limited_total{limit=\"ws_msg_rate_limit\"} 1\n"));
    }

    #[test]
    fn a_user_has_one_account_for_all_connections() {
        let limits = Limits { user_byte_rate_limit: 100, ..Limits::default() };
        let (paces, metrics) = (Paces::new(&limits), Metrics::default());
        let [one, other] = [0, 1].map(|_| paces.of("ann", "lab", None, at(0)));
        let stranger = paces.of("bob", "lab", None, at(0));
        assert_eq!(one.charge(1000, at(0), &metrics), None);
        assert_eq!(other.charge(100, at(0), &metrics), Some(at(1)));
        assert_eq!(stranger.charge(100, at(0), &metrics), None);
    }

    #[test]
    fn each_kind_of_sender_has_its_limit() {
        let limits = Limits { workspace_msg_rate_limit: 1, address_byte_rate_limit: 1, ..Limits::default() };
        let (paces, metrics) = (Paces::new(&limits), Metrics::default());
        let address = Some(IpAddr::from([127, 0, 0, 1]));
        let pace = paces.of("ann", "lab", address, at(0));
        for _ in 0..10 {
            assert_eq!(pace.charge(1, at(0), &metrics), None);
        }
        assert_eq!(paces.of("bob", "lab", None, at(0)).charge(1, at(0), &metrics), Some(at(1)));
        assert_eq!(paces.of("bob", "other", address, at(0)).charge(2, at(0), &metrics), Some(at(2)));
        // a single message never holds anybody back for long
        assert_eq!(pace.charge(1 << 30, at(0), &metrics), Some(at(60)));
    }

    #[test]
    fn by_default_there_is_no_limit_and_nothing_is_kept() {
        let paces = Paces::new(&Limits::default());
        assert_eq!(paces.of("ann", "lab", None, at(0)).charge(1 << 30, at(0), &Metrics::default()), None);
        assert!(paces.shared.lock().is_empty());
    }
}
