//! `drawbridge audit verify`.

use super::remote::Remote;
use super::source::{Pieces, bar, exit, records};
use super::told::{Verdict, explain, grouped, tell, to_do};
use super::{Credential, Exit, FormatArg, Printer, Trouble, Which};
use crate::app::Logs;
use crate::audit::tree::{Checkpoint, LogName, VerifierKey};
use crate::audit::verify::{
    Expect, Failure, Fault, Kept, KeptReport, Lines, Report, Tables, TablesReport, Verifier,
};
use crate::audit::witness::{CosignerKey, cosigned};
use crate::config::WitnessAt;
use crate::domain::Retention;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// Arguments of `audit verify`.
#[derive(Debug, clap::Args)]
pub struct Verify {
    /// Where the log is.
    #[command(flatten)]
    pub from: From,
    /// Which log.
    #[command(flatten)]
    pub which: Which,
    /// A checkpoint that you kept: the log must have grown out of it; may be given several times
    #[arg(long, value_name = "FILE")]
    pub against: Vec<PathBuf>,
    /// The log's key that you kept, or a file with it
    #[arg(long, value_name = "KEY|FILE", value_parser = key)]
    pub key: Option<VerifierKey>,
    /// A witness's key, or a file with it: it must have signed too
    #[arg(long, value_name = "KEY|FILE", value_parser = witness)]
    pub witness_key: Option<CosignerKey>,
    /// Days that entries of the log are kept, where it is neither the default nor in --config
    #[arg(long, value_name = "DAYS")]
    pub retention_days: Option<u32>,
    /// The token.
    #[command(flatten)]
    pub credential: Credential,
    /// Who reads the output
    #[arg(long, value_enum, default_value = "human")]
    pub format: FormatArg,
}

/// Where a log is: one of these.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub struct From {
    /// The data folder of a gateway that keeps its records in it: all logs, and the tables themselves
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// The configuration file of a server: all logs in its database, and the tables themselves
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// An export
    #[arg(long, value_name = "FILE")]
    pub export: Option<PathBuf>,
    /// A gateway, or its log's address
    #[arg(long)]
    pub url: Option<String>,
}

/// A key from its text, or from a file with it.
pub(super) fn key(text: &str) -> Result<VerifierKey, String> {
    VerifierKey::parse(text).or_else(|wrong| {
        let read = std::fs::read_to_string(text).map_err(|_| format!("{wrong}, and no file with one"))?;
        VerifierKey::parse(&read).map_err(|_| format!("there is no verifier key in `{text}`"))
    })
}

/// A witness's key, likewise.
fn witness(text: &str) -> Result<CosignerKey, String> {
    CosignerKey::parse(text).or_else(|wrong| {
        let read = std::fs::read_to_string(text).map_err(|_| format!("{wrong}, and no file with one"))?;
        CosignerKey::parse(read.trim()).map_err(|_| format!("there is no witness's key in `{text}`"))
    })
}

/// How long entries are kept: as it is said, else as it is configured.
fn retention(args: &Verify) -> Retention {
    match (args.retention_days, &args.from.config) {
        (Some(days), _) => Retention { org_days: days, platform_days: days },
        // What is wrong with the file is said when the records are opened.
        (None, Some(file)) => {
            crate::config::load(file, Path::new("")).map(|config| config.audit.retention).unwrap_or_default()
        }
        (None, None) => Retention::default(),
    }
}

/// A checkpoint that was kept.
fn kept(path: &Path) -> Result<Kept, Trouble> {
    let note = std::fs::read_to_string(path).map_err(Trouble::file(path))?;
    let name = path.display().to_string();
    match Checkpoint::read(&note) {
        Ok(_) => Ok(Kept { name, note }),
        Err(_) => Err(Trouble::Usage(format!(
            "`{name}` isn't a signed checkpoint, as …/audit-log/checkpoint gives it"
        ))),
    }
}

/// Whether a kept checkpoint is of this log.
fn of_log(kept: &Kept, log: &LogName) -> bool {
    Checkpoint::read(&kept.note).is_ok_and(|told| LogName::of_origin(&told.origin).as_ref() == Some(log))
}

/// What the witness beside the records has cosigned: a database that was put back alone is behind it.
fn witnessed(from: &From) -> Result<Vec<Kept>, Trouble> {
    let path = match (&from.data, &from.config) {
        (Some(folder), _) => folder.join(crate::app::WITNESS),
        (None, Some(file)) => match crate::config::load(file, Path::new("")).map(|c| c.audit.witness) {
            Ok(Some(WitnessAt::File(path))) => path,
            Ok(_) | Err(_) => return Ok(Vec::new()),
        },
        (None, None) => return Ok(Vec::new()),
    };
    if !path.exists() {
        return Ok(Vec::new());
    }
    let notes = cosigned(&path).map_err(Trouble::file(&path))?;
    let name = format!("the witness' state {}", path.display());
    Ok(notes.into_iter().map(|note| Kept { name: name.clone(), note }).collect())
}

pub(super) async fn run(args: Verify, out: &mut Printer) -> Result<Exit, Trouble> {
    let kept = args.against.iter().map(|path| kept(path)).collect::<Result<Vec<_>, _>>()?;
    // Read before the records, which only grow meanwhile.
    let mut against = witnessed(&args.from)?;
    against.retain(|kept| args.which.log().is_none_or(|log| of_log(kept, &log)));
    against.extend(kept);
    let expect = Expect {
        key: args.key.clone(),
        witness: args.witness_key.clone(),
        log: args.which.log(),
        against,
        retention: retention(&args),
    };
    let From { data, config, export, url } = &args.from;
    let verdicts = if let Some(logs) = records(data.as_deref(), config.as_deref()).await? {
        tables(&logs, &expect, out, args.format).await?
    } else if let Some(file) = export {
        vec![of_file(file, expect)?]
    } else {
        let remote = Remote::new(url.as_deref().unwrap_or_default(), &args.credential)?;
        let (log, path) = remote.log(&args.which).await?;
        vec![of_gateway(&remote, &path, Expect { log, ..expect }).await?]
    };
    let mut fine = true;
    for verdict in &verdicts {
        fine &= tell(out, args.format, verdict);
    }
    let tables = data.is_some() || config.is_some();
    if matches!(args.format, FormatArg::Human) {
        if fine {
            // Beside the records the key is the installation's own.
            explain(out, tables || args.key.is_some(), !args.against.is_empty());
        } else {
            to_do(out, tables);
        }
    }
    Ok(exit(fine))
}

fn verdict(name: String, outcome: Result<Report, Fault>) -> Verdict {
    let log = outcome.as_ref().map_or(name, |report| report.log.clone());
    Verdict {
        log,
        outcome: outcome.map(|report| TablesReport { report: Some(report), unsigned: 0, pending: 0 }),
    }
}

fn of_file(path: &Path, expect: Expect) -> Result<Verdict, Trouble> {
    let mut file = std::fs::File::open(path).map_err(Trouble::file(path))?;
    let bar = bar("verifying", file.metadata().ok().map(|m| m.len()));
    let mut lines = Lines::new(Verifier::new(expect));
    let mut buffer = vec![0_u8; 1 << 20];
    let outcome = loop {
        let n = file.read(&mut buffer).map_err(Trouble::file(path))?;
        if n == 0 {
            break lines.finish();
        }
        if let Err(fault) = lines.feed(buffer.get(..n).unwrap_or_default()) {
            break Err(fault);
        }
        bar.set_position(lines.bytes());
    };
    bar.finish_and_clear();
    Ok(verdict(path.display().to_string(), outcome))
}

async fn of_gateway(remote: &Remote, path: &str, expect: Expect) -> Result<Verdict, Trouble> {
    let mut pieces = Pieces::Remote(Box::new(remote.export(path, None, "jsonl").await?));
    let bar = bar("entries verified:", None);
    let kept = expect.against.clone();
    let mut lines = Lines::new(Verifier::new(expect));
    let outcome = loop {
        match pieces.next().await? {
            None => break lines.finish(),
            Some(piece) => {
                if let Err(fault) = lines.feed(&piece) {
                    break Err(fault);
                }
            }
        }
        bar.set_position(lines.verifier().size());
    };
    bar.finish_and_clear();
    let outcome = match outcome {
        Ok(report) => prove(remote, path, report, &kept).await?,
        fault @ Err(_) => fault,
    };
    Ok(verdict(path.to_owned(), outcome))
}

/// Asks the gateway for proofs where the entries of a kept checkpoint have expired: the tree has their hashes still.
async fn prove(
    remote: &Remote,
    path: &str,
    mut report: Report,
    kept: &[Kept],
) -> Result<Result<Report, Fault>, Trouble> {
    /// Two answers in a row are of the same tree unless a checkpoint was signed between them.
    const TRIES: u32 = 10;
    let unproved: Vec<KeptReport> = report.unproved().cloned().collect();
    for one in &unproved {
        let Some(kept) = kept.iter().find(|kept| kept.name == one.name) else { continue };
        for _ in 0..TRIES {
            let from_kept = remote.consistency(path, one.size).await?;
            let from_end = remote.consistency(path, report.size).await?;
            match report.prove(kept, &from_kept, &from_end) {
                Ok(true) => break,
                Ok(false) => {}
                Err(fault) => return Ok(Err(fault)),
            }
        }
    }
    Ok(Ok(report))
}

/// All logs of a database, or the one that is asked for.
async fn tables(
    logs: &Logs,
    expect: &Expect,
    out: &mut Printer,
    format: FormatArg,
) -> Result<Vec<Verdict>, Trouble> {
    let own = logs.key.as_ref().map(|key| key.verifier(&LogName::Platform));
    let key = expect.key.clone().or(own).ok_or_else(|| {
        Trouble::Usage(
            "the master key isn't at hand, so the log's key isn't either: give it with --key".to_owned(),
        )
    })?;
    let tables = Tables::new(&logs.db, &key, expect);
    let mut verdicts = Vec::new();
    let mut origins = Vec::new();
    for head in tables.logs().await? {
        if expect.log.as_ref().is_some_and(|log| *log != head.log) {
            continue;
        }
        let origin = tables.key_of(&head.log)?.name().to_owned();
        origins.push(origin.clone());
        let bar = bar(head.log.as_str(), Some(head.edge.size()));
        let outcome = outcome(tables.log(&head, &mut |n| bar.set_position(n)).await)?;
        bar.finish_and_clear();
        verdicts.push(Verdict { log: origin, outcome });
    }
    for kept in &expect.against {
        let origin = Checkpoint::read(&kept.note).map(|checkpoint| checkpoint.origin).unwrap_or_default();
        if !origins.contains(&origin) {
            let fault = Fault::new(format!(
                "there is no such log here, and the kept checkpoint `{}` is of it",
                kept.name
            ));
            verdicts.push(Verdict { log: origin, outcome: Err(fault) });
        }
    }
    if let (true, Some(log)) = (verdicts.is_empty(), &expect.log) {
        return Err(Trouble::Usage(format!("there is no log `{log}` here; it begins with its first entry")));
    }
    if expect.log.is_none() {
        across(&tables, &mut verdicts, out, format).await?;
    }
    Ok(verdicts)
}

/// What concerns several logs.
async fn across(
    tables: &Tables<'_>,
    verdicts: &mut Vec<Verdict>,
    out: &mut Printer,
    format: FormatArg,
) -> Result<(), Trouble> {
    match outcome(tables.bonds().await)? {
        Ok(bound) if matches!(format, FormatArg::Human) => {
            out.note(format!("{} entries are in both logs, each bound to its other half", grouped(bound)));
        }
        Ok(_) => {}
        Err(fault) => verdicts.push(Verdict { log: "both logs".to_owned(), outcome: Err(fault) }),
    }
    if let Err(fault) = outcome(tables.without_log().await)? {
        verdicts.push(Verdict { log: "orgs without a log".to_owned(), outcome: Err(fault) });
    }
    Ok(())
}

/// A fault is a verdict; that the records can't be read is none.
fn outcome<T>(result: Result<T, Failure>) -> Result<Result<T, Fault>, Trouble> {
    match result {
        Ok(found) => Ok(Ok(found)),
        Err(Failure::Fault(fault)) => Ok(Err(fault)),
        Err(error @ Failure::Store(_)) => Err(error.into()),
    }
}
