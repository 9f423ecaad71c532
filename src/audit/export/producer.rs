//! placeholder
/// x
pub struct Export;
/// x
pub struct ExportError;
