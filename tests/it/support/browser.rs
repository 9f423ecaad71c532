//! A real browser, headless, driven over WebDriver.

use super::SOON;
use fantoccini::wd::{Capabilities, WebDriverCompatibleCommand};
use fantoccini::{Client, ClientBuilder, Locator};
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

/// What Chromium is started with: no window, nothing of its own on the network, a profile that is thrown away.
const ARGUMENTS: [&str; 10] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--window-size=1100,900",
];

/// A browser with one page; ended when dropped.
pub(crate) struct Browser {
    driver: Child,
    pub(crate) client: Client,
    profile: tempfile::TempDir,
}

/// A command of the Chrome DevTools Protocol.
#[derive(Debug)]
struct DevTools(&'static str, Value);

impl WebDriverCompatibleCommand for DevTools {
    fn endpoint(&self, base: &url::Url, session: Option<&str>) -> Result<url::Url, url::ParseError> {
        base.join(&format!("session/{}/goog/cdp/execute", session.unwrap_or_default()))
    }

    fn method_and_body(&self, _request: &url::Url) -> (http::Method, Option<String>) {
        (http::Method::POST, Some(json!({ "cmd": self.0, "params": self.1 }).to_string()))
    }
}

impl Browser {
    /// Starts ChromeDriver on a free port, and a browser.
    pub(crate) async fn start() -> Self {
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|e| panic!("chromedriver ({e}): `make browser` installs it"));
        let mut lines = BufReader::new(driver.stdout.take().expect("its output")).lines();
        let port = lines.find_map(|line| {
            let line = line.expect("its output is text");
            line.split_once("started successfully on port ")
                .map(|(_, port)| port.trim_end_matches('.').to_owned())
        });
        let port = port.expect("chromedriver says its port");
        // What it says later must not fill the pipe.
        std::thread::spawn(move || lines.for_each(drop));
        let profile = tempfile::tempdir().expect("a temporary folder");
        let mut arguments: Vec<String> = ARGUMENTS.map(str::to_owned).to_vec();
        arguments.push(format!("--user-data-dir={}", profile.path().display()));
        let capabilities = json!({
            "acceptInsecureCerts": true,
            "goog:chromeOptions": { "args": arguments },
        });
        let Value::Object(capabilities) = capabilities else { unreachable!() };
        let capabilities: Capabilities = capabilities;
        let client = ClientBuilder::new(hyper_util::client::legacy::connect::HttpConnector::new())
            .capabilities(capabilities)
            .connect(&format!("http://127.0.0.1:{port}"))
            .await
            .expect("a browser");
        Self { driver, client, profile }
    }

    pub(crate) async fn open(&self, url: &str) {
        self.client.goto(url).await.unwrap_or_else(|e| panic!("{url}: {e}"));
    }

    /// Path of the page that is shown.
    pub(crate) async fn path(&self) -> String {
        self.client.current_url().await.expect("an address").path().to_owned()
    }

    /// The page's heading.
    pub(crate) async fn heading(&self) -> String {
        self.text("h1").await
    }

    /// Text of the first element.
    pub(crate) async fn text(&self, selector: &str) -> String {
        let found = self.client.find(Locator::Css(selector)).await;
        let Ok(found) = found else { panic!("no {selector} in\n{}", self.source().await) };
        found.text().await.expect("its text")
    }

    pub(crate) async fn has(&self, selector: &str) -> bool {
        !self.client.find_all(Locator::Css(selector)).await.expect("an answer").is_empty()
    }

    /// Types into the field of that label, as somebody does who reads the page.
    pub(crate) async fn fill(&self, label: &str, text: &str) {
        let field = self.field(label).await;
        field.clear().await.expect("an empty field");
        field.send_keys(text).await.expect("a field to type in");
    }

    async fn field(&self, label: &str) -> fantoccini::elements::Element {
        let path = format!("//*[@id=//label[starts-with(normalize-space(), \"{label}\")]/@for]");
        let found = self.client.find(Locator::XPath(&path)).await;
        match found {
            Ok(field) => field,
            Err(e) => panic!("no field `{label}` ({e}) in\n{}", self.source().await),
        }
    }

    /// Presses the button of that name and waits for the next page.
    pub(crate) async fn press(&self, name: &str) {
        self.go(&format!("//button[normalize-space()=\"{name}\"]")).await;
    }

    /// Follows the link of that name.
    pub(crate) async fn follow(&self, name: &str) {
        self.go(&format!("//a[normalize-space()=\"{name}\"]")).await;
    }

    async fn go(&self, path: &str) {
        let found = self.client.find(Locator::XPath(path)).await;
        let Ok(found) = found else { panic!("no {path} in\n{}", self.source().await) };
        let before = self.client.find(Locator::Css("html")).await.expect("a page");
        found.click().await.expect("a click");
        // The old page's elements are gone once the next is there.
        let begun = std::time::Instant::now();
        while before.tag_name().await.is_ok() {
            assert!(begun.elapsed() < SOON, "{path} leads nowhere:\n{}", self.source().await);
            tokio::task::yield_now().await;
        }
        self.client.wait().at_most(SOON).for_element(Locator::Css("footer")).await.expect("the next page");
    }

    pub(crate) async fn source(&self) -> String {
        self.client.source().await.unwrap_or_default()
    }

    /// What a script on the page returns.
    pub(crate) async fn run(&self, script: &str) -> Value {
        self.client.execute(script, Vec::new()).await.unwrap_or_else(|e| panic!("{e}"))
    }

    /// As a window of this width, in light or dark.
    pub(crate) async fn look(&self, width: u32, dark: bool) {
        let size = json!({ "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false });
        self.tell("Emulation.setDeviceMetricsOverride", size).await;
        let scheme = if dark { "dark" } else { "light" };
        let media = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.tell("Emulation.setEmulatedMedia", media).await;
    }

    async fn tell(&self, command: &'static str, parameters: Value) {
        self.client.issue_cmd(DevTools(command, parameters)).await.expect("a command of DevTools");
    }

    /// With `DRAWBRIDGE_SHOTS=FOLDER`, a picture of the page is left there, to be looked at.
    pub(crate) async fn shoot(&self, name: &str) {
        let Ok(folder) = std::env::var("DRAWBRIDGE_SHOTS") else { return };
        let picture = self.client.screenshot().await.expect("a picture");
        std::fs::create_dir_all(&folder).expect("a folder");
        std::fs::write(std::path::Path::new(&folder).join(format!("{name}.png")), picture).expect("a file");
    }

    pub(crate) async fn close(self) {
        drop(self.client.clone().close().await);
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        drop(self.driver.kill());
        drop(self.driver.wait());
        // Chromium outlives a driver that is killed: its processes are those that name our profile.
        let profile = self.profile.path().display().to_string();
        for process in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
            let arguments = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
            if String::from_utf8_lossy(&arguments).contains(&profile) {
                drop(Command::new("kill").arg("-KILL").arg(process.file_name()).status());
            }
        }
    }
}
