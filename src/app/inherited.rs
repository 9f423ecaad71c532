//! Sockets that listen already when the gateway starts (sd_listen_fds(3)): whoever holds them keeps the port open
//! while one gateway ends and the next one starts, and no connection is refused in between.

use super::error::StartError;
use listenfd::ListenFd;
use std::net::TcpListener;

/// Whose sockets a gateway listens on.
#[derive(Debug)]
pub enum Sockets {
    /// Its own; a port in use is an error.
    Own,
    /// Its own, on a port that somebody holds for it without listening.
    OnHeldPort,
    /// Those that it was started with.
    Inherited {
        /// For requests.
        gateway: TcpListener,
        /// For operators; bound by the gateway if it isn't given.
        admin: Option<TcpListener>,
    },
}

impl Sockets {
    /// What `LISTEN_FDS` says: the first is the public listener, the second, if there is one, the admin listener.
    ///
    /// # Errors
    /// [`StartError::Inherited`]: something was given that can't be used. It isn't passed over, for then two gateways
    /// might listen where one was meant.
    pub fn from_environment() -> Result<Self, StartError> {
        let mut given = ListenFd::from_env();
        if given.len() > 2 {
            return Err(StartError::Inherited("more than two sockets".to_owned()));
        }
        let mut take = |n: usize| -> Result<Option<TcpListener>, StartError> {
            let taken = given.take_tcp_listener(n).map_err(|e| StartError::Inherited(e.to_string()))?;
            match &taken {
                Some(socket) if !rustix::net::sockopt::socket_acceptconn(socket).unwrap_or(false) => {
                    Err(StartError::Inherited(format!("socket {} doesn't listen", n + 3)))
                }
                _ => Ok(taken),
            }
        };
        Ok(match take(0)? {
            Some(gateway) => Self::Inherited { gateway, admin: take(1)? },
            None => Self::Own,
        })
    }
}
