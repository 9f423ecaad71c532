//! The one place that writes to stdout and stderr.

use crate::config::Look;
use std::fmt::Display;
use std::io::{IsTerminal, Write};

/// Data to stdout, the rest to stderr. A reader that went away (`| head`) is no error.
pub struct Printer {
    out: Box<dyn Write>,
    err: Box<dyn Write>,
    look: Look,
}

impl Printer {
    /// The process's own stdout and stderr, with colours on a terminal unless `NO_COLOR` is set.
    #[must_use]
    pub fn std() -> Self {
        let colour =
            std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
        let look = if colour { Look::Terminal } else { Look::Plain };
        Self { out: Box::new(std::io::stdout()), err: Box::new(std::io::stderr()), look }
    }

    /// One line of data.
    pub fn data(&mut self, line: impl Display) {
        drop(writeln!(self.out, "{line}").and_then(|()| self.out.flush()));
    }

    /// Data as it is.
    pub fn raw(&mut self, bytes: &[u8]) {
        drop(self.out.write_all(bytes).and_then(|()| self.out.flush()));
    }

    /// One line for people.
    pub fn note(&mut self, line: impl Display) {
        drop(writeln!(self.err, "{line}"));
    }

    /// How faults are drawn on stderr.
    #[must_use]
    pub const fn look(&self) -> Look {
        self.look
    }
}
