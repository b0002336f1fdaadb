//! `/instance/…`: linking, and the state of devices. An instance is a device.

use data_encoding::BASE64;
use serde_json::{Value, json};

use crate::api::call::{Answer, Call};
use crate::api::compat::face::within_reach;
use crate::api::compat::link;
use crate::api::http::problem::{Code, Problem};
use crate::api::http::response;
use crate::api::v1::device::status_of;
use crate::config::DeviceConfig;
use crate::model::{DeviceName, DeviceState, DeviceStatus, Jid, PhoneNumber};

fn word(status: &DeviceStatus) -> &'static str {
    match &status.state {
        state if state.can_send() => "open",
        DeviceState::Linking(_) | DeviceState::Reconnecting { .. } => "connecting",
        _ => "close",
    }
}

/// `GET /instance/connectionState/{device}`.
pub(super) fn state(call: &Call) -> Answer {
    let (name, config) = call.device()?;
    let state = word(&status_of(&call.state, &name, config));
    Ok(response::ok(&json!({ "instance": { "instanceName": name, "state": state } })))
}

/// `GET /instance/fetchInstances`, all or the one of that name.
pub(super) fn list(call: &Call) -> Answer {
    let name = call.query("instanceName")?.or(call.query("instanceId")?);
    let wanted = |device: &DeviceName, config: &DeviceConfig| {
        let is_it = |name: &String| name.as_str() == device.as_str() || *name == config.label;
        name.as_ref().filter(|name| !name.is_empty()).is_none_or(is_it)
    };
    let all = within_reach(call, &call.config).filter(|(name, config)| wanted(name, config));
    let all: Vec<Value> = all.map(|(name, config)| shown(call, name, config)).collect();
    if let (Some(name), true) = (name.filter(|name| !name.is_empty()), all.is_empty()) {
        let words = format!("Instance \"{name}\" not found");
        return Err(Problem::new(Code::NotFound, words));
    }
    Ok(response::ok(&all))
}

fn shown(call: &Call, name: &DeviceName, config: &DeviceConfig) -> Value {
    let status = status_of(&call.state, name, config);
    let account = status.account.as_ref();
    let phone = account.and_then(|account| account.phone.as_ref());
    json!({
        "id": name,
        "name": name,
        "connectionStatus": word(&status),
        "ownerJid": phone.map(Jid::of_phone),
        "profileName": account.and_then(|account| account.name.as_ref()),
        "profilePicUrl": null,
        "integration": "WHATSAPP-BAILEYS",
        "number": phone,
        "businessId": null,
        "token": null,
        "clientName": "moonwa",
        "disconnectionReasonCode": null,
        "disconnectionObject": status.state.reason(),
        "disconnectionAt": null,
        "createdAt": null,
        "updatedAt": status.since,
        "Setting": null,
    })
}

/// `GET /instance/connect/{device}`: a QR code, and a pair code for `?number=`; of a linked device its state.
pub(super) async fn connect(call: &mut Call) -> Answer {
    let number = call.query("number")?.filter(|number| !number.trim().is_empty());
    if matches!(call.handle()?.status().state, DeviceState::Reconnecting { .. }) {
        return state(call);
    }
    let qr = match link::qr(call).await {
        Err(problem) if problem.code == Code::AlreadyLinked => return state(call),
        qr => qr?,
    };
    let pair = match number {
        Some(number) => {
            let (_, config) = call.device()?;
            let phone = PhoneNumber::parse(&number, config.country_code.as_deref())
                .map_err(|error| Problem::field("number", error))?;
            Some(link::pair_code(call, &phone).await?)
        }
        None => None,
    };
    Ok(response::ok(&json!({
        "pairingCode": pair.as_ref().map(|pair| pair.code.expose()),
        "code": qr.code.expose(),
        "base64": format!("data:image/png;base64,{}", BASE64.encode(&link::png(qr.code.expose())?)),
        "count": 1,
    })))
}

/// `POST /instance/restart/{device}`.
pub(super) async fn restart(call: &mut Call) -> Answer {
    call.handle()?.reconnect().await?;
    state(call)
}

/// `DELETE /instance/logout/{device}`.
pub(super) async fn logout(call: &mut Call) -> Answer {
    let handle = call.handle()?;
    if word(&handle.status()) == "close" {
        let name = call.device_name()?;
        let words = format!("The \"{name}\" instance is not connected");
        return Err(Problem::field("instance", words));
    }
    handle.logout().await?;
    let said = json!({ "message": "Instance logged out" });
    Ok(response::ok(&json!({ "status": "SUCCESS", "error": false, "response": said })))
}
