//! Policies of ten thousand orgs, as a vendor accumulates them: two kinds, one for each org, one of them the
//! org that is measured.

use drawbridge::domain::ids::OrgId;
use std::fmt::Write as _;

/// How many.
pub(crate) const COUNT: usize = 10_000;

/// A file with them.
pub(crate) fn policies(measured: &OrgId) -> String {
    let mut text = String::new();
    for n in 0..COUNT {
        let org = if n == 0 { measured.as_str().to_owned() } else { format!("org_{n:032x}") };
        let policy = if n % 2 == 0 {
            format!(
                "@code(\"OFFICE_HOURS\")\n@status(\"403\")\nforbid (principal is Bot, action in Action::\"write\", resource in Org::\"{org}\") when {{ context.session_age > 864000 }};"
            )
        } else {
            format!(
                "permit (principal is OrgUser, action in Action::\"read\", resource in Org::\"{org}\") when {{ principal.active && principal.orgs.contains(Org::\"{org}\") }};"
            )
        };
        writeln!(text, "@id(\"extra-{n}\")\n{policy}").unwrap();
    }
    text
}
