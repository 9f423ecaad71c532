//! JSON on one line that looks like what it is, whatever bytes it tells of.

use crate::store::StoreError;
use serde::Serialize;
use serde_json::ser::Formatter;
use std::io;

/// `value` as one line of JSON. Besides what JSON asks for, everything is escaped that a terminal, an editor or a
/// bidirectional renderer would act on instead of showing it.
pub(super) fn line(value: &impl Serialize) -> Result<String, StoreError> {
    let mut bytes = Vec::with_capacity(1024);
    value
        .serialize(&mut serde_json::Serializer::with_formatter(&mut bytes, Visible))
        .map_err(|e| StoreError::Corrupt(format!("an entry can't be written out: {e}")))?;
    String::from_utf8(bytes).map_err(|e| StoreError::Corrupt(format!("an entry can't be written out: {e}")))
}

/// DEL and C1 controls, bidirectional marks, embeddings and isolates, line and paragraph separators,
/// zero-width and other invisible format characters, tags.
const fn hides(c: char) -> bool {
    matches!(c,
        '\u{7f}'..='\u{9f}' | '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

struct Visible;

impl Formatter for Visible {
    fn write_string_fragment<W: ?Sized + io::Write>(&mut self, writer: &mut W, text: &str) -> io::Result<()> {
        if text.bytes().all(|b| b < 0x7f) {
            return writer.write_all(text.as_bytes());
        }
        let mut buffer = [0; 4];
        for c in text.chars() {
            if hides(c) {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    write!(writer, "\\u{unit:04x}")?;
                }
            } else {
                writer.write_all(c.encode_utf8(&mut buffer).as_bytes())?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn hostile_bytes_stay_on_one_line_and_come_back() {
        let hostile =
            "a\r\nb\u{1b}[31m\0\u{202E}c\u{2066}\u{2069}\u{7f}\u{9f}\u{2028}\u{e0041}é\u{1f600}\"\\";
        let text = line(&hostile).unwrap();
        let hidden = |c: char| c.is_control() || hides(c);
        assert!(!text.contains(hidden), "{text}");
        assert!(text.contains("\\u202e") && text.contains("\\udb40\\udc41") && text.contains('é'));
        assert_eq!(serde_json::from_str::<String>(&text).unwrap(), hostile);
    }

    proptest! {
        #[test]
        fn any_text_comes_back(given in any::<String>()) {
            let text = line(&given).unwrap();
            prop_assert!(!text.contains(char::is_control));
            prop_assert_eq!(serde_json::from_str::<String>(&text).unwrap(), given);
        }
    }
}
