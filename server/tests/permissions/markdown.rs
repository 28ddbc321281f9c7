//! `docs/permissions.md`, written from the table.

use std::fmt::Write;

use crate::table::{ADMINISTRATION, ADMINISTRATORS, COLUMNS, METHODS, ROUTES};

const HEAD: &str = "\
# Who may do what

This page is written from `server/tests/permissions/table.rs`, by which a test asks a server for all of it. After a change:
`POLYFN_WRITE_DOCS=1 cargo test -p polyfn-server --test permissions`.

The rights of a token are `read` < `read_write` < `admin`, each for one workspace or for all (`*`); [tokens.md](tokens.md) tells about tokens.

";

const BAD: &str = "
A token that has **expired**, was **revoked**, is **forged** (changed, or signed with another key) or has **`alg: none`** is refused by all that
looks at tokens: HTTP answers 401, connections are closed with the reason. It never counts as no token. A token that is **bound to another
client** (`client_id`) opens no connection, on the websocket or by `GET /rpc`; for other requests over HTTP it is what it is without that. A
**specialised** token (an extra scope with a colon) opens nothing by itself.

In the tables, \u{2713} is answered, \u{2717} is refused (403, `permission_denied`; 401 where a token would help), 404 is
answered as if there was nothing, and \u{00b7} cannot be asked so.
";

/// The whole page.
pub(crate) fn page() -> String {
    let mut page = HEAD.to_owned() + "| who | what it has |\n| --- | --- |\n";
    for (name, text) in COLUMNS {
        writeln!(page, "| {name} | {text} |").unwrap();
    }
    page += BAD;
    page += "\n## Methods of the workspace manager\n\n\"At home\" is the workspace in which the caller acts: that of its \
             token, or its own. By `POST /{workspace}/services/ws/{method}` the answers are the same.\n\n";
    let rows = METHODS.iter().map(|method| (method.name, method.asks, method.who));
    table(&mut page, "method", rows);
    page += "\n## Routes\n\n";
    let rows = ROUTES.iter().map(|route| (route.route, route.asks, route.who));
    table(&mut page, "route", rows);
    page += ADMINISTRATION_HEAD;
    let columns = ADMINISTRATORS.map(|(name, _)| name).join(" | ");
    writeln!(page, "| function | {columns} |\n| --- |{}", " --- |".repeat(ADMINISTRATORS.len())).unwrap();
    for method in &ADMINISTRATION {
        let cells: Vec<_> = method.who.chars().map(cell).collect();
        writeln!(page, "| `{}` | {} |", method.name, cells.join(" | ")).unwrap();
    }
    page
}

const ADMINISTRATION_HEAD: &str = "
## Administration

Functions of the service `admin-utils` in the workspace `ws-user-root`, by the right for that workspace. The root token has all rights for all
workspaces; whatever right one has for others counts for nothing.

";

fn table<'a>(page: &mut String, what: &str, rows: impl Iterator<Item = (&'a str, &'a str, &'a str)>) {
    let columns = COLUMNS.map(|(name, _)| name).join(" | ");
    writeln!(page, "| {what} | | {columns} |\n| --- | --- |{}", " --- |".repeat(COLUMNS.len())).unwrap();
    for (name, asks, who) in rows {
        let cells: Vec<_> = who.chars().map(cell).collect();
        writeln!(page, "| `{name}` | {asks} | {} |", cells.join(" | ")).unwrap();
    }
}

const fn cell(letter: char) -> &'static str {
    match letter {
        '+' => "\u{2713}",
        '-' => "\u{2717}",
        '?' => "404",
        _ => "\u{00b7}",
    }
}
