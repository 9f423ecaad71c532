//! E-mail addresses, as far as accounts need them: one spelling to keep and to look up.

/// At most this many bytes (RFC 5321 §4.5.3.1.3, without the angle brackets).
const MAX_BYTES: usize = 254;

/// The form in which an address is kept and looked up: trimmed, in lower case. (That the part before the `@` may tell
/// cases apart, RFC 5321 §2.4, no provider makes use of; accounts that differ by it would be an invitation.)
#[must_use]
pub fn email_key(typed: &str) -> String {
    typed.trim().to_lowercase()
}

/// Whether a text can be an address at all: one `@` with something before and a host behind, no blanks, no control
/// characters. Whether mail arrives there is not asked.
#[must_use]
pub fn is_email(text: &str) -> bool {
    let plain =
        |c: char| !c.is_control() && !c.is_whitespace() && !matches!(c, '<' | '>' | '"' | ',' | ';' | '\\');
    // KELVIN SIGN is another letter than `k` to whoever gives out addresses, and one with it in lower case.
    let alike = |c: char| !c.is_ascii() && c.to_lowercase().any(|low| low.is_ascii());
    let Some((local, host)) = text.split_once('@') else { return false };
    text.len() <= MAX_BYTES
        && !local.is_empty()
        && !host.is_empty()
        && !host.contains('@')
        && !host.starts_with('.')
        && !host.ends_with('.')
        && text.chars().all(|c| plain(c) && !alike(c))
}

#[cfg(test)]
mod tests {
    use super::{email_key, is_email};

    #[test]
    fn one_spelling() {
        assert_eq!(email_key(" Ann@Vendor.Example\t"), "ann@vendor.example");
        assert_eq!(email_key("ÄNN@vendor.example"), "änn@vendor.example");
    }

    #[test]
    fn what_can_be_one() {
        for good in ["ann@vendor.example", "a+b@localhost", "änn@münchen.example"] {
            assert!(is_email(good), "{good}");
        }
        let long = format!("{}@vendor.example", "a".repeat(250));
        for bad in [
            "",
            "ann",
            "@vendor.example",
            "ann@",
            "a@b@c",
            "a b@c",
            "a@b\n",
            "<a@b>",
            "a@.b",
            "a@b.",
            "a@b,c@d",
            long.as_str(),
        ] {
            assert!(!is_email(bad), "{bad}");
        }
    }
}
