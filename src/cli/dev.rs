//! `drawbridge dev`: everything embedded, with demo data, ready in a second.

use super::{Exit, FormatArg, Printer, run_on_runtime};
use crate::app::{DevOptions, dev};
use crate::config::Origin;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Arguments of `dev`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where the gateway listens; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,
    /// Where health and metrics listen
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    pub admin_listen: SocketAddr,
    /// A service of yours to stand in front of, instead of the demo API
    #[arg(long, value_name = "URL")]
    pub upstream: Option<Origin>,
    /// Its routes, as a Cedar schema; without it every route is declared
    #[arg(long, value_name = "FILE", requires = "upstream")]
    pub schema: Option<PathBuf>,
    /// The data folder: a second run on the same folder goes on where the first was
    #[arg(long, value_name = "DIR", default_value = "data")]
    pub data: PathBuf,
    /// What is printed when ready: commands to paste, or one line of JSON
    #[arg(long, value_enum, default_value = "human")]
    pub format: FormatArg,
    /// Speak TLS and HTTP/2, with a certificate made for this machine
    #[arg(long)]
    pub tls: bool,
}

/// Runs until told to stop.
#[must_use]
pub fn run(args: Args) -> Exit {
    let format = args.format;
    crate::telemetry::process_log::init(tracing::Level::INFO, format.into());
    let options = DevOptions {
        listen: args.listen,
        admin_listen: args.admin_listen,
        upstream: args.upstream,
        schema: args.schema,
        data: args.data,
        tls: args.tls,
        format: format.into(),
    };
    run_on_runtime(dev(options, move |ready| {
        let mut printer = Printer::std();
        match format {
            FormatArg::Human => printer.data(ready.human()),
            FormatArg::Json => printer.data(ready.json()),
        }
    }))
}
