//! Polls: every poll carries a secret, and its votes are sealed with it. Secret and answers are kept for polls that came
//! in or went out, so that a vote tells what was chosen.

use std::time::Duration;

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use wa_rs::client::Client;
use wa_rs::types::message::MessageInfo;
use wa_rs::wacore::poll;
use wa_rs::wacore::proto_helpers::MessageExt;
use wa_rs::waproto::whatsapp as wa;

use super::decode::{poll_of, unwrap};
use super::inbound::both;
use crate::model::UnixMillis;
use crate::store::{Batch, Space, StoreError};

/// Where the rows are, in the device's space.
pub(crate) const POLLS: &[u8] = b"poll/";
/// People vote late.
pub(crate) const KEEP: Duration = Duration::from_hours(90 * 24);

/// What is needed to read the votes of a poll.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct PollRow {
    at: UnixMillis,
    secret: String,
    options: Vec<String>,
    /// Who asked; `None` for ourselves.
    author: Option<String>,
}

/// The row of a poll that came in, or that the account's phone sent.
pub(crate) fn received(info: &MessageInfo, message: &wa::Message) -> Option<PollRow> {
    let base = unwrap(message);
    let poll = poll_of(base)?;
    let secret = [base, message.get_base_message(), message]
        .into_iter()
        .find_map(|part| part.message_context_info.as_option()?.message_secret.as_ref())?;
    let author = (!info.source.is_from_me).then(|| info.source.sender.to_non_ad_string());
    let options = poll.options.iter().filter_map(|option| option.option_name.clone()).collect();
    Some(PollRow { at: UnixMillis::now(), secret: HEXLOWER.encode(secret), options, author })
}

/// The secret of a poll that goes out: the same on every try, because a try may have arrived unnoticed.
pub(crate) async fn sent(
    space: &Space,
    id: &str,
    options: &[String],
) -> Result<[u8; 32], StoreError> {
    if let Some(row) = find(space, id).await?
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
    put(&mut batch, id, &row);
    space.write(batch).await?;
    Ok(secret)
}

/// Adds the row of a poll to a batch.
pub(crate) fn put(batch: &mut Batch, id: &str, row: &PollRow) {
    match serde_json::to_vec(row) {
        Ok(json) => batch.put([POLLS, id.as_bytes()].concat(), json),
        Err(error) => tracing::error!(%error, "A poll could not be serialised."),
    }
}

/// The row of a poll, when it is known here.
pub(crate) async fn find(space: &Space, id: &str) -> Result<Option<PollRow>, StoreError> {
    let Some(row) = space.get([POLLS, id.as_bytes()].concat()).await? else { return Ok(None) };
    serde_json::from_slice(&row)
        .map(Some)
        .map_err(|error| StoreError::Damaged(format!("poll: {error}")))
}

/// What a vote chose, by name; empty when it was taken back, `None` when it cannot be read.
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
    let source = &info.source;
    let voters = addresses(client, &source.sender, source.sender_alt.as_ref()).await;
    let authors = match &row.author {
        Some(author) => addresses(client, &author.parse().ok()?, None).await,
        None => [client.lid(), client.pn()]
            .into_iter()
            .flatten()
            .map(|jid| jid.to_non_ad_string())
            .collect(),
    };
    // The addresses are part of the key, and which of a person's two was used depends on both phones.
    let hashes = authors.iter().find_map(|author| {
        voters.iter().find_map(|voter| {
            poll::decrypt_poll_vote_with_secret(sealed, &secret, id, author, voter).ok()
        })
    })?;
    let name = |hash: &Vec<u8>| {
        let known = row.options.iter().find(|name| poll::compute_option_hash(name) == hash[..]);
        // An answer that was added later is known by its hash only.
        known.cloned().unwrap_or_else(|| format!("sha256:{}", HEXLOWER.encode(hash)))
    };
    Some(hashes.iter().map(name).collect())
}

/// A person's addresses, LID first.
async fn addresses(client: &Client, jid: &wa_rs::Jid, alt: Option<&wa_rs::Jid>) -> Vec<String> {
    let (lid, phone) = both(client, jid, alt).await;
    let lid = lid.map(|lid| format!("{lid}@lid"));
    lid.into_iter().chain(phone.map(|phone| format!("{phone}@s.whatsapp.net"))).collect()
}
