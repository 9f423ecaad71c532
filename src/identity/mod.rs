//! Proofs of identity: keys, tokens, the assertion for the upstream.

pub mod assertion;

pub use assertion::{AssertionFor, Assertions};
