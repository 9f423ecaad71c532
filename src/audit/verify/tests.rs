//! Random logs and random damage, by both verifiers. `DRAWBRIDGE_TEST_TREES` sets how many (300), and
//! `DRAWBRIDGE_SEED` where to begin.

use super::sample::{Dice, NOW, Sample, key};
use super::*;
use crate::audit::export::{checkpoint_line, entry_line};
use crate::audit::tree::{Hash, VerifierKey, bond};
use ct_merkle::mem_backed_tree::MemoryBackedTree;
use serde_json::{Value, json};
use sha2::Sha256;
use std::path::Path;
use std::process::Command;

/// One file and what is known beforehand.
struct Case {
    name: String,
    bytes: Vec<u8>,
    key: Option<String>,
    against: Vec<String>,
}

impl Case {
    fn new(name: &str, bytes: impl Into<Vec<u8>>) -> Self {
        Self { name: name.to_owned(), bytes: bytes.into(), key: None, against: Vec::new() }
    }

    fn key(mut self, key: String) -> Self {
        self.key = Some(key);
        self
    }

    fn against(mut self, note: String) -> Self {
        self.against.push(note);
        self
    }

    fn verify(&self) -> Result<Report, Fault> {
        let kept = |note: &String| Kept { name: "kept".to_owned(), note: note.clone() };
        let expect = Expect {
            key: self.key.as_ref().map(|key| VerifierKey::parse(key).unwrap()),
            against: self.against.iter().map(kept).collect(),
            ..Expect::default()
        };
        let mut lines = Lines::new(Verifier::new(expect));
        // In pieces, as they come from a network.
        for piece in self.bytes.chunks(1000) {
            lines.feed(piece)?;
        }
        lines.finish()
    }
}

/// What may be done to an export; `None` when it can't be done to this one, or makes no difference.
fn damage(kind: usize, sample: &Sample, dice: &mut Dice) -> Option<Case> {
    let (mut lines, original) = (sample.lines(), sample.export());
    let size = *sample.signed.last().unwrap();
    let entries = sample.first..size;
    let at = dice.below(lines.len());
    let pick = |dice: &mut Dice| (!entries.is_empty()).then(|| sample.first + dice.below(entries.len()));
    let is_checkpoint = |line: &String| line.starts_with("{\"checkpoint\"");
    let case = match kind {
        0 => {
            let mut bytes = original.clone();
            let at = dice.below(bytes.len());
            bytes[at] ^= 1 << dice.below(8);
            Case::new("a bit flipped", bytes)
        }
        1 => {
            let dropped = lines.remove(at);
            // An older checkpoint within is told for who wants it; the newest covers all.
            if is_checkpoint(&dropped) && at != lines.len() {
                return None;
            }
            let case = Case::new("a line dropped", lines.concat());
            // What is left may be the export of an earlier time.
            if lines.last().is_some_and(is_checkpoint) { case.against(sample.newest()) } else { case }
        }
        2 => {
            let other = dice.below(lines.len());
            lines.swap(at, other);
            Case::new("lines swapped", lines.concat())
        }
        3 => {
            lines.insert(at, lines[at].clone());
            Case::new("a line doubled", lines.concat())
        }
        4 => {
            let forged = sample.leaf(pick(dice)?);
            let line = entry_line(&crate::audit::leaves::Leaf { index: at as u64, ..forged }).unwrap();
            lines.insert(at, line);
            Case::new("an entry inserted", lines.concat())
        }
        5 => {
            lines.insert(at, ["\n", " \n", "{}\n", "null\n", "x\u{e9}\n"][dice.below(5)].to_owned());
            Case::new("a line inserted", lines.concat())
        }
        6 => {
            let to = dice.below(original.len());
            let case = Case::new("cut off", &original[..to]);
            // Cut behind an older checkpoint it is the export of an earlier time: only a newer one tells.
            case.against(sample.newest())
        }
        7 => {
            let (gone, mut cut) = (pick(dice)?, sample.clone());
            cut.entries.remove(gone);
            cut.signed = vec![size - 1];
            let mut lines = cut.lines();
            *lines.last_mut().unwrap() = checkpoint_line(&sample.newest());
            Case::new("an entry left out and the rest numbered anew", lines.concat())
        }
        8 => {
            let (changed, mut forged) = (pick(dice)?, sample.clone());
            forged.entries[changed].0 = forged.entries[changed].0.replace("req_", "req_f");
            let text = forged.lines().into_iter().zip(&lines);
            let text: String =
                text.map(|(new, old)| if is_checkpoint(old) { old.clone() } else { new }).collect();
            Case::new("an entry changed with its hash", text)
        }
        9 => {
            let older = match sample.signed.len() {
                1 => sample.note(size - 1),
                n => sample.note(sample.signed[n - 2]),
            };
            *lines.last_mut().unwrap() = checkpoint_line(&older);
            Case::new("an older checkpoint at the end", lines.concat())
        }
        10 => {
            let forged = Sample { key: key(8), ..sample.clone() };
            Case::new("signed by another key", forged.export()).key(sample.verifier())
        }
        11 => {
            let forged = Sample { key: key(8), ..sample.clone() };
            Case::new("signed by another key, against a kept one", forged.export()).against(sample.newest())
        }
        12 => {
            let last = sample.signed.len().checked_sub(2)?;
            let earlier = Sample { signed: sample.signed[..=last].to_vec(), ..sample.clone() };
            Case::new("an earlier export against a newer checkpoint", earlier.export())
                .against(sample.newest())
        }
        13 => {
            let cut = Sample { first: pick(dice)? + 1, signed: vec![size], ..sample.clone() };
            let mut lines = cut.lines();
            *lines.last_mut().unwrap() = checkpoint_line(&sample.newest());
            Case::new("the beginning cut off", lines.concat())
        }
        14 => {
            let (changed, mut forged) = (dice.below(size), sample.clone());
            forged.entries[changed].1 = Some(bond("another"));
            Case::new("rewritten and signed anew", forged.export()).against(sample.newest())
        }
        15 => {
            let (gone, mut forged) = (pick(dice)?, sample.clone());
            let numbered = |line: &str| -> Option<(String, u64)> {
                let entry: Value = serde_json::from_str(line).unwrap();
                Some((entry["impersonation_id"].as_str()?.to_owned(), entry["impersonation_seq"].as_u64()?))
            };
            let (grant, _) =
                numbered(&sample.entries[gone].0).filter(|_| sample.entries[gone].0.contains("intent"))?;
            // Seen when the grant goes on, and its beginning is known.
            let of_grant = |line: &str| numbered(line).is_some_and(|(other, _)| other == grant);
            let goes_on = sample.entries[gone + 1..].iter().any(|(line, _)| of_grant(line));
            let known = sample.first == 0
                || sample.entries[sample.first..gone].iter().any(|(line, _)| of_grant(line));
            if !goes_on || !known {
                return None;
            }
            forged.entries.remove(gone);
            forged.signed = vec![size - 1];
            Case::new("a request never recorded", forged.export())
        }
        16 => {
            let (changed, mut forged) = (pick(dice)?, sample.clone());
            if sample.log == crate::audit::tree::LogName::Platform
                || forged.entries[changed].0.contains("outcome")
            {
                return None;
            }
            forged.entries[changed].0 = forged.entries[changed].0.replace("org_acme", "org_globex");
            Case::new("an entry of another org", forged.export())
        }
        17 => {
            let kept = sample.first.checked_sub(1)?;
            let note = Sample { signed: vec![kept, size], ..sample.clone() }.note_at(kept, NOW - 1000);
            Case::new("entries removed before their time", sample.export()).against(note)
        }
        18 => {
            lines[at] = lines[at].replace('\n', "\r\n");
            Case::new("a carriage return", lines.concat())
        }
        19 => {
            let bytes = [original.as_slice(), b"x"].concat();
            Case::new("more at the end", bytes)
        }
        20 => {
            let header = lines.remove(0);
            let capitals = |header: String| {
                let (before, id) = header.split_once('+').unwrap();
                let (id, after) = id.split_once('+').unwrap();
                format!("{before}+{}+{after}", id.to_uppercase())
            };
            Case::new("the key's id in capitals", format!("{}{}", capitals(header), lines.concat()))
        }
        _ => return None,
    };
    (case.bytes != original || case.name.contains("before their time")).then_some(case)
}

const KINDS: usize = 21;

/// The verdicts of the second verifier: whether it is OK, the line of the fault, what it says.
fn by_python(cases: &[Case], folder: &Path) -> Vec<(bool, Option<u64>, String)> {
    let list: Vec<Value> = cases
        .iter()
        .enumerate()
        .map(|(i, case)| {
            let path = folder.join(i.to_string());
            std::fs::write(&path, &case.bytes).unwrap();
            json!([path, case.key, case.against])
        })
        .collect();
    std::fs::write(folder.join("list"), json!(list).to_string()).unwrap();
    let program = "import json, sys; sys.path.insert(0, sys.argv[1]); import verify_audit\n\
                   print(json.dumps([verify_audit.verdict(*case) for case in json.load(open(sys.argv[2]))]))";
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("tools");
    let mut python = Command::new("python3");
    python.args(["-B", "-c", program]).arg(tools).arg(folder.join("list"));
    let output =
        python.output().expect("python3 is needed for the second verifier: `make servers` installs it");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().unwrap())
}

#[test]
fn both_verifiers_accept_what_is_whole_and_refuse_what_is_not() {
    let (trees, seed) = (number("DRAWBRIDGE_TEST_TREES", 300), number("DRAWBRIDGE_SEED", 1));
    let mut done = [0_u32; KINDS];
    let seeds: Vec<u64> = (seed..seed + trees).collect();
    for some in seeds.chunks(500) {
        let (mut cases, mut verdicts) = (Vec::new(), Vec::new());
        for seed in some {
            let mut dice = Dice::new(*seed);
            let sample = Sample::random(&mut dice);
            let mut whole = Case::new(&format!("seed {seed}: whole"), sample.export());
            if dice.one_in(2) {
                // Anything that was signed before is no contradiction, if what expired has done so in its time.
                let kept = dice.below(sample.entries.len() + 1).max(sample.first);
                whole = whole.key(sample.verifier()).against(sample.note(kept));
            }
            verdicts.push(whole.verify().map(|_| ()));
            assert_eq!(
                verdicts.last().unwrap(),
                &Ok(()),
                "seed {seed}: {}",
                String::from_utf8_lossy(&whole.bytes)
            );
            cases.push(whole);
            // Two kinds of damage each, all kinds in turn.
            for kind in [*seed as usize % KINDS, dice.below(KINDS)] {
                let Some(mut case) = damage(kind, &sample, &mut dice) else { continue };
                done[kind] += 1;
                case.name = format!("seed {seed}: {}", case.name);
                let verdict = case.verify().map(|_| ());
                assert!(
                    verdict.is_err(),
                    "{} is accepted:\n{}",
                    case.name,
                    String::from_utf8_lossy(&case.bytes)
                );
                verdicts.push(verdict);
                cases.push(case);
            }
        }
        let folder = tempfile::tempdir().unwrap();
        let second = by_python(&cases, folder.path());
        assert_eq!(second.len(), cases.len());
        for ((case, first), (ok, line, told)) in cases.iter().zip(&verdicts).zip(second) {
            let expected = first.as_ref().err().map(|fault| fault.line.unwrap_or(0));
            assert_eq!(
                (first.is_ok(), expected),
                (ok, line),
                "{}: {first:?}, and the second says: {told}",
                case.name
            );
        }
    }
    assert!(trees < 300 || done.iter().all(|n| *n > 0), "a kind of damage was never done: {done:?}");
}

#[test]
fn a_fault_names_the_entry_in_a_sentence() {
    let mut dice = Dice::new(1);
    let mut sample = Sample::random(&mut dice);
    while sample.entries.len() < 20 || sample.first > 0 {
        sample = Sample::random(&mut dice);
    }
    let mut lines = sample.lines();
    let at = lines.iter().position(|line| line.starts_with("{\"index\":11,")).unwrap();
    lines[at] = lines[at].replace("\"path\":\"/", "\"path\":\"/x");
    let fault = Case::new("", lines.concat()).verify().unwrap_err();
    let request = serde_json::from_str::<Value>(&sample.entries[11].0).unwrap()["request_id"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!((fault.index, fault.entry.as_deref()), (Some(11), Some("aud_11")));
    assert_eq!(
        fault.to_string(),
        format!(
            "line {}, entry 11, id aud_11, request {request}: the entry was changed: it isn't the one that its hash is of",
            at + 1
        )
    );
}

#[test]
fn a_report_tells_what_was_checked() {
    let mut dice = Dice::new(3);
    let sample = loop {
        let sample = Sample::random(&mut dice);
        if sample.first > 0 && sample.signed.len() > 1 && sample.first < sample.entries.len() {
            break sample;
        }
    };
    let size = sample.entries.len();
    // Kept so long ago that what came after it has expired.
    let kept = Sample { signed: vec![0, size], ..sample.clone() }.note_at(0, NOW - 400 * 86_400_000);
    let case = Case::new("", sample.export()).against(kept).against(sample.newest());
    let report = case.verify().unwrap();
    assert_eq!(
        (report.size, report.first, report.entries),
        (size as u64, sample.first as u64, (size - sample.first) as u64)
    );
    assert_eq!((report.gaps, report.checkpoints, report.key_given), (0, sample.signed.len() as u64, false));
    assert_eq!(report.against.iter().map(|k| k.recomputed).collect::<Vec<_>>(), [false, true]);
    assert_eq!(report.from.unwrap(), crate::domain::rfc3339(NOW + sample.first as i64));
    assert_eq!(report.key, sample.verifier());
}

/// What the gateway of `log` answers to whoever knows `from` of its entries.
fn growth(log: &Sample, from: usize) -> Growth {
    let mut tree: MemoryBackedTree<Sha256, Vec<u8>> = MemoryBackedTree::new();
    for (line, bond) in &log.entries {
        let bond = bond.map_or(Vec::new(), |bond| bond.0.to_vec());
        tree.push([line.as_bytes(), b"\n", &bond].concat());
    }
    let proof = tree.prove_consistency(log.entries.len() - from);
    let path: Vec<String> =
        proof.as_bytes().chunks(32).map(|hash| Hash(hash.try_into().unwrap()).to_string()).collect();
    serde_json::from_value(json!({ "path": path, "checkpoint": log.newest() })).unwrap()
}

#[test]
fn what_has_expired_is_compared_by_the_gateway_s_proof() {
    let mut dice = Dice::new(11);
    for _ in 0..30 {
        let sample = loop {
            let sample = Sample::random(&mut dice);
            if sample.first > 1 {
                break sample;
            }
        };
        let (size, then) = (sample.entries.len(), 1 + dice.below(sample.first - 1));
        let more = |log: &Sample, n: usize| {
            let mut log = log.clone();
            log.entries.extend((0..n).map(|n| (format!("{{\"later\":{n}}}"), None)));
            log.signed = vec![log.entries.len()];
            log
        };
        let other_beginning = |log: &Sample| {
            let mut log = log.clone();
            log.entries[0].0.push(' ');
            log
        };
        let now = more(&sample, 1 + dice.below(9));
        let prove = |kept_of: &Sample, from_kept: &Growth, from_end: &Growth| {
            let note = kept_of.note_at(then, NOW - 400 * 86_400_000);
            let kept = Kept { name: "kept".to_owned(), note: note.clone() };
            let mut report = Case::new("", sample.export()).against(note).verify().unwrap();
            let done = report.prove(&kept, from_kept, from_end);
            assert_eq!(report.unproved().count(), usize::from(!matches!(done, Ok(true))));
            done
        };
        let ends = growth(&now, size);
        assert!(prove(&sample, &growth(&now, then), &ends).unwrap());
        assert!(!prove(&sample, &growth(&more(&now, 1), then), &ends).unwrap(), "of two trees");
        let rewritten = prove(&other_beginning(&sample), &growth(&now, then), &ends).unwrap_err();
        assert!(rewritten.to_string().contains("the log was rewritten"), "{rewritten}");
        // A tree that continues what was kept, and isn't the one whose entries were given.
        let forked = other_beginning(&now);
        let forked =
            prove(&other_beginning(&sample), &growth(&forked, then), &growth(&forked, size)).unwrap_err();
        assert!(forked.to_string().contains("isn't about the entries"), "{forked}");
        let stranger = Sample { key: key(8), ..now.clone() };
        let strange = prove(&sample, &growth(&stranger, then), &growth(&stranger, size)).unwrap_err();
        assert!(strange.to_string().contains("isn't to be believed"), "{strange}");
    }
}

#[test]
fn a_witness_must_have_signed() {
    let mut dice = Dice::new(5);
    let sample = Sample::random(&mut dice);
    let witness = crate::audit::witness::WitnessKey::new("witness.example", [9; 32]).unwrap();
    let verify = |export: &str| {
        let expect = Expect { witness: Some(witness.verifier().clone()), ..Expect::default() };
        let mut lines = Lines::new(Verifier::new(expect));
        lines.feed(export.as_bytes()).and_then(|()| lines.finish())
    };
    let mut lines = sample.lines();
    let told = verify(&lines.concat()).unwrap_err();
    assert!(told.what.contains("witness"), "{told}");
    let size = sample.entries.len();
    let line = witness.cosign(&sample.newest(), NOW).unwrap();
    let both = crate::audit::tree::Checkpoint::read(&sample.newest()).unwrap().cosigned(&line).unwrap();
    *lines.last_mut().unwrap() = checkpoint_line(&both);
    assert_eq!(verify(&lines.concat()).unwrap().witnessed, Some(size as u64));
}
