//! Sessions, linking, contacts and groups.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hyper::StatusCode;
use serde_json::{Value, json};

use super::view;
use crate::api::call::{Answer, Call};
use crate::api::compat::body::Given;
use crate::api::compat::face::{choose, within_reach};
use crate::api::compat::link;
use crate::api::http::problem::Problem;
use crate::api::http::response::{self, Response};
use crate::api::v1::device::status_of;
use crate::model::{Jid, PhoneNumber};
use crate::whatsapp::GroupMember;

pub(super) fn version() -> Response {
    response::ok(&json!({
        "version": env!("CARGO_PKG_VERSION"),
        "engine": view::ENGINE,
        "tier": "CORE",
        "browser": null,
        "platform": std::env::consts::OS,
    }))
}

/// `GET /api/sessions`.
pub(super) fn list(call: &Call) -> Response {
    let all = within_reach(call, &call.config);
    let all: Vec<Value> = all.map(|(name, config)| view::session(call, name, config)).collect();
    response::ok(&all)
}

fn session(call: &Call, status: StatusCode) -> Answer {
    let (name, config) = call.device()?;
    Ok(response::json(status, &view::session(call, &name, config)))
}

pub(super) fn show(call: &Call) -> Answer {
    session(call, StatusCode::OK)
}

pub(super) fn me(call: &Call) -> Answer {
    let (name, config) = call.device()?;
    Ok(response::ok(&view::me(&status_of(&call.state, &name, config))))
}

pub(super) async fn start(call: &Call) -> Answer {
    call.handle()?.start().await?;
    session(call, StatusCode::CREATED)
}

pub(super) async fn stop(call: &Call) -> Answer {
    call.handle()?.stop().await?;
    session(call, StatusCode::CREATED)
}

pub(super) async fn restart(call: &Call) -> Answer {
    call.handle()?.reconnect().await?;
    session(call, StatusCode::CREATED)
}

pub(super) async fn logout(call: &Call) -> Answer {
    call.handle()?.logout().await?;
    session(call, StatusCode::CREATED)
}

/// `GET /api/{session}/auth/qr`: a picture, the same in Base64, or the text in it.
pub(super) async fn qr(call: &Call) -> Answer {
    let shown = link::qr(call).await?;
    let text = shown.code.expose();
    if call.query("format")?.as_deref() == Some("raw") {
        return Ok(response::ok(&json!({ "value": text })));
    }
    let picture = link::png(text)?;
    if call.accepts("application/json") {
        let data = BASE64_STANDARD.encode(&picture);
        return Ok(response::ok(&json!({ "mimetype": "image/png", "data": data })));
    }
    Ok(response::bytes_of(StatusCode::OK, "image/png", picture))
}

/// `POST /api/{session}/auth/request-code`.
pub(super) async fn request_code(call: &mut Call) -> Answer {
    let phone = Given::read(call, None).await?.need("phoneNumber")?;
    let (_, config) = call.device()?;
    let phone = PhoneNumber::parse(&phone, config.country_code.as_deref())
        .map_err(|error| Problem::field("phoneNumber", error))?;
    let shown = link::pair_code(call, &phone).await?;
    let code = link::dashed(shown.code.expose());
    Ok(response::json(StatusCode::CREATED, &json!({ "code": code })))
}

/// `GET /api/contacts/check-exists?phone=&session=`.
pub(super) async fn check_exists(call: &mut Call) -> Answer {
    let session = call.query("session")?;
    choose(call, session.as_deref())?;
    let text = call.query("phone")?.ok_or_else(|| Problem::field("phone", "required"))?;
    let digits = text.split('@').next().unwrap_or_default();
    let (_, config) = call.device()?;
    let phone = PhoneNumber::parse(digits, config.country_code.as_deref())
        .map_err(|error| Problem::field("phone", error))?;
    let found = call.handle()?.on_whatsapp(&phone).await?;
    let chat = found.map(|jid| view::address(jid.as_str()));
    Ok(response::ok(&match chat {
        Some(chat) => {
            json!({ "numberExists": true, "chatId": chat, "pn": format!("{}@c.us", phone.as_str()) })
        }
        None => json!({ "numberExists": false }),
    }))
}

/// `GET /api/{session}/groups`.
pub(super) async fn groups(call: &Call) -> Answer {
    let groups = call.handle()?.groups().await?;
    let groups = groups.iter().map(|group| json!({ "id": group.id, "subject": group.name }));
    Ok(response::ok(&groups.collect::<Vec<_>>()))
}

/// `GET /api/{session}/groups/{group}`.
pub(super) async fn group(call: &Call) -> Answer {
    let group = call.group()?;
    let group = call.handle()?.group(&group).await?;
    let members: Vec<Value> = group.members.iter().map(member).collect();
    Ok(response::ok(&json!({ "id": group.id, "subject": group.name, "participants": members })))
}

fn member(member: &GroupMember) -> Value {
    let phone = member.phone.as_ref().map(|phone| view::address(Jid::of_phone(phone).as_str()));
    let role = if member.admin { "admin" } else { "participant" };
    json!({ "id": view::address(member.jid.as_str()), "pn": phone, "role": role })
}
