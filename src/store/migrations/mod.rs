//! The tables. One text for every engine, but for triggers. A text that was released never changes: add another.

use super::db::Dialect;
use sqlx::migrate::{AppliedMigration, Migrate, MigrateError, Migration, MigrationType, Migrator};
use sqlx::{AssertSqlSafe, SqlSafeStr as _};

/// All migrations for `dialect`, in order.
pub(super) fn migrator(dialect: Dialect) -> Migrator {
    let (logs, trees, retention) = match dialect {
        Dialect::Sqlite => (
            include_str!("0002_append_only.sqlite.sql"),
            include_str!("0005_append_only_trees.sqlite.sql"),
            include_str!("0007_retention.sqlite.sql"),
        ),
        Dialect::Postgres => (
            include_str!("0002_append_only.postgres.sql"),
            include_str!("0005_append_only_trees.postgres.sql"),
            include_str!("0007_retention.postgres.sql"),
        ),
    };
    let tables = |text: &str| {
        text.replace("{serial}", dialect.serial()).replace("{without_rowid}", dialect.without_rowid())
    };
    Migrator::with_migrations(vec![
        migration(1, "tables", &tables(include_str!("0001_tables.sql"))),
        migration(2, "append-only logs", logs),
        migration(3, "gateway leases", include_str!("0003_gateway_leases.sql")),
        migration(4, "trees", &tables(include_str!("0004_trees.sql"))),
        migration(5, "append-only trees", trees),
        migration(6, "delivery", &tables(include_str!("0006_delivery.sql"))),
        migration(7, "retention", &tables(retention)),
        migration(8, "audit indexes", include_str!("0008_audit_indexes.sql")),
        migration(9, "accounts", include_str!("0009_accounts.sql")),
        migration(10, "signing keys", include_str!("0010_signing_keys.sql")),
        migration(11, "pending leaves", include_str!("0011_pending_leaves.sql")),
        migration(12, "providers", include_str!("0012_providers.sql")),
    ])
}

fn migration(version: i64, description: &'static str, text: &str) -> Migration {
    let sql = AssertSqlSafe(text).into_sql_str();
    Migration::new(version, description.into(), MigrationType::Simple, sql, false)
}

/// Whether exactly these migrations have been applied, without applying any.
pub(super) async fn verify(migrator: &Migrator, connection: &mut impl Migrate) -> Result<(), MigrateError> {
    let applied = connection.list_applied_migrations("_sqlx_migrations").await?;
    let same = |m: &Migration, a: &AppliedMigration| m.version == a.version && m.checksum == a.checksum;
    for migration in migrator.iter() {
        if !applied.iter().any(|a| same(migration, a)) {
            return Err(MigrateError::VersionMismatch(migration.version));
        }
    }
    match applied.iter().find(|a| !migrator.version_exists(a.version)) {
        Some(unknown) => Err(MigrateError::VersionMissing(unknown.version)),
        None => Ok(()),
    }
}
