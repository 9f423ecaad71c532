//! What may be a password: long enough, and not what everybody tries first. No rule about kinds of characters.

use super::blocklist;

/// Code points at least. Together with a second factor 8 would do (NIST 800-63B-4 §3.1.1.2); NovaVMS says 12.
const MIN_CHARS: usize = 12;
/// Bytes at most: whoever asks for a megabyte to be hashed asks for trouble.
const MAX_BYTES: usize = 1024;
/// Shorter words of the context would hit by chance.
const MIN_WORD: usize = 4;

/// Why a text can't be a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PasswordFault {
    /// Fewer than twelve code points.
    #[error("is shorter than 12 characters: take a longer one, for example four words")]
    Short,
    /// More than 1,024 bytes.
    #[error("is longer than 1024 bytes: take a shorter one")]
    Long,
    /// Everybody tries it first.
    #[error("is among the first that anybody would try: take another, for example four words")]
    Common,
    /// Little more than the name of the product or of the person.
    #[error(
        "is little more than the name of the product, yours or your address: take one that says nothing of them"
    )]
    Context,
    /// The one that is to be replaced.
    #[error("is the password that is to be replaced: take another")]
    Same,
}

impl PasswordFault {
    /// The same as a text for an answer.
    #[must_use]
    pub const fn told(self) -> &'static str {
        match self {
            Self::Short => "is shorter than 12 characters: take a longer one, for example four words",
            Self::Long => "is longer than 1024 bytes: take a shorter one",
            Self::Common => "is among the first that anybody would try: take another, for example four words",
            Self::Context => {
                "is little more than the name of the product, yours or your address: take one that says nothing of them"
            }
            Self::Same => "is the password that is to be replaced: take another",
        }
    }
}

/// Whose password it is to be.
#[derive(Debug, Clone, Copy)]
pub struct Whose<'a> {
    /// E-mail.
    pub email: &'a str,
    /// Name.
    pub display_name: &'a str,
}

/// The rules, with the words of this installation.
#[derive(Debug, Clone)]
pub struct PasswordRules {
    words: Vec<String>,
}

impl PasswordRules {
    /// `words`: what an attacker of this installation would try (names of the company, of products), beside the
    /// name of this program.
    #[must_use]
    pub fn new(words: &[String]) -> Self {
        let own = ["drawbridge".to_owned()];
        Self { words: own.iter().chain(words).map(|word| word.to_lowercase()).collect() }
    }

    /// Whether `new` may be the password of `whose`.
    ///
    /// # Errors
    /// [`PasswordFault`].
    pub fn check(&self, new: &str, whose: Whose<'_>) -> Result<(), PasswordFault> {
        if new.len() > MAX_BYTES {
            return Err(PasswordFault::Long);
        }
        if new.chars().count() < MIN_CHARS {
            return Err(PasswordFault::Short);
        }
        let lower = new.to_lowercase();
        if blocklist::is_common(&lower) {
            return Err(PasswordFault::Common);
        }
        // Without what an attacker knows, the rest has to be one by itself.
        let rest = self.without_context(&lower, whose);
        if rest.chars().count() < MIN_CHARS && rest != lower {
            return Err(PasswordFault::Context);
        }
        Ok(())
    }

    fn without_context(&self, lower: &str, whose: Whose<'_>) -> String {
        let local = whose.email.split('@').next().unwrap_or_default().to_lowercase();
        let name = whose.display_name.to_lowercase();
        let separators = |c: char| !c.is_alphanumeric();
        let mut words: Vec<&str> = self.words.iter().map(String::as_str).collect();
        words.push(&local);
        words.extend(local.split(separators));
        words.extend(name.split(separators));
        words.retain(|word| word.chars().count() >= MIN_WORD);
        // The longest first: `ann.example` before `example`.
        words.sort_by_key(|word| std::cmp::Reverse(word.len()));
        words.iter().fold(lower.to_owned(), |rest, word| rest.replace(word, ""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use PasswordFault::{Common, Context, Long, Short};

    const ANN: Whose<'_> = Whose { email: "ann.lowbridge@vendor.example", display_name: "Ann Lowbridge" };

    fn check(new: &str) -> Result<(), PasswordFault> {
        PasswordRules::new(&["NovaVMS".to_owned()]).check(new, ANN)
    }

    #[test]
    fn s_01_twelve_code_points_are_enough_and_eleven_are_not() {
        assert_eq!(check("kq7-Zt2+mX9"), Err(Short));
        assert_eq!(check("kq7-Zt2+mX9w"), Ok(()));
        let emoji = ["🦀", "🌉", "🔑", "🧭", "🪵", "🐎", "🔋", "📎", "🌧", "🎻", "🥨", "🛶"];
        assert_eq!(check(&emoji[..11].concat()), Err(Short));
        assert_eq!(check(&emoji.concat()), Ok(()));
        assert_eq!(check(&" \u{e4}\u{f6}\u{fc}qjv7".repeat(2)), Ok(()));
    }

    #[test]
    fn s_02_long_ones_are_taken_whole() {
        let long = |n: usize| {
            (0..n)
                .map(|i| char::from(b'!' + u8::try_from((i * 7 + i / 90) % 90).unwrap()))
                .collect::<String>()
        };
        assert_eq!(check(&long(64)), Ok(()));
        assert_eq!(check(&long(128)), Ok(()));
        assert_eq!(check(&long(1024)), Ok(()));
        assert_eq!(check(&long(1025)), Err(Long));
    }

    #[test]
    fn s_03_no_kinds_of_characters_are_asked_for() {
        for plain in
            ["correct horse battery staple", "a quiet river under willows", "759204186372", "ZKWQXNVBTRPL"]
        {
            assert_eq!(check(plain), Ok(()), "{plain}");
        }
    }

    #[test]
    fn s_04_words_of_the_context() {
        for bad in [
            "drawbridge2026!",
            "Drawbridge-NovaVMS",
            "ann.lowbridge77",
            "Lowbridge!Lowbridge!",
            "NOVAVMS-9-NOVAVMS",
            "my-drawbridge-pw",
        ] {
            assert_eq!(check(bad), Err(Context), "{bad}");
        }
        assert_eq!(check("drawbridge over seven swans"), Ok(()), "the rest is one by itself");
        assert_eq!(check("password1234"), Err(Common));
    }
}
