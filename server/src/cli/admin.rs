//! `polyfn admin`: what the root user does with a running server, by its service `admin-utils`.

use clap::{Args, Subcommand};
use polyfn_core::net::{Client, ClientOptions};
use polyfn_core::{Error, Result, Value};
use serde_json::Value as Json;

use crate::admin;
use crate::runtime;

pub(super) const EXAMPLES: &str = "\
The token is that of the root user, or one that it made for ws-user-root with the right admin. It is read from
POLYFN_ROOT_TOKEN (or HYPHA_ROOT_TOKEN), the server's URL from POLYFN_SERVER_URL.

Examples:
  polyfn admin clients
  polyfn admin kick lab-one/noisy --reason \"too loud\"
  polyfn admin block user mallory --seconds 86400 --reason abuse
  polyfn admin role ada@example.org admin
  polyfn admin audit --limit 20";

/// What `polyfn admin` understands.
#[derive(Debug, Args)]
pub struct AdminFlags {
    /// URL of the server.
    #[arg(long, value_name = "URL", global = true)]
    pub server_url: Option<String>,
    /// Token of the root user; better given as POLYFN_ROOT_TOKEN.
    #[arg(long, value_name = "TOKEN", global = true)]
    pub token: Option<String>,
    /// Answer in JSON.
    #[arg(long, global = true)]
    pub json: bool,
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// List the workspaces.
    #[command(after_help = "Example:\n  polyfn admin workspaces")]
    Workspaces,
    /// List the clients.
    #[command(after_help = "Example:\n  polyfn admin clients lab-one")]
    Clients {
        /// Of this workspace only.
        workspace: Option<String>,
    },
    /// Close the connection of a client.
    #[command(after_help = "Example:\n  polyfn admin kick lab-one/noisy --reason \"too loud\"")]
    Kick {
        /// `workspace/client`.
        client: String,
        /// What it is told.
        #[arg(long)]
        reason: Option<String>,
    },
    /// Close all connections of a workspace.
    #[command(after_help = "Example:\n  polyfn admin unload lab-one")]
    Unload {
        /// The workspace.
        workspace: String,
    },
    /// Keep somebody out, and close their connections.
    #[command(after_help = "Example:\n  polyfn admin block address 192.0.2.7 --seconds 86400 --reason abuse")]
    Block {
        /// What it is.
        #[arg(value_parser = ["user", "address", "workspace"])]
        kind: String,
        /// Its id, address or name.
        name: String,
        /// For how long; 0 for ever.
        #[arg(long, default_value_t = 3600)]
        seconds: u64,
        /// What they are told.
        #[arg(long)]
        reason: Option<String>,
    },
    /// Let somebody in again.
    #[command(after_help = "Example:\n  polyfn admin unblock address 192.0.2.7")]
    Unblock {
        /// What it is.
        #[arg(value_parser = ["user", "address", "workspace"])]
        kind: String,
        /// Its id, address or name.
        name: String,
    },
    /// List who is kept out.
    #[command(after_help = "Example:\n  polyfn admin blocked --json")]
    Blocked,
    /// Show the measurements of the server.
    #[command(after_help = "Example:\n  polyfn admin metrics --json")]
    Metrics,
    /// Show who has changed what rights, the newest first.
    #[command(after_help = "Example:\n  polyfn admin audit --limit 20")]
    Audit {
        /// So many entries.
        #[arg(long, default_value_t = 100)]
        limit: u64,
    },
    /// List the local accounts, by their addresses.
    #[command(after_help = "Example:\n  polyfn admin accounts --limit 20")]
    Accounts {
        /// So many accounts, 1000 at most.
        #[arg(long, default_value_t = 100)]
        limit: u64,
        /// Without so many at the beginning.
        #[arg(long, default_value_t = 0)]
        offset: u64,
    },
    /// Make an account one of an administrator, or take that back; its logins and connections end.
    #[command(after_help = "Example:\n  polyfn admin role ada@example.org admin")]
    Role {
        /// Its address or its id.
        account: String,
        /// What it is to be.
        #[arg(value_parser = ["admin", "user"])]
        role: String,
    },
    /// Let nobody log in with an account any longer; its logins and connections end.
    #[command(after_help = "Example:\n  polyfn admin disable ada@example.org")]
    Disable {
        /// Its address or its id.
        account: String,
    },
    /// Let an account that was disabled log in again.
    #[command(after_help = "Example:\n  polyfn admin enable ada@example.org")]
    Enable {
        /// Its address or its id.
        account: String,
    },
    /// Give an account a random password, and print it; its logins and connections end.
    #[command(after_help = "Example:\n  polyfn admin reset-password ada@example.org")]
    ResetPassword {
        /// Its address or its id.
        account: String,
    },
}

impl Task {
    /// The function that does it, and its arguments.
    fn call(&self) -> Result<(&'static str, Vec<Value>)> {
        let optional = |text: &Option<String>| text.clone().map_or(Value::Nil, Value::from);
        Ok(match self {
            Self::Workspaces => ("list_workspaces", vec![]),
            Self::Clients { workspace } => ("list_clients", vec![optional(workspace)]),
            Self::Kick { client, reason } => {
                let (workspace, client) = client
                    .split_once('/')
                    .ok_or_else(|| Error::invalid("the client is written `workspace/client`"))?;
                ("kickout_client", vec![workspace.into(), client.into(), Value::Nil, optional(reason)])
            }
            Self::Unload { workspace } => ("unload_workspace", vec![workspace.as_str().into()]),
            Self::Block { kind, name, seconds, reason } => (
                "block",
                vec![kind.as_str().into(), name.as_str().into(), (*seconds).into(), optional(reason)],
            ),
            Self::Unblock { kind, name } => ("unblock", vec![kind.as_str().into(), name.as_str().into()]),
            Self::Blocked => ("list_blocked", vec![]),
            Self::Metrics => ("get_metrics", vec![]),
            Self::Audit { limit } => ("audit_log", vec![(*limit).into()]),
            Self::Accounts { limit, offset } => ("list_accounts", vec![(*limit).into(), (*offset).into()]),
            Self::Role { account, role } => ("set_role", vec![account.as_str().into(), role.as_str().into()]),
            Self::Disable { account } => ("disable_account", vec![account.as_str().into()]),
            Self::Enable { account } => ("enable_account", vec![account.as_str().into()]),
            Self::ResetPassword { account } => ("reset_password", vec![account.as_str().into()]),
        })
    }
}

/// Does it; the exit code says whether it worked.
pub(super) fn run(flags: &AdminFlags, variable: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    let set = |names: &[&str]| names.iter().find_map(|name| variable(name).filter(|value| !value.is_empty()));
    let url = flags.server_url.clone().or_else(|| set(&["POLYFN_SERVER_URL", "HYPHA_SERVER_URL"]));
    let token = flags.token.clone().or_else(|| set(&["POLYFN_ROOT_TOKEN", "HYPHA_ROOT_TOKEN"]));
    let token = token.ok_or("no token: set POLYFN_ROOT_TOKEN to that of the root user")?;
    let url = url.unwrap_or_else(|| "http://127.0.0.1:9527".to_owned());
    let runtime = runtime::new(1).map_err(|error| format!("cannot start the runtime: {error}"))?;
    let answer =
        runtime.block_on(ask(&url, token, &flags.task)).map_err(|error| error.message().to_owned())?;
    let answer = answer.to_json().map_err(|error| error.message().to_owned())?;
    Ok(if flags.json { format!("{answer:#}") } else { shown(&answer) })
}

async fn ask(url: &str, token: String, task: &Task) -> Result<Value> {
    let (function, arguments) = task.call()?;
    let options = ClientOptions {
        server_url: url.to_owned(),
        workspace: Some(admin::WORKSPACE.to_owned()),
        token: Some(token),
        ..ClientOptions::default()
    };
    let client = Client::connect(options).await?;
    let service = client.get_service(&format!("{}/{}", admin::WORKSPACE, admin::SERVICE)).await;
    let answer = match service {
        Ok(service) => service.call(function, arguments).await,
        Err(error) => Err(error),
    };
    client.disconnect().await;
    answer
}

/// For people: a table of a list of objects, lines of an object.
fn shown(answer: &Json) -> String {
    match answer {
        Json::Null => "done".to_owned(),
        Json::Array(rows) if rows.is_empty() => "none".to_owned(),
        Json::Array(rows) => table(rows),
        Json::Object(fields) => {
            fields.iter().map(|(key, value)| format!("{key} {}", cell(value))).collect::<Vec<_>>().join("\n")
        }
        plain => cell(plain),
    }
}

fn table(rows: &[Json]) -> String {
    let heads: Vec<&String> = rows[0].as_object().into_iter().flat_map(|row| row.keys()).collect();
    let mut lines = vec![heads.iter().map(|head| (*head).clone()).collect::<Vec<_>>()];
    lines.extend(rows.iter().map(|row| heads.iter().map(|head| cell(&row[head.as_str()])).collect()));
    let widths: Vec<usize> = (0..heads.len())
        .map(|at| lines.iter().map(|line| line[at].chars().count()).max().unwrap_or_default())
        .collect();
    let line = |cells: &Vec<String>| {
        let padded = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    lines.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// What clients say of themselves must not steer a terminal.
fn cell(value: &Json) -> String {
    let text = match value {
        Json::Null => "-".to_owned(),
        Json::String(text) => text.clone(),
        Json::Object(fields) => fields.values().find(|value| !value.is_null()).map_or_else(String::new, cell),
        Json::Array(items) => items.iter().map(cell).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    };
    text.replace(char::is_control, " ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn lists_are_tables() {
        let rows = json!([{"id": "lab/a", "calls": 0}, {"id": "lab/longer", "calls": 12}]);
        assert_eq!(shown(&rows), "id          calls\nlab/a       0\nlab/longer  12");
        assert_eq!(shown(&json!([])), "none");
        assert_eq!(shown(&json!([{"id": "a\u{1b}[31m"}])), "id\na [31m");
    }
}
