//! What happened to a group, as the formats read it. The log has it in the engine's words, where an address is an object.

use serde_json::Value;

use super::event::by_phone;
use crate::model::{Account, PhoneNumber};

/// One change of a group.
pub(super) struct Change<'a> {
    data: &'a Value,
    what: &'a Value,
    pub(super) kind: Kind,
}

/// What kind of change it is. What the formats do not tell is none.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A group was made, with the account in it, or the account was added to one.
    Created,
    Members(Role),
    /// Something about the group itself.
    Info,
}

/// What became of its members.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Joined,
    Left,
    Promoted,
    Demoted,
}

/// Somebody in a group.
pub(super) struct Member {
    pub(super) jid: String,
    pub(super) phone: Option<String>,
    lid: Option<String>,
}

impl Member {
    /// The address by the phone number where that is known.
    pub(super) fn address(&self) -> String {
        by_phone(&self.jid, self.phone.as_deref())
    }

    fn is(&self, account: &Account) -> bool {
        let phone = account.phone.as_ref().map(PhoneNumber::as_str);
        let by_number = self.phone.as_deref().is_some_and(|own| Some(own) == phone);
        by_number || self.lid.as_deref().is_some_and(|own| Some(own) == account.lid.as_deref())
    }
}

impl<'a> Change<'a> {
    pub(super) fn read(data: &'a Value) -> Option<Self> {
        let change = data.get("change")?;
        let kind = match change.get("type").and_then(Value::as_str)? {
            "create" => Kind::Created,
            "add" => Kind::Members(Role::Joined),
            "remove" => Kind::Members(Role::Left),
            "promote" => Kind::Members(Role::Promoted),
            "demote" => Kind::Members(Role::Demoted),
            "subject"
            | "description"
            | "locked"
            | "unlocked"
            | "announcement"
            | "not_announcement"
            | "ephemeral"
            | "membership_approval_mode"
            | "member_add_mode"
            | "invite" => Kind::Info,
            _ => return None,
        };
        Some(Self { data, what: change, kind })
    }

    /// The group's address.
    pub(super) fn group(&self) -> &'a str {
        self.data.get("group").and_then(Value::as_str).unwrap_or_default()
    }

    /// Who did it, by the phone number where that is known.
    pub(super) fn by(&self) -> Option<String> {
        let phone = self.data.get("by_phone").and_then(Value::as_str);
        Some(by_phone(self.data.get("by")?.as_str()?, phone))
    }

    /// What happened, in the engine's words.
    pub(super) fn raw(&self) -> &'a Value {
        self.data
    }

    /// Whose membership or role changed.
    pub(super) fn members(&self) -> Vec<Member> {
        let list = self.what.get("participants").and_then(Value::as_array);
        list.into_iter().flatten().filter_map(member).collect()
    }

    /// Whether the account is one of them.
    pub(super) fn is_about(&self, account: Option<&Account>) -> bool {
        account.is_some_and(|account| self.members().iter().any(|member| member.is(account)))
    }

    /// The new name.
    pub(super) fn subject(&self) -> Option<&'a str> {
        self.text("subject")
    }

    /// How the account came into a group: `invite` when by a link.
    pub(super) fn reason(&self) -> &'a str {
        self.text("reason").unwrap_or_default()
    }

    /// The new description; empty when it was taken away.
    pub(super) fn description(&self) -> Option<&'a str> {
        self.says(&["description"]).then(|| self.text("description").unwrap_or_default())
    }

    /// Whether only admins may write now.
    pub(super) fn announce(&self) -> Option<bool> {
        self.either("announcement", "not_announcement")
    }

    /// Whether only admins may change what the group says of itself now.
    pub(super) fn locked(&self) -> Option<bool> {
        self.either("locked", "unlocked")
    }

    /// After how many seconds messages disappear now; 0 for never.
    pub(super) fn ephemeral(&self) -> Option<u64> {
        self.what.get("expiration")?.as_u64().filter(|_| self.says(&["ephemeral"]))
    }

    /// Whether an admin has to let people in now.
    pub(super) fn approval(&self) -> Option<bool> {
        self.what.get("enabled")?.as_bool()
    }

    /// Whether every member may add others now.
    pub(super) fn all_add(&self) -> Option<bool> {
        Some(self.text("mode")? == "all_member_add")
    }

    /// The new code of its link.
    pub(super) fn invite(&self) -> Option<&'a str> {
        self.text("code")
    }

    fn text(&self, name: &str) -> Option<&'a str> {
        self.what.get(name)?.as_str()
    }

    fn says(&self, words: &[&str]) -> bool {
        self.text("type").is_some_and(|word| words.contains(&word))
    }

    fn either(&self, yes: &str, no: &str) -> Option<bool> {
        self.says(&[yes, no]).then(|| self.says(&[yes]))
    }
}

fn member(value: &Value) -> Option<Member> {
    let jid = address(value.get("jid")?)?;
    let of = |address: &str, server: &str| {
        address.strip_suffix(server)?.strip_suffix('@').map(str::to_owned)
    };
    let other = |name: &str| value.get(name).and_then(address);
    let phone = other("phone_number").or_else(|| Some(jid.clone()));
    let lid = other("lid").or_else(|| Some(jid.clone()));
    let phone = phone.and_then(|address| of(&address, "s.whatsapp.net"));
    let lid = lid.and_then(|address| of(&address, "lid"));
    Some(Member { jid, phone, lid })
}

/// An address as the engine writes it: an object with its parts, or a text.
fn address(value: &Value) -> Option<String> {
    if let Some(text) = value.as_str() {
        return Some(text.to_owned());
    }
    let part = |name: &str| value.get(name).and_then(Value::as_str);
    Some(format!("{}@{}", part("user")?, part("server")?))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn people_are_known_by_their_parts() {
        let jid = |user: &str, server: &str| json!({ "user": user, "server": server, "agent": 0, "device": 0, "integrator": 0 });
        let data = json!({ "group": "1203@g.us", "by": "77@lid", "by_phone": "628123456789", "change": {
            "type": "add", "reason": null, "participants": [
                { "jid": jid("88", "lid"), "phone_number": jid("628111", "s.whatsapp.net") },
                { "jid": jid("99", "lid") },
                { "jid": "628222@s.whatsapp.net", "lid": "66@lid" },
            ],
        }});
        let change = Change::read(&data).unwrap();
        assert!(change.kind == Kind::Members(Role::Joined));
        assert_eq!(change.by().as_deref(), Some("628123456789@s.whatsapp.net"));
        let addresses: Vec<_> = change.members().iter().map(Member::address).collect();
        assert_eq!(addresses, ["628111@s.whatsapp.net", "99@lid", "628222@s.whatsapp.net"]);
        let account = |phone: Option<&str>, lid: Option<&str>| Account {
            phone: phone.and_then(|phone| PhoneNumber::parse(phone, None).ok()),
            lid: lid.map(str::to_owned),
            name: None,
        };
        for (phone, lid, about) in [
            (None, Some("99"), true),
            (None, Some("66"), true),
            (None, Some("77"), false),
            (None, None, false),
        ] {
            assert_eq!(change.is_about(Some(&account(phone, lid))), about, "{phone:?} {lid:?}");
        }
        assert!(!change.is_about(None));
    }
}
