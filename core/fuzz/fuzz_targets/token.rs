//! Any text as a token, which is never accepted since nobody here has the secret, and as the scope of one.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use polyfn_server::auth::token::Tokens;
use polyfn_server::auth::{Permission, Scope};
use polyfn_server::config::Config;

static TOKENS: LazyLock<Tokens> =
    LazyLock::new(|| Tokens::new(&Config::default(), b"a secret that the fuzzer does not know"));

fuzz_target!(|token: &str| {
    assert!(TOKENS.bearer(token, 1_700_000_000).is_err());
    assert!(TOKENS.verify(token, 1_700_000_000).is_err());
    assert!(!TOKENS.is_root(token));
    scope(token);
});

/// What is read stays the same when it is written and read again, and a narrowed one is good for one workspace.
fn scope(claim: &str) {
    let scope = Scope::parse(claim);
    let narrowed = claim.split_whitespace().any(|word| word.starts_with("polyfn:"));
    assert!(!narrowed || scope.narrow.is_some() || !scope.special().is_empty());
    let Some(narrow) = scope.narrow.as_deref() else {
        assert!(!narrowed || scope.workspaces.is_empty());
        return;
    };
    assert_eq!(scope.workspaces, [(narrow.workspace.clone(), narrow.permission)]);
    assert!(narrow.permission > Permission::None && narrow.workspace != "*");
    let again = Scope::parse(&scope.claim());
    assert_eq!(again.narrow, scope.narrow);
    assert_eq!(again.client_id, scope.client_id);
}
