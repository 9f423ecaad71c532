//! A gateway's parts, seeded, without a listener.

use drawbridge::access::{NewOrg, NewPerson};
use drawbridge::app::{Composition, compose};
use drawbridge::config::{AccessLogTo, Config};
use drawbridge::domain::OrgRole;
use drawbridge::domain::ids::OrgId;
use drawbridge::policy::{PolicyEngine, PolicyFolders};
use std::path::{Path, PathBuf};

/// A day.
pub(crate) const TTL: i64 = 86_400_000;

/// See the module.
pub(crate) struct Fixture {
    /// The parts, with the delivered policies.
    pub(crate) parts: Composition,
    /// The delivered policies and ten thousand more.
    pub(crate) many: PolicyEngine,
    /// How many policies the two sets have.
    pub(crate) counts: (usize, usize),
    /// An org.
    pub(crate) org: OrgId,
    /// A token of an owner of it.
    pub(crate) owner: String,
    _data: tempfile::TempDir,
}

impl Fixture {
    /// Builds everything.
    pub(crate) async fn start() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let data = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let mut config = Config::defaults(data.path());
        config.data.dir = data.path().join("records");
        config.data.master_key_file = data.path().join("master.key");
        config.log.access = AccessLogTo::Off;
        config.policy.policies = root.join("policies");
        config.policy.schemas = root.join("schemas");
        let parts = compose(config).await.expect("the parts of a gateway");

        let access = &parts.access;
        let new = NewOrg {
            slug: "acme".into(),
            name: "Acme Corporation".into(),
            plan: "business".into(),
            owner_email: "owner@acme.example".into(),
            allow_platform_impersonation: true,
            auto_add_new_users: false,
        };
        let org = access.provision_org(new).await.unwrap();
        let person = NewPerson { email: "owner@acme.example".into(), display_name: "Acme Owner".into() };
        access.provision_org_user(person, org.clone(), OrgRole::Owner).await.unwrap();
        let owner = access.issue_org_token("owner@acme.example", TTL).await.unwrap().token;

        let many = with_extra(root, data.path(), &org);
        let counts = (parts.policy.snapshot().policy_count(), many.snapshot().policy_count());
        let owner = owner.expose().to_owned();
        Self { parts, many, counts, org, owner, _data: data }
    }
}

fn with_extra(root: &Path, data: &Path, org: &OrgId) -> PolicyEngine {
    let policies: PathBuf = data.join("many");
    std::fs::create_dir(&policies).unwrap();
    for file in std::fs::read_dir(root.join("policies")).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), policies.join(file.file_name())).unwrap();
    }
    std::fs::write(policies.join("extra.cedar"), super::extra::policies(org)).unwrap();
    let folders = PolicyFolders { policies, schemas: root.join("schemas") };
    PolicyEngine::load(folders).unwrap_or_else(|report| panic!("{}", report.rendered))
}
