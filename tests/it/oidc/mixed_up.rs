//! Two providers, one of whom is bad or has been got at (RFC 9207 §4; RFC 9700 §2.1): an answer counts for the provider
//! that was asked, and a code goes to nobody else.

use super::{SESSION, Visitor, entries, provider};
use crate::support::Door;
use crate::support::idp::Forger;
use serde_json::Value;

struct Two {
    a: Forger,
    b: Forger,
    door: Door,
}

/// The providers `a` and `b` at one gateway, with the same keys and the same people: only their issuers differ.
async fn two() -> Two {
    let (a, b) = (Forger::start().await, Forger::start().await);
    let door = Door::open(|config| {
        let named = [("a", &a.issuer), ("b", &b.issuer)];
        config.oidc.providers = named.map(|(id, issuer)| provider(config, id, issuer)).into();
    })
    .await;
    Two { a, b, door }
}

impl Two {
    fn nobody_got_a_code(&self) {
        let got = [self.a.received(), self.b.received()].concat();
        assert!(got.is_empty(), "a code has gone out: {got:?}");
    }

    async fn cause(&self, count: usize) -> Value {
        entries(&self.door, "org.login_failed", count).await.remove(0)["details"]["cause"].take()
    }
}

#[tokio::test]
async fn s_44_an_answer_that_names_the_other_provider_is_refused() {
    let two = two().await;
    let mut failed = 0;
    for (asked, forger, other) in [("a", &two.a, &two.b), ("b", &two.b, &two.a)] {
        for names in [
            vec![("iss", other.issuer.as_str())],
            vec![("iss", "")],
            vec![("iss", asked)],
            // Both say that their answers always name them.
            vec![],
        ] {
            let mut visitor = Visitor::at(&two.door);
            let begun = visitor.begin(asked).await;
            let code = forger.code(forger.right(begun.nonce()));
            let answer = [vec![("code", code.as_str()), ("state", begun.state())], names.clone()].concat();
            let answer = visitor.back(&answer).await;
            assert_eq!(
                (answer.status, answer.json["code"].as_str()),
                (401, Some("SIGN_IN_FAILED")),
                "{names:?}: {answer}"
            );
            assert!(!visitor.cookies.contains_key(SESSION), "{names:?}: {answer}");
            two.nobody_got_a_code();
            failed += 1;
            assert_eq!(two.cause(failed).await, "mix_up", "{names:?}");
        }
        // One of each is no answer at all.
        let mut visitor = Visitor::at(&two.door);
        let begun = visitor.begin(asked).await;
        let code = forger.code(forger.right(begun.nonce()));
        let named = [("iss", forger.issuer.as_str()), ("iss", other.issuer.as_str())];
        let answer = [&[("code", code.as_str()), ("state", begun.state())], named.as_slice()].concat();
        let answer = visitor.back(&answer).await;
        assert!(matches!(answer.status, 400 | 401), "{answer}");
        two.nobody_got_a_code();
        // What the other says of a sign-in is worth as little.
        let begun = visitor.begin(asked).await;
        let error = [("error", "access_denied"), ("state", begun.state()), ("iss", &other.issuer)];
        visitor.back(&error).await.problem(401, "SIGN_IN_FAILED");
        failed += 1;
        assert_eq!(two.cause(failed).await, "mix_up");
    }
}

#[tokio::test]
async fn s_44_a_provider_that_promises_no_name_may_leave_it_out_and_may_not_name_another() {
    let two = two().await;
    two.a.script().discovery["authorization_response_iss_parameter_supported"] = false.into();
    let back = async |iss: Option<&str>| {
        let mut visitor = Visitor::at(&two.door);
        let begun = visitor.begin("a").await;
        let code = two.a.code(two.a.right(begun.nonce()));
        let mut answer = vec![("code", code.as_str()), ("state", begun.state())];
        answer.extend(iss.map(|iss| ("iss", iss)));
        visitor.back(&answer).await.status
    };
    assert_eq!(back(Some(&two.b.issuer)).await, 401);
    two.nobody_got_a_code();
    assert_eq!((back(None).await, back(Some(&two.a.issuer)).await), (303, 303));
}

#[tokio::test]
async fn s_44_an_id_token_of_the_other_provider_is_refused() {
    let two = two().await;
    for (asked, forger, other) in [("a", &two.a, &two.b), ("b", &two.b, &two.a)] {
        let mut visitor = Visitor::at(&two.door);
        let begun = visitor.begin(asked).await;
        // Right in every other way: the keys are the same.
        let token = other.right(begun.nonce());
        visitor.back_with(&begun, forger, token).await.problem(401, "SIGN_IN_FAILED");
        assert!(!visitor.cookies.contains_key(SESSION));
        let begun = visitor.begin(asked).await;
        visitor.back_with(&begun, forger, forger.right(begun.nonce())).await.expect(303);
    }
    assert_eq!(two.cause(2).await, "id_token: issuer");
}

#[tokio::test]
async fn s_44_a_sign_in_ends_with_the_provider_that_it_was_begun_with() {
    let two = two().await;
    let mut visitor = Visitor::at(&two.door);
    let with_a = visitor.begin("a").await;
    let kept = visitor.cookies.clone();
    let with_b = visitor.begin("b").await;
    assert_ne!(with_a.state(), with_b.state());
    // The cookie of one and the state of the other.
    visitor.back_with(&with_a, &two.a, two.a.right(with_a.nonce())).await.problem(400, "SIGN_IN_EXPIRED");
    let mut with_cookie_of_a = Visitor { cookies: kept, ..Visitor::at(&two.door) };
    let answer = with_cookie_of_a.back_with(&with_b, &two.b, two.b.right(with_b.nonce())).await;
    answer.problem(400, "SIGN_IN_EXPIRED");
    two.nobody_got_a_code();
}
