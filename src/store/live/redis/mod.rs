//! The live store that gateways share, in Redis.
//!
//! A cache and a bell, nothing more: whatever Redis loses, resurrects, refuses or is fed costs a look-up in
//! the records. A value is believed only with a proof that a gateway wrote it for this very key
//! ([`envelope`]), and not if it is stamped with a change that the records haven't reached. Every call takes
//! at most the timeout, and none waits for a connection ([`link`]).
//!
//! Not for anything that must be kept. Next: [`scripts`] for what runs inside Redis, [`connect`] for single
//! node, Sentinel and Cluster.

mod backoff;
mod connect;
mod envelope;
mod hints;
mod link;
mod scripts;
mod trouble;

#[cfg(test)]
mod tests;

use super::{Live, LiveError, LiveHealth, Stamped};
use crate::config::LiveUrl;
use crate::domain::ids::{ImpersonationId, PlatformUserId, Subject};
use crate::domain::{Millis, Principal, Secret, Session};
use crate::telemetry::{LiveMetrics, LiveResult};
use connect::Connector;
use envelope::{Envelopes, Facts, Opened, Rejected};
use hints::Hints;
use link::Link;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;
use trouble::Trouble;

/// What [`Redis::start`] needs.
pub struct RedisOptions {
    /// Where the servers are.
    pub url: LiveUrl,
    /// The password, if it isn't in the URL.
    pub password: Option<Secret>,
    /// The authorities that may sign the servers' certificates (PEM); `None`: the system's.
    pub ca: Option<Vec<u8>>,
    /// For a connection, and for an answer.
    pub timeout: Duration,
    /// What every key and channel begins with.
    pub key_prefix: String,
    /// Signs values: the same in all gateways, derived from their master key.
    pub mac_key: [u8; 32],
    /// Head of the change log, read at start.
    pub reached: u64,
    /// Where requests and errors are counted.
    pub metrics: LiveMetrics,
}

/// The live store in Redis. Its tasks end when it is dropped.
pub struct Redis {
    link: Arc<Link>,
    envelopes: Arc<Envelopes>,
    prefix: String,
    channel: String,
    newest: Arc<watch::Sender<u64>>,
    hearing: watch::Receiver<bool>,
    /// What the change log is known to have reached. Facts stamped later are of another history, which a
    /// change of this one wouldn't make stale, or of another gateway that is ahead: then they are read again.
    reached: AtomicU64,
    /// The latest `now` that a caller gave.
    latest: AtomicI64,
    metrics: LiveMetrics,
    _tasks: [AbortOnDropHandle<()>; 2],
}

impl Redis {
    /// Begins to connect, on the runtime that calls; waits for nothing.
    ///
    /// # Errors
    /// [`LiveError`] for certificates that can't be used.
    pub fn start(options: RedisOptions) -> Result<Self, LiveError> {
        let RedisOptions { url, password, ca, timeout, key_prefix, mac_key, reached, metrics } = options;
        let connector = Connector::new(url, password, ca, timeout)?;
        let link = Arc::new(Link::new(connector, metrics.clone()));
        let envelopes = Arc::new(Envelopes::new(&mac_key));
        let channel = format!("{key_prefix}hints");
        let newest = Arc::new(watch::Sender::new(0));
        let hearing = watch::Sender::new(false);
        let heard = hearing.subscribe();
        let hints = Hints {
            channel: channel.clone(),
            envelopes: envelopes.clone(),
            newest: newest.clone(),
            hearing,
            metrics: metrics.clone(),
        };
        let tasks = [tokio::spawn(link.clone().keep()), tokio::spawn(hints.hear(link.clone()))];
        Ok(Self {
            link,
            envelopes,
            prefix: key_prefix,
            channel,
            newest,
            hearing: heard,
            reached: AtomicU64::new(reached),
            latest: AtomicI64::new(Millis::MIN),
            metrics,
            _tasks: tasks.map(AbortOnDropHandle::new),
        })
    }

    /// Waits until a connection stands and hints are heard; `false` if that takes longer than `within`.
    pub async fn ready(&self, within: Duration) -> bool {
        let (mut connected, mut hearing) = (self.link.connected(), self.hearing.clone());
        let both = async {
            connected.wait_for(|yes| *yes).await.is_ok() && hearing.wait_for(|yes| *yes).await.is_ok()
        };
        tokio::time::timeout(within, both).await.unwrap_or(false)
    }

    fn key(&self, subject: &str) -> String {
        format!("{}live:{subject}", self.prefix)
    }

    fn index(&self, user: &PlatformUserId) -> String {
        format!("{}impersonations:{user}", self.prefix)
    }

    /// What stands at `key`, if it is to be believed.
    async fn read(&self, key: &str) -> Result<Option<Opened>, Failure> {
        let value: Vec<u8> = match self.link.query(&scripts::get(key)).await {
            Err(Trouble::WrongType) => return Err(Failure::Rejected(Rejected::WrongType)),
            other => other.map_err(Failure::Trouble)?,
        };
        if value.is_empty() {
            return Ok(None);
        }
        match self.envelopes.open(key, &value) {
            // Nothing of a gateway behind us: leave it to those who are that far.
            Ok(opened) if opened.as_of > self.reached.load(Ordering::Relaxed) => {
                Err(Failure::Rejected(Rejected::Future))
            }
            Ok(opened) => Ok(Some(opened)),
            Err(why) => {
                // Else its stamp, which may be any, could keep ours out. If that fails, it fails again next time.
                let _: Result<i64, _> = self.link.query(&scripts::drop_rejected(key, &value)).await;
                Err(Failure::Rejected(why))
            }
        }
    }

    /// The facts at `subject` if they are believed, of it, and live at `now`.
    async fn facts(&self, subject: &Subject, now: Millis) -> Result<Option<Stamped>, Failure> {
        let opened = self.read(&self.key(subject.as_str())).await?;
        let Some(Opened { as_of, facts: Some(Facts { session, log }) }) = opened else { return Ok(None) };
        if session.key != *subject {
            return Err(Failure::Rejected(Rejected::Forged));
        }
        Ok((session.expires_at > now).then(|| Stamped { session: session.shared(), as_of, log }))
    }

    /// Takes an impersonation that ended out of its user's list.
    async fn strike(&self, session: &Session) -> Result<(), Trouble> {
        let Principal::Impersonation(i) = &session.principal else { return Ok(()) };
        self.link.query(&scripts::strike(&self.index(&i.operator.id), i.id.as_str())).await
    }
}

/// Why nothing was read.
enum Failure {
    Rejected(Rejected),
    Trouble(Trouble),
}

#[async_trait::async_trait]
impl Live for Redis {
    fn is_shared(&self) -> bool {
        true
    }

    async fn get(&self, key: &Subject, now: Millis) -> Result<Option<Stamped>, LiveError> {
        self.latest.fetch_max(now, Ordering::Relaxed);
        let found = self.facts(key, now).await;
        self.metrics.request(match &found {
            Ok(Some(_)) => LiveResult::Hit,
            Ok(None) => LiveResult::Miss,
            Err(Failure::Rejected(_)) => LiveResult::Rejected,
            Err(Failure::Trouble(_)) => LiveResult::Error,
        });
        match found {
            Ok(found) => Ok(found),
            Err(Failure::Rejected(why)) => {
                self.metrics.rejected(why.as_str());
                tracing::debug!(session = %key, reason = why.as_str(), "a value in Redis isn't believed");
                Ok(None)
            }
            Err(Failure::Trouble(trouble)) => Err(trouble.into()),
        }
    }

    async fn put(&self, facts: Stamped) -> Result<(), LiveError> {
        self.reached(facts.as_of);
        let session = &facts.session;
        let key = self.key(session.key.as_str());
        let value =
            self.envelopes.seal(&key, facts.as_of, Some((session, facts.log))).ok_or(Trouble::TooLarge)?;
        let till: String =
            self.link.query(&scripts::put(&key, facts.as_of, &value, session.expires_at)).await?;
        if till == "0" {
            return Ok(());
        }
        if session.ended.is_some() {
            self.strike(session).await?;
        } else if let Principal::Impersonation(i) = &session.principal {
            let enlist = scripts::enlist(&self.index(&i.operator.id), i.id.as_str(), &till);
            let _: i64 = self.link.query(&enlist).await?;
        }
        Ok(())
    }

    async fn forget(&self, key: &Subject, as_of: u64) -> Result<(), LiveError> {
        self.reached(as_of);
        let key = self.key(key.as_str());
        let tombstone = self.envelopes.seal(&key, as_of, None).ok_or(Trouble::TooLarge)?;
        let old: Vec<u8> = match self.link.query(&scripts::forget(&key, as_of, &tombstone)).await {
            Ok(old) => old,
            Err(trouble) => {
                // Memory for a tombstone is lacking; what frees memory is allowed.
                if trouble == Trouble::OutOfMemory {
                    let _: Result<i64, _> = self.link.query(&scripts::unlink(&key)).await;
                }
                return Err(trouble.into());
            }
        };
        if let Ok(Opened { facts: Some(facts), .. }) = self.envelopes.open(&key, &old) {
            self.strike(&facts.session).await?;
        }
        Ok(())
    }

    async fn impersonations(&self, user: &PlatformUserId) -> Result<Vec<ImpersonationId>, LiveError> {
        let listed: Vec<String> = match self.link.query(&scripts::listed(&self.index(user))).await {
            Err(Trouble::WrongType) => return Ok(Vec::new()),
            other => other?,
        };
        // The list is no more than where to look: what counts is each grant's own value.
        let now = self.latest.load(Ordering::Relaxed);
        let mut live = Vec::new();
        for id in listed.iter().filter_map(|id| ImpersonationId::parse(id).ok()) {
            let facts = match self.facts(&id.subject(), now).await {
                Ok(facts) => facts,
                Err(Failure::Rejected(_)) => None,
                Err(Failure::Trouble(trouble)) => return Err(trouble.into()),
            };
            let Some(facts) = facts.filter(|facts| facts.session.ended.is_none()) else { continue };
            if matches!(&facts.session.principal, Principal::Impersonation(i) if i.operator.id == *user) {
                live.push(id);
            }
        }
        Ok(live)
    }

    async fn hint(&self, n: u64) -> Result<(), LiveError> {
        hints::raise(&self.newest, n);
        let message = self.envelopes.hint(&self.channel, n);
        let _: i64 = self.link.query(&scripts::publish(&self.channel, &message)).await?;
        Ok(())
    }

    fn hints(&self) -> watch::Receiver<u64> {
        self.newest.subscribe()
    }

    fn reached(&self, n: u64) {
        self.reached.fetch_max(n, Ordering::Relaxed);
    }

    fn health(&self) -> LiveHealth {
        LiveHealth {
            store: "redis",
            connected: *self.link.connected().borrow(),
            hearing_hints: *self.hearing.borrow(),
            last_error: self.link.last_trouble().map(Trouble::as_str),
            counts: self.metrics.counts(),
        }
    }
}
