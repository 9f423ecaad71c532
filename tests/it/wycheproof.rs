//! Our verifier against the JWS and JWK vectors of Project Wycheproof (`tests/data/wycheproof`).
//!
//! Which vectors have a key of an algorithm of ours is read from the vector, and not told by our code: those have to
//! be judged as the vector says, and every other one has to be refused.

use drawbridge::identity::VerifyingKeys;
use serde_json::{Value, json};
use std::path::Path;

/// What a file's run came to.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    tests: usize,
    /// Accepted, as they should be.
    accepted: usize,
    /// Refused though the vector says that they are valid, because the algorithm isn't ours.
    not_ours: usize,
}

/// The key set of a group: our reader takes sets.
fn keys(group: &Value) -> Value {
    let key = if group["public"].is_null() { &group["private"] } else { &group["public"] };
    if key["keys"].is_array() { key.clone() } else { json!({ "keys": [key] }) }
}

/// Whether each key is of an algorithm that we sign with.
fn is_ours(keys: &Value) -> bool {
    keys["keys"].as_array().unwrap().iter().all(|key| key["alg"] == "RS256" || key["alg"] == "EdDSA")
}

fn run(file: &str) -> Tally {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/wycheproof").join(file);
    let vectors: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let (mut tally, mut wrong) = (Tally::default(), Vec::new());
    for group in vectors["testGroups"].as_array().unwrap() {
        let keys = keys(group);
        let reader = VerifyingKeys::from_jwks(&keys);
        for test in group["tests"].as_array().unwrap() {
            tally.tests += 1;
            // JSON serialization is an object; what isn't a text isn't a compact JWS. Encryption is never ours.
            let compact = match (&test["jws"], &test["jwe"]) {
                (Value::String(jws), _) | (_, Value::String(jws)) => jws.clone(),
                (other, _) => other.to_string(),
            };
            let accepted = reader.as_ref().is_ok_and(|keys| keys.verify(&compact).is_ok());
            let valid = test["result"] == "valid";
            if valid && !is_ours(&keys) {
                tally.not_ours += 1;
            }
            tally.accepted += usize::from(accepted);
            if accepted != (valid && is_ours(&keys)) {
                wrong.push(format!("{} {}: accepted {accepted}", test["tcId"], test["comment"]));
            }
        }
    }
    assert_eq!(tally.tests as u64, vectors["numberOfTests"].as_u64().unwrap());
    assert!(wrong.is_empty(), "{file}: {} wrong verdicts: {wrong:#?}", wrong.len());
    tally
}

#[test]
fn s_29_json_web_signature() {
    assert_eq!(run("json_web_signature_test.json"), Tally { tests: 401, accepted: 8, not_ours: 38 });
}

#[test]
fn s_29_json_web_key() {
    assert_eq!(run("json_web_key_test.json"), Tally { tests: 26, accepted: 1, not_ours: 4 });
}

#[test]
fn s_29_json_web_crypto() {
    assert_eq!(run("json_web_crypto_test.json"), Tally { tests: 83, accepted: 1, not_ours: 5 });
}
