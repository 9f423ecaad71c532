use super::{Config, Faults, Look, parse};
use std::path::Path;

const GOOD: &str = "[upstream]\nurl = \"http://127.0.0.1:9000\"\n";

/// A folder with what a configuration's defaults need.
fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("policies")).unwrap();
    std::fs::create_dir(dir.path().join("schemas")).unwrap();
    dir
}

fn faults(text: &str) -> Faults {
    let dir = folder();
    parse("gate.toml", text, dir.path()).expect_err(text)
}

/// Message and label of the only fault.
fn only(text: &str) -> String {
    let faults = faults(text);
    assert_eq!(faults.list().len(), 1, "{faults}");
    let fault = &faults.list()[0];
    format!("{} | {} | {}", fault.message, fault.label, fault.help.as_deref().unwrap_or("-"))
}

#[test]
fn the_smallest_file_means_the_defaults() {
    let dir = folder();
    assert_eq!(parse("gate.toml", GOOD, dir.path()).unwrap(), Config::defaults(dir.path()));
}

#[test]
fn what_is_set_is_what_holds() {
    let dir = folder();
    std::fs::write(dir.path().join("c.pem"), "-----BEGIN CERTIFICATE-----").unwrap();
    std::fs::write(dir.path().join("k.pem"), "-----BEGIN PRIVATE KEY-----").unwrap();
    let text = "
        [server]
        listen = \"[::]:0\"
        public_url = \"https://api.example.com\"
        trusted_proxies = [\"10.0.0.0/8\"]
        workers = 0x2
        tls = { cert = \"c.pem\", key = \"k.pem\" }
        [limits]
        body_bytes = 1_000
        open_requests = 0
        open_requests_per_session = 3
        [upstream]
        url = \"https://upstream.internal\"
        host = \"upstream.internal\"
        [log]
        access = \"access.log\"
        format = \"human\"
    ";
    let config = parse("gate.toml", text, dir.path()).unwrap();
    assert_eq!(config.server.tls.unwrap().key, dir.path().join("k.pem"));
    assert_eq!(config.server.workers.unwrap().get(), 2);
    assert_eq!(config.limits.body_bytes, Some(1000));
    assert_eq!(config.limits.open_requests, None);
    assert_eq!(config.limits.open_requests_per_session.unwrap().get(), 3);
    assert_eq!(config.upstream.url.to_string(), "https://upstream.internal");
    assert_eq!(config.log.access, super::AccessLogTo::File(dir.path().join("access.log")));
    assert!(config.server.trusted_proxies[0].contains("10.9.9.9".parse().unwrap()));
}

#[test]
fn the_public_url_follows_the_listener() {
    let dir = folder();
    let of = |server: &str| parse("g", &format!("[server]\n{server}\n{GOOD}"), dir.path()).unwrap().server;
    assert_eq!(of("listen = \"[::1]:8443\"").public_url.to_string(), "http://[::1]:8443");
    assert_eq!(of("public_url = \"https://a.example\"").public_url.to_string(), "https://a.example");
}

#[test]
fn one_fault_each() {
    let cases = [
        ("", "`url` is missing in [upstream]"),
        ("[upstream]\n", "`url` is missing in [upstream]"),
        ("[upstream]\nurl = \"127.0.0.1:9000\"", "`url` in [upstream] has a wrong value"),
        ("[upstream]\nurl = \"http://me:secret@a\"", "secrets don't belong into this file"),
        (
            "[servre]\nlisten = \"127.0.0.1:1\"",
            "unknown section [servre] | not known | did you mean [server]?",
        ),
        ("[server]\nlitsen = \"127.0.0.1:1\"", "did you mean `listen`?"),
        ("[server]\naudience = \"me\"", "`audience` belongs into [upstream]"),
        ("[server]\nqwerty = 1", "unknown key `qwerty` in [server] | not known | -"),
        ("[server.tsl]\ncert = \"\"", "did you mean [server.tls]?"),
        ("[server]\nlisten = 8080", "this is a whole number, wanted is a text"),
        ("[server]\nworkers = \"2\"", "this is a text, wanted is a whole number"),
        ("[server]\nworkers = 1.5", "this is a number with a fraction, wanted is a whole number"),
        ("[server]\nworkers = -1", "not between 0 and 1024"),
        ("[server]\nworkers = 99999999999999999999999", "not between 0 and 1024"),
        ("[limits]\nopen_requests_per_session = -1", "not between 0 and 10000000"),
        ("[policy]\nwatch = \"yes\"", "this is a text, wanted is true or false"),
        ("[server]\nhosts = \"a\"", "this is a text, wanted is a list of texts"),
        ("[server]\nhosts = [\"a\", \"http://b\"]", "not a host name or address"),
        ("[server]\nhosts = [\"a\", \"A\"]", "`hosts` names the same twice"),
        ("[server]\nadmin_listen = \"127.0.0.1:8080\"", "are the same address"),
        ("[server]\nadmin_listen = \"0.0.0.0:8080\"", "are the same address"),
        ("[server]\nlisten = \"0.0.0.0:8000\"", "`public_url` is needed"),
        ("[server]\nlame_duck_ms = 20000", "`lame_duck_ms` is longer than `drain_seconds`"),
        ("[server]\ntrusted_proxies = [\"10.0.0.1/8\"]", "an address within a range"),
        ("[server.tls]\ncert = \"/dev/null\"", "`cert` without `key` in [server.tls]"),
        ("[credentials]\ntoken_headers = [\"Authorization\"]", "a header with another meaning"),
        ("[credentials]\ntoken_headers = [\"x-a\", \"X-A\"]", "`token_headers` names the same twice"),
        ("[credentials]\nwebsocket_origins = [\"https://a/b\"]", "more than scheme, host and port"),
        ("[log]\nlevel = \"loud\"", "wanted is one of `error`, `warn`, `info`, `debug`, `trace`"),
        ("[log]\naccess = \"stdout\"", "wanted is `stderr`, `off` or the path of a file"),
        ("[log]\naccess = \"nowhere/access.log\"", "there is no such folder"),
        ("[policy]\npolicies = \"nowhere\"", "No such file or directory"),
        ("[data]\nmaster_key_file = \"nowhere\"", "`master_key_file` in [data]"),
        ("[data]\ndir = \"/dev/null/data\"", "it is a file, not a folder"),
        ("[impersonation]\nttl_seconds = 0", "not between 1 and 28800"),
        ("[database]\nurl = \"mysql://a@b/c\"", "begins with `postgres://`"),
        ("[database]\nurl = \"postgres://b/c\"", "the URL names no user"),
        ("[database]\nurl = \"postgres://a@b\"", "the URL names no database"),
        ("[database]\nurl = \"postgres://a@b/c?sslmode=maybe\"", "`sslmode` is none of disable"),
        ("[database]\nurl = \"postgres://a@b/c?timeout=1\"", "a parameter that isn't known"),
        ("[database]\nurl = \"postgres://a@b/c\"", "`master_key_file` in [data] is needed"),
        ("[database]\nowner_url = \"postgres://a@b/c\"", "`owner_url` without `url`"),
        ("[database]\npassword_file = \"nowhere\"", "`password_file` in [database]"),
        ("[audit]\norg_days = 0", "not between 1 and 36500"),
        ("[audit]\nwitness_url = \"witness.example.org\"", "not the URL of a witness"),
        ("[audit]\nwitness_url = \"https://w\"", "`witness_url` without `witness_key` in [audit]"),
        (
            "[audit]\nwitness_key = \"w+00000000+BAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"",
            "`witness_key` without `witness_url` in [audit]",
        ),
        (
            "[audit]\nwitness_key = \"w+00000000+AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"",
            "not the key of a witness",
        ),
        (
            "[audit]\nwitness_file = \"w\"\nwitness_url = \"http://w\"\nwitness_key = \
             \"w+00000000+BAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"",
            "two witnesses",
        ),
        ("server = 3", "`server` is a section"),
        ("[oauth2]\naccess_token_ttl_seconds = 43201", "not between 1 and 43200"),
        ("[oauth2.client.cli]\nredirect_uris = []", "did you mean [oauth2.clients]?"),
        ("[oauth2.clients.cli]", "the client `cli` has no `redirect_uris`"),
        ("[oauth2.clients.\"a b\"]\nredirect_uris = [\"https://a/cb\"]", "`a b` is no client id"),
        (
            "[oauth2.clients.cli]\nredirect_uris = [\"http://a/cb\"]\nsecret_file = \"\"",
            "`redirect_uris` in [oauth2.clients.cli]",
        ),
        (
            "[oauth2.clients.cli]\nredirect_uri = \"https://a/cb\"\nredirect_uris = [\"https://a/cb\"]",
            "unknown key `redirect_uri` in [oauth2.clients.*] | not known | did you mean `redirect_uris`?",
        ),
        (
            "[oauth2.clients.api]\ntoken_endpoint_auth_method = \"client_secret_basic\"",
            "`secret_file` is missing",
        ),
        (
            "[oauth2.clients.api]\ntoken_endpoint_auth_method = \"client_secret_post\"",
            "wanted is one of `none`, `client_secret_basic`",
        ),
        (
            "[oauth2.clients.api]\ntoken_endpoint_auth_method = \"client_secret_basic\"\nsecret_file = \"nowhere\"",
            "No such file or directory",
        ),
        ("[oidc]\nsession_days = 0", "not between 1 and 90"),
        ("[oidc.providers.a]\nclient_id = \"c\"\norgs = [\"o\"]", "`issuer` is missing"),
        ("[oidc.providers.a]\nissuer = \"https://i\"\norgs = [\"o\"]", "`client_id` is missing"),
        ("[oidc.providers.a]\nissuer = \"https://i\"\nclient_id = \"c\"", "`orgs` is missing"),
        (
            "[oidc.providers.a]\nissuer = \"http://id.example\"\nclient_id = \"c\"\norgs = [\"o\"]",
            "`issuer` in [oidc.providers.a]",
        ),
        (
            "[oidc.providers.a]\nissuer = \"https://id.example/?a\"\nclient_id = \"c\"\norgs = [\"o\"]",
            "no issuer",
        ),
        (
            "[oidc.providers.a]\nissuer = \"https://i\"\nadmin_emails = [\"@\"]\nclient_id = \"c\"\norgs = [\"o\"]",
            "not an e-mail address",
        ),
        (
            "[oidc.providers.Acme]\nissuer = \"https://i\"\nclient_id = \"c\"\norgs = [\"o\"]",
            "`Acme` is no name of a provider",
        ),
        (
            "[oidc.providers.a]\nissuer = \"https://i\"\nclient_id = \"c\"\norgs = [\"o\"]\n\
             [oidc.providers.b]\nissuer = \"https://i\"\nclient_id = \"c\"\norgs = [\"o\"]",
            "two providers have the issuer `https://i`",
        ),
        (
            "[oidc.providers.a]\nissuer = \"https://i\"\nclient_id = \"c\"\norgs = [\"o\"]\nclient_secret_file = \"nowhere\"",
            "`client_secret_file` of the provider `a`",
        ),
    ];
    for (text, wanted) in cases {
        let text = if text.contains("upstream]") || text.is_empty() {
            text.to_owned()
        } else {
            format!("{text}\n{GOOD}")
        };
        // TLS with `/dev/null` has two faults; the case is about the first.
        let got = if wanted.contains("without") { faults(&text).to_string() } else { only(&text) };
        assert!(got.contains(wanted), "{text}\ngave {got}");
    }
}

#[test]
fn all_faults_come_at_once_with_their_places() {
    let text = "
[server]
listen = \"everywhere\"
workers = true
colour = \"red\"

[upstream]
url = \"ftp://a\"
connect_timeout = 3

[log
level = \"info\"
";
    let faults = faults(text);
    let lines: Vec<_> = faults.lines().collect();
    let places: Vec<_> = lines.iter().map(|l| l.split(": ").next().unwrap()).collect();
    assert_eq!(
        places,
        [
            "gate.toml:3:10",
            "gate.toml:4:11",
            "gate.toml:5:1",
            "gate.toml:8:7",
            "gate.toml:9:1",
            "gate.toml:11:5"
        ],
        "{faults}"
    );
    let drawn = faults.render(Look::Plain);
    assert!(
        drawn.contains("[gate.toml:3:10]") && drawn.contains('^') && !drawn.contains('\u{1b}'),
        "{drawn}"
    );
}

#[test]
fn what_may_be_a_password_is_not_shown() {
    for url in ["http://me:hunter2@a", "ftp://me:hunter2@a", "http://me:hunter2@a:99999", "me:hunter2@a/b"] {
        let faults = faults(&format!("[upstream]\nurl = \"{url}\"\nhots = \"a\"\n"));
        let shown = format!("{faults} {faults:?} {}", faults.lines().collect::<String>());
        assert!(shown.contains("hots") && !shown.contains("hunter2"), "{shown}");
    }
}

#[test]
fn a_databases_password_is_never_shown() {
    let dir = folder();
    std::fs::write(dir.path().join("key"), "").unwrap();
    let sound = "postgres://me:hunter2@h/d?sslmode=disable";
    let text = format!("{GOOD}[data]\nmaster_key_file = \"key\"\n[database]\nurl = \"{sound}\"\n");
    let config = parse("gate.toml", &text, dir.path()).unwrap();
    let shown = format!("{config:?} {}", config.database.url.as_ref().unwrap());
    assert!(shown.contains("postgres://me@h/d") && !shown.contains("hunter2"), "{shown}");
    assert_eq!(config.database.url.unwrap().expose().expose(), sound);
    for url in
        [sound, "mysql://me:hunter2@a/b", "postgres://me:hunter2@a", "postgres://me:hunter2@a/b?x=hunter2"]
    {
        for key in ["url", "owner_url"] {
            let faults = faults(&format!("[database]\n{key} = \"{url}\"\nurls = 3\n{GOOD}"));
            let shown = format!("{faults} {faults:?} {}", faults.lines().collect::<String>());
            assert!(shown.contains("urls") && !shown.contains("hunter2"), "{shown}");
        }
    }
}

#[test]
fn a_password_is_not_shown_beside_a_fault_either() {
    let faults =
        faults("[upstream]\nurl = \"http://a\"\n[live]\nurl = \"redis://me:hunter2@r\"\ntimeout = 5\n");
    let shown = format!("{faults} {faults:?} {}", faults.lines().collect::<String>());
    assert!(shown.contains("redis://me:***") && !shown.contains("hunter2"), "{shown}");
}

#[test]
fn live_settings_that_do_not_fit_together() {
    let dir = folder();
    std::fs::write(dir.path().join("word"), "hunter2\n").unwrap();
    let of = |live: &str| parse("gate.toml", &format!("{GOOD}[live]\n{live}\n"), dir.path());
    for (live, wanted) in [
        ("password_file = \"word\"", "`password_file` without `url` in [live]"),
        (
            "url = \"redis://:x@r\"\npassword_file = \"word\"",
            "a password in `url` and one in `password_file`",
        ),
        ("url = \"redis://r\"\nca_file = \"word\"", "`ca_file` without TLS in [live]"),
        ("url = \"rediss://r\"\nca_file = \"word\"", "`ca_file` in [live] is no PEM file of that kind"),
        ("url = \"redis://r\"\nkey_prefix = \"{a\"", "`key_prefix` in [live] has a wrong value"),
    ] {
        let faults = of(live).expect_err(live);
        assert!(faults.list().iter().any(|fault| fault.message == wanted), "{faults}");
    }
    let config = of("url = \"redis://me:hunter2@r\"").unwrap();
    assert!(!format!("{config:?}").contains("hunter2"), "{config:?}");
}

#[test]
fn unreadable_files_say_why() {
    let dir = folder();
    let missing = super::load(Path::new("nowhere.toml"), dir.path()).unwrap_err();
    assert!(missing.to_string().contains("`nowhere.toml` can't be read"), "{missing}");
    std::fs::write(dir.path().join("latin.toml"), b"[log]\nlevel = \"\xe9\"\n").unwrap();
    let latin = super::load(Path::new("latin.toml"), dir.path()).unwrap_err();
    assert_eq!(latin.lines().collect::<Vec<_>>(), ["latin.toml:2:10: the file is not UTF-8 text"]);
}

proptest::proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "\\PC*|([\\[\\]=\"'\n.{},# a-z0-9]|server|listen|tls|upstream|url)*") {
        let dir = folder();
        if let Err(faults) = parse("any.toml", &text, dir.path()) {
            proptest::prop_assert!(!faults.to_string().is_empty());
        }
    }
}
