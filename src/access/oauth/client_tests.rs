use super::*;
use proptest::prelude::*;

fn client(uris: &[&str]) -> OAuthClient {
    OAuthClient {
        id: "c".to_owned(),
        redirect_uris: uris.iter().map(|u| (*u).to_owned()).collect(),
        authentication: ClientAuthentication::Public,
    }
}

#[test]
fn s_35_byte_for_byte_but_for_a_port_of_this_machine() {
    let cli = client(&["http://127.0.0.1/callback"]);
    for fine in
        ["http://127.0.0.1/callback", "http://127.0.0.1:1/callback", "http://127.0.0.1:65535/callback"]
    {
        assert!(cli.redirects_to(fine), "{fine}");
    }
    for bad in [
        "http://127.0.0.1:0/callback",
        "http://127.0.0.1:65536/callback",
        "http://127.0.0.1:080/callback",
        "http://127.0.0.1:+80/callback",
        "http://127.0.0.1:/callback",
        "http://127.0.0.1:80@evil/callback",
        "http://127.0.0.1:80.evil/callback",
        "http://127.0.0.1.evil/callback",
        "http://127.0.0.1@evil/callback",
        "http://user@127.0.0.1/callback",
        "http://localhost/callback",
        "http://127.0.0.2/callback",
        "http://[::1]/callback",
        "https://127.0.0.1/callback",
        "HTTP://127.0.0.1/callback",
        "http://127.0.0.1/callback/",
        "http://127.0.0.1/callback?x=1",
        "http://127.0.0.1/callback#f",
        "http://127.0.0.1/Callback",
        "http://127.0.0.1/a/../callback",
        "http://127.0.0.1/%63allback",
        "http://127.0.0.1\\/callback",
        " http://127.0.0.1/callback",
        "",
    ] {
        assert!(!cli.redirects_to(bad), "{bad}");
    }
    let app = client(&["https://app.example/cb"]);
    for bad in [
        "https://app.example:443/cb",
        "https://app.example:8443/cb",
        "https://app.example/cb/",
        "https://app.example/cb?",
        "https://APP.example/cb",
        "https://app.example.evil/cb",
        "https://app.example/cb/../evil",
        "http://app.example/cb",
    ] {
        assert!(!app.redirects_to(bad), "{bad}");
    }
    assert!(app.redirects_to("https://app.example/cb"));
}

fn uri() -> impl Strategy<Value = String> {
    let scheme = prop_oneof!["http", "https", "HTTP"];
    let host = prop_oneof![
        "127\\.0\\.0\\.1",
        "\\[::1\\]",
        "localhost",
        "127\\.0\\.0\\.1\\.a",
        "a\\.example",
        "u@127\\.0\\.0\\.1"
    ];
    let port =
        prop_oneof![Just(String::new()), (0..70_000_u32).prop_map(|p| format!(":{p}")), Just(":".to_owned())];
    let path = prop_oneof![Just(String::new()), "/[a-z%.]{0,4}", "/cb", "\\?x=[0-9]", "@evil/", "\\.evil"];
    (scheme, host, port, path).prop_map(|(s, h, p, path)| format!("{s}://{h}{p}{path}"))
}

proptest! {
    /// What is let through goes to the same place as what was registered, by a parser that isn't ours, but for the
    /// port on this machine.
    #[test]
    fn s_35_whatever_matches_goes_where_it_was_registered(registered in uri(), presented in uri()) {
        if matches(&registered, &presented) && registered != presented {
            let (one, other) = (url::Url::parse(&registered).unwrap(), url::Url::parse(&presented).unwrap());
            prop_assert_eq!(one.scheme(), "http");
            prop_assert!(["127.0.0.1", "[::1]"].contains(&one.host_str().unwrap()));
            prop_assert_eq!((one.host(), one.path(), one.query()), (other.host(), other.path(), other.query()));
            prop_assert_eq!((other.username(), other.password(), other.fragment()), ("", None, None));
            prop_assert!(other.port() != Some(0));
        }
        prop_assert!(matches(&presented, &presented));
    }

    #[test]
    fn s_35_any_text_but_the_registered_one_is_refused(text in "\\PC{0,60}") {
        let app = client(&["https://app.example/cb"]);
        prop_assert_eq!(app.redirects_to(&text), text == "https://app.example/cb");
    }

    #[test]
    fn basic_credentials_are_form_encoded_within(id in "[a-z :%+é]{1,12}", secret in "\\PC{0,20}") {
        let encode = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        let header = format!("Basic {}", STANDARD.encode(format!("{}:{}", encode(&id), encode(&secret))));
        prop_assert_eq!(basic(&header), Some((id, secret)));
    }
}

#[test]
fn a_secret_proves_a_client_and_nothing_else_does() {
    let folder = tempfile::tempdir().unwrap();
    let sealer = crate::identity::Sealer::open_or_create(&folder.path().join("k")).unwrap();
    let api = OAuthClient {
        id: "api".to_owned(),
        authentication: ClientAuthentication::secret("s3cret"),
        ..client(&[])
    };
    let settings = super::super::OAuthSettings { access_token_ttl: 1, clients: vec![client(&[]), api] };
    let oauth = OAuth::new(settings, &sealer).unwrap();
    let basic = |text: &str| format!("basic {}", STANDARD.encode(text));
    let by = |authorization: &str, id: Option<&str>| {
        let presented = PresentedClient { authorization: Some(authorization), id, has_secret: false };
        oauth.authenticate(presented).map(|c| c.id.clone()).ok()
    };
    assert_eq!(by(&basic("api:s3cret"), None).as_deref(), Some("api"));
    assert_eq!(by(&basic("api:s3cret"), Some("api")).as_deref(), Some("api"));
    for (header, id) in [
        (basic("api:s3cret"), Some("c")),
        (basic("api:other"), None),
        (basic("api:"), None),
        (basic("c:"), None),
        (basic("nobody:s3cret"), None),
        (basic("api"), None),
        ("Bearer x".to_owned(), Some("c")),
        ("Basic !".to_owned(), Some("c")),
    ] {
        assert_eq!(by(&header, id), None, "{header} {id:?}");
    }
    let without = |id| oauth.authenticate(PresentedClient { id, ..PresentedClient::default() }).is_ok();
    assert_eq!(
        [without(Some("c")), without(Some("api")), without(Some("x")), without(None)],
        [true, false, false, false]
    );
    let in_body = PresentedClient { id: Some("c"), has_secret: true, authorization: None };
    assert!(oauth.authenticate(in_body).is_err());
}
