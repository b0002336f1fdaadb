//! What happened to a group, in words that programs can rely on. WhatsApp's own report goes along as `change`; its words
//! are WhatsApp's, and it may have other ones tomorrow.

use serde::Serialize;
use serde_json::{Value, json};
use wa_rs::types::events::{GroupUpdate, PictureUpdate};
use wa_rs::wacore::stanza::groups::{GroupNotificationAction as Action, GroupParticipantInfo};
use wa_rs::wacore_binary::{Jid as EngineJid, Node};

/// What happened. The list is closed: what has no word of its own is `other`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum What {
    Created,
    Deleted,
    Name,
    Description,
    Picture,
    Setting,
    Added,
    Removed,
    Promoted,
    Demoted,
    /// They came by an invite link, or were let in.
    Joined,
    Left,
    /// They ask to be let in.
    Requested,
    /// They no longer ask, or were not let in.
    RequestEnded,
    InviteReset,
    Other,
}

/// A person, as far as WhatsApp's report says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
struct Who {
    jid: String,
    phone: Option<String>,
    lid: Option<String>,
}

impl Who {
    fn of(jid: &EngineJid, others: [Option<&EngineJid>; 2]) -> Self {
        let known = [Some(jid), others[0], others[1]];
        let user = |wanted: fn(&EngineJid) -> bool| {
            known.into_iter().flatten().find(|jid| wanted(jid)).map(|jid| jid.user.to_string())
        };
        let (phone, lid) = (user(EngineJid::is_pn), user(EngineJid::is_lid));
        Self { jid: jid.to_non_ad_string(), phone, lid }
    }

    fn is(&self, other: &Self) -> bool {
        let same = |one: &Option<String>, two: &Option<String>| one.is_some() && one == two;
        same(&self.lid, &other.lid) || same(&self.phone, &other.phone) || self.jid == other.jid
    }
}

/// The typed part of the event's data.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct News {
    what: What,
    /// The new name.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// The new description; null when it was taken away.
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    setting: Option<Setting>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    members: Vec<Who>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct Setting {
    name: &'static str,
    value: Value,
}

impl News {
    fn plain(what: What) -> Self {
        Self { what, name: None, description: None, setting: None, members: Vec::new() }
    }

    fn setting(name: &'static str, value: impl Into<Value>) -> Self {
        let setting = Some(Setting { name, value: value.into() });
        Self { setting, ..Self::plain(What::Setting) }
    }

    fn about(what: What, members: Vec<Who>) -> Self {
        Self { members, ..Self::plain(what) }
    }
}

/// The data of a `group.updated` about what the group's notification says.
pub(crate) fn data(update: &GroupUpdate) -> Option<Value> {
    let author = update.participant.as_ref();
    let author = author.map(|jid| Who::of(jid, [update.participant_pn.as_ref(), None]));
    let by_phone = update.participant_pn.as_ref().map(|pn| pn.user.to_string());
    let change = change(&update.action)?;
    let news = news(&update.action, author.as_ref());
    let group = update.group_jid.to_string();
    whole(&group, author.as_ref(), by_phone.as_deref(), &change, &news)
}

/// The data of a `group.updated` about a new picture, or that there is none any more.
pub(crate) fn picture(update: &PictureUpdate) -> Option<Value> {
    let author = update.author.as_ref().map(|jid| Who::of(jid, [None, None]));
    let change = json!({ "type": "picture", "id": update.picture_id, "removed": update.removed });
    let by_phone = author.as_ref().and_then(|author| author.phone.clone());
    let group = update.jid.to_string();
    whole(&group, author.as_ref(), by_phone.as_deref(), &change, &News::plain(What::Picture))
}

/// A change in the engine's words. What it leaves out of a new group is the name, and how the account came into it.
fn change(action: &Action) -> Option<Value> {
    let mut change = serde_json::to_value(action).ok()?;
    if let (Action::Create { raw }, Value::Object(fields)) = (action, &mut change) {
        let group = raw.get_optional_child("group");
        for (name, node) in [("subject", group), ("reason", Some(raw))] {
            if let Some(text) = node.and_then(|node| node.attrs().optional_string(name)) {
                fields.insert(name.to_owned(), text.into());
            }
        }
    }
    Some(change)
}

fn whole(
    group: &str,
    author: Option<&Who>,
    by_phone: Option<&str>,
    change: &Value,
    news: &News,
) -> Option<Value> {
    let mut data = json!({
        "group": group,
        "by": author.map(|author| &author.jid),
        "by_phone": by_phone,
        "author": author,
    });
    let Value::Object(typed) = serde_json::to_value(news).ok()? else { return None };
    let fields = data.as_object_mut()?;
    fields.extend(typed);
    fields.insert("change".to_owned(), change.clone());
    Some(data)
}

fn news(action: &Action, author: Option<&Who>) -> News {
    let by_link = |reason: &Option<String>| reason.as_deref() == Some("invite");
    let alone = |members: &[Who]| match (members, author) {
        ([member], Some(author)) => member.is(author),
        _ => false,
    };
    match action {
        Action::Add { participants, reason } => {
            let members = people(participants);
            let came = by_link(reason) || alone(&members);
            News::about(if came { What::Joined } else { What::Added }, members)
        }
        Action::Remove { participants, .. } => {
            let members = people(participants);
            let went = alone(&members);
            News::about(if went { What::Left } else { What::Removed }, members)
        }
        Action::Promote { participants } => News::about(What::Promoted, people(participants)),
        Action::Demote { participants } => News::about(What::Demoted, people(participants)),
        Action::Subject { subject, .. } => {
            News { name: Some(subject.clone()), ..News::plain(What::Name) }
        }
        Action::Description { description, .. } => {
            News { description: Some(json!(description)), ..News::plain(What::Description) }
        }
        Action::Announce => News::setting("announce", true),
        Action::NotAnnounce => News::setting("announce", false),
        Action::Locked { .. } => News::setting("locked", true),
        Action::Unlocked => News::setting("locked", false),
        Action::Ephemeral { expiration, .. } => News::setting("disappearing", *expiration),
        Action::MembershipApprovalMode { enabled } => News::setting("approval", *enabled),
        Action::MemberAddMode { mode } => {
            let all = mode == "all_member_add";
            News::setting("members_add", if all { "all" } else { "admins" })
        }
        Action::MembershipApprovalRequest { .. } => {
            News::about(What::Requested, author.cloned().into_iter().collect())
        }
        Action::CreatedMembershipRequests { requests, .. } => {
            News::about(What::Requested, people(requests))
        }
        Action::RevokedMembershipRequests { participants } => {
            let people = participants.iter().map(|jid| Who::of(jid, [None, None])).collect();
            News::about(What::RequestEnded, people)
        }
        Action::Invite { .. } | Action::RevokeInvite => News::plain(What::InviteReset),
        Action::Create { raw } => created(raw),
        Action::Delete { .. } => News::plain(What::Deleted),
        _ => News::plain(What::Other),
    }
}

fn people(participants: &[GroupParticipantInfo]) -> Vec<Who> {
    let who = |one: &GroupParticipantInfo| {
        Who::of(&one.jid, [one.phone_number.as_ref(), one.lid.as_ref()])
    };
    participants.iter().map(who).collect()
}

fn created(raw: &Node) -> News {
    let group = raw.get_optional_child("group");
    let text = |name: &str| Some(group?.attrs.get(name)?.as_str().into_owned());
    let who = |node: &Node| {
        let jid = |name: &str| node.attrs.get(name)?.to_jid();
        let others = [jid("phone_number"), jid("lid")];
        Some(Who::of(&jid("jid")?, [others[0].as_ref(), others[1].as_ref()]))
    };
    let members = group.into_iter().flat_map(|group| group.get_children_by_tag("participant"));
    let members = members.filter_map(who).collect();
    News { name: text("subject"), ..News::about(What::Created, members) }
}
