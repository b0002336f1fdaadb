//! What the account shows of itself. Each change is answered when WhatsApp has it.

use hyper::StatusCode;
use serde::Deserialize;

use crate::api::call::{Answer, Call};
use crate::api::http::problem::{Code, Issue, Problem};
use crate::api::http::request::{MAX_JSON, given};
use crate::api::http::response;

/// WhatsApp's own limits, in characters.
const LONGEST_NAME: usize = 25;
const LONGEST_ABOUT: usize = 139;
/// The most bytes of a picture.
const MAX_PICTURE: usize = 8 * 1024 * 1024;
const PICTURES: [&str; 3] = ["image/jpeg", "image/png", "image/webp"];

/// `GET …/profile`.
pub(crate) async fn show(call: &Call) -> Answer {
    Ok(response::ok(&Box::pin(call.handle()?.profile()).await?))
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ProfileBody {
    #[serde(deserialize_with = "given")]
    name: Option<String>,
    #[serde(deserialize_with = "given")]
    about: Option<String>,
}

/// `PATCH …/profile`.
pub(crate) async fn change(call: &mut Call) -> Answer {
    let ProfileBody { name, about } = call.json(MAX_JSON).await?;
    let mut issues = Vec::new();
    let long =
        |text: &Option<String>, most| text.as_ref().is_some_and(|text| text.chars().count() > most);
    if name.as_ref().is_some_and(|name| name.trim().is_empty()) {
        issues.push(Issue::new("name", "must not be empty"));
    }
    if long(&name, LONGEST_NAME) {
        issues.push(Issue::new("name", format!("at most {LONGEST_NAME} characters")));
    }
    if long(&about, LONGEST_ABOUT) {
        issues.push(Issue::new("about", format!("at most {LONGEST_ABOUT} characters")));
    }
    if name.is_none() && about.is_none() {
        issues.push(Issue::new("", "give name, about or both"));
    }
    if !issues.is_empty() {
        return Err(Problem::invalid(issues));
    }
    let handle = call.handle()?;
    if let Some(about) = about {
        handle.set_about(&about).await?;
    }
    if let Some(name) = name {
        handle.set_name(&name).await?;
    }
    Ok(response::empty(StatusCode::NO_CONTENT))
}

/// `PUT …/profile/picture`: the body is the picture.
pub(crate) async fn put_picture(call: &mut Call) -> Answer {
    if !PICTURES.iter().any(|kind| call.has_type(kind)) {
        let detail = format!("send {}", PICTURES.join(", "));
        return Err(Problem::new(Code::UnsupportedMediaType, detail));
    }
    let handle = call.handle()?;
    let file = call.read(MAX_PICTURE).await?;
    Ok(response::ok(&Box::pin(handle.set_picture(file.to_vec())).await?))
}

/// `DELETE …/profile/picture`.
pub(crate) async fn delete_picture(call: &Call) -> Answer {
    call.handle()?.remove_picture().await?;
    Ok(response::empty(StatusCode::NO_CONTENT))
}
