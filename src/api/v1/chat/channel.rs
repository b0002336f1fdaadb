//! Channels: which the account follows, and what it does in them.

use hyper::StatusCode;
use serde::Deserialize;
use serde_json::json;

use crate::api::call::{Answer, Call};
use crate::api::http::problem::{Issue, Problem};
use crate::api::http::request::{MAX_JSON, given};
use crate::api::http::response;
use crate::whatsapp::ChannelCode;

/// WhatsApp's own limits, in characters.
const LONGEST_NAME: usize = 100;
const LONGEST_DESCRIPTION: usize = 2048;
/// The most posts in one answer.
const LISTED: u32 = 100;

/// `GET …/channels`.
pub(crate) async fn list(call: &Call) -> Answer {
    Ok(response::ok(&json!({ "channels": Box::pin(call.handle()?.channels()).await? })))
}

/// `GET …/channels/{channel}`.
pub(crate) async fn show(call: &Call) -> Answer {
    let channel = call.channel()?;
    Ok(response::ok(&Box::pin(call.handle()?.channel(&channel)).await?))
}

/// `GET …/channels/preview?code=`: what a link leads to.
pub(crate) async fn preview(call: &Call) -> Answer {
    let code = call.query("code")?.as_deref().and_then(ChannelCode::parse);
    let wrong = || Problem::field("code", "a channel's link, or the code at its end");
    let code = code.ok_or_else(wrong)?;
    Ok(response::ok(&Box::pin(call.handle()?.preview_channel(&code)).await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CreateBody {
    name: String,
    #[serde(default, deserialize_with = "given")]
    description: Option<String>,
}

/// `POST …/channels`.
pub(crate) async fn create(call: &mut Call) -> Answer {
    let CreateBody { name, description } = call.json(MAX_JSON).await?;
    let mut issues = Vec::new();
    if name.trim().is_empty() || name.chars().count() > LONGEST_NAME {
        issues.push(Issue::new("name", format!("1 to {LONGEST_NAME} characters")));
    }
    let long = |text: &String| text.chars().count() > LONGEST_DESCRIPTION;
    if description.as_ref().is_some_and(long) {
        issues.push(Issue::new("description", format!("at most {LONGEST_DESCRIPTION} characters")));
    }
    if !issues.is_empty() {
        return Err(Problem::invalid(issues));
    }
    let handle = call.handle()?;
    let made = Box::pin(handle.create_channel(&name, description.as_deref())).await?;
    Ok(response::json(StatusCode::CREATED, &made))
}

/// `PUT …/channels/{channel}/follow`, and `DELETE` when `on` is false.
pub(crate) async fn follow(call: &Call, on: bool) -> Answer {
    let channel = call.channel()?;
    Box::pin(call.handle()?.follow(&channel, on)).await?;
    Ok(response::empty(StatusCode::NO_CONTENT))
}

/// `GET …/channels/{channel}/posts`.
pub(crate) async fn posts(call: &Call) -> Answer {
    let channel = call.channel()?;
    let limit = match call.query("limit")? {
        Some(text) => text.parse().ok().filter(|limit| (1..=LISTED).contains(limit)),
        None => Some(LISTED),
    };
    let limit =
        limit.ok_or_else(|| Problem::field("limit", format!("a number from 1 to {LISTED}")))?;
    let before = call.query("before")?.map(|text| number(&text)).transpose();
    let before = before.map_err(|()| Problem::field("before", "the number of a post"))?;
    let posts = Box::pin(call.handle()?.posts(&channel, limit, before)).await?;
    Ok(response::ok(&json!({ "posts": posts })))
}

/// The number of a post.
fn number(text: &str) -> Result<u64, ()> {
    let digits = (1..=12).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|_| digits).ok_or(())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReactionBody {
    emoji: String,
}

/// `PUT …/channels/{channel}/posts/{post}/reaction`.
pub(crate) async fn react(call: &mut Call) -> Answer {
    let ReactionBody { emoji } = call.json(MAX_JSON).await?;
    if emoji.is_empty() || emoji.chars().count() > 40 {
        return Err(Problem::field("emoji", "one emoji"));
    }
    set_reaction(call, &emoji).await
}

/// `DELETE …/channels/{channel}/posts/{post}/reaction`.
pub(crate) async fn unreact(call: &Call) -> Answer {
    set_reaction(call, "").await
}

async fn set_reaction(call: &Call, emoji: &str) -> Answer {
    let channel = call.channel()?;
    let post = number(call.post()?).map_err(|()| Problem::field("post", "the number of a post"))?;
    Box::pin(call.handle()?.react_to_post(&channel, post, emoji)).await?;
    Ok(response::empty(StatusCode::NO_CONTENT))
}
