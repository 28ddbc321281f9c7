//! Every method of the manager and every route of HTTP, asked by everybody there is: see `table.rs`.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod markdown;
mod table;
mod world;

use std::collections::BTreeSet;

use polyfn_core::{ErrorKind, Value};
use table::{ADMINISTRATION, ADMINISTRATORS, BESIDE, COLUMNS, METHODS, ROUTES};
use world::{BAD, World};

/// What a letter of the table says of an answer.
fn fits(letter: char, status: u16) -> bool {
    match letter {
        '+' => !matches!(status, 401 | 403 | 404 | 500..),
        '-' => matches!(status, 401 | 403),
        '?' => status == 404,
        _ => false,
    }
}

/// A status for what a method answered over a connection.
fn status(answer: &polyfn_core::Result<Value>) -> u16 {
    match answer.as_ref().map_err(polyfn_core::Error::kind) {
        Ok(_) => 200,
        Err(ErrorKind::PermissionDenied) => 403,
        Err(ErrorKind::Internal) => 500,
        Err(ErrorKind::NotFound) => 404,
        Err(_) => 400,
    }
}

/// What takes something away says to those who may that it is not there.
fn may_miss(name: &str) -> bool {
    let taken_away = ["unregister_service", "unbookmark", "kickout_client", "unload_workspace"];
    // the server of these tests has no accounts
    let of_accounts = ["account", "role", "password"].iter().any(|word| name.contains(word));
    taken_away.contains(&name) || name.starts_with("unblock") || of_accounts
}

#[tokio::test]
async fn everybody_is_answered_as_the_table_says() {
    let world = World::new().await;
    let mut wrong = Vec::new();
    for method in METHODS {
        for (at, letter) in method.who.chars().enumerate() {
            let mut note = |how: &str, status: u16| {
                let missed = letter == '+' && status == 404 && may_miss(method.name);
                if !fits(letter, status) && !missed {
                    let column = COLUMNS[at].0;
                    wrong.push(format!(
                        "{} ({}), {column}{how}: `{letter}` but {status}",
                        method.name, method.asks
                    ));
                }
            };
            if let Some(client) = world.clients.get(at).and_then(Option::as_ref) {
                let answer = client.manager(method.name, world.arguments(method.args)).await;
                note(" connected", status(&answer));
            }
            if at != 1 && letter != '.' {
                note(" over HTTP", world.post_method(method, world.tokens[at].as_deref()).await);
            }
        }
        for (name, token) in BAD.iter().zip(&world.bad) {
            let status = world.post_method(method, Some(token)).await;
            if status != 401 {
                wrong.push(format!("{}, token {name}: {status} instead of 401", method.name));
            }
        }
    }
    for route in ROUTES {
        for (at, letter) in route.who.chars().enumerate().filter(|(_, letter)| *letter != '.') {
            let status = world.ask(route, world.tokens[at].as_deref()).await;
            if !fits(letter, status) {
                wrong.push(format!(
                    "{} ({}), {}: `{letter}` but {status}",
                    route.route, route.asks, COLUMNS[at].0
                ));
            }
        }
        for (name, token) in BAD.iter().zip(&world.bad) {
            let status = world.ask(route, Some(token)).await;
            if (status == 401) != route.checks {
                wrong.push(format!("{}, token {name}: {status}, is it looked at?", route.route));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} answers are not those of tests/permissions/table.rs:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[tokio::test]
async fn bad_tokens_open_no_connection() {
    let world = World::new().await;
    for (name, token) in BAD.iter().zip(&world.bad) {
        let refused = world.connect("bad", Some(token)).await;
        assert!(refused.is_err(), "{name}");
    }
    let bound = world.issue("ws:lab-one#rw wid:lab-one cid:only-me");
    let refused = world.connect("other", Some(&bound)).await.err().unwrap();
    assert!(refused.message().contains("restricted to client with client_id='only-me'"), "{refused}");
    assert!(world.connect("only-me", Some(&bound)).await.is_ok());
    for route in ROUTES.iter().filter(|route| route.route == "get /rpc") {
        assert_eq!(world.ask(route, Some(&bound)).await, 403, "a stream of another client");
    }
}

#[tokio::test]
async fn every_method_and_route_has_a_row() {
    let world = World::new().await;
    let manager = world.clients[4].as_ref().unwrap().manager("get_service", ["~".into()]).await.unwrap();
    let functions = manager.as_map().unwrap().iter().filter(|(_, value)| matches!(value, Value::Method(_)));
    let there: BTreeSet<String> = functions.map(|(name, _)| name.clone()).collect();
    let rows: BTreeSet<String> = METHODS.iter().map(|method| method.name.to_owned()).collect();
    assert_eq!(there, rows, "give each method of the manager a row in tests/permissions/table.rs");
    let rows: BTreeSet<String> = ROUTES.iter().map(|route| route.route.to_owned()).collect();
    let described = world.described_routes().await;
    let missing: Vec<_> = described.difference(&rows).collect();
    assert!(
        missing.is_empty(),
        "give each route of /openapi.json a row in tests/permissions/table.rs: {missing:?}"
    );
    // paths that say more of what a path of the router, or what is asked before it, takes
    let is_more = |row: &String| described.contains(row) || BESIDE.iter().any(|path| row.contains(path));
    let routed = world.routes().await;
    let missing: Vec<_> = routed.difference(&rows).collect();
    assert!(
        missing.is_empty(),
        "give each route of the router a row in tests/permissions/table.rs: {missing:?}"
    );
    let left: Vec<_> = rows.difference(&routed).filter(|row| !is_more(row)).collect();
    assert!(left.is_empty(), "there are no such routes: {left:?}");
    let rows = METHODS.iter().map(|method| method.who).chain(ROUTES.iter().map(|route| route.who));
    assert!(rows.into_iter().all(|who| who.len() == COLUMNS.len()), "a letter for each column");
}

#[tokio::test]
async fn only_administrators_administer() {
    let world = World::new().await;
    let rows: BTreeSet<&str> = ADMINISTRATION.iter().map(|method| method.name).collect();
    assert_eq!(world.administration().await, rows.into_iter().map(str::to_owned).collect::<BTreeSet<_>>());
    let mut wrong = Vec::new();
    for method in &ADMINISTRATION {
        for ((who, scope), letter) in ADMINISTRATORS.iter().zip(method.who.chars()) {
            let token = (!scope.is_empty()).then(|| world.issue(&format!("{scope} wid:ws-user-root")));
            let status = world.post_administration(method, token.as_deref()).await;
            let missed = letter == '+' && status == 404 && may_miss(method.name);
            if !fits(letter, status) && !missed {
                wrong.push(format!("{}, {who}: `{letter}` but {status}", method.name));
            }
        }
        for (name, token) in BAD.iter().zip(&world.bad) {
            let status = world.post_administration(method, Some(token)).await;
            if status != 401 {
                wrong.push(format!("{}, token {name}: {status} instead of 401", method.name));
            }
        }
        // every right elsewhere is none here
        let elsewhere = world.post_administration(method, world.tokens[4].as_deref()).await;
        if elsewhere != 404 {
            wrong.push(format!("{}, an admin of another workspace: {elsewhere}", method.name));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_page_of_the_documentation_is_that_of_the_table() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/permissions.md");
    let page = markdown::page();
    if std::env::var_os("POLYFN_WRITE_DOCS").is_some() {
        std::fs::write(path, &page).unwrap();
    }
    let written = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        written == page,
        "docs/permissions.md is not that of the table: \
         POLYFN_WRITE_DOCS=1 cargo test -p polyfn-server --test permissions writes it"
    );
}
