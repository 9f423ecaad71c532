//! Where the lines of a log come from.

use super::remote::failed;
use super::{Exit, Trouble};
use crate::app::{Logs, open_logs, open_logs_in};
use crate::audit::export::{Events, Export};
use indicatif::{ProgressBar, ProgressStyle};
use reqwest::Response;
use std::path::Path;

/// Lines of an export, in pieces.
pub(super) enum Pieces {
    /// From the records.
    Local(Box<Export>),
    /// From the records, as events of OCSF.
    Events(Box<Events>),
    /// From a gateway.
    Remote(Box<Response>),
}

impl Pieces {
    /// The next; `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<u8>>, Trouble> {
        match self {
            Self::Local(export) => Ok(export.next().await?.map(String::into_bytes)),
            Self::Events(events) => Ok(events.next().await?.map(String::into_bytes)),
            Self::Remote(answer) => {
                Ok(answer.chunk().await.map_err(|e| failed(&e))?.map(|bytes| bytes.to_vec()))
            }
        }
    }
}

/// Opens the records of --data or --config.
pub(super) async fn records(data: Option<&Path>, config: Option<&Path>) -> Result<Option<Logs>, Trouble> {
    match (data, config) {
        (Some(folder), _) => Ok(Some(open_logs_in(folder).await?)),
        (None, Some(file)) => {
            let config = crate::cli::load_config(file).map_err(Trouble::Said)?;
            Ok(Some(open_logs(&config).await?))
        }
        (None, None) => Ok(None),
    }
}

/// Shows how far it is, when stderr is a terminal.
pub(super) fn bar(what: &str, of: Option<u64>) -> ProgressBar {
    let bar = of.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
    let template = if of.is_some() {
        "{msg} {bar:30} {human_pos}/{human_len} {eta}"
    } else {
        "{msg} {spinner} {human_pos}"
    };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.set_message(what.to_owned());
    bar
}

/// What a verdict ends with.
pub(super) const fn exit(fine: bool) -> Exit {
    if fine { Exit::Ok } else { Exit::Failed }
}
