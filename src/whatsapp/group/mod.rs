//! Groups: what they are, and what their admins do with them. Each is a question to WhatsApp on the caller's task; nothing
//! of it is queued, so that whoever asks hears at once what came of it.

mod failure;
mod fetch;
mod invite;
mod member;
pub(crate) mod news;
pub(crate) mod once;
mod picture;
mod request;
mod view;

use std::sync::Arc;

use wa_rs::client::Client;
use wa_rs::{
    GroupCreateOptions, GroupDescription, GroupParticipantOptions, GroupSubject, MemberAddMode,
    MembershipApprovalMode, PreviousDescription,
};

use self::fetch::{asked, view};
pub(crate) use self::invite::InviteCode;
use self::member::Found;
pub(crate) use self::member::{MemberAction, MemberResult, NamedMember, NewGroup};
pub(crate) use self::once::Once;
pub(crate) use self::request::RequestAction;
pub(crate) use self::view::{Group, MembersAdd};
use super::error::WhatsAppError;
use super::handle::{DeviceHandle, inside, outside};
use crate::model::Jid;

/// The longest name and description that WhatsApp takes, in characters.
pub(crate) const LONGEST_NAME: usize = 100;
pub(crate) const LONGEST_DESCRIPTION: usize = 2048;
/// The most members that one request may name.
pub(crate) const MOST_MEMBERS: usize = 256;

/// What is to be changed of a group; what is not there stays as it is.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct GroupChange {
    pub(crate) name: Option<String>,
    /// An empty one is taken away.
    pub(crate) description: Option<String>,
    pub(crate) announce: Option<bool>,
    pub(crate) locked: Option<bool>,
    pub(crate) members_add: Option<MembersAdd>,
    pub(crate) approval: Option<bool>,
    /// In seconds; 0 for never.
    pub(crate) disappearing: Option<u32>,
}

impl DeviceHandle {
    /// A group with everything that is known of it.
    pub(crate) async fn group_view(&self, id: &Jid) -> Result<Group, WhatsAppError> {
        let client = self.client()?;
        view(&client, id).await
    }

    /// Makes a group, and says of each member whether they are in it.
    pub(crate) async fn create_group(
        &self,
        new: NewGroup,
    ) -> Result<(Group, Vec<MemberResult>), WhatsAppError> {
        let client = self.client()?;
        let found = self.find_members(&client, new.members).await?;
        if found.iter().all(|found| found.jid.is_none()) {
            return Err(WhatsAppError::Refused("none of the members is on WhatsApp".to_owned()));
        }
        // A group is made with people whose number is known; others can only be added to it.
        let members = found.iter().filter(|found| found.phone.is_some());
        let members = members.filter_map(|found| found.jid.clone());
        let mut options = GroupCreateOptions::new(new.name)
            .with_participants(members.map(GroupParticipantOptions::new).collect());
        let description = new.description.filter(|text| !text.is_empty());
        options.description = description.map(GroupDescription::new_unchecked);
        let groups = client.groups();
        let made = asked(groups.create_group(options)).await?.metadata.id;
        self.settle_group(&client, &made, found).await
    }

    /// Goes on with a group that was made while its caller heard nothing.
    pub(crate) async fn finish_group(
        &self,
        id: &Jid,
        new: NewGroup,
    ) -> Result<(Group, Vec<MemberResult>), WhatsAppError> {
        let client = self.client()?;
        let found = self.find_members(&client, new.members).await?;
        self.settle_group(&client, &inside(id)?, found).await
    }

    /// What a new group is, and what became of each whom it is for.
    async fn settle_group(
        &self,
        client: &Arc<Client>,
        made: &wa_rs::Jid,
        found: Vec<Found>,
    ) -> Result<(Group, Vec<MemberResult>), WhatsAppError> {
        let id = outside(made)?;
        let mut group = view(client, &id).await?;
        // WhatsApp's answer counts those in who did not let themselves be added. Only the answer to another try says why.
        let (present, missing): (Vec<Found>, Vec<Found>) =
            found.into_iter().partition(|found| found.jid.is_none() || found.is_in(&group));
        let mut results: Vec<MemberResult> = present.into_iter().map(Found::done).collect();
        if !missing.is_empty() {
            results.extend(self.act(client, made, MemberAction::Add, missing).await?);
            group = view(client, &id).await?;
        }
        results.sort_by_key(|result| result.place);
        Ok((group, results))
    }

    /// Changes a group, one thing after the other. What was done until something was refused is said, too.
    pub(crate) async fn change_group(
        &self,
        id: &Jid,
        change: GroupChange,
    ) -> (Vec<&'static str>, Result<(), WhatsAppError>) {
        let mut done = Vec::new();
        let outcome = Box::pin(self.change_each(id, change, &mut done)).await;
        (done, outcome)
    }

    async fn change_each(
        &self,
        id: &Jid,
        change: GroupChange,
        done: &mut Vec<&'static str>,
    ) -> Result<(), WhatsAppError> {
        let (client, group) = (self.client()?, inside(id)?);
        let groups = client.groups();
        if let Some(name) = change.name {
            let name = GroupSubject::new_unchecked(name);
            asked(groups.set_subject(&group, name)).await?;
            done.push("name");
        }
        if let Some(text) = change.description {
            let text = Some(text).filter(|text| !text.is_empty());
            let text = text.map(GroupDescription::new_unchecked);
            asked(groups.set_description(&group, text, PreviousDescription::Resolve)).await?;
            done.push("description");
        }
        if let Some(on) = change.announce {
            asked(groups.set_announce(&group, on)).await?;
            done.push("announce");
        }
        if let Some(on) = change.locked {
            asked(groups.set_locked(&group, on)).await?;
            done.push("locked");
        }
        if let Some(who) = change.members_add {
            let mode = match who {
                MembersAdd::All => MemberAddMode::AllMemberAdd,
                MembersAdd::Admins => MemberAddMode::AdminAdd,
            };
            asked(groups.set_member_add_mode(&group, mode)).await?;
            done.push("members_add");
        }
        if let Some(on) = change.approval {
            let mode = if on { MembershipApprovalMode::On } else { MembershipApprovalMode::Off };
            asked(groups.set_membership_approval(&group, mode)).await?;
            done.push("approval");
        }
        if let Some(seconds) = change.disappearing {
            asked(groups.set_ephemeral(&group, seconds)).await?;
            done.push("disappearing");
        }
        Ok(())
    }

    pub(crate) async fn leave_group(&self, id: &Jid) -> Result<(), WhatsAppError> {
        let (client, group) = (self.client()?, inside(id)?);
        asked(client.groups().leave(&group)).await
    }
}
