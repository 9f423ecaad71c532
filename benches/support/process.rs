//! Processes under measurement, each on its core if cores can be chosen.

use super::measure::OTHER_CORE;
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

/// The upstream (`stub`), which this program is too, and its address.
pub(crate) fn start_stub(pinned: bool) -> (Process, SocketAddr) {
    let me = std::env::current_exe().unwrap();
    let mut stub = command(me.as_os_str(), OTHER_CORE, pinned)
        .arg("--stub")
        .stdout(Stdio::piped())
        .spawn()
        .expect("the stub starts");
    let address = first_line(&mut stub).parse().expect("the stub's address");
    (Process(stub), address)
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
