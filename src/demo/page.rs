//! `GET /`: an HTML page that shows whose data it shows and who asked for it.

use super::Demo;
use super::caller::Caller;
use super::data::Camera;
use axum::extract::State;
use axum::response::Html;
use std::fmt::Write;

const HEAD: &str = r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Argus video</title>
<style>
:root { color-scheme: light dark; --line: #8884; --soft: #8881; --accent: #2456c6; }
body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 52rem; padding: 2rem 1rem; }
h1 { font-size: 1.4rem; margin: 0; } h2 { font-size: 1rem; margin: 2rem 0 .5rem; }
header p { margin: .25rem 0 0; opacity: .7; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .3rem 1.2rem; margin: 0; padding: 1rem;
     border: 1px solid var(--line); border-radius: .5rem; background: var(--soft); }
dt { opacity: .7; } dd { margin: 0; overflow-wrap: anywhere; }
table { border-collapse: collapse; width: 100%; } th, td { text-align: left; padding: .5rem .6rem; border-bottom: 1px solid var(--line); }
th { font-weight: 600; font-size: .85rem; opacity: .7; } code { font-size: .9em; }
.on { color: #18794e; } .off { color: #b42318; } .note { border-left: 3px solid var(--accent); padding: .2rem .8rem; }
</style>
</head>
<body>
<header><h1>Argus video</h1><p>The demo customer application behind Drawbridge.</p></header>
"#;

/// The page. It is shown to everybody: without an identity it says so instead of showing data.
pub(super) async fn show(State(demo): State<Demo>, caller: Option<Caller>) -> Html<String> {
    let mut page = String::from(HEAD);
    match caller {
        Some(caller) => {
            let cameras: Vec<Camera> =
                demo.shared.data.lock().of(&caller.org).cameras.values().cloned().collect();
            who(&mut page, &caller);
            table(&mut page, &cameras);
        }
        None => page.push_str(
            "<h2>Nobody vouches for this request</h2>\n<p class=\"note\">It has no \
             <code>x-drawbridge-org</code> header, so it did not come through the gateway, and there is \
             nothing to show.</p>\n",
        ),
    }
    page.push_str("</body>\n</html>\n");
    Html(page)
}

fn who(page: &mut String, caller: &Caller) {
    page.push_str("<h2>Who calls</h2>\n<dl>\n");
    row(page, "Org", &caller.org);
    for (label, value) in [
        ("Principal", &caller.principal),
        ("Role", &caller.role),
        ("Impersonation", &caller.impersonation),
        ("Acting member of staff", &caller.actor),
    ] {
        if let Some(value) = value {
            row(page, label, value);
        }
    }
    page.push_str("</dl>\n");
}

// `write!` to a string can't fail; its result is dropped in both functions below.
fn row(page: &mut String, label: &str, value: &str) {
    let _ = writeln!(page, "<dt>{label}</dt><dd><code>{}</code></dd>", escaped(value));
}

fn table(page: &mut String, cameras: &[Camera]) {
    page.push_str(
        "<h2>Cameras</h2>\n<table>\n<tr><th>Name</th><th>Location</th><th>Id</th><th>State</th></tr>\n",
    );
    for camera in cameras {
        let (class, state) = if camera.online { ("on", "online") } else { ("off", "offline") };
        let _ = writeln!(
            page,
            "<tr><td>{}</td><td>{}</td><td><code>{}</code></td><td class=\"{class}\">{state}</td></tr>",
            escaped(&camera.name),
            escaped(&camera.location),
            escaped(&camera.id),
        );
    }
    page.push_str("</table>\n");
}

/// Text as it may stand between tags and in quoted attributes.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
    }
    safe
}
