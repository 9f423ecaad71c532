//! What is asked of a provider, and what its answers do: the good one, and those that are none.

use super::{CLIENT, REDIRECT, SECRET, SESSION, SIGN_IN, Visitor, door, entries};
use crate::support::Answer;
use crate::support::idp::Forger;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use sha2::Digest as _;

/// The `Set-Cookie` of this name.
fn cookie<'a>(answer: &'a Answer, name: &str) -> &'a str {
    let all = answer.headers.get_all("set-cookie").iter().map(|value| value.to_str().unwrap());
    let mut all = all.filter(|set| set.starts_with(&format!("{name}=")));
    all.next().unwrap_or_else(|| panic!("no {name} in {answer}"))
}

#[tokio::test]
async fn s_43_the_right_answer_signs_in() {
    let forger = Forger::start().await;
    let door = door(&forger).await;
    let mut visitor = Visitor::at(&door);
    let page = visitor.get("/auth/login?return_to=/profile").await.expect(200);
    let page = String::from_utf8_lossy(&page.body).into_owned();
    assert!(page.contains("/auth/oidc/start/acme") && page.contains("Sign-in of acme"), "{page}");

    let path = "/auth/oidc/start/acme?return_to=/api/v1/cameras";
    let started = visitor.get(path).await.expect(302);
    assert_eq!(started.header("cache-control"), "no-store", "{started}");
    let set = cookie(&started, SIGN_IN);
    assert!(set.contains("HttpOnly") && set.contains("SameSite=Lax") && set.contains("Path=/"), "{set}");
    let begun = visitor.begin("acme").await;
    assert_eq!(begun.to.as_str().split('?').next(), Some(format!("{}/authorize", forger.issuer).as_str()));
    for (name, value) in [
        ("response_type", "code"),
        ("client_id", CLIENT),
        ("scope", "openid profile email"),
        ("redirect_uri", REDIRECT),
        ("code_challenge_method", "S256"),
    ] {
        assert_eq!(begun.asked[name], value, "{:?}", begun.asked);
    }
    // Nothing of it is guessed, and nothing of it comes twice.
    let other = Visitor::at(&door).begin("acme").await;
    for name in ["state", "nonce", "code_challenge"] {
        assert!(begun.asked[name].len() >= 43 && begun.asked[name] != other.asked[name], "{name}");
    }
    assert!(!begun.asked.contains_key("code_verifier"));

    let answer = visitor.back_with(&begun, &forger, forger.right(begun.nonce())).await.expect(303);
    assert_eq!((answer.header("location"), answer.header("cache-control")), ("/profile", "no-store"));
    let set = cookie(&answer, SESSION);
    assert!(set.contains("HttpOnly") && set.contains("SameSite=Lax") && set.contains("Path=/"), "{set}");
    let gone = cookie(&answer, SIGN_IN);
    assert!(gone.starts_with(&format!("{SIGN_IN}=;")) && gone.contains("Max-Age=0"), "{gone}");

    // The code went where it belongs, once, with what belongs to it.
    let received = forger.received();
    let [received] = received.as_slice() else { panic!("{received:?}") };
    let encoded = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let basic = received.authorization.strip_prefix("Basic ").expect("client_secret_basic");
    let basic = String::from_utf8(STANDARD.decode(basic).unwrap()).unwrap();
    let (id, secret) = basic.split_once(':').expect("id and secret");
    let decoded = |text: &str| {
        url::form_urlencoded::parse(format!("x={text}").as_bytes()).next().unwrap().1.into_owned()
    };
    assert_eq!(
        (decoded(id).as_str(), decoded(secret).as_str()),
        (CLIENT, SECRET),
        "{basic}, not {}",
        encoded(SECRET)
    );
    let field = |name: &str| received.fields[name].as_str();
    assert_eq!((field("grant_type"), field("redirect_uri")), ("authorization_code", REDIRECT));
    assert!(!received.fields.contains_key("client_secret"), "{received:?}");
    let challenge = URL_SAFE_NO_PAD.encode(sha2::Sha256::digest(field("code_verifier")));
    assert_eq!(challenge, begun.asked["code_challenge"]);
    assert!((43..=128).contains(&field("code_verifier").len()));

    // Somebody new waits until an administrator has activated them.
    let page = visitor.get("/profile").await.expect(200);
    let page = String::from_utf8_lossy(&page.body).into_owned();
    for fact in ["inactive", "First Staff", "first@acme.example"] {
        assert!(page.contains(fact), "no {fact} in {page}");
    }
    visitor.me().await.problem(403, "ACCOUNT_INACTIVE");
    visitor.get("/api/v1/cameras").await.problem(403, "ACCOUNT_INACTIVE");
    let entry = entries(&door, "org.login", 1).await.remove(0);
    assert_eq!(entry["details"]["provider"], "acme", "{entry}");
    assert!(!entry.to_string().contains("code-1"), "{entry}");
    assert_eq!(entries(&door, "org.user_created", 1).await.len(), 1);
}

#[tokio::test]
async fn s_22_a_sign_in_returns_to_a_path_of_this_gateway() {
    let forger = Forger::start().await;
    let door = door(&forger).await;
    for (asked, to) in [
        ("/api/v1/cameras?limit=2", "/api/v1/cameras?limit=2"),
        ("https://evil.example/", "/profile"),
        ("//evil.example", "/profile"),
        ("/\\evil.example", "/profile"),
        ("/\t/evil.example", "/profile"),
        ("javascript:alert(1)", "/profile"),
    ] {
        let mut visitor = Visitor::at(&door);
        let query =
            url::form_urlencoded::Serializer::new(String::new()).append_pair("return_to", asked).finish();
        let begun = visitor.begin(&format!("acme?{query}")).await;
        let token = forger.right(begun.nonce()).person("admin", "admin@acme.example");
        let answer = visitor.back_with(&begun, &forger, token).await.expect(303);
        assert_eq!(answer.header("location"), to, "{asked}");
    }
    // Who isn't active has nothing there, and is told so.
    let mut visitor = Visitor::at(&door);
    let begun = visitor.begin("acme?return_to=/api/v1/cameras").await;
    let answer = visitor.back_with(&begun, &forger, forger.right(begun.nonce())).await.expect(303);
    assert_eq!(answer.header("location"), "/profile");
    // Another site's page sends nobody to their provider behind their back.
    for (site, to) in [("cross-site", "/auth/login?return_to=/a"), ("same-site", &forger.issuer)] {
        let headers = [("sec-fetch-site", site)];
        let answer = Visitor::at(&door).send("GET", "/auth/oidc/start/acme?return_to=/a", &headers).await;
        assert!(answer.header("location").starts_with(to), "{site}: {answer}");
        assert_eq!(answer.headers.contains_key("set-cookie"), site == "same-site", "{answer}");
    }
}

#[tokio::test]
async fn s_43_an_answer_counts_once_and_in_its_own_browser() {
    let forger = Forger::start().await;
    let door = door(&forger).await;
    let mut visitor = Visitor::at(&door);
    let begun = visitor.begin("acme").await;
    let code = forger.code(forger.right(begun.nonce()).person("admin", "admin@acme.example"));
    let parameters = [("code", code.as_str()), ("state", begun.state()), ("iss", &forger.issuer)];
    // Somebody else's browser, with a sign-in of its own and without.
    let mut other = Visitor::at(&door);
    other.back(&parameters).await.problem(400, "SIGN_IN_EXPIRED");
    other.begin("acme").await;
    other.back(&parameters).await.problem(400, "SIGN_IN_EXPIRED");
    // A cookie that this gateway didn't make, or of another kind.
    for made_up in ["", "x", "eyJwcm92aWRlciI6ImFjbWUifQ"] {
        other.cookies.insert(SIGN_IN.to_owned(), made_up.to_owned());
        other.back(&parameters).await.problem(400, "SIGN_IN_EXPIRED");
    }
    // Another state, none, and two.
    for wrong in [
        vec![("code", code.as_str()), ("state", "another"), ("iss", &forger.issuer)],
        vec![("code", code.as_str()), ("iss", &forger.issuer)],
        [parameters.as_slice(), &[("state", begun.state())]].concat(),
    ] {
        let mut copy = Visitor { cookies: visitor.cookies.clone(), ..Visitor::at(&door) };
        copy.back(&wrong).await.problem(400, "SIGN_IN_EXPIRED");
    }
    assert!(forger.received().is_empty(), "a code has gone out: {:?}", forger.received());
    let kept = visitor.cookies.clone();
    visitor.back(&parameters).await.expect(303);
    // Once more: with what the browser has now, and with what it had.
    Visitor { cookies: visitor.cookies.clone(), ..Visitor::at(&door) }
        .back(&parameters)
        .await
        .problem(400, "SIGN_IN_EXPIRED");
    let mut thief = Visitor { cookies: kept, ..Visitor::at(&door) };
    let answer = thief.back(&parameters).await;
    assert!(matches!(answer.status, 400 | 401), "{answer}");
    thief.me().await.problem(401, "UNAUTHENTICATED");
    visitor.me().await.expect(200);
}

#[tokio::test]
async fn s_43_a_provider_that_says_no_is_told_to_the_person() {
    let forger = Forger::start().await;
    let door = door(&forger).await;
    let mut visitor = Visitor::at(&door);
    let begun = visitor.begin("acme").await;
    let page = [("accept", "text/html")];
    let iss = url::form_urlencoded::byte_serialize(forger.issuer.as_bytes()).collect::<String>();
    let query =
        format!("error=access_denied&error_description=%3Cscript%3E&state={}&iss={iss}", begun.state());
    let answer = visitor.send("GET", &format!("/auth/oidc/callback?{query}"), &page).await.expect(401);
    let told = String::from_utf8_lossy(&answer.body).into_owned();
    assert!(answer.header("content-type").starts_with("text/html"), "{answer}");
    assert!(told.contains("SIGN_IN_FAILED") && told.contains("/auth/login"), "{told}");
    assert!(!told.contains("<script>"), "{told}");
    assert!(forger.received().is_empty() && !visitor.cookies.contains_key(SESSION));
    let entry = entries(&door, "org.login_failed", 1).await.remove(0);
    assert_eq!(entry["details"]["cause"], "declined: access_denied", "{entry}");
    // As a client of the API reads it; and the other address of the callback.
    let begun = visitor.begin("acme").await;
    let query = format!("error=access_denied&state={}&iss={iss}", begun.state());
    visitor.get(&format!("/auth/google/callback?{query}")).await.problem(401, "SIGN_IN_FAILED");
}
