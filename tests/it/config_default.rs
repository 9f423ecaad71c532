//! `config/drawbridge.toml` documents every key with its default. Both halves are checked here.

use drawbridge::config::{Config, parse};
use std::path::{Path, PathBuf};

fn documented() -> (PathBuf, String) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/drawbridge.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    (file, text)
}

#[test]
fn the_documented_default_is_the_default() {
    let (file, text) = documented();
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("policies")).unwrap();
    std::fs::create_dir(dir.path().join("schemas")).unwrap();
    let config =
        parse(&file.display().to_string(), &text, dir.path()).unwrap_or_else(|faults| panic!("{faults}"));
    assert_eq!(config, Config::defaults(dir.path()));
}

/// A key that isn't in the file would be taken for its default without notice: so each is made wrong in turn,
/// and has to be noticed in the file itself.
#[test]
fn every_documented_key_is_read_and_every_section_is_there() {
    let (_, text) = documented();
    let dir = tempfile::tempdir().unwrap();
    let mut keys = 0;
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let Some((key, _)) = line.split_once(" = ") else { continue };
        let wrong = text.replace(line, &format!("{key} = 1979-05-27"));
        let faults = parse("wrong", &wrong, dir.path()).expect_err(key);
        let noted = faults.list().iter().any(|fault| fault.message.starts_with(&format!("`{key}` in [")));
        assert!(noted, "{key}: {faults}");
        keys += 1;
    }
    // What the readers of the sections ask for: a key that is added there has to be documented here.
    let raw = concat!(
        include_str!("../../src/config/raw.rs"),
        include_str!("../../src/config/accounts.rs"),
        include_str!("../../src/config/audit.rs"),
        include_str!("../../src/config/oauth2.rs"),
        include_str!("../../src/config/oidc.rs")
    );
    let asked =
        [".text(\"", ".texts(\"", ".whole(\"", ".flag(\""].iter().map(|call| raw.matches(call).count());
    assert_eq!(keys, asked.sum::<usize>());
}

/// The examples of what has no default are read too, once their `#` is gone, and leave no key out.
#[test]
fn the_documented_deliveries_and_clients_are_read() {
    let (_, text) = documented();
    let dir = tempfile::tempdir().unwrap();
    for folder in ["policies", "schemas"] {
        std::fs::create_dir(dir.path().join(folder)).unwrap();
    }
    let secret = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";
    std::fs::write(dir.path().join("siem.secret"), secret).unwrap();
    std::fs::write(dir.path().join("acme.secret"), "what the provider gave us\n").unwrap();
    std::fs::write(dir.path().join("reports.secret"), "0123456789abcdef0123456789abcdef\n").unwrap();
    let example = |line: &&str| line.starts_with('#') && !line.starts_with("# ");
    let lines: Vec<_> =
        text.lines().map(|line| if example(&line) { line.trim_start_matches('#') } else { line }).collect();
    let config = parse("examples", &lines.join("\n"), dir.path()).unwrap_or_else(|faults| panic!("{faults}"));
    assert_eq!(config.audit.delivery.len(), 2);
    assert_eq!(config.oauth2.clients.len(), 2);
    assert_eq!(config.oidc.providers.len(), 1);
    let raw = concat!(
        include_str!("../../src/config/delivery.rs"),
        include_str!("../../src/config/oauth2_client.rs"),
        include_str!("../../src/config/oidc_provider.rs")
    );
    for call in ["s.text(\"", "s.texts(\"", "s.whole(\"", "s.flag(\""] {
        for key in raw.split(call).skip(1).filter_map(|rest| rest.split('"').next()) {
            assert!(text.contains(&format!("#{key} = ")), "`{key}` isn't documented");
        }
    }
}
