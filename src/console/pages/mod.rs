//! One page each: what it shows, as data for its template. `sample` is one that is filled in, for the tests of all
//! pages (labels, headings, ids, nesting).

mod account;
mod admins;
mod audit_log;
mod orgs;
mod person;
mod setup;

pub use account::{BackupCodesPage, EnrolPage, MePage, PasswordPage, SecondFactorPage, ShownOnce};
pub use admins::{AdminPage, AdminsPage, InitialPasswordPage, NewAdminPage, User};
pub use audit_log::{AuditLogPage, FilterFields, ShownEntry, shown_time};
pub use orgs::{NewOrgPage, OrgsPage, ShownOrg};
pub use person::{ProfileOrg, ProfilePage, ProvidersPage, SignedOutPersonPage};
pub use setup::{SetupPage, SignedOutPage};

#[cfg(test)]
mod tests;
