//! Policy files from the outside: what is wrong is said with file, line, column and help; edits of watched
//! folders come into force or are refused.

use clap::Parser;
use drawbridge::cli::{Exit, policy};
use drawbridge::policy::{PolicyEngine, PolicyFolders, ReloadEvent, defaults, schema};
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::time::Duration;

/// A folder of its own with the delivered files, `policies` and `schemas`.
struct Set(tempfile::TempDir);

impl Set {
    fn delivered() -> Self {
        let set = Self(tempfile::tempdir().unwrap());
        for folder in ["policies", "schemas"] {
            std::fs::create_dir(set.0.path().join(folder)).unwrap();
        }
        for (name, text) in defaults::POLICIES {
            set.write(&format!("policies/{name}"), text);
        }
        for (name, text) in [defaults::PLATFORM_SCHEMA, defaults::DEMO_SCHEMA] {
            set.write(&format!("schemas/{name}"), text);
        }
        set
    }
    fn path(&self, name: &str) -> std::path::PathBuf {
        self.0.path().join(name)
    }
    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }
    fn replace(&self, name: &str, from: &str, to: &str) {
        let text = std::fs::read_to_string(self.path(name)).unwrap();
        assert!(text.contains(from), "`{from}` isn't in {name}");
        self.write(name, &text.replacen(from, to, 1));
    }
    fn folders(&self) -> PolicyFolders {
        PolicyFolders { policies: self.path("policies"), schemas: self.path("schemas") }
    }
    fn load(&self) -> PolicyEngine {
        PolicyEngine::load(self.folders()).unwrap_or_else(|report| panic!("{}", report.rendered))
    }
    /// The faults, with paths within the folder.
    fn faults(&self) -> Vec<String> {
        let report = PolicyEngine::load(self.folders()).expect_err("the set is accepted");
        report.faults.iter().map(|f| self.shorten(f)).collect()
    }
    fn shorten(&self, text: &str) -> String {
        text.replace(&format!("{}/", self.0.path().display()), "")
    }
    fn cli(&self, command: &str, format: &str) -> (Exit, String, String) {
        #[derive(Parser)]
        struct Cli {
            #[command(flatten)]
            args: policy::Args,
        }
        let (p, s) = (self.path("policies"), self.path("schemas"));
        let args = [
            "policy",
            command,
            "--policies",
            p.to_str().unwrap(),
            "--schemas",
            s.to_str().unwrap(),
            "--format",
            format,
        ];
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let exit = Cli::try_parse_from(args).unwrap().args.run(&mut out, &mut err).unwrap();
        let text = |bytes| self.shorten(&String::from_utf8(bytes).unwrap());
        (exit, text(out), text(err))
    }
}

const OK: &str = "@id(\"extra\") permit (principal is OrgUser, action in Action::\"read\", resource);";

#[test]
fn every_fault_of_every_file_is_told_at_once() {
    let set = Set::delivered();
    set.write(
        "policies/extra.cedar",
        r#"// faults, one a policy
permit (principal is OrgUser, action, resource);
@id("bot-reads") permit (principal is Bot, action, resource);
@id("no-answer") forbid (principal is Bot, action, resource);
@id("bad-answer") @code("lower") @status("200") @audit("loud") @priority("high") forbid (principal is Bot, action, resource);
@id("unknown") @colour("red") permit (principal is Bot, action, resource);
@id("code-on-permit") @code("X") permit (principal is Bot, action, resource);
@id("beyond") permit (principal is Impersonation, action, resource) when { principal.org.status == "active" };
@id("typo") permit (principal is Bot, action in Action::"raed", resource);
@id("attribute") permit (principal is PlatformUser, action, resource) when { principal.disable };
"#,
    );
    set.write("policies/syntax.cedar", "permit (principal, action resource);");
    insta::assert_snapshot!(set.faults().join("\n"));
}

#[test]
fn every_fault_of_the_schemas_is_told() {
    let set = Set::delivered();
    set.write(
        "schemas/more.cedarschema",
        r#"
entity Door in [Org] { org: Org, open: Bool };
entity Team;
entity Lamp in [Team] { org: Org };
@http("GET /api/v1/me")
action again in [read] appliesTo { principal: [OrgUser], resource: [Org], context: RequestContext };
@http("GET /api/v1/cameras/{cam}/x, DELETE /api/v1/cameras/{cam}")
action ambiguous in [read] appliesTo { principal: [OrgUser], resource: [Camera], context: RequestContext };
@http("GET cameras")
action noSlash in [read] appliesTo { principal: [OrgUser], resource: [Org], context: RequestContext };
@http("GET /a") @served("upstream") @decide("handler") @colour("red")
action oddWords in [read] appliesTo { principal: [OrgUser], resource: [Org], context: RequestContext };
@http("GET /b")
action twoResources in [read] appliesTo { principal: [OrgUser], resource: [Org, Camera], context: RequestContext };
@http("GET /c")
action oddContext in [read] appliesTo { principal: [Team], resource: [Org], context: { moon: String } };
@http("GET /d")
action wrongType in [read] appliesTo { principal: [OrgUser], resource: [Org], context: { now: String } };
@http("GET /e")
action door in [read] appliesTo { principal: [OrgUser], resource: [Door], context: RequestContext };
@http("GET /f")
action lamp in [read] appliesTo { principal: [OrgUser], resource: [Lamp], context: RequestContext };
@http("GET /g")
action nobody in [read];
"#,
    );
    insta::assert_snapshot!(set.faults().join("\n"));
}

#[test]
fn routes_that_clash_are_faults() {
    let set = Set::delivered();
    set.write(
        "schemas/more.cedarschema",
        r#"@http("GET /api/v1/me")
action again in [read] appliesTo { principal: [OrgUser], resource: [Org], context: RequestContext };
@http("PUT /api/v1/cameras/{cam}")
action ambiguous in [read] appliesTo { principal: [OrgUser], resource: [Camera], context: RequestContext };
"#,
    );
    insta::assert_snapshot!(set.faults().join("\n"));
}

#[test]
fn a_schema_that_asks_for_more_than_is_supplied_is_refused() {
    let set = Set::delivered();
    set.replace(
        "schemas/platform.cedarschema",
        "  disabled: Bool,",
        "  disabled: Bool,\n  department: String,",
    );
    set.replace(
        "schemas/platform.cedarschema",
        "entity OrgUser in [OrgRole]",
        "entity OrgUser in [OrgRole, Org]",
    );
    insta::assert_snapshot!(set.faults().join("\n"));
}

#[test]
fn a_schema_fault_of_cedar_names_its_file() {
    let set = Set::delivered();
    set.replace("schemas/customer-api.cedarschema", "action home in [read]", "action home in [raed]");
    let faults = set.faults();
    assert_eq!(faults.len(), 1, "{faults:#?}");
    assert!(
        faults[0].starts_with("schemas/customer-api.cedarschema:") && faults[0].contains("raed"),
        "{faults:#?}"
    );
}

#[test]
fn empty_and_missing_folders_are_faults() {
    let set = Set::delivered();
    std::fs::remove_dir_all(set.path("policies")).unwrap();
    assert!(set.faults()[0].contains("can't be read"), "{:?}", set.faults());
    std::fs::create_dir(set.path("policies")).unwrap();
    assert!(set.faults()[0].contains("holds no `*.cedar` file"), "{:?}", set.faults());
    set.write("policies/none.cedar", "// nothing");
    assert!(set.faults()[0].contains("no policy"), "{:?}", set.faults());
}

#[test]
fn check_says_where_and_what_to_do() {
    let set = Set::delivered();
    let (exit, out, _) = set.cli("check", "human");
    assert_eq!(exit, Exit::Ok, "{out}");
    set.write(
        "policies/zz.cedar",
        "@id(\"typo\")\npermit (\n  principal is Bot,\n  action in Action::\"writes\",\n  resource\n);\n",
    );
    let (exit, out, err) = set.cli("check", "human");
    assert_eq!((exit, out.as_str()), (Exit::Usage, ""));
    insta::assert_snapshot!(err);
    let (exit, out, err) = set.cli("check", "json");
    assert_eq!((exit, err.as_str()), (Exit::Usage, ""));
    let answer: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert!(answer["faults"][0].as_str().unwrap().starts_with("policies/zz.cedar:4:"), "{answer}");
}

#[test]
fn test_fails_on_the_case_that_differs_and_names_it() {
    let set = Set::delivered();
    let (exit, out, err) = set.cli("test", "human");
    assert_eq!((exit, err.as_str()), (Exit::Ok, ""), "{out}");
    insta::assert_snapshot!("who_may_do_what", out);
    set.replace("policies/concurrency.cedar", "< 5 }", "< 6 }");
    let (exit, _, err) = set.cli("test", "human");
    assert_eq!(exit, Exit::Failed);
    assert!(err.contains("policies/concurrency.cases.toml:9: the sixth is not"), "{err}");
    assert!(err.contains("expected IMPERSONATION_LIMIT, got permit"), "{err}");
}

#[test]
fn a_permissive_schema_serves_any_upstream_and_own_routes_go_first() {
    use drawbridge::policy::Routed;
    let set = Set::delivered();
    set.write("schemas/customer-api.cedarschema", &schema::permissive("http://127.0.0.1:9000\n"));
    let engine = set.load();
    let snapshot = engine.snapshot();
    let action = |method, path| match snapshot.route(method, path) {
        Routed::Declared { action, .. } => action.name.to_string(),
        Routed::MethodNotAllowed { allow, .. } => format!("only {allow}"),
        Routed::Undeclared { .. } => "undeclared".to_owned(),
    };
    assert_eq!(action("GET", "/"), "readUpstream");
    assert_eq!(action("HEAD", "/a/b.html"), "readUpstream");
    assert_eq!(action("OPTIONS", "/a"), "readUpstream");
    assert_eq!(action("PROPFIND", "/a"), "writeUpstream");
    assert_eq!(action("POST", "/"), "writeUpstream");
    assert_eq!(action("GET", "/api/v1/me"), "getMe");
    assert_eq!(action("DELETE", "/api/v1/orgs/org_a/audit-log"), "only GET, HEAD");
    assert_eq!(action("GET", "/api/v1/orgs/org_a/cameras"), "readUpstream");
}

fn replace_by_rename(path: &Path, text: &str) {
    let beside = path.with_extension("tmp");
    std::fs::write(&beside, text).unwrap();
    std::fs::rename(beside, path).unwrap();
}

#[test]
fn edits_come_into_force_or_are_refused() {
    let set = Set::delivered();
    let engine = Arc::new(set.load());
    let first = engine.snapshot().hash().clone();
    let (tell, told) = mpsc::channel();
    let watcher = engine.watch(move |event| drop(tell.send(event))).unwrap();
    let next = || told.recv_timeout(Duration::from_secs(10)).expect("nothing was told");
    let extra = set.path("policies/extra.cedar");

    // A save by writing beside and renaming.
    replace_by_rename(&extra, OK);
    let ReloadEvent::Reloaded(second) = next() else { panic!("refused") };
    assert_ne!(first, second);
    assert_eq!(*engine.snapshot().hash(), second);

    // A wrong edit changes nothing, and is told once however many events it made.
    for _ in 0..5 {
        std::fs::write(&extra, "permit (").unwrap();
    }
    let ReloadEvent::Rejected(report) = next() else { panic!("accepted") };
    assert!(report.faults[0].contains("extra.cedar:1:"), "{report}");
    assert_eq!(*engine.snapshot().hash(), second);
    assert!(engine.rejected().is_some());

    // Cases decide nothing, so they change nothing; a burst ends in its last state.
    set.write("policies/more.cases.toml", "");
    for n in 0..50 {
        std::fs::write(&extra, format!("{OK}\n// {n}")).unwrap();
    }
    let last = loop {
        match next() {
            // What came after it is read here, and is no news to the watcher then.
            ReloadEvent::Reloaded(hash) => break engine.reload().unwrap().unwrap_or(hash),
            ReloadEvent::Rejected(report) => assert!(report.faults[0].contains("no policy"), "{report}"),
        }
    };
    assert_eq!(*engine.snapshot().hash(), last);
    assert!(engine.rejected().is_none());

    // Taking the file away is an edit like any other.
    std::fs::remove_file(&extra).unwrap();
    let ReloadEvent::Reloaded(hash) = next() else { panic!("refused") };
    assert_eq!(hash, first);
    drop(watcher);
    assert!(
        told.recv_timeout(Duration::from_secs(10)).is_err_and(|e| e == mpsc::RecvTimeoutError::Disconnected)
    );
}

#[test]
fn a_reload_that_fails_keeps_the_old_set() {
    let set = Set::delivered();
    let engine = set.load();
    let hash = engine.snapshot().hash().clone();
    assert!(engine.reload().unwrap().is_none());
    set.replace("policies/routes.cedar", "forbid", "forbit");
    assert!(engine.reload().is_err());
    assert!(engine.reload().is_err(), "asked again, it says so again");
    assert_eq!(*engine.snapshot().hash(), hash);
    assert!(engine.rejected().unwrap().faults[0].contains("routes.cedar:"));
    set.replace("policies/routes.cedar", "forbit", "forbid");
    assert!(engine.reload().unwrap().is_none());
    assert!(engine.rejected().is_none());
}
