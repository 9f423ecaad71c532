//! The people of a run and what they hold: sessions by number, their credentials, who is live as far as is known.

use super::fleet::{Fleet, LONG};
use super::record::{
    Answer, Kind, Micros, Outcome, Recorder, Request, Revocation, Session, Span, Target, now,
};
use crate::support::Chance;
use drawbridge::domain::OrgRole;
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::sync::Arc;

/// Members of staff whose access is taken away and given again.
pub(crate) const STAFF: usize = 4;
/// The admin who disables others, and whom nobody disables.
pub(crate) const CHIEF: usize = STAFF;
/// How many of the sessions that ended last are still tried.
const GHOSTS: usize = 24;

/// A session that somebody holds.
#[derive(Debug, Clone)]
pub(crate) struct Held {
    pub(crate) number: usize,
    pub(crate) kind: Kind,
    pub(crate) user: usize,
    pub(crate) org: usize,
    pub(crate) token: String,
    /// Of an impersonation.
    pub(crate) id: String,
}

#[derive(Default)]
struct Sessions {
    live: Vec<Held>,
    /// The newest last.
    ghosts: Vec<Held>,
}

/// A run's people and record.
pub(crate) struct World {
    pub(crate) fleet: Fleet,
    pub(crate) record: Recorder,
    pub(crate) owners: Vec<String>,
    chief: String,
    sessions: Mutex<Sessions>,
}

pub(crate) fn staff_email(user: usize) -> String {
    format!("staff{user}@vendor.example")
}

/// Micros of milliseconds, none for negative ones.
fn micros(ms: i64) -> Micros {
    u64::try_from(ms).unwrap_or_default() * 1_000
}

/// From when to when a session lives that a call made and that has `ttl` milliseconds: its beginning is a whole
/// second of the database's clock inside the call, or the one before.
fn lives(made: Span, ttl: i64) -> (Micros, Micros) {
    ((made.begun + micros(ttl)).saturating_sub(1_100_000), made.ended + micros(ttl) + 50_000)
}

impl World {
    /// A fleet with people in both orgs, each with a session.
    pub(crate) async fn make(fleet: Fleet) -> Arc<Self> {
        let mut owners = Vec::new();
        for slug in ["acme", "globex"] {
            owners.push(fleet.person_token(&format!("owner@{slug}.example"), LONG).await);
        }
        for user in 0..=STAFF {
            fleet.staff(&staff_email(user)).await;
        }
        let chief = fleet.staff_token(&staff_email(CHIEF), LONG).await.expect("a session");
        let world = Self { fleet, record: Recorder::default(), owners, chief, sessions: Mutex::default() };
        for user in 0..STAFF {
            world.sign_in(user, LONG).await;
        }
        for org in 0..2 {
            for n in 0..3 {
                let email = format!("person{n}@org{org}.example");
                world.fleet.person(&email, org, OrgRole::Viewer).await;
            }
            for _ in 0..3 {
                world.customer(Kind::Person, org, LONG).await;
            }
            world.customer(Kind::Bot, org, LONG).await;
        }
        Arc::new(world)
    }

    fn hold(&self, held: Held) {
        self.sessions.lock().live.push(held);
    }

    /// A new session of a member of staff, unless somebody has disabled the account meanwhile.
    pub(crate) async fn sign_in(&self, user: usize, ttl: i64) {
        let begun = now();
        let Some(token) = self.fleet.staff_token(&staff_email(user), ttl).await else { return };
        let made = Span { begun, ended: now() };
        let number =
            self.record.session(Session { kind: Kind::Staff, user, org: 0, made, lives: lives(made, ttl) });
        self.hold(Held { number, kind: Kind::Staff, user, org: 0, token, id: String::new() });
    }

    /// A new session of one of an org's people, or a new bot's token.
    pub(crate) async fn customer(&self, kind: Kind, org: usize, ttl: i64) {
        let begun = now();
        let user = usize::try_from(self.record.number()).unwrap_or_default();
        let token = match kind {
            Kind::Bot => self.fleet.bot_token(&format!("bot{user}"), org, ttl).await,
            _ => self.fleet.person_token(&format!("person{}@org{org}.example", user % 3), ttl).await,
        };
        let made = Span { begun, ended: now() };
        let number = self.record.session(Session { kind, user, org, made, lives: lives(made, ttl) });
        self.hold(Held { number, kind, user, org, token, id: String::new() });
    }

    /// A live session of some kind, as far as is known.
    pub(crate) fn live(&self, chance: &mut Chance, of: impl Fn(&Held) -> bool) -> Option<Held> {
        let sessions = self.sessions.lock();
        let all: Vec<&Held> = sessions.live.iter().filter(|held| of(held)).collect();
        if all.is_empty() { None } else { Some((*chance.pick(&all)).clone()) }
    }

    /// Any session: a live one, or one that has ended of late.
    pub(crate) fn any(&self, chance: &mut Chance) -> Option<Held> {
        {
            let sessions = self.sessions.lock();
            if !sessions.ghosts.is_empty() && chance.below(3) == 0 {
                return Some(chance.pick(&sessions.ghosts).clone());
            }
        }
        self.live(chance, |_| true)
    }

    /// They are over, or may be.
    pub(crate) fn bury(&self, of: impl Fn(&Held) -> bool) -> Vec<Held> {
        let mut sessions = self.sessions.lock();
        let all = std::mem::take(&mut sessions.live);
        let (gone, live): (Vec<Held>, Vec<Held>) = all.into_iter().partition(|held| of(held));
        sessions.live = live;
        sessions.ghosts.extend(gone.iter().cloned());
        let surplus = sessions.ghosts.len().saturating_sub(GHOSTS);
        sessions.ghosts.drain(..surplus);
        gone
    }

    /// One request of a session through a gateway.
    pub(crate) async fn ask(&self, held: &Held, gateway: usize) -> Outcome {
        let n = self.record.number();
        let path = match held.kind {
            Kind::Staff => format!("/api/v1/platform/me?n={n}"),
            Kind::Impersonation | Kind::Person | Kind::Bot => format!("/api/v1/cameras?n={n}"),
        };
        let node = self.fleet.node(gateway);
        let begun = now();
        let answer = node.call("GET", &path, &held.token, None).await;
        let span = Span { begun, ended: now() };
        let outcome = match answer {
            None => Outcome::Broken,
            Some(answer) if answer.status == 200 => Outcome::Admitted,
            Some(answer) => Outcome::Refused {
                status: answer.status,
                code: answer.json["code"].as_str().unwrap_or("no code").to_owned(),
            },
        };
        let noted = Request { n, session: held.number, gateway, span, outcome: outcome.clone() };
        self.record.note(|h| h.requests.push(noted));
        if let Outcome::Refused { status: 401, .. } = outcome {
            self.bury(|other| other.number == held.number);
        }
        outcome
    }

    /// A call that takes access away, noted with its answer.
    pub(crate) async fn revoke(
        &self,
        kind: &'static str,
        target: Target,
        gateway: usize,
        (method, path, token, body): (&str, &str, &str, Option<Value>),
    ) -> Answer {
        let node = self.fleet.node(gateway);
        let begun = now();
        let answer = node.call(method, path, token, body).await;
        let span = Span { begun, ended: now() };
        let answer = match answer.map_or(0, |answer| answer.status) {
            200 => Answer::Done,
            400..500 => Answer::Refused,
            _ => Answer::Unsure,
        };
        self.record.note(|h| h.revocations.push(Revocation { kind, target, span, answer }));
        answer
    }

    /// Mints; the new session if it was answered.
    pub(crate) async fn mint(&self, staff: &Held, org: usize, gateway: usize) -> Option<Held> {
        let path = format!("/api/v1/platform/orgs/{}/impersonate", self.fleet.orgs[org]);
        let body = json!({ "reason": "cameras offline since 03:00", "ticket_ref": "INC-7" });
        let begun = now();
        let answer = self.fleet.node(gateway).call("POST", &path, &staff.token, Some(body)).await?;
        let made = Span { begun, ended: now() };
        if answer.status != 201 {
            return None;
        }
        let ttl = answer.json["expires_in"].as_i64().expect("a lifetime") * 1_000;
        let (kind, user) = (Kind::Impersonation, staff.user);
        let number = self.record.session(Session { kind, user, org, made, lives: lives(made, ttl) });
        let (token, id) = (answer.text("/token").to_owned(), answer.text("/impersonation_id").to_owned());
        let held = Held { number, kind, user, org, token, id };
        self.hold(held.clone());
        Some(held)
    }

    /// Ends one impersonation with its own token, with its holder's or with the owner's.
    pub(crate) async fn end(&self, grant: &Held, how: u64, gateway: usize) -> Answer {
        let target = Target::One(grant.number);
        let own = "/api/v1/platform/end-impersonation";
        let customer = format!("/api/v1/orgs/{}/impersonations/{}", self.fleet.orgs[grant.org], grant.id);
        match how {
            0 => self.revoke("end_own", target, gateway, ("POST", own, &grant.token, Some(json!({})))).await,
            _ => {
                let call = ("DELETE", customer.as_str(), self.owners[grant.org].as_str(), None);
                self.revoke("end_by_customer", target, gateway, call).await
            }
        }
    }

    /// The owner's switch. On takes nothing away.
    pub(crate) async fn switch(&self, org: usize, allow: bool, gateway: usize) -> Answer {
        let path = format!("/api/v1/orgs/{}/support-access", self.fleet.orgs[org]);
        let body = Some(json!({ "allow_platform_impersonation": allow }));
        if !allow {
            let call = ("PATCH", path.as_str(), self.owners[org].as_str(), body);
            return self.revoke("switch_off", Target::Org(org), gateway, call).await;
        }
        match self.fleet.node(gateway).call("PATCH", &path, &self.owners[org], body).await {
            Some(answer) if answer.status == 200 => Answer::Done,
            _ => Answer::Unsure,
        }
    }

    /// Signs out.
    pub(crate) async fn logout(&self, staff: &Held, gateway: usize) -> Answer {
        let call = ("POST", "/api/v1/platform/logout", staff.token.as_str(), None);
        self.revoke("logout", Target::Logout(staff.number), gateway, call).await
    }

    /// The chief disables an account, or enables it again.
    pub(crate) async fn disable(&self, user: usize, off: bool, gateway: usize) -> Answer {
        let id = self.fleet.staff(&staff_email(user)).await;
        let what = if off { "disable" } else { "enable" };
        let path = format!("/api/v1/platform/users/{id}/{what}");
        let body = Some(json!({ "reason": "left the company" }));
        if off {
            let call = ("PATCH", path.as_str(), self.chief.as_str(), body);
            return self.revoke("disable", Target::Staff(user), gateway, call).await;
        }
        match self.fleet.node(gateway).call("PATCH", &path, &self.chief, body).await {
            Some(answer) if answer.status == 200 => Answer::Done,
            _ => Answer::Unsure,
        }
    }

    /// The key of a session in the records.
    pub(crate) async fn key(&self, held: &Held) -> String {
        let known = self.fleet.operator.authenticate(&held.token).await.expect("a token of ours");
        known.known.session.key.as_str().to_owned()
    }

    /// The history with what the upstream saw.
    pub(crate) fn history(&self) -> super::record::History {
        let mut history = self.record.history();
        history.hits = self.fleet.upstream.hits().into_keys().collect();
        history
    }
}
