//! What was asked, what ran, and how it ended.

use std::collections::HashMap;

use polyfn_core::{Error, ErrorKind, Value};

/// Names one call for good, wherever its arguments go.
pub(crate) type Token = u64;

#[derive(Debug, Default)]
struct Entry {
    runs: usize,
    end: Option<Result<Value, Error>>,
    is_forgotten: bool,
    may_fail: bool,
}

/// All calls of a world.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    entries: HashMap<Token, Entry>,
}

impl Ledger {
    /// A call begins. `may_fail` says that its function fails on purpose.
    pub(crate) fn start(&mut self, may_fail: bool) -> Token {
        let token = self.entries.len() as Token;
        self.entries.insert(token, Entry { may_fail, ..Entry::default() });
        token
    }

    /// Its function runs.
    pub(crate) fn run(&mut self, token: Token) {
        let entry = self.entries.get_mut(&token).unwrap();
        entry.runs += 1;
        assert_eq!(entry.runs, 1, "call {token} runs a second time");
    }

    /// Its caller does not want to know any longer.
    pub(crate) fn forget(&mut self, token: Token) {
        self.entries.get_mut(&token).unwrap().is_forgotten = true;
    }

    /// It is over.
    pub(crate) fn end(&mut self, token: Token, end: Result<Value, Error>) {
        let entry = self.entries.get_mut(&token).unwrap();
        assert!(!entry.is_forgotten, "call {token} ends although it was given up: {end:?}");
        assert!(entry.end.is_none(), "call {token} ends a second time: {end:?} after {:?}", entry.end);
        if std::env::var_os("POLYFN_SEED").is_some() {
            eprintln!("call {token}: {end:?}");
        }
        if end.is_ok() {
            assert_eq!(entry.runs, 1, "call {token} has a result and did not run");
        }
        entry.end = Some(end);
    }

    pub(crate) fn started(&self) -> usize {
        self.entries.len()
    }

    /// Calls that ended with an error which their function did not raise.
    pub(crate) fn failed(&self) -> usize {
        let failed = |entry: &&Entry| !entry.may_fail && matches!(entry.end, Some(Err(_)));
        self.entries.values().filter(failed).count()
    }

    /// Every call has ended, with an error that says why.
    pub(crate) fn check(&self) {
        for (token, entry) in &self.entries {
            match &entry.end {
                None => assert!(entry.is_forgotten, "call {token} never ended"),
                Some(Err(error)) if !entry.may_fail => assert!(
                    matches!(error.kind(), ErrorKind::PeerGone | ErrorKind::Timeout | ErrorKind::NotFound),
                    "call {token} failed for a reason that the network does not explain: {error:?}"
                ),
                Some(_) => {}
            }
        }
    }
}
