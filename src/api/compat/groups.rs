//! The groups of a device and their members.

use serde_json::{Value, json};

use super::error::{Kind, Refusal, asked};
use super::fields::{Fields, connected, device_of};
use crate::api::call::{Answer, Call};
use crate::api::http::problem::Issue;
use crate::api::http::response;
use crate::config::Scope;
use crate::model::Jid;
use crate::whatsapp::{GroupMember, GroupSummary};

/// `POST /api/fetch-group`.
pub(crate) async fn list(call: &mut Call) -> Answer {
    let groups = async {
        let fields = Fields::of(call).await?;
        let device = device_of(call, &fields, Scope::Read)?;
        let groups = connected(call, &device)?.groups().await;
        Ok::<_, Refusal>(response::ok(&group_list(&asked(Kind::Message, groups)?)))
    };
    Ok(groups.await.unwrap_or_else(Refusal::render))
}

fn group_list(groups: &[GroupSummary]) -> Value {
    let groups = groups.iter().map(|group| json!({ "name": group.name, "id": group.id }));
    json!({ "status": true, "data": groups.collect::<Vec<_>>() })
}

/// `POST /api/fetch-group-members`.
pub(crate) async fn members(call: &mut Call) -> Answer {
    let members = async {
        let fields = Fields::of(call).await?;
        let device = device_of(call, &fields, Scope::Read)?;
        let mut issues = Vec::new();
        let id = fields.need(&["id", "group_id", "data.id"], &mut issues);
        let Some(group) = Jid::parse(id).ok().filter(Jid::is_group) else {
            if issues.is_empty() {
                issues.push(Issue::new("id", "a group id ends in @g.us"));
            }
            return Err(Refusal::Invalid(issues));
        };
        let group = connected(call, &device)?.group(&group).await;
        let group = asked(Kind::Message, group)?;
        Ok(response::ok(&member_list(&group.members)))
    };
    Ok(members.await.unwrap_or_else(Refusal::render))
}

fn member_list(members: &[GroupMember]) -> Value {
    let members = members.iter().map(|member| {
        json!({ "id": member.jid, "phone": member.phone, "lid": member.lid, "admin": member.admin })
    });
    json!({ "status": true, "data": members.collect::<Vec<_>>() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::PhoneNumber;

    #[test]
    fn groups_and_members_stay_as_documented() {
        let id = Jid::parse("120363@g.us").unwrap();
        let group = GroupSummary { id, name: "Toko".into(), members: Vec::new() };
        assert_eq!(
            group_list(&[group]).to_string(),
            "{\"status\":true,\"data\":[{\"name\":\"Toko\",\"id\":\"120363@g.us\"}]}"
        );
        let member = GroupMember {
            jid: Jid::parse("1555@lid").unwrap(),
            phone: PhoneNumber::parse("628123456789", None).ok(),
            lid: Some("1555".to_owned()),
            admin: true,
        };
        assert_eq!(
            member_list(&[member]).to_string(),
            "{\"status\":true,\"data\":[{\"id\":\"1555@lid\",\"phone\":\"628123456789\",\
             \"lid\":\"1555\",\"admin\":true}]}"
        );
    }
}
