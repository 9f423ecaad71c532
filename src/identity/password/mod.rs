//! Passwords of platform accounts: what may be one (NIST 800-63B-4 §3.1.1.2, ASVS 6.2), how one is kept, and the
//! initial ones that the server makes.
//!
//! [`PasswordRules`] is pure; [`Hasher`] bounds how many are hashed at once; [`initial_password`] draws one.

mod blocklist;
mod hasher;
mod rules;

pub use hasher::{HashError, Hasher, Place, Verdict};
pub use rules::{PasswordFault, PasswordRules, Whose};

use crate::domain::Secret;

/// 64 signs without look-alikes (no `0 O 1 l I`), none of which a shell, JSON or HTML takes for its own.
const INITIAL: &[u8; 64] = b"abcdefghijkmnopqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789-_+=@%:";
/// Signs of an initial password: 96 random bits.
const INITIAL_LENGTH: usize = 16;

/// A random initial password of 16 signs (requirements §4); `None` when the system gives no random bytes.
#[must_use]
pub fn initial_password() -> Option<Secret> {
    let mut bytes = [0_u8; INITIAL_LENGTH];
    aws_lc_rs::rand::fill(&mut bytes).ok()?;
    let signs = bytes.iter().filter_map(|byte| INITIAL.get(usize::from(byte & 63)));
    Some(Secret::new(signs.map(|sign| char::from(*sign)).collect::<String>()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn s_06_initial_passwords_are_random_and_easily_read() {
        assert_eq!(INITIAL.iter().collect::<BTreeSet<_>>().len(), 64);
        let all: BTreeSet<String> =
            (0..200).map(|_| initial_password().unwrap().expose().to_owned()).collect();
        assert_eq!(all.len(), 200);
        let signs: BTreeSet<char> = all.iter().flat_map(|one| one.chars()).collect();
        assert_eq!(signs.len(), 64, "each sign comes up");
        assert!(
            all.iter()
                .all(|one| one.len() == 16 && !one.contains(['0', 'O', '1', 'l', 'I', '"', '\'', '<', '&']))
        );
    }
}
