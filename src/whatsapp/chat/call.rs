//! Calls that the device rejects, because nobody could take them there. Each is rejected once; the caller is told by a text,
//! when there is one in moonwa.toml, once in an hour.

use std::sync::Arc;

use wa_rs::client::Client;
use wa_rs::wacore::types::call::{CallAction, IncomingCall};

use super::rejected::{answer_id, keep_told, was_told};
use crate::config::Calls;
use crate::model::{Content, PhoneNumber, Recipient, SendRequest, SentMessage};
use crate::store::{Enqueued, QUEUE_LIMIT, StoreError};
use crate::whatsapp::contact::both;
use crate::whatsapp::context::Context;

/// Whether the device rejects that call.
pub(crate) fn rejects(context: &Context, call: &IncomingCall) -> bool {
    let rings = matches!(call.action, CallAction::Offer { .. } | CallAction::OfferNotice { .. });
    rings && !call.offline && context.calls.borrow().reject
}

/// Rejects a call and tells the caller.
pub(crate) async fn reject(context: &Arc<Context>, client: &Client, call: &IncomingCall) {
    let id = call.action.call_id();
    if !context.rejected.is_new(id) {
        return;
    }
    if let Err(error) = client.voip().reject(call).await {
        tracing::warn!(device = %context.name, %error, "A call could not be rejected.");
    }
    let Calls { text: Some(text), .. } = context.calls.borrow().clone() else { return };
    if let Err(error) = tell(context, client, call, text).await {
        tracing::error!(device = %context.name, %error, "A caller could not be told that calls are rejected.");
    }
}

async fn tell(
    context: &Context,
    client: &Client,
    call: &IncomingCall,
    text: String,
) -> Result<(), StoreError> {
    let group = match &call.action {
        CallAction::Offer { group_jid, .. } => group_jid.is_some(),
        CallAction::OfferNotice { is_group, .. } => *is_group,
        _ => true,
    };
    if group {
        return Ok(());
    }
    let creator = call.action.call_creator();
    let (lid, phone) = both(client, creator).await;
    let caller = match &call.action {
        CallAction::Offer { caller_pn: Some(pn), .. } => Some(pn.user.to_string()),
        _ => phone,
    };
    let to = caller.and_then(|phone| PhoneNumber::exact(&phone).ok()).map(Recipient::Phone);
    let lid = || Recipient::parse(&format!("{}@lid", lid.as_ref()?), None).ok();
    let Some(to) = to.or_else(lid) else { return Ok(()) };

    let _turn = context.rejected.turn().await;
    let space = context.store.space(&context.name);
    let account = client.pn().map(|own| own.user.to_string()).unwrap_or_default();
    let who = format!("{account}/{}", to.jid().user());
    if was_told(&space, &who).await? {
        return Ok(());
    }
    let request = SendRequest::plain(to, Content::Text { text });
    let id = answer_id(&account, call.action.call_id());
    let message = SentMessage { id, ..SentMessage::new(context.name.clone(), request) };
    if let Enqueued::Full = context.store.queue().enqueue(message, None, QUEUE_LIMIT).await? {
        tracing::warn!(device = %context.name, "A caller is not told: too many messages wait to be sent.");
    }
    keep_told(&space, &who).await
}
