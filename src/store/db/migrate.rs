//! PostgreSQL's tables brought up to date by their owner, and what the gateways' role may do with them.
//!
//! Two roles: the owner's credentials are on no gateway, and the gateways' role can add to the two logs and read
//! them, no more.

use super::postgres::text;
use super::{Dialect, OpenError, PostgresOptions, StoreError};
use sqlx::postgres::PgConnection;
use sqlx::{ConnectOptions as _, Connection as _};

/// Tables whose rows gateways read, add and change.
pub(super) const ORDINARY: [&str; 19] = [
    "platform_user",
    "org",
    "org_user",
    "org_user_identity",
    "bot",
    "membership",
    "session",
    "api_token",
    "impersonation",
    "signing_key",
    "platform_credential",
    "backup_code",
    "setting",
    "change_head",
    "change_log",
    "gateway",
    "audit_log",
    "audit_delivery",
    "audit_delivery_lease",
];
/// Also taken away: a gateway that left, what has been sequenced, codes that nobody can redeem any more, failures that are long past,
/// orgs that a provider speaks for no longer.
pub(super) const PASSING: [&str; 6] = [
    "gateway_lease",
    "audit_pending",
    "audit_notice",
    "sign_in_failure",
    "authorization_code",
    "provider_org",
];
/// Added to and read, never changed.
pub(super) const LOGS: [&str; 5] =
    ["org_audit", "platform_audit", "audit_leaf", "audit_node", "audit_checkpoint"];
/// Read alone: how long entries are kept is the owner's to say.
pub(super) const OWNERS: &str = "audit_retention";
/// The one way for entries to leave.
pub(super) const EXPIRE: &str = "drawbridge_expire(bigint, bigint)";
/// Read, to see whether the tables are those of this version.
pub(super) const MIGRATIONS: &str = "_sqlx_migrations";

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Migrated {
    /// The newest migration that is in force.
    pub version: i64,
    /// How many were applied now.
    pub applied: usize,
    /// The role that gateways have.
    pub role: String,
}

/// Applies what is missing, as `owner`, and gives `gateways`' role what it needs. One at a time (advisory lock);
/// done again it changes nothing.
///
/// # Errors
/// [`StoreError`]: what is wrong, and what to do.
pub async fn migrate(owner: &PostgresOptions, gateways: &PostgresOptions) -> Result<Migrated, StoreError> {
    let (Some(owner_role), Some(role)) = (owner.role(), gateways.role()) else {
        return Err(
            OpenError::Postgres("`database.url` or `database.owner_url` is not a URL".to_owned()).into()
        );
    };
    if owner_role == role {
        return Err(OpenError::Postgres(format!(
            "`database.url` and `database.owner_url` name the same role `{role}`: gateways need one of their own \
             that doesn't own the tables (CREATE ROLE … LOGIN)"
        ))
        .into());
    }
    let connecting = owner.owner_options()?;
    let connected = tokio::time::timeout(owner.connect_timeout, connecting.connect()).await;
    let connected = connected.unwrap_or_else(|_| Err(StoreError::timed_out("connecting took too long")));
    let mut connection = connected.map_err(StoreError::of_connection).map_err(|e| e.at(owner))?;
    let done = apply(&mut connection, &role).await;
    drop(connection.close().await);
    done
}

async fn apply(connection: &mut PgConnection, role: &str) -> Result<Migrated, StoreError> {
    let quoted: Option<(String,)> =
        sqlx::query_as("SELECT quote_ident(rolname) FROM pg_roles WHERE rolname = $1")
            .bind(role)
            .fetch_optional(&mut *connection)
            .await?;
    let Some((quoted,)) = quoted else {
        return Err(OpenError::Postgres(format!(
            "the role `{role}` of `database.url` isn't there: CREATE ROLE {role} LOGIN PASSWORD '…'"
        ))
        .into());
    };
    let before = applied(connection).await?;
    let migrator = super::super::migrations::migrator(Dialect::Postgres);
    migrator.run_direct(None, connection, false).await.map_err(|source| OpenError::Unmigrated { source })?;
    let after = applied(connection).await?;
    let mut tx = connection.begin().await?;
    // The migrator's own lock is free again, and grants side by side fail (`tuple concurrently updated`).
    sqlx::query("SELECT pg_advisory_xact_lock(hashtext('drawbridge migrate'))").execute(&mut *tx).await?;
    sqlx::raw_sql(text(grants(&quoted))).execute(&mut *tx).await?;
    tx.commit().await?;
    let version = migrator.iter().map(|m| m.version).max().unwrap_or_default();
    Ok(Migrated { version, applied: after.saturating_sub(before), role: role.to_owned() })
}

async fn applied(connection: &mut PgConnection) -> Result<usize, StoreError> {
    let there: (Option<String>,) =
        sqlx::query_as("SELECT to_regclass($1)::text").bind(MIGRATIONS).fetch_one(&mut *connection).await?;
    if there.0.is_none() {
        return Ok(0);
    }
    let (count,): (i64,) = sqlx::query_as(text(format!("SELECT count(*) FROM {MIGRATIONS}")))
        .fetch_one(&mut *connection)
        .await?;
    Ok(usize::try_from(count).unwrap_or_default())
}

/// What `role` may, and nothing else.
fn grants(role: &str) -> String {
    let all: Vec<_> =
        ORDINARY.iter().chain(&LOGS).chain(&PASSING).chain(&[MIGRATIONS, OWNERS]).copied().collect();
    let (all, ordinary, logs) = (all.join(", "), ORDINARY.join(", "), LOGS.join(", "));
    let passing = PASSING.join(", ");
    format!(
        "REVOKE ALL ON {all} FROM PUBLIC; \
         REVOKE ALL ON {all} FROM {role}; \
         GRANT SELECT, INSERT, UPDATE ON {ordinary} TO {role}; \
         GRANT SELECT, INSERT, UPDATE, DELETE ON {passing} TO {role}; \
         GRANT SELECT, INSERT ON {logs} TO {role}; \
         GRANT SELECT ON {MIGRATIONS}, {OWNERS} TO {role}; \
         GRANT EXECUTE ON FUNCTION {EXPIRE} TO {role}; \
         DO $$ BEGIN \
           EXECUTE format('GRANT USAGE ON SCHEMA %I TO {escaped}', current_schema()); \
         END $$;",
        escaped = role.replace('\'', "''").replace('%', "%%"),
    )
}
