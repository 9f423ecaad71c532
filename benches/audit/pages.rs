//! Pages of 50 items, as the lists of the two logs give them: the first, one deep inside, and with each filter for a
//! value that is frequent and one that is rare.

use super::engine::Store;
use super::entries::{AT_A_TIME, GRANTS, of_grant};
use super::entries::{ORGS, RARE_ACTION, RARE_ACTOR, RARE_EVENT, RARE_REQUEST, RARE_TICKET, SPAN, grant};
use super::support::measure::median;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use drawbridge::audit::query::{Filter, Log, page};
use drawbridge::domain::Millis;
use drawbridge::domain::ids::OrgId;
use drawbridge::store::Db;
use std::time::{Duration, Instant};

/// Items on a page.
const ITEMS: usize = 50;
/// Warm pages, at most; and for how long they are asked for.
const WARM: usize = 9;
const AT_MOST: Duration = Duration::from_secs(3);
const HOUR: Millis = 3_600_000;

/// One kind of page.
struct Case {
    what: &'static str,
    log: Log,
    filter: Filter,
    /// Where it begins, as a share of the table.
    from: Option<f64>,
}

/// All of them, one row each.
pub(crate) async fn table(store: &mut Store, end: Millis) -> String {
    let mut text = "\n| log | page | items | cold ms | warm ms |\n|---|---|---|---|---|\n".to_owned();
    for case in cases(end) {
        let cursor = cursor(&store.db().await, &case).await;
        let db = store.cold_db().await;
        let (items, cold) = ask(&db, &case, cursor.as_deref()).await;
        let (begun, mut warm) = (Instant::now(), Vec::new());
        while warm.is_empty() || (warm.len() < WARM && begun.elapsed() < AT_MOST) {
            warm.push(ask(&db, &case, cursor.as_deref()).await.1);
        }
        let row =
            format!("| {} | {} | {items} | {cold:.1} | {:.2} |\n", name(&case.log), case.what, median(warm));
        eprint!("{row}");
        text.push_str(&row);
    }
    text
}

/// How many items came, and after how many milliseconds.
async fn ask(db: &Db, case: &Case, cursor: Option<&str>) -> (usize, f64) {
    let begun = Instant::now();
    let mut tx = db.read().await.unwrap();
    let page = page(&mut tx, &case.log, &case.filter, ITEMS, cursor).await.unwrap().expect("a cursor of it");
    (page.items.len(), begun.elapsed().as_secs_f64() * 1e3)
}

/// A cursor of the list's own, to where the case begins.
async fn cursor(db: &Db, case: &Case) -> Option<String> {
    let table = match case.log {
        Log::Org(_) => "org_audit",
        Log::Platform | Log::PlatformOf(_) => "platform_audit",
    };
    let text = format!("SELECT MAX(n) FROM {table}");
    let last = db.read().await.unwrap().rows_dynamic(text, &[]).await.unwrap()[0].int(0).unwrap();
    let n = (last as f64 * case.from?) as i64;
    Some(URL_SAFE_NO_PAD.encode(format!("{table}:{n}:0")))
}

const fn name(log: &Log) -> &'static str {
    match log {
        Log::Org(_) => "org",
        Log::Platform => "platform",
        Log::PlatformOf(_) => "platform, own",
    }
}

fn cases(end: Millis) -> Vec<Case> {
    let great = || Log::Org(OrgId::parse(ORGS[0].0).unwrap());
    let middle = || Log::Org(OrgId::parse(ORGS[1].0).unwrap());
    let own = || Log::PlatformOf(of_grant(3).0);
    let mut cases = Vec::new();
    for log in [great(), Log::Platform] {
        let is_org = matches!(log, Log::Org(_));
        let mut add = |what, filter: Filter| cases.push(Case { what, log: log.clone(), filter, from: None });
        add("first", Filter::default());
        // The actor of an impersonated request is another one in each log.
        let (frequent, last) =
            if is_org { ("usr_bench-07", great_grant()) } else { ("pu_bench-03", GRANTS - 1) };
        let text = |text: &str| Some(text.to_owned());
        add("actor, frequent", Filter { actor: text(frequent), ..Filter::default() });
        add("actor, rare", Filter { actor: text(RARE_ACTOR), ..Filter::default() });
        add("actor, unknown", Filter { actor: text("usr_nobody"), ..Filter::default() });
        add("action, frequent", Filter { action: text("listCameras"), ..Filter::default() });
        add("action, rare", Filter { action: text(RARE_ACTION), ..Filter::default() });
        add("event, frequent", Filter { event: text("platform.impersonated_request"), ..Filter::default() });
        add("event, rare", Filter { event: text(RARE_EVENT.as_str()), ..Filter::default() });
        let id = |n| text(grant(n).as_str());
        add("impersonation_id, of late", Filter { impersonation_id: id(last), ..Filter::default() });
        add(
            "impersonation_id, long ago",
            Filter { impersonation_id: id(of_the_great(AT_A_TIME)), ..Filter::default() },
        );
        add("decision, permit", Filter { decision: text("permit"), ..Filter::default() });
        add("decision, deny", Filter { decision: text("deny"), ..Filter::default() });
        add("request_id", Filter { request_id: text(RARE_REQUEST), ..Filter::default() });
        add("from an hour ago", Filter { from: Some(end - HOUR), ..Filter::default() });
        add("to ten days ago", Filter { to: Some(end - 240 * HOUR), ..Filter::default() });
        let (from, to) = (Some(end - SPAN + 240 * HOUR), Some(end - SPAN + 241 * HOUR));
        add("from/to, an hour long ago", Filter { from, to, ..Filter::default() });
        add("from in the future", Filter { from: Some(end + 1_000 * HOUR), ..Filter::default() });
        if !is_org {
            add("ticket_ref, of late", Filter { ticket_ref: text("INC-199"), ..Filter::default() });
            add("ticket_ref, rare", Filter { ticket_ref: text(RARE_TICKET), ..Filter::default() });
            add("ticket_ref, unknown", Filter { ticket_ref: text("INC-NONE"), ..Filter::default() });
        }
        cases.push(Case { what: "deep (cursor)", log, filter: Filter::default(), from: Some(0.3) });
    }
    let deny = Filter { decision: Some("deny".to_owned()), ..Filter::default() };
    cases.push(Case { what: "decision, deny, long ago", log: middle(), filter: deny, from: None });
    cases.push(Case { what: "first", log: own(), filter: Filter::default(), from: None });
    cases.push(Case { what: "deep (cursor)", log: own(), filter: Filter::default(), from: Some(0.01) });
    cases
}

/// The first grant for the great org from that number on.
fn of_the_great(from: u64) -> u64 {
    (from..GRANTS).find(|n| of_grant(*n).1.as_str() == ORGS[0].0).expect("one")
}

/// The last one.
fn great_grant() -> u64 {
    (0..GRANTS).rev().find(|n| of_grant(*n).1.as_str() == ORGS[0].0).expect("one")
}
