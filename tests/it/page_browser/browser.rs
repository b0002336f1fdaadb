//! A person at a browser: real headless Chromium, driven by names a person reads. Every look waits on its condition,
//! and whatever the browser's console says is kept for the end. It knows nothing of moonwa but its login link.

use std::io::{Read, Seek};
use std::os::unix::process::CommandExt;
use std::process::Stdio;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use moonwa_simulator::harness::{Moonwa, PATIENCE, eventually};
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::{Value, json};
use tempfile::TempDir;
use thirtyfour::common::command::ExtensionCommand;
use thirtyfour::prelude::*;
use thirtyfour::{ChromiumCapabilities, LoggingPrefsLogLevel};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;
use tokio::time::timeout;

const FLAGS: [&str; 9] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
];

/// What a person can name: the words on a control, or those for screen readers.
const NAMED: &str = r"
const shown = (el) => el.checkVisibility({ visibilityProperty: true });
const words = (text) => (text ?? '').replace(/\s+/g, ' ').trim();
const place = [...document.querySelectorAll('dialog[open]')].pop() ?? document;
const control = (name) => [...place.querySelectorAll('button, a, summary')]
  .find((el) => shown(el) && [el.getAttribute('aria-label'), el.textContent, el.matches('summary') && el.querySelector('span')?.textContent]
    .some((text) => text && words(text) === name));
const input = (name) => [...place.querySelectorAll('input, textarea, select')]
  .find((el) => shown(el) && [...el.labels].some((label) => words((label.querySelector('span') ?? label).textContent) === name));
";

/// What the page says, in the language of whoever looks at it.
struct Words(Vec<(String, String)>);

impl Words {
    /// The page's own dictionary: each line of its table is an entry as JSON has them.
    fn of(language: &str) -> Self {
        if language == "en" {
            return Self(Vec::new());
        }
        let lines = include_str!("../../../web/words.js").lines();
        let entries = lines.filter_map(|line| {
            let (_, both) = line.trim().strip_suffix(',')?.split_once("\": ")?;
            serde_json::from_str::<(String, String)>(both).ok()
        });
        Self(entries.collect())
    }

    /// An English sentence as the page says it; other words, such as names, stay.
    fn say(&self, sentence: &str) -> String {
        let whole = self.0.iter().find(|(en, _)| en == sentence).map(|(_, id)| id.clone());
        // What a sentence with a value in it could also be comes last.
        let filled = || {
            self.0.iter().find_map(|(en, id)| {
                let (before, rest) = en.split_once('{')?;
                let (name, after) = rest.split_once('}')?;
                let value = sentence.strip_prefix(before)?.strip_suffix(after)?;
                (!after.contains('{')).then(|| id.replace(&format!("{{{name}}}"), value))
            })
        };
        whole.or_else(filled).unwrap_or_else(|| sentence.to_owned())
    }
}

/// The browser. Dropping it ends its processes and removes its profile.
pub(crate) struct Browser {
    driver: WebDriver,
    words: Words,
    _processes: Processes,
    _profile: TempDir,
}

/// A program and what it started: one process group, which ends with this.
pub(crate) struct Processes(pub(crate) Pid);

impl Drop for Processes {
    fn drop(&mut self) {
        // They may have ended by themselves.
        let _ended = kill_process_group(self.0, Signal::KILL);
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // After a failed story the driver would wait, on the story's own thread, for a browser that is killed anyway.
        let _quit_already = self.driver.clone().leak();
    }
}

/// A command of Chromium's own protocol.
#[derive(Debug)]
struct Devtools(Value);

impl ExtensionCommand for Devtools {
    fn parameters_json(&self) -> Option<Value> {
        Some(self.0.clone())
    }

    fn method(&self) -> hyper::Method {
        hyper::Method::POST
    }

    fn endpoint(&self) -> Arc<str> {
        "/goog/cdp/execute".into()
    }
}

/// What ChromeDriver says when the port that the system chose for it on IPv4 is taken on IPv6.
const PORT_TAKEN: &str = "IPv6 port not available.";

/// Starts ChromeDriver on a free port: its processes and the port.
async fn start_driver() -> Result<(Processes, String)> {
    loop {
        let mut complaints = tempfile::tempfile()?;
        let mut command = std::process::Command::new("chromedriver");
        command
            .arg("--port=0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(complaints.try_clone()?)
            .process_group(0);
        let mut child = Command::from(command).spawn().context("starting chromedriver")?;
        let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        let processes = Processes(pid.context("chromedriver has ended")?);
        let mut lines = BufReader::new(child.stdout.take().context("no output")?).lines();
        let mut said = String::new();
        while let Some(line) = lines.next_line().await? {
            if let Some((_, port)) = line.split_once("successfully on port ") {
                return Ok((processes, port.trim_end_matches('.').to_owned()));
            }
            said.push_str(&line);
            said.push('\n');
        }
        if said.contains(PORT_TAKEN) {
            continue;
        }
        complaints.rewind()?;
        complaints.read_to_string(&mut said)?;
        bail!("chromedriver did not say where it listens:\n{said}");
    }
}

impl Browser {
    /// Starts a browser of somebody who reads English.
    pub(crate) async fn start() -> Result<Self> {
        Self::reading("en").await
    }

    /// Starts ChromeDriver on a free port and a browser with a fresh profile, 1280 px wide, of somebody who reads that
    /// language. Stories are told in English: what the page says otherwise is looked for so.
    pub(crate) async fn reading(language: &str) -> Result<Self> {
        let profile = tempfile::Builder::new().prefix("moonwa-browser-").tempdir()?;
        let (processes, port) = timeout(PATIENCE, start_driver()).await??;
        let mut wanted = ChromiumCapabilities::new();
        wanted.set("browserName", json!("chrome"))?;
        for flag in FLAGS {
            wanted.add_arg(flag)?;
        }
        wanted.add_arg(&format!("--accept-lang={language}"))?;
        wanted.add_arg(&format!("--user-data-dir={}", profile.path().display()))?;
        wanted.set_browser_log_level(LoggingPrefsLogLevel::All)?;
        let driver = WebDriver::new(format!("http://127.0.0.1:{port}"), wanted).await?;
        let words = Words::of(language);
        let browser = Self { driver, words, _processes: processes, _profile: profile };
        browser.resize(1280, 800).await?;
        Ok(browser)
    }

    /// Opens an address.
    pub(crate) async fn open(&self, url: &str) -> Result<()> {
        Ok(self.driver.goto(url).await?)
    }

    /// Opens the admin page with a one-time link, and waits for it.
    pub(crate) async fn log_in(&self, moonwa: &Moonwa) -> Result<()> {
        let link = moonwa.admin().post("/v1/login-links", &Value::Null).await?.expect(201).json();
        let path = link["path"].as_str().context("no path")?;
        self.open(&format!("http://{}{path}", moonwa.address())).await?;
        self.until("the page", "return document.querySelector('nav a') !== null").await;
        Ok(())
    }

    /// Runs a script; what it returns. `Null` when the page changed under it.
    pub(crate) async fn run(&self, script: &str, arguments: Vec<Value>) -> Value {
        match self.driver.execute(script, arguments).await {
            Ok(answer) => answer.json().clone(),
            Err(error) => json!({"script failed": error.to_string()}),
        }
    }

    /// Waits until a script returns true.
    pub(crate) async fn until(&self, what: &str, script: &str) {
        let look = || async {
            let good = self.run(script, Vec::new()).await;
            if good == json!(true) { (good, String::new()) } else { (good, self.text().await) }
        };
        eventually(what, look, |(good, _)| *good == json!(true)).await;
    }

    /// Everything that can be read on the page.
    pub(crate) async fn text(&self) -> String {
        let text = self.run("return document.body.innerText", Vec::new()).await;
        text.as_str().unwrap_or_default().to_owned()
    }

    /// Waits until those words can be read.
    pub(crate) async fn sees(&self, words: &str) {
        let words = &self.words.say(words);
        eventually(words, || self.text(), |text: &String| text.contains(words)).await;
    }

    /// Waits until those words can no longer be read.
    pub(crate) async fn misses(&self, words: &str) {
        let words = &self.words.say(words);
        let what = format!("no more {words}");
        eventually(&what, || self.text(), |text: &String| !text.contains(words)).await;
    }

    /// Clicks the control with that name, as a mouse does: what covers it is a failure.
    pub(crate) async fn click(&self, name: &str) {
        let name = &self.words.say(name);
        let look = || async {
            // A person scrolls until it is in sight, clear of what sticks to the edges.
            let script = format!(
                "{NAMED} const it = control(arguments[0]); it?.scrollIntoView({{ block: 'nearest' }}); return it ?? null"
            );
            let found = self.driver.execute(script, vec![json!(name)]).await;
            let clicked = match found.and_then(ScriptRet::element) {
                Ok(element) => element.click().await,
                Err(error) => Err(error),
            };
            clicked.map_err(|error| error.to_string())
        };
        let clicked = eventually(&format!("clicking {name}"), look, Result::is_ok).await;
        assert!(clicked.is_ok(), "{clicked:?}");
    }

    /// Clicks the first of those elements, for what has no name of its own.
    pub(crate) async fn click_first(&self, selector: &str) {
        let script = "const found = document.querySelector(arguments[0]); found?.click(); return Boolean(found)";
        let click = || self.run(script, vec![json!(selector)]);
        eventually(&format!("clicking {selector}"), click, |found| *found == json!(true)).await;
    }

    /// The field with that label.
    pub(crate) async fn input(&self, label: &str) -> Result<WebElement> {
        let label = &self.words.say(label);
        let script = format!("{NAMED} return input(arguments[0]) !== undefined");
        let look = || self.run(&script, vec![json!(label)]);
        eventually(&format!("the field {label}"), look, |found| *found == json!(true)).await;
        let script = format!("{NAMED} return input(arguments[0])");
        Ok(self.driver.execute(script, vec![json!(label)]).await?.element()?)
    }

    /// Writes into the field with that label, in place of what stands there.
    pub(crate) async fn write(&self, label: &str, text: &str) -> Result<()> {
        let input = self.input(label).await?;
        input.clear().await?;
        Ok(input.send_keys(text).await?)
    }

    /// Chooses in the list with that label; a box is ticked with a space.
    pub(crate) async fn choose(&self, label: &str, text: &str) -> Result<()> {
        let input = self.input(label).await?;
        let (label, said) = (self.words.say(label), self.words.say(text));
        // Typed, every letter would choose something, and the page would draw itself again in between.
        let script = format!(
            "{NAMED} const list = input(arguments[0]), said = arguments[1].toLowerCase(); \
             if (!list?.options) return 'no list'; \
             const option = [...list.options].find(({{ text }}) => text.toLowerCase().startsWith(said)); \
             if (!option) return 'no such choice'; \
             list.focus(); \
             list.value = option.value; \
             for (const type of ['input', 'change']) list.dispatchEvent(new Event(type, {{ bubbles: true }})); \
             return 'chosen'"
        );
        match self.run(&script, vec![json!(label), json!(said)]).await.as_str() {
            Some("chosen") => Ok(()),
            Some("no list") => Ok(input.send_keys(said).await?),
            other => bail!("choosing {said} in {label}: {other:?}"),
        }
    }

    /// Presses keys, wherever the focus is.
    pub(crate) async fn press(&self, keys: impl Into<TypingData>) -> Result<()> {
        Ok(self.driver.active_element().await?.send_keys(keys).await?)
    }

    /// Goes with the Tab key to the control or field with that name; it must show that it has the focus.
    pub(crate) async fn tab_to(&self, name: &str) -> Result<()> {
        let script = format!(
            "{NAMED} const el = document.activeElement; \
             const ring = [undefined, '::after'].some((part) => getComputedStyle(el, part).outlineStyle !== 'none'); \
             return (el === control(arguments[0]) || el === input(arguments[0])) ? (ring ? 'there' : 'there, unseen') : words(el.textContent).slice(0, 40)"
        );
        let mut passed = Vec::new();
        for _ in 0..60 {
            self.press(Key::Tab).await?;
            let at = self.run(&script, vec![json!(name)]).await;
            if at == json!("there") {
                return Ok(());
            }
            passed.push(at.to_string());
        }
        bail!("Tab never came to {name}, but to {}", passed.join(" · "))
    }

    /// Makes the window that large.
    pub(crate) async fn resize(&self, width: u32, height: u32) -> Result<()> {
        let size =
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.devtools("Emulation.setDeviceMetricsOverride", size).await.map(drop)
    }

    /// What the person prefers: light or dark; and no motion, so that pictures are still.
    pub(crate) async fn prefer(&self, scheme: &str) -> Result<()> {
        let features = json!([{"name": "prefers-color-scheme", "value": scheme},
            {"name": "prefers-reduced-motion", "value": "reduce"}]);
        self.devtools("Emulation.setEmulatedMedia", json!({"features": features})).await.map(drop)
    }

    /// A picture of the whole page as PNG, the window's height at least.
    pub(crate) async fn picture(&self, width: u32, height: u32) -> Result<Vec<u8>> {
        let script = "return document.documentElement.scrollHeight";
        let whole = self.run(script, Vec::new()).await.as_u64().unwrap_or_default();
        self.resize(width, u32::try_from(whole).unwrap_or(height).max(height)).await?;
        let picture = self.driver.screenshot_as_png().await?;
        self.resize(width, height).await?;
        Ok(picture)
    }

    /// What an asynchronous script hands to its last argument.
    pub(crate) async fn run_async(&self, script: &str) -> Result<Value> {
        Ok(self.driver.execute_async(script, Vec::new()).await?.json().clone())
    }

    /// The page is as wide as the window: nothing hangs out of it.
    pub(crate) async fn fits(&self) {
        let script = "const wide = [...document.querySelectorAll('body *')].filter((el) => \
            el.checkVisibility() && el.getBoundingClientRect().right > innerWidth + 1 && !el.closest('pre, .sr')); \
            return document.documentElement.scrollWidth > innerWidth ? wide.map((el) => el.outerHTML.slice(0, 90)) : []";
        let wide = self.run(script, Vec::new()).await;
        assert_eq!(wide, json!([]), "the page is wider than the window");
    }

    /// What the console said: errors and warnings, reports of the content policy among them.
    pub(crate) async fn complaints(&self) -> Result<Vec<String>> {
        let log = self.driver.browser_log().await?;
        let bad = log.into_iter().filter(|entry| ["SEVERE", "WARNING"].contains(&&*entry.level));
        Ok(bad.map(|entry| entry.message).collect())
    }

    /// The end of a story: the console said nothing worse than those.
    pub(crate) async fn close(self, forgiven: &[&str]) -> Result<()> {
        let mut complaints = self.complaints().await?;
        complaints.retain(|text| !forgiven.iter().any(|known| text.contains(known)));
        assert!(complaints.is_empty(), "the console said: {complaints:#?}");
        Ok(self.driver.clone().quit().await?)
    }

    /// Fetches nothing whose address fits one of these patterns.
    pub(crate) async fn block(&self, addresses: &[&str]) -> Result<()> {
        self.devtools("Network.enable", json!({})).await?;
        self.devtools("Network.setBlockedURLs", json!({ "urls": addresses })).await?;
        Ok(())
    }

    async fn devtools(&self, command: &str, parameters: Value) -> Result<Value> {
        let body = json!({"cmd": command, "params": parameters});
        let answer = self
            .driver
            .cmd(thirtyfour::common::command::Command::ExtensionCommand(Box::new(Devtools(body))));
        Ok(answer.await?.value()?)
    }
}
