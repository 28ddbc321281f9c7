//! `polyfn login`: the user logs in with a browser, on this machine or another one, and the terminal gets the token.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::{Value, json};

use crate::web;

pub(super) const EXAMPLES: &str = "\
The token is printed on stdout, all else on stderr, and nothing is kept.

Examples:
  Log in, and use the token in the same shell:
    export POLYFN_TOKEN=\"$(polyfn login --server-url https://functions.example.org)\"
  A token for one workspace, kept in a file that only you can read:
    polyfn login --workspace my-lab --expires-in 2592000 --token-file ~/.polyfn-token";

/// How long a server may take beyond the time that it was told to wait.
const PATIENCE: Duration = Duration::from_secs(30);
/// Seconds of one question whether the user has logged in.
const TURN: u64 = 20;
/// How long a login may take where the server does not say so.
const USUAL: u64 = 180;

/// What `polyfn login` understands.
#[derive(Clone, Debug, Args)]
pub struct LoginCommand {
    /// The server.
    #[arg(
        long,
        value_name = "URL",
        default_value = "http://127.0.0.1:9527",
        env = "POLYFN_SERVER_URL",
        hide_env = true
    )]
    pub server_url: String,
    /// Workspace that the token is to be for; the default is all that you may.
    #[arg(long, value_name = "NAME")]
    pub workspace: Option<String>,
    /// Seconds that the token is to live.
    #[arg(long, value_name = "SECONDS")]
    pub expires_in: Option<u64>,
    /// Write the token into this file, readable for you only, and do not print it.
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
}

impl LoginCommand {
    /// Runs the command.
    ///
    /// # Errors
    /// What went wrong, as it is shown.
    pub(super) async fn run(&self) -> Result<(), String> {
        let base = self.server_url.trim_end_matches('/');
        let service = format!("{base}/public/services/hypha-login");
        let wish = json!({"workspace": self.workspace, "expires_in": self.expires_in});
        let started = answer(ask(&format!("{service}/start"), &wish, PATIENCE).await?)?;
        let text = |name: &str| started[name].as_str();
        let (key, url) = text("key").zip(text("login_url")).ok_or("the server did not begin a login")?;
        // some servers give only the path
        let url = if url.starts_with('/') { format!("{base}{url}") } else { url.to_owned() };
        eprintln!("To log in, open this page in a browser:\n\n  {url}\n");
        if let Some((place, code)) = text("verification_uri").zip(text("user_code")) {
            eprintln!("or open {place} and type the code {code}\n");
        }
        let life = Duration::from_secs(started["expires_in"].as_u64().unwrap_or(USUAL));
        let token = wait(&format!("{service}/check"), key, Instant::now() + life).await?;
        match &self.token_file {
            Some(file) => keep(file, &token).map_err(|error| format!("{}: {error}", file.display())),
            None => writeln!(std::io::stdout().lock(), "{token}").map_err(|error| error.to_string()),
        }
    }
}

/// Asks until the user has logged in.
async fn wait(url: &str, key: &str, until: Instant) -> Result<String, String> {
    loop {
        let question = json!({"key": key, "timeout": TURN});
        let (status, body) = ask(url, &question, PATIENCE + Duration::from_secs(TURN)).await?;
        if let Some(token) = body.as_str().filter(|_| status == 200) {
            return Ok(token.to_owned());
        }
        let late = status == 504 || body["detail"].as_str().is_some_and(|text| text.contains("imeout"));
        if !late && until > Instant::now() {
            answer((status, body))?;
            return Err("the server gave no token".to_owned());
        }
        if until <= Instant::now() {
            return Err("nobody approved this login in time: run the command again".to_owned());
        }
    }
}

fn answer((status, body): (u16, Value)) -> Result<Value, String> {
    if status == 200 {
        return Ok(body);
    }
    let detail = body["detail"].as_str().unwrap_or("it has no login service");
    Err(format!("the server answered with status {status}: {detail}"))
}

async fn ask(url: &str, body: &Value, patience: Duration) -> Result<(u16, Value), String> {
    let request = http::Request::post(url).header(http::header::CONTENT_TYPE, "application/json");
    let request = request.body(body.to_string().into_bytes()).map_err(|_| format!("`{url}` is no URL"))?;
    let answer = web::send(request, patience).await.map_err(|error| error.to_string())?;
    Ok((answer.status().as_u16(), serde_json::from_slice(answer.body()).unwrap_or_default()))
}

fn keep(file: &Path, token: &str) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut opened = options.open(file)?;
    #[cfg(unix)]
    opened.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    writeln!(opened, "{token}")
}
