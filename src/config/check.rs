//! What only shows when settings are seen together, or when the disk is looked at.

use super::document::Setting;
use super::fault::Fault;
use super::net::Scheme;
use super::raw::RawConfig;
use super::settings::AccessLogTo;
use std::fs::File;
use std::ops::Range;
use std::path::Path;

/// Notes every contradiction and everything that isn't on disk.
pub(super) fn check(raw: &RawConfig, base: &Path, faults: &mut Vec<Fault>) {
    listeners(raw, faults);
    public_url(raw, faults);
    tls(raw, base, faults);
    shutdown(raw, faults);
    repeated("token_headers", &raw.credentials.token_headers, faults);
    repeated("websocket_origins", &raw.credentials.websocket_origins, faults);
    repeated("hosts", &raw.server.hosts, faults);
    folders(raw, base, faults);
    database(raw, base, faults);
    live(raw, base, faults);
    raw.accounts.check(base, faults);
    raw.audit.check(faults);
    raw.oauth2.check(base, faults);
    raw.oidc.check(base, faults);
    deliveries(raw, base, faults);
}

fn deliveries(raw: &RawConfig, base: &Path, faults: &mut Vec<Fault>) {
    let all = &raw.audit.delivery;
    for (number, delivery) in all.iter().enumerate() {
        delivery.check_secret(base, faults);
        let same = all.iter().take(number).any(|other| other.name.value == delivery.name.value);
        if let Some(span) = delivery.name.span().filter(|_| same) {
            faults.push(fault(
                format!("two tables [[audit.delivery]] are named `{}`", delivery.name.value),
                "the second one",
                "how far a receiver has come is kept under its name: give each its own",
                span,
            ));
        }
    }
}

fn database(raw: &RawConfig, base: &Path, faults: &mut Vec<Fault>) {
    let database = &raw.database;
    if let Some(span) = database.url.span()
        && database.url.value.is_some()
        && raw.data.master_key_file.is_sound()
        && !has(&raw.data.master_key_file)
    {
        faults.push(Fault {
            secret: true,
            ..fault(
                "`master_key_file` in [data] is needed with `url` in [database]",
                "gateways that share records share the key that encrypts keys in them",
                "make one (32 random bytes, mode 0600), put it on every gateway and name it",
                span,
            )
        });
    }
    if let Some(span) = database.owner_url.span()
        && database.owner_url.value.is_some()
        && database.url.is_sound()
        && database.url.value.is_none()
    {
        faults.push(Fault {
            secret: true,
            ..fault(
                "`owner_url` without `url` in [database]",
                "alone",
                "`url` names the role that gateways have; `drawbridge migrate` gives it what it needs",
                span,
            )
        });
    }
    for (setting, key) in
        [(&database.password_file, "password_file"), (&database.owner_password_file, "owner_password_file")]
    {
        if let Some(span) = setting.span().filter(|_| has(setting)) {
            let path = base.join(&setting.value);
            if let Err(error) = File::open(&path) {
                faults.push(unusable(key, "database", &path, &error.to_string(), Some(span)));
            }
        }
    }
}

pub(super) fn fault(
    message: impl Into<String>,
    label: impl Into<String>,
    help: &str,
    span: Range<usize>,
) -> Fault {
    Fault { message: message.into(), label: label.into(), help: Some(help.to_owned()), secret: false, span }
}

fn listeners(raw: &RawConfig, faults: &mut Vec<Fault>) {
    let (listen, admin) = (&raw.server.listen, &raw.server.admin_listen);
    if !listen.is_sound() || !admin.is_sound() || listen.value.port() == 0 {
        return;
    }
    let everywhere = listen.value.ip().is_unspecified() || admin.value.ip().is_unspecified();
    let same = listen.value == admin.value || (everywhere && listen.value.port() == admin.value.port());
    if let Some(span) = admin.span().or_else(|| listen.span()).filter(|_| same) {
        faults.push(fault(
            "`listen` and `admin_listen` are the same address",
            format!("`listen` is `{}`, `admin_listen` is `{}`", listen.value, admin.value),
            "health and metrics need a listener of their own, which the public can't reach",
            span,
        ));
    }
}

fn public_url(raw: &RawConfig, faults: &mut Vec<Fault>) {
    let (url, listen) = (&raw.server.public_url, &raw.server.listen);
    match (&url.value, url.span(), listen.span()) {
        (None, _, Some(span)) if url.is_sound() && listen.value.ip().is_unspecified() => faults.push(fault(
            "`public_url` is needed when `listen` names no single address",
            "every address",
            "set `public_url` in [server] to the URL by which clients reach the gateway",
            span,
        )),
        (Some(origin), Some(span), _) if origin.scheme == Scheme::Http && has(&raw.server.cert) => {
            faults.push(fault(
                "`public_url` says http, but [server.tls] is set",
                "http",
                "the listener speaks TLS: write `https://…`, or leave out [server.tls]",
                span,
            ));
        }
        _ => {}
    }
}

fn has(path: &Setting<std::path::PathBuf>) -> bool {
    !path.value.as_os_str().is_empty()
}

fn tls(raw: &RawConfig, base: &Path, faults: &mut Vec<Fault>) {
    let (cert, key) = (&raw.server.cert, &raw.server.key);
    for (one, other, here, missing) in [(cert, key, "cert", "key"), (key, cert, "key", "cert")] {
        if let Some(span) = one.span().filter(|_| has(one) && !has(other) && other.is_sound()) {
            let message = format!("`{here}` without `{missing}` in [server.tls]");
            faults.push(fault(message, "alone", "TLS needs both, or neither", span));
        }
    }
    pem(cert, "cert", "server.tls", "CERTIFICATE-----", base, faults);
    pem(key, "key", "server.tls", "PRIVATE KEY-----", base, faults);
}

/// The file can be read and holds a PEM block of the right kind. Whether key and certificate belong together
/// is seen when they are loaded, still before a port is bound.
fn pem(
    setting: &Setting<std::path::PathBuf>,
    key: &str,
    section: &str,
    block: &str,
    base: &Path,
    faults: &mut Vec<Fault>,
) {
    let Some(span) = setting.span().filter(|_| has(setting)) else { return };
    let path = base.join(&setting.value);
    match std::fs::read(&path) {
        Ok(bytes) if String::from_utf8_lossy(&bytes).contains(block) => {}
        Ok(_) => {
            let label = format!("no `-----BEGIN {block}` in it");
            faults.push(fault(
                format!("`{key}` in [{section}] is no PEM file of that kind"),
                label,
                "",
                span,
            ));
        }
        Err(error) => faults.push(unusable(key, section, &path, &error.to_string(), Some(span))),
    }
}

fn shutdown(raw: &RawConfig, faults: &mut Vec<Fault>) {
    let (drain, duck) = (&raw.server.drain_seconds, &raw.server.lame_duck_ms);
    if !drain.is_sound() || !duck.is_sound() || drain.value == 0 {
        return;
    }
    if let Some(span) = duck.span().or_else(|| drain.span()).filter(|_| duck.value > drain.value * 1000) {
        faults.push(fault(
            "`lame_duck_ms` is longer than `drain_seconds`",
            format!("{} ms of lame duck, {} s of drain", duck.value, drain.value),
            "the lame duck is the first part of the drain",
            span,
        ));
    }
}

fn live(raw: &RawConfig, base: &Path, faults: &mut Vec<Fault>) {
    let live = &raw.live;
    for (setting, key) in [(&live.password_file, "password_file"), (&live.ca_file, "ca_file")] {
        let Some(span) = setting.span().filter(|_| has(setting)) else { continue };
        if live.url.is_sound() && live.url.value.is_none() {
            let message = format!("`{key}` without `url` in [live]");
            faults.push(fault(message, "alone", "without `url`, sessions are kept in memory", span));
        }
    }
    let Some(url) = &live.url.value else { return };
    if let Some(span) = live.password_file.span().filter(|_| has(&live.password_file)) {
        let path = base.join(&live.password_file.value);
        if url.password.is_some() {
            let help = "leave one out";
            faults.push(fault("a password in `url` and one in `password_file`", "second", help, span));
        } else if let Err(error) = File::open(&path) {
            faults.push(unusable("password_file", "live", &path, &error.to_string(), Some(span)));
        }
    }
    if let Some(span) = live.ca_file.span().filter(|_| has(&live.ca_file) && !url.tls) {
        faults.push(fault("`ca_file` without TLS in [live]", "not used", "write `rediss…` in `url`", span));
    }
    pem(&live.ca_file, "ca_file", "live", "CERTIFICATE-----", base, faults);
}

fn repeated<T: PartialEq + std::fmt::Debug>(key: &str, list: &[Setting<T>], faults: &mut Vec<Fault>) {
    for (n, setting) in list.iter().enumerate() {
        if let Some(span) = setting.span()
            && list.iter().take(n).any(|before| before.value == setting.value)
        {
            faults.push(fault(format!("`{key}` names the same twice"), "again", "leave one out", span));
        }
    }
}

fn folders(raw: &RawConfig, base: &Path, faults: &mut Vec<Fault>) {
    for (setting, key) in [(&raw.policy.policies, "policies"), (&raw.policy.schemas, "schemas")] {
        let path = base.join(&setting.value);
        if !setting.is_sound() {
            continue;
        }
        if let Err(error) = std::fs::read_dir(&path) {
            faults.push(unusable(key, "policy", &path, &error.to_string(), setting.span()));
        }
    }
    data_folder(raw, base, faults);
    if let Some(span) = raw.data.master_key_file.span().filter(|_| has(&raw.data.master_key_file)) {
        let path = base.join(&raw.data.master_key_file.value);
        if let Err(error) = File::open(&path) {
            faults.push(unusable("master_key_file", "data", &path, &error.to_string(), Some(span)));
        }
    }
    if let (AccessLogTo::File(file), Some(span)) = (&raw.log.access.value, raw.log.access.span()) {
        let path = base.join(file);
        // A bare name has an empty parent: the folder in which the gateway is started.
        let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        if path.is_dir() {
            faults.push(unusable("access", "log", &path, "it is a folder", Some(span)));
        } else if !folder.is_dir() {
            faults.push(unusable("access", "log", folder, "there is no such folder", Some(span)));
        }
    }
}

/// The data folder is made at start; here only what would make that impossible.
fn data_folder(raw: &RawConfig, base: &Path, faults: &mut Vec<Fault>) {
    let path = base.join(&raw.data.dir.value);
    let Some(existing) = path.ancestors().find(|ancestor| ancestor.exists()) else { return };
    if raw.data.dir.is_sound() && !existing.is_dir() {
        faults.push(unusable("dir", "data", existing, "it is a file, not a folder", raw.data.dir.span()));
    }
}

/// A file or folder that can't be used. Where the file doesn't set it (`span` is `None`), the fault stands at
/// its beginning.
pub(super) fn unusable(
    key: &str,
    section: &str,
    path: &Path,
    why: &str,
    span: Option<Range<usize>>,
) -> Fault {
    let help = span.is_none().then(|| format!("`{key}` is not set in [{section}]: this is its default"));
    Fault {
        message: format!("`{key}` in [{section}]: `{}` can't be used", path.display()),
        label: why.to_owned(),
        help,
        secret: false,
        span: span.unwrap_or(0..0),
    }
}
