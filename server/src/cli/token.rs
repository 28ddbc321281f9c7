//! `polyfn token`: making, reading and revoking tokens, with the secret of a server or through the server itself.

use std::io::Read;

use clap::{Args, Subcommand};
use polyfn_core::net::{Client, ClientOptions};
use polyfn_core::{Map, Value};

use super::token_text::{described, seconds};
use crate::auth::{Permission, Scope, TokenRequest, Tokens, UserInfo};
use crate::config::{Config, Issuer, Secret};
use crate::{clock, names, runtime};

pub(super) const EXAMPLES: &str = "\
The secret of the server is read from POLYFN_JWT_SECRET, HYPHA_JWT_SECRET or JWT_SECRET, its earlier ones from
POLYFN_JWT_SECRET_PREVIOUS, the names in tokens from AUTH0_AUDIENCE, AUTH0_ISSUER and AUTH0_NAMESPACE, the token for
a running server from POLYFN_TOKEN. A token to look at may be `-`: it is then read from stdin.

Examples:
  A token to read a workspace for an hour, made with the server's secret:
    polyfn token create --workspace my-lab --permission read --expires-in 1h
  One for a few functions and a hundred calls, made by a running server:
    polyfn token create --server-url https://functions.example.org --token \"$TOKEN\" \\
      --services 'shop,report-*' --methods 'get_*' --max-uses 100
  What a token says, and whether it is valid:
    polyfn token show \"$TOKEN\"
  End a token, what was made with it, and its connections:
    polyfn token revoke \"$LOST\" --server-url https://functions.example.org --token \"$TOKEN\"";

/// What `polyfn token` does.
#[derive(Debug, Subcommand)]
pub(super) enum TokenCommand {
    /// Make a token and write it to stdout.
    #[command(
        after_help = "Example:\n  polyfn token create --workspace my-lab --permission read --expires-in 1h"
    )]
    Create(CreateFlags),
    /// Tell what a token says, and whether it is valid: code 0 if it is, 1 if not.
    #[command(after_help = "Example:\n  polyfn token show \"$TOKEN\"")]
    Show(ShowFlags),
    /// End a token, the tokens that were made with it, and the connections of both.
    #[command(
        after_help = "Example:\n  polyfn token revoke \"$LOST\" --server-url https://functions.example.org"
    )]
    Revoke(RevokeFlags),
}

/// The server's secret, or the server.
#[derive(Debug, Args)]
pub(super) struct Through {
    /// Key that signs tokens; better given as POLYFN_JWT_SECRET.
    #[arg(long, value_name = "SECRET", conflicts_with = "server_url")]
    jwt_secret: Option<String>,
    /// Ask this server.
    #[arg(long, value_name = "URL")]
    server_url: Option<String>,
    /// Token for that server; better given as POLYFN_TOKEN.
    #[arg(long, value_name = "TOKEN", env = "POLYFN_TOKEN", hide_env = true, hide_env_values = true)]
    token: Option<String>,
}

/// What `polyfn token create` understands.
#[derive(Debug, Args)]
pub(super) struct CreateFlags {
    #[command(flatten)]
    through: Through,
    /// The one workspace that it is good for; through a server, that of the token by default.
    #[arg(long, value_name = "NAME")]
    workspace: Option<String>,
    /// What its bearer may do: read, read_write or admin.
    #[arg(long, default_value = "read_write", value_parser = permission)]
    permission: Permission,
    /// How long it lives: seconds, or 90s, 30m, 1h, 7d.
    #[arg(long, default_value = "1h", value_name = "TIME", value_parser = seconds)]
    expires_in: u64,
    /// The only client that may connect with it.
    #[arg(long, value_name = "NAME")]
    client_id: Option<String>,
    /// Services that it is good for, separated by commas; `*` in a name stands for anything.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    services: Vec<String>,
    /// Methods that it is good for, in the same way.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    methods: Vec<String>,
    /// How many calls may be made with it.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    max_uses: Option<u32>,
    /// The user that it names, with the secret; a new one by default.
    #[arg(long, value_name = "ID", conflicts_with = "server_url")]
    user: Option<String>,
}

/// What `polyfn token show` understands.
#[derive(Debug, Args)]
pub(super) struct ShowFlags {
    /// The token, or `-` for stdin.
    #[arg(value_name = "TOKEN")]
    shown: String,
    #[command(flatten)]
    through: Through,
}

/// What `polyfn token revoke` understands.
#[derive(Debug, Args)]
pub(super) struct RevokeFlags {
    /// The token, or `-` for stdin.
    #[arg(value_name = "TOKEN")]
    revoked: String,
    /// The server that is to revoke it.
    #[arg(long, value_name = "URL")]
    server_url: String,
    /// Token for that server, for administration of the workspace; better given as POLYFN_TOKEN. The token itself
    /// where there is none.
    #[arg(long, value_name = "TOKEN", env = "POLYFN_TOKEN", hide_env = true, hide_env_values = true)]
    token: Option<String>,
}

/// What is to be written to stdout, and whether all is well.
pub(super) struct Told {
    pub(super) text: String,
    pub(super) good: bool,
}

impl TokenCommand {
    /// Does it. `variable` reads the environment.
    ///
    /// # Errors
    /// Says what is missing or refused.
    pub(super) fn run(self, variable: &dyn Fn(&str) -> Option<String>) -> Result<Told, String> {
        match self {
            Self::Create(flags) => {
                flags.create(variable).map(|text| Told { text: format!("{text}\n"), good: true })
            }
            Self::Show(flags) => flags.show(variable),
            Self::Revoke(flags) => flags.revoke(),
        }
    }
}

fn permission(word: &str) -> Result<Permission, String> {
    let letters = || Permission::from_letter(word);
    Permission::from_word(word)
        .or_else(letters)
        .ok_or_else(|| "expected read, read_write or admin".to_owned())
}

fn given(token: &str) -> Result<String, String> {
    if token != "-" {
        return Ok(token.trim().to_owned());
    }
    let mut text = String::new();
    std::io::stdin().take(1 << 20).read_to_string(&mut text).map_err(|error| format!("stdin: {error}"))?;
    Ok(text.trim().to_owned())
}

impl Through {
    /// The keys of the server, if there is a secret.
    fn tokens(&self, variable: &dyn Fn(&str) -> Option<String>) -> Option<Tokens> {
        let find =
            |names: &[&str]| names.iter().find_map(|name| variable(name)).filter(|text| !text.is_empty());
        let secret = ["POLYFN_JWT_SECRET", "HYPHA_JWT_SECRET", "JWT_SECRET"];
        let secret = self.jwt_secret.clone().or_else(|| find(&secret))?;
        let earlier = find(&["POLYFN_JWT_SECRET_PREVIOUS", "HYPHA_JWT_SECRET_PREVIOUS"]).unwrap_or_default();
        let named = |name: &str, default: String| {
            find(&[&format!("POLYFN_{name}"), &format!("HYPHA_{name}"), name]).unwrap_or(default)
        };
        let default = Issuer::default();
        let config = Config {
            earlier_jwt_secrets: earlier.split_whitespace().map(Secret::from).collect(),
            issuer: Issuer {
                audience: named("AUTH0_AUDIENCE", default.audience),
                issuer: named("AUTH0_ISSUER", default.issuer),
                namespace: named("AUTH0_NAMESPACE", default.namespace),
                client_id: default.client_id,
                domain: default.domain,
            },
            ..Config::default()
        };
        Some(Tokens::new(&config, secret.as_bytes()))
    }
}

impl CreateFlags {
    fn create(self, variable: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
        let request = self.request();
        if let Some(url) = self.through.server_url {
            return ask(&url, self.through.token, "generate_token", config(&request)).and_then(|made| {
                let made = made.as_text().ok_or("the server did not answer with a token")?.to_owned();
                check_narrowed(&request, &made).map(|()| made)
            });
        }
        let tokens = self.through.tokens(variable).ok_or(
            "no secret to sign with: set POLYFN_JWT_SECRET to that of the server, or ask a running one with \
             --server-url and --token",
        )?;
        let workspace = self
            .workspace
            .filter(|name| !name.is_empty())
            .ok_or("name the --workspace that it is good for")?;
        let maker = UserInfo::root(&workspace);
        let user = self.user.unwrap_or_else(names::random);
        let made = crate::auth::grant(&maker, &workspace, true, &request, user);
        let made = made.map_err(|error| error.to_string())?;
        let user = UserInfo { parent: None, ..made };
        tokens.issue(&user, request.expires_in, clock::now()).map_err(|error| error.to_string())
    }

    fn request(&self) -> TokenRequest {
        TokenRequest {
            workspace: self.workspace.clone(),
            permission: self.permission,
            expires_in: self.expires_in,
            client_id: self.client_id.clone(),
            services: self.services.clone(),
            methods: self.methods.clone(),
            max_uses: self.max_uses,
            ..TokenRequest::default()
        }
    }
}

/// A server that does not know narrowed tokens ignores what it does not know, and makes one for all.
fn check_narrowed(request: &TokenRequest, made: &str) -> Result<(), String> {
    let scope = described(made).and_then(|claims| claims.get("scope")?.as_str().map(Scope::parse));
    let asked = request.scope("a-workspace").map_err(|error| error.to_string())?;
    if asked.narrow.is_some() && scope.is_none_or(|scope| scope.narrow.is_none()) {
        return Err(
            "this server does not know narrowed tokens: it made one for all services, which is not shown. \
                    Leave --services, --methods and --max-uses out, or make it on a polyfn server"
                .to_owned(),
        );
    }
    Ok(())
}

/// What `generate_token` is given.
fn config(request: &TokenRequest) -> Value {
    let texts = |texts: &[String]| Value::List(texts.iter().map(|text| text.as_str().into()).collect());
    let mut config = Map::from_iter([("permission", Value::from(request.permission.word()))]);
    config.insert("expires_in", i64::try_from(request.expires_in).unwrap_or(i64::MAX));
    let optional = [("workspace", &request.workspace), ("client_id", &request.client_id)];
    for (key, text) in optional {
        text.iter().for_each(|text| _ = config.insert(key, text.as_str()));
    }
    for (key, list) in [("services", &request.services), ("methods", &request.methods)] {
        if !list.is_empty() {
            config.insert(key, texts(list));
        }
    }
    request.max_uses.iter().for_each(|uses| _ = config.insert("max_uses", i64::from(*uses)));
    Value::Map(config)
}

impl ShowFlags {
    fn show(self, variable: &dyn Fn(&str) -> Option<String>) -> Result<Told, String> {
        let token = given(&self.shown)?;
        let claims = described(&token).ok_or("this is no token: expected three parts with dots between")?;
        let verdict = match (&self.through.server_url, self.through.tokens(variable)) {
            (Some(url), _) => {
                let asked = ask(url, self.through.token.clone(), "parse_token", token.as_str().into());
                asked.map(|_| "the server accepts it".to_owned())
            }
            (None, Some(tokens)) => match tokens.verify(&token, clock::now()) {
                Ok(_) => {
                    Ok("signed with this secret, in time (whether it was revoked only the server knows)"
                        .into())
                }
                Err(error) => Err(error.to_string()),
            },
            (None, None) => {
                Ok("not checked: set POLYFN_JWT_SECRET, or ask the server with --server-url".into())
            }
        };
        Ok(super::token_text::tell(&claims, verdict, clock::now()))
    }
}

impl RevokeFlags {
    fn revoke(self) -> Result<Told, String> {
        let token = given(&self.revoked)?;
        let through = self.token.unwrap_or_else(|| token.clone());
        ask(&self.server_url, Some(through), "revoke_token", token.into())?;
        Ok(Told { text: "revoked\n".to_owned(), good: true })
    }
}

/// Calls a method of the manager of a running server.
fn ask(url: &str, token: Option<String>, method: &str, argument: Value) -> Result<Value, String> {
    let options = ClientOptions {
        server_url: url.to_owned(),
        client_id: Some(format!("polyfn-token-{:08x}", fastrand::u32(..))),
        token,
        reconnect: false,
        ..ClientOptions::default()
    };
    let runtime = runtime::new(1).map_err(|error| error.to_string())?;
    runtime.block_on(async {
        let client = Client::connect(options).await.map_err(|error| format!("{url}: {}", error.message()))?;
        let answer = client.manager(method, [argument]).await;
        client.disconnect().await;
        answer.map_err(|error| error.message().to_owned())
    })
}
