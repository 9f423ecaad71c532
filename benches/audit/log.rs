//! A great log: how fast it is made, what it takes on the disk, and what reading it costs.

use super::engine::{Engine, Store};
use super::fill::{Filled, fill};
use super::options::Options;
use super::{commands, pages, trees};
use drawbridge::audit::tree::LogName;
use std::fmt::Write as _;

/// Measures and tells, engine by engine.
pub(crate) async fn measure(options: &Options) {
    for engine in options.engines(&[Engine::Sqlite]) {
        eprintln!("{}: a log of {} entries", engine.name(), options.entries());
        let mut store = Store::open(engine, options.data.as_deref()).await;
        let filled = fill(&store, options.entries()).await;
        println!("\n{}: {}", engine.name(), made(&store, &filled).await);
        println!("{}", pages::table(&mut store, filled.end).await);
        println!("{}", trees::table(&mut store, &filled.reader).await);
        let platform = filled.reader.head(&LogName::Platform).await.unwrap().expect("a log").edge.size();
        // The folder is free for the program's own commands.
        let lines = filled.lines;
        drop(filled);
        println!("{}", commands::rows(&mut store, platform, lines));
    }
}

async fn made(store: &Store, filled: &Filled) -> String {
    let mut text = format!("{} entries", filled.lines);
    for head in filled.reader.heads().await.unwrap() {
        write!(text, ", {} in {}", head.edge.size(), head.log).unwrap();
    }
    let size = store.size();
    write!(
        text,
        ".\nOn the disk {:.2} GB: {:.0} bytes an entry",
        size as f64 / 1e9,
        size as f64 / filled.lines as f64
    )
    .unwrap();
    if let Some(made) = &filled.made {
        write!(
            text,
            ". Made in {:.0} s ({:.0} entries/s); at most {} transactions had no place, and all {:.1} s after the last",
            made.took.as_secs_f64(),
            filled.lines as f64 / made.took.as_secs_f64(),
            made.behind,
            made.caught_up.as_secs_f64(),
        )
        .unwrap();
    }
    text
}
