//! A network namespace for one gateway, with two links: one for its clients and its upstream, one for its
//! services, whose packets can be lost as they are when a cable is pulled. Needs root and `ip`.

use std::net::{IpAddr, Ipv4Addr};
use std::process::Command;
use std::sync::atomic::{AtomicU8, Ordering};

/// Removed when dropped, with its links.
pub(crate) struct Namespace {
    pub(crate) name: String,
    links: [String; 2],
    net: [u8; 3],
}

fn ip(words: &str) -> bool {
    let output = Command::new("ip").args(words.split(' ')).output();
    let done = output.as_ref().is_ok_and(|output| output.status.success());
    if !done {
        eprintln!("ip {words}: {output:?}");
    }
    done
}

impl Namespace {
    /// `None` where that may not be done.
    pub(crate) fn make() -> Option<Self> {
        static MADE: AtomicU8 = AtomicU8::new(0);
        if !rustix::process::geteuid().is_root() {
            return None;
        }
        let (process, n) = (std::process::id(), MADE.fetch_add(1, Ordering::Relaxed));
        let low = process.to_le_bytes();
        let made = Self {
            name: format!("drawbridge-{process}-{n}"),
            links: [format!("dbc{process}-{n}"), format!("dbs{process}-{n}")],
            net: [10, 128 | low[1], low[0]],
        };
        let name = &made.name;
        let mut done = ip(&format!("netns add {name}")) && ip(&format!("-n {name} link set lo up"));
        for (n, link) in made.links.iter().enumerate() {
            let (here, there) = (made.address(n, 1), made.address(n, 2));
            done = done
                && ip(&format!("link add {link} type veth peer name eth{n} netns {name}"))
                && ip(&format!("addr add {here}/30 dev {link}"))
                && ip(&format!("link set {link} up"))
                && ip(&format!("-n {name} addr add {there}/30 dev eth{n}"))
                && ip(&format!("-n {name} link set eth{n} up"));
        }
        done.then_some(made)
    }

    /// Of link `link` (0: clients and upstream, 1: services), the end in this namespace (1) or in that one (2).
    fn address(&self, link: usize, end: u8) -> IpAddr {
        let [a, b, c] = self.net;
        IpAddr::V4(Ipv4Addr::new(a, b, c, if link == 0 { 0 } else { 4 } + end))
    }

    /// Where the gateway's upstream is to be found.
    pub(crate) fn host(&self) -> IpAddr {
        self.address(0, 1)
    }

    /// Where the gateway listens.
    pub(crate) fn guest(&self) -> IpAddr {
        self.address(0, 2)
    }

    /// Where its services are to be found.
    pub(crate) fn services(&self) -> IpAddr {
        self.address(1, 1)
    }

    /// Pulls the cable to its services, or puts it back.
    pub(crate) fn cable(&self, plugged: bool) {
        let state = if plugged { "up" } else { "down" };
        assert!(ip(&format!("link set {} {state}", self.links[1])), "the cable");
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        for link in &self.links {
            ip(&format!("link del {link}"));
        }
        ip(&format!("netns del {}", self.name));
    }
}
