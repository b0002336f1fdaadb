//! A group's message for a device that nobody told us of, and that asks for it again. The engine asks for the devices of
//! that member then, so that the next message reaches it, and does not send this one again; that is done here.

use wa_rs::buffa::Message as _;
use wa_rs::client::Client;
use wa_rs::wacore::store::error::Result as StoreResult;
use wa_rs::wacore::store::traits::ProtocolStore;
use wa_rs::wacore_binary::{JidExt, NodeRef};
use wa_rs::waproto::whatsapp as wa;
use wa_rs::{Jid, MessageRetransmission};

use crate::whatsapp::context::Context;
use crate::whatsapp::session::SessionStore;

/// What is asked for, and by whom.
pub(crate) struct Retry {
    group: Jid,
    device: Jid,
    message: String,
    count: u8,
}

impl Retry {
    /// Reads a stanza; `None` unless it asks for a group's message and brings no keys. With keys the engine answers anybody.
    pub(crate) fn of(stanza: &NodeRef<'_>) -> Option<Self> {
        let text = |node: &NodeRef<'_>, key: &str| {
            node.get_attr(key).map(|value| value.as_str().into_owned())
        };
        if stanza.tag.as_ref() != "receipt"
            || text(stanza, "type")? != "retry"
            || stanza.get_optional_child("keys").is_some()
        {
            return None;
        }
        let group: Jid = text(stanza, "from")?.parse().ok()?;
        let retry = stanza.get_optional_child("retry")?;
        let count = text(retry, "count").and_then(|count| count.parse().ok()).unwrap_or(1);
        let device: Jid = text(stanza, "participant")?.parse().ok()?;
        let message = text(retry, "id")?;
        group.is_group().then_some(Self { group, device, message, count })
    }

    /// Sends the message again if the device is a member's and was not known before.
    pub(crate) async fn answer(self, context: &Context, client: &Client) {
        match self.unanswered(context, client).await {
            Ok(Some(request)) => {
                if let Err(error) = client.retransmit_message(request).await {
                    tracing::debug!(device = %context.name, %error, "A message was not sent again.");
                }
            }
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(device = %context.name, %error, "What a device asks for again could not be looked up.");
            }
        }
    }

    async fn unanswered(
        self,
        context: &Context,
        client: &Client,
    ) -> StoreResult<Option<MessageRetransmission>> {
        let session = context.backend();
        if is_known(&session, &self.device).await? {
            return Ok(None);
        }
        let Some(sent) = session.take_sent_message(&self.group.to_string(), &self.message).await?
        else {
            return Ok(None);
        };
        let Ok(message) = wa::Message::decode_from_slice(&sent) else { return Ok(None) };
        let Ok(members) = client.groups().query_info(&self.group).await else { return Ok(None) };
        let is_member = members.participants.iter().any(|member| member.user == self.device.user);
        let Self { group, device, message: id, count } = self;
        let request = || MessageRetransmission::new(group, device, message, id, count);
        Ok(is_member.then(request))
    }
}

/// Whether the engine knows the device, under either address of its owner.
async fn is_known(session: &SessionStore, device: &Jid) -> StoreResult<bool> {
    if device.device == 0 {
        return Ok(true);
    }
    let user = device.user.as_str();
    let mapping = if device.is_lid() {
        session.get_lid_mapping(user).await?
    } else {
        session.get_pn_mapping(user).await?
    };
    let users = match mapping {
        Some(entry) => vec![entry.lid, entry.phone_number],
        None => vec![user.to_owned()],
    };
    for user in users {
        let list = session.get_devices(&user).await?;
        let number = u32::from(device.device);
        if list.is_some_and(|list| list.devices.iter().any(|known| known.device_id == number)) {
            return Ok(true);
        }
    }
    Ok(false)
}
