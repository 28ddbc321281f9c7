//! The flags of `polyfn serve`.

use std::path::PathBuf;

use clap::Args;

use super::inert::Inert;
use super::log::LogFlags;
use super::login::LoginFlags;
use crate::config::{Config, Issuer, Secret};
use crate::limits::{Limits, Seconds};
use crate::store::Place;

pub(super) const EXAMPLES: &str = "\
Environment:
  Every flag is also read from POLYFN_<FLAG>, then HYPHA_<FLAG>: --base-path is POLYFN_BASE_PATH.
  The command line wins. Lists are split at white space; true, 1, yes, y and on are true.

Examples:
  Serve on this machine:
    polyfn serve
  Serve the network, behind a proxy that ends TLS:
    polyfn serve --host 0.0.0.0 --port 9527 --public-base-url https://functions.example.org
  Keep nothing on the disk:
    polyfn serve --database-uri sqlite::memory:
  Keep tokens and the server's name over restarts:
    POLYFN_JWT_SECRET=\"$(cat secret.txt)\" polyfn serve
  Logs for machines:
    polyfn serve --log-format json --access-log";

/// What `polyfn serve` understands.
#[derive(Debug, Args)]
pub struct ServeFlags {
    /// Address to listen at; 0.0.0.0 for all.
    #[arg(long, default_value = "127.0.0.1")]
    pub host: String,
    /// Port to listen at; 0 for any free one.
    #[arg(long, default_value_t = 9527)]
    pub port: u16,
    /// Prefix of every route.
    #[arg(long, default_value = "/", value_name = "PATH")]
    pub base_path: String,
    /// URL of this server in links, base path included.
    #[arg(long, value_name = "URL")]
    pub public_base_url: Option<String>,
    /// Web origins that may read answers, separated by commas.
    #[arg(long, default_value = "*", value_name = "ORIGINS")]
    pub allow_origins: String,
    /// Name of this server; made from the token secret if there is one, else random.
    #[arg(long, value_name = "ID")]
    pub server_id: Option<String>,
    /// Key that signs tokens; better given as POLYFN_JWT_SECRET or JWT_SECRET.
    #[arg(long, value_name = "SECRET")]
    pub jwt_secret: Option<String>,
    /// Keys that signed tokens before and are still accepted, separated by white space; better given as
    /// POLYFN_JWT_SECRET_PREVIOUS.
    #[arg(long, value_name = "SECRETS")]
    pub jwt_secret_previous: Option<String>,
    /// Token of the root user, 32 characters at least; better given as POLYFN_ROOT_TOKEN.
    #[arg(long, value_name = "TOKEN")]
    pub root_token: Option<String>,
    /// Folder of what outlives the process; made when it is not there.
    #[arg(long, default_value = "polyfn-data", value_name = "FOLDER")]
    pub data_dir: PathBuf,
    /// Database: sqlite:///path/to/file.db, sqlite::memory: or postgresql://user:password@host/database; a file in the
    /// data folder by default.
    #[arg(long, value_name = "URI")]
    pub database_uri: Option<Place>,
    /// Key that seals secrets of users in the database, made from the token secret by default; better given as
    /// POLYFN_SEAL_KEY.
    #[arg(long, value_name = "SECRET")]
    pub seal_key: Option<String>,
    /// Seconds a reconnection token lives.
    #[arg(long, default_value_t = Seconds::new(172_800), value_name = "SECONDS")]
    pub reconnection_token_life_time: Seconds,
    /// Seconds a stopping server waits for what still runs.
    #[arg(long, default_value_t = Seconds::new(10), value_name = "SECONDS")]
    pub shutdown_timeout: Seconds,
    /// Threads that serve; 0 for one per two processors.
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub workers: usize,
    /// Refuse requests at `/rpc` that show neither a token nor the secret of their stream, even of strangers.
    #[arg(long)]
    pub require_stream_proof: bool,
    /// Show remote tracebacks to strangers.
    #[arg(long)]
    pub expose_detailed_errors: bool,
    /// Accepted for old scripts: the environment is always read.
    #[arg(long, hide = true)]
    pub from_env: bool,
    /// Logging.
    #[command(flatten)]
    pub log: LogFlags,
    /// Names in tokens.
    #[command(flatten)]
    pub issuer: IssuerFlags,
    /// Logging in.
    #[command(flatten)]
    pub login: LoginFlags,
    /// Limits.
    #[command(flatten)]
    pub limits: Limits,
    /// Flags without effect.
    #[command(flatten)]
    pub inert: Inert,
}

/// The names in tokens; the defaults are those of [`Issuer`].
#[derive(Debug, Args)]
#[command(next_help_heading = "Names in tokens")]
pub struct IssuerFlags {
    /// Audience of tokens.
    #[arg(long, default_value_t = Issuer::default().audience, value_name = "NAME")]
    pub auth0_audience: String,
    /// Issuer of tokens.
    #[arg(long, default_value_t = Issuer::default().issuer, value_name = "NAME")]
    pub auth0_issuer: String,
    /// Prefix of the claims for roles, email and parent.
    #[arg(long, default_value_t = Issuer::default().namespace, value_name = "NAME")]
    pub auth0_namespace: String,
    /// Client id at the login provider.
    #[arg(long, default_value_t = Issuer::default().client_id, value_name = "ID")]
    pub auth0_client_id: String,
    /// Domain of the login provider.
    #[arg(long, default_value_t = Issuer::default().domain, value_name = "DOMAIN")]
    pub auth0_domain: String,
}

impl ServeFlags {
    /// The database asked for, else the file in the data folder.
    fn database(&self) -> Place {
        let file = || Place::File(self.data_dir.join("polyfn.db"));
        self.database_uri.clone().unwrap_or_else(file)
    }

    fn earlier_jwt_secrets(&self) -> Vec<Secret> {
        let secrets = self.jwt_secret_previous.iter().flat_map(|list| list.split_whitespace());
        secrets.map(Secret::from).collect()
    }

    /// The settings these flags stand for, unchecked.
    #[must_use]
    pub fn config(&self) -> Config {
        let origins = self.allow_origins.split(',').map(str::trim).filter(|origin| !origin.is_empty());
        Config {
            host: self.host.clone(),
            port: self.port,
            base_path: self.base_path.clone(),
            public_base_url: self.public_base_url.clone(),
            allow_origins: origins.map(str::to_owned).collect(),
            server_id: self.server_id.clone(),
            jwt_secret: self.jwt_secret.clone().map(Into::into),
            earlier_jwt_secrets: self.earlier_jwt_secrets(),
            root_token: self.root_token.clone().map(Into::into),
            database: self.database(),
            seal_key: self.seal_key.clone().map(Into::into),
            issuer: self.issuer.issuer(),
            login: self.login.config(),
            reconnection_token_life_time: self.reconnection_token_life_time,
            shutdown_timeout: self.shutdown_timeout,
            access_log: self.log.access_log,
            require_stream_proof: self.require_stream_proof,
            expose_detailed_errors: self.expose_detailed_errors,
            limits: self.limits.clone(),
        }
    }
}

impl IssuerFlags {
    fn issuer(&self) -> Issuer {
        Issuer {
            audience: self.auth0_audience.clone(),
            issuer: self.auth0_issuer.clone(),
            namespace: self.auth0_namespace.clone(),
            client_id: self.auth0_client_id.clone(),
            domain: self.auth0_domain.clone(),
        }
    }
}
