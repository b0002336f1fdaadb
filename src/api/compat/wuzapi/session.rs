//! `/session/…`: linking, and the state of the device.

use data_encoding::BASE64;
use serde_json::json;

use super::form::{done, given};
use crate::api::call::{Answer, Call};
use crate::api::compat::{face, link};
use crate::api::http::problem::{Code, Problem};
use crate::api::v1::device::status_of;
use crate::model::{DeviceState, DeviceStatus, Jid, PhoneNumber};

/// The address of a device's account, empty without one.
fn jid(status: &DeviceStatus) -> String {
    let phone = status.account.as_ref().and_then(|account| account.phone.as_ref());
    phone.map(|phone| Jid::of_phone(phone).to_string()).unwrap_or_default()
}

/// `POST /session/connect`: what to subscribe to is said in moonwa.toml.
pub(super) async fn connect(call: &mut Call) -> Answer {
    given(call).await?;
    let handle = call.handle()?;
    if handle.status().state.can_send() {
        return Err(Problem::new(Code::WhatsAppRefused, "already connected"));
    }
    handle.start().await?;
    let jid = jid(&handle.status());
    Ok(done(&json!({ "details": "Connected!", "events": "", "jid": jid, "webhook": "" })))
}

/// `POST /session/disconnect`.
pub(super) async fn disconnect(call: &mut Call) -> Answer {
    given(call).await?;
    call.handle()?.stop().await?;
    Ok(done(&json!({ "Details": "Disconnected" })))
}

/// `GET /session/status`. Its names were written in capitals once, and API.md still has them so.
pub(super) fn status(call: &mut Call) -> Answer {
    let name = face::choose(call, None)?;
    let (_, config) = call.device()?;
    let status = status_of(&call.state, &name, config);
    let linked = status.state.can_send();
    let connected = linked || matches!(status.state, DeviceState::Linking(_));
    Ok(done(&json!({
        "Connected": connected,
        "LoggedIn": linked,
        "connected": connected,
        "loggedIn": linked,
        "id": name,
        "name": config.label,
        "jid": jid(&status),
        "events": "",
        "webhook": "",
        "qrcode": "",
    })))
}

/// `GET /session/qr`.
pub(super) async fn qr(call: &mut Call) -> Answer {
    face::choose(call, None)?;
    let picture = link::png(link::qr(call).await?.code.expose())?;
    let picture = format!("data:image/png;base64,{}", BASE64.encode(&picture));
    Ok(done(&json!({ "QRCode": picture })))
}

/// `POST /session/pairphone`.
pub(super) async fn pair_code(call: &mut Call) -> Answer {
    let given = given(call).await?;
    let (_, config) = call.device()?;
    let phone = PhoneNumber::parse(&given.need("phone")?, config.country_code.as_deref())
        .map_err(|error| Problem::field("Phone", error))?;
    let shown = link::pair_code(call, &phone).await?;
    Ok(done(&json!({ "LinkingCode": shown.code.expose() })))
}

/// `POST /session/logout`.
pub(super) async fn logout(call: &mut Call) -> Answer {
    given(call).await?;
    call.handle()?.logout().await?;
    Ok(done(&json!({ "Details": "Logged out" })))
}
