//! The flags about logging in.

use clap::Args;

use crate::config::LoginConfig;
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
}

impl LoginFlags {
    pub(super) fn config(&self) -> LoginConfig {
        LoginConfig { maximum_login_time: self.maximum_login_time, max_login_keys: self.max_login_keys }
    }
}
