//! Those who wait to be let in.

use serde::{Deserialize, Serialize};

use super::fetch::asked;
use super::member::{MemberResult, NamedMember};
use super::view::Identity;
use crate::model::{Jid, UnixMillis};
use crate::whatsapp::error::WhatsAppError;
use crate::whatsapp::handle::{DeviceHandle, inside};

/// What is done with those who wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RequestAction {
    Approve,
    Reject,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct JoinRequest {
    #[serde(flatten)]
    identity: Identity,
    /// Since when they wait.
    since: Option<UnixMillis>,
}

impl DeviceHandle {
    pub(crate) async fn join_requests(&self, id: &Jid) -> Result<Vec<JoinRequest>, WhatsAppError> {
        let (client, group) = (self.client()?, inside(id)?);
        let mut list = Vec::new();
        for one in asked(client.groups().get_membership_requests(&group)).await? {
            let identity = Identity::of(&client, &one.jid, None).await?;
            list.push(JoinRequest { identity, since: one.request_time.map(UnixMillis::from_secs) });
        }
        Ok(list)
    }

    /// Lets people in, or not, and says of each what became of it.
    pub(crate) async fn answer_requests(
        &self,
        id: &Jid,
        action: RequestAction,
        members: Vec<NamedMember>,
    ) -> Result<Vec<MemberResult>, WhatsAppError> {
        let (client, group) = (self.client()?, inside(id)?);
        let waiting = self.join_requests(id).await?;
        let mut found = self.find_members(&client, members).await?;
        for one in &mut found {
            let known = waiting.iter().find(|request| one.is(&request.identity));
            one.missing = ("not_waiting", "they do not wait to be let in");
            one.jid = known.map(|request| inside(&request.identity.jid)).transpose()?;
        }
        let jids: Vec<_> = found.iter().filter_map(|found| found.jid.clone()).collect();
        let groups = client.groups();
        let answers = match action {
            _ if jids.is_empty() => Vec::new(),
            RequestAction::Approve => {
                asked(groups.approve_membership_requests(&group, &jids)).await?
            }
            RequestAction::Reject => {
                asked(groups.reject_membership_requests(&group, &jids)).await?
            }
        };
        Ok(found.into_iter().map(|found| found.among(&answers)).collect())
    }
}
