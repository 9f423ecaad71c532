//! `drawbridge audit witness`: a witness for the logs of somebody else's installation, in a process of its own.

use super::{Exit, FormatArg, Printer, run_on_runtime};
use crate::app::StartError;
use crate::audit::tree::VerifierKey;
use crate::audit::witness::{Notary, Trust, server};
use crate::domain::SystemClock;
use crate::telemetry::process_log;
use serde_json::json;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

/// Arguments of `audit witness`.
#[derive(Debug, clap::Args)]
#[command(
    after_long_help = "A witness cosigns a log's checkpoints as long as each continues the one before, and refuses
when the log was cut back, changed or forked. Run it where whoever runs the log can't reach it, keep the file of
--state and FILE.key together, and never put an earlier copy of FILE back: it would cosign what it has refused."
)]
pub struct Args {
    /// Where it listens; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// What it remembers; its key is FILE.key. Both are made on first use
    #[arg(long, value_name = "FILE")]
    state: PathBuf,
    /// The verifier key of one of the logs (`GET …/audit-log/keys` tells it): all logs of that
    /// installation are watched
    #[arg(long, value_name = "VKEY")]
    trust: String,
    /// Who reads the output
    #[arg(long, value_enum, default_value = "human")]
    format: FormatArg,
}

/// Serves until it is told to stop (SIGINT, SIGTERM).
pub fn run(args: &Args, out: &mut Printer) -> Exit {
    process_log::init(tracing::Level::INFO, args.format.into());
    let trust = match VerifierKey::parse(&args.trust).and_then(|key| Trust::of(&key)) {
        Ok(trust) => trust,
        Err(error) => {
            out.note(format!("error: --trust: {error}"));
            return Exit::Usage;
        }
    };
    run_on_runtime(async {
        let notary = Notary::open(&args.state, trust, Arc::new(SystemClock))
            .map_err(|source| StartError::File { path: args.state.clone(), source })?;
        let failed = |source| StartError::Listen { address: args.listen, source };
        let listener = TcpListener::bind(args.listen).await.map_err(failed)?;
        let url = format!("http://{}", listener.local_addr().map_err(failed)?);
        let (mut interrupt, mut terminate) = (
            signal(SignalKind::interrupt()).map_err(failed)?,
            signal(SignalKind::terminate()).map_err(failed)?,
        );
        match args.format {
            FormatArg::Human => {
                out.data(format!("witness   {url}\nkey       {}", notary.verifier()));
                out.note("put both into [audit] of the gateway: witness_url, witness_key");
            }
            FormatArg::Json => out.data(json!({ "url": url, "key": notary.verifier().to_string() })),
        }
        let stopped = async move {
            tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
        };
        axum::serve(listener, server::router(notary)).with_graceful_shutdown(stopped).await.map_err(failed)
    })
}
