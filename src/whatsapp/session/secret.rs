//! Message secrets, with which later reactions, votes and edits are decrypted.

use wa_rs::async_trait;
use wa_rs::wacore::store::error::Result;
use wa_rs::wacore::store::traits::{
    MessageSecret, MsgSecretEntry, MsgSecretStore, merge_msg_secret_expiry,
    merge_msg_secret_message_ts,
};

use super::store::{SessionStore, damaged};
use crate::store::Key;

const SECRET: u8 = b'M';

#[async_trait]
impl MsgSecretStore for SessionStore {
    async fn put_msg_secrets(&self, entries: Vec<MsgSecretEntry>) -> Result<usize> {
        let stored = entries.len();
        self.update_in_order(move |txn| {
            for entry in entries {
                let key = secret_key(&entry.chat, &entry.sender, &entry.msg_id);
                let mut row = SecretRow {
                    secret: entry.secret,
                    expires_at: entry.expires_at,
                    message_ts: entry.message_ts,
                };
                if let Some(old) = txn.get(&key)?.and_then(|old| SecretRow::parse(&old)) {
                    row.expires_at = merge_msg_secret_expiry(old.expires_at, row.expires_at);
                    row.message_ts = merge_msg_secret_message_ts(old.message_ts, row.message_ts);
                }
                txn.put(key, row.into_bytes());
            }
            Ok(stored)
        })
        .await
    }

    async fn get_msg_secret(
        &self,
        chat: &str,
        sender: &str,
        message: &str,
    ) -> Result<Option<Vec<u8>>> {
        let found = self.get_msg_secret_with_ts(chat, sender, message).await?;
        Ok(found.map(|(secret, _)| secret))
    }

    async fn get_msg_secret_with_ts(
        &self,
        chat: &str,
        sender: &str,
        message: &str,
    ) -> Result<Option<(Vec<u8>, i64)>> {
        let Some(row) = self.get(secret_key(chat, sender, message)).await? else {
            return Ok(None);
        };
        let row = SecretRow::parse(&row).ok_or_else(|| damaged("a message secret"))?;
        Ok(Some((row.secret.to_vec(), row.message_ts)))
    }

    async fn delete_expired_msg_secrets(&self, cutoff: i64) -> Result<u32> {
        let old = move |row: &[u8]| {
            SecretRow::parse(row).is_none_or(|row| row.expires_at != 0 && row.expires_at <= cutoff)
        };
        self.expire(Key::new(SECRET), old).await
    }
}

struct SecretRow {
    secret: MessageSecret,
    expires_at: i64,
    message_ts: i64,
}

impl SecretRow {
    fn parse(row: &[u8]) -> Option<Self> {
        let (secret, rest) = row.split_first_chunk::<32>()?;
        let (expires_at, rest) = rest.split_first_chunk::<8>()?;
        let (message_ts, _) = rest.split_first_chunk::<8>()?;
        let (expires_at, message_ts) =
            (i64::from_be_bytes(*expires_at), i64::from_be_bytes(*message_ts));
        Some(Self { secret: *secret, expires_at, message_ts })
    }

    fn into_bytes(self) -> Vec<u8> {
        let (expires_at, message_ts) =
            (self.expires_at.to_be_bytes(), self.message_ts.to_be_bytes());
        [self.secret.as_slice(), &expires_at, &message_ts].concat()
    }
}

fn secret_key(chat: &str, sender: &str, message: &str) -> Key {
    Key::new(SECRET).part(chat).part(sender).rest(message)
}
