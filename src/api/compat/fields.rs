//! The body of an `/api` request, however it was written, and the device whose key it has.

use serde_json::Value;

use super::error::Refusal;
use crate::api::access::auth::{self, Principal};
use crate::api::call::Call;
use crate::api::http::form;
use crate::api::http::problem::{Code, Issue, Problem};
use crate::api::http::request::{self, MAX_JSON};
use crate::config::Scope;
use crate::model::DeviceName;
use crate::whatsapp::DeviceHandle;

/// The fields of a body, those inside `data` as `data.name`. JSON and forms are read alike.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Fields(Vec<(String, String)>);

impl Fields {
    pub(crate) async fn of(call: &mut Call) -> Result<Self, Refusal> {
        let is_form = call.has_type("application/x-www-form-urlencoded");
        let bytes = call.read(MAX_JSON).await?;
        Self::read(&bytes, is_form).map_err(Refusal::Invalid)
    }

    /// Reads JSON, or a form with `data[message]` or `data.message` for what is nested there.
    pub(crate) fn read(bytes: &[u8], is_form: bool) -> Result<Self, Vec<Issue>> {
        let broken = |msg: &str| vec![Issue::new("", msg)];
        if is_form {
            let text =
                str::from_utf8(bytes).map_err(|_not_utf8| broken("the form is not UTF-8"))?;
            let pairs = form::pairs(text).ok_or_else(|| broken("the form is not valid"))?;
            let plain = |name: String| match name.strip_prefix("data[") {
                Some(inner) => format!("data.{}", inner.trim_end_matches(']')),
                None => name,
            };
            return Ok(Self(pairs.into_iter().map(|(n, value)| (plain(n), value)).collect()));
        }
        let value: Value = request::parse(bytes)
            .map_err(|problem| broken(problem.detail.as_deref().unwrap_or("not JSON")))?;
        let Value::Object(top) = value else { return Err(broken("must be a JSON object")) };
        let mut fields = Self::default();
        for (name, value) in top {
            match value {
                Value::Object(nested) => {
                    for (inner, value) in nested {
                        fields.push(format!("{name}.{inner}"), &value);
                    }
                }
                value => fields.push(name, &value),
            }
        }
        Ok(fields)
    }

    /// Keeps texts and numbers, because people write phone numbers as numbers. Anything else counts as absent.
    fn push(&mut self, name: String, value: &Value) {
        match value {
            Value::String(text) => self.0.push((name, text.clone())),
            Value::Number(number) => self.0.push((name, number.to_string())),
            _ => {}
        }
    }

    /// The first of these names that has a value.
    pub(crate) fn get(&self, names: &[&str]) -> Option<&str> {
        names.iter().find_map(|name| {
            let found = self.0.iter().find(|(n, value)| n == name && !value.trim().is_empty());
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
        call.who = Principal::Key { device: device.clone(), id, scopes };
        return if may { Ok(device) } else { Err(Refusal::Key) };
    }
    if let Some(wait) = call.state.throttle.wait(call.client) {
        return Err(Problem::from(Code::TooManyAttempts).retry_after(wait).into());
    }
    call.state.throttle.failed(call.client);
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
    fn what_is_no_body_is_refused() {
        for broken in ["{", "[]", "{\"a\":1}x", "", "null"] {
            assert!(Fields::read(broken.as_bytes(), false).is_err(), "{broken}");
        }
        assert!(Fields::read(b"a=%ff", true).is_err());
        assert!(Fields::read("[".repeat(60_000).as_bytes(), false).is_err());
    }
}
