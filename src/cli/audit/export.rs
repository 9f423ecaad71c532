//! `drawbridge audit export`.

use super::remote::Remote;
use super::source::{Pieces, bar, records};
use super::told::grouped;
use super::{Credential, Exit, Printer, Trouble, Which};
use crate::app::Logs;
use crate::audit::export::{EntryLine, Events, Export, Header, parse_checkpoint};
use crate::audit::tree::LogName;
use crate::audit::verify::{Expect, Kept, Lines, Verifier};
use clap::ValueEnum;
use serde_json::Value;
use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

/// Arguments of `audit export`.
#[derive(Debug, clap::Args)]
pub struct ExportArgs {
    /// Where the log is.
    #[command(flatten)]
    pub from: From,
    /// Which log; without it, with --data and --config, the platform's
    #[command(flatten)]
    pub which: Which,
    /// Where to write it; without it, to stdout
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Go on with the export in --out
    #[arg(long, requires = "out")]
    pub resume: bool,
    /// The form of the lines
    #[arg(long = "as", value_enum, value_name = "FORM", default_value = "jsonl")]
    pub form: Form,
    /// The token.
    #[command(flatten)]
    pub credential: Credential,
}

/// Where a log is: one of these.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub struct From {
    /// The data folder of a gateway that keeps its records in it
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// The configuration file of a server
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// A gateway, or its log's address
    #[arg(long)]
    pub url: Option<String>,
}

/// The form of what is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Form {
    /// Lines that `audit verify` checks
    Jsonl,
    /// Events of OCSF (API Activity, Authentication), for tools that know that schema
    Ocsf,
}

impl Form {
    /// Its name in the gateway's API.
    const fn as_str(self) -> &'static str {
        match self {
            Self::Jsonl => "jsonl",
            Self::Ocsf => "ocsf",
        }
    }
}

/// An export that was begun.
struct Begun {
    /// Where its last whole entry ends, in bytes.
    end: u64,
    /// Entries that the log had until there.
    after: u64,
    /// Whose entries they are; `None` as long as it has none.
    log: Option<LogName>,
    /// Its last checkpoint.
    kept: Option<Kept>,
}

pub(super) async fn run(args: ExportArgs, out: &mut Printer) -> Result<Exit, Trouble> {
    let begun = match (&args.out, args.resume) {
        (Some(path), true) if args.form == Form::Ocsf => Some(begun_events(path)?),
        (Some(path), true) => Some(begun(path)?),
        _ => None,
    };
    // A file without entries is begun anew.
    let (has, after) = begun.as_ref().and_then(|begun| Some((begun.log.clone()?, begun.after))).unzip();
    if let (Some(has), Some(asked)) = (&has, args.which.log())
        && *has != asked
    {
        return Err(Trouble::Usage(format!(
            "--out has entries of the log `{has}`: those of `{asked}` belong into a file of their own"
        )));
    }
    let log = args.which.log().or(has);
    let From { data, config, url } = &args.from;
    let pieces = match records(data.as_deref(), config.as_deref()).await? {
        Some(logs) => local(&logs, &log.unwrap_or(LogName::Platform), after, args.form).await?,
        None => {
            let remote = Remote::new(url.as_deref().unwrap_or_default(), &args.credential)?;
            let which = match log {
                None => args.which.clone(),
                Some(LogName::Platform) => Which { org: None, platform: true },
                Some(LogName::Org(org)) => Which { org: Some(org), platform: false },
            };
            let (_, path) = remote.log(&which).await?;
            Pieces::Remote(Box::new(remote.export(&path, after, args.form.as_str()).await?))
        }
    };
    match args.form {
        Form::Jsonl => write(pieces, args.out.as_deref(), begun, out).await,
        Form::Ocsf => write_events(pieces, args.out.as_deref(), begun, out).await,
    }
}

async fn local(logs: &Logs, log: &LogName, after: Option<u64>, form: Form) -> Result<Pieces, Trouble> {
    let reader = logs.reader().ok_or_else(|| {
        Trouble::Usage(
            "the master key isn't at hand, and with it the log's key, which an export tells".to_owned(),
        )
    })?;
    Ok(match form {
        Form::Jsonl => Pieces::Local(Box::new(Export::begin(&reader, log, after).await?)),
        Form::Ocsf => Pieces::Events(Box::new(Events::begin(&reader, log, after).await?)),
    })
}

/// Writes events as they come.
async fn write_events(
    mut pieces: Pieces,
    path: Option<&Path>,
    begun: Option<Begun>,
    out: &mut Printer,
) -> Result<Exit, Trouble> {
    let mut file = path.map(|path| place(path, begun.as_ref())).transpose()?;
    let bar = bar("events exported:", None);
    while let Some(piece) = pieces.next().await? {
        bar.inc(piece.iter().filter(|byte| **byte == b'\n').count() as u64);
        match (&mut file, path) {
            (Some(file), Some(path)) => file.write_all(&piece).map_err(Trouble::file(path))?,
            _ => out.raw(&piece),
        }
    }
    if let (Some(file), Some(path)) = (&mut file, path) {
        file.sync_all().map_err(Trouble::file(path))?;
    }
    bar.finish_and_clear();
    Ok(Exit::Ok)
}

/// The file to write, at the place where to go on.
fn place(path: &Path, begun: Option<&Begun>) -> Result<File, Trouble> {
    let Some(begun) = begun else { return made(path) };
    let mut file = OpenOptions::new().read(true).write(true).open(path).map_err(Trouble::file(path))?;
    file.set_len(begun.end).and_then(|()| file.seek(SeekFrom::End(0))).map_err(Trouble::file(path))?;
    Ok(file)
}

/// A new file. An export that is there may be the only one of its time.
fn made(path: &Path) -> Result<File, Trouble> {
    OpenOptions::new().write(true).create_new(true).open(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => Trouble::Usage(format!(
            "`{}` is there already: give another name, or --resume to go on with it",
            path.display()
        )),
        _ => Trouble::file(path)(error),
    })
}

/// Looks where the events in `path` end, and of which log they are.
fn begun_events(path: &Path) -> Result<Begun, Trouble> {
    let mut reader = BufReader::new(File::open(path).map_err(Trouble::file(path))?);
    let mut begun = Begun { end: 0, after: 0, log: None, kept: None };
    let mut line = Vec::new();
    // In bytes: what was cut off may end within a character.
    while reader.read_until(b'\n', &mut line).map_err(Trouble::file(path))? > 0 && line.ends_with(b"\n") {
        let event: Value = serde_json::from_slice(&line).unwrap_or_default();
        let index = event.pointer("/metadata/sequence").and_then(Value::as_u64);
        let log = event.pointer("/metadata/log_name").and_then(Value::as_str).and_then(LogName::parse);
        let (Some(index), Some(log)) = (index, log) else {
            return Err(Trouble::Usage(format!("`{}` isn't an export that was begun", path.display())));
        };
        if begun.log.as_ref().is_some_and(|before| *before != log) {
            return Err(Trouble::Usage(format!("`{}` has events of several logs", path.display())));
        }
        begun.end += line.len() as u64;
        begun.after = index.saturating_add(1);
        begun.log = Some(log);
        line.clear();
    }
    Ok(begun)
}

/// Writes what comes and verifies it on the way: an export that isn't whole must not pass for one.
async fn write(
    mut pieces: Pieces,
    path: Option<&Path>,
    begun: Option<Begun>,
    out: &mut Printer,
) -> Result<Exit, Trouble> {
    let expect =
        Expect { against: begun.iter().filter_map(|b| b.kept.clone()).collect(), ..Expect::default() };
    let mut lines = Lines::new(Verifier::new(expect));
    let mut file = path.map(|path| open(path, begun.as_ref(), &mut lines)).transpose()?;
    let bar = bar("entries exported:", None);
    while let Some(piece) = pieces.next().await? {
        match (&mut file, path) {
            (Some(file), Some(path)) => file.write_all(&piece).map_err(Trouble::file(path))?,
            _ => out.raw(&piece),
        }
        lines.feed(&piece).map_err(Trouble::Fault)?;
        bar.set_position(lines.verifier().size());
    }
    if let (Some(file), Some(path)) = (&mut file, path) {
        file.sync_all().map_err(Trouble::file(path))?;
    }
    bar.finish_and_clear();
    let report = lines.finish().map_err(Trouble::Fault)?;
    out.note(format!(
        "{}: {} of {} entries are there, verified by the key {}",
        report.log,
        grouped(report.entries),
        grouped(report.size),
        report.key
    ));
    Ok(Exit::Ok)
}

/// The file to write, at the place where to go on; what it has already is verified.
fn open(path: &Path, begun: Option<&Begun>, lines: &mut Lines) -> Result<File, Trouble> {
    let Some(begun) = begun else {
        return made(path);
    };
    let mut file = OpenOptions::new().read(true).write(true).open(path).map_err(Trouble::file(path))?;
    let (mut left, mut buffer) = (begun.end, vec![0_u8; 1 << 20]);
    while left > 0 {
        let most = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        let n = file.read(buffer.get_mut(..most).unwrap_or_default()).map_err(Trouble::file(path))?;
        if n == 0 {
            break;
        }
        lines.feed(buffer.get(..n).unwrap_or_default()).map_err(Trouble::Fault)?;
        left -= n as u64;
    }
    file.set_len(begun.end).and_then(|()| file.seek(SeekFrom::End(0))).map_err(Trouble::file(path))?;
    Ok(file)
}

/// Looks where the export in `path` ends.
fn begun(path: &Path) -> Result<Begun, Trouble> {
    let mut reader = BufReader::new(File::open(path).map_err(Trouble::file(path))?);
    let (mut end, mut at, mut line) = (0, 0, Vec::new());
    let (mut begun, mut kept): (Option<(LogName, u64)>, Option<String>) = (None, None);
    loop {
        line.clear();
        at += reader.read_until(b'\n', &mut line).map_err(Trouble::file(path))? as u64;
        let Some(text) = line.strip_suffix(b"\n").and_then(|line| std::str::from_utf8(line).ok()) else {
            break;
        };
        if let Some(note) = parse_checkpoint(text) {
            kept = Some(note);
        } else if let Some(entry) = EntryLine::parse(text) {
            begun = begun.map(|(log, _)| (log, entry.index.saturating_add(1)));
            end = at;
        } else if let Some(header) = Header::parse(text) {
            begun = LogName::of_origin(&header.log).map(|log| (log, header.first));
            end = at;
        } else {
            break;
        }
    }
    let (log, after) = begun
        .ok_or_else(|| Trouble::Usage(format!("`{}` isn't an export that was begun", path.display())))?;
    let name = format!("the last checkpoint of {}", path.display());
    Ok(Begun { end, after, log: Some(log), kept: kept.map(|note| Kept { name, note }) })
}
