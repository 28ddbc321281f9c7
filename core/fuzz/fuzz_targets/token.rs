//! Any text as a token: never accepted, since nobody here has the secret.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use polyfn_server::auth::token::Tokens;
use polyfn_server::config::Config;

static TOKENS: LazyLock<Tokens> =
    LazyLock::new(|| Tokens::new(&Config::default(), b"a secret that the fuzzer does not know"));

fuzz_target!(|token: &str| {
    assert!(TOKENS.bearer(token, 1_700_000_000).is_err());
    assert!(TOKENS.verify(token, 1_700_000_000).is_err());
    assert!(!TOKENS.is_root(token));
});
