//! Syslog: RFC 5424 over TCP (octet counting, RFC 6587), UDP (RFC 5426) or a socket of this machine.
//!
//! Syslog has no answers. Over a stream each message batch has a connection of its own, which we close for
//! writing; that the receiver then ends it without an error shows that it has read to the end. A datagram is
//! delivered when it has been sent.

use super::send::SendError;
use crate::audit::message::{Item, Message};
use crate::config::SyslogAddress;
use serde_json::json;
use std::io;
use std::path::Path;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket, UnixDatagram, UnixStream, lookup_host};

/// Facility 13, log audit.
const FACILITY: u8 = 13;
/// Severities: a refusal is a warning, all else information.
const WARNING: u8 = 4;
const INFORMATION: u8 = 6;
/// Bytes of one datagram that get through: UDP's most is 65,507.
const DATAGRAM: usize = 60_000;
/// Bytes that a receiver may say before it ends a connection; they mean nothing.
const SAID: u64 = 64 * 1024;

/// The way to one receiver.
pub(super) struct Syslog {
    address: SyslogAddress,
    host: String,
    process: u32,
}

impl Syslog {
    pub(super) fn new(address: SyslogAddress) -> Self {
        let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
        Self { address, host: printable(&name, 255), process: std::process::id() }
    }

    /// Sends `message`.
    pub(super) async fn send(&self, message: &Message) -> Result<(), SendError> {
        match &self.address {
            SyslogAddress::Tcp(address) => {
                let stream = TcpStream::connect(address).await?;
                self.through(stream, message).await
            }
            SyslogAddress::Udp(address) => {
                let to = lookup_host(address).await?.next();
                let to =
                    to.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "the name has no address"))?;
                let own = if to.is_ipv6() { "[::]:0" } else { "0.0.0.0:0" };
                let socket = UdpSocket::bind(own).await?;
                socket.connect(to).await?;
                for item in &message.items {
                    socket.send(self.datagram(message, item)?.as_bytes()).await?;
                }
                Ok(())
            }
            SyslogAddress::Unix(path) => self.local(path, message).await,
        }
    }

    /// Most sockets of this kind take datagrams, some take streams.
    async fn local(&self, path: &Path, message: &Message) -> Result<(), SendError> {
        let socket = UnixDatagram::unbound()?;
        match socket.connect(path) {
            Ok(()) => {
                for item in &message.items {
                    socket.send(self.datagram(message, item)?.as_bytes()).await?;
                }
                Ok(())
            }
            Err(error) if error.raw_os_error() == Some(rustix::io::Errno::PROTOTYPE.raw_os_error()) => {
                self.through(UnixStream::connect(path).await?, message).await
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn through(
        &self,
        mut stream: impl AsyncRead + AsyncWrite + Unpin,
        message: &Message,
    ) -> Result<(), SendError> {
        let mut frames = Vec::new();
        for item in &message.items {
            let line = self.line(item, &item.line()?);
            frames.extend_from_slice(format!("{} ", line.len()).as_bytes());
            frames.extend_from_slice(line.as_bytes());
        }
        stream.write_all(&frames).await?;
        stream.shutdown().await?;
        let mut left = stream.take(SAID);
        tokio::io::copy(&mut left, &mut tokio::io::sink()).await?;
        if left.limit() == 0 { Err(SendError::Talkative) } else { Ok(()) }
    }

    /// One that gets through: what is too long is only named.
    fn datagram(&self, message: &Message, item: &Item) -> Result<String, SendError> {
        let line = self.line(item, &item.line()?);
        if line.len() <= DATAGRAM {
            return Ok(line);
        }
        let named = json!({ "log": message.log, "index": item.index, "too_long": line.len() });
        Ok(self.line(item, &named.to_string()))
    }

    /// RFC 5424, §6. JSON in UTF-8 without a byte order mark, which parsers of JSON stumble over.
    fn line(&self, item: &Item, text: &str) -> String {
        let severity = if item.refused { WARNING } else { INFORMATION };
        let priority = u16::from(FACILITY) * 8 + u16::from(severity);
        let (time, event) = (printable(&item.time, 64), printable(&item.event, 32));
        format!("<{priority}>1 {time} {} drawbridge {} {event} - {text}", self.host, self.process)
    }
}

/// As a header of syslog has it: visible ASCII, so long at most; `-` for nothing.
fn printable(text: &str, most: usize) -> String {
    let text: String = text.chars().filter(char::is_ascii_graphic).take(most).collect();
    if text.is_empty() { "-".to_owned() } else { text }
}
