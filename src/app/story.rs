//! What `drawbridge dev` prints when it is ready: where everything is, and the story to paste.

use super::dev::DevReady;
use serde_json::json;

impl DevReady {
    /// One JSON line (architecture §10).
    #[must_use]
    pub fn json(&self) -> String {
        let tokens = &self.tokens;
        let account = |email: &str| json!({ "email": email, "password": null, "totp_secret": null });
        json!({
            "gateway": self.gateway,
            "admin": self.admin,
            "upstream": self.upstream,
            "policies": self.policies,
            "schemas": self.schemas,
            "data": self.data,
            "orgs": { "acme": self.acme, "globex": self.globex },
            "tokens": {
                "staff": tokens.staff.expose(), "staff2": tokens.staff2.expose(),
                "owner": tokens.owner.expose(), "admin": tokens.admin.expose(),
                "viewer": tokens.viewer.expose(), "globex_owner": tokens.globex_owner.expose(),
                "bot": tokens.bot.expose(),
            },
            "accounts": {
                "staff": account(super::dev::STAFF), "staff2": account(super::dev::STAFF2),
            },
        })
        .to_string()
    }

    /// Shell variables with every address and token, for `. FILE`.
    #[must_use]
    pub fn environment(&self) -> String {
        let tokens = &self.tokens;
        let pairs = [
            ("GATEWAY", self.gateway.as_str()),
            ("ADMIN", self.admin.as_str()),
            ("UPSTREAM", self.upstream.as_str()),
            ("ACME", self.acme.as_str()),
            ("GLOBEX", self.globex.as_str()),
            ("STAFF", tokens.staff.expose()),
            ("STAFF2", tokens.staff2.expose()),
            ("OWNER", tokens.owner.expose()),
            ("ORG_ADMIN", tokens.admin.expose()),
            ("VIEWER", tokens.viewer.expose()),
            ("GLOBEX_OWNER", tokens.globex_owner.expose()),
            ("BOT", tokens.bot.expose()),
        ];
        pairs.iter().map(|(name, value)| format!("export {name}='{value}'\n")).collect()
    }

    /// The story, for people.
    #[must_use]
    pub fn human(&self) -> String {
        let demo = if self.demo { "the demo customer API" } else { "your service" };
        let env = self.environment_file.display();
        let path = if self.demo { "/api/v1/cameras" } else { "/" };
        format!(
            r#"
Drawbridge is up, and the bridge is down for nobody.

  gateway   {gateway}   every request to the customer API goes here
  upstream  {upstream}   {demo}, behind it
  admin     {admin}   /readyz and /metrics
  policies  {policies}   edit a file: it is in force on the next request
  data      {data}

Paste these one by one into another terminal:

  # addresses and tokens of the seeded people (staff, owner, viewer, bot, …)
  . {env}

  # 1. vendor staff have no standing access: 403 PLATFORM_ACCESS_DENIED
  curl -i "$GATEWAY{path}" -H "Authorization: Bearer $STAFF"

  # 2. one org, one reason, thirty minutes: 201
  IMP=$(curl -s -X POST "$GATEWAY/api/v1/platform/orgs/$ACME/impersonate" -H "Authorization: Bearer $STAFF" -d '{{"reason": "cameras offline since 03:00", "ticket_ref": "INC-7"}}' | sed 's/.*"token":"\([^"]*\)".*/\1/')

  # 3. now it passes: 200
  curl -i "$GATEWAY{path}" -H "Authorization: Bearer $IMP"

  # 4. and stands in both logs: the customer's ("Platform Support") and the vendor's (who, and why)
  curl -s "$GATEWAY/api/v1/orgs/$ACME/audit-log?limit=3" -H "Authorization: Bearer $OWNER"
  curl -s "$GATEWAY/api/v1/platform/audit-log?limit=3" -H "Authorization: Bearer $STAFF"

  # 5. the owner switches support access off
  curl -s -X PATCH "$GATEWAY/api/v1/orgs/$ACME/support-access" -H "Authorization: Bearer $OWNER" -d '{{"allow_platform_impersonation": false}}'

  # 6. the next request: 401 IMPERSONATION_REVOKED
  curl -i "$GATEWAY{path}" -H "Authorization: Bearer $IMP"

  # and on again
  curl -s -X PATCH "$GATEWAY/api/v1/orgs/$ACME/support-access" -H "Authorization: Bearer $OWNER" -d '{{"allow_platform_impersonation": true}}'

Ctrl-C drains and stops; the same command goes on with the same data.
"#,
            gateway = self.gateway,
            upstream = self.upstream,
            admin = self.admin,
            policies = self.policies.display(),
            data = self.data.display(),
        )
    }
}
