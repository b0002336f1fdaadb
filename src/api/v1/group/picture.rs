//! A group's picture.

use hyper::StatusCode;
use serde_json::json;

use crate::api::call::{Answer, Call};
use crate::api::http::problem::{Code, Problem};
use crate::api::http::response;

/// The largest file that is taken for a picture.
const MAX_PICTURE: usize = 8 << 20;

/// `GET …/groups/{group}/picture`.
pub(crate) async fn show(call: &Call) -> Answer {
    let group = call.group()?;
    let picture = call.handle()?.group_picture(&group).await?;
    let none = || Problem::new(Code::MessageNotFound, "the group has no picture to show");
    Ok(response::ok(&picture.ok_or_else(none)?))
}

/// `PUT …/groups/{group}/picture`: the body is the picture.
pub(crate) async fn put(call: &mut Call) -> Answer {
    let good = ["image/jpeg", "image/png", "image/webp"].iter().any(|kind| call.has_type(kind));
    if !good {
        let detail = "send image/jpeg, image/png or image/webp";
        return Err(Problem::new(Code::UnsupportedMediaType, detail));
    }
    let group = call.group()?;
    let file = call.read(MAX_PICTURE).await?.to_vec();
    let id = call.handle()?.set_group_picture(&group, file).await?;
    Ok(response::ok(&json!({ "id": id })))
}

/// `DELETE …/groups/{group}/picture`.
pub(crate) async fn delete(call: &Call) -> Answer {
    let group = call.group()?;
    call.handle()?.remove_group_picture(&group).await?;
    Ok(response::empty(StatusCode::NO_CONTENT))
}
