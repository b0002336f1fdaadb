//! The groups of a device: which there are, who is in them, and what its admins do with them.

pub(crate) mod invite;
pub(crate) mod member;
pub(crate) mod picture;

use hyper::StatusCode;
use hyper::header::{HeaderValue, LOCATION};
use serde::Deserialize;
use serde_json::{Value, json};

use self::member::{named, new_contacts_allowed};
use crate::api::call::{Answer, Call};
use crate::api::http::problem::{Code, Issue, Problem};
use crate::api::http::request::{MAX_JSON, given, given_whole};
use crate::api::http::response::{self, Response};
use crate::api::v1::message::queue::idempotency_key;
use crate::whatsapp::{GroupChange, LONGEST_DESCRIPTION, LONGEST_NAME, MembersAdd, NewGroup, Once};

/// The timers that WhatsApp has, in seconds: never, a day, a week, 90 days.
const TIMERS: [u32; 4] = [0, 86_400, 604_800, 7_776_000];

/// `GET …/groups`.
pub(crate) async fn list(call: &Call) -> Answer {
    Ok(response::ok(&json!({ "groups": call.handle()?.groups().await? })))
}

/// `GET …/groups/{group}`.
pub(crate) async fn show(call: &Call) -> Answer {
    let group = call.group()?;
    Ok(response::ok(&call.handle()?.group_view(&group).await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CreateBody {
    name: String,
    #[serde(default, deserialize_with = "given")]
    description: Option<String>,
    members: Vec<String>,
}

/// `POST …/groups`.
pub(crate) async fn create(call: &mut Call) -> Answer {
    let body: CreateBody = call.json(MAX_JSON).await?;
    let mut issues = Vec::new();
    check_name(Some(&body.name), &mut issues);
    check_description(body.description.as_deref(), &mut issues);
    let members = named(call, &body.members, &mut issues)?;
    if !issues.is_empty() {
        return Err(Problem::invalid(issues));
    }
    let handle = call.handle()?;
    new_contacts_allowed(&handle, &members).await?;
    let key = idempotency_key(call)?;
    let request = json!([&body.name, &body.description, &body.members]).to_string();
    let new = NewGroup { name: body.name, description: body.description, members };
    if let Some(key) = key {
        return match Box::pin(handle.create_group_once(new, &key, &request)).await? {
            Once::Made(answer) => {
                let id = answer
                    .pointer("/group/id")
                    .and_then(Value::as_str)
                    .unwrap_or_default()
                    .to_owned();
                Ok(located(call, &id, response::json(StatusCode::CREATED, &answer)))
            }
            Once::Conflict => Err(Code::IdempotencyConflict.into()),
        };
    }
    let (group, results) = handle.create_group(new).await?;
    let answer =
        response::json(StatusCode::CREATED, &json!({ "group": group, "results": results }));
    Ok(located(call, group.id.as_str(), answer))
}

/// Adds the place where the group can be asked for.
fn located(call: &Call, group: &str, mut answer: Response) -> Response {
    let base = call.config.server.base_path.trim_end_matches('/');
    let device = call.path.device().unwrap_or_default();
    let place = format!("{base}/v1/devices/{device}/groups/{group}");
    if let Ok(place) = HeaderValue::from_str(&place) {
        answer.headers_mut().insert(LOCATION, place);
    }
    answer
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ChangeBody {
    #[serde(default, deserialize_with = "given")]
    name: Option<String>,
    #[serde(default, deserialize_with = "given")]
    description: Option<String>,
    #[serde(default, deserialize_with = "given")]
    announce: Option<bool>,
    #[serde(default, deserialize_with = "given")]
    locked: Option<bool>,
    #[serde(default, deserialize_with = "given")]
    members_add: Option<MembersAdd>,
    #[serde(default, deserialize_with = "given")]
    approval: Option<bool>,
    #[serde(default, deserialize_with = "given_whole")]
    disappearing: Option<u32>,
}

impl ChangeBody {
    fn read(self) -> Result<GroupChange, Problem> {
        let mut issues = Vec::new();
        check_name(self.name.as_deref(), &mut issues);
        check_description(self.description.as_deref(), &mut issues);
        if self.disappearing.is_some_and(|seconds| !TIMERS.contains(&seconds)) {
            let words = "0, 86400 (a day), 604800 (a week) or 7776000 (90 days)";
            issues.push(Issue::new("disappearing", words));
        }
        let change = GroupChange {
            name: self.name,
            description: self.description,
            announce: self.announce,
            locked: self.locked,
            members_add: self.members_add,
            approval: self.approval,
            disappearing: self.disappearing,
        };
        if change == GroupChange::default() {
            issues.push(Issue::new("body", "say what to change"));
        }
        if issues.is_empty() { Ok(change) } else { Err(Problem::invalid(issues)) }
    }
}

/// `PATCH …/groups/{group}`: one change after the other. Where WhatsApp refuses one, `changed` says which were done before.
pub(crate) async fn change(call: &mut Call) -> Answer {
    let body: ChangeBody = call.json(MAX_JSON).await?;
    let (change, group) = (body.read()?, call.group()?);
    let handle = call.handle()?;
    let (changed, outcome) = handle.change_group(&group, change).await;
    outcome.map_err(|error| Problem::from(error).with("changed", changed))?;
    Ok(response::ok(&handle.group_view(&group).await?))
}

/// `POST …/groups/{group}/leave`.
pub(crate) async fn leave(call: &Call) -> Answer {
    let group = call.group()?;
    call.handle()?.leave_group(&group).await?;
    Ok(response::empty(StatusCode::NO_CONTENT))
}

fn check_name(name: Option<&str>, issues: &mut Vec<Issue>) {
    let good = |name: &str| (1..=LONGEST_NAME).contains(&name.chars().count());
    if name.is_some_and(|name| !good(name)) {
        issues.push(Issue::new("name", format!("1 to {LONGEST_NAME} characters")));
    }
}

fn check_description(text: Option<&str>, issues: &mut Vec<Issue>) {
    if text.is_some_and(|text| text.chars().count() > LONGEST_DESCRIPTION) {
        let words = format!("at most {LONGEST_DESCRIPTION} characters");
        issues.push(Issue::new("description", words));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::http::request::parse;

    fn read(json: &str) -> Result<GroupChange, Problem> {
        parse::<ChangeBody>(json.as_bytes())?.read()
    }

    #[test]
    fn a_change_says_something_and_nothing_else() {
        let change = read(r#"{"name":"Tim","announce":true,"members_add":"admins"}"#).unwrap();
        assert_eq!((change.name.as_deref(), change.announce), (Some("Tim"), Some(true)));
        assert_eq!((change.members_add, change.locked), (Some(MembersAdd::Admins), None));
        assert!(read(r#"{"description":""}"#).is_ok(), "takes it away");
        let long = format!(r#"{{"name":"{}"}}"#, "a".repeat(101));
        for bad in [
            "{}",
            r#"{"name":null}"#,
            r#"{"name":""}"#,
            r#"{"subject":"Tim"}"#,
            r#"{"disappearing":60}"#,
            r#"{"members_add":"everybody"}"#,
            &long,
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
