//! Why a gateway doesn't start.

use crate::identity::{KeyError, SealError};
use crate::policy::LoadReport;
use crate::store::StoreError;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Why a gateway doesn't start. Nothing is served then.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The policy set has faults; each is in the report.
    #[error("the policy set can't be put in force:\n{}", .0.rendered)]
    Policy(LoadReport),
    /// The data folder can't be used.
    #[error("the data folder `{path}` can't be used", path = path.display())]
    Data {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: StoreError,
    },
    /// The records can't be read or written.
    #[error("the records can't be used")]
    Store(#[from] StoreError),
    /// Keys.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The master key is another one than that of the data folder.
    #[error(
        "the master key `{key}` is not the one that the secrets in `{data}` were sealed with; put that one back",
        key = key.display(), data = data.display()
    )]
    OtherMasterKey {
        /// The file.
        key: PathBuf,
        /// The data folder.
        data: PathBuf,
    },
    /// The master key.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// A port can't be bound, a certificate not be read.
    #[error("can't listen on {address}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Sockets that the gateway was started with (`LISTEN_FDS`) can't be used.
    #[error(
        "the sockets of LISTEN_FDS can't be used: {0}; at most two are taken, the public and the admin listener"
    )]
    Inherited(String),
    /// A file can't be read or written.
    #[error("can't use `{path}`", path = path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Certificates for the shared live store can't be used. That it can't be reached is no reason not to start.
    #[error(transparent)]
    Live(#[from] crate::store::LiveError),
    /// The witness.
    #[error("the witness of [audit] can't be used")]
    Witness(#[from] crate::audit::witness::WitnessError),
    /// What an operator's command or the set-up of the demo's people asks for can't be done.
    #[error(transparent)]
    Act(#[from] crate::access::ActError),
    /// The gateway's ports or its certificate.
    #[error(transparent)]
    Gateway(#[from] crate::gateway::ListenError),
    /// A receiver of the logs can't be set up.
    #[error(transparent)]
    Delivery(#[from] crate::audit::delivery::DeliveryError),
    /// The gate can't be built.
    #[error("the gate can't be started: {0}")]
    Gate(String),
    /// A command-line value that can't be used.
    #[error("{0}")]
    Usage(String),
}
