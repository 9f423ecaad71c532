//! A TOML file as a tree with positions, read section by section. Whatever is wrong is noted and reading
//! goes on with the default, so that one run shows all.

use super::fault::Fault;
use std::fmt::Display;
use std::ops::{Range, RangeInclusive};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A file that is being read.
pub(super) struct Document<'t> {
    root: DeTable<'t>,
    end: usize,
    faults: Vec<Fault>,
    /// Every section and key that was asked for: what else is in the file is unknown.
    known: Vec<(&'static str, &'static str)>,
    /// Sections of which there may be any number (`[[…]]`).
    lists: Vec<&'static str>,
    /// Where the first fault of syntax is.
    syntax_fault: Option<usize>,
}

/// A value, and where it comes from.
#[derive(Debug, Clone)]
pub(super) struct Setting<T> {
    pub(super) value: T,
    pub(super) place: Place,
}

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// The file, at these bytes.
    File(Range<usize>),
    /// The file says nothing.
    Default,
    /// The file says something wrong; the value is the default and nothing should be concluded from it.
    Faulty,
}

impl<T> Setting<T> {
    /// Where the file sets it.
    pub(super) fn span(&self) -> Option<Range<usize>> {
        match &self.place {
            Place::File(span) => Some(span.clone()),
            Place::Default | Place::Faulty => None,
        }
    }

    /// Whether the value is what the file, or its silence, means.
    pub(super) fn is_sound(&self) -> bool {
        self.place != Place::Faulty
    }
}

/// Why a text isn't a value of its setting.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Complaint {
    pub(super) message: String,
    pub(super) help: Option<String>,
    /// Whether the text may hold a secret, which then isn't shown.
    pub(super) secret: bool,
}

impl Complaint {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), help: None, secret: false }
    }

    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl<'t> Document<'t> {
    /// Parses `text`, noting all syntax faults.
    pub(super) fn parse(text: &'t str) -> Self {
        let (root, errors) = DeTable::parse_recoverable(text);
        let faults: Vec<_> = errors
            .iter()
            .map(|error| Fault {
                message: format!("not valid TOML: {}", error.message()),
                label: "here".into(),
                help: None,
                secret: false,
                span: error.span().unwrap_or(text.len()..text.len()),
            })
            .collect();
        let syntax_fault = faults.iter().map(|fault| fault.span.start).min();
        Self {
            root: root.into_inner(),
            end: text.len(),
            faults,
            known: Vec::new(),
            lists: Vec::new(),
            syntax_fault,
        }
    }

    /// Reads the section `path`, for example `server.tls`.
    pub(super) fn section<'d>(&'d mut self, path: &'static str) -> Section<'t, 'd> {
        self.known.push((path, ""));
        Section { document: self, path, number: None, child: None }
    }

    /// How many tables `[[path]]` the file has. Each is then read with [`Self::nth`].
    pub(super) fn count(&mut self, path: &'static str) -> usize {
        self.known.push((path, ""));
        self.lists.push(path);
        let (outer, name) = path.rsplit_once('.').unwrap_or(("", path));
        let table = if outer.is_empty() { Some(&self.root) } else { self.table(outer, None, None) };
        let found = table.and_then(|table| table.get(name));
        found.and_then(|value| value.get_ref().as_array()).map_or(0, |list| list.len())
    }

    /// Reads the table `[[path]]` with this number, from 0.
    pub(super) fn nth<'d>(&'d mut self, path: &'static str, number: usize) -> Section<'t, 'd> {
        Section { document: self, path, number: Some(number), child: None }
    }

    /// The names of the tables `path`, whose last segment is `*`: there may be any number, named by whoever writes the
    /// file. Each is then read with [`Self::child`].
    pub(super) fn children(&mut self, path: &'static str) -> Vec<String> {
        let outer = path.trim_end_matches(".*");
        self.known.push((path, ""));
        self.known.push((outer, ""));
        let Some(table) = self.table(outer, None, None) else { return Vec::new() };
        let tables = table.iter().filter(|(_, value)| value.get_ref().as_table().is_some());
        tables.map(|(name, _)| name.get_ref().to_string()).collect()
    }

    /// Reads the table `path` of this name.
    pub(super) fn child<'d>(&'d mut self, path: &'static str, name: String) -> Section<'t, 'd> {
        Section { document: self, path, number: None, child: Some(name) }
    }

    /// A setting without which nothing works isn't there. A file that can't be parsed to its end may well have it.
    pub(super) fn missing(&mut self, section: &str, key: &str, help: &str) {
        if self.syntax_fault.is_some() {
            return;
        }
        let header = self.root.iter().find(|(name, _)| name.get_ref() == section);
        let span = header.map_or(self.end..self.end, |(name, _)| name.span());
        self.faults.push(Fault {
            message: format!("`{key}` is missing in [{section}]"),
            label: if header.is_some() { "in this section" } else { "the file ends without it" }.into(),
            help: Some(help.to_owned()),
            secret: false,
            span,
        });
    }

    /// All faults, those about unknown keys included.
    pub(super) fn finish(mut self) -> Vec<Fault> {
        let mut unknown = Vec::new();
        find_unknown(&self.root, "", &self.known, &self.lists, &mut unknown);
        // What stands behind a syntax fault may have landed in the wrong section: say nothing of that.
        if let Some(first) = self.syntax_fault {
            unknown.retain(|fault| fault.span.start < first);
        }
        self.faults.append(&mut unknown);
        self.faults
    }

    /// The table `path`; of tables `[[path]]` the one with this number, of tables `path.*` the one of this name.
    fn table(&self, path: &str, number: Option<usize>, child: Option<&str>) -> Option<&DeTable<'t>> {
        let mut table = &self.root;
        for name in path.split('.') {
            let name = if name == "*" { child? } else { name };
            let value = table.get(name)?.get_ref();
            table = match (value.as_array(), number) {
                (Some(list), Some(number)) => list.get(number)?.get_ref().as_table()?,
                _ => value.as_table()?,
            };
        }
        Some(table)
    }
}

/// One section of a [`Document`].
pub(super) struct Section<'t, 'd> {
    document: &'d mut Document<'t>,
    path: &'static str,
    /// Among tables `[[path]]`.
    number: Option<usize>,
    /// Among tables `path.*`.
    child: Option<String>,
}

/// A value of the file, apart from the tree that it stood in.
enum Found {
    Text(String),
    Whole(String, u32),
    Flag(bool),
    List(Vec<(Found, Range<usize>)>),
    Other(&'static str),
}

impl Found {
    fn of(value: &DeValue<'_>) -> Self {
        match value {
            DeValue::String(text) => Self::Text(text.clone().into_owned()),
            DeValue::Integer(whole) => Self::Whole(whole.as_str().to_owned(), whole.radix()),
            DeValue::Boolean(flag) => Self::Flag(*flag),
            DeValue::Array(list) => {
                Self::List(list.iter().map(|item| (Self::of(item.get_ref()), item.span())).collect())
            }
            DeValue::Float(_) => Self::Other("a number with a fraction"),
            DeValue::Datetime(_) => Self::Other("a date or time"),
            DeValue::Table(_) => Self::Other("a table"),
        }
    }

    const fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "a text",
            Self::Whole(..) => "a whole number",
            Self::Flag(_) => "true or false",
            Self::List(_) => "a list",
            Self::Other(kind) => kind,
        }
    }
}

impl Section<'_, '_> {
    /// As the file writes it.
    fn name(&self) -> String {
        match &self.child {
            Some(child) => format!("[{}]", self.path.replace('*', child)),
            None if self.number.is_some() => format!("[[{}]]", self.path),
            None => format!("[{}]", self.path),
        }
    }

    /// Where the table stands: its header.
    pub(super) fn place(&self) -> Range<usize> {
        if let Some(child) = &self.child {
            let tables = self.document.table(self.path.trim_end_matches(".*"), None, None);
            let named = tables.and_then(|t| t.iter().find(|(name, _)| name.get_ref() == child.as_str()));
            return named.map_or(0..0, |(name, _)| name.span());
        }
        let number = self.number.unwrap_or_default();
        let (outer, name) = self.path.rsplit_once('.').unwrap_or(("", self.path));
        let table =
            if outer.is_empty() { Some(&self.document.root) } else { self.document.table(outer, None, None) };
        let list = table.and_then(|table| table.get(name)).and_then(|value| value.get_ref().as_array());
        list.and_then(|list| list.get(number)).map_or(0..0, Spanned::span)
    }

    /// Whether the file says anything of `key` here.
    pub(super) fn has(&self, key: &str) -> bool {
        self.document
            .table(self.path, self.number, self.child.as_deref())
            .is_some_and(|table| table.contains_key(key))
    }

    /// Notes it when `key` isn't there.
    pub(super) fn needs(&mut self, key: &str, help: &str) {
        if !self.has(key) {
            self.missing(key, help);
        }
    }

    /// Notes it when `key` is there, which is for `only` something else.
    pub(super) fn unwanted(&mut self, key: &'static str, only: &str) {
        if let Some((_, span)) = self.find(key) {
            self.complain(key, span, Complaint::new(format!("only {only} has it")));
        }
    }

    /// A setting without which this table is of no use isn't there.
    pub(super) fn missing(&mut self, key: &str, help: &str) {
        let fault = Fault {
            message: format!("`{key}` is missing in {}", self.name()),
            label: "in this table".into(),
            help: Some(help.to_owned()),
            secret: false,
            span: self.place(),
        };
        self.document.faults.push(fault);
    }

    /// `true` or `false`.
    pub(super) fn flag(&mut self, key: &'static str, default: bool) -> Setting<bool> {
        self.read(key, default, |found| match found {
            Found::Flag(flag) => Ok(flag),
            other => Err(wrong_type("true or false", &other)),
        })
    }

    /// A whole number within `range`.
    pub(super) fn whole<T>(&mut self, key: &'static str, default: T, range: RangeInclusive<u64>) -> Setting<T>
    where
        T: TryFrom<u64>,
    {
        self.read(key, default, |found| {
            let Found::Whole(digits, radix) = found else { return Err(wrong_type("a whole number", &found)) };
            let (low, high) = (range.start(), range.end());
            let in_range = u64::from_str_radix(digits.trim_start_matches('+'), radix)
                .ok()
                .filter(|n| range.contains(n))
                .and_then(|n| T::try_from(n).ok());
            in_range.ok_or_else(|| Complaint::new(format!("not between {low} and {high}")))
        })
    }

    /// A text that `parse` understands.
    pub(super) fn text<T>(
        &mut self,
        key: &'static str,
        default: T,
        parse: impl Fn(&str) -> Result<T, Complaint>,
    ) -> Setting<T> {
        self.read(key, default, |found| match found {
            Found::Text(text) => parse(&text),
            other => Err(wrong_type("a text", &other)),
        })
    }

    /// A list of texts, each with a place of its own; a wrong one is left out and noted.
    pub(super) fn texts<T>(
        &mut self,
        key: &'static str,
        default: Vec<T>,
        parse: impl Fn(&str) -> Result<T, Complaint>,
    ) -> Vec<Setting<T>> {
        let Some((found, span)) = self.find(key) else {
            return default.into_iter().map(|value| Setting { value, place: Place::Default }).collect();
        };
        let Found::List(items) = found else {
            self.complain(key, span, wrong_type("a list of texts", &found));
            return Vec::new();
        };
        let mut read = Vec::with_capacity(items.len());
        for (item, span) in items {
            let value = match item {
                Found::Text(text) => parse(&text),
                other => Err(wrong_type("a text", &other)),
            };
            match value {
                Ok(value) => read.push(Setting { value, place: Place::File(span) }),
                Err(complaint) => self.complain(key, span, complaint),
            }
        }
        read
    }

    fn read<T>(
        &mut self,
        key: &'static str,
        default: T,
        take: impl FnOnce(Found) -> Result<T, Complaint>,
    ) -> Setting<T> {
        let Some((found, span)) = self.find(key) else {
            return Setting { value: default, place: Place::Default };
        };
        match take(found) {
            Ok(value) => Setting { value, place: Place::File(span) },
            Err(complaint) => {
                self.complain(key, span, complaint);
                Setting { value: default, place: Place::Faulty }
            }
        }
    }

    fn find(&mut self, key: &'static str) -> Option<(Found, Range<usize>)> {
        self.document.known.push((self.path, key));
        let value: &Spanned<DeValue<'_>> =
            self.document.table(self.path, self.number, self.child.as_deref())?.get(key)?;
        if value.span().is_empty() {
            // The parser's stand-in for what it couldn't read: it has said so itself.
            return None;
        }
        Some((Found::of(value.get_ref()), value.span()))
    }

    fn complain(&mut self, key: &str, span: Range<usize>, complaint: Complaint) {
        self.document.faults.push(Fault {
            message: format!("`{key}` in {} has a wrong value", self.name()),
            label: complaint.message,
            help: complaint.help,
            secret: complaint.secret,
            span,
        });
    }
}

fn wrong_type(wanted: impl Display, found: &Found) -> Complaint {
    Complaint::new(format!("this is {}, wanted is {wanted}", found.kind()))
}

fn find_unknown(
    table: &DeTable<'_>,
    path: &str,
    known: &[(&str, &str)],
    lists: &[&str],
    faults: &mut Vec<Fault>,
) {
    for (name, value) in table {
        let key = name.get_ref().as_ref();
        let any = format!("{path}.*");
        let is_any = known.contains(&(any.as_str(), "")) && value.get_ref().as_table().is_some();
        let inner = match path {
            "" => key.to_owned(),
            _ if is_any => any,
            path => format!("{path}.{key}"),
        };
        if known.contains(&(inner.as_str(), "")) {
            let is_list = lists.contains(&inner.as_str());
            match value.get_ref() {
                DeValue::Array(items) if is_list => {
                    for item in items {
                        match item.get_ref().as_table() {
                            Some(table) => find_unknown(table, &inner, known, lists, faults),
                            None => faults.push(not_a_list(&inner, item.get_ref(), item.span())),
                        }
                    }
                }
                other if is_list => faults.push(not_a_list(&inner, other, value.span())),
                DeValue::Table(table) => find_unknown(table, &inner, known, lists, faults),
                other => faults.push(Fault {
                    message: format!("`{inner}` is a section"),
                    label: format!("this is {}, wanted is a table", Found::of(other).kind()),
                    help: Some(format!("write its keys beneath a line `[{inner}]`")),
                    secret: false,
                    span: value.span(),
                }),
            }
        } else if path.is_empty() || !known.contains(&(path, key)) {
            faults.push(unknown(key, path, &inner, value.get_ref(), known, name.span()));
        }
    }
}

fn not_a_list(path: &str, found: &DeValue<'_>, span: Range<usize>) -> Fault {
    Fault {
        message: format!("`{path}` is a list of tables"),
        label: format!("this is {}, wanted are tables", Found::of(found).kind()),
        help: Some(format!("write the keys of each beneath a line `[[{path}]]`")),
        secret: false,
        span,
    }
}

fn unknown(
    key: &str,
    path: &str,
    inner: &str,
    value: &DeValue<'_>,
    known: &[(&str, &str)],
    span: Range<usize>,
) -> Fault {
    let sections = || known.iter().filter(|(_, key)| key.is_empty()).map(|(section, _)| *section);
    let (message, nearest) = if matches!(value, DeValue::Table(_)) {
        (format!("unknown section [{inner}]"), nearest(inner, sections()).map(|name| format!("[{name}]")))
    } else {
        let here = known.iter().filter(|(section, key)| *section == path && !key.is_empty());
        let near = nearest(key, here.map(|(_, key)| *key)).map(|name| format!("`{name}`"));
        let place = if path.is_empty() { "outside of any section".into() } else { format!("in [{path}]") };
        (format!("unknown key `{key}` {place}"), near)
    };
    let elsewhere = known.iter().find(|(section, name)| *name == key && *section != path);
    let help = match (elsewhere, nearest) {
        (Some((section, _)), _) => Some(format!("`{key}` belongs into [{section}]")),
        (None, Some(name)) => Some(format!("did you mean {name}?")),
        (None, None) => None,
    };
    Fault { message, label: "not known".into(), help, secret: false, span }
}

/// The known name that is most like `given`, if any is.
fn nearest<'k>(given: &str, known: impl Iterator<Item = &'k str>) -> Option<&'k str> {
    known
        .map(|name| (strsim::jaro_winkler(given, name), name))
        .filter(|(likeness, _)| *likeness > 0.85)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name)
}
