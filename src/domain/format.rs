//! Who reads what the process writes.

/// How output looks: of a command (`--format`), and of the process log (`log.format`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Human,
    /// One JSON object a line, for programs.
    Json,
}
