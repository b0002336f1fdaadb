//! Members who come, go, or get another role. WhatsApp answers for each by themselves.

use std::sync::Arc;

use futures_util::future::try_join_all;
use serde::{Deserialize, Serialize};
use wa_rs::client::Client;
use wa_rs::{Jid as EngineJid, ParticipantChangeResponse};

use super::failure::of_member;
use super::fetch::{asked, view};
use super::view::{Group, Identity};
use crate::model::{Jid, PhoneNumber, Recipient, UnixMillis};
use crate::whatsapp::error::WhatsAppError;
use crate::whatsapp::handle::{DeviceHandle, inside, outside, timely};

/// What is done with members.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum MemberAction {
    Add,
    Remove,
    /// Makes them admins.
    Promote,
    /// Makes admins plain members.
    Demote,
}

/// A person whom a caller named.
#[derive(Clone, Debug)]
pub(crate) struct NamedMember {
    /// As the caller wrote it.
    pub(crate) given: String,
    pub(crate) to: Recipient,
}

/// A group that is to be made.
pub(crate) struct NewGroup {
    pub(crate) name: String,
    pub(crate) description: Option<String>,
    pub(crate) members: Vec<NamedMember>,
}

/// What became of one member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    Done,
    /// They do not let themselves be added: an invitation has to be sent.
    InviteNeeded,
    Refused,
}

/// With which a person who cannot be added may come by themselves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Invitation {
    code: String,
    expires: UnixMillis,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct MemberResult {
    /// In the caller's list.
    #[serde(skip)]
    pub(super) place: usize,
    /// As the caller wrote it.
    member: String,
    jid: Option<Jid>,
    phone: Option<PhoneNumber>,
    lid: Option<String>,
    result: Outcome,
    code: Option<String>,
    detail: Option<String>,
    invite: Option<Invitation>,
}

/// A named member, and under which addresses WhatsApp knows them.
pub(super) struct Found {
    place: usize,
    given: String,
    /// None: not on WhatsApp, or not in the group.
    pub(super) jid: Option<EngineJid>,
    /// Why there is none.
    pub(super) missing: (&'static str, &'static str),
    pub(super) phone: Option<PhoneNumber>,
    lid: Option<String>,
}

impl Found {
    pub(super) fn is_in(&self, group: &Group) -> bool {
        group.members.iter().any(|member| self.is(&member.identity))
    }

    pub(super) fn is(&self, other: &Identity) -> bool {
        let same_lid = self.lid.is_some() && self.lid == other.lid;
        let jid = self.jid.as_ref().map(EngineJid::to_non_ad_string);
        let same_phone = self.phone.is_some() && self.phone == other.phone;
        same_lid || same_phone || jid.is_some_and(|jid| jid == other.jid.as_str())
    }

    fn said_of(&self, answer: &ParticipantChangeResponse) -> bool {
        let Some(own) = &self.jid else { return false };
        let lid = answer.jid.is_lid().then(|| answer.jid.user.as_str());
        let same = |other: &EngineJid| other.to_non_ad_string() == own.to_non_ad_string();
        same(&answer.jid)
            || answer.phone_number.as_ref().is_some_and(same)
            || (lid.is_some() && lid == self.lid.as_deref())
    }

    /// Nothing stood in the way, unless they could not be found at all.
    pub(super) fn done(self) -> MemberResult {
        let (code, detail) = self.missing;
        match self.jid {
            Some(_) => self.result(Outcome::Done, None, None, None),
            None => self.result(Outcome::Refused, Some(code.to_owned()), Some(detail), None),
        }
    }

    /// What WhatsApp's answers say of them.
    pub(super) fn among(mut self, answers: &[ParticipantChangeResponse]) -> MemberResult {
        if self.jid.is_none() {
            return self.done();
        }
        let Some(answer) = answers.iter().find(|answer| self.said_of(answer)) else {
            let detail = "WhatsApp did not say what became of them";
            return self.result(Outcome::Refused, None, Some(detail), None);
        };
        let phone = answer.phone_number.as_ref();
        self.phone = self.phone.or(phone.and_then(|pn| PhoneNumber::exact(&pn.user).ok()));
        let Some(code) = answer.error.clone().filter(|code| code != "200") else {
            return self.done();
        };
        let invite = answer.add_request.as_ref().map(|token| Invitation {
            code: token.code.clone(),
            expires: UnixMillis::from_secs(token.expiration),
        });
        let detail = Some(of_member(&code));
        let needed = matches!(code.as_str(), "403" | "408");
        let outcome = if needed { Outcome::InviteNeeded } else { Outcome::Refused };
        self.result(outcome, Some(code), detail, invite)
    }

    fn result(
        self,
        result: Outcome,
        code: Option<String>,
        detail: Option<&str>,
        invite: Option<Invitation>,
    ) -> MemberResult {
        let jid = self.jid.and_then(|jid| outside(&jid).ok());
        let (place, member, phone, lid) = (self.place, self.given, self.phone, self.lid);
        let detail = detail.map(str::to_owned);
        MemberResult { place, member, jid, phone, lid, result, code, detail, invite }
    }
}

impl DeviceHandle {
    /// Adds, removes, promotes or demotes members, and says of each what became of it.
    pub(crate) async fn change_members(
        &self,
        id: &Jid,
        action: MemberAction,
        members: Vec<NamedMember>,
    ) -> Result<Vec<MemberResult>, WhatsAppError> {
        let (client, group) = (self.client()?, inside(id)?);
        let mut found = self.find_members(&client, members).await?;
        if action != MemberAction::Add {
            // In a group people have one address, and it may be another than the one they were named by.
            let group = view(&client, id).await?;
            for one in &mut found {
                let known = group.members.iter().find(|member| one.is(&member.identity));
                one.missing = ("not_a_member", "they are not in the group");
                one.jid = known.map(|member| inside(&member.identity.jid)).transpose()?;
            }
        }
        self.act(&client, &group, action, found).await
    }

    pub(super) async fn act(
        &self,
        client: &Arc<Client>,
        group: &EngineJid,
        action: MemberAction,
        found: Vec<Found>,
    ) -> Result<Vec<MemberResult>, WhatsAppError> {
        let jids: Vec<EngineJid> = found.iter().filter_map(|found| found.jid.clone()).collect();
        let groups = client.groups();
        let answers = match action {
            _ if jids.is_empty() => Vec::new(),
            MemberAction::Add => asked(groups.add_participants(group, &jids)).await?,
            MemberAction::Remove => asked(groups.remove_participants(group, &jids)).await?,
            MemberAction::Promote => asked(groups.promote_participants(group, &jids)).await?,
            MemberAction::Demote => asked(groups.demote_participants(group, &jids)).await?,
        };
        Ok(found.into_iter().map(|found| found.among(&answers)).collect())
    }

    /// Looks all of them up at once. One who is named twice counts once.
    pub(super) async fn find_members(
        &self,
        client: &Arc<Client>,
        members: Vec<NamedMember>,
    ) -> Result<Vec<Found>, WhatsAppError> {
        let looked = members
            .into_iter()
            .enumerate()
            .map(|(place, named)| async move { self.find_member(client, place, named).await });
        let mut found: Vec<Found> = Vec::new();
        for one in timely(try_join_all(looked)).await?? {
            let twice = |other: &Found| one.jid.is_some() && one.jid == other.jid;
            if !found.iter().any(twice) {
                found.push(one);
            }
        }
        Ok(found)
    }

    async fn find_member(
        &self,
        client: &Arc<Client>,
        place: usize,
        named: NamedMember,
    ) -> Result<Found, WhatsAppError> {
        let missing = ("not_on_whatsapp", "the number is not on WhatsApp");
        let given = named.given;
        let phone = match named.to {
            Recipient::Jid(jid) => {
                let jid = inside(&jid)?;
                let Identity { phone, lid, .. } = Identity::of(client, &jid, None).await?;
                return Ok(Found { place, given, jid: Some(jid), missing, phone, lid });
            }
            Recipient::Phone(phone) => phone,
        };
        let space = self.context.store.space(&self.context.name);
        let listing = self.context.directory.find(&space, client, &phone).await?;
        let Some(listing) = listing else {
            return Ok(Found { place, given, jid: None, missing, phone: Some(phone), lid: None });
        };
        let jid = Jid::parse(&listing.jid)
            .map_err(|error| WhatsAppError::Refused(error.to_string()))
            .and_then(|jid| inside(&jid))?;
        let identity = Identity::of(client, &jid, None).await?;
        let lid = listing.lid.or(identity.lid);
        Ok(Found { place, given, jid: Some(jid), missing, phone: identity.phone, lid })
    }
}
