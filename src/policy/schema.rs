//! The Cedar schemas: which entities and actions exist, what the gateway must supply, which routes there are.

mod check;
mod permissive;

pub use permissive::permissive;

use super::context::Keys;
use super::entities::TYPES;
use super::fault::Fault;
use super::routes::{Clash, Pattern, Routes};
use super::source::SourceFile;
use cedar_policy::{EntityId, EntityTypeName, EntityUid, Schema, SchemaFragment};
use std::sync::Arc;

/// Annotations that an action may carry.
const KNOWN: [&str; 4] = ["http", "served", "decide", "doc"];

/// What an action is asked about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ResourceKind {
    /// Nothing of an org.
    Platform,
    /// The org itself.
    Org,
    /// Something that belongs to an org.
    OfOrg,
}

/// One action with an `appliesTo`.
#[derive(Debug, Clone)]
pub(super) struct Declared {
    pub(super) name: Arc<str>,
    pub(super) uid: EntityUid,
    /// The groups that it is in, directly or not.
    pub(super) groups: Vec<EntityUid>,
    pub(super) principals: Vec<EntityTypeName>,
    pub(super) resource_type: EntityTypeName,
    pub(super) resource: ResourceKind,
    /// The context attributes that the schema gives it.
    pub(super) context: Keys,
    pub(super) routes: Vec<Pattern>,
    pub(super) served_here: bool,
    pub(super) decided_by_handler: bool,
}

/// The schemas of a set, checked.
pub(super) struct Schemas {
    pub(super) schema: Schema,
    pub(super) actions: Vec<Declared>,
    pub(super) routes: Routes,
}

/// The files as one text, so that they may refer to each other and faults still know their file.
struct Joined<'a> {
    files: &'a [SourceFile],
    text: String,
    starts: Vec<usize>,
}

impl<'a> Joined<'a> {
    fn new(files: &'a [SourceFile]) -> Self {
        let (mut text, mut starts) = (String::new(), Vec::new());
        for file in files {
            starts.push(text.len());
            text.push_str(&file.text);
            text.push('\n');
        }
        Self { files, text, starts }
    }

    fn fault(&self, diagnostic: &dyn miette::Diagnostic) -> Fault {
        let offset = diagnostic.labels().and_then(|mut l| l.next()).map_or(0, |l| l.offset());
        let place = self.files.iter().zip(&self.starts).rev().find(|(_, start)| **start <= offset);
        match place {
            Some((file, start)) => Fault::from_cedar_at(file, diagnostic, *start),
            None => Fault::of_path("schemas", diagnostic.to_string()),
        }
    }

    /// A fault at the first place where `needle` stands in a file that `wanted` picks.
    fn fault_at(&self, wanted: impl Fn(&SourceFile) -> bool, needle: &str, message: String) -> Fault {
        for file in self.files.iter().filter(|f| wanted(f)) {
            if let Some(offset) = file.text.find(needle) {
                return Fault::at(file, offset, needle.len(), message);
            }
        }
        match self.files.iter().find(|f| wanted(f)).or(self.files.first()) {
            Some(file) => Fault::at(file, 0, 0, message),
            None => Fault::of_path("schemas", message),
        }
    }
}

/// Reads and checks the schemas.
///
/// # Errors
/// Every fault that can be found before the first that hides the rest.
pub(super) fn load(files: &[SourceFile]) -> Result<Schemas, Vec<Fault>> {
    let mut faults = Vec::new();
    let mut fragments = Vec::new();
    for file in files {
        match SchemaFragment::from_cedarschema_str(&file.text) {
            Ok((fragment, _)) => fragments.push((file, fragment)),
            Err(error) => faults.push(Fault::from_cedar(file, &error)),
        }
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    let joined = Joined::new(files);
    let (schema, json) = match (
        Schema::from_cedarschema_str(&joined.text),
        cedar_policy::schema_str_to_json_with_resolved_types(&joined.text),
    ) {
        (Ok((schema, _)), Ok((json, _))) => (schema, json),
        (Err(error), _) | (_, Err(error)) => return Err(vec![joined.fault(&error)]),
    };
    check::entities(&schema, &json, &joined, &mut faults);
    let mut actions = Vec::new();
    let mut uids: Vec<_> = schema.actions().cloned().collect();
    uids.sort_by_key(ToString::to_string);
    for uid in uids {
        let id = EntityId::new(uid.id().unescaped());
        let declared_in = fragments.iter().find(|(_, f)| f.action_annotations(None, &id).is_some());
        let annotations: Vec<(String, String)> = declared_in
            .and_then(|(_, f)| f.action_annotations(None, &id))
            .into_iter()
            .flatten()
            .map(|(k, v)| (k.to_owned(), v.to_owned()))
            .collect();
        let file = declared_in.map(|(file, _)| file.path.as_str());
        actions.extend(action(&schema, &json, &uid, &annotations, file, &joined, &mut faults));
    }
    for stand_in in ["undeclared", "call"] {
        let ok = actions.iter().any(|a| &*a.name == stand_in && a.resource == ResourceKind::Platform);
        if !ok {
            let message = format!("no schema declares the action `{stand_in}` for the resource `Platform`");
            faults.push(
                joined
                    .fault_at(|_| true, stand_in, message)
                    .help("the gateway asks for it by name; `schemas/platform.cedarschema` declares it"),
            );
        }
    }
    let routes = Routes::build(actions.iter().enumerate().map(|(i, a)| (i, a.routes.as_slice())), |i| {
        actions.get(i).map_or_else(String::new, |a| a.name.to_string())
    });
    let routes = routes.unwrap_or_else(|clashes| {
        faults.extend(clashes.iter().map(|clash| clash_fault(clash, &actions, &fragments, &joined)));
        Routes::default()
    });
    if faults.is_empty() { Ok(Schemas { schema, actions, routes }) } else { Err(faults) }
}

/// One action; `None` for a group, or when something is wrong with it.
fn action(
    schema: &Schema,
    json: &serde_json::Value,
    uid: &EntityUid,
    annotations: &[(String, String)],
    file: Option<&str>,
    joined: &Joined<'_>,
    faults: &mut Vec<Fault>,
) -> Option<Declared> {
    let name = uid.id().unescaped();
    let before = faults.len();
    let mut fault = |needle: &str, message: String, help: &str| {
        let wanted = |f: &SourceFile| file.is_none_or(|path| path == f.path);
        faults.push(joined.fault_at(wanted, needle, message).help(help));
    };
    let here = format!("action {name}");
    if uid.type_name() != &TYPES.action {
        fault(name, format!("action `{uid}` stands in a namespace"), "declare actions outside namespaces");
        return None;
    }
    let (mut routes, mut served_here, mut decided_by_handler) = (Vec::new(), false, false);
    for (key, value) in annotations {
        match (key.as_str(), value.as_str()) {
            ("http", value) => match Pattern::parse_all(value) {
                Ok(patterns) => routes = patterns,
                Err(message) => fault(
                    &format!("\"{value}\""),
                    message,
                    "for example `GET /api/v1/cameras/{camera}`, `GET|POST /x`, `* /files/{rest...}`",
                ),
            },
            ("served", "gateway") => served_here = true,
            ("decide", "handler") => decided_by_handler = true,
            ("doc", _) => {}
            ("served" | "decide", other) => fault(
                &format!("@{key}(\"{other}\")"),
                format!("`{other}` is not a value of `@{key}` on action `{name}`"),
                "write `@served(\"gateway\")` or `@decide(\"handler\")`",
            ),
            (other, _) => fault(
                &format!("@{other}"),
                format!("`@{other}` on action `{name}` is not an annotation that the gateway knows"),
                &format!("the known ones are @{}", KNOWN.join(", @")),
            ),
        }
    }
    if decided_by_handler && !served_here {
        fault(
            &here,
            format!("action `{name}` is decided by a handler, but not served by the gateway"),
            "add @served(\"gateway\")",
        );
    }
    let mut principals: Vec<_> = schema.principals_for_action(uid).into_iter().flatten().cloned().collect();
    principals.sort();
    principals.dedup();
    let mut resources: Vec<_> = schema.resources_for_action(uid).into_iter().flatten().cloned().collect();
    resources.sort();
    resources.dedup();
    let resource_type = match resources.as_slice() {
        [one] if !principals.is_empty() => one.clone(),
        [] if annotations.iter().all(|(k, _)| k == "doc") => return None,
        _ => {
            fault(
                &here,
                format!("action `{name}` needs principals and exactly one resource type"),
                "give it `appliesTo { principal: […], resource: [Org], context: RequestContext }`",
            );
            return None;
        }
    };
    let known = [&TYPES.platform_user, &TYPES.impersonation, &TYPES.org_user, &TYPES.bot, &TYPES.anonymous];
    for stranger in principals.iter().filter(|p| !known.contains(p)) {
        fault(
            &here,
            format!("`{stranger}` never makes a request, yet action `{name}` applies to it"),
            "principals are PlatformUser, Impersonation, OrgUser, Bot and Anonymous",
        );
    }
    let resource = match &resource_type {
        t if *t == TYPES.platform => ResourceKind::Platform,
        t if *t == TYPES.org => ResourceKind::Org,
        _ => ResourceKind::OfOrg,
    };
    let context = check::context(schema, json, uid, |message, help| fault(&here, message, help));
    (faults.len() == before).then(|| Declared {
        name: name.into(),
        uid: uid.clone(),
        groups: check::groups(schema, uid),
        principals,
        resource_type,
        resource,
        context,
        routes,
        served_here,
        decided_by_handler,
    })
}

fn clash_fault(
    clash: &Clash,
    actions: &[Declared],
    fragments: &[(&SourceFile, SchemaFragment)],
    joined: &Joined<'_>,
) -> Fault {
    let id = actions.get(clash.index).map(|a| EntityId::new(&*a.name));
    let file = id.and_then(|id| fragments.iter().find(|(_, f)| f.action_annotations(None, &id).is_some()));
    let path = file.map(|(file, _)| file.path.as_str());
    let needle = format!("{}\"", clash.path);
    joined
        .fault_at(|f| path.is_none_or(|p| p == f.path), &needle, clash.message.clone())
        .help("each method and path belongs to one action; the same place has the same name everywhere")
}
