//! Clients, a server and the network between them under one seeded clock: frames take their time, connections break
//! with what is on its way, one side may not notice for a while, the server restarts.
//!
//! Whatever happens, every call ends exactly once, no call runs twice, a result is what its own call asked for, and when
//! all is over nothing is held. A failing seed is printed; `POLYFN_SEED=<seed>` runs it alone, with a trace.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod client;
mod ledger;
mod server;
mod streams;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};

use world::{Weather, World};

/// How many seeds a run tries.
const SEEDS: u64 = 1000;

fn seeds() -> Vec<u64> {
    match std::env::var("POLYFN_SEED").map(|seed| seed.parse()) {
        Ok(seed) => vec![seed.unwrap()],
        Err(_) => (0..SEEDS).collect(),
    }
}

#[test]
fn every_call_ends_once_whatever_the_network_does() {
    let (mut calls, mut broken) = (0, 0);
    for seed in seeds() {
        let outcome = catch_unwind(AssertUnwindSafe(|| World::new(seed, &Weather::stormy()).live().0));
        match outcome {
            Ok(ledger) => {
                calls += ledger.started();
                broken += ledger.failed();
            }
            Err(cause) => {
                eprintln!("seed {seed} fails: run it alone with POLYFN_SEED={seed}");
                std::panic::resume_unwind(cause);
            }
        }
    }
    println!("{calls} calls, of which {broken} ended with an error");
    assert!(broken > 0, "a storm that breaks nothing tests nothing");
    assert!(
        broken < calls / 2,
        "a network on which most calls fail tests only failures: {broken} of {calls}"
    );
}

#[test]
fn in_fair_weather_no_call_fails() {
    let mut whole = 0;
    for seed in seeds().into_iter().take(50) {
        let (ledger, streams) = World::new(seed, &Weather::fair()).live();
        whole += streams;
        assert_eq!(ledger.failed(), 0, "seed {seed}");
        assert!(ledger.started() > 20);
    }
    assert!(whole > 20, "generators are read to their end");
}
