//! The processes under measurement, each on its core.

use super::options::Options;
use super::support::gateway::{self, Gateway, Setup};
use super::support::measure::PROXY_CORE;
use super::support::process::{Process, command, free_address, start_stub, wait_for};
use std::net::SocketAddr;

/// Everything that requests are sent to.
pub(crate) struct Proxies {
    /// The upstream.
    pub(crate) stub: (Process, SocketAddr),
    /// Stock plain Pingora.
    pub(crate) stock: (Process, SocketAddr),
    /// The gateway without an access log.
    pub(crate) gateway: Gateway,
    /// The gateway with one.
    pub(crate) logging: Gateway,
    /// Another build of it.
    pub(crate) beside: Option<Gateway>,
}

impl Proxies {
    /// Starts them and waits until all of them answer.
    pub(crate) fn start(options: &Options, pinned: bool) -> Self {
        let me = std::env::current_exe().unwrap();
        let (stub, stub_address) = start_stub(pinned);
        let address = free_address();
        let stock = command(me.as_os_str(), PROXY_CORE, pinned)
            .arg("--stock")
            .args([SocketAddr::to_string(&stub_address), address.to_string()])
            .spawn()
            .expect("Pingora starts");
        let stock = Process(stock);
        wait_for(address);
        let setup = Setup::pinned_to_one_worker(stub_address, pinned);
        Self {
            stub: (stub, stub_address),
            stock: (stock, address),
            gateway: gateway::start(&setup),
            logging: gateway::start(&Setup { access_log: true, ..setup }),
            beside: options.beside.as_ref().map(|binary| gateway::start(&Setup { binary, ..setup })),
        }
    }
}
