//! Devices as callers see them, and what can be done with one.

use hyper::StatusCode;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::api::access::auth::{Principal, scope_name};
use crate::api::call::{Answer, Call};
use crate::api::http::problem::{Code, Problem};
use crate::api::http::request::MAX_JSON;
use crate::api::http::response::{self, Response};
use crate::api::state::State;
use crate::config::{Config, DeviceConfig, Scope};
use crate::hooks::EndpointReport;
use crate::model::{
    DeviceName, DeviceState, DeviceStatus, Linking, Passkey, Pending, PhoneNumber, Shown, Stop,
    UnixMillis,
};
use crate::whatsapp::WhatsAppError;

/// A device as callers see it. The codes that link it are login secrets, so only admins see them.
pub(crate) fn render(
    name: &DeviceName,
    config: &DeviceConfig,
    status: &DeviceStatus,
    webhooks: &[EndpointReport],
    admin: bool,
) -> Value {
    let account = status.account.as_ref();
    let (attempt, retry_at) = match status.state {
        DeviceState::Reconnecting { attempt, retry_at, .. } => (Some(attempt), Some(retry_at)),
        _ => (None, None),
    };
    let mut device = Map::new();
    let mut set = |key: &str, value: Value| {
        device.insert(key.to_owned(), value);
    };
    set("name", json!(name));
    set("label", json!(config.label));
    set("status", json!(status.state.word()));
    set("state", json!(status.state.as_str()));
    set("since", json!(status.since));
    set("reason", json!(status.state.reason()));
    set("detail", json!(status.state.detail()));
    set("attempt", json!(attempt));
    set("retry_at", json!(retry_at));
    set("until", json!(status.state.until()));
    let refusal = status.state.refusal();
    set("url", json!(refusal.and_then(|refusal| refusal.url.as_ref())));
    set("new_chats", json!(status.new_chats));
    set("phone", json!(account.and_then(|a| a.phone.as_ref())));
    set("lid", json!(account.and_then(|a| a.lid.as_ref())));
    set("push_name", json!(account.and_then(|a| a.name.as_ref())));
    set("proof_at", json!(status.proof_at));
    set("last_in", json!(status.last_in));
    set("last_out", json!(status.last_out));
    set("enabled", json!(config.enabled));
    set("country_code", json!(config.country_code));
    if admin {
        let keys = config.keys.iter().map(|key| {
            let scopes: Vec<_> = key.scopes.iter().copied().map(scope_name).collect();
            json!({ "id": key.id, "scopes": scopes })
        });
        set("keys", keys.collect());
        if let Some(token) = refusal.and_then(|refusal| refusal.appeal.as_ref()) {
            set("appeal_token", json!(token.expose()));
        }
    }
    let linking = match &status.state {
        DeviceState::Linking(linking) => Some(render_linking(linking, admin)),
        _ => None,
    };
    set("linking", json!(linking));
    set("webhooks", json!(webhooks));
    Value::Object(device)
}

fn render_linking(linking: &Linking, admin: bool) -> Value {
    let code = |shown: &Option<Shown>| {
        shown.as_ref().filter(|_| admin).map(|shown| shown.code.expose().to_owned())
    };
    let passkey = linking.passkey.as_ref().map(|step| match step {
        Passkey::Request(options) => {
            json!({ "step": "request", "options": admin.then(|| options.expose()) })
        }
        Passkey::Confirm(code) => {
            json!({ "step": "confirm", "code": admin.then(|| code.expose()) })
        }
    });
    json!({
        "has_qr": linking.qr.is_some(),
        "expires_at": linking.qr.as_ref().map(|shown| shown.expires_at),
        "pair_code": code(&linking.pair_code),
        "pair_code_expires_at": linking.pair_code.as_ref().map(|shown| shown.expires_at),
        "passkey": passkey,
    })
}

/// A device's status. If the fleet has none yet, it follows from the configuration.
pub(crate) fn status_of(state: &State, name: &DeviceName, config: &DeviceConfig) -> DeviceStatus {
    state.api.fleet.statuses().borrow().get(name).cloned().unwrap_or_else(|| {
        let waiting = if config.enabled {
            DeviceState::Pending(Pending::NotStarted)
        } else {
            DeviceState::Stopped(Stop::Disabled)
        };
        DeviceStatus::new(waiting, UnixMillis::now())
    })
}

/// A device as this caller may see it.
pub(crate) fn view(state: &State, config: &Config, who: &Principal, name: &DeviceName) -> Value {
    let Some(device) = config.devices.get(name) else { return Value::Null };
    let status = status_of(state, name, device);
    let webhooks = state.api.webhooks.reports().borrow().get(name).cloned().unwrap_or_default();
    render(name, device, &status, &webhooks, who.may(Scope::Admin))
}

pub(crate) fn view_all(state: &State, config: &Config, who: &Principal) -> Vec<Value> {
    let names = config.devices.keys().filter(|name| who.reaches(name));
    names.map(|name| view(state, config, who, name)).collect()
}

/// `GET /v1/devices`.
pub(crate) fn list(call: &Call) -> Response {
    response::ok(&json!({ "devices": view_all(&call.state, &call.config, &call.who) }))
}

/// `GET /v1/devices/{device}`, with what it would be wise to change.
pub(crate) async fn show(call: &Call) -> Answer {
    let (name, _) = call.device()?;
    let mut device = view(&call.state, &call.config, &call.who, &name);
    if let (Ok(handle), Value::Object(fields)) = (call.handle(), &mut device) {
        fields.insert("advice".to_owned(), json!(handle.standing().await?.advice));
    }
    Ok(response::ok(&device))
}

fn respond(call: &Call, status: StatusCode) -> Answer {
    let (name, _) = call.device()?;
    Ok(response::json(status, &view(&call.state, &call.config, &call.who, &name)))
}

/// `POST …/start`.
pub(crate) async fn start(call: &Call) -> Answer {
    call.handle()?.start().await?;
    respond(call, StatusCode::ACCEPTED)
}

/// `POST …/stop`.
pub(crate) async fn stop(call: &Call) -> Answer {
    call.handle()?.stop().await?;
    respond(call, StatusCode::ACCEPTED)
}

/// `POST …/reconnect`.
pub(crate) async fn reconnect(call: &Call) -> Answer {
    call.handle()?.reconnect().await?;
    respond(call, StatusCode::ACCEPTED)
}

/// `POST …/logout`.
pub(crate) async fn logout(call: &Call) -> Answer {
    call.handle()?.logout().await?;
    respond(call, StatusCode::ACCEPTED)
}

/// `POST /v1/forgotten/{device}`: deletes the credentials of a device that is no longer in the file.
pub(crate) async fn forget(call: &Call) -> Answer {
    let nothing = || Problem::new(Code::DeviceNotFound, "nothing is stored under that name");
    let name = call.device_name().map_err(|_not_a_name| nothing())?;
    if call.config.devices.contains_key(&name) {
        let detail =
            "the device is still in moonwa.toml: log it out instead, or remove its table first";
        return Err(Problem::new(Code::Conflict, detail));
    }
    match call.state.api.fleet.forget(&name).await {
        Err(WhatsAppError::NotFound) => return Err(nothing()),
        done => done?,
    }
    Ok(response::empty(StatusCode::NO_CONTENT))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PairCodeBody {
    phone: String,
}

/// `POST …/pair-code`. The code itself comes with the device's status.
pub(crate) async fn pair_code(call: &mut Call) -> Answer {
    let body: PairCodeBody = call.json(MAX_JSON).await?;
    let (_, config) = call.device()?;
    let phone = PhoneNumber::parse(&body.phone, config.country_code.as_deref())
        .map_err(|error| Problem::field("phone", error))?;
    call.handle()?.pair_code(&phone).await?;
    respond(call, StatusCode::ACCEPTED)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PasskeyBody {
    assertion: Value,
    credential_id: String,
}

/// `POST …/passkey` with what the browser answered.
pub(crate) async fn passkey_response(call: &mut Call) -> Answer {
    let body: PasskeyBody = call.json(MAX_JSON).await?;
    let assertion = match body.assertion {
        Value::String(text) => text,
        other => other.to_string(),
    };
    call.handle()?.passkey_response(assertion, body.credential_id).await?;
    respond(call, StatusCode::ACCEPTED)
}

/// `POST …/passkey/confirm`.
pub(crate) async fn passkey_confirm(call: &Call) -> Answer {
    call.handle()?.passkey_confirm().await?;
    respond(call, StatusCode::ACCEPTED)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::access::auth::tests::config;
    use crate::model::{Account, Disconnect, Refusal, Secret};

    fn shown(state: DeviceState, admin: bool) -> Value {
        let config = config();
        let name = DeviceName::parse("toko").unwrap();
        let mut status = DeviceStatus::new(state, UnixMillis::from_secs(1_795_420_800));
        let phone = PhoneNumber::parse("628123456789", None).ok();
        status.account = Some(Account { phone, lid: Some("1555".into()), name: None });
        render(&name, &config.devices[&name], &status, &[], admin)
    }

    #[test]
    fn a_connected_device_is_the_contracts_json() {
        assert_eq!(
            shown(DeviceState::Connected, false).to_string(),
            "{\"name\":\"toko\",\"label\":\"Toko\",\"status\":\"CONNECTED\",\"state\":\"connected\",\
             \"since\":\"2026-11-23T08:00:00Z\",\"reason\":null,\"detail\":null,\"attempt\":null,\
             \"retry_at\":null,\"until\":null,\"url\":null,\"new_chats\":null,\
             \"phone\":\"628123456789\",\"lid\":\"1555\",\
             \"push_name\":null,\"proof_at\":null,\"last_in\":null,\"last_out\":null,\
             \"enabled\":true,\"country_code\":\"62\",\"linking\":null,\"webhooks\":[]}"
        );
    }

    #[test]
    fn every_state_explains_itself() {
        let at = UnixMillis::from_secs(60);
        let why = Disconnect::Server(503);
        let device = shown(DeviceState::Reconnecting { attempt: 3, retry_at: at, why }, true);
        assert_eq!(device["reason"], "server_error");
        assert_eq!(device["detail"], "503");
        assert_eq!(device["attempt"], 3);
        assert_eq!(device["retry_at"], "1970-01-01T00:01:00Z");
        let refusal = Refusal {
            code: 402,
            text: Some("too many people blocked you".to_owned()),
            url: Some("https://faq.whatsapp.com/x".to_owned()),
            until: Some(at),
            appeal: Some(Secret::new("once")),
        };
        let state = DeviceState::Stopped(Stop::Banned(refusal));
        let device = shown(state.clone(), true);
        assert_eq!((&device["reason"], &device["until"]), (&json!("banned"), &json!(at)));
        assert_eq!(device["detail"], "402: too many people blocked you");
        assert_eq!(device["url"], "https://faq.whatsapp.com/x");
        assert_eq!(device["appeal_token"], "once");
        assert!(!shown(state, false).to_string().contains("once"), "for admins");
        assert_eq!(device["keys"][0], json!({ "id": "full", "scopes": ["send", "read"] }));
    }

    #[test]
    fn codes_are_for_admins() {
        let code =
            |text: &str| Shown { code: Secret::new(text), expires_at: UnixMillis::default() };
        let state = DeviceState::Linking(Linking {
            qr: Some(code("2@qr")),
            pair_code: Some(code("ABCD1234")),
            passkey: Some(Passkey::Confirm(Secret::new("K7"))),
            trouble: None,
        });
        let admin = shown(state.clone(), true);
        assert_eq!(admin["linking"]["pair_code"], "ABCD1234");
        assert_eq!(admin["linking"]["passkey"]["code"], "K7");
        assert!(!admin.to_string().contains("2@qr"), "the QR has its own route");
        let other = shown(state, false).to_string();
        assert!(!other.contains("ABCD1234") && !other.contains("K7"), "{other}");
        assert!(other.contains("\"has_qr\":true"));
    }
}
