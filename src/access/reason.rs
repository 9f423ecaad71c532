//! The reason that staff give, and what of it counts.

/// A reason as given, trimmed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason(String);

impl Reason {
    /// Trims; a missing one is empty.
    #[must_use]
    pub fn new(given: Option<&str>) -> Self {
        Self(given.unwrap_or_default().trim_matches(|c: char| c.is_whitespace() || !counts(c)).to_owned())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// How many code points count: all but control and format characters (Unicode Cc and Cf).
    #[must_use]
    pub fn visible(&self) -> i64 {
        i64::try_from(self.0.chars().filter(|c| counts(*c)).count()).unwrap_or(i64::MAX)
    }

    /// A `ticket=…` inside the reason (requirements §4).
    #[must_use]
    pub fn ticket(&self) -> Option<&str> {
        let rest = self.0.split_once("ticket=")?.1;
        rest.split(|c: char| c.is_whitespace() || c == ',' || c == ';').next().filter(|t| !t.is_empty())
    }
}

fn counts(c: char) -> bool {
    !c.is_control() && !is_format(c)
}

/// Unicode general category Cf (Unicode 16.0, DerivedGeneralCategory.txt).
fn is_format(c: char) -> bool {
    matches!(u32::from(c),
        0xAD | 0x600..=0x605 | 0x61C | 0x6DD | 0x70F | 0x890..=0x891 | 0x8E2 | 0x180E
        | 0x200B..=0x200F | 0x202A..=0x202E | 0x2060..=0x2064 | 0x2066..=0x206F | 0xFEFF
        | 0xFFF9..=0xFFFB | 0x110BD | 0x110CD | 0x13430..=0x1343F | 0x1BCA0..=0x1BCA3
        | 0x1D173..=0x1D17A | 0xE0001 | 0xE0020..=0xE007F)
}

#[cfg(test)]
mod tests {
    use super::Reason;

    #[test]
    fn only_what_can_be_seen_counts() {
        assert_eq!(Reason::new(None).visible(), 0);
        assert_eq!(Reason::new(Some("  ten chars! \n")).visible(), 10);
        assert_eq!(
            Reason::new(Some("a\u{200b}\u{200b}\u{200b}\u{200b}\u{200b}\u{200b}\u{200b}\u{200b}b")).visible(),
            2
        );
        assert_eq!(Reason::new(Some("\u{feff}\u{202e}          \u{2066}")).visible(), 0);
        assert_eq!(Reason::new(Some("Störung bei Kunde №7")).visible(), 20);
    }

    #[test]
    fn a_ticket_inside_the_reason() {
        assert_eq!(Reason::new(Some("left the company, ticket=HR-12, today")).ticket(), Some("HR-12"));
        assert_eq!(Reason::new(Some("no ticket")).ticket(), None);
    }
}
