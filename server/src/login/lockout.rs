//! Slowing down whoever guesses: after some failures, each further one makes the next attempt wait twice as long.
//!
//! Pure: the time is an argument.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use parking_lot::Mutex;
use sha2::{Digest, Sha256};

/// What is guessed at, or who guesses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Subject {
    /// An address that was typed, whether or not somebody has it: what is told must not depend on that.
    Account([u8; 32]),
    /// Where the attempt comes from.
    Address(IpAddr),
}

/// Failures that are free, and how long one has to wait at most.
#[derive(Clone, Copy, Debug)]
struct Rule {
    free: u32,
    max: Duration,
}

/// Short, as others could keep the owner out with it.
const ACCOUNT: Rule = Rule { free: 5, max: Duration::from_secs(60) };
/// Many people may share an address.
const ADDRESS: Rule = Rule { free: 20, max: Duration::from_secs(900) };
/// After this time without a failure all is forgotten.
const FORGET: Duration = Duration::from_secs(3600);

#[derive(Clone, Copy, Debug)]
struct Record {
    failures: u32,
    last: Duration,
}

/// Who failed how often; bounded.
#[derive(Debug)]
pub struct Lockout {
    records: Mutex<HashMap<Subject, Record>>,
    max: usize,
}

/// One attempt: which account, and from where, if that is known.
#[derive(Clone, Debug)]
pub struct Attempt {
    subjects: Vec<(Subject, Rule)>,
}

impl Attempt {
    /// An attempt at the account that is written as `account`.
    #[must_use]
    pub fn new(account: &str, address: Option<IpAddr>) -> Self {
        let digest = Sha256::digest(account.as_bytes()).into();
        let mut subjects = vec![(Subject::Account(digest), ACCOUNT)];
        subjects.extend(address.map(|address| (Subject::Address(network(address)), ADDRESS)));
        Self { subjects }
    }
}

/// Of an IPv6 address the network, which one person has whole.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() & !u128::from(u64::MAX)).into()),
        v4 => v4,
    }
}

impl Lockout {
    /// Remembers so many at most; beyond them, those who have been quiet for longest are forgotten.
    #[must_use]
    pub fn new(max: usize) -> Self {
        Self { records: Mutex::default(), max: max.max(2) }
    }

    /// Whether the attempt may be made now.
    ///
    /// # Errors
    /// How long to wait.
    pub fn check(&self, attempt: &Attempt, now: Duration) -> Result<(), Duration> {
        let records = self.records.lock();
        let wait = |(subject, rule): &(Subject, Rule)| {
            let record = records.get(subject)?;
            let until = record.last + penalty(*rule, record.failures);
            until.checked_sub(now).filter(|left| !left.is_zero())
        };
        attempt.subjects.iter().filter_map(wait).max().map_or(Ok(()), Err)
    }

    /// The same, whatever is tried: for guesses at something that all share.
    ///
    /// # Errors
    /// How long to wait.
    pub fn check_address(&self, attempt: &Attempt, now: Duration) -> Result<(), Duration> {
        let is_address = |(subject, _): &&(Subject, Rule)| matches!(subject, Subject::Address(_));
        self.check(&Attempt { subjects: attempt.subjects.iter().filter(is_address).copied().collect() }, now)
    }

    /// Notes that it failed; says whether others have to wait from now on. Called before the check of a password, so that
    /// attempts made at once count too.
    pub fn fail(&self, attempt: &Attempt, now: Duration) -> bool {
        let mut records = self.records.lock();
        let mut begins = false;
        for (subject, rule) in &attempt.subjects {
            if records.len() >= self.max && !records.contains_key(subject) {
                self.make_room(&mut records, now);
            }
            let record = records.entry(*subject).or_insert(Record { failures: 0, last: now });
            if now.saturating_sub(record.last) > FORGET {
                record.failures = 0;
            }
            record.failures = record.failures.saturating_add(1);
            record.last = now;
            begins |= record.failures == rule.free;
        }
        begins
    }

    /// Notes that it was the owner after all. What the address did at other accounts stays, less this one.
    pub fn succeed(&self, attempt: &Attempt) {
        let mut records = self.records.lock();
        for (subject, _) in &attempt.subjects {
            match (subject, records.get_mut(subject)) {
                (Subject::Account(_), _) => drop(records.remove(subject)),
                (Subject::Address(_), Some(record)) => record.failures = record.failures.saturating_sub(1),
                (Subject::Address(_), None) => {}
            }
        }
    }

    fn make_room(&self, records: &mut HashMap<Subject, Record>, now: Duration) {
        records.retain(|_, record| now.saturating_sub(record.last) <= FORGET);
        if records.len() < self.max {
            return;
        }
        let mut times: Vec<Duration> = records.values().map(|record| record.last).collect();
        let middle = times.len() / 2;
        let (_, median, _) = times.select_nth_unstable(middle);
        let median = *median;
        records.retain(|_, record| record.last > median);
    }
}

fn penalty(rule: Rule, failures: u32) -> Duration {
    match failures.checked_sub(rule.free) {
        None => Duration::ZERO,
        Some(over) => Duration::from_secs(1 << over.min(20)).min(rule.max),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn the_wait_doubles_and_ends() {
        let lockout = Lockout::new(100);
        let attempt = Attempt::new("a@b.c", None);
        let mut waits = Vec::new();
        for _ in 0..14 {
            lockout.fail(&attempt, Duration::ZERO);
            waits.push(lockout.check(&attempt, Duration::ZERO).map_or_else(|wait| wait.as_secs(), |()| 0));
        }
        assert_eq!(waits, [0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 60, 60, 60, 60]);
        assert_eq!(lockout.check(&attempt, SECOND * 60), Ok(()));
        lockout.succeed(&attempt);
        assert_eq!(lockout.check(&attempt, Duration::ZERO), Ok(()));
    }

    #[test]
    fn an_address_that_tries_many_accounts_waits_too() {
        let lockout = Lockout::new(100);
        let from = |account: usize, last: u128| {
            let address = IpAddr::V6((0x2001_0db8_u128 << 96 | last).into());
            Attempt::new(&format!("{account}@b.c"), Some(address))
        };
        (0..20).for_each(|number| _ = lockout.fail(&from(number, number as u128), Duration::ZERO));
        assert_eq!(lockout.check(&from(99, 99), Duration::ZERO), Err(SECOND));
        assert_eq!(lockout.check(&from(99, 1 << 64), Duration::ZERO), Ok(()), "another network");
        lockout.succeed(&from(0, 0));
        assert_eq!(lockout.check(&from(99, 99), Duration::ZERO), Ok(()));
    }

    #[test]
    fn memory_is_bounded_and_the_latest_stay() {
        let lockout = Lockout::new(10);
        let attempt = |number: u64| Attempt::new(&number.to_string(), None);
        for number in 0..100 {
            lockout.fail(&attempt(number), SECOND * number as u32);
        }
        let records = lockout.records.lock();
        assert!(records.len() <= 10);
        assert!(records.contains_key(&attempt(99).subjects[0].0));
    }
}
