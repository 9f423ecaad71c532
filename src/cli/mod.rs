//! The command line: one file a sub-command.

pub mod policy;

/// How a command ended, as its exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// 0: all is well.
    Ok = 0,
    /// 1: something failed.
    Failed = 1,
    /// 2: denied, or different.
    Denied = 2,
    /// 64: wrong usage or configuration.
    Usage = 64,
}
