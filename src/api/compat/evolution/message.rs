//! `/chat/…`: whether numbers are on WhatsApp, what was read, and "typing…".

use std::time::Duration;

use futures_util::future::try_join_all;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::form::{created, jid, receiver};
use crate::api::call::{Answer, Call};
use crate::api::compat::body::Given;
use crate::api::compat::message::about;
use crate::api::http::problem::Problem;
use crate::api::http::response;
use crate::api::v1::message::{mark_read, show_typing};
use crate::model::{Jid, Recipient};
use crate::whatsapp::WhatsAppError;

/// The longest that "typing…" is shown for one request.
const LONGEST: Duration = Duration::from_secs(20);

/// `POST /chat/whatsappNumbers/{device}`.
pub(super) async fn numbers(call: &mut Call) -> Answer {
    let given = Given::read(call, None).await?;
    let numbers = given.list("numbers");
    if numbers.is_empty() {
        return Err(Problem::field("numbers", "required"));
    }
    let found = try_join_all(numbers.iter().map(|number| found(call, number))).await?;
    Ok(response::ok(&found))
}

async fn found(call: &Call, number: &str) -> Result<Value, Problem> {
    let (_, config) = call.device()?;
    let handle = call.handle()?;
    let told =
        |jid: String, exists: bool| json!({ "jid": jid, "exists": exists, "number": number });
    let Ok(to) = Recipient::parse(&receiver(number), config.country_code.as_deref()) else {
        return Ok(told(jid(number), false));
    };
    let phone = match to {
        Recipient::Phone(phone) => phone,
        Recipient::Jid(group) if group.is_group() => {
            return match handle.group(&group).await {
                Ok(group) => Ok(json!({
                    "jid": group.id, "exists": true, "number": number, "name": group.name,
                })),
                Err(WhatsAppError::NotFound) => Ok(told(group.to_string(), false)),
                Err(error) => Err(error.into()),
            };
        }
        // As for Evolution: an address that WhatsApp gave out is one.
        Recipient::Jid(other) => return Ok(told(other.to_string(), true)),
    };
    Ok(match handle.lookup(&phone).await? {
        Some(found) => json!({
            "jid": found.jid, "exists": true, "number": number, "name": found.name,
            "lid": found.lid.map(|lid| format!("{lid}@lid")),
        }),
        None => told(Jid::of_phone(&phone).to_string(), false),
    })
}

/// `POST /chat/markMessageAsRead/{device}`.
pub(super) async fn read(call: &mut Call) -> Answer {
    let given = Given::read(call, None).await?;
    let all = given.inners("readMessages");
    if all.is_empty() {
        return Err(Problem::field("readMessages", "required"));
    }
    for key in all.iter().filter(|key| !key.flag("fromMe")) {
        about(call, &key.need("id")?);
        mark_read(call).await?;
    }
    Ok(created(&json!({ "message": "Read messages", "read": "success" })))
}

/// `POST /chat/sendPresence/{device}`: shown for as long as the caller says, while it waits, as Evolution does.
pub(super) async fn typing(call: &mut Call) -> Answer {
    let given = Given::read(call, None).await?;
    let to = receiver(&given.need("number")?);
    let presence = given.need("presence")?;
    let on = match presence.as_str() {
        "composing" | "recording" => true,
        "paused" | "available" | "unavailable" => false,
        _ => return Err(Problem::field("presence", "must be composing, recording or paused")),
    };
    show_typing(call, &to, on).await?;
    let delay = given.number("delay").ok().and_then(|delay| delay.as_u64());
    if let (true, Some(delay)) = (on, delay.filter(|delay| *delay > 0)) {
        sleep(Duration::from_millis(delay).min(LONGEST)).await;
        show_typing(call, &to, false).await?;
    }
    Ok(created(&json!({ "presence": presence })))
}
