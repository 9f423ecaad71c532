//! What `drawbridge dev` prints when it is ready: where everything is, and the story to paste.

use super::dev::DevReady;
use serde_json::{Value, json};

/// This program, as another terminal can call it.
fn program() -> String {
    std::env::current_exe().map_or_else(|_| "drawbridge".to_owned(), |path| path.display().to_string())
}

impl DevReady {
    /// One JSON line (architecture §10).
    #[must_use]
    pub fn json(&self) -> String {
        let mut line = serde_json::Map::new();
        let mut tell = |name: &str, value: Value| drop(line.insert(name.to_owned(), value));
        tell("gateway", json!(self.gateway));
        tell("admin", json!(self.admin));
        tell("upstream", json!(self.upstream));
        tell("policies", json!(self.policies));
        tell("schemas", json!(self.schemas));
        tell("data", json!(self.data));
        self.people.tell(&mut line);
        Value::Object(line).to_string()
    }

    /// Shell variables with every address and token, for `. FILE`.
    #[must_use]
    pub fn environment(&self) -> String {
        let places = [
            ("GATEWAY", self.gateway.as_str()),
            ("ADMIN", self.admin.as_str()),
            ("UPSTREAM", self.upstream.as_str()),
        ];
        let pairs = places.into_iter().chain(self.people.variables());
        pairs.map(|(name, value)| format!("export {name}='{value}'\n")).collect()
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
  pages     {gateway}/platform/login   sign in as STAFF_EMAIL, STAFF_PASSWORD and STAFF_TOTP_SECRET in dev.env (below)
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

  # 5. and it can be proved: every entry, hash and signature is checked on your side
  DRAWBRIDGE_TOKEN=$OWNER "{program}" audit verify --url "$GATEWAY"

  # 6. the owner switches support access off
  curl -s -X PATCH "$GATEWAY/api/v1/orgs/$ACME/support-access" -H "Authorization: Bearer $OWNER" -d '{{"allow_platform_impersonation": false}}'

  # 7. the next request: 401 IMPERSONATION_REVOKED
  curl -i "$GATEWAY{path}" -H "Authorization: Bearer $IMP"

  # and on again
  curl -s -X PATCH "$GATEWAY/api/v1/orgs/$ACME/support-access" -H "Authorization: Bearer $OWNER" -d '{{"allow_platform_impersonation": true}}'

Ctrl-C drains and stops; the same command goes on with the same data.
"#,
            program = program(),
            gateway = self.gateway,
            upstream = self.upstream,
            admin = self.admin,
            policies = self.policies.display(),
            data = self.data.display(),
        )
    }
}
