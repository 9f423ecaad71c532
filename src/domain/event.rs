//! What the audit logs tell, by its fixed name (requirements §3), and why a grant ended (§2).

use serde::{Deserialize, Serialize};

macro_rules! names {
    ($(#[$doc:meta])* $enum:ident { $($(#[$vdoc:meta])* $variant:ident = $name:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum $enum { $($(#[$vdoc])* #[serde(rename = $name)] $variant,)* }

        impl $enum {
            /// All of them, in the order of the requirements.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name as it is written in entries and answers.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// The value with this name.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|v| v.as_str() == name)
            }
        }

        impl std::fmt::Display for $enum {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { f.write_str(self.as_str()) }
        }
    };
}

names! {
    /// The name of an audit event.
    Event {
        /// A platform user signed in, or the operator issued them a token.
        PlatformLogin = "platform.login",
        /// A sign-in, or a step-up within a session, was refused.
        PlatformLoginFailed = "platform.login_failed",
        /// A platform user signed out.
        PlatformLogout = "platform.logout",
        /// A platform account got another password: its own, or a new initial one.
        PasswordChanged = "platform.password_changed",
        /// A second factor was enrolled, or its backup codes were made anew.
        SecondFactorEnabled = "platform.2fa_enabled",
        /// An account's second factor was taken away by somebody else.
        SecondFactorReset = "platform.2fa_reset",
        /// A backup code stood in for the second factor.
        BackupCodeUsed = "platform.backup_code_used",
        /// A platform account was created.
        PlatformUserCreated = "platform.user_created",
        /// A platform account was disabled.
        PlatformUserDisabled = "platform.user_disabled",
        /// A platform account was enabled again.
        PlatformUserEnabled = "platform.user_enabled",
        /// An impersonation was minted.
        ImpersonationStarted = "platform.impersonation_started",
        /// A mint was refused.
        ImpersonationDenied = "platform.impersonation_denied",
        /// An impersonation ended; carries `revoke_reason` and its last running number.
        ImpersonationEnded = "platform.impersonation_ended",
        /// A request under an impersonation, permitted or refused.
        ImpersonatedRequest = "platform.impersonated_request",
        /// A platform credential was refused.
        AccessDenied = "platform.access_denied",
        /// Org metadata was listed or searched.
        OrgsRead = "platform.orgs_read",
        /// An org was registered.
        OrgCreated = "platform.org_created",
        /// The installation has its first platform admin: the setup gate is shut for good.
        SetupDone = "platform.setup_done",
        /// Another key signs tokens from now on.
        KeysRotated = "platform.keys_rotated",
        /// The owner's switch was set.
        SupportAccessChanged = "org.support_access_changed",
        /// A customer's person signed in with their provider.
        OrgLogin = "org.login",
        /// A sign-in with a provider was refused.
        OrgLoginFailed = "org.login_failed",
        /// A customer's person signed out.
        OrgLogout = "org.logout",
        /// A person of a customer was created by their first sign-in, or linked to it.
        OrgUserCreated = "org.user_created",
        /// A person of a customer was activated or deactivated.
        OrgUserChanged = "org.user_changed",
        /// A member was added to an org.
        MemberAdded = "org.member_added",
        /// A request with a person's or a bot's credential (attribution).
        OrgRequest = "org.request",
        /// A request of the customer's own people or machines was refused.
        OrgAccessDenied = "org.access_denied",
        /// An API token was issued.
        TokenCreated = "token.created",
        /// An API token was revoked.
        TokenRevoked = "token.revoked",
        /// Entries have expired, and left a log.
        AuditExpired = "audit.expired",
        /// The database refused to change or delete what the logs hold.
        AuditChangeRefused = "audit.change_refused",
        /// Entries are kept for longer or shorter.
        RetentionChanged = "audit.retention_changed",
        /// A new policy set is in force.
        PolicyReloaded = "policy.reloaded",
        /// A policy set was refused; the old one stays in force.
        PolicyRejected = "policy.rejected",
    }
}

names! {
    /// Why an impersonation (or another session) ended.
    RevokeReason {
        /// The platform user ended it.
        EndedByActor = "ended_by_actor",
        /// The platform user signed out.
        Logout = "logout",
        /// Its time was over.
        Expired = "expired",
        /// The owner switched support access off.
        SupportAccessDisabled = "support_access_disabled",
        /// The owner or an org admin ended this one.
        EndedByCustomer = "ended_by_customer",
        /// The platform user was disabled.
        PlatformUserDisabled = "platform_user_disabled",
        /// The platform user's password or factors changed.
        CredentialsChanged = "credentials_changed",
        /// A site admin deactivated the person.
        AccountDeactivated = "account_deactivated",
        /// An authorization code was used twice: who has the token isn't known.
        CodeReused = "code_reused",
        /// The org was suspended or deleted.
        OrgClosed = "org_closed",
        /// The records were put back to an earlier state: whether it had been revoked since is unknown.
        RecordsRestored = "records_restored",
    }
}
