//! SQL texts: one for every engine, with fragments where engines differ. Translated once, then remembered.

use crate::domain::Millis;
use parking_lot::RwLock;
use sqlx::{AssertSqlSafe, SqlSafeStr as _, SqlStr};
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

/// A database engine's way to say things.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum Dialect {
    /// SQLite: the writer's lock covers every row, so rows are never locked one by one.
    Sqlite,
    /// PostgreSQL, at READ COMMITTED.
    Postgres,
}

impl Dialect {
    /// The database's clock, in milliseconds, as an expression. Inline and never in a sub-query:
    /// engines evaluate those before they wait for a lock.
    fn now(self, shift: Millis) -> String {
        match self {
            Self::Sqlite => format!("(CAST(ROUND(unixepoch('subsec') * 1000) AS INTEGER) + {shift})"),
            // Not `now()`: that is when the transaction began, a second stale after a wait for a lock.
            Self::Postgres => {
                format!("(CAST(floor(extract(epoch FROM clock_timestamp()) * 1000) AS BIGINT) + {shift})")
            }
        }
    }

    const fn for_update(self) -> &'static str {
        match self {
            Self::Sqlite => "",
            Self::Postgres => "FOR UPDATE",
        }
    }

    const fn for_share(self) -> &'static str {
        match self {
            Self::Sqlite => "",
            Self::Postgres => "FOR SHARE",
        }
    }

    const fn null_safe_equality(self) -> &'static str {
        match self {
            Self::Sqlite => "IS",
            Self::Postgres => "IS NOT DISTINCT FROM",
        }
    }

    /// The history that the server is in (eight hexadecimal digits): another one after each failover.
    const fn timeline(self) -> &'static str {
        match self {
            Self::Sqlite => "'-'",
            Self::Postgres => "substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)",
        }
    }

    /// The column type of a position that the database gives, in the order of inserting, never twice.
    pub(in crate::store) const fn serial(self) -> &'static str {
        match self {
            Self::Sqlite => "INTEGER PRIMARY KEY AUTOINCREMENT",
            Self::Postgres => "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
        }
    }

    /// What keeps a table in the order of its primary key, where that has to be said.
    pub(in crate::store) const fn without_rowid(self) -> &'static str {
        match self {
            Self::Sqlite => "WITHOUT ROWID",
            Self::Postgres => "",
        }
    }

    /// Passes over rows that another transaction has locked, instead of waiting for it.
    const fn skip_locked(self) -> &'static str {
        match self {
            Self::Sqlite => "",
            Self::Postgres => "SKIP LOCKED",
        }
    }

    /// `insert`, and what it gave rows as `n`. SQLite's driver hands rows over one by one, each with a wake-up of
    /// the task that waits for them: two rows tell there what many would.
    fn placed(self, table: &str, insert: &str) -> String {
        match self {
            Self::Sqlite => format!(
                "SELECT COALESCE(MAX(n), 0) FROM {table}; {insert}; SELECT last_insert_rowid(), changes()"
            ),
            Self::Postgres => format!("{insert} RETURNING n"),
        }
    }

    /// Parameter `n` (from 1) of a statement with many rows. SQLite looks `$n` up by name, one by one:
    /// six times the CPU at 512 rows.
    fn parameter(self, n: usize) -> Cow<'static, str> {
        match self {
            Self::Sqlite => "?".into(),
            Self::Postgres => format!("${n}").into(),
        }
    }
}

/// The translated texts of one database.
pub(super) struct Texts {
    dialect: Dialect,
    now: String,
    /// By the original text. Bounded by the number of texts in the program.
    known: RwLock<HashMap<&'static str, SqlStr>>,
    /// Statements with many rows. Bounded because row counts are powers of two.
    many: RwLock<HashMap<Many, SqlStr>>,
}

/// What tells one statement with many rows from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Many {
    /// The table whose positions (`n`) are asked for; `None`: nothing is.
    pub(super) placed_in: Option<&'static str>,
    /// `INSERT INTO t (a, b)`.
    pub(super) prefix: &'static str,
    /// `ON CONFLICT DO NOTHING`, or nothing.
    pub(super) suffix: &'static str,
    /// Columns.
    pub(super) width: usize,
    /// Rows.
    pub(super) rows: usize,
}

impl Texts {
    pub(super) fn new(dialect: Dialect, clock_shift: Millis) -> Self {
        Self { dialect, now: dialect.now(clock_shift), known: RwLock::default(), many: RwLock::default() }
    }

    /// `sql` for this engine.
    pub(super) fn of(&self, sql: &'static str) -> SqlStr {
        if let Some(known) = self.known.read().get(sql) {
            return known.clone();
        }
        let text = if sql.contains('{') { shared(self.translate(sql)) } else { sql.into_sql_str() };
        self.known.write().entry(sql).or_insert(text).clone()
    }

    /// A text made at run time, for this engine.
    pub(super) fn once(&self, sql: &str) -> SqlStr {
        shared(self.translate(sql))
    }

    /// A statement with many rows.
    pub(super) fn many(&self, key: Many) -> SqlStr {
        if let Some(known) = self.many.read().get(&key) {
            return known.clone();
        }
        let mut text = format!("{} VALUES ", key.prefix);
        for row in 0..key.rows {
            text.push_str(if row == 0 { "(" } else { ",(" });
            for column in 0..key.width {
                if column > 0 {
                    text.push(',');
                }
                text.push_str(&self.dialect.parameter(row * key.width + column + 1));
            }
            text.push(')');
        }
        text.push(' ');
        text.push_str(key.suffix);
        if let Some(table) = key.placed_in {
            text = self.dialect.placed(table, &text);
        }
        let text = shared(self.translate(&text));
        self.many.write().entry(key).or_insert(text).clone()
    }

    fn translate(&self, sql: &str) -> String {
        sql.replace("{now}", &self.now)
            .replace("{for_update}", self.dialect.for_update())
            .replace("{for_share}", self.dialect.for_share())
            .replace("{skip_locked}", self.dialect.skip_locked())
            .replace("{timeline}", self.dialect.timeline())
            .replace("{is}", self.dialect.null_safe_equality())
    }
}

fn shared(text: String) -> SqlStr {
    AssertSqlSafe(Arc::<str>::from(text)).into_sql_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fragments_become_sqlite() {
        let texts = Texts::new(Dialect::Sqlite, -5);
        let text = texts.of("SELECT '{}' FROM t WHERE a {is} $1 AND b > {now} {for_update} {for_share}");
        assert_eq!(
            text.as_str(),
            "SELECT '{}' FROM t WHERE a IS $1 AND b > (CAST(ROUND(unixepoch('subsec') * 1000) AS INTEGER) + -5)  "
        );
        assert_eq!(texts.of("SELECT 1").as_str(), "SELECT 1");
    }

    #[test]
    fn fragments_become_postgresql() {
        let texts = Texts::new(Dialect::Postgres, 7);
        let text = texts.of("SELECT '{}' FROM t WHERE a {is} $1 AND b > {now} {for_update} {for_share}");
        assert_eq!(
            text.as_str(),
            "SELECT '{}' FROM t WHERE a IS NOT DISTINCT FROM $1 AND b > \
             (CAST(floor(extract(epoch FROM clock_timestamp()) * 1000) AS BIGINT) + 7) FOR UPDATE FOR SHARE"
        );
    }

    #[test]
    fn rows_are_written_out() {
        let texts = Texts::new(Dialect::Sqlite, 0);
        let key = Many {
            placed_in: None,
            prefix: "INSERT INTO t (a, b)",
            suffix: "ON CONFLICT DO NOTHING",
            width: 2,
            rows: 2,
        };
        assert_eq!(
            texts.many(key).as_str(),
            "INSERT INTO t (a, b) VALUES (?,?),(?,?) ON CONFLICT DO NOTHING"
        );
        assert_eq!(
            Texts::new(Dialect::Postgres, 0).many(key).as_str(),
            "INSERT INTO t (a, b) VALUES ($1,$2),($3,$4) ON CONFLICT DO NOTHING"
        );
    }
}
