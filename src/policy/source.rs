//! Reading the two folders: the files that make a set, in a fixed order, and the hash over them.

use super::engine::PolicyFolders;
use super::fault::Fault;
use aws_lc_rs::digest;
use std::fs;
use std::path::Path;
use std::sync::Arc;

/// One file as it was read.
#[derive(Debug, Clone)]
pub(super) struct SourceFile {
    /// Path to show.
    pub(super) path: String,
    /// Name within its folder.
    pub(super) name: String,
    /// Contents.
    pub(super) text: String,
}

impl SourceFile {
    /// Line and column of a byte offset, both counted from 1, the column in characters.
    pub(super) fn line_column(&self, offset: usize) -> (usize, usize) {
        let before = self.text.get(..offset).unwrap_or(&self.text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        (line, column)
    }
}

/// Everything that decides: nothing but `*.cedar` and `*.cedarschema`.
#[derive(Debug, Clone, Default)]
pub(super) struct Sources {
    /// `*.cedar`, by name.
    pub(super) policies: Vec<SourceFile>,
    /// `*.cedarschema`, by name.
    pub(super) schemas: Vec<SourceFile>,
}

impl Sources {
    /// Reads both folders.
    ///
    /// # Errors
    /// A fault for each folder or file that can't be read, and for each folder without a file.
    pub(super) fn read(folders: &PolicyFolders) -> Result<Self, Vec<Fault>> {
        let mut faults = Vec::new();
        let policies = folder(&folders.policies, "cedar", &mut faults);
        let schemas = folder(&folders.schemas, "cedarschema", &mut faults);
        if faults.is_empty() { Ok(Self { policies, schemas }) } else { Err(faults) }
    }

    /// SHA-256 over names and contents, each with its length before it, hexadecimal.
    pub(super) fn hash(&self) -> Arc<str> {
        let mut context = digest::Context::new(&digest::SHA256);
        for file in self.schemas.iter().chain(&self.policies) {
            for part in [&file.name, &file.text] {
                context.update(&(part.len() as u64).to_be_bytes());
                context.update(part.as_bytes());
            }
        }
        hex::encode(context.finish()).into()
    }
}

fn folder(path: &Path, extension: &str, faults: &mut Vec<Fault>) -> Vec<SourceFile> {
    let shown = path.display().to_string();
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) => {
            faults.push(Fault::of_path(shown, format!("the folder can't be read: {error}")));
            return Vec::new();
        }
    };
    let mut paths: Vec<_> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|p| p.extension().is_some_and(|e| e == extension) && !hidden(p) && p.is_file())
        .collect();
    paths.sort();
    let before = faults.len();
    let files: Vec<_> = paths
        .iter()
        .filter_map(|p| match fs::read_to_string(p) {
            Ok(text) => Some(SourceFile {
                path: p.display().to_string(),
                name: p.file_name().unwrap_or_default().to_string_lossy().into_owned(),
                text,
            }),
            Err(error) => {
                faults.push(Fault::of_path(
                    p.display().to_string(),
                    format!("the file can't be read: {error}"),
                ));
                None
            }
        })
        .collect();
    if files.is_empty() && faults.len() == before {
        faults.push(
            Fault::of_path(shown, format!("the folder holds no `*.{extension}` file"))
                .help("an empty set would refuse everything; give the folder that holds the files"),
        );
    }
    files
}

/// Editors' temporary files (`.#x`, `.x.swp`) are no policies.
fn hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|n| n.to_string_lossy().starts_with('.'))
}
