//! Commands that ask the running gateway: they find it through `control.json` and speak `/v1`.

use std::io::ErrorKind;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use serde_json::{Value, json};

use super::user;
use crate::console::{Exit, confirm, say};
use crate::control::Control;
use crate::model::DeviceName;

/// The longest answer, in bytes: a backup of a few thousand devices.
const LONGEST: u64 = 1 << 30;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(40);
/// The same where the gateway itself waits for something to happen, for most of a minute.
const LONG_PATIENCE: Duration = Duration::from_secs(90);

/// The gateway that runs here.
pub(super) struct Gateway {
    agent: ureq::Agent,
    /// Scheme, address and port.
    origin: String,
    base: String,
    token: String,
}

impl Gateway {
    pub(super) fn find(config: Option<&Path>) -> Result<Self> {
        // The file may be broken while the gateway runs on: where its store is stands in the copy that works.
        let (_, config) = user::configuration(config)?;
        let store = &config.store.path;
        let control = Control::find(&config).map_err(|error| match error.kind() {
            ErrorKind::PermissionDenied => {
                anyhow!("moonwa runs as another user{}", user::advice(store))
            }
            _ => anyhow!("no moonwa runs with the store {} ({error})", store.display()),
        })?;
        let agent = ureq::Agent::config_builder()
            .timeout_global(Some(PATIENCE))
            // A connection that is kept may be closed from the other side, by a restart for example, just when the next
            // question is written to it, and nobody can tell whether a POST got there.
            .max_idle_connections(0)
            .max_idle_connections_per_host(0)
            .http_status_as_error(false)
            .proxy(None)
            .build()
            .new_agent();
        let origin = format!("http://{}", control.address);
        let base = format!("{origin}{}", control.base_path);
        Ok(Self { agent, origin, base, token: format!("Bearer {}", control.token.expose()) })
    }

    fn get(&self, path: &str, accept: &str) -> Result<(u16, String)> {
        let request = self.agent.get(format!("{}{path}", self.base));
        let answer = request.header("authorization", &self.token).header("accept", accept).call();
        self.read(answer)
    }

    fn post(&self, path: &str, body: &Value) -> Result<Value> {
        let request =
            self.agent.post(format!("{}{path}", self.base)).header("authorization", &self.token);
        let answer = request.header("content-type", "application/json").send(body.to_string());
        let (status, text) = self.read(answer)?;
        understood(status, &text)
    }

    /// Posts JSON as it is, with more headers; the answer's status and body.
    pub(super) fn pass_on(
        &self,
        path: &str,
        json: &str,
        headers: &[(&str, String)],
    ) -> Result<(u16, String)> {
        let request = self.agent.post(format!("{}{path}", self.base));
        let request = request.config().timeout_global(Some(LONG_PATIENCE)).build();
        let mut request = request
            .header("authorization", &self.token)
            .header("content-type", "application/json")
            .header("accept", "application/json, text/event-stream");
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        self.read(request.send(json))
    }

    fn delete(&self, path: &str) -> Result<Value> {
        let request = self.agent.delete(format!("{}{path}", self.base));
        let answer = request.header("authorization", &self.token).call();
        let (status, text) = self.read(answer)?;
        understood(status, &text)
    }

    fn device(&self, name: &str) -> Result<Value> {
        let (status, text) = self.get(&format!("v1/devices/{name}"), "application/json")?;
        understood(status, &text)
    }

    fn read(
        &self,
        answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
    ) -> Result<(u16, String)> {
        let mut answer =
            answer.with_context(|| format!("moonwa at {} does not answer", self.base))?;
        let text = answer.body_mut().with_config().limit(LONGEST).read_to_string()?;
        Ok((answer.status().as_u16(), text))
    }
}

fn understood(status: u16, text: &str) -> Result<Value> {
    let body: Value = serde_json::from_str(text).unwrap_or(Value::Null);
    if (200..300).contains(&status) {
        return Ok(body);
    }
    let said = ["detail", "title"].iter().find_map(|key| body.get(*key).and_then(Value::as_str));
    bail!("{} ({status})", said.unwrap_or("moonwa refused"))
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or("-")
}

/// `moonwa link`: until the device is linked, or the codes ran out.
pub(super) fn link(
    config: Option<&Path>,
    device: &DeviceName,
    phone: Option<&str>,
) -> Result<Exit> {
    let gateway = Gateway::find(config)?;
    let before = gateway.device(device.as_str())?;
    if before.get("phone").is_some_and(Value::is_string) && text(&before, "state") != "logged_out" {
        say(&format!("{device} is linked already: {}", text(&before, "phone")));
        return Ok(Exit::Clean);
    }
    match phone {
        Some(phone) => {
            gateway.post(&format!("v1/devices/{device}/pair-code"), &json!({ "phone": phone }))?
        }
        None => gateway.post(&format!("v1/devices/{device}/start"), &json!({}))?,
    };
    let (mut shown, mut told) = (String::new(), String::new());
    let began = Instant::now();
    loop {
        let now = gateway.device(device.as_str())?;
        tell_trouble(&now, &mut told);
        match text(&now, "state") {
            "connected" | "degraded" => {
                say(&format!("{device} is linked: {}", text(&now, "phone")));
                return Ok(Exit::Clean);
            }
            "linking" => show_code(&gateway, device, &now, phone.is_some(), &mut shown)?,
            // A link that was just made reconnects once; a start takes a moment.
            "reconnecting" => {}
            "pending" if shown.is_empty() && began.elapsed() < Duration::from_secs(10) => {}
            _ if text(&now, "reason") == "qr_expired" => {
                bail!("nobody scanned the codes in time; run `moonwa link {device}` again")
            }
            state => bail!("{device} is {state} ({})", text(&now, "reason")),
        }
        std::thread::sleep(Duration::from_millis(500));
    }
}

/// Says what stands in the way, when it changes.
fn tell_trouble(now: &Value, told: &mut String) {
    let what = match (text(now, "state"), text(now, "reason")) {
        ("linking" | "reconnecting", reason @ ("pair_code_refused" | "passkey_failed")) => {
            format!("{reason}: {}", text(now, "detail"))
        }
        ("linking", "pair_code_expired") => {
            "WhatsApp wants another pair code; end this with Ctrl-C and begin again.".to_owned()
        }
        ("linking" | "reconnecting", reason) if reason.starts_with("unreachable") => {
            format!("WhatsApp cannot be reached: {}", text(now, "detail"))
        }
        _ => return,
    };
    if what != *told {
        say(&what);
        *told = what;
    }
}

/// Shows what is new since the last look.
fn show_code(
    gateway: &Gateway,
    device: &DeviceName,
    now: &Value,
    by_phone: bool,
    shown: &mut String,
) -> Result<()> {
    if by_phone {
        let code = now.get("linking").map_or("-", |linking| text(linking, "pair_code"));
        if code != "-" && code != shown {
            say(&format!(
                "On the phone: Linked devices, Link a device, Link with phone number instead. Code: {code}"
            ));
            code.clone_into(shown);
        }
        return Ok(());
    }
    let (status, picture) = gateway.get(&format!("v1/devices/{device}/qr"), "text/plain")?;
    if status == 200 && picture != *shown {
        say(&picture);
        say(
            "On the phone: WhatsApp, Linked devices, Link a device. The code changes by itself; Ctrl-C ends.",
        );
        *shown = picture;
    }
    Ok(())
}

/// `moonwa healthcheck`, for containers, which have no other client.
pub(super) fn healthcheck(config: Option<&Path>) -> Result<Exit> {
    let (status, body) = Gateway::find(config)?.get("readyz", "application/json")?;
    understood(status, &body)?;
    Ok(Exit::Clean)
}

/// `moonwa status`: a line per device, for what it may still send, and per webhook.
pub(super) fn status(config: Option<&Path>, as_json: bool) -> Result<Exit> {
    let gateway = Gateway::find(config)?;
    let (status, body) = gateway.get("v1/devices", "application/json")?;
    let devices = understood(status, &body)?;
    if as_json {
        say(&serde_json::to_string_pretty(&devices)?);
        return Ok(Exit::Clean);
    }
    for device in devices.get("devices").and_then(Value::as_array).into_iter().flatten() {
        let reason = device
            .get("reason")
            .and_then(Value::as_str)
            .map(|why| format!(" ({why})"))
            .unwrap_or_default();
        say(&format!(
            "{:<24} {:<13} {}{reason} since {} {}",
            text(device, "name"),
            text(device, "status"),
            text(device, "state"),
            text(device, "since"),
            text(device, "phone"),
        ));
        if device.get("phone").is_some_and(Value::is_string) {
            let path = format!("v1/devices/{}/standing", text(device, "name"));
            let (status, body) = gateway.get(&path, "application/json")?;
            say(&format!("  {}", text(&understood(status, &body)?, "forecast")));
        }
        for hook in device.get("webhooks").and_then(Value::as_array).into_iter().flatten() {
            let number = |key: &str| hook.get(key).and_then(Value::as_u64).unwrap_or_default();
            let failing = match hook.get("failing_since").and_then(Value::as_str) {
                Some(since) => format!(", failing since {since}: {}", text(hook, "last_error")),
                None => String::new(),
            };
            let count = |key: &str, what: &str| match number(key) {
                0 => String::new(),
                count => format!(", {count} {what}"),
            };
            let risk = match hook.get("at_risk").and_then(Value::as_bool) {
                Some(true) => ", close to losing events",
                _ => "",
            };
            say(&format!(
                "  {}. {} {}, backlog {}{}{}{risk}{failing}",
                number("n"),
                text(hook, "url"),
                text(hook, "state"),
                number("backlog"),
                count("dead_letters", "dead letters"),
                count("dropped", "dropped"),
            ));
        }
    }
    Ok(Exit::Clean)
}

/// What the running gateway advises, for `moonwa doctor`.
pub(super) fn advice(config: Option<&Path>) -> Result<Vec<String>> {
    let gateway = Gateway::find(config)?;
    let (status, body) = gateway.get("v1/devices", "application/json")?;
    let devices = understood(status, &body)?;
    let mut advice = Vec::new();
    for device in devices.get("devices").and_then(Value::as_array).into_iter().flatten() {
        let name = text(device, "name");
        let device = gateway.device(name)?;
        let said = device.get("advice").and_then(Value::as_str);
        advice.extend(said.map(|said| format!("{name}: {said}")));
    }
    let (status, body) = gateway.get("v1/faces", "application/json")?;
    let faces = understood(status, &body)?;
    for want in faces.get("not_offered").and_then(Value::as_array).into_iter().flatten() {
        let [face, operation, last] = ["face", "operation", "last"].map(|key| text(want, key));
        let times = want.get("times").and_then(Value::as_u64).unwrap_or_default();
        advice.push(format!(
            "{face}: {operation} is not offered, and was asked for {times} times, last at {last}"
        ));
    }
    Ok(advice)
}

/// `moonwa send`: one text, until WhatsApp has it or refuses it.
pub(super) fn send(
    config: Option<&Path>,
    device: &DeviceName,
    to: &str,
    message: &str,
) -> Result<Exit> {
    let gateway = Gateway::find(config)?;
    let path = format!("v1/devices/{device}/messages?wait=30s");
    let sent = gateway.post(&path, &json!({ "to": to, "text": message }))?;
    match text(&sent, "status") {
        "failed" => bail!("{}: {}", text(&sent, "code"), text(&sent, "detail")),
        status => say(&format!("{status} {}", text(&sent, "id"))),
    }
    Ok(Exit::Clean)
}

/// `moonwa login`: a link for one browser.
pub(super) fn login(config: Option<&Path>) -> Result<Exit> {
    let gateway = Gateway::find(config)?;
    let link = gateway.post("v1/login-links", &json!({}))?;
    say(&format!(
        "This link logs in once, within a day:\n{}{}",
        gateway.origin,
        text(&link, "path")
    ));
    Ok(Exit::Clean)
}

/// `moonwa login --revoke-all`: nobody is logged in any more.
pub(super) fn end_logins(config: Option<&Path>) -> Result<Exit> {
    let ended = Gateway::find(config)?.delete("v1/logins")?;
    let count = ended.get("ended").and_then(Value::as_u64).unwrap_or_default();
    say(&format!(
        "{count} logins to the admin page are ended. The admin token still lets in whoever has it."
    ));
    Ok(Exit::Clean)
}

/// `moonwa logout`: asks first when a person can answer.
pub(super) fn logout(config: Option<&Path>, device: &DeviceName, sure: bool) -> Result<Exit> {
    let gateway = Gateway::find(config)?;
    let account = gateway.device(device.as_str())?;
    let question = format!(
        "{device} ({}) will need a new QR code to work again. Log it out?",
        text(&account, "phone")
    );
    if !sure && !confirm(&question)? {
        say(&format!("{device} was left as it is."));
        return Ok(Exit::Failure);
    }
    gateway.post(&format!("v1/devices/{device}/logout"), &json!({}))?;
    say(&format!("{device} is logged out."));
    Ok(Exit::Clean)
}

pub(super) fn forget(config: Option<&Path>, device: &DeviceName) -> Result<Exit> {
    Gateway::find(config)?.post(&format!("v1/forgotten/{device}"), &json!({}))?;
    say(&format!("The credentials of {device} are deleted."));
    Ok(Exit::Clean)
}

/// The backup of the gateway that runs.
pub(super) fn backup(config: Option<&Path>) -> Result<String> {
    let (status, text) = Gateway::find(config)?.get("v1/backup", "application/json")?;
    understood(status, &text)?;
    Ok(text)
}

/// `moonwa plan`: what a reload would change.
pub(super) fn plan(config: Option<&Path>, as_json: bool) -> Result<Exit> {
    let report = Gateway::find(config)?.post("v1/config/plan", &json!({}))?;
    if as_json {
        say(&serde_json::to_string_pretty(&report)?);
    } else {
        for line in report.get("lines").and_then(Value::as_array).into_iter().flatten() {
            say(line.as_str().unwrap_or_default());
        }
    }
    Ok(match text(&report, "outcome") {
        "unchanged" => Exit::Clean,
        "rejected" => Exit::Config,
        _ => Exit::Changes,
    })
}
