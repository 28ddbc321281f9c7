//! The tables, step by step: a file once released is never changed, a change is a new file.

use sqlx::SqlSafeStr;
use sqlx::migrate::{Migration, MigrationType, Migrator};

/// Number, name and statements. The number of a new one is free to choose above those of its day.
const STEPS: &[(i64, &str, &str)] = &[
    (1, "workspaces", include_str!("../../migrations/0001_workspaces.sql")),
    (10, "revoked", include_str!("../../migrations/0010_revoked.sql")),
    (11, "uses", include_str!("../../migrations/0011_uses.sql")),
    (20, "accounts", include_str!("../../migrations/0020_accounts.sql")),
    (40, "administration", include_str!("../../migrations/0040_administration.sql")),
    (50, "login generations", include_str!("../../migrations/0050_login_generations.sql")),
    (60, "names of workspaces", include_str!("../../migrations/0060_names.sql")),
    (61, "made tokens", include_str!("../../migrations/0061_made_tokens.sql")),
    (62, "disabled accounts", include_str!("../../migrations/0062_disabled_accounts.sql")),
    (63, "makers of made tokens", include_str!("../../migrations/0063_made_for.sql")),
];

pub(super) fn migrator() -> Migrator {
    let step = |(number, name, sql): &(i64, &'static str, &'static str)| {
        Migration::new(*number, (*name).into(), MigrationType::Simple, sql.into_sql_str(), false)
    };
    Migrator::with_migrations(STEPS.iter().map(step).collect())
}

/// Whether this version knows a step.
pub(super) fn is_known(version: i64) -> bool {
    STEPS.iter().any(|(number, _, _)| *number == version)
}
