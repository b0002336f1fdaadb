//! `/user/…` and `/group/info`: people and groups.

use serde_json::{Value, json};

use super::form::{choose, done};
use crate::api::call::{Answer, Call};
use crate::api::http::problem::Problem;
use crate::model::{Jid, PhoneNumber};
use crate::whatsapp::GroupMember;

/// The number in the query.
fn phone(call: &Call) -> Result<PhoneNumber, Problem> {
    let text = call.query("phone")?.ok_or_else(|| Problem::field("phone", "required"))?;
    let digits = text.split('@').next().unwrap_or_default();
    let (_, device) = call.device()?;
    PhoneNumber::parse(digits, device.country_code.as_deref())
        .map_err(|error| Problem::field("phone", error))
}

/// `GET /user/check?phone=`.
pub(super) async fn check(call: &mut Call) -> Answer {
    choose(call)?;
    let found = call.handle()?.on_whatsapp(&phone(call)?).await?;
    Ok(done("Success check user", json!({ "is_on_whatsapp": found.is_some() })))
}

/// `GET /user/info?phone=`: what moonwa knows of a person. Status, picture and devices are not asked for.
pub(super) async fn info(call: &mut Call) -> Answer {
    choose(call)?;
    let found = call.handle()?.lookup(&phone(call)?).await?;
    let found = found.ok_or_else(|| Problem::field("phone", "user is not registered"))?;
    let name = found.name.unwrap_or_default();
    let results = json!({ "verified_name": name, "status": "", "picture_id": "", "devices": [] });
    Ok(done("Success get user info", results))
}

/// `GET /user/my/groups`.
pub(super) async fn groups(call: &mut Call) -> Answer {
    choose(call)?;
    let groups = call.handle()?.groups().await?;
    let groups = groups.iter().map(|group| json!({ "JID": group.id, "Name": group.name }));
    Ok(done("Success get list groups", json!({ "data": groups.collect::<Vec<_>>() })))
}

/// `GET /group/info?group_id=`.
pub(super) async fn group(call: &mut Call) -> Answer {
    choose(call)?;
    let id = call.query("group_id")?.unwrap_or_default();
    let id = if id.contains('@') { id } else { format!("{id}@g.us") };
    let id = Jid::parse(&id).ok().filter(Jid::is_group);
    let id = id.ok_or_else(|| Problem::field("group_id", "a group id ends in @g.us"))?;
    let group = call.handle()?.group(&id).await?;
    let members: Vec<Value> = group.members.iter().map(member).collect();
    let results = json!({ "JID": group.id, "Name": group.name, "Participants": members });
    Ok(done("Success get group info", results))
}

fn member(member: &GroupMember) -> Value {
    let phone = member.phone.as_ref().map(Jid::of_phone);
    let lid = member.lid.as_ref().map(|lid| format!("{lid}@lid"));
    json!({ "JID": member.jid, "PhoneNumber": phone, "LID": lid, "IsAdmin": member.admin })
}
