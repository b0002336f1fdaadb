//! A group that is made once, however often its request is repeated under a key.

use std::time::Duration;

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::member::NewGroup;
use crate::model::{IdempotencyKey, Jid, UnixMillis};
use crate::store::{Batch, Space, StoreError};
use crate::whatsapp::error::WhatsAppError;
use crate::whatsapp::handle::{DeviceHandle, outside, timely};

/// Where it is kept what was made, in the device's space.
const MADE: &str = "made/";
/// For how long.
const KEPT: Duration = Duration::from_hours(7 * 24);
/// How far WhatsApp's clock may be from ours.
const SKEW: Duration = Duration::from_mins(2);

/// What is kept of a request.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Row {
    at: UnixMillis,
    /// The hash of the request.
    request: String,
    /// What was answered; none while nobody knows what became of it.
    answer: Option<Value>,
}

/// What came of a request under a key.
pub(crate) enum Once {
    Made(Value),
    /// The key is that of another request.
    Conflict,
}

impl DeviceHandle {
    /// Makes a group, unless one was made under this key. Where a request broke off, its group is looked for first.
    pub(crate) async fn create_group_once(
        &self,
        new: NewGroup,
        key: &IdempotencyKey,
        request: &str,
    ) -> Result<Once, WhatsAppError> {
        let _turn = self.context.making.lock().await;
        let space = self.context.store.space(&self.context.name);
        forget_old(&space).await?;
        let place = format!("{MADE}{}", HEXLOWER.encode(&Sha256::digest(key.as_str())));
        let request = HEXLOWER.encode(&Sha256::digest(request));
        let mut made = None;
        let row = match find(&space, &place).await? {
            Some(row) if row.request != request => return Ok(Once::Conflict),
            Some(Row { answer: Some(answer), .. }) => return Ok(Once::Made(answer)),
            Some(row) => {
                made = self.begun(&new.name, row.at).await?;
                row
            }
            None => Row { at: UnixMillis::now(), request, answer: None },
        };
        put(&space, &place, &row).await?;
        let outcome = match made {
            Some(id) => self.finish_group(&id, new).await,
            None => self.create_group(new).await,
        };
        let (group, results) = match outcome {
            Ok(made) => made,
            // It was refused, so there is nothing to look for.
            Err(error @ WhatsAppError::Refused(_)) => {
                let mut batch = Batch::new();
                batch.remove(place);
                space.write(batch).await?;
                return Err(error);
            }
            Err(error) => return Err(error),
        };
        let answer = json!({ "group": group, "results": results });
        put(&space, &place, &Row { answer: Some(answer.clone()), ..row }).await?;
        Ok(Once::Made(answer))
    }

    /// The group of that name that came to be since then.
    async fn begun(&self, name: &str, since: UnixMillis) -> Result<Option<Jid>, WhatsAppError> {
        let client = self.client()?;
        let groups = timely(client.groups().get_participating()).await?;
        let groups = groups.map_err(crate::whatsapp::handle::group_error)?;
        let earliest = since.secs().saturating_sub(SKEW.as_secs());
        let fits = |group: &&wa_rs::GroupMetadata| {
            group.subject == name && group.creation_time.is_some_and(|at| at >= earliest)
        };
        groups.values().find(fits).map(|group| outside(&group.id)).transpose()
    }
}

async fn find(space: &Space, place: &str) -> Result<Option<Row>, StoreError> {
    let row = space.get(place.as_bytes().to_vec()).await?;
    row.map(|row| read(&row)).transpose()
}

fn read(row: &[u8]) -> Result<Row, StoreError> {
    let damaged = |error| StoreError::Damaged(format!("what was made under a key: {error}"));
    serde_json::from_slice(row).map_err(damaged)
}

async fn put(space: &Space, place: &str, row: &Row) -> Result<(), StoreError> {
    let mut batch = Batch::new();
    match serde_json::to_vec(row) {
        Ok(json) => batch.put(place, json),
        Err(error) => tracing::error!(%error, "What was made could not be serialised."),
    }
    space.write(batch).await
}

async fn forget_old(space: &Space) -> Result<(), StoreError> {
    let mut old = Batch::new();
    let mut any = false;
    for (key, row) in space.scan(MADE).await? {
        if UnixMillis::now().since(read(&row)?.at) > KEPT {
            old.remove(key);
            any = true;
        }
    }
    if any { space.write(old).await } else { Ok(()) }
}
