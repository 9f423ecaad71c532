//! The files that pages refer to, in the program itself. Their names carry a digest of their bytes, so that browsers may
//! keep them for good and a new version is a new file.

use http::{HeaderValue, Response, StatusCode, header};
use std::sync::LazyLock;

/// Where they are.
pub const FOLDER: &str = "/platform/assets/";

/// One file.
#[derive(Debug)]
pub struct Asset {
    path: String,
    media_type: &'static str,
    text: &'static str,
}

/// How all pages look.
pub static STYLESHEET: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("console", "css", "text/css; charset=utf-8", include_str!("console.css")));

/// The mark in a browser's tab.
pub static ICON: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("mark", "svg", "image/svg+xml", include_str!("mark.svg")));

impl Asset {
    fn new(stem: &str, extension: &str, media_type: &'static str, text: &'static str) -> Self {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
        let digest = hex::encode(digest.as_ref().get(..8).unwrap_or_default());
        Self { path: format!("{FOLDER}{stem}-{digest}.{extension}"), media_type, text }
    }

    /// Its path on the gateway.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }
}

/// The answer to `GET /platform/assets/{file}`: the file of exactly this name, or `None`.
#[must_use]
pub fn answer(file: &str, https: bool) -> Option<Response<&'static str>> {
    let all = [&*STYLESHEET, &*ICON];
    let asset = all.into_iter().find(|a| a.path.strip_prefix(FOLDER) == Some(file))?;
    let mut response = Response::new(asset.text);
    *response.status_mut() = StatusCode::OK;
    let headers = response.headers_mut();
    *headers = super::security_headers(https, &[]);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(asset.media_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable"));
    Some(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_served_under_its_digest_only() {
        let name = STYLESHEET.path().strip_prefix(FOLDER).unwrap();
        let served = answer(name, true).unwrap();
        assert_eq!(served.headers()[header::CONTENT_TYPE], "text/css; charset=utf-8");
        assert!(served.headers()[header::CACHE_CONTROL].to_str().unwrap().contains("immutable"));
        for other in ["console.css", "", "../master.key", "console-0000000000000000.css"] {
            assert!(answer(other, true).is_none(), "{other}");
        }
    }

    #[test]
    fn the_style_sheet_fetches_nothing() {
        let text = STYLESHEET.text;
        assert!(!text.contains("url(") && !text.contains("@import"), "a page's policy forbids it");
    }
}
