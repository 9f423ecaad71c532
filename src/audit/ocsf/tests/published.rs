//! What OCSF publishes about our classes of events (`tests/data/ocsf`), as JSON Schemas to hold events against.
//!
//! `schemas/ocsf-*.schema.json` are ours and might repeat a mistake of the export's; these are not. Resolved here as
//! the framework says: definitions extend others, attributes are those of the dictionary with changes. What belongs
//! to a profile (the export names none in `metadata.profiles`) and what is deprecated is unknown to these schemas.
//!
//! The tests of `tests/it` include this file too, so it names nothing of the crate.

use jsonschema::Validator;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// The number in an `enum` that stands for whatever the source calls it.
const OTHER: &str = "99";

/// The classes, by `class_uid`.
pub(crate) struct Published(BTreeMap<u64, Validator>);

impl Published {
    pub(crate) fn read() -> Self {
        let path = format!("{}/tests/data/ocsf/definitions.json", env!("CARGO_MANIFEST_DIR"));
        let definitions: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        let classes = ["api_activity", "authentication"].map(|name| class(&definitions, name));
        Self(classes.into_iter().collect())
    }

    /// What is wrong with `event`.
    pub(crate) fn faults(&self, event: &Value) -> Vec<String> {
        let Some(class) = event["class_uid"].as_u64().and_then(|uid| self.0.get(&uid)) else {
            return vec![format!("class {} isn't one of those published", event["class_uid"])];
        };
        class.iter_errors(event).map(|e| format!("{}: {e}", e.instance_path())).collect()
    }
}

/// The number of a class and what its events may look like.
fn class(definitions: &Value, name: &str) -> (u64, Validator) {
    let class = &definitions["events"][name];
    let parent = class["extends"].as_str().unwrap();
    let category = &definitions["categories"][definitions["events"][parent]["category"].as_str().unwrap()];
    let uid = category["uid"].as_u64().unwrap() * 1000 + class["uid"].as_u64().unwrap();
    let mut schema = resolved(definitions, "events", name);
    for (attribute, value) in [
        ("class_uid", json!(uid)),
        ("class_name", class["caption"].clone()),
        ("category_uid", category["uid"].clone()),
        ("category_name", category["caption"].clone()),
    ] {
        schema["properties"][attribute] = json!({ "const": value });
    }
    let activities = schema["properties"]["activity_id"]["enum"].as_array().unwrap().clone();
    let rules = schema["allOf"].as_array_mut().unwrap();
    for id in activities {
        let type_uid = uid * 100 + id.as_u64().unwrap();
        rules.push(when("activity_id", &id, json!({ "properties": { "type_uid": { "const": type_uid } } })));
    }
    let objects = definitions["objects"].as_object().unwrap();
    schema["$defs"] =
        objects.keys().map(|name| (name.clone(), resolved(definitions, "objects", name))).collect();
    schema["$defs"]["metadata"]["properties"]["version"] = json!({ "const": definitions["version"] });
    (uid, jsonschema::draft202012::new(&schema).unwrap())
}

/// The schema of an event class or an object.
fn resolved(definitions: &Value, part: &str, name: &str) -> Value {
    let (attributes, constraints) = inherited(definitions, part, name);
    // `allOf` may not be empty.
    let (mut properties, mut required, mut rules) = (Map::new(), Vec::new(), vec![json!(true)]);
    for (name, changes) in attributes {
        let mut attribute = definitions["dictionary"][&name].clone();
        merge(&mut attribute, &changes);
        if attribute["profile"].is_string() || attribute.get("@deprecated").is_some() {
            continue;
        }
        if attribute["requirement"] == "required" {
            required.push(name.clone());
        }
        rules.extend(captions(definitions, &name, &attribute));
        properties.insert(name, typed(definitions, &attribute));
    }
    for (constraint, rule) in [("at_least_one", "anyOf"), ("just_one", "oneOf")] {
        if let Some(names) = constraints.get(constraint).and_then(Value::as_array) {
            let each: Vec<_> = names.iter().map(|name| json!({ "required": [name] })).collect();
            rules.push(json!({ rule: each }));
        }
    }
    // An object without attributes of its own is whatever the source has: `unmapped`.
    let more = properties.is_empty();
    json!({
        "type": "object", "properties": properties, "additionalProperties": more, "required": required,
        "allOf": rules,
    })
}

/// Attributes and constraints of a definition: its own over those of profiles over those of what it extends.
fn inherited(definitions: &Value, part: &str, name: &str) -> (Map<String, Value>, Value) {
    let definition = &definitions[part][name];
    assert!(definition.is_object(), "{part} {name} isn't in the extract");
    let (attributes, mut constraints) = match definition["extends"].as_str() {
        Some(parent) => inherited(definitions, part, parent),
        None => (Map::new(), json!({})),
    };
    let mut attributes = Value::Object(attributes);
    let mut own = definition["attributes"].clone();
    let profiles = own.as_object_mut().unwrap().remove("$include");
    for path in profiles.iter().flat_map(|paths| paths.as_array().unwrap()) {
        let profile = &definitions["profiles"][path.as_str().unwrap()];
        for (attribute, changes) in profile["attributes"].as_object().unwrap() {
            let mut changes = changes.clone();
            changes["profile"] = profile["name"].clone();
            merge(&mut attributes, &json!({ attribute: changes }));
        }
    }
    merge(&mut attributes, &own);
    if let Some(own) = definition.get("constraints") {
        constraints = own.clone();
    }
    (attributes.as_object().unwrap().clone(), constraints)
}

fn merge(into: &mut Value, from: &Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (name, value) in from {
                merge(into.entry(name.clone()).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from.clone(),
    }
}

/// What the attribute's value may be.
fn typed(definitions: &Value, attribute: &Value) -> Value {
    let kind = attribute["type"].as_str().unwrap();
    let definition = &definitions["types"][kind];
    let mut schema = if definition.is_object() {
        match definition["type"].as_str().unwrap_or(kind) {
            "string_t" => json!({ "type": "string" }),
            "integer_t" | "long_t" => json!({ "type": "integer" }),
            "float_t" => json!({ "type": "number" }),
            "boolean_t" => json!({ "type": "boolean" }),
            "json_t" => json!({}),
            other => panic!("what a `{other}` is, isn't known here"),
        }
    } else {
        json!({ "$ref": format!("#/$defs/{kind}") })
    };
    for (told, keyword) in [("regex", "pattern"), ("max_len", "maxLength")] {
        if let Some(value) = definition.get(told) {
            schema[keyword] = value.clone();
        }
    }
    if let Some([from, to]) = definition["range"].as_array().map(Vec::as_slice) {
        (schema["minimum"], schema["maximum"]) = (from.clone(), to.clone());
    }
    if let Some(values) = attribute["enum"].as_object() {
        schema["enum"] = values.keys().map(|value| number_or_name(&schema, value)).collect();
    }
    if attribute["is_array"] == true { json!({ "type": "array", "items": schema }) } else { schema }
}

/// Keys of an `enum` are always strings; the values of an attribute of numbers are numbers.
fn number_or_name(schema: &Value, key: &str) -> Value {
    if schema["type"] == "integer" { json!(key.parse::<i64>().unwrap()) } else { json!(key) }
}

/// A number's name stands beside it, if at all, as published; one that stands for "other" has to be there.
fn captions(definitions: &Value, name: &str, attribute: &Value) -> Vec<Value> {
    let (Some(sibling), Some(values)) = (attribute["sibling"].as_str(), attribute["enum"].as_object()) else {
        return Vec::new();
    };
    if attribute["is_array"] == true {
        return Vec::new();
    }
    let schema = typed(definitions, attribute);
    let rule = |(value, told): (&String, &Value)| {
        let then = if value == OTHER {
            json!({ "required": [sibling] })
        } else {
            json!({ "properties": { sibling: { "const": told["caption"] } } })
        };
        when(name, &number_or_name(&schema, value), then)
    };
    values.iter().map(rule).collect()
}

/// `then`, where `attribute` is there and is `value`.
fn when(attribute: &str, value: &Value, then: Value) -> Value {
    json!({ "if": { "properties": { attribute: { "const": value } }, "required": [attribute] }, "then": then })
}
