//! What the demo holds, by org. There is no way to reach a camera without naming an org first.

use super::DemoOrgs;
use crate::domain::{Millis, rfc3339};
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};

/// Everything, by org id.
pub(super) struct Data {
    orgs: HashMap<String, OrgData>,
    /// Ids are unique over all orgs, so that a foreign id is a real one and its 404 proves the scoping.
    next_id: u64,
}

/// One org's data.
#[derive(Default)]
pub(super) struct OrgData {
    pub(super) cameras: BTreeMap<String, Camera>,
    pub(super) members: BTreeMap<String, Member>,
    pub(super) events: Vec<Event>,
    pub(super) plan: Plan,
}

/// A camera.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Camera {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) location: String,
    pub(super) online: bool,
}

/// A member of an org, as the customer's own API sees them.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Member {
    pub(super) id: String,
    pub(super) email: String,
    pub(super) role: String,
}

/// Something a camera saw.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Event {
    pub(super) id: String,
    pub(super) time: String,
    pub(super) camera: String,
    pub(super) kind: &'static str,
}

/// What the org pays for.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Plan {
    pub(super) plan: String,
    pub(super) seats: u32,
}

impl Default for Plan {
    fn default() -> Self {
        Self { plan: "standard".into(), seats: 10 }
    }
}

/// Kinds of events, in the order in which the stream shows them.
pub(super) const KINDS: [&str; 4] = ["motion", "person", "vehicle", "tampering"];

const ACME: [(&str, &str); 3] =
    [("Loading dock", "Hall 2, north"), ("Main gate", "Gate 1"), ("Server room", "Basement, B-04")];
const GLOBEX: [(&str, &str); 2] = [("Lobby", "Tower, ground floor"), ("Helipad", "Tower, roof")];
const MEMBERS: [(&str, &str); 3] = [("owner", "owner"), ("admin", "admin"), ("viewer", "viewer")];

impl Data {
    /// Two orgs with cameras, members and a few events each.
    pub(super) fn seeded(orgs: &DemoOrgs, now: Millis) -> Self {
        let mut data = Self { orgs: HashMap::new(), next_id: 101 };
        data.seed(orgs.acme.as_str(), "acme", &ACME, now);
        data.seed(orgs.globex.as_str(), "globex", &GLOBEX, now);
        data
    }

    fn seed(&mut self, org: &str, slug: &str, cameras: &[(&str, &str)], now: Millis) {
        let mut held = OrgData::default();
        for (n, (name, location)) in (1..).zip(cameras) {
            let id = format!("cam_{slug}_{n}");
            let ago = Millis::from(n) * 60_000;
            held.events.push(Event {
                id: format!("evt_{slug}_{n}"),
                time: rfc3339(now - ago),
                camera: id.clone(),
                kind: KINDS.get(n as usize % KINDS.len()).copied().unwrap_or("motion"),
            });
            let camera =
                Camera { id: id.clone(), name: (*name).into(), location: (*location).into(), online: true };
            held.cameras.insert(id, camera);
        }
        for (who, role) in MEMBERS {
            let id = format!("mem_{slug}_{who}");
            let email = format!("{who}@{slug}.example");
            held.members.insert(id.clone(), Member { id, email, role: role.into() });
        }
        self.orgs.insert(org.to_owned(), held);
    }

    /// The data of one org; an org that was never seen has none yet.
    pub(super) fn of(&mut self, org: &str) -> &mut OrgData {
        self.orgs.entry(org.to_owned()).or_default()
    }

    /// An id that nothing has yet.
    pub(super) fn new_id(&mut self, prefix: &str) -> String {
        let id = format!("{prefix}{}", self.next_id);
        self.next_id = self.next_id.wrapping_add(1);
        id
    }
}
