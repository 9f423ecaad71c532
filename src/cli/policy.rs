//! `drawbridge policy`: check and test policies.

use super::{Exit, Printer};

/// Arguments of `policy`.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Runs the sub-command.
#[must_use]
pub fn run(_: Args) -> Exit {
    Printer::std().note("policy isn't there yet");
    Exit::Failed
}
