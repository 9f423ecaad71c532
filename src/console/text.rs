//! Text from elsewhere, made safe to look at. Escaping for HTML is the templates' business; this is about
//! characters that change how the text around them reads, or that can't be seen.

/// Spells out what can't be seen or would turn the text around it: control characters (line ends and ANSI escapes
/// among them), direction marks and invisible characters become `\u{…}`, as the backslash becomes `\\`, so that nobody
/// can write the spelling of one. What is shown can thus be read back byte for byte.
#[must_use]
pub fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' => shown.push_str("\\\\"),
            c if is_unseen(c) => shown.extend(c.escape_unicode()),
            c => shown.push(c),
        }
    }
    shown
}

fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}'
                | '\u{34f}'
                | '\u{61c}'
                | '\u{115f}'
                | '\u{1160}'
                | '\u{17b4}'
                | '\u{17b5}'
                | '\u{180b}'..='\u{180f}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{3164}'
                | '\u{fe00}'..='\u{fe0f}'
                | '\u{feff}'
                | '\u{ffa0}'
                | '\u{fff0}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e0fff}'
        )
}

#[cfg(test)]
mod tests {
    use super::visible;
    use proptest::prelude::*;

    #[test]
    fn what_would_act_is_spelt_out() {
        assert_eq!(visible("a\r\nb\u{1b}[31m\0"), r"a\u{d}\u{a}b\u{1b}[31m\u{0}");
        assert_eq!(visible("pay\u{202e}txt.exe"), r"pay\u{202e}txt.exe");
        assert_eq!(visible("\u{feff}a\u{200b}b\u{e0041}"), r"\u{feff}a\u{200b}b\u{e0041}");
        assert_eq!(visible("=cmd() Žižkov 日本 🌉 <b>"), "=cmd() Žižkov 日本 🌉 <b>");
        assert_eq!(visible(r"\u{a}"), r"\\u{a}");
    }

    proptest! {
        /// Two texts that differ are shown differently, and nothing unseen is left.
        #[test]
        fn nothing_unseen_is_left(text in any::<String>()) {
            let shown = visible(&text);
            prop_assert!(!shown.chars().any(super::is_unseen));
            let mut back = String::new();
            let mut rest = shown.chars();
            while let Some(c) = rest.next() {
                if c != '\\' {
                    back.push(c);
                    continue;
                }
                match rest.next() {
                    Some('u') => {
                        let digits: String = rest.by_ref().skip(1).take_while(|c| *c != '}').collect();
                        back.push(char::from_u32(u32::from_str_radix(&digits, 16).unwrap()).unwrap());
                    }
                    _ => back.push('\\'),
                }
            }
            prop_assert_eq!(back, text);
        }
    }
}
