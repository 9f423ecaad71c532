//! Bytes into lines.

use super::{Fault, Report, Verifier};

/// A line is at most this long: requests are bounded, so entries are; a file of another make must not fill the memory.
const MAX: usize = 16 << 20;

/// Cuts the bytes of an export into lines and gives them to a [`Verifier`].
pub struct Lines {
    verifier: Verifier,
    /// A line whose end hasn't come.
    begun: Vec<u8>,
    read: u64,
}

impl Lines {
    /// For a verifier that has seen nothing.
    #[must_use]
    pub const fn new(verifier: Verifier) -> Self {
        Self { verifier, begun: Vec::new(), read: 0 }
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// The first [`Fault`]; nothing is to be fed after it.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        self.read += bytes.len() as u64;
        let mut rest = bytes;
        while let Some(at) = memchr::memchr(b'\n', rest) {
            let (line, after) = rest.split_at(at);
            if self.begun.is_empty() {
                self.verifier.line(line)?;
            } else {
                self.begun.extend_from_slice(line);
                let whole = std::mem::take(&mut self.begun);
                self.verifier.line(&whole)?;
            }
            rest = after.get(1..).unwrap_or_default();
        }
        self.begun.extend_from_slice(rest);
        if self.begun.len() > MAX {
            return Err(Fault::new("the line is longer than any entry is").on(self.verifier.lines() + 1));
        }
        Ok(())
    }

    /// What was fed so far, in bytes.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.read
    }

    /// The verifier, to ask how far it is.
    #[must_use]
    pub const fn verifier(&self) -> &Verifier {
        &self.verifier
    }

    /// The end of the bytes.
    ///
    /// # Errors
    /// The first [`Fault`].
    pub fn finish(self) -> Result<Report, Fault> {
        if !self.begun.is_empty() {
            let what = "the last line has no end: the file was cut off";
            return Err(Fault::new(what).on(self.verifier.lines() + 1));
        }
        self.verifier.finish()
    }
}
