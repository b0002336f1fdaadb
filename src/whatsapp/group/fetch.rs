//! Putting questions to WhatsApp, and the one what a group is. The engine's own answer leaves out who may add members: it
//! looks for a word where WhatsApp writes bytes.

use wa_rs::client::Client;
use wa_rs::wacore::iq::groups::{GroupInfoOutcome, GroupQueryIq};
use wa_rs::wacore::iq::spec::IqSpec;
use wa_rs::wacore::request::InfoQuery;
use wa_rs::wacore_binary::NodeRef;
use wa_rs::{GroupError, GroupMetadata, anyhow};

use super::failure::refused;
use super::view::{Group, MembersAdd};
use crate::model::Jid;
use crate::whatsapp::error::WhatsAppError;
use crate::whatsapp::handle::{inside, timely};

/// What WhatsApp says of a group.
pub(super) async fn view(client: &Client, id: &Jid) -> Result<Group, WhatsAppError> {
    let group = inside(id)?;
    let found = timely(Box::pin(client.execute(Query::new(&group)))).await?;
    // WhatsApp also answers "forbidden" or "gone" for groups that the account is not in.
    let found = found.map_err(|error| match error {
        wa_rs::IqError::ServerError { code: 401 | 403 | 410, .. } => WhatsAppError::NotFound,
        error => error.into(),
    })?;
    let (metadata, members_add) = found.ok_or(WhatsAppError::NotFound)?;
    Group::of(client, metadata, members_add).await
}

/// Puts a question to WhatsApp.
pub(super) async fn asked<T>(
    question: impl Future<Output = Result<T, GroupError>>,
) -> Result<T, WhatsAppError> {
    timely(Box::pin(question)).await?.map_err(refused)
}

struct Query(GroupQueryIq);

impl Query {
    fn new(group: &wa_rs::Jid) -> Self {
        Self(GroupQueryIq::new(group))
    }
}

impl IqSpec for Query {
    type Response = Option<(GroupMetadata, MembersAdd)>;

    fn build_iq(&self) -> InfoQuery<'static> {
        self.0.build_iq()
    }

    fn parse_response(&self, response: &NodeRef<'_>) -> Result<Self::Response, anyhow::Error> {
        let GroupInfoOutcome::Full(info) = self.0.parse_response(response)? else {
            return Ok(None);
        };
        let node = ["group", "community"].iter().find_map(|tag| response.get_optional_child(tag));
        let mode = node.and_then(|node| node.get_optional_child("member_add_mode"));
        let mode = mode.and_then(NodeRef::content_as_string);
        Ok(Some((GroupMetadata::from(*info), MembersAdd::of(mode.as_deref()))))
    }
}
