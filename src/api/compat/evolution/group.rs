//! `/group/…`: which groups there are, and who is in them.

use serde_json::{Value, json};

use crate::api::call::{Answer, Call};
use crate::api::http::problem::Problem;
use crate::api::http::response;
use crate::model::Jid;
use crate::whatsapp::{GroupMember, GroupSummary};

/// `GET /group/fetchAllGroups/{device}?getParticipants=`.
pub(super) async fn list(call: &mut Call) -> Answer {
    let with_members = call.query("getParticipants")?.as_deref() == Some("true");
    let handle = call.handle()?;
    let mut list = Vec::new();
    for group in handle.groups().await? {
        let group = if with_members { handle.group(&group.id).await? } else { group };
        list.push(shown(&group, with_members));
    }
    Ok(response::ok(&list))
}

/// `GET /group/findGroupInfos/{device}?groupJid=`.
pub(super) async fn show(call: &mut Call) -> Answer {
    Ok(response::ok(&shown(&named(call).await?, true)))
}

/// `GET /group/participants/{device}?groupJid=`.
pub(super) async fn members(call: &mut Call) -> Answer {
    let members: Vec<Value> = named(call).await?.members.iter().map(member).collect();
    Ok(response::ok(&json!({ "participants": members })))
}

async fn named(call: &Call) -> Result<GroupSummary, Problem> {
    let id = call.query("groupJid")?.unwrap_or_default();
    let id = if id.contains('@') { id } else { format!("{id}@g.us") };
    let id = Jid::parse(&id).ok().filter(Jid::is_group);
    let id = id.ok_or_else(|| Problem::field("groupJid", "a group id ends in @g.us"))?;
    Ok(call.handle()?.group(&id).await?)
}

fn shown(group: &GroupSummary, with_members: bool) -> Value {
    let mut shown = json!({
        "id": group.id,
        "subject": group.name,
        "subjectOwner": null,
        "subjectTime": null,
        "pictureUrl": null,
        "size": with_members.then_some(group.members.len()),
        "creation": null,
        "owner": null,
        "desc": null,
        "descId": null,
        "restrict": null,
        "announce": null,
    });
    if let (Value::Object(fields), true) = (&mut shown, with_members) {
        let members: Vec<Value> = group.members.iter().map(member).collect();
        fields.insert("participants".to_owned(), members.into());
    }
    shown
}

fn member(member: &GroupMember) -> Value {
    let phone = member.phone.as_ref().map(Jid::of_phone);
    json!({
        "id": phone.as_ref().unwrap_or(&member.jid),
        "lid": member.lid.as_ref().map(|lid| format!("{lid}@lid")),
        "phoneNumber": phone,
        "admin": member.admin.then_some("admin"),
        "name": null,
        "imgUrl": null,
    })
}
