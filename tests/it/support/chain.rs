//! Signing in as a script does (docs/sign-in.md): from an authorization request to an access token.

use super::Answer;

/// RFC 7636 appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const REDIRECT: &str = "http://127.0.0.1:49152/callback";

fn encoded(pairs: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

/// An access token of this account at the gateway with this URL, for the client `drawbridge-cli`.
pub(crate) async fn token_by_chain(
    client: &reqwest::Client,
    gateway: &str,
    email: &str,
    password: &str,
    otp: Option<&str>,
) -> String {
    let get =
        async |path: &str| Answer::of(client.get(format!("{gateway}{path}")).send().await.unwrap()).await;
    let post = async |path: &str, fields: &[(&str, &str)]| {
        let request = client.post(format!("{gateway}{path}")).body(encoded(fields));
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        Answer::of(request.send().await.unwrap()).await
    };
    let asking = [
        ("response_type", "code"),
        ("client_id", "drawbridge-cli"),
        ("redirect_uri", REDIRECT),
        ("state", "s"),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ];
    let begun = get(&format!("/oauth2/authorize?{}", encoded(&asking))).await.expect(302);
    let authorization =
        begun.header("location").split("authorization=").nth(1).expect("a request").to_owned();
    let mut fields =
        vec![("authorization", authorization.as_str()), ("email", email), ("password", password)];
    fields.extend(otp.map(|otp| ("otp", otp)));
    let signed_in = post("/platform/login", &fields).await.expect(303);
    let back = get(signed_in.header("location")).await.expect(302);
    let back = url::Url::parse(back.header("location")).expect("the client's address");
    let code = back.query_pairs().find(|(name, _)| name == "code").expect("a code").1.into_owned();
    let fields = [
        ("grant_type", "authorization_code"),
        ("code", code.as_str()),
        ("redirect_uri", REDIRECT),
        ("client_id", "drawbridge-cli"),
        ("code_verifier", VERIFIER),
    ];
    post("/oauth2/token", &fields).await.expect(200).text("/access_token").to_owned()
}
