//! Sends one message: looks the receiver up, builds the message and hands it to the engine under the id that its caller
//! was given. What the outcome means for the queue is decided in `queue`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use wa_rs::client::{Client, ClientError};
use wa_rs::send::{SendError, SendOptions, SendResult};
use wa_rs::wacore::proto_helpers::MessageBuilderExt;
use wa_rs::wacore::store::traits::ProtocolStore;
use wa_rs::waproto::whatsapp as wa;
use wa_rs::{Freshness, Jid};

use super::encode::EncodeError;
use super::failure::Failure;
use super::parts::{MessageParts, Quote, channel, mention};
use super::{encode, forward, preview, status, turn};
use crate::model::{
    self, ChatKind, Content, MessageId, MessageStatus, Recipient, SentMessage, Thumbnail,
    UnixMillis,
};
use crate::store::Batch;
use crate::whatsapp::context::Context;
use crate::whatsapp::history::lookup::{find_in, in_touch};
use crate::whatsapp::history::row::{BuiltRow, MediaRow};
use crate::whatsapp::history::{poll, timer};
use crate::whatsapp::media::upload::{self, Wanted};
use crate::whatsapp::receive::attachment::sent_file;

/// How long the engine may take to write one message to the socket, lookups of the receiver's devices included.
const PATIENCE: Duration = Duration::from_secs(90);

/// `written` says whether the engine may have written it to the connection, also when this is dropped before its end.
pub(crate) async fn send_one(
    context: &Arc<Context>,
    client: &Client,
    row: &SentMessage,
    written: &mut bool,
) -> Result<(), Failure> {
    announced(context, row).await?;
    locked(context, row).await?;
    let (to, addresses) = address(context, client, &row.request.to).await?;
    if let Content::Read { message, author } = &row.request.content {
        waits(context, row).await?;
        *written = true;
        context.read_receipts.insert(message);
        mark_read(client, &to, message, author.as_ref()).await?;
        context.store.queue().advance(&context.name, &row.id, MessageStatus::Sent).await?;
        return Ok(());
    }
    let kind = row.request.to.jid().chat_kind();
    if kind == ChatKind::Channel {
        channel::takes(&row.request.content)?;
    }
    let mut message = message(context, client, &to, row).await?;
    if let Some(seconds) = timer::of(context, client, &to).await? {
        encode::disappearing(&mut message, seconds);
    }
    let audience = match kind {
        ChatKind::Status => Some(status::audience(context, client, row).await?),
        _ => None,
    };
    if let Some(moment) = row.request.typing
        && is_unsent(context, row).await?
    {
        turn::show_typing(context, client, &to, moment).await;
    }
    let paced = context.pace.borrow().is_some();
    let _wire = if paced && is_unsent(context, row).await? {
        turn::take(context, client, &to, row, &addresses).await?
    } else {
        None
    };
    // Looking up, fetching and uploading can take minutes, in which a caller may have taken the message back.
    let mut claim = context.claims.send(&row.id).ok_or(Failure::Withdrawn)?;
    let now = waits(context, row).await?;
    if now.status == MessageStatus::Queued && now.is_over(UnixMillis::now()) {
        return Err(Failure::never("expired", &"it could not go until its time was over"));
    }
    let keyed = matches!(kind, ChatKind::Group | ChatKind::Status);
    if keyed && now.status == MessageStatus::Sent {
        // The engine takes the group's key for delivered once it is written. It went down with the first try, perhaps.
        let cleared = context.backend().clear_sender_key_devices(&to.to_string()).await;
        cleared.map_err(|error| Failure::Later(error.to_string()))?;
    }
    claim.doubt();
    *written = true;
    let sent = if kind == ChatKind::Channel && row.request.content.about().is_some() {
        channel::change(client, &to, &row.request.content).await?;
        Ok(())
    } else if let Some(audience) = &audience {
        status::hand_over(context, client, row, audience, message).await?.map(drop)
    } else {
        write(context, client, row, &to, message).await?.map(drop)
    };
    if let Err(error) = sent {
        *written = may_be_written(&error);
        if !*written {
            claim.settle();
        }
        return Err(error.into());
    }
    if let Content::Revoke { message, .. } = &row.request.content {
        context.backend().forget_sent(message.as_str()).await?;
    }
    if kind == ChatKind::Channel && row.request.content.about().is_some() {
        // WhatsApp's ack names the post that was changed.
        context.store.queue().advance(&context.name, &row.id, MessageStatus::Accepted).await?;
    }
    if let Content::Timer { seconds } = &row.request.content {
        timer::keep(context, client, &to, *seconds).await?;
    }
    // By the time of WhatsApp's ack the disk has what the ack needs there.
    context.store.space(&context.name).hurry().await?;
    // From here on nobody takes it back, so this is written before the claim ends.
    context.store.queue().left(&context.name, &row.id, addresses).await?;
    claim.settle();
    if keyed && let Err(error) = keep_holders(context, &to).await {
        tracing::debug!(device = %context.name, ?error, "Who has a group's key is not written: they get it again.");
    }
    Ok(())
}

/// Keeps who was given the group's key with a message that left.
async fn keep_holders(context: &Context, group: &Jid) -> Result<(), Failure> {
    let (session, group) = (context.backend(), group.to_string());
    if session.has_new_holders(&group) {
        context.store.queue().settle().await?;
        let kept = session.keep_holders(&group).await;
        kept.map_err(|error| Failure::Later(error.to_string()))?;
    }
    Ok(())
}

/// Hands a message to the engine; a group's with the list of its members' devices, new where that is due.
async fn write(
    context: &Context,
    client: &Client,
    row: &SentMessage,
    to: &Jid,
    message: wa::Message,
) -> Result<Result<SendResult, SendError>, Failure> {
    let options = SendOptions::default().with_message_id(row.id.as_str());
    let group = row.request.to.jid().is_group();
    if group && context.fresh.is_due(&to.to_string(), Instant::now()) {
        let refreshing = options.clone().with_device_freshness(Freshness::Refresh);
        match hand_over(client, to, message.clone(), refreshing).await? {
            Err(error) if !may_be_written(&error) => {
                tracing::debug!(device = %context.name, %error, "Sending by the list of a group's devices that is known.");
            }
            sent => return Ok(sent),
        }
    }
    hand_over(client, to, message, options).await
}

/// An outer error if it takes too long.
async fn hand_over(
    client: &Client,
    to: &Jid,
    message: wa::Message,
    options: SendOptions,
) -> Result<Result<SendResult, SendError>, Failure> {
    let sending = client.send_message_with_options(to.clone(), message, options);
    let sent = tokio::time::timeout(PATIENCE, sending).await;
    sent.map_err(|_| Failure::Later("the send took too long".to_owned()))
}

/// A socket that fails may have taken all of a message before.
fn may_be_written(error: &SendError) -> bool {
    matches!(error, SendError::Client(ClientError::Socket(_) | ClientError::EncryptSend(_)))
}

/// While WhatsApp locks the account, it takes nothing for people with whom it is not in touch.
async fn locked(context: &Context, row: &SentMessage) -> Result<(), Failure> {
    let Some(lock) = context.holds.lock() else { return Ok(()) };
    let jid = row.request.to.jid();
    let message = row.request.content.is_message();
    let person = jid.chat_kind() == ChatKind::Person;
    if !message || !person || in_touch(&context.store, &context.name, &jid).await? {
        return Ok(());
    }
    Err(Failure::Locked(lock))
}

/// Files whose album failed would stand alone, or fail one by one as it did.
async fn announced(context: &Context, row: &SentMessage) -> Result<(), Failure> {
    let Some(album) = &row.request.album else { return Ok(()) };
    let album = context.store.queue().get(&context.name, album).await?;
    match album.map(|album| album.status) {
        Some(MessageStatus::Failed { detail, .. }) => Err(Failure::never("album_failed", &detail)),
        _ => Ok(()),
    }
}

/// The message as it is now, if it is still to be sent: its caller may have taken it back, or the device may have been
/// linked to another account.
async fn waits(context: &Context, row: &SentMessage) -> Result<SentMessage, Failure> {
    let now = context.store.queue().get(&context.name, &row.id).await?;
    now.filter(|now| !now.status.is_settled()).ok_or(Failure::Withdrawn)
}

/// Whether it was never written to WhatsApp.
async fn is_unsent(context: &Context, row: &SentMessage) -> Result<bool, Failure> {
    Ok(waits(context, row).await?.status == MessageStatus::Queued)
}

async fn mark_read(
    client: &Client,
    chat: &Jid,
    message: &MessageId,
    author: Option<&model::Jid>,
) -> Result<(), Failure> {
    let author: Option<Jid> = match author.map(|author| author.as_str().parse()).transpose() {
        Ok(author) => author,
        Err(error) => return Err(Failure::never("invalid_request", &error)),
    };
    let ids = [message.as_str()];
    match tokio::time::timeout(PATIENCE, client.mark_as_read(chat, author.as_ref(), &ids)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) => Err(Failure::Offline),
        Err(_) => Err(Failure::Later("the read receipt took too long".to_owned())),
    }
}

/// The message as WhatsApp gets it. What cannot be made twice (an upload, a forwarded message that may be forgotten
/// soon) is kept with the first try, so that every try sends the same.
async fn message(
    context: &Arc<Context>,
    client: &Client,
    to: &Jid,
    row: &SentMessage,
) -> Result<wa::Message, Failure> {
    let space = context.store.space(&context.name);
    let kept = matches!(row.request.content, Content::Media { .. } | Content::Forward { .. });
    if kept && let Some(built) = BuiltRow::find(&space, &row.id).await? {
        return Ok(built);
    }
    let parts = prepare(context, client, to, row).await?;
    let message = encode::message(to, &row.request, parts).map_err(|error| match error {
        EncodeError::Unknown => Failure::never("message_not_found", &error),
        error => Failure::never("invalid_request", &error),
    })?;
    if kept {
        let mut batch = Batch::new();
        if let Content::Media { .. } = &row.request.content
            && let Some(file) = sent_file(&message, &to.to_string(), row.request.view_once)
        {
            file.put(&mut batch, &row.id);
        }
        BuiltRow::put(&mut batch, &row.id, &message);
        space.write(batch).await?;
    }
    Ok(message)
}

/// Where a receiver is, and all that is known of that.
async fn address(
    context: &Context,
    client: &Client,
    to: &Recipient,
) -> Result<(Jid, Vec<String>), Failure> {
    let invalid = |error| Failure::never("invalid_request", &error);
    let phone = match to {
        Recipient::Jid(jid) => {
            let address = jid.as_str().parse().map_err(invalid)?;
            return Ok((address, turn::addresses_by(to, None)));
        }
        Recipient::Phone(phone) => phone,
    };
    let space = context.store.space(&context.name);
    let Some(listing) = context.directory.find(&space, client, phone).await? else {
        return Err(Failure::never("not_on_whatsapp", &"this number is not on WhatsApp"));
    };
    let address = listing.jid.parse().map_err(invalid)?;
    Ok((address, turn::addresses_by(to, Some(listing))))
}

async fn prepare(
    context: &Arc<Context>,
    client: &Client,
    to: &Jid,
    row: &SentMessage,
) -> Result<MessageParts, Failure> {
    let request = &row.request;
    let mentions = mention::of(client, to, request).await?;
    let mut parts = MessageParts { mentions, ..MessageParts::default() };
    let chat = request.to.jid();
    let group = chat.is_group();
    if let Some(id) = &request.reply_to {
        parts.quote = Some(quote(context, client, to, id, &chat).await?);
    }
    match &request.content {
        Content::Edit { message, .. } => {
            if group {
                parts.own = own(client, to).await;
            }
            let sent = context.store.queue().own(&context.name, message).await?;
            if sent.is_some_and(|sent| matches!(sent.request.content, Content::Media { .. })) {
                let file = forward::file(context, message, |row| row.from_me).await?;
                let error = "the file is not known here any more, so its caption stays";
                parts.original =
                    Some(file.ok_or_else(|| Failure::never("message_not_found", &error))?);
            }
        }
        Content::Reaction { message, author: None, .. } => {
            let found = find_in(&context.store, &context.name, message, &chat).await?;
            parts.author = found.filter(|found| !found.from_me).map(|found| found.from.jid);
        }
        Content::Media { media, source, mime, filename, thumbnail, as_document, .. } => {
            let wanted = Wanted {
                kind: *media,
                as_document: *as_document,
                source,
                mime: mime.as_deref(),
                filename: filename.as_deref(),
            };
            let file = upload::upload(context, client, wanted).await?;
            // What the caller wants to be shown counts most.
            let shown = thumbnail.as_ref().map(Thumbnail::bytes);
            parts.thumbnail = shown.or_else(|| file.thumbnail.clone());
            parts.file = Some(file);
            if request.album.is_some() && group {
                parts.own = own(client, to).await;
            }
        }
        Content::LinkedText { text } => parts.preview = preview::of(context, text).await,
        Content::Poll { options, .. } => {
            let space = context.store.space(&context.name);
            parts.secret = Some(poll::sent(&space, row.id.as_str(), options).await?);
        }
        Content::Event { .. } => {
            let space = context.store.space(&context.name);
            parts.secret = Some(poll::sent(&space, row.id.as_str(), &[]).await?);
        }
        Content::Forward { message } => {
            parts.original = forward::original(context, message).await?;
        }
        _ => {}
    }
    Ok(parts)
}

/// What is known of the message that is quoted. An unknown one is quoted by its id alone, which WhatsApp's clients
/// resolve themselves if they have it.
async fn quote(
    context: &Context,
    client: &Client,
    to: &Jid,
    id: &MessageId,
    chat: &model::Jid,
) -> Result<Quote, Failure> {
    let found = find_in(&context.store, &context.name, id, chat).await?;
    // Whoever sends a message chooses its id: a file of another chat may have the same one.
    let mut chats = vec![to.to_string(), chat.to_string()];
    if let Some(found) = found.as_ref().filter(|found| found.group.is_none() && !found.from_me) {
        chats.extend(found.from.phone.iter().map(|phone| format!("{phone}@s.whatsapp.net")));
        chats.extend(found.from.lid.iter().map(|lid| format!("{lid}@lid")));
    }
    let here = |row: &MediaRow| row.chat.as_ref().is_some_and(|chat| chats.contains(chat));
    let file = forward::file(context, id, here).await?;
    if let Some(found) = found {
        let filename = found.media.as_ref().and_then(|media| media.filename.clone());
        let message = file
            .or_else(|| forward::received(&found))
            .or_else(|| forward::outline(&found.kind(), found.text.clone(), filename))
            .unwrap_or_else(|| wa::Message::text(found.text.unwrap_or_default()));
        return Ok(Quote { id: id.clone(), author: Some(found.from.jid), message });
    }
    let ours = context.store.queue().own(&context.name, id).await?;
    let content = ours.as_ref().map(|row| &row.request.content);
    let message = file
        .or_else(|| content.and_then(forward::sent))
        .or_else(|| content.and_then(forward::outline_of))
        .unwrap_or_else(|| wa::Message::text(content.and_then(Content::words).unwrap_or_default()));
    let author = match (ours.is_some(), chat.is_group()) {
        (true, true) => own(client, to).await,
        (true, false) => client.pn().map(|jid| jid.to_non_ad_string()),
        (false, false) => Some(to.to_string()),
        (false, true) => None,
    };
    Ok(Quote { id: id.clone(), author, message })
}

/// Our own address in a group, which is a LID in some groups and a phone number in others.
async fn own(client: &Client, chat: &Jid) -> Option<String> {
    let by_lid = match client.groups().query_info(chat).await {
        Ok(group) => group.addressing_mode == wa_rs::types::message::AddressingMode::Lid,
        Err(_) => false,
    };
    let jid = if by_lid { client.lid() } else { client.pn() };
    jid.map(|jid| jid.to_non_ad_string())
}
