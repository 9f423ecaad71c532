//! What is told: one line of JSON, variables for a shell, and a tour for people.

use crate::house::House;
use serde_json::{Map, Value, json};

impl House {
    fn pids(&self) -> Vec<(String, u32)> {
        let mut all = vec![("cluster".to_owned(), std::process::id())];
        all.extend(self.gateways.iter().filter_map(|one| Some((one.name.clone(), one.pid()?))));
        all.extend(
            self.postgres.pid().and_then(|pid| Some(("postgres".to_owned(), u32::try_from(pid).ok()?))),
        );
        all.push(("redis-primary".to_owned(), self.redis.primary.pid()));
        all.push(("redis-replica".to_owned(), self.redis.replica.pid()));
        let sentinels = (1..).zip(&self.redis.sentinels);
        all.extend(sentinels.map(|(n, one)| (format!("redis-sentinel-{n}"), one.pid())));
        all
    }

    fn urls(&self) -> (Vec<String>, Vec<String>) {
        let url = |address| format!("http://{address}");
        let all = self.gateways.iter().map(|one| one.addresses);
        all.map(|at| (url(at.gateway), url(at.admin))).unzip()
    }

    /// The line of `drawbridge dev --format json`, and what a cluster has beside.
    pub(crate) fn line(&self) -> String {
        let (gateways, admins) = self.urls();
        let [database, owner, superuser] = &self.postgres_urls;
        let mut line = Map::new();
        let mut tell = |name: &str, value: Value| drop(line.insert(name.to_owned(), value));
        tell("gateway", json!(gateways.first()));
        tell("admin", json!(admins.first()));
        tell("upstream", json!(self.upstream));
        tell("policies", json!(self.data.join("policies")));
        tell("schemas", json!(self.data.join("schemas")));
        tell("data", json!(self.data));
        self.people.tell(&mut line);
        let mut tell = |name: &str, value: Value| drop(line.insert(name.to_owned(), value));
        tell("gateways", json!(gateways));
        tell("admins", json!(admins));
        tell("redis", json!(self.redis.primary.url()));
        tell("redis_sentinel", json!(self.live_url));
        tell("postgres", json!(database));
        tell("postgres_owner", json!(owner));
        tell("postgres_superuser", json!(superuser));
        let pids: Map<String, Value> =
            self.pids().into_iter().map(|(name, pid)| (name, json!(pid))).collect();
        tell("pids", Value::Object(pids));
        Value::Object(line).to_string()
    }

    /// For `. FILE`.
    pub(crate) fn environment(&self) -> String {
        let (gateways, admins) = self.urls();
        let mut all: Vec<(String, String)> = Vec::new();
        for ((name, gateway), admin) in ["A", "B", "C"].into_iter().zip(gateways).zip(admins) {
            all.push((name.to_owned(), gateway));
            all.push((format!("ADMIN_{name}"), admin));
        }
        all.push(("UPSTREAM".to_owned(), self.upstream.clone()));
        all.extend(self.people.variables().map(|(name, value)| (name.to_owned(), value.to_owned())));
        let [database, owner, _] = &self.postgres_urls;
        all.push(("POSTGRES".to_owned(), database.clone()));
        all.push(("POSTGRES_OWNER".to_owned(), owner.clone()));
        all.push(("REDIS".to_owned(), self.redis.primary.url()));
        for (name, pid) in self.pids() {
            all.push((format!("PID_{}", name.to_uppercase().replace('-', "_")), pid.to_string()));
        }
        all.iter().map(|(name, value)| format!("export {name}='{value}'\n")).collect()
    }

    /// The story, for people.
    pub(crate) fn tour(&self) -> String {
        let (gateways, admins) = self.urls();
        let at = |n: usize, of: &[String]| of.get(n).cloned().unwrap_or_default();
        TOUR.replace("{env}", &self.environment_file())
            .replace("{a}", &at(0, &gateways))
            .replace("{b}", &at(1, &gateways))
            .replace("{c}", &at(2, &gateways))
            .replace("{admin_a}", &at(0, &admins))
            .replace("{upstream}", &self.upstream)
            .replace("{database}", &self.postgres_urls[0])
            .replace("{live}", &self.live_url)
            .replace("{data}", &self.data.display().to_string())
    }
}

const TOUR: &str = r#"
Three gateways are up, with one truth between them.

  gateways  {a}   {b}   {c}
  admin     {admin_a}   /readyz and /metrics of the first; the others' are in the file below
  upstream  {upstream}   the demo customer API
  records   {database}
  live      {live}
  data      {data}   configuration, policies, logs

Paste these one by one into another terminal (sh, bash or zsh):

  # addresses of the gateways ($A $B $C), tokens, numbers of the processes
  . {env}

  # 1. vendor staff have no standing access, at any gateway: 403 PLATFORM_ACCESS_DENIED
  curl -i "$A/api/v1/cameras" -H "Authorization: Bearer $STAFF"

  # 2. one org, one reason, thirty minutes, minted at A ...
  mint() { curl -s -X POST "$A/api/v1/platform/orgs/$ACME/impersonate" -H "Authorization: Bearer $STAFF" -d '{"reason": "cameras offline since 03:00", "ticket_ref": "INC-7"}' | sed 's/.*"token":"\([^"]*\)".*/\1/'; }
  IMP=$(mint)

  # 3. ... is good at B at once: 200
  curl -i "$B/api/v1/cameras" -H "Authorization: Bearer $IMP"

  # 4. and stands in both logs, read at C: the customer's ("Platform Support") and the vendor's (who, and why)
  curl -s "$C/api/v1/orgs/$ACME/audit-log?limit=3" -H "Authorization: Bearer $OWNER"; echo
  curl -s "$C/api/v1/platform/audit-log?limit=3" -H "Authorization: Bearer $STAFF"; echo

  # 5. the owner switches support access off at C. The answer comes when it is in force on all three
  switch() { curl -s -X PATCH "$C/api/v1/orgs/$ACME/support-access" -H "Authorization: Bearer $OWNER" -d "{\"allow_platform_impersonation\": $1}" -w '   after %{time_total} s\n'; }
  switch false

  # 6. so the next request, at B, gets 401 IMPERSONATION_REVOKED
  curl -i "$B/api/v1/cameras" -H "Authorization: Bearer $IMP"
  switch true

  # 7. Redis is a cache and a bell: without its primary all goes on. Thirty requests, thirty times 200
  kill -9 "$PID_REDIS_PRIMARY"
  get() { curl -s -o /dev/null -w '%{http_code}\n' "$1/api/v1/cameras" -H "Authorization: Bearer $OWNER"; }
  for n in 1 2 3 4 5 6 7 8 9 10; do get "$A"; get "$B"; get "$C"; done | sort | uniq -c

  # 8. a gateway that stands still (B) can't say that it has heard: the switch answers when B's lease has run out,
  #    after a second and a bit. When B goes on it can't prove that its view is fresh, so it asks first: 401
  IMP=$(mint); kill -STOP "$PID_GATEWAY_B"; switch false; kill -CONT "$PID_GATEWAY_B"
  curl -i "$B/api/v1/cameras" -H "Authorization: Bearer $IMP"
  switch true

  # 9. all three are started anew, one after another, under requests: every one is answered, 200
  kill -HUP "$PID_CLUSTER"; (for g in "$A" "$B" "$C"; do (for n in $(seq 300); do get "$g"; done) & done; wait) | sort | uniq -c
  . {env}

  # 10. what a load balancer is told, and how far each gateway is
  curl -s "$ADMIN_A/readyz"; echo

Ctrl-C stops everything. `make cluster DATA=DIR` keeps its data there and goes on with it the next time."#;
