//! Invite links: the group's own, and those of others.

use serde::Serialize;
use wa_rs::JoinGroupResult;

use super::fetch::asked;
use super::view::{Identity, owner};
use crate::model::{Jid, UnixMillis};
use crate::whatsapp::error::WhatsAppError;
use crate::whatsapp::handle::{DeviceHandle, inside, outside};

/// What all links begin with.
const LINKS: &str = "https://chat.whatsapp.com/";

/// The code in an invite link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct InviteCode(String);

impl InviteCode {
    /// Reads a link, or the code alone.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let text = text.strip_prefix(LINKS).unwrap_or(text);
        let code = text.strip_prefix("invite/").unwrap_or(text);
        let code = code.split(['?', '/']).next().unwrap_or_default();
        let good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
        ((8..=64).contains(&code.len()) && code.bytes().all(good)).then(|| Self(code.to_owned()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn link(&self) -> String {
        format!("{LINKS}{}", self.0)
    }
}

/// What whoever has a link may know of its group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct GroupPreview {
    id: Jid,
    name: String,
    description: Option<String>,
    owner: Option<Identity>,
    created: Option<UnixMillis>,
    /// How many members it has.
    size: Option<u32>,
    /// Whether an admin has to let newcomers in.
    approval: bool,
}

/// What came of following a link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Joined {
    group: Jid,
    /// `joined`, or `requested` where an admin decides.
    result: &'static str,
}

impl DeviceHandle {
    /// The group's link; `reset` makes a new one, and the old one leads nowhere.
    pub(crate) async fn invite(&self, id: &Jid, reset: bool) -> Result<InviteCode, WhatsAppError> {
        let (client, group) = (self.client()?, inside(id)?);
        let link = asked(client.groups().get_invite_link(&group, reset)).await?;
        let unread = || WhatsAppError::Refused("the invite link cannot be read".to_owned());
        InviteCode::parse(&link).ok_or_else(unread)
    }

    pub(crate) async fn preview_group(
        &self,
        code: &InviteCode,
    ) -> Result<GroupPreview, WhatsAppError> {
        let client = self.client()?;
        let group = asked(client.groups().get_invite_info(code.as_str())).await?;
        let counted = u32::try_from(group.participants.len()).ok().filter(|count| *count > 0);
        Ok(GroupPreview {
            id: outside(&group.id)?,
            owner: owner(&client, &group).await?,
            name: group.subject,
            description: group.description,
            created: group.creation_time.map(UnixMillis::from_secs),
            size: group.size.or(counted),
            approval: group.membership_approval,
        })
    }

    pub(crate) async fn join_group(&self, code: &InviteCode) -> Result<Joined, WhatsAppError> {
        let client = self.client()?;
        Ok(match asked(client.groups().join_with_invite_code(code.as_str())).await? {
            JoinGroupResult::Joined(group) => Joined { group: outside(&group)?, result: "joined" },
            JoinGroupResult::PendingApproval(group) => {
                Joined { group: outside(&group)?, result: "requested" }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_read_out_of_every_form_of_a_link() {
        for text in [
            "AbCdEfGhIjKlMnOpQrStUv",
            " https://chat.whatsapp.com/AbCdEfGhIjKlMnOpQrStUv ",
            "https://chat.whatsapp.com/invite/AbCdEfGhIjKlMnOpQrStUv?mode=ac",
        ] {
            let code = InviteCode::parse(text).unwrap();
            assert_eq!(code.link(), "https://chat.whatsapp.com/AbCdEfGhIjKlMnOpQrStUv", "{text}");
        }
        for text in ["", "short", "https://example.com/AbCdEfGhIjKlMnOpQrStUv", "Ab Cd Ef Gh"] {
            assert_eq!(InviteCode::parse(text), None, "{text}");
        }
    }
}
