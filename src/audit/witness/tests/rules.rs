//! What is cosigned and what isn't.

use super::*;
use proptest::prelude::*;

fn status(refused: Result<String, Refusal>) -> u16 {
    match refused.map(|_| ()) {
        Ok(()) => 200,
        Err(Refusal::Malformed(_)) => 400,
        Err(Refusal::Unsigned(_)) => 403,
        Err(Refusal::UnknownLog(_)) => 404,
        Err(Refusal::Conflict { .. }) => 409,
        Err(Refusal::Inconsistent(_)) => 422,
        Err(Refusal::Storage(_)) => 500,
    }
}

#[tokio::test]
async fn each_thing_that_the_specification_refuses() {
    let folder = tempfile::tempdir().unwrap();
    let notary = notary(folder.path());
    let ask = async |request: Request| status(notary.add(request).await);
    let ten: Leaves = (0..10).collect();
    let other: Leaves = (100..110).collect();
    let (log, org) = (LogName::Platform, acme());

    // Begun with any size, but with no proof.
    assert_eq!(ask(Request { proof: vec![Hash([0; 32])], ..request(&log, &ten, 0) }).await, 422);
    assert_eq!(ask(request(&log, &ten[..6], 3)).await, 409, "it knows of none");
    assert_eq!(ask(request(&log, &ten[..6], 0)).await, 200);
    assert!(matches!(notary.add(request(&log, &ten, 4)).await, Err(Refusal::Conflict { known: 6 })));
    // The same again.
    assert_eq!(ask(request(&log, &ten[..6], 6)).await, 200);
    assert_eq!(ask(Request { proof: vec![Hash([0; 32])], ..request(&log, &ten[..6], 6) }).await, 422);
    // Another tree of the same size; a longer one that doesn't continue; a shorter one.
    assert_eq!(ask(request(&log, &other[..6], 6)).await, 422);
    assert_eq!(ask(request(&log, &other, 6)).await, 422);
    assert_eq!(ask(request(&log, &ten[..5], 6)).await, 400);
    assert_eq!(ask(request(&log, &ten[..5], 5)).await, 409);
    assert_eq!(ask(request(&log, &ten[..5], 0)).await, 409);
    // A proof that isn't one.
    let mut wrong = request(&log, &ten, 6);
    wrong.proof[0].0[0] ^= 1;
    assert_eq!(ask(wrong).await, 422);
    assert_eq!(ask(Request { proof: Vec::new(), ..request(&log, &ten, 6) }).await, 422);
    // Who signs.
    let stranger = LogKey::new("elsewhere", &[7; 32]).unwrap();
    let note = stranger.sign(&log, 10, root(&ten), 0, 0).unwrap();
    assert_eq!(ask(Request { note, ..request(&log, &ten, 6) }).await, 404);
    let imitator = LogKey::new("drawbridge-test", &[8; 32]).unwrap();
    let note = imitator.sign(&log, 10, root(&ten), 0, 0).unwrap();
    assert_eq!(ask(Request { note, ..request(&log, &ten, 6) }).await, 403);
    let note = checkpoint(&log, &ten).replace("\n10\n", "\n11\n");
    assert_eq!(ask(Request { note, ..request(&log, &ten, 6) }).await, 403);
    assert_eq!(ask(Request { note: "x".to_owned(), ..request(&log, &ten, 6) }).await, 400);
    // A size with which nobody can reckon.
    let note = key().sign(&log, u64::MAX, root(&ten), 0, 0).unwrap();
    assert_eq!(ask(Request { note, ..request(&log, &ten, 6) }).await, 400);
    // An empty log has one root.
    let note = key().sign(&org, 0, Hash([1; 32]), 0, 0).unwrap();
    assert_eq!(ask(Request { old: 0, proof: Vec::new(), note }).await, 422);
    assert_eq!(ask(request(&org, &[], 0)).await, 200);
    assert_eq!(ask(request(&org, &other, 0)).await, 200, "each log has its own state");
    // And what is right is still cosigned.
    assert_eq!(ask(request(&log, &ten, 6)).await, 200);
}

#[test]
fn trust_covers_the_logs_of_one_installation() {
    let trust = trust();
    for log in [LogName::Platform, acme()] {
        assert_eq!(trust.key_of(&key().origin(&log)), Some(key().verifier(&log)));
    }
    for origin in [
        "",
        "platform",
        "drawbridge-test",
        "drawbridge-test/",
        "drawbridge-test/x/platform",
        "other/platform",
    ] {
        assert_eq!(trust.key_of(origin), None, "{origin}");
    }
    assert_eq!(Trust::of(&key().verifier(&acme())).unwrap(), trust, "whichever log's key is given");
    let no_log = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
    assert!(Trust::of(&VerifierKey::parse(no_log).unwrap()).is_err());
}

/// What somebody with the log's key may try.
#[derive(Debug, Clone)]
enum Step {
    /// The history that is chosen grows by so many.
    Grow(usize),
    /// A history that shares so much of the chosen one (of 255) and goes on differently; it is chosen.
    Fork(u8),
    /// Another one is chosen.
    Choose(u8),
    /// A checkpoint of so much of the chosen history (of 255) is offered, claiming what the witness knows (or not),
    /// with a true proof within that history.
    Offer { of: u8, claim: Option<u8> },
    /// The proof is damaged.
    Spoilt { of: u8, byte: u8 },
    /// The witness is started again.
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (1_usize..9).prop_map(Step::Grow),
        1 => any::<u8>().prop_map(Step::Fork),
        1 => any::<u8>().prop_map(Step::Choose),
        6 => (prop_oneof![2 => Just(255), 1 => any::<u8>()], prop_oneof![3 => Just(None), 1 => any::<u8>().prop_map(Some)])
            .prop_map(|(of, claim)| Step::Offer { of, claim }),
        1 => (any::<u8>(), any::<u8>()).prop_map(|(of, byte)| Step::Spoilt { of, byte }),
        1 => Just(Step::Restart),
    ]
}

fn part(of: u8, len: usize) -> usize {
    (len * usize::from(of)).div_ceil(255)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Whatever the log's owner tries, all that is cosigned is one history; and a log that only grows is never
    /// refused.
    #[test]
    fn two_histories_are_never_cosigned(steps in prop::collection::vec(step(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let mut notary = notary(folder.path());
        let log = acme();
        let mut histories: Vec<Leaves> = vec![Vec::new()];
        let (mut chosen, mut fresh) = (0, 0_u32);
        // The longest that was cosigned: all before must be its beginnings.
        let mut cosigned: Leaves = Vec::new();
        for step in steps {
            let (of, claim, spoilt) = match step {
                Step::Grow(by) => {
                    for _ in 0..by {
                        fresh += 1;
                        histories[chosen].push(fresh);
                    }
                    continue;
                }
                Step::Fork(of) => {
                    let shared = part(of, histories[chosen].len());
                    let mut fork = histories[chosen][..shared].to_vec();
                    fresh += 1;
                    fork.push(fresh);
                    histories.push(fork);
                    chosen = histories.len() - 1;
                    continue;
                }
                Step::Choose(which) => {
                    chosen = usize::from(which) % histories.len();
                    continue;
                }
                Step::Restart => {
                    drop(notary);
                    notary = super::notary(folder.path());
                    continue;
                }
                Step::Offer { of, claim } => (of, claim, None),
                Step::Spoilt { of, byte } => (of, None, Some(byte)),
            };
            let leaves = &histories[chosen][..part(of, histories[chosen].len())];
            let known = cosigned.len();
            let old = claim.map_or(known, |claim| part(claim, leaves.len().max(known)));
            let mut request = request(&log, leaves, old as u64);
            if let (Some(byte), Some(hash)) = (spoilt, request.proof.first_mut()) {
                hash.0[usize::from(byte) % 32] ^= 1;
            }
            let damaged = spoilt.is_some() && !request.proof.is_empty();
            let honest = !damaged && old == known && leaves.starts_with(&cosigned);
            match runtime.block_on(notary.add(request)) {
                Ok(line) => {
                    prop_assert!(leaves.starts_with(&cosigned), "{leaves:?} doesn't continue {cosigned:?}");
                    prop_assert!(honest);
                    let note = format!("{}{line}", checkpoint(&log, leaves));
                    prop_assert!(verify_cosignature(&note, notary.verifier()).is_ok());
                    cosigned = leaves.to_vec();
                }
                Err(refusal) => prop_assert!(!honest, "{refusal} of {leaves:?} after {cosigned:?}"),
            }
        }
    }
}
