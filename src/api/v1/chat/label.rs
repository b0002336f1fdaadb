//! The labels of a WhatsApp Business account, and what carries them. Each change is answered when WhatsApp has it.

use hyper::StatusCode;
use serde::Deserialize;
use serde_json::json;

use crate::api::call::{Answer, Call};
use crate::api::http::problem::Problem;
use crate::api::http::request::{MAX_JSON, given, given_whole};
use crate::api::http::response;
use crate::whatsapp::LabelChange;

/// In characters.
const LONGEST: usize = 100;
/// WhatsApp's colours have numbers from 0.
const COLORS: std::ops::Range<i32> = 0..20;

/// `GET …/labels`.
pub(crate) async fn list(call: &Call) -> Answer {
    Ok(response::ok(&json!({ "labels": call.handle()?.labels().await? })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LabelBody {
    #[serde(default, deserialize_with = "given")]
    name: Option<String>,
    #[serde(default, deserialize_with = "given_whole")]
    color: Option<i32>,
}

impl LabelBody {
    fn check(self) -> Result<Self, Problem> {
        let good = |name: &String| {
            !name.trim().is_empty() && (1..=LONGEST).contains(&name.chars().count())
        };
        if !self.name.iter().all(good) {
            return Err(Problem::field("name", format!("1 to {LONGEST} characters")));
        }
        if !self.color.iter().all(|color| COLORS.contains(color)) {
            return Err(Problem::field("color", "a number from 0 to 19"));
        }
        Ok(self)
    }
}

/// `POST …/labels`.
pub(crate) async fn make(call: &mut Call) -> Answer {
    let body: LabelBody = call.json::<LabelBody>(MAX_JSON).await?.check()?;
    let name = body.name.ok_or_else(|| Problem::field("name", "required"))?;
    let handle = call.handle()?;
    let made = handle.make_label(name, body.color.unwrap_or_default());
    Ok(response::json(StatusCode::CREATED, &Box::pin(made).await?))
}

/// `PATCH …/labels/{label}`.
pub(crate) async fn change(call: &mut Call) -> Answer {
    let LabelBody { name, color } = call.json::<LabelBody>(MAX_JSON).await?.check()?;
    if name.is_none() && color.is_none() {
        return Err(Problem::field("", "give name, color or both"));
    }
    let label = call.label()?.to_owned();
    let handle = call.handle()?;
    let changed = handle.change_label(&label, LabelChange { name, color });
    Ok(response::ok(&Box::pin(changed).await?))
}

/// `DELETE …/labels/{label}`.
pub(crate) async fn delete(call: &Call) -> Answer {
    Box::pin(call.handle()?.delete_label(call.label()?)).await?;
    Ok(response::empty(StatusCode::NO_CONTENT))
}

/// `GET …/chats/{chat}/labels`.
pub(crate) async fn of_chat(call: &Call) -> Answer {
    let chat = call.chat()?;
    Ok(response::ok(&json!({ "labels": Box::pin(call.handle()?.labels_on(&chat)).await? })))
}

/// `PUT …/chats/{chat}/labels/{label}`, and `DELETE` when `on` is false.
pub(crate) async fn chat(call: &Call, on: bool) -> Answer {
    let chat = call.chat()?;
    Box::pin(call.handle()?.label_chat(&chat, call.label()?, on)).await?;
    Ok(response::empty(StatusCode::NO_CONTENT))
}

/// `PUT …/messages/{message}/labels/{label}`, and `DELETE` when `on` is false.
pub(crate) async fn message(call: &Call, on: bool) -> Answer {
    let message = call.message()?;
    Box::pin(call.handle()?.label_message(&message, call.label()?, on)).await?;
    Ok(response::empty(StatusCode::NO_CONTENT))
}
