//! The access log: one JSON line for each request, for operators.
//!
//! A thread of its own writes, because a disk may stall and workers must not. The queue between is bounded:
//! a line that finds no room is counted and dropped. (What may not be lost is in the audit log.)

use super::json_line;
use super::metrics::Metrics;
use crate::domain::rfc3339;
use serde::{Serialize, Serializer};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

/// Lines that may wait for the writer: about 4 MB, some 100 ms of a busy gateway.
const QUEUE: usize = 8192;

/// The writer hands its buffer to the sink when it has grown to this, or when nothing more waits.
const BUFFER: usize = 64 * 1024;

/// One line of the access log.
#[derive(Debug, Clone, Serialize)]
pub struct AccessLine {
    /// RFC 3339 is written from this.
    #[serde(rename = "time", serialize_with = "as_rfc3339")]
    pub time_ms: i64,
    /// Request id.
    pub request_id: String,
    /// Client address.
    pub source_address: String,
    /// Method.
    pub method: String,
    /// Path without query.
    pub path: String,
    /// HTTP status; 0 when none was sent.
    pub status: u16,
    /// Code of a refusal.
    pub code: Option<String>,
    /// Cedar action.
    pub action: Option<String>,
    /// Principal id.
    pub principal: Option<String>,
    /// Org id.
    pub org: Option<String>,
    /// Impersonation id.
    pub impersonation: Option<String>,
    /// Deciding policies.
    pub policies: Vec<String>,
    /// Body bytes from the client.
    pub bytes_in: u64,
    /// Body bytes to the client.
    pub bytes_out: u64,
    /// Microseconds from arrival to end.
    pub duration_us: u64,
    /// `completed`, `cut`, `aborted`, `refused`, `upstream_error`.
    pub outcome: &'static str,
}

fn as_rfc3339<S: Serializer>(ms: &i64, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&rfc3339(*ms))
}

/// Where the access log goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccessSink {
    /// Nowhere; no line is built.
    Off,
    /// The process's standard error.
    Stderr,
    /// Appended to this file, which is made if it is missing.
    File(PathBuf),
}

/// The access log: JSON lines, written by a thread of its own from a bounded queue; lines that don't fit are
/// counted. Cheap to clone.
#[derive(Clone)]
pub struct AccessLog {
    writer: Option<Arc<Writer>>,
}

struct Writer {
    queue: SyncSender<Message>,
    metrics: Metrics,
    thread: parking_lot::Mutex<Option<JoinHandle<()>>>,
}

enum Message {
    /// Boxed, since the queue's memory is taken at once.
    Line(Box<AccessLine>),
    Reopen,
    /// Write what is there, then answer.
    Flush(SyncSender<()>),
    Close,
}

impl AccessLog {
    /// A log that nobody reads.
    #[must_use]
    pub fn off() -> Self {
        Self { writer: None }
    }

    /// Opens the sink and starts the writer.
    ///
    /// # Errors
    /// When the file can't be opened or the thread not be started.
    pub fn start(sink: &AccessSink, metrics: Metrics) -> io::Result<Self> {
        match sink {
            AccessSink::Off => Ok(Self::off()),
            AccessSink::Stderr => Self::with(Output::Stderr, metrics),
            AccessSink::File(path) => {
                Self::with(Output::File { file: append(path)?, path: path.clone() }, metrics)
            }
        }
    }

    fn with(output: Output, metrics: Metrics) -> io::Result<Self> {
        let (queue, lines) = sync_channel(QUEUE);
        let counting = metrics.clone();
        let thread = std::thread::Builder::new().name("access-log".into()).spawn(move || {
            Sink { output, buffer: Vec::with_capacity(BUFFER), held: 0, metrics: counting }.run(&lines);
        })?;
        let thread = parking_lot::Mutex::new(Some(thread));
        Ok(Self { writer: Some(Arc::new(Writer { queue, metrics, thread })) })
    }

    /// Queues a line; never waits.
    pub fn write(&self, line: AccessLine) {
        if let Some(writer) = &self.writer
            && writer.queue.try_send(Message::Line(Box::new(line))).is_err()
        {
            writer.metrics.access_lines_lost(1);
        }
    }

    /// Whether anybody reads: build no line otherwise.
    #[must_use]
    pub fn enabled(&self) -> bool {
        self.writer.is_some()
    }

    /// Opens the file again under its name, after somebody moved it away (call it on `SIGHUP`). What was queued
    /// before goes to the old file. Waits for room in the queue, so not for a worker to call.
    pub fn reopen(&self) {
        if let Some(writer) = &self.writer {
            // The writer is gone only after `close`, and then there is nothing to reopen.
            drop(writer.queue.send(Message::Reopen));
        }
    }

    /// Returns when everything queued before is written.
    pub fn flush(&self) {
        let Some(writer) = &self.writer else { return };
        let (done, wait) = sync_channel(1);
        if writer.queue.send(Message::Flush(done)).is_ok() {
            // An error means that the writer ended, which it does after a last write.
            let _ = wait.recv();
        }
    }

    /// Writes what is queued and ends the writer; later lines count as lost. For the end of the process.
    pub fn close(&self) {
        let Some(writer) = &self.writer else { return };
        drop(writer.queue.send(Message::Close));
        if let Some(thread) = writer.thread.lock().take() {
            drop(thread.join());
        }
    }
}

enum Output {
    Stderr,
    File { file: File, path: PathBuf },
}

impl Output {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Stderr => io::stderr().lock().write_all(bytes),
            Self::File { file, .. } => file.write_all(bytes),
        }
    }
}

fn append(path: &PathBuf) -> io::Result<File> {
    // Paths and addresses are personal data: not for every account of the machine.
    OpenOptions::new().append(true).create(true).mode(0o640).open(path)
}

/// The writer's side.
struct Sink {
    output: Output,
    buffer: Vec<u8>,
    /// Lines in the buffer, for counting them if they can't be written.
    held: u64,
    metrics: Metrics,
}

impl Sink {
    fn run(mut self, lines: &Receiver<Message>) {
        while let Ok(message) = lines.recv() {
            let mut next = Some(message);
            while let Some(message) = next.take() {
                match message {
                    Message::Line(line) => self.take(&line),
                    Message::Reopen => self.reopen(),
                    Message::Flush(done) => {
                        self.hand_over();
                        // Whoever asked may have gone.
                        let _ = done.send(());
                    }
                    Message::Close => return self.hand_over(),
                }
                next = lines.try_recv().ok();
            }
            self.hand_over();
        }
    }

    fn take(&mut self, line: &AccessLine) {
        let before = self.buffer.len();
        if json_line::write(&mut self.buffer, line).is_err() {
            self.buffer.truncate(before);
            return self.metrics.access_lines_lost(1);
        }
        self.held += 1;
        if self.buffer.len() >= BUFFER {
            self.hand_over();
        }
    }

    fn hand_over(&mut self) {
        if self.buffer.is_empty() {
            return;
        }
        if let Err(error) = self.output.write_all(&self.buffer) {
            self.metrics.access_lines_lost(self.held);
            tracing::error!(%error, lines = self.held, "access log: lines lost");
        }
        self.buffer.clear();
        self.held = 0;
    }

    fn reopen(&mut self) {
        self.hand_over();
        if let Output::File { file, path } = &mut self.output {
            match append(path) {
                Ok(fresh) => *file = fresh,
                Err(error) => {
                    let path = path.display();
                    tracing::error!(%error, %path, "access log: can't be reopened, the old file stays in use");
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{AccessLine, AccessLog, AccessSink, QUEUE};
    use crate::telemetry::Metrics;
    use serde_json::Value;

    fn line(path: &str) -> AccessLine {
        AccessLine {
            time_ms: 1_709_210_096_789,
            request_id: "req_1".into(),
            source_address: "127.0.0.1".into(),
            method: "GET".into(),
            path: path.into(),
            status: 403,
            code: Some("OWNER_ONLY".into()),
            action: None,
            principal: None,
            org: None,
            impersonation: None,
            policies: vec!["owner-only".into()],
            bytes_in: 0,
            bytes_out: 12,
            duration_us: 80,
            outcome: "refused",
        }
    }

    #[test]
    fn hostile_text_stays_on_its_line_and_reopening_follows_the_name() {
        let dir = tempfile::tempdir().unwrap();
        let (path, moved) = (dir.path().join("access.log"), dir.path().join("access.log.1"));
        let log = AccessLog::start(&AccessSink::File(path.clone()), Metrics::new()).unwrap();
        assert!(log.enabled());
        log.write(line("/a\n{\"status\":200}\r\u{2028}\u{1b}[2J"));
        log.flush();
        std::fs::rename(&path, &moved).unwrap();
        log.write(line("/old"));
        log.reopen();
        log.write(line("/new"));
        log.close();
        let old = std::fs::read_to_string(&moved).unwrap();
        let lines: Vec<Value> = old.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
        assert_eq!(lines.len(), 2, "{old}");
        assert_eq!(lines[0]["path"], "/a\n{\"status\":200}\r\u{2028}\u{1b}[2J");
        assert_eq!(
            (&lines[0]["time"], &lines[0]["code"]),
            (&"2024-02-29T12:34:56.789Z".into(), &"OWNER_ONLY".into())
        );
        assert!(lines[0]["org"].is_null());
        let new = std::fs::read_to_string(&path).unwrap();
        assert_eq!(serde_json::from_str::<Value>(&new).unwrap()["path"], "/new");
    }

    #[test]
    fn lines_that_find_no_room_are_counted() {
        let dir = tempfile::tempdir().unwrap();
        let fifo = dir.path().join("stuck");
        // A FIFO that is open but never read: the writer fills the pipe, stalls, and the queue fills behind it.
        rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, 0o600.into()).unwrap();
        let reader = std::fs::OpenOptions::new().read(true).write(true).open(&fifo).unwrap();
        let metrics = Metrics::new();
        let log = AccessLog::start(&AccessSink::File(fifo), metrics.clone()).unwrap();
        let sent = QUEUE * 2;
        for _ in 0..sent {
            log.write(line(&"x".repeat(100)));
        }
        let lost: usize = value(&metrics);
        assert!(lost > 0 && lost < sent, "{lost} of {sent}");
        let mut reader = std::io::BufReader::new(reader);
        for _ in 0..sent - lost {
            std::io::BufRead::read_line(&mut reader, &mut String::new()).unwrap();
        }
        log.close();
        log.write(line("/late"));
        assert_eq!(value(&metrics), lost + 1);
    }

    fn value(metrics: &Metrics) -> usize {
        let text = metrics.render();
        let line = text.lines().find(|l| l.starts_with("drawbridge_access_lines_lost_total")).unwrap();
        line.rsplit(' ').next().unwrap().parse().unwrap()
    }

    #[test]
    fn off_takes_nothing() {
        let log = AccessLog::start(&AccessSink::Off, Metrics::new()).unwrap();
        assert!(!log.enabled());
        log.write(line("/"));
        log.flush();
        log.close();
    }

    #[test]
    fn a_file_that_cannot_be_opened_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let sink = AccessSink::File(dir.path().join("missing/access.log"));
        assert!(AccessLog::start(&sink, Metrics::new()).is_err());
    }
}
