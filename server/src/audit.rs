//! Who has changed what rights, in the database and in the log of the process (`polyfn::audit`).

use std::sync::OnceLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::{mpsc, oneshot};

use crate::clock;
use crate::limits::Limits;
use crate::store::Store;

/// Entries that wait to be written.
const WAITING: usize = 4096;
/// How often is looked for entries that are too old.
const LOOK_EVERY: Duration = Duration::from_secs(3600);
/// Characters of what is noted.
const TEXT_MAX: usize = 1024;

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Grows with time.
    pub(crate) id: String,
    /// Seconds since 1970.
    pub(crate) at: u64,
    /// The user who made it.
    pub(crate) by: String,
    /// What was done, such as `block`.
    pub(crate) what: String,
    /// To whom or what.
    pub(crate) target: String,
    /// More of it, for people.
    pub(crate) details: String,
}

impl Entry {
    pub(crate) fn new(by: &str, what: &str, target: &str, details: &str) -> Self {
        let cut = |text: &str| text.chars().take(TEXT_MAX).collect::<String>();
        let nanos = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        Self {
            id: format!("{nanos:020}-{:08x}", fastrand::u32(..)),
            at: clock::now(),
            by: cut(by),
            what: cut(what),
            target: cut(target),
            details: cut(details),
        }
    }
}

#[derive(Debug)]
enum Work {
    Write(Entry),
    Flush(oneshot::Sender<()>),
    End(oneshot::Sender<()>),
}

/// What the log keeps.
struct Keep {
    max: u64,
    age: Duration,
    /// Entries since it was looked at last.
    written: u64,
}

impl Keep {
    /// Looks now and then only: so many may be there above the limit, a tenth of it at most.
    async fn note(&mut self, store: &Store) {
        self.written += 1;
        if self.max > 0 && self.written >= (self.max / 10).clamp(1, 1000) {
            self.trim(store).await;
        }
    }

    async fn trim(&mut self, store: &Store) {
        self.written = 0;
        let before = (!self.age.is_zero()).then(|| clock::now().saturating_sub(self.age.as_secs()));
        if let Err(error) = store.trim_audit(self.max, before).await {
            tracing::error!(%error, "the audit log was not trimmed");
        }
    }
}

/// The audit log.
#[derive(Debug, Default)]
pub(crate) struct Audit(OnceLock<mpsc::Sender<Work>>);

impl Audit {
    /// Starts the writer, which keeps no more than the limits allow.
    pub(crate) fn start(&self, store: Store, limits: &Limits) {
        let (sender, mut waiting) = mpsc::channel(WAITING);
        _ = self.0.set(sender);
        let mut keep =
            Keep { max: limits.max_audit_entries, age: limits.max_audit_age.duration(), written: 0 };
        tokio::spawn(async move {
            let mut hours = tokio::time::interval(LOOK_EVERY);
            loop {
                let work = tokio::select! {
                    work = waiting.recv() => work,
                    _ = hours.tick() => {
                        keep.trim(&store).await;
                        continue;
                    }
                };
                let Some(work) = work else { return };
                match work {
                    Work::Flush(done) => _ = done.send(()),
                    // the database is free before anybody hears of the end: another server may open it at once
                    Work::End(done) => {
                        drop(store);
                        _ = done.send(());
                        return;
                    }
                    Work::Write(entry) => {
                        if let Err(error) = store.note(&entry).await {
                            tracing::error!(%error, ?entry, "the audit log was not written");
                        }
                        keep.note(&store).await;
                    }
                }
            }
        });
    }

    /// Notes a change. Never waits; what the database cannot take in time stands in the log of the process alone.
    pub(crate) fn note(&self, by: &str, what: &str, target: &str, details: &str) {
        let entry = Entry::new(by, what, target, details);
        tracing::info!(target: "polyfn::audit", by, what, target, details);
        let Some(sender) = self.0.get() else { return };
        if let Err(error) = sender.try_send(Work::Write(entry)) {
            tracing::error!(%error, by, what, target, details, "the audit log was not written");
        }
    }

    /// Waits until all that was noted is written.
    pub(crate) async fn flush(&self) {
        self.wait(Work::Flush).await;
    }

    /// The same, and lets go of the database.
    pub(crate) async fn end(&self) {
        self.wait(Work::End).await;
    }

    async fn wait(&self, work: fn(oneshot::Sender<()>) -> Work) {
        let Some(sender) = self.0.get() else { return };
        let (done, written) = oneshot::channel();
        if sender.send(work(done)).await.is_ok() {
            _ = written.await;
        }
    }
}
