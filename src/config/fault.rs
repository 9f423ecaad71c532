//! What is wrong with a file, and where.

use miette::{GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteDiagnostic, NamedSource, Report};
use std::fmt;
use std::ops::Range;

/// One fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// What is wrong, in one line.
    pub message: String,
    /// What stands at the caret.
    pub label: String,
    /// How to mend it.
    pub help: Option<String>,
    /// Whether what it is about may hold a secret: it is blanked wherever the file is quoted.
    pub secret: bool,
    /// Bytes of the file that it is about.
    pub span: Range<usize>,
}

/// How faults are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// ASCII without colour: for files, pipes and tests.
    Plain,
    /// Lines and colours of a terminal.
    Terminal,
}

/// All faults of one file, in the order of the file. Displayed, each is drawn with its lines and a caret.
#[derive(Debug, Clone)]
pub struct Faults {
    name: String,
    text: String,
    list: Vec<Fault>,
}

impl std::error::Error for Faults {}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(Look::Plain))
    }
}

impl Faults {
    pub(super) fn new(name: &str, text: &str, mut list: Vec<Fault>) -> Self {
        list.sort_by_key(|fault| (fault.span.start, fault.span.end));
        let mut text = text.to_owned();
        for fault in list.iter().filter(|fault| fault.secret) {
            if text.get(fault.span.clone()).is_none() {
                continue;
            }
            text.replace_range(fault.span.clone(), &"*".repeat(fault.span.len()));
        }
        for span in passwords(&text) {
            text.replace_range(span.clone(), &"*".repeat(span.len()));
        }
        Self { name: name.to_owned(), text, list }
    }

    pub(super) fn unreadable(name: &str, error: &std::io::Error) -> Self {
        let message = format!("the configuration `{name}` can't be read: {error}");
        let help = Some("`--config` names a TOML file; config/drawbridge.toml documents every key".into());
        Self::new(name, "", vec![Fault { message, label: String::new(), help, secret: false, span: 0..0 }])
    }

    pub(super) fn not_text(name: &str, error: &std::string::FromUtf8Error) -> Self {
        let offset = error.utf8_error().valid_up_to();
        let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
        let fault = Fault {
            message: "the file is not UTF-8 text".into(),
            label: "no valid character begins here".into(),
            help: None,
            secret: false,
            // What replaces the bad bytes is three bytes long.
            span: offset..offset.saturating_add(3).min(text.len()),
        };
        Self::new(name, &text, vec![fault])
    }

    /// The faults, in the order of the file.
    #[must_use]
    pub fn list(&self) -> &[Fault] {
        &self.list
    }

    /// Line and column of a fault, both from 1, the column in characters.
    #[must_use]
    pub fn position(&self, fault: &Fault) -> (usize, usize) {
        let before = self.text.get(..fault.span.start).unwrap_or(&self.text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        (line, column)
    }

    /// One line a fault, `file:line:column: message`.
    pub fn lines(&self) -> impl Iterator<Item = String> {
        self.list.iter().map(|fault| {
            let (line, column) = self.position(fault);
            format!("{}:{line}:{column}: {}", self.name, fault.message)
        })
    }

    /// All faults, drawn.
    #[must_use]
    pub fn render(&self, look: Look) -> String {
        let theme = match look {
            Look::Plain => GraphicalTheme::none(),
            Look::Terminal => GraphicalTheme::unicode(),
        };
        let handler = GraphicalReportHandler::new_themed(theme).with_width(100).with_links(false);
        let mut out = String::new();
        for fault in &self.list {
            if !out.is_empty() {
                out.push('\n');
            }
            let mut diagnostic = MietteDiagnostic::new(fault.message.clone());
            diagnostic.help.clone_from(&fault.help);
            let mut report = if self.text.is_empty() && fault.label.is_empty() {
                Report::new(diagnostic)
            } else {
                let at = LabeledSpan::new_primary_with_span(Some(fault.label.clone()), fault.span.clone());
                Report::new(diagnostic.with_label(at))
            };
            report = report.with_source_code(NamedSource::new(&self.name, self.text.clone()));
            if handler.render_report(&mut out, report.as_ref()).is_err() {
                // Only if the file can't be quoted: then without the quotation.
                out.push_str(&fault.message);
                out.push('\n');
            }
        }
        out
    }
}

/// Where URLs of `text` hold passwords: a fault quotes its neighbours too, and those may be without fault.
fn passwords(text: &str) -> Vec<Range<usize>> {
    let urls = text.match_indices("://").filter_map(|(at, mark)| {
        let start = at + mark.len();
        let rest = text.get(start..)?;
        let url = rest
            .get(..rest.find(|c: char| c.is_whitespace() || c == '"' || c == '\'').unwrap_or(rest.len()))?;
        let who = url.get(..url.rfind('@')?)?;
        let colon = who.find(':')?;
        Some(start + colon + 1..start + who.len())
    });
    urls.collect()
}
