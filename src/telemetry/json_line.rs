//! JSON that stays on one line and harmless on a terminal, whatever bytes a client put into it.
//!
//! `serde_json` escapes what JSON demands: quotes, backslashes and C0 controls. That leaves DEL, the C1
//! controls (U+009B begins a terminal sequence), line separators and the marks that turn text around.

use serde::Serialize;
use serde_json::ser::{CompactFormatter, Formatter, Serializer};
use std::io::{self, Write};

/// Appends `value` and a line feed to `out`.
///
/// # Errors
/// When `value` can't be serialised.
pub(super) fn write(out: &mut Vec<u8>, value: &impl Serialize) -> serde_json::Result<()> {
    value.serialize(&mut Serializer::with_formatter(&mut *out, OneLine))?;
    out.push(b'\n');
    Ok(())
}

struct OneLine;

impl Formatter for OneLine {
    fn write_string_fragment<W: ?Sized + Write>(&mut self, out: &mut W, text: &str) -> io::Result<()> {
        if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            return CompactFormatter.write_string_fragment(out, text);
        }
        for c in text.chars() {
            if is_harmless(c) {
                out.write_all(c.encode_utf8(&mut [0; 4]).as_bytes())?;
            } else {
                // All of these are below U+10000, so one escape is enough.
                write!(out, "\\u{:04x}", u32::from(c))?;
            }
        }
        Ok(())
    }
}

fn is_harmless(c: char) -> bool {
    !c.is_control()
        && !matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::write;
    use proptest::prelude::*;

    fn line(text: &str) -> String {
        let mut out = Vec::new();
        write(&mut out, &text).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn escapes_what_moves_the_cursor_or_turns_text() {
        assert_eq!(line("plain \"é\" 橋"), "\"plain \\\"é\\\" 橋\"\n");
        assert_eq!(
            line("\u{1b}[2J\r\n\u{7f}\u{9b}\u{2028}\u{202e}"),
            "\"\\u001b[2J\\r\\n\\u007f\\u009b\\u2028\\u202e\"\n"
        );
    }

    proptest! {
        #[test]
        fn any_text_is_one_line_and_reads_back(text in "\\PC*|[\\x00-\\u{2fff}]*") {
            let line = line(&text);
            prop_assert_eq!(line.lines().count(), 1);
            prop_assert!(line.trim_end_matches('\n').chars().all(|c| !c.is_control()));
            let back: String = serde_json::from_str(&line).unwrap();
            prop_assert_eq!(back, text);
        }
    }
}
