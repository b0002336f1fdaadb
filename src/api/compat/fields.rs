//! The body of an `/api` request, however it was written, and the device whose key it has.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use serde_json::{Map, Value};

use super::error::Refusal;
use crate::api::access::auth::{self, Principal};
use crate::api::access::throttle::Attempt;
use crate::api::call::Call;
use crate::api::http::form;
use crate::api::http::multipart::Multipart;
use crate::api::http::problem::{Issue, Problem};
use crate::api::http::request;
use crate::config::{Scope, is_random_key};
use crate::model::DeviceName;
use crate::whatsapp::DeviceHandle;

/// The largest body, in bytes. A form takes three bytes for most characters that are not Latin letters.
const MAX_BODY: usize = 256 * 1024;
/// Time for parts that are in memory already.
const PATIENCE: Duration = Duration::from_secs(10);

/// The fields of a body, those inside `data` as `data.name`. JSON and forms are read alike.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Fields {
    texts: Vec<(String, String)>,
    /// Those that are `true` in JSON, which is no text.
    set: Vec<String>,
}

impl Fields {
    pub(crate) async fn of(call: &mut Call) -> Result<Self, Refusal> {
        let is_form = call.has_type("application/x-www-form-urlencoded");
        let parts = call.has_type("multipart/form-data");
        let parts = parts.then(|| call.header("content-type").unwrap_or_default().to_owned());
        let bytes = call.read(MAX_BODY).await?;
        let fields = match parts.filter(|_| !looks_like_json(&bytes)) {
            Some(content_type) => Self::read_parts(bytes, &content_type).await,
            None => Self::read(&bytes, is_form),
        };
        fields.map_err(Refusal::Invalid)
    }

    /// Reads `multipart/form-data`: so cURL in PHP sends an array.
    async fn read_parts(bytes: Bytes, content_type: &str) -> Result<Self, Vec<Issue>> {
        let broken = |problem: Problem| vec![Issue::new("", problem.detail.unwrap_or_default())];
        let body = Full::new(bytes);
        let mut parts = Multipart::open(content_type, body, PATIENCE).map_err(broken)?;
        let mut fields = Self::default();
        while let Some(part) = parts.next().await.map_err(broken)? {
            // Python's requests names the file of a text after its field.
            if part.filename.is_some_and(|file| file != part.name) {
                let words = "no file is taken here: give its address as data.url, or upload it to \
                             /v1/devices/{device}/messages";
                return Err(vec![Issue::new(&part.name, words)]);
            }
            let value = parts.text(MAX_BODY).await.map_err(broken)?;
            fields.form_field(part.name, value);
        }
        Ok(fields)
    }

    /// Reads JSON, or a form with `data[message]` or `data.message` for what is nested there.
    pub(crate) fn read(bytes: &[u8], is_form: bool) -> Result<Self, Vec<Issue>> {
        let broken = |msg: &str| vec![Issue::new("", msg)];
        let mut fields = Self::default();
        if is_form && !looks_like_json(bytes) {
            let text =
                str::from_utf8(bytes).map_err(|_not_utf8| broken("the form is not UTF-8"))?;
            let pairs = form::pairs(text).ok_or_else(|| broken("the form is not valid"))?;
            for (name, value) in pairs {
                fields.form_field(name, value);
            }
            return Ok(fields);
        }
        let value: Value = request::parse(bytes)
            .map_err(|problem| broken(problem.detail.as_deref().unwrap_or("not JSON")))?;
        let Value::Object(top) = value else { return Err(broken("must be a JSON object")) };
        for (name, value) in top {
            match value {
                Value::Object(nested) => fields.nest(&name, nested),
                Value::String(text) => fields.text(name, text),
                value => fields.push(name, value),
            }
        }
        Ok(fields)
    }

    /// A field of a form, where `data[message]` is what JSON nests.
    fn form_field(&mut self, name: String, value: String) {
        match name.strip_prefix("data[") {
            Some(inner) => {
                self.texts.push((format!("data.{}", inner.trim_end_matches(']')), value));
            }
            None => self.text(name, value),
        }
    }

    /// A text, or `data` as a text with JSON in it: so PHP's `json_encode` inside an array ends up.
    fn text(&mut self, name: String, text: String) {
        let nested = (name == "data").then(|| serde_json::from_str::<Map<String, Value>>(&text));
        match nested {
            Some(Ok(nested)) => self.nest(&name, nested),
            _ => self.texts.push((name, text)),
        }
    }

    fn nest(&mut self, name: &str, nested: Map<String, Value>) {
        for (inner, value) in nested {
            self.push(format!("{name}.{inner}"), value);
        }
    }

    /// Keeps texts, numbers, because people write phone numbers as numbers, and what is true. Anything else counts as absent.
    fn push(&mut self, name: String, value: Value) {
        match value {
            Value::String(text) => self.texts.push((name, text)),
            Value::Number(number) => self.texts.push((name, number.to_string())),
            Value::Bool(true) => self.set.push(name),
            _ => {}
        }
    }

    /// The first of these names that has a value.
    pub(crate) fn get(&self, names: &[&str]) -> Option<&str> {
        names.iter().find_map(|name| {
            let found = self.texts.iter().find(|(n, value)| n == name && !value.trim().is_empty());
            found.map(|(_, value)| value.as_str())
        })
    }

    /// The same; if there is none, that is an issue under the first name, which is the documented one.
    pub(crate) fn need<'a>(&'a self, names: &[&str], issues: &mut Vec<Issue>) -> &'a str {
        self.get(names).unwrap_or_else(|| {
            issues.push(Issue::new(names.first().copied().unwrap_or_default(), "required"));
            ""
        })
    }

    /// Whether one of these names is true, in any of the ways in which programs say so.
    pub(crate) fn is_set(&self, names: &[&str]) -> bool {
        let said = self.get(names).is_some_and(|value| matches!(value.trim(), "true" | "1"));
        said || self.set.iter().any(|name| names.contains(&name.as_str()))
    }
}

/// Whether a body that is called a form is JSON: so `curl -d` and old scripts send it.
fn looks_like_json(bytes: &[u8]) -> bool {
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    text.trim_ascii_start().starts_with(b"{")
}

/// The device a request's key belongs to.
pub(crate) fn device_of(
    call: &mut Call,
    fields: &Fields,
    scope: Scope,
) -> Result<DeviceName, Refusal> {
    let key = fields.get(&["api_key"]).or_else(|| auth::presented(&call.head));
    let key = key.ok_or_else(|| Refusal::Invalid(vec![Issue::new("api_key", "required")]))?;
    if let Some((device, config)) = auth::key_of(&call.config, key) {
        let (device, id, scopes) = (device.clone(), config.id.clone(), config.scopes.clone());
        // A right key is not a guess, even if it has not this scope.
        let may = scopes.contains(&scope);
        call.who = Principal::Key { device: device.clone(), id, scopes, login: None };
        return if may { Ok(device) } else { Err(Refusal::Key) };
    }
    let attempt = if is_random_key(key) { Attempt::Made } else { Attempt::Key };
    call.guessed_wrong(attempt)?;
    Err(Refusal::Key)
}

/// The running device of a request, when it can send.
pub(crate) fn connected(call: &Call, device: &DeviceName) -> Result<DeviceHandle, Refusal> {
    let handle = call.state.api.fleet.device(device).ok_or(Refusal::NotConnected)?;
    if handle.status().state.can_send() { Ok(handle) } else { Err(Refusal::NotConnected) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_read_as_programs_post_them() {
        let json = r#"{"receiver":628123456789,"data":{"message":"halo"}}"#;
        let inner = r#"{"receiver":"628123456789","data":"{\"message\":\"halo\"}"}"#;
        let form = "receiver=628123456789&data%5Bmessage%5D=halo";
        let inner_form = "receiver=628123456789&data=%7B%22message%22%3A%22halo%22%7D";
        let marked = format!("\u{feff}{json}");
        let bodies = [
            (json, false),
            (json, true),
            (&marked, false),
            (&marked, true),
            (inner, false),
            (inner, true),
            (form, true),
            (inner_form, true),
            ("receiver=628123456789&data.message=halo", true),
        ];
        for (body, is_form) in bodies {
            let fields = Fields::read(body.as_bytes(), is_form).unwrap();
            assert_eq!(fields.get(&["receiver"]), Some("628123456789"), "{body}");
            assert_eq!(fields.get(&["data.message"]), Some("halo"), "{body}");
        }
        let text = Fields::read(br#"{"data":"halo"}"#, false).unwrap();
        assert_eq!(text.get(&["data"]), Some("halo"));
    }

    #[test]
    fn what_is_no_body_is_refused() {
        for broken in ["{", "[]", "{\"a\":1}x", "", "null"] {
            assert!(Fields::read(broken.as_bytes(), false).is_err(), "{broken}");
        }
        assert!(Fields::read(b"a=%ff", true).is_err());
        assert!(Fields::read("[".repeat(60_000).as_bytes(), false).is_err());
    }
}
