//! How long a text is to a person who reads it.

/// Code points of `text` after trimming, other than control and format characters (Unicode categories
/// Cc and Cf): the length of a reason (requirements §2).
#[must_use]
pub fn visible_length(text: &str) -> i64 {
    let visible = text
        .trim_matches(|c: char| c.is_whitespace() || !is_visible(c))
        .chars()
        .filter(|c| is_visible(*c))
        .count();
    i64::try_from(visible).unwrap_or(i64::MAX)
}

fn is_visible(c: char) -> bool {
    !c.is_control() && !is_format(c)
}

/// Category Cf of Unicode 16.
fn is_format(c: char) -> bool {
    matches!(c,
        '\u{AD}' | '\u{600}'..='\u{605}' | '\u{61C}' | '\u{6DD}' | '\u{70F}' | '\u{890}'..='\u{891}'
        | '\u{8E2}' | '\u{180E}' | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}'
        | '\u{2060}'..='\u{2064}' | '\u{2066}'..='\u{206F}' | '\u{FEFF}' | '\u{FFF9}'..='\u{FFFB}'
        | '\u{110BD}' | '\u{110CD}' | '\u{13430}'..='\u{1343F}' | '\u{1BCA0}'..='\u{1BCA3}'
        | '\u{1D173}'..='\u{1D17A}' | '\u{E0001}' | '\u{E0020}'..='\u{E007F}')
}

#[cfg(test)]
mod tests {
    use super::visible_length;

    #[test]
    fn counts_what_can_be_seen() {
        assert_eq!(visible_length("  disk full \n"), 9);
        assert_eq!(visible_length("\u{200B}\u{200B}\u{FEFF} \u{0}"), 0);
        assert_eq!(visible_length("a\u{200D}\u{E0041}\u{7}b"), 2);
        assert_eq!(visible_length("störung №1"), 10);
        assert_eq!(visible_length(""), 0);
    }
}
