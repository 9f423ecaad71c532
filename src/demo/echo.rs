//! `/api/v1/echo`: what reached the upstream, for anybody who wants to see what the gateway does to a request.

use super::Refusal;
use axum::Json;
use axum::body::Body;
use axum::extract::{OriginalUri, Request};
use futures_util::StreamExt;
use serde_json::{Value, json};

/// Answers with method, target, headers, and length and SHA-256 of the body, which is read as a stream and
/// never held. The target is the request line's, byte for byte; header names are lower-case, in order of
/// arrival, with repeated ones next to each other (that is how `http::HeaderMap` keeps them); bytes
/// of a value that aren't ASCII are shown as `\xNN`.
pub(super) async fn echo(OriginalUri(target): OriginalUri, request: Request) -> Result<Json<Value>, Refusal> {
    let (parts, body) = request.into_parts();
    let headers: Vec<[String; 2]> = parts
        .headers
        .iter()
        .map(|(name, value)| [name.as_str().to_owned(), printable(value.as_bytes())])
        .collect();
    let (length, sha256) = digest(body).await?;
    Ok(Json(json!({
        "method": parts.method.as_str(),
        "target": target.to_string(),
        "version": format!("{:?}", parts.version),
        "headers": headers,
        "body": { "length": length, "sha256": sha256 },
    })))
}

fn printable(bytes: &[u8]) -> String {
    use std::fmt::Write;
    let mut text = String::with_capacity(bytes.len());
    for &byte in bytes {
        if matches!(byte, b' '..=b'~' | b'\t') {
            text.push(char::from(byte));
        } else {
            // Writing to a string can't fail.
            let _ = write!(text, "\\x{byte:02x}");
        }
    }
    text
}

async fn digest(body: Body) -> Result<(u64, String), Refusal> {
    let mut hash = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
    let mut length = 0_u64;
    let mut chunks = body.into_data_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| Refusal::BrokenBody)?;
        length = length.saturating_add(chunk.len() as u64);
        hash.update(&chunk);
    }
    Ok((length, hex::encode(hash.finish())))
}
