//! The processes under measurement, each on its core.

use super::gateway::{self, Gateway};
use super::measure::{OTHER_CORE, PROXY_CORE};
use super::options::Options;
use std::io::{BufRead as _, BufReader};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A process that is killed with its owner.
pub(crate) struct Process(pub(crate) Child);

impl Process {
    /// Its id.
    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

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
        let mut stub = command(me.as_os_str(), OTHER_CORE, pinned)
            .arg("--stub")
            .stdout(Stdio::piped())
            .spawn()
            .expect("the stub starts");
        let stub_address = first_line(&mut stub).parse().expect("the stub's address");
        let address = free_address();
        let stock = command(me.as_os_str(), PROXY_CORE, pinned)
            .arg("--stock")
            .args([SocketAddr::to_string(&stub_address), address.to_string()])
            .spawn()
            .expect("Pingora starts");
        let stock = Process(stock);
        wait_for(address);
        Self {
            stub: (Process(stub), stub_address),
            stock: (stock, address),
            gateway: gateway::start(gateway::BINARY.as_ref(), stub_address, false, pinned),
            logging: gateway::start(gateway::BINARY.as_ref(), stub_address, true, pinned),
            beside: options.beside.as_ref().map(|binary| gateway::start(binary, stub_address, false, pinned)),
        }
    }
}

/// A command that runs on one core, if cores can be chosen.
pub(crate) fn command(program: &std::ffi::OsStr, core: usize, pinned: bool) -> Command {
    if !pinned {
        return Command::new(program);
    }
    let mut command = Command::new("taskset");
    command.args(["-c", &core.to_string()]).arg(program);
    command
}

/// The first line that a process prints.
pub(crate) fn first_line(process: &mut Child) -> String {
    let mut line = String::new();
    BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(!line.is_empty(), "{process:?} ended before it was ready");
    line.trim().to_owned()
}

/// An address that nobody listens on (for a program that can't tell which port it got).
pub(crate) fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// Waits until connections are accepted.
pub(crate) fn wait_for(address: SocketAddr) {
    let begun = Instant::now();
    while TcpStream::connect(address).is_err() {
        assert!(begun.elapsed() < Duration::from_secs(30), "nobody listens on {address}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
