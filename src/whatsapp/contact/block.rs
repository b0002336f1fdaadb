//! Whom the account keeps out: they cannot write to it, call it or see its presence.

use futures_util::FutureExt;
use serde::Serialize;
use wa_rs::BlockingError;

use super::both;
use crate::model::{Recipient, UnixMillis};
use crate::whatsapp::error::WhatsAppError;
use crate::whatsapp::handle::{DeviceHandle, timely};

/// One who is kept out.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Block {
    jid: String,
    phone: Option<String>,
    /// The digits of the LID.
    lid: Option<String>,
    /// Since when, as far as WhatsApp says.
    since: Option<UnixMillis>,
}

impl DeviceHandle {
    /// The whole list, as WhatsApp has it.
    pub(crate) async fn blocks(&self) -> Result<Vec<Block>, WhatsAppError> {
        let client = self.client()?;
        let mut list = Vec::new();
        for entry in timely(client.blocking().get_blocklist().boxed()).await?? {
            let (lid, phone) = both(&client, &entry.jid).await;
            let since = entry.timestamp.map(UnixMillis::from_secs);
            list.push(Block { jid: entry.jid.to_non_ad_string(), phone, lid, since });
        }
        Ok(list)
    }

    /// Keeps somebody out, or lets them in again. Done when this returns.
    pub(crate) async fn block(&self, who: &Recipient, on: bool) -> Result<(), WhatsAppError> {
        let client = self.client()?;
        let jid = self.person(who).await?;
        let blocking = client.blocking();
        let done = if on {
            timely(blocking.block(&jid).boxed()).await?
        } else {
            timely(blocking.unblock(&jid).boxed()).await?
        };
        Ok(done?)
    }
}

impl From<BlockingError> for WhatsAppError {
    fn from(error: BlockingError) -> Self {
        match error {
            BlockingError::Iq(error) => error.into(),
            // WhatsApp wants both addresses of a person, and has told only one so far.
            BlockingError::InvalidJid(_) => Self::Refused(
                "the number and the LID of this contact are not both known yet; they are when it has written".to_owned(),
            ),
            error => Self::Refused(error.to_string()),
        }
    }
}
