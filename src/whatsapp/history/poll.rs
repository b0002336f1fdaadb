//! Polls and events. Each one carries a secret, and the answers to it are encrypted with that. The secret of every one that
//! comes in or goes out is kept, so that a vote can say what was chosen, and a response who comes.

use data_encoding::HEXLOWER;
use wa_rs::client::Client;
use wa_rs::types::message::MessageInfo;
use wa_rs::wacore::proto_helpers::MessageExt;
use wa_rs::wacore::{event, poll};
use wa_rs::waproto::whatsapp as wa;

use super::row::PollRow;
use crate::model::{Cap, UnixMillis};
use crate::store::{Batch, Space, StoreError};
use crate::whatsapp::directory::addresses;
use crate::whatsapp::receive::body::{poll_of, unwrap};

/// What is kept of a poll or an event that came in, or that the account's phone sent.
pub(crate) fn received(info: &MessageInfo, message: &wa::Message) -> Option<PollRow> {
    let base = unwrap(message);
    let mut options: Vec<String> = match poll_of(base) {
        Some(poll) => poll.options.iter().filter_map(|o| o.option_name.clone()).collect(),
        None => base.event_message.as_option().map(|_event| Vec::new())?,
    };
    let secret = [base, message.get_base_message(), message]
        .into_iter()
        .find_map(|part| part.message_context_info.as_option()?.message_secret.as_ref())?;
    let author = (!info.source.is_from_me).then(|| info.source.sender.to_non_ad_string());
    Cap::new().list(&mut options);
    Some(PollRow { at: UnixMillis::now(), secret: HEXLOWER.encode(secret), options, author })
}

/// The secret of a poll or an event that goes out. Every try uses the same one, because an earlier try may have arrived unnoticed.
pub(crate) async fn sent(
    space: &Space,
    id: &str,
    options: &[String],
) -> Result<[u8; 32], StoreError> {
    if let Some(row) = PollRow::find(space, id).await?
        && let Ok(secret) = HEXLOWER.decode(row.secret.as_bytes())
        && let Ok(secret) = secret.try_into()
    {
        return Ok(secret);
    }
    let secret: [u8; 32] = rand::random();
    let row = PollRow {
        at: UnixMillis::now(),
        secret: HEXLOWER.encode(&secret),
        options: options.to_vec(),
        author: None,
    };
    let mut batch = Batch::new();
    row.put(&mut batch, id);
    space.write(batch).await?;
    Ok(secret)
}

/// The answers that a vote chose; empty when the vote was taken back, `None` when it cannot be read.
pub(crate) async fn choices(
    client: &Client,
    info: &MessageInfo,
    vote: &wa::message::PollUpdateMessage,
    row: &PollRow,
) -> Option<Vec<String>> {
    let sealed = vote.vote.as_option()?;
    let sealed = poll::PollVoteCiphertext {
        enc_payload: sealed.enc_payload.as_deref()?,
        enc_iv: sealed.enc_iv.as_deref()?,
    };
    let secret = HEXLOWER.decode(row.secret.as_bytes()).ok()?;
    let id = vote.poll_creation_message_key.as_option()?.id.as_deref()?;
    let open = |author: &str, voter: &str| {
        poll::decrypt_poll_vote_with_secret(sealed, &secret, id, author, voter).ok()
    };
    let hashes = opened(client, info, row, open).await?;
    let name = |hash: &Vec<u8>| {
        let known = row.options.iter().find(|name| poll::compute_option_hash(name) == hash[..]);
        // Of an answer that was added to the poll later, only the hash is known.
        known.cloned().unwrap_or_else(|| format!("sha256:{}", HEXLOWER.encode(hash)))
    };
    Some(hashes.iter().map(name).collect())
}

/// Whether somebody comes to an event, and with how many others; `None` when it cannot be read.
pub(crate) async fn response(
    client: &Client,
    info: &MessageInfo,
    response: &wa::message::EncEventResponseMessage,
    row: &PollRow,
) -> Option<wa::message::EventResponseMessage> {
    let (sealed, iv) = (response.enc_payload.as_deref()?, response.enc_iv.as_deref()?);
    let secret = HEXLOWER.decode(row.secret.as_bytes()).ok()?;
    let id = response.event_creation_message_key.as_option()?.id.as_deref()?;
    let open = |author: &str, guest: &str| {
        event::decrypt_event_response_with_secret(sealed, iv, &secret, id, author, guest).ok()
    };
    opened(client, info, row, open).await
}

/// What an answer says. The addresses are part of its key, and which of a person's two was used depends on both phones.
async fn opened<T>(
    client: &Client,
    info: &MessageInfo,
    row: &PollRow,
    open: impl Fn(&str, &str) -> Option<T>,
) -> Option<T> {
    let source = &info.source;
    let from = addresses(client, &source.sender, source.sender_alt.as_ref()).await;
    let authors = match &row.author {
        Some(author) => addresses(client, &author.parse().ok()?, None).await,
        None => [client.lid(), client.pn()]
            .into_iter()
            .flatten()
            .map(|jid| jid.to_non_ad_string())
            .collect(),
    };
    authors.iter().find_map(|author| from.iter().find_map(|from| open(author, from)))
}
