use super::super::{DeliverTo, DeliveredAs, DeliveredLogs, SyslogAddress, parse};
use super::{WebhookUrl, webhook_secrets};
use std::path::Path;

const SECRET: &str = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";

fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("policies")).unwrap();
    std::fs::create_dir(dir.path().join("schemas")).unwrap();
    std::fs::write(dir.path().join("siem.secret"), SECRET).unwrap();
    dir
}

fn read(text: &str, dir: &Path) -> Result<Vec<super::Delivery>, String> {
    let text = format!("[upstream]\nurl = \"http://127.0.0.1:9000\"\n{text}");
    parse("gate.toml", &text, dir).map(|config| config.audit.delivery).map_err(|faults| {
        let lines: Vec<_> = faults
            .list()
            .iter()
            .map(|f| format!("{}: {} | {}", faults.position(f).0, f.message, f.label))
            .collect();
        lines.join("\n")
    })
}

#[test]
fn each_kind_is_read() {
    let dir = folder();
    let all = read(
        "[[audit.delivery]]\nname = \"siem\"\nkind = \"webhook\"\nurl = \"https://siem.example.com/in?t=1\"\n\
         secret_file = \"siem.secret\"\nlog = \"platform\"\nas = \"ocsf\"\n\
         [[audit.delivery]]\nname = \"sys\"\nkind = \"syslog\"\naddress = \"tcp://[::1]:601\"\nlog = \"orgs\"\n\
         [[audit.delivery]]\nname = \"out\"\nkind = \"stdout\"\nlog = \"org_acme\"\n",
        dir.path(),
    )
    .unwrap();
    assert_eq!(all.len(), 3);
    let DeliverTo::Webhook { url, secret_file } = &all[0].to else { panic!("{all:?}") };
    assert_eq!(url.expose().as_str(), "https://siem.example.com/in?t=1");
    assert_eq!(*secret_file, dir.path().join("siem.secret"));
    assert_eq!((&all[0].logs, all[0].shape), (&DeliveredLogs::Platform, DeliveredAs::Ocsf));
    assert_eq!(all[1].to, DeliverTo::Syslog(SyslogAddress::Tcp("[::1]:601".to_owned())));
    assert_eq!((&all[1].logs, all[1].shape), (&DeliveredLogs::Orgs, DeliveredAs::Entry));
    assert!(matches!(&all[2].logs, DeliveredLogs::Org(org) if org.as_str() == "org_acme"));
    let shown = format!("{all:?}");
    assert!(!shown.contains("t=1") && !shown.contains("/in"), "{shown}");
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    let dir = folder();
    std::fs::write(dir.path().join("short.secret"), "whsec_c2hvcnQ=").unwrap();
    let told = read(
        "[[audit.delivery]]\nkind = \"webhook\"\nurl = \"http://siem.example.com/x\"\nsecret_file = \"short.secret\"\n\
         [[audit.delivery]]\nname = \"a\"\nkind = \"syslog\"\nurl = \"https://x.example\"\n\
         [[audit.delivery]]\nname = \"a\"\nkind = \"pigeon\"\nadress = \"tcp://h:1\"\nlog = \"everything\"\n",
        dir.path(),
    )
    .unwrap_err();
    let wanted = [
        "3: `name` is missing in [[audit.delivery]] | in this table",
        "5: `url` in [[audit.delivery]] has a wrong value | clear text to another machine: entries would be read on the way",
        "6: `secret_file` in [[audit.delivery]]: `",
        "7: `address` is missing in [[audit.delivery]] | in this table",
        "10: `url` in [[audit.delivery]] has a wrong value | only a webhook has it",
        "12: two tables [[audit.delivery]] are named `a` | the second one",
        "13: `kind` in [[audit.delivery]] has a wrong value | wanted is one of `webhook`, `syslog`, `stdout`",
        "14: unknown key `adress` in [audit.delivery] | not known",
        "15: `log` in [[audit.delivery]] has a wrong value | no log has this name",
    ];
    let lines: Vec<_> = told.lines().collect();
    assert_eq!(lines.len(), wanted.len(), "{told}");
    for (line, wanted) in lines.iter().zip(wanted) {
        assert!(line.starts_with(wanted), "{line}\nwanted: {wanted}");
    }
}

#[test]
fn a_table_that_is_no_list_is_told() {
    let dir = folder();
    let told = read("[audit.delivery]\nname = \"a\"\n", dir.path()).unwrap_err();
    assert!(told.contains("`audit.delivery` is a list of tables | this is a table"), "{told}");
}

#[test]
fn addresses_and_urls_that_cannot_work_are_refused() {
    for good in ["https://h/", "http://localhost:1/x", "http://127.0.0.1:9/x", "http://[::1]:9/"] {
        assert!(WebhookUrl::parse(good).is_ok(), "{good}");
    }
    for bad in
        ["http://10.0.0.1/", "http://localhost.example/", "ftp://h/", "https://u:p@h/", "h", "https://h/#x"]
    {
        assert!(WebhookUrl::parse(bad).is_err_and(|complaint| complaint.secret), "{bad}");
    }
    for good in ["tcp://h:601", "udp://10.0.0.1:514", "unix:///dev/log"] {
        assert!(super::syslog(good).is_ok(), "{good}");
    }
    for bad in ["tcp://h", "tcp://h:0", "tcp://h:70000", "tls://h:1", "unix://dev/log", "h:1"] {
        assert!(super::syslog(bad).is_err(), "{bad}");
    }
}

#[test]
fn secrets_are_read_line_by_line() {
    assert_eq!(webhook_secrets(&format!("{SECRET}\n\n{SECRET}\n")).unwrap().len(), 2);
    for bad in ["", "\n", "whsec_", "whsec_c2hvcnQ=", "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="] {
        assert!(webhook_secrets(bad).is_err(), "{bad}");
    }
}
