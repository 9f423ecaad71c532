//! The canonical form of a path: what is not canonical is refused, never normalised, so that the bytes
//! which Cedar judged are the bytes which the upstream reads (architecture §10, "Canonical path").
//!
//! Pure: bytes in, verdict out. A trailing slash is not an empty segment here: `/a/` and `/a` are two
//! different canonical paths (web applications and file servers use both), `/a//b` is none.

/// What makes a path not canonical.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadPath {
    /// Not in origin form (RFC 9112 §3.2.1).
    #[error("the request target must be a path that begins with `/`")]
    NotOrigin,
    /// `//`.
    #[error("the path has an empty segment (`//`)")]
    EmptySegment,
    /// `.` or `..`, plain or escaped.
    #[error("the path has a `.` or `..` segment, plain or escaped")]
    DotSegment,
    /// `%2F`.
    #[error("the path has an escaped `/`")]
    EscapedSlash,
    /// `\`, plain or escaped.
    #[error("the path has a backslash, plain or escaped")]
    Backslash,
    /// A control byte, plain or escaped.
    #[error("the path has a control byte")]
    Control,
    /// `%25` before two hexadecimal digits.
    #[error("the path has a double escape (`%25` before two hexadecimal digits)")]
    DoubleEscape,
    /// `;`.
    #[error("the path has a `;`")]
    Semicolon,
    /// `%` without two hexadecimal digits after it.
    #[error("the path has a `%` without two hexadecimal digits after it")]
    InvalidEscape,
    /// Escapes that decode to something that isn't UTF-8.
    #[error("the path's escapes are not UTF-8")]
    NotUtf8,
    /// A byte that can't stand in a request line.
    #[error("the path has a byte that must be escaped")]
    IllegalByte,
}

/// Whether `path` (without query) is canonical.
///
/// # Errors
/// The first thing that is wrong with it.
pub fn canonical(path: &[u8]) -> Result<(), BadPath> {
    let Some((b'/', rest)) = path.split_first() else { return Err(BadPath::NotOrigin) };
    let mut bytes = rest.iter();
    let mut segment = Segment::default();
    let mut beyond_ascii = false;
    while let Some(&byte) = bytes.next() {
        match byte {
            b'/' => {
                segment.end(true)?;
                segment = Segment::default();
            }
            b'\\' => return Err(BadPath::Backslash),
            b';' => return Err(BadPath::Semicolon),
            b'%' => {
                let decoded = two_digits(bytes.next(), bytes.next())?;
                refuse_decoded(decoded, bytes.as_slice())?;
                segment.push(decoded);
                beyond_ascii |= decoded >= 0x80;
            }
            0..=0x1f | 0x7f => return Err(BadPath::Control),
            b' ' | 0x80.. => return Err(BadPath::IllegalByte),
            plain => segment.push(plain),
        }
    }
    segment.end(false)?;
    // Only escapes can be anything but ASCII here, so most paths need no second look.
    if beyond_ascii { utf8(path) } else { Ok(()) }
}

/// The segment that is being read: how long it is, and whether it is dots only.
#[derive(Default)]
struct Segment {
    length: usize,
    other_than_dot: bool,
}

impl Segment {
    fn push(&mut self, byte: u8) {
        self.length += 1;
        self.other_than_dot |= byte != b'.';
    }
    /// `followed`: a `/` comes next. The last segment may be empty (a trailing slash).
    fn end(&self, followed: bool) -> Result<(), BadPath> {
        match (self.length, self.other_than_dot) {
            (0, _) if followed => Err(BadPath::EmptySegment),
            (1 | 2, false) => Err(BadPath::DotSegment),
            _ => Ok(()),
        }
    }
}

fn two_digits(high: Option<&u8>, low: Option<&u8>) -> Result<u8, BadPath> {
    let digit = |b: Option<&u8>| {
        b.and_then(|b| char::from(*b).to_digit(16))
            .and_then(|d| u8::try_from(d).ok())
            .ok_or(BadPath::InvalidEscape)
    };
    Ok(digit(high)? * 16 + digit(low)?)
}

fn refuse_decoded(decoded: u8, rest: &[u8]) -> Result<(), BadPath> {
    match decoded {
        b'/' => Err(BadPath::EscapedSlash),
        b'\\' => Err(BadPath::Backslash),
        0..=0x1f | 0x7f => Err(BadPath::Control),
        b'%' if rest.len() >= 2 && rest.iter().take(2).all(u8::is_ascii_hexdigit) => {
            Err(BadPath::DoubleEscape)
        }
        _ => Ok(()),
    }
}

fn utf8(path: &[u8]) -> Result<(), BadPath> {
    percent_encoding::percent_decode(path).decode_utf8().map(|_| ()).map_err(|_| BadPath::NotUtf8)
}

#[cfg(test)]
mod tests {
    use super::{BadPath, canonical};
    use proptest::prelude::*;

    #[test]
    fn every_case_of_the_settled_list() {
        for (path, why) in [
            ("", BadPath::NotOrigin),
            ("*", BadPath::NotOrigin),
            ("api/v1", BadPath::NotOrigin),
            ("http://host/api", BadPath::NotOrigin),
            ("//", BadPath::EmptySegment),
            ("//api", BadPath::EmptySegment),
            ("/api//v1", BadPath::EmptySegment),
            ("/.", BadPath::DotSegment),
            ("/..", BadPath::DotSegment),
            ("/api/./v1", BadPath::DotSegment),
            ("/api/../v1", BadPath::DotSegment),
            ("/api/..", BadPath::DotSegment),
            ("/api/%2e%2e/v1", BadPath::DotSegment),
            ("/api/.%2E/v1", BadPath::DotSegment),
            ("/api/%2e", BadPath::DotSegment),
            ("/api%2fv1", BadPath::EscapedSlash),
            ("/api%2Fv1", BadPath::EscapedSlash),
            ("/api\\v1", BadPath::Backslash),
            ("/api/..\\v1", BadPath::Backslash),
            ("/api%5Cv1", BadPath::Backslash),
            ("/api%5cv1", BadPath::Backslash),
            ("/api%00", BadPath::Control),
            ("/api%0d%0aX:1", BadPath::Control),
            ("/api%7f", BadPath::Control),
            ("/api\u{7f}", BadPath::Control),
            ("/api/%252e%252e", BadPath::DoubleEscape),
            ("/api%252Fv1", BadPath::DoubleEscape),
            ("/api%2541", BadPath::DoubleEscape),
            ("/api;x=1", BadPath::Semicolon),
            ("/api/..;/v1", BadPath::Semicolon),
            ("/api%", BadPath::InvalidEscape),
            ("/api%2", BadPath::InvalidEscape),
            ("/api%zz", BadPath::InvalidEscape),
            ("/api%2/v1", BadPath::InvalidEscape),
            ("/api%ff", BadPath::NotUtf8),
            ("/api%c3", BadPath::NotUtf8),
            ("/api%c3x", BadPath::NotUtf8),
            ("/%c3/%a9", BadPath::NotUtf8),
            ("/%c0%ae%c0%ae/x", BadPath::NotUtf8),
            ("/a b", BadPath::IllegalByte),
            ("/caf\u{e9}", BadPath::IllegalByte),
        ] {
            assert_eq!(canonical(path.as_bytes()), Err(why), "{path:?}");
        }
    }

    #[test]
    fn what_passes() {
        for path in [
            "/",
            "/api/v1/cameras",
            "/api/v1/cameras/",
            "/...",
            "/.well-known/x",
            "/a.b/..c/d..",
            "/caf%C3%A9",
            "/a%20b",
            "/100%25",
            "/100%25-off",
            "/100%25/9",
            "/100%25a",
            "/a%3Bb",
            "/Platform/ping",
            "/~x/a+b=c,d@e:f!$&'()*",
        ] {
            assert_eq!(canonical(path.as_bytes()), Ok(()), "{path:?}");
        }
    }

    /// A decoder as an upstream might have it: decode again and again, treat `\` as `/`, resolve dots.
    fn as_a_careless_upstream_reads(path: &str) -> Vec<String> {
        let mut text = path.to_owned();
        for _ in 0..3 {
            text = percent_encoding::percent_decode_str(&text).decode_utf8_lossy().into_owned();
        }
        let mut out: Vec<String> = Vec::new();
        for segment in text.replace('\\', "/").split('/').skip(1) {
            match segment.split(';').next().unwrap_or("") {
                ".." => {
                    out.pop();
                }
                "." => {}
                other => out.push(other.to_owned()),
            }
        }
        out
    }

    proptest! {
        #[test]
        fn never_panics(path in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = canonical(&path);
        }

        /// Whoever decodes a canonical path, however often, finds the segments that stand in it.
        #[test]
        fn a_canonical_path_has_one_reading(path in "/([a.%/\\\\;2efF5cC0-9]|%2[5eEfF]|%5[cC]|\\.\\.|/){0,12}") {
            if canonical(path.as_bytes()).is_ok() {
                let plain: Vec<String> = path
                    .split('/')
                    .skip(1)
                    .map(|s| percent_encoding::percent_decode_str(s).decode_utf8_lossy().into_owned())
                    .collect();
                prop_assert_eq!(as_a_careless_upstream_reads(&path).len(), plain.len());
            }
        }

        #[test]
        fn plain_segments_pass(segments in proptest::collection::vec("[a-zA-Z0-9_~-]{1,8}", 1..6)) {
            let path = format!("/{}", segments.join("/"));
            prop_assert_eq!(canonical(path.as_bytes()), Ok(()));
        }
    }
}
