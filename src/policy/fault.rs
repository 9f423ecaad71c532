//! What is wrong with a set of files, said with file, line, column and help.

use super::source::SourceFile;
use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource, SourceCode};
use std::fmt;

/// Why a set of files can't be put in force: every fault with file, line, column and help.
#[derive(Debug, Clone)]
pub struct LoadReport {
    /// Rendered for people (miette, no colour), one block a fault.
    pub rendered: String,
    /// One line a fault, `file:line:column: message`.
    pub faults: Vec<String>,
}

impl LoadReport {
    pub(super) fn of(mut faults: Vec<Fault>) -> Self {
        faults.sort_by(|a, b| (&a.file, a.offset).cmp(&(&b.file, b.offset)));
        faults.dedup_by_key(|f| f.line());
        Self {
            rendered: faults.iter().map(Fault::render).collect(),
            faults: faults.iter().map(Fault::line).collect(),
        }
    }
}

impl fmt::Display for LoadReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.faults.join("\n"))
    }
}

impl std::error::Error for LoadReport {}

/// One thing that is wrong, with the place where it is.
#[derive(Debug)]
pub(super) struct Fault {
    message: String,
    help: Option<String>,
    /// Path as given, for example `policies/bots.cedar`.
    file: String,
    offset: usize,
    position: Option<(usize, usize)>,
    labels: Vec<LabeledSpan>,
    source: Option<NamedSource<String>>,
}

impl Fault {
    /// A fault of a folder or a file as a whole.
    pub(super) fn of_path(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            help: None,
            file: path.into(),
            offset: 0,
            position: None,
            labels: Vec::new(),
            source: None,
        }
    }

    /// A fault at `offset` of a file, `length` bytes long.
    pub(super) fn at(file: &SourceFile, offset: usize, length: usize, message: impl Into<String>) -> Self {
        let labels = vec![LabeledSpan::new_with_span(None, (offset, length))];
        Self::labelled(file, labels, message.into(), None)
    }

    /// What Cedar says about a file whose text it was given from its first byte.
    pub(super) fn from_cedar(file: &SourceFile, diagnostic: &dyn Diagnostic) -> Self {
        Self::from_cedar_at(file, diagnostic, 0)
    }

    /// What Cedar says about a text in which the file begins at `base`.
    pub(super) fn from_cedar_at(file: &SourceFile, diagnostic: &dyn Diagnostic, base: usize) -> Self {
        let labels = diagnostic
            .labels()
            .into_iter()
            .flatten()
            .filter_map(|l| {
                let offset = l.offset().checked_sub(base)?;
                (offset.saturating_add(l.len()) <= file.text.len())
                    .then(|| LabeledSpan::new(l.label().map(str::to_owned), offset, l.len()))
            })
            .collect();
        Self::labelled(file, labels, flat(diagnostic), diagnostic.help().map(|h| h.to_string()))
    }

    fn labelled(file: &SourceFile, labels: Vec<LabeledSpan>, message: String, help: Option<String>) -> Self {
        let offset = labels.first().map_or(0, LabeledSpan::offset);
        Self {
            message,
            help,
            file: file.path.clone(),
            offset,
            position: Some(file.line_column(offset)),
            labels,
            source: Some(NamedSource::new(&file.path, file.text.clone())),
        }
    }

    /// Adds what to do about it.
    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    fn line(&self) -> String {
        match self.position {
            Some((line, column)) => format!("{}:{line}:{column}: {}", self.file, self.message),
            None => format!("{}: {}", self.file, self.message),
        }
    }

    fn render(&self) -> String {
        let mut out = String::new();
        let handler = GraphicalReportHandler::new_themed(GraphicalTheme::unicode_nocolor())
            .with_width(110)
            .with_links(false);
        if handler.render_report(&mut out, self).is_err() {
            out = self.line();
        }
        out.push('\n');
        out
    }
}

/// The message with its causes on one line.
fn flat(diagnostic: &dyn Diagnostic) -> String {
    let mut message = diagnostic.to_string();
    let mut cause = diagnostic.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !message.contains(&text) {
            message.push_str(": ");
            message.push_str(&text);
        }
        cause = error.source();
    }
    message
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.position {
            Some(_) => f.write_str(&self.message),
            None => write!(f, "{}: {}", self.file, self.message),
        }
    }
}

impl std::error::Error for Fault {}

impl Diagnostic for Fault {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help.as_ref().map(|h| Box::new(h) as Box<dyn fmt::Display>)
    }
    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.source.as_ref().map(|s| s as &dyn SourceCode)
    }
    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        (!self.labels.is_empty()).then(|| Box::new(self.labels.iter().cloned()) as Box<_>)
    }
}
