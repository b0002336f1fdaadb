//! A message that the session is past and that was not kept: a kill came between. When WhatsApp sends it again it cannot be
//! decrypted any more, so its sender is asked for it, as for one that never could be, and only then it is acked. It comes
//! behind those that were written after it.

use std::sync::Arc;

use wa_rs::client::Client;
use wa_rs::wacore_binary::JidExt;
use wa_rs::wacore_binary::builder::NodeBuilder;
use wa_rs::{Jid, Server};

use crate::model::{EventId, EventType, UnixMillis};
use crate::store::StoreError;
use crate::whatsapp::context::Context;
use crate::whatsapp::session::{Missed, Repeated};

/// Asks for what was missed, with that client.
pub(crate) fn asking(context: &Arc<Context>, client: &Arc<Client>) -> Missed {
    let (context, client) = (Arc::clone(context), Arc::downgrade(client));
    Box::new(move |message| {
        let (context, client) = (Arc::clone(&context), client.clone());
        Box::pin(async move {
            if is_logged(&context, &message).await? {
                return Ok(());
            }
            // Without an ack it comes once more.
            let client = client.upgrade().ok_or(StoreError::Closed)?;
            ask(&client, &message).await.ok_or(StoreError::Closed)?;
            metrics::counter!("moonwa_messages_asked_again_total", "device" => context.name.to_string())
                .increment(1);
            tracing::info!(device = %context.name, "A message came again that a kill had met before it was kept; its sender was asked for it.");
            Ok(())
        })
    })
}

/// Whether it was told, as whatever it is.
async fn is_logged(context: &Context, message: &Repeated) -> Result<bool, StoreError> {
    let bare = |address: &str| {
        address.parse().map_or_else(|_| address.to_owned(), |jid: Jid| jid.to_non_ad_string())
    };
    let (chat, sender) = (bare(&message.chat), bare(&message.sender));
    for kind in EventType::ALL {
        let parts = [context.name.as_str(), &chat, &sender, &message.id, kind.as_str()];
        // What could not be read then may have come in another copy, which could.
        if kind != EventType::MessageUndecryptable
            && context.store.log().find(&context.name, &EventId::derive(&parts)).await?.is_some()
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Sends the receipt by which clients ask for a message again; `None` if it could not be sent.
async fn ask(client: &Client, message: &Repeated) -> Option<()> {
    let chat: Jid = message.chat.parse().ok()?;
    let sender: Jid = message.sender.parse().ok()?;
    let device = client.persistence_manager().get_device_snapshot();
    let own =
        [&device.pn, &device.lid].into_iter().flatten().any(|own| own.is_same_user_as(&sender));
    let shared = chat.is_group() || chat.server == Server::Broadcast;
    let to = if shared { &chat } else { &sender };
    let mut receipt = NodeBuilder::new("receipt")
        .attr("to", to)
        .attr("id", message.id.clone())
        .attr("type", "retry");
    if shared {
        receipt = receipt.attr("participant", &sender);
    } else if own {
        receipt = receipt.attr("recipient", &chat);
    }
    let retry = NodeBuilder::new("retry")
        .attr("v", "1")
        .attr("id", message.id.clone())
        .attr("t", UnixMillis::now().secs())
        .attr("count", 1u8)
        .build();
    let registration = NodeBuilder::new("registration")
        .bytes(device.registration_id.to_be_bytes().to_vec())
        .build();
    client.send_node(receipt.children([retry, registration]).build()).await.ok()
}
