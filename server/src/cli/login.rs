//! The flags about logging in.

use clap::Args;

use crate::config::{LoginConfig, OidcConfig};
use crate::limits::Seconds;

/// How people log in; the defaults are those of [`LoginConfig`].
#[derive(Debug, Args)]
#[command(next_help_heading = "Logging in")]
pub struct LoginFlags {
    /// Seconds a program may wait for its user to log in.
    #[arg(long, default_value_t = Seconds::new(180), value_name = "SECONDS")]
    pub maximum_login_time: Seconds,
    /// Programs that may wait for their users at the same time.
    #[arg(long, default_value_t = 10_000, value_name = "N")]
    pub max_login_keys: usize,
    /// Let people have accounts with e-mail address and password; the first administrator's is printed once.
    #[arg(long)]
    pub enable_local_auth: bool,
    /// Let nobody make an account by themselves.
    #[arg(long)]
    pub disable_sign_up: bool,
    /// Address of the first administrator.
    #[arg(long, default_value = "admin@localhost", value_name = "EMAIL")]
    pub admin_email: String,
    /// Mail server that sends codes at sign-up: smtps://user:password@host; better given as POLYFN_SMTP_URL.
    #[arg(long, value_name = "URL")]
    pub smtp_url: Option<String>,
    /// Whom its e-mails come from, such as "Functions <no-reply@example.org>".
    #[arg(long, value_name = "EMAIL")]
    pub mail_from: Option<String>,
    /// OpenID Connect issuer at which people can log in; several with commas, and then as many of the next ones.
    #[arg(long, value_name = "URL", value_delimiter = ',')]
    pub oidc_issuer: Vec<String>,
    /// Client id of this server at the issuer.
    #[arg(long, value_name = "ID", value_delimiter = ',')]
    pub oidc_client_id: Vec<String>,
    /// Client secret, if the client has one; better given as POLYFN_OIDC_CLIENT_SECRET.
    #[arg(long, value_name = "SECRET", value_delimiter = ',')]
    pub oidc_client_secret: Vec<String>,
    /// Audience of the issuer's access tokens that are accepted here, too; none are without it.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub oidc_audience: Vec<String>,
    /// Seconds that an auth service of your own is waited for before a login or a request is told to come back later.
    #[arg(long, default_value_t = Seconds::new(5), value_name = "SECONDS")]
    pub auth_service_timeout: Seconds,
    /// Seconds for which what it has said of a token counts.
    #[arg(long, default_value_t = Seconds::new(10), value_name = "SECONDS")]
    pub auth_service_cache: Seconds,
}

impl LoginFlags {
    pub(super) fn config(&self) -> LoginConfig {
        LoginConfig {
            maximum_login_time: self.maximum_login_time,
            max_login_keys: self.max_login_keys,
            enable_local_auth: self.enable_local_auth,
            disable_sign_up: self.disable_sign_up,
            admin_email: self.admin_email.clone(),
            smtp_url: self.smtp_url.clone().map(Into::into),
            mail_from: self.mail_from.clone(),
            oidc: self.oidc(),
            auth_service_timeout: self.auth_service_timeout,
            auth_service_cache: self.auth_service_cache,
        }
    }

    fn oidc(&self) -> Vec<OidcConfig> {
        let given = |list: &[String], at: usize| list.get(at).filter(|text| !text.is_empty()).cloned();
        let issuers = self.oidc_issuer.iter().filter(|issuer| !issuer.is_empty()).enumerate();
        let issuer = |(at, issuer): (usize, &String)| OidcConfig {
            issuer: issuer.clone(),
            client_id: given(&self.oidc_client_id, at).unwrap_or_default(),
            client_secret: given(&self.oidc_client_secret, at).map(Into::into),
            audience: given(&self.oidc_audience, at),
            is_auth0: false,
        };
        issuers.map(issuer).collect()
    }
}
