//! `/app/…` and `/devices/…`: linking, and the state of devices.

use hyper::StatusCode;
use serde_json::{Value, json};

use super::form::{choose, done};
use crate::api::call::{Answer, Call};
use crate::api::compat::body::Given;
use crate::api::compat::face::{address, within_reach};
use crate::api::compat::link;
use crate::api::http::problem::{Code, Problem};
use crate::api::http::response::{self, Response};
use crate::api::v1::device::status_of;
use crate::config::DeviceConfig;
use crate::model::{DeviceName, DeviceState, DeviceStatus, PhoneNumber, UnixMillis};

/// The address of a device's account.
fn jid(status: &DeviceStatus) -> Option<String> {
    let phone = status.account.as_ref()?.phone.as_ref()?;
    Some(format!("{}@s.whatsapp.net", phone.as_str()))
}

/// Whether it is connected, and whether it is linked.
fn connection(status: &DeviceStatus) -> (bool, bool) {
    let connected = status.state.can_send();
    (connected, connected || matches!(status.state, DeviceState::Reconnecting { .. }))
}

fn shown(call: &Call, name: &DeviceName, config: &DeviceConfig) -> Value {
    let status = status_of(&call.state, name, config);
    let state = match (&status.state, connection(&status)) {
        (_, (true, _)) => "logged_in",
        (DeviceState::Linking(_) | DeviceState::Reconnecting { .. }, _) => "connecting",
        _ => "disconnected",
    };
    let account = status.account.as_ref();
    let phone = account.and_then(|account| account.phone.as_ref());
    json!({
        "id": name,
        "phone_number": phone.map(PhoneNumber::as_str).unwrap_or_default(),
        "display_name": config.label,
        "state": state,
        "jid": jid(&status).unwrap_or_default(),
        "created_at": status.since,
    })
}

/// `GET /app/devices`: the accounts.
pub(super) fn devices(call: &Call) -> Response {
    let account = |(name, config): (&DeviceName, &DeviceConfig)| {
        let status = status_of(&call.state, name, config);
        let own = status.account.as_ref().and_then(|account| account.name.clone());
        let device = jid(&status)?;
        Some(json!({ "name": own.unwrap_or_else(|| config.label.clone()), "device": device }))
    };
    let all: Vec<Value> = within_reach(call, &call.config).filter_map(account).collect();
    done("Fetch device success", all)
}

/// `GET /app/status`.
pub(super) fn status(call: &mut Call) -> Answer {
    let name = choose(call)?;
    Ok(done("Connection status retrieved", state_of(call, &name)?))
}

fn state_of(call: &Call, name: &DeviceName) -> Result<Value, Problem> {
    let (_, config) = call.device()?;
    let (connected, linked) = connection(&status_of(&call.state, name, config));
    Ok(json!({ "device_id": name, "is_connected": connected, "is_logged_in": linked }))
}

/// `GET /devices`.
pub(super) fn list(call: &Call) -> Response {
    let all = within_reach(call, &call.config);
    let all: Vec<Value> = all.map(|(name, config)| shown(call, name, config)).collect();
    done("List devices", all)
}

/// `GET /devices/{device}`.
pub(super) fn device(call: &Call) -> Answer {
    let (name, config) = call.device()?;
    Ok(done("Device info", shown(call, &name, config)))
}

/// `GET /devices/{device}/status`.
pub(super) fn device_status(call: &Call) -> Answer {
    let (name, _) = call.device()?;
    Ok(done("Device status", state_of(call, &name)?))
}

/// `GET /app/login` and `GET /devices/{device}/login`: where the QR code is, for callers with the same key.
pub(super) async fn login(call: &mut Call) -> Answer {
    let name = choose(call)?;
    let shown = link::qr(call).await?;
    let link = format!("{}/statics/images/qrcode/{name}", address(call));
    let seconds = shown.expires_at.since(UnixMillis::now()).as_secs();
    let results = json!({ "device_id": name, "qr_link": link, "qr_duration": seconds });
    Ok(done("Login success", results))
}

/// The picture that `qr_link` is about.
pub(super) fn qr(call: &Call) -> Answer {
    let DeviceState::Linking(linking) = call.handle()?.status().state else {
        return Err(Code::NoQr.into());
    };
    let shown = linking.qr.filter(|shown| shown.expires_at > UnixMillis::now());
    let picture = link::png(shown.ok_or(Code::NoQr)?.code.expose())?;
    Ok(response::bytes_of(StatusCode::OK, "image/png", picture))
}

/// `GET /app/login-with-code?phone=` and `POST /devices/{device}/login/code?phone=`, or with the number in the body.
pub(super) async fn login_with_code(call: &mut Call) -> Answer {
    let name = choose(call)?;
    let phone = match call.query("phone")? {
        Some(phone) => phone,
        None => Given::read(call, None).await?.need("phone")?,
    };
    let (_, config) = call.device()?;
    let phone = PhoneNumber::parse(&phone, config.country_code.as_deref())
        .map_err(|error| Problem::field("phone", error))?;
    let shown = link::pair_code(call, &phone).await?;
    let results = json!({ "device_id": name, "pair_code": link::dashed(shown.code.expose()) });
    Ok(done("Login with code success", results))
}

/// `GET /app/logout` and `POST /devices/{device}/logout`.
pub(super) async fn logout(call: &mut Call) -> Answer {
    choose(call)?;
    call.handle()?.logout().await?;
    Ok(done("Success logout", Value::Null))
}

/// `GET /app/reconnect` and `POST /devices/{device}/reconnect`.
pub(super) async fn reconnect(call: &mut Call) -> Answer {
    choose(call)?;
    call.handle()?.reconnect().await?;
    Ok(done("Reconnect success", Value::Null))
}
