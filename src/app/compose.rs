//! The composition root: configuration in, parts out. Nothing else names a concrete store.

use super::error::StartError;
use super::{live, setup, witness};
use crate::access::accounts::AccountSettings;
use crate::access::{Access, AccessParts, AccessSettings, Cluster, Lease, OAuth, Rule};
use crate::audit::keeper::Keeper;
use crate::audit::sequencer::Sequencer;
use crate::audit::tree::{LogKey, LogName};
use crate::audit::{AuditReader, AuditWriter};
use crate::config::{AccessLogTo, Config, Database, DatabaseUrl};
use crate::domain::ids::BootId;
use crate::domain::{Clock, Millis, Secret, ShiftedClock};
use crate::identity::{Assertions, KeyError, Keys, SealError, Sealer, Tokens, kept_secret};
use crate::policy::{PolicyEngine, PolicyFolders};
use crate::store::db::{Finding, Migrated, examine, migrate, set_retention};
use crate::store::{Db, DbOptions, Live, PostgresOptions, Target, change};
use crate::telemetry::{AccessLog, AccessSink, Metrics};
use parking_lot::Mutex;
use std::path::Path;
use std::sync::Arc;

/// The parts of a gateway, before it listens.
pub struct Composition {
    /// What it was built from.
    pub config: Config,
    /// Sessions, facts, acts.
    pub access: Arc<Access>,
    /// Policies.
    pub policy: Arc<PolicyEngine>,
    /// The dual writer.
    pub audit: AuditWriter,
    /// This gateway's name among those that share the records.
    pub name: String,
    /// Gives entries their places in the trees; taken when it is stopped.
    pub sequencer: Mutex<Option<Sequencer>>,
    /// Lets go what has expired, until the gateway stops.
    pub keeper: Mutex<Option<Keeper>>,
    /// The logs, to be read.
    pub reader: AuditReader,
    /// Live sessions, for their health.
    pub live: Arc<dyn Live>,
    /// Signing keys.
    pub keys: Arc<Keys>,
    /// The upstream's assertions.
    pub assertions: Arc<Assertions>,
    /// Metrics.
    pub metrics: Metrics,
    /// Access log.
    pub access_log: AccessLog,
    /// Time.
    pub clock: Arc<dyn Clock>,
}

/// How far the clock is moved, for tests of expiry; whoever sets the environment owns the process anyway.
pub(super) fn clock_shift() -> Millis {
    std::env::var("DRAWBRIDGE_TEST_CLOCK_SHIFT_MS").ok().and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// A rule that a test takes out, to see that its absence is noticed. A release doesn't listen.
fn without() -> Option<Rule> {
    let name = std::env::var("DRAWBRIDGE_TEST_WITHOUT").ok().filter(|_| cfg!(debug_assertions))?;
    Rule::from_name(&name)
}

/// Opens the data folder as the one gateway that holds it, loads policies and keys, starts the audit writer.
///
/// # Errors
/// [`StartError`]; nothing is left running.
pub async fn compose(config: Config) -> Result<Composition, StartError> {
    let folders =
        PolicyFolders { policies: config.policy.policies.clone(), schemas: config.policy.schemas.clone() };
    let policy = Arc::new(PolicyEngine::load(folders).map_err(StartError::Policy)?);
    let metrics = Metrics::new();
    metrics.policy_hash(policy.snapshot().hash());
    let sink = match &config.log.access {
        AccessLogTo::Off => AccessSink::Off,
        AccessLogTo::Stderr => AccessSink::Stderr,
        AccessLogTo::File(path) => AccessSink::File(path.clone()),
    };
    let access_log = AccessLog::start(&sink, metrics.clone())
        .map_err(|source| StartError::File { path: log_path(&config), source })?;
    let Records { access, audit, name, reader, sequencer, keeper, keys, clock, live } =
        records(&config, policy.clone(), Opened::ByGateway, &metrics).await?;
    {
        let metrics = metrics.clone();
        audit.on_commit(move |took, committed| match committed {
            Ok(entries) => metrics.audit_commit(took, entries),
            Err(_) => metrics.audit_failure(),
        });
    }
    let issuer = config.server.public_url.to_string();
    let assertions = Arc::new(Assertions::new(keys.clone(), &issuer, &config.upstream.audience));
    Ok(Composition {
        config,
        access,
        policy,
        audit,
        name,
        reader,
        sequencer: Mutex::new(sequencer),
        keeper: Mutex::new(keeper),
        live,
        keys,
        assertions,
        metrics,
        access_log,
        clock,
    })
}

fn log_path(config: &Config) -> std::path::PathBuf {
    match &config.log.access {
        AccessLogTo::File(path) => path.clone(),
        AccessLogTo::Off | AccessLogTo::Stderr => "access log".into(),
    }
}

/// The acts alone, for an operator's command. It opens the data folder beside a running gateway, so it must
/// only do what a running gateway need not hear of (it makes things, and takes nothing away).
///
/// # Errors
/// [`StartError`].
pub async fn open_access(config: &Config) -> Result<(Arc<Access>, AuditWriter), StartError> {
    open_acts(config, Opened::Beside).await
}

/// The same for what takes access away: on SQLite as the one who holds the data folder, so that no gateway runs that
/// would go on with what it remembers. On PostgreSQL running gateways read it from the change log.
///
/// # Errors
/// [`StartError`].
pub async fn open_access_alone(config: &Config) -> Result<(Arc<Access>, AuditWriter), StartError> {
    open_acts(config, Opened::Alone).await
}

async fn open_acts(config: &Config, opened: Opened) -> Result<(Arc<Access>, AuditWriter), StartError> {
    let folders =
        PolicyFolders { policies: config.policy.policies.clone(), schemas: config.policy.schemas.clone() };
    let policy = Arc::new(PolicyEngine::load(folders).map_err(StartError::Policy)?);
    let Records { access, audit, .. } = records(config, policy, opened, &Metrics::new()).await?;
    Ok((access, audit))
}

/// Where the records of `config` are.
pub(super) fn target(config: &Config) -> Result<Target, StartError> {
    let database = &config.database;
    match &database.url {
        None => Ok(Target::Folder(config.data.dir.clone())),
        Some(url) => Ok(Target::Postgres(postgres(database, url, database.password_file.as_deref())?)),
    }
}

fn postgres(
    database: &Database,
    url: &DatabaseUrl,
    password_file: Option<&Path>,
) -> Result<PostgresOptions, StartError> {
    let password = password_file.map(|path| {
        let text = std::fs::read_to_string(path)
            .map_err(|source| StartError::File { path: path.to_owned(), source })?;
        Ok::<_, StartError>(Secret::new(text.trim_end_matches(['\r', '\n'])))
    });
    Ok(PostgresOptions {
        url: url.expose().clone(),
        password: password.transpose()?,
        connections: database.connections,
        connect_timeout: database.connect_timeout,
        statement_timeout: database.statement_timeout,
    })
}

/// Brings PostgreSQL's tables up to date, as their owner, and gives the gateways' role what it needs.
///
/// # Errors
/// [`StartError`]: what is wrong, and what to do.
pub async fn migrate_database(config: &Config) -> Result<Migrated, StartError> {
    let database = &config.database;
    let (Some(url), Some(owner)) = (&database.url, &database.owner_url) else {
        return Err(StartError::Usage(
            "set `url` (the gateways' role) and `owner_url` (the owner of the tables) in [database]; \
             SQLite is migrated at start"
                .to_owned(),
        ));
    };
    let gateways = postgres(database, url, database.password_file.as_deref())?;
    let owner = postgres(database, owner, database.owner_password_file.as_deref())?;
    let migrated = migrate(&owner, &gateways).await?;
    set_retention(&owner, config.audit.retention).await?;
    Ok(migrated)
}

/// Everything that a gateway needs of its records, looked at.
///
/// # Errors
/// [`StartError::File`]: the file of a password can't be read.
pub async fn examine_records(config: &Config) -> Result<Vec<Finding>, StartError> {
    Ok(examine(&target(config)?).await)
}

/// Who opens the records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Opened {
    /// A gateway, which serves.
    ByGateway,
    /// A command beside a running gateway.
    Beside,
    /// A command that wants no gateway to run on the folder.
    Alone,
}

struct Records {
    access: Arc<Access>,
    audit: AuditWriter,
    name: String,
    reader: AuditReader,
    sequencer: Option<Sequencer>,
    keeper: Option<Keeper>,
    keys: Arc<Keys>,
    clock: Arc<dyn Clock>,
    live: Arc<dyn Live>,
}

async fn records(
    config: &Config,
    policy: Arc<PolicyEngine>,
    opened: Opened,
    metrics: &Metrics,
) -> Result<Records, StartError> {
    let exclusive = opened == Opened::ByGateway;
    let shift = clock_shift();
    let clock: Arc<dyn Clock> = Arc::new(ShiftedClock(shift));
    let target = target(config)?;
    let embedded = matches!(target, Target::Folder(_));
    let options = DbOptions {
        target,
        exclusive: opened != Opened::Beside,
        clock_shift: shift,
        ..DbOptions::new(config.data.dir.clone())
    };
    let db = Db::open(options).await.map_err(|source| match source {
        source if embedded => StartError::Data { path: config.data.dir.clone(), source },
        source => StartError::Store(source),
    })?;
    let sealer = Arc::new(Sealer::open_or_create(&config.data.master_key_file)?);
    let keys =
        Keys::load_or_create(&db, sealer.clone(), clock.clone()).await.map_err(|error| match error {
            KeyError::Seal(SealError::Sealed) => StartError::OtherMasterKey {
                key: config.data.master_key_file.clone(),
                data: config.data.dir.clone(),
            },
            other => other.into(),
        })?;
    let keys = Arc::new(keys);
    // One gateway holds a folder, so its name is fixed: the next boot closes what this one leaves open.
    let boot = BootId::random();
    let gateway = if db.is_shared() { boot.as_str() } else { "embedded" }.to_owned();
    let audit = if exclusive {
        AuditWriter::start_with(db.clone(), &gateway, config.audit.commit_timeout).await?
    } else {
        AuditWriter::beside(db.clone())
    };
    let log_key = log_key(config, &db, &sealer).await?;
    // An operator's command leaves it to the gateway, or to its next start.
    let witness = if exclusive {
        witness::open(config, &log_key.verifier(&LogName::Platform), clock.clone())?
    } else {
        None
    };
    let sequencer = exclusive.then(|| Sequencer::start(db.clone(), log_key.clone(), witness));
    let (sequencer, sequenced) = sequencer.unzip();
    let keeper = exclusive.then(|| Keeper::start(db.clone(), config.audit.retention));
    let reader = AuditReader::new(db.clone(), log_key, sequenced);
    let tokens = Tokens::new(keys.clone(), &config.server.public_url.to_string());
    let settings = AccessSettings {
        impersonation_ttl: Millis::try_from(config.impersonation.ttl.as_millis()).unwrap_or(Millis::MAX),
        mint_per_minute: config.impersonation.mint_per_minute,
        accounts: accounts(&config.accounts),
        without: without(),
    };
    let oauth = OAuth::new(super::settings::oauth(&config.oauth2)?, &sealer)?;
    let federation = super::settings::federation(config, &sealer)?;
    let setup_secret = setup::secret(&config.setup, &sealer)?;
    let started_at = change::position(&mut db.read().await?).await?;
    let (lease, cluster) = if db.is_shared() {
        let max_staleness = Millis::try_from(config.session.max_staleness.as_millis()).unwrap_or(Millis::MAX);
        // An operator's command serves nothing.
        let needed = exclusive && without() != Some(Rule::Lease);
        let lease = if needed { Lease::needed(max_staleness) } else { Lease::not_needed() };
        let name = format!("{} (process {})", config.server.listen, std::process::id());
        (lease, Some(Cluster::new(boot, name)))
    } else {
        (Lease::not_needed(), None)
    };
    let live = live::open(&config.live, &sealer, started_at.n, metrics.live()).await?;
    let parts = AccessParts {
        db,
        live: live.clone(),
        policy,
        tokens,
        sealer,
        oauth,
        federation,
        setup_secret,
        audit: audit.clone(),
        clock: clock.clone(),
        settings,
        started_at,
        lease,
        cluster,
    };
    let access = Arc::new(Access::new(parts));
    if exclusive {
        access.bind_providers().await?;
    }
    Ok(Records { access, audit, name: gateway, reader, sequencer, keeper, keys, clock, live })
}

fn accounts(configured: &crate::config::Accounts) -> AccountSettings {
    let millis = |time: std::time::Duration| Millis::try_from(time.as_millis()).unwrap_or(Millis::MAX);
    let default = AccountSettings::default();
    AccountSettings {
        hash_at_once: configured.hash_at_once.unwrap_or(default.hash_at_once),
        words: configured.forbidden_words.clone(),
        initial_password_ttl: millis(configured.initial_password),
        session_absolute: millis(configured.session_absolute),
        session_idle: millis(configured.session_idle),
    }
}

/// The key that signs checkpoints. The installation's name is set, or made with the key and kept.
async fn log_key(config: &Config, db: &Db, sealer: &Sealer) -> Result<LogKey, StartError> {
    let seed = kept_secret(db, sealer, AUDIT_KEY).await?;
    let base = match &config.audit.origin {
        Some(origin) => origin.clone(),
        None => base_of(kept_secret(db, sealer, AUDIT_ORIGIN).await?),
    };
    named(&base, &seed)
}

/// Names of the kept secrets.
pub(super) const AUDIT_KEY: &str = "audit_key";
pub(super) const AUDIT_ORIGIN: &str = "audit_origin";

/// The installation's name, if none is set.
pub(super) fn base_of(kept: [u8; 32]) -> String {
    format!("drawbridge-{}", hex::encode(kept.first_chunk::<4>().unwrap_or(&[0; 4])))
}

pub(super) fn named(base: &str, seed: &[u8; 32]) -> Result<LogKey, StartError> {
    LogKey::new(base, seed).map_err(|e| StartError::Usage(format!("`origin` in [audit]: {e}")))
}
