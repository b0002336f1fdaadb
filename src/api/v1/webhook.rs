//! The webhooks of a device: how each is doing, which events it refused, and trying again.

use hyper::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::api::call::{Answer, Call};
use crate::api::http::problem::Problem;
use crate::api::http::request::MAX_JSON;
use crate::api::http::response;
use crate::hooks::{EndpointReport, ReplayFrom};
use crate::model::{DeviceName, EventId, UnixMillis};
use crate::store::Seq;

const LISTED: usize = 100;

fn reports(call: &Call, name: &DeviceName) -> Vec<EndpointReport> {
    call.state.api.webhooks.reports().borrow().get(name).cloned().unwrap_or_default()
}

/// `GET …/webhooks`.
pub(crate) fn list(call: &Call) -> Answer {
    let (name, _) = call.device()?;
    let webhooks = reports(call, &name).into_iter().map(|report| {
        let attempts = call.state.api.webhooks.attempts(&name, report.n).unwrap_or_default();
        let mut webhook = json!(report);
        if let Value::Object(fields) = &mut webhook {
            fields.insert("attempts".into(), json!(attempts));
        }
        webhook
    });
    Ok(response::ok(&json!({ "webhooks": webhooks.collect::<Vec<_>>() })))
}

/// `GET …/rules`: what each rule did, which is webhooks' kin.
pub(crate) fn rules(call: &Call) -> Answer {
    let (name, _) = call.device()?;
    Ok(response::ok(&json!({ "rules": call.state.api.webhooks.rules(&name) })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReplayBody {
    from: String,
}

/// `POST …/replay`.
pub(crate) async fn replay(call: &mut Call) -> Answer {
    let ReplayBody { from } = call.json(MAX_JSON).await?;
    let from = EventId::parse(&from)
        .map(ReplayFrom::Event)
        .or_else(|| UnixMillis::parse(&from).map(ReplayFrom::Time))
        .ok_or_else(|| Problem::field("from", "an event id (evt_…) or an RFC 3339 time"))?;
    let (name, n) = call.webhook()?;
    let cursor = call.state.api.webhooks.replay(&name, n, from).await?;
    Ok(response::json(StatusCode::ACCEPTED, &json!({ "cursor": cursor })))
}

/// `POST …/test`.
pub(crate) async fn test(call: &Call) -> Answer {
    let (name, n) = call.webhook()?;
    Ok(response::ok(&call.state.api.webhooks.test(&name, n).await?))
}

/// `POST …/pause`.
pub(crate) async fn pause(call: &Call) -> Answer {
    let (name, n) = call.webhook()?;
    call.state.api.webhooks.pause(&name, n).await?;
    Ok(response::ok(&json!({ "webhooks": reports(call, &name) })))
}

/// `POST …/resume`.
pub(crate) async fn resume(call: &Call) -> Answer {
    let (name, n) = call.webhook()?;
    call.state.api.webhooks.resume(&name, n).await?;
    Ok(response::ok(&json!({ "webhooks": reports(call, &name) })))
}

/// `GET …/dead-letters`.
pub(crate) async fn dead_letters(call: &Call) -> Answer {
    let (name, n) = call.webhook()?;
    let after = match call.query("after")? {
        Some(text) => {
            Seq(text.parse().map_err(|_not_a_number| Problem::field("after", "a number"))?)
        }
        None => Seq(0),
    };
    let letters = call.state.api.webhooks.dead_letters(&name, n, after, LISTED).await?;
    let next = (letters.len() == LISTED).then(|| letters.last().map(|letter| letter.seq)).flatten();
    let letters = letters.iter().map(|letter| {
        let mut shown = json!(letter);
        if let Value::Object(fields) = &mut shown {
            // As text: exactly what the receiver refused.
            fields.insert("body".into(), String::from_utf8_lossy(&letter.body).into());
        }
        shown
    });
    Ok(response::ok(&json!({ "dead_letters": letters.collect::<Vec<_>>(), "next": next })))
}

/// `POST …/dead-letters/{event}/retry`.
pub(crate) async fn retry(call: &Call) -> Answer {
    let (name, n) = call.webhook()?;
    Ok(response::ok(&call.state.api.webhooks.retry(&name, n, &call.event()?).await?))
}
