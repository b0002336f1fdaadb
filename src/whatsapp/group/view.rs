//! A group as callers see it.

use serde::{Deserialize, Serialize};
use wa_rs::client::Client;
use wa_rs::{GroupMetadata, ParticipantType};

use crate::model::{Jid, PhoneNumber, UnixMillis};
use crate::whatsapp::directory::both;
use crate::whatsapp::error::WhatsAppError;
use crate::whatsapp::handle::outside;

/// Who may add members.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum MembersAdd {
    All,
    Admins,
}

impl MembersAdd {
    /// Reads WhatsApp's word.
    pub(super) fn of(mode: Option<&str>) -> Self {
        if mode == Some("all_member_add") { Self::All } else { Self::Admins }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct GroupSettings {
    /// Whether only admins write.
    pub(crate) announce: bool,
    /// Whether only admins change name, picture and description.
    pub(crate) locked: bool,
    pub(crate) members_add: MembersAdd,
    /// Whether an admin has to let in whoever comes by the invite link.
    pub(crate) approval: bool,
    /// After how many seconds messages disappear; 0 for never.
    pub(crate) disappearing: u32,
}

/// A person under every address that is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Identity {
    pub(crate) jid: Jid,
    pub(crate) phone: Option<PhoneNumber>,
    /// The digits of the LID.
    pub(crate) lid: Option<String>,
}

impl Identity {
    pub(super) async fn of(
        client: &Client,
        jid: &wa_rs::Jid,
        alt: Option<&wa_rs::Jid>,
    ) -> Result<Self, WhatsAppError> {
        let (lid, phone) = both(client, jid, alt).await;
        let phone = phone.and_then(|phone| PhoneNumber::exact(&phone).ok());
        Ok(Self { jid: outside(jid)?, phone, lid })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Role {
    Member,
    Admin,
    /// Who made the group; nobody takes the role from them.
    Owner,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Member {
    #[serde(flatten)]
    pub(crate) identity: Identity,
    pub(crate) admin: bool,
    pub(crate) role: Role,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Group {
    pub(crate) id: Jid,
    pub(crate) name: String,
    pub(crate) description: Option<String>,
    pub(crate) owner: Option<Identity>,
    pub(crate) created: Option<UnixMillis>,
    pub(crate) settings: GroupSettings,
    pub(crate) members: Vec<Member>,
}

impl Group {
    pub(super) async fn of(
        client: &Client,
        group: GroupMetadata,
        members_add: MembersAdd,
    ) -> Result<Self, WhatsAppError> {
        let mut members = Vec::with_capacity(group.participants.len());
        for one in &group.participants {
            let alt = one.phone_number.as_ref().or(one.lid.as_ref());
            let role = match one.participant_type {
                ParticipantType::SuperAdmin => Role::Owner,
                ParticipantType::Admin => Role::Admin,
                ParticipantType::Member => Role::Member,
            };
            let identity = Identity::of(client, &one.jid, alt).await?;
            members.push(Member { identity, admin: one.is_admin(), role });
        }
        Ok(Self {
            id: outside(&group.id)?,
            owner: owner(client, &group).await?,
            name: group.subject,
            description: group.description,
            created: group.creation_time.map(UnixMillis::from_secs),
            settings: GroupSettings {
                announce: group.is_announcement,
                locked: group.is_locked,
                members_add,
                approval: group.membership_approval,
                disappearing: group.ephemeral.and_then(|timer| timer.expiration).unwrap_or(0),
            },
            members,
        })
    }
}

/// Who made a group.
pub(super) async fn owner(
    client: &Client,
    group: &GroupMetadata,
) -> Result<Option<Identity>, WhatsAppError> {
    let Some(creator) = &group.creator else { return Ok(None) };
    Identity::of(client, creator, group.creator_pn.as_ref()).await.map(Some)
}
