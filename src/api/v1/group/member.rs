//! Who is added to a group, removed from it, and made its admin; and who asks to be let in.

use serde::Deserialize;
use serde_json::json;

use crate::api::call::{Answer, Call};
use crate::api::http::problem::{Issue, Problem};
use crate::api::http::request::MAX_JSON;
use crate::api::http::response;
use crate::api::v1::message::check_lock;
use crate::model::Recipient;
use crate::whatsapp::{DeviceHandle, MOST_MEMBERS, MemberAction, NamedMember, RequestAction};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MembersBody<A> {
    action: A,
    members: Vec<String>,
}

/// `POST …/groups/{group}/members`.
pub(crate) async fn change(call: &mut Call) -> Answer {
    let body: MembersBody<MemberAction> = call.json(MAX_JSON).await?;
    let (group, members) = (call.group()?, all_named(call, &body.members)?);
    let handle = call.handle()?;
    if body.action == MemberAction::Add {
        new_contacts_allowed(&handle, &members).await?;
    }
    let results = handle.change_members(&group, body.action, members).await?;
    Ok(response::ok(&json!({ "results": results })))
}

/// `GET …/groups/{group}/requests`.
pub(crate) async fn requests(call: &Call) -> Answer {
    let group = call.group()?;
    let requests = call.handle()?.join_requests(&group).await?;
    Ok(response::ok(&json!({ "requests": requests })))
}

/// `POST …/groups/{group}/requests`.
pub(crate) async fn answer(call: &mut Call) -> Answer {
    let body: MembersBody<RequestAction> = call.json(MAX_JSON).await?;
    let (group, members) = (call.group()?, all_named(call, &body.members)?);
    let results = call.handle()?.answer_requests(&group, body.action, members).await?;
    Ok(response::ok(&json!({ "results": results })))
}

fn all_named(call: &Call, members: &[String]) -> Result<Vec<NamedMember>, Problem> {
    let mut issues = Vec::new();
    let named = named(call, members, &mut issues)?;
    if issues.is_empty() { Ok(named) } else { Err(Problem::invalid(issues)) }
}

/// Reads numbers and LIDs.
pub(super) fn named(
    call: &Call,
    members: &[String],
    issues: &mut Vec<Issue>,
) -> Result<Vec<NamedMember>, Problem> {
    let (_, device) = call.device()?;
    if !(1..=MOST_MEMBERS).contains(&members.len()) {
        issues.push(Issue::new("members", format!("1 to {MOST_MEMBERS}")));
        return Ok(Vec::new());
    }
    let mut named = Vec::with_capacity(members.len());
    for (n, given) in members.iter().enumerate() {
        match Recipient::parse(given, device.country_code.as_deref()) {
            Ok(Recipient::Jid(jid)) if !jid.is_lid() => {
                issues.push(Issue::new(format!("members[{n}]"), "a phone number or a LID"));
            }
            Ok(to) => named.push(NamedMember { given: given.clone(), to }),
            Err(error) => issues.push(Issue::new(format!("members[{n}]"), error)),
        }
    }
    Ok(named)
}

/// While WhatsApp locks the account against new contacts, it is not shown to any in a group either: each try counts
/// against it.
pub(super) async fn new_contacts_allowed(
    handle: &DeviceHandle,
    members: &[NamedMember],
) -> Result<(), Problem> {
    for member in members {
        check_lock(handle, &member.to).await?;
    }
    Ok(())
}
