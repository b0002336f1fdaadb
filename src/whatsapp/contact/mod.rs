//! What is known of people: their profiles, whom the account keeps out, and what it says of itself.

mod account;
mod block;
mod find;
pub(crate) mod presence;
mod profile;
pub(crate) mod row;
pub(crate) mod watched;

use wa_rs::client::Client;
use wa_rs::{ContactError, Jid};

use super::error::WhatsAppError;
use super::handle::{DeviceHandle, Lookup, address, inside, timely};
use crate::model::{PhoneNumber, Recipient};

/// What is known of a number, or why it is not known whether it is on WhatsApp.
type Checked = Result<Option<Lookup>, WhatsAppError>;

impl DeviceHandle {
    /// Which of many numbers are on WhatsApp, in their order.
    pub(crate) async fn check(
        &self,
        phones: &[PhoneNumber],
    ) -> Result<Vec<Checked>, WhatsAppError> {
        let client = self.client()?;
        let space = self.context.store.space(&self.context.name);
        let found = timely(self.context.directory.find_all(&space, &client, phones)).await??;
        let shown = |found: super::directory::Listing| {
            let jid = address(&found.jid)?;
            Ok(Lookup { jid, lid: found.lid, name: found.name })
        };
        Ok(found.into_iter().map(|found| found?.map(shown).transpose()).collect())
    }

    /// Under which address WhatsApp knows a person; a number that is not there is not found.
    pub(crate) async fn person(&self, who: &Recipient) -> Result<Jid, WhatsAppError> {
        match who {
            Recipient::Phone(phone) => {
                let jid = self.on_whatsapp(phone).await?.ok_or(WhatsAppError::NotOnWhatsApp)?;
                inside(&jid)
            }
            Recipient::Jid(jid) => inside(jid),
        }
    }
}

/// A person's LID and phone number, as far as known.
pub(super) async fn both(client: &Client, jid: &Jid) -> (Option<String>, Option<String>) {
    super::directory::both(client, jid, None).await
}

impl From<ContactError> for WhatsAppError {
    fn from(error: ContactError) -> Self {
        match error {
            ContactError::Iq(error) => error.into(),
            other => Self::Refused(other.to_string()),
        }
    }
}
