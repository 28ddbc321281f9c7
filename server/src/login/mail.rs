//! Sending codes by e-mail.

use std::fmt;
use std::time::Duration;

use lettre::message::Mailbox;
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use polyfn_core::{Error, ErrorKind, Result};

use crate::config::{ConfigError, LoginConfig};

/// How long a mail server may take.
const PATIENCE: Duration = Duration::from_secs(15);

/// The way to the mail server.
pub(super) struct Mailer {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
}

impl fmt::Debug for Mailer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mailer").field("from", &self.from).finish_non_exhaustive()
    }
}

impl Mailer {
    /// What the settings ask for; `None` when they name no mail server.
    ///
    /// # Errors
    /// For a URL or an address that is none; neither is repeated, as a URL may hold a password.
    pub(super) fn new(config: &LoginConfig) -> Result<Option<Self>, ConfigError> {
        let Some(url) = &config.smtp_url else { return Ok(None) };
        let unusable = |what: &str| ConfigError(what.to_owned());
        let transport = AsyncSmtpTransport::<Tokio1Executor>::from_url(url.expose()).map_err(|_| {
            unusable("--smtp-url is not usable: expected smtps://user:password@host, or smtp://host:port")
        })?;
        let from = config.mail_from.as_deref().ok_or_else(|| {
            unusable("--smtp-url needs --mail-from, such as \"Functions <no-reply@example.org>\"")
        })?;
        let from = from.parse().map_err(|_| unusable("--mail-from is no e-mail address"))?;
        Ok(Some(Self { transport: transport.timeout(Some(PATIENCE)).build(), from }))
    }

    /// Sends a text.
    ///
    /// # Errors
    /// `invalid` for an address that is none, `internal` when the mail server does not take it; the log says why.
    pub(super) async fn send(&self, to: &str, subject: &str, text: String) -> Result<()> {
        let to = to.parse().map_err(|_| Error::invalid("Please give a valid e-mail address"))?;
        let message = Message::builder().from(self.from.clone()).to(Mailbox::new(None, to)).subject(subject);
        let failed = |error: &dyn fmt::Display| {
            tracing::error!(%error, "the mail server did not take a message");
            Error::new(ErrorKind::Internal, "The e-mail could not be sent. Please try again later.")
        };
        let message = message.body(text).map_err(|error| failed(&error))?;
        match tokio::time::timeout(PATIENCE, self.transport.send(message)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(failed(&error)),
            Err(late) => Err(failed(&late)),
        }
    }
}
