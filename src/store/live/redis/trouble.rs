//! What can be wrong with Redis, as far as a gateway acts on it or an operator wants to know it.

use crate::store::live::LiveError;
use redis::{ErrorKind, RedisError, ServerErrorKind};
use std::fmt;

/// What is wrong. Says nothing of what the server said: errors of Redis may quote the command's arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    /// No connection stands; one is being sought.
    Disconnected,
    /// No answer in time.
    Timeout,
    /// The connection broke, or none could be made.
    Connection,
    /// User or password are wrong.
    Authentication,
    /// The user may not do this.
    Permission,
    /// A replica, or too few replicas.
    ReadOnly,
    /// The memory limit is reached.
    OutOfMemory,
    /// The server reads its data set from disk.
    Loading,
    /// The server can't write its data set to disk, and so takes no writes.
    Misconfigured,
    /// Part of the cluster is gone, or moves.
    Cluster,
    /// No Sentinel names a primary.
    NoPrimary,
    /// The key holds something else than what we keep there.
    WrongType,
    /// More than is kept.
    TooLarge,
    /// Anything else.
    Other,
}

impl Trouble {
    /// The name in metrics and health.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Disconnected => "disconnected",
            Self::Timeout => "timeout",
            Self::Connection => "connection",
            Self::Authentication => "authentication",
            Self::Permission => "permission",
            Self::ReadOnly => "read_only",
            Self::OutOfMemory => "out_of_memory",
            Self::Loading => "loading",
            Self::Misconfigured => "misconfigured",
            Self::Cluster => "cluster",
            Self::NoPrimary => "no_primary",
            Self::WrongType => "wrong_type",
            Self::TooLarge => "too_large",
            Self::Other => "other",
        }
    }

    /// Whether another connection may do better than this one.
    pub(super) const fn ends_connection(self) -> bool {
        matches!(
            self,
            Self::Timeout | Self::Connection | Self::ReadOnly | Self::Loading | Self::Authentication
        )
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Disconnected => "no connection to Redis",
            Self::Timeout => "no answer in time",
            Self::Connection => "the connection failed",
            Self::Authentication => "user or password are refused",
            Self::Permission => "the user may not do this (ACL)",
            Self::ReadOnly => "the server takes no writes (a replica, or too few replicas)",
            Self::OutOfMemory => "the server is out of memory",
            Self::Loading => "the server is loading its data",
            Self::Misconfigured => "the server can't persist and takes no writes",
            Self::Cluster => "part of the cluster can't be reached",
            Self::NoPrimary => "no Sentinel names a primary",
            Self::WrongType => "a key holds something of another type",
            Self::TooLarge => "the session is too large to be kept",
            Self::Other => "the server refuses the command",
        })
    }
}

impl From<&RedisError> for Trouble {
    fn from(error: &RedisError) -> Self {
        if error.is_timeout() {
            return Self::Timeout;
        }
        // Before Redis 7, what a script ran into stands in the text of an `ERR`.
        let within = |code: &str| error.detail().is_some_and(|detail| detail.contains(code));
        match (error.kind(), error.code()) {
            (ErrorKind::AuthenticationFailed, _) | (_, Some("NOAUTH" | "WRONGPASS")) => Self::Authentication,
            (ErrorKind::Server(ServerErrorKind::ReadOnly), _) | (_, Some("NOREPLICAS")) => Self::ReadOnly,
            (ErrorKind::Server(ServerErrorKind::BusyLoading), _) => Self::Loading,
            (ErrorKind::Server(ServerErrorKind::NoPerm), _) => Self::Permission,
            (ErrorKind::Server(ServerErrorKind::MasterDown), _) => Self::ReadOnly,
            (
                ErrorKind::Server(
                    ServerErrorKind::Moved
                    | ServerErrorKind::Ask
                    | ServerErrorKind::TryAgain
                    | ServerErrorKind::ClusterDown
                    | ServerErrorKind::CrossSlot,
                )
                | ErrorKind::ClusterConnectionNotFound,
                _,
            ) => Self::Cluster,
            (_, Some("OOM")) => Self::OutOfMemory,
            (_, Some("WRONGTYPE")) => Self::WrongType,
            (_, Some("MISCONF")) => Self::Misconfigured,
            (ErrorKind::Io | ErrorKind::Parse, _) => Self::Connection,
            _ if within("-OOM") => Self::OutOfMemory,
            _ if within("-READONLY") => Self::ReadOnly,
            _ => Self::Other,
        }
    }
}

impl From<Trouble> for LiveError {
    fn from(trouble: Trouble) -> Self {
        Self(trouble.to_string())
    }
}
