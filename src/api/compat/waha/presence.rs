//! `/api/{session}/presence`: who is there, and what the account shows of itself.

use hyper::StatusCode;
use serde_json::{Value, json};

use super::form::done;
use crate::api::call::{Answer, Call};
use crate::api::compat::body::Given;
use crate::api::http::problem::{Code, Problem};
use crate::api::http::response;
use crate::api::v1::message::show_typing;
use crate::config::Presence;
use crate::model::{Recipient, UnixMillis};
use crate::whatsapp::{Doing, Seen};

/// `GET /api/{session}/presence`: of all about whom somebody asked.
pub(super) fn list(call: &Call) -> Answer {
    let seen = call.handle()?.presences();
    Ok(response::ok(&seen.iter().map(shown).collect::<Vec<_>>()))
}

/// `GET /api/{session}/presence/{chat}`. As with WAHA, asking is subscribing.
pub(super) async fn show(call: &Call) -> Answer {
    let who = person(call)?;
    let handle = call.handle()?;
    let known = || handle.presences().into_iter().find(|seen| is(seen, &who));
    let seen = match known() {
        Some(seen) => Some(seen),
        None => {
            Box::pin(handle.watch_presence(&who)).await?;
            known()
        }
    };
    Ok(response::ok(&seen.as_ref().map(shown)))
}

/// `POST /api/{session}/presence/{chat}/subscribe`.
pub(super) async fn subscribe(call: &Call) -> Answer {
    let who = person(call)?;
    Box::pin(call.handle()?.watch_presence(&who)).await?;
    Ok(done(StatusCode::CREATED))
}

/// `POST /api/{session}/presence`: "typing…" in a chat. Whether the account is online is for `moonwa.toml` to say.
pub(super) async fn set(call: &mut Call) -> Answer {
    let given = Given::read(call, None).await?;
    let online = match given.need("presence")?.as_str() {
        "typing" | "recording" => return typing(call, &given, true).await,
        "paused" => return typing(call, &given, false).await,
        "online" => Presence::Available,
        "offline" => Presence::Unavailable,
        _ => {
            let words = "must be online, offline, typing, recording or paused";
            return Err(Problem::field("presence", words));
        }
    };
    let (_, device) = call.device()?;
    if device.presence != online {
        let detail = "whether the account is online stands in moonwa.toml: presence = \"available\" or \"unavailable\"";
        return Err(Problem::new(Code::Conflict, detail));
    }
    Ok(done(StatusCode::CREATED))
}

async fn typing(call: &Call, given: &Given, on: bool) -> Answer {
    show_typing(call, &given.need("chatId")?, on).await?;
    Ok(done(StatusCode::CREATED))
}

/// The person in the path. WhatsApp tells of people alone whether they are there.
fn person(call: &Call) -> Result<Recipient, Problem> {
    let chat = call.chat_of("chatId", call.path.chat().unwrap_or_default())?;
    if chat.jid().is_group() {
        return Err(Problem::field("chatId", "must be a person's, not a group's"));
    }
    Ok(chat)
}

fn is(seen: &Seen, who: &Recipient) -> bool {
    match who {
        Recipient::Phone(phone) => seen.phone.as_deref() == Some(phone.as_str()),
        Recipient::Jid(jid) => seen.jid == jid.as_str() || seen.lid.as_deref() == Some(jid.user()),
    }
}

fn shown(seen: &Seen) -> Value {
    let id = match &seen.phone {
        Some(phone) => format!("{phone}@c.us"),
        None => seen.jid.clone(),
    };
    let elsewhere = seen.chat.as_ref().is_some_and(|chat| chat.ends_with("@g.us"));
    let doing = |doing| match doing {
        Doing::Unavailable => "offline",
        // Whoever writes in a group is there.
        _ if elsewhere => "online",
        Doing::Available => "online",
        Doing::Composing => "typing",
        Doing::Recording => "recording",
        Doing::Paused => "paused",
    };
    let presence = seen.presence.map(|presence| {
        json!({
            "participant": id,
            "lastKnownPresence": doing(presence),
            "lastSeen": seen.online.map(UnixMillis::secs),
        })
    });
    json!({ "id": id, "presences": presence.into_iter().collect::<Vec<_>>() })
}
