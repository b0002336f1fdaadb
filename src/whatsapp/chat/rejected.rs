//! Which calls were rejected lately, and who was told.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use data_encoding::HEXUPPER;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::sync::MutexGuard;

use crate::model::{MessageId, UnixMillis};
use crate::store::{Batch, Space, StoreError};

/// Where it is kept who was told when, in the device's space.
pub(crate) const TOLD: &[u8] = b"called/";
/// Within this time a caller is told once.
pub(crate) const KEEP_TOLD: Duration = Duration::from_hours(1);
/// How many calls are remembered as rejected: WhatsApp tells of one more than once.
const REMEMBERED: usize = 64;

/// When somebody was told.
#[derive(Serialize, Deserialize)]
struct Told {
    at: UnixMillis,
}

/// The calls that were rejected lately.
#[derive(Default)]
pub(crate) struct Rejected {
    calls: Mutex<VecDeque<String>>,
    turn: tokio::sync::Mutex<()>,
}

impl Rejected {
    /// Whether this call was not rejected yet; now it is.
    pub(crate) fn is_new(&self, call: &str) -> bool {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        let new = !calls.iter().any(|known| known == call);
        if new {
            calls.push_back(call.to_owned());
            if calls.len() > REMEMBERED {
                calls.pop_front();
            }
        }
        new
    }

    /// Whether this call was rejected lately.
    pub(crate) fn has(&self, call: &str) -> bool {
        let calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        calls.iter().any(|known| known == call)
    }

    /// Whoever holds it may look who was told, and tell.
    pub(crate) async fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().await
    }
}

/// Whether somebody was told lately; `who` is an account and a caller of it.
pub(crate) async fn was_told(space: &Space, who: &str) -> Result<bool, StoreError> {
    let Some(row) = space.get(row(who)).await? else { return Ok(false) };
    let told: Told = serde_json::from_slice(&row)
        .map_err(|error| StoreError::Damaged(format!("when a caller was told: {error}")))?;
    Ok(UnixMillis::now().since(told.at) < KEEP_TOLD)
}

/// Keeps that somebody is told now.
pub(crate) async fn keep_told(space: &Space, who: &str) -> Result<(), StoreError> {
    let mut batch = Batch::new();
    match serde_json::to_vec(&Told { at: UnixMillis::now() }) {
        Ok(json) => batch.put(row(who), json),
        Err(error) => tracing::error!(%error, "When a caller was told could not be serialised."),
    }
    space.write(batch).await
}

fn row(who: &str) -> Vec<u8> {
    [TOLD, who.as_bytes()].concat()
}

/// The id of the text about a call: the same however often WhatsApp tells of the call.
pub(crate) fn answer_id(account: &str, call: &str) -> MessageId {
    let hash = Sha256::digest(format!("call/{account}/{call}"));
    let (bytes, _) = hash.split_at(9);
    MessageId::parse(&format!("3EB0{}", HEXUPPER.encode(bytes))).unwrap_or_else(MessageId::random)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_rejected_once_and_its_answer_has_one_id() {
        let rejected = Rejected::default();
        assert!(rejected.is_new("A") && !rejected.is_new("A") && rejected.is_new("B"));
        for n in 0..REMEMBERED {
            assert!(rejected.is_new(&n.to_string()));
        }
        assert!(rejected.is_new("A"), "long ago");
        let id = answer_id("628123456789", "CALL");
        assert_eq!(id, answer_id("628123456789", "CALL"));
        assert_ne!(id, answer_id("628123456788", "CALL"));
        assert_eq!(id.as_str().len(), 22);
    }
}
