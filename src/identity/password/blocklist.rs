//! What everybody tries first: a kept list of common passwords, and what people make of them when twelve characters
//! are asked for.

use std::collections::HashSet;
use std::sync::LazyLock;

/// See the head of the file.
const LIST: &str = include_str!("common.txt");
/// Above this length, two common words in a row are no longer among the first that are tried.
const TWO_WORDS: usize = 20;
/// Ways along a keyboard or an alphabet.
const WALKS: [&str; 6] = [
    "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz",
    "01234567890123456789012345678901234567890",
    "qwertyuiopasdfghjklzxcvbnm",
    "qwertzuiopasdfghjklyxcvbnm",
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik,9ol.0p;/",
    "q1w2e3r4t5y6u7i8o9p0",
];
/// The shortest piece that counts as a way.
const STEP: usize = 4;

static COMMON: LazyLock<HashSet<&'static str>> =
    LazyLock::new(|| LIST.lines().filter(|line| !line.starts_with("# ")).collect());

/// Whether a password in lower case is one of the first that anybody would try.
pub(super) fn is_common(lower: &str) -> bool {
    let plain = without_leet(lower);
    // Of digits and signs alone nothing is left.
    let texts = [lower, plain.as_str()].into_iter().filter(|text| text.chars().count() >= STEP);
    texts.into_iter().any(|text| listed(text) || repeats(text) || is_walk(text) || two_words(text))
}

/// On the list, as it is or without what is hung on for length: digits and signs at either end.
fn listed(text: &str) -> bool {
    let core = text.trim_matches(|c: char| !c.is_alphabetic());
    COMMON.contains(text) || (core.chars().count() >= 4 && COMMON.contains(core))
}

/// One piece over and over: a short one, or a common one.
fn repeats(text: &str) -> bool {
    let signs: Vec<char> = text.chars().collect();
    (1..=signs.len() / 2).filter(|unit| signs.len().is_multiple_of(*unit)).any(|unit| {
        let Some((first, rest)) = signs.split_at_checked(unit) else { return false };
        let same = rest.chunks(unit).all(|piece| piece == first);
        same && (unit <= STEP || listed(&first.iter().collect::<String>()))
    })
}

/// Nothing but ways along a keyboard, an alphabet or the digits, there or back, at most three.
fn is_walk(text: &str) -> bool {
    let mut rest = text;
    for _ in 0..3 {
        let taken = WALKS
            .iter()
            .flat_map(|way| [(*way).to_owned(), way.chars().rev().collect()])
            .filter_map(|way| longest_piece(rest, &way))
            .max()
            .unwrap_or_default();
        rest = rest.get(taken..).unwrap_or_default();
        if taken == 0 || rest.is_empty() {
            break;
        }
    }
    rest.chars().count() < 2
}

/// How many bytes at the beginning of `text` lie on `way`.
fn longest_piece(text: &str, way: &str) -> Option<usize> {
    let mut ends = text.char_indices().map(|(at, c)| at + c.len_utf8()).skip(STEP - 1).collect::<Vec<_>>();
    ends.reverse();
    ends.into_iter().find(|end| text.get(..*end).is_some_and(|piece| way.contains(piece)))
}

/// Two common words, with digits and signs between and around them.
fn two_words(text: &str) -> bool {
    let letters: String = text.chars().filter(|c| c.is_alphabetic()).collect();
    let length = text.chars().count();
    let mostly = letters.chars().count() * 3 >= length * 2;
    length < TWO_WORDS
        && mostly
        && letters.char_indices().any(|(at, _)| {
            let (Some(one), Some(other)) = (letters.get(..at), letters.get(at..)) else { return false };
            COMMON.contains(one) && COMMON.contains(other)
        })
}

/// `p4$$w0rd` is `password`.
fn without_leet(text: &str) -> String {
    let plain = |c| match c {
        '0' => 'o',
        '1' | '!' => 'i',
        '3' => 'e',
        '4' | '@' => 'a',
        '5' | '$' => 's',
        '7' => 't',
        other => other,
    };
    // Digits at the end are a number that is hung on.
    let core = text.trim_end_matches(|c: char| !c.is_alphabetic());
    core.chars().map(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn s_04_three_thousand_common_ones_of_twelve_and_more() {
        let words: Vec<&str> = LIST.lines().filter(|line| !line.starts_with("# ")).collect();
        let mut tried = BTreeSet::new();
        tried.extend(words.iter().filter(|word| word.chars().count() >= 12).map(|word| (*word).to_owned()));
        let real = tried.len();
        for word in words.iter().filter(|word| word.chars().all(char::is_alphabetic)).take(700) {
            for end in ["123", "1234", "12345", "2024", "2025!", "2026", "!!!", "1234567890"] {
                tried.insert(format!("{word}{end}"));
            }
            tried.insert(word.repeat(2));
            tried.insert(word.repeat(3));
        }
        tried.retain(|text| text.chars().count() >= 12);
        assert!(real >= 100 && tried.len() >= 3_000, "{real} of the list, {} in all", tried.len());
        let passed: Vec<_> = tried.iter().filter(|text| !is_common(text)).collect();
        assert!(passed.is_empty(), "{} pass: {:?}", passed.len(), &passed[..passed.len().min(20)]);
    }

    #[test]
    fn what_people_make_of_them() {
        for common in [
            "password1234",
            "p4$$w0rd2026",
            "passwordpassword",
            "letmein-letmein",
            "qwertyuiop123",
            "123456789012",
            "abcdefghijklm",
            "aaaaaaaaaaaaa",
            "abcabcabcabc",
            "zxcvbnmasdfgh",
            "iloveyou-monkey",
            "1qaz2wsx3edc",
            "098765432109",
            "!!password!!",
        ] {
            assert!(is_common(common), "{common}");
        }
    }

    #[test]
    fn what_is_not_common() {
        for fine in [
            "correct horse battery staple",
            "kq7-zt2+mx9w",
            "759204186372",
            "zkwqxnvbtrpl",
            "a quiet river under willows",
            "seven blue lamps hum",
            "grüne äpfel im regen",
        ] {
            assert!(!is_common(fine), "{fine}");
        }
    }
}
