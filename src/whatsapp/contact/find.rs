//! Whom a device knows, without a question to WhatsApp: the address book of the account's owner, those who
//! wrote, and the numbers that were looked up lately.

use std::collections::BTreeMap;

use serde::Serialize;

use super::row::{names, push_names};
use crate::whatsapp::directory::Listing;
use crate::whatsapp::error::WhatsAppError;
use crate::whatsapp::handle::DeviceHandle;

/// A person who is known.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Known {
    pub(crate) phone: String,
    jid: String,
    /// The digits of the LID.
    lid: Option<String>,
    /// As the owner's address book has it.
    name: Option<String>,
    /// The name that they chose, as their messages have it.
    push_name: Option<String>,
    /// The name of a business that WhatsApp verified.
    verified_name: Option<String>,
}

impl Known {
    /// Somebody of whom nothing but the number is known.
    fn number(phone: &str) -> Self {
        Self {
            phone: phone.to_owned(),
            jid: format!("{phone}@s.whatsapp.net"),
            lid: None,
            name: None,
            push_name: None,
            verified_name: None,
        }
    }

    /// Whether a name, or the number, has these words in it.
    fn has(&self, words: &str) -> bool {
        let names = [&self.name, &self.push_name, &self.verified_name];
        let mut names = names.into_iter().flatten().map(|name| name.to_lowercase());
        self.phone.contains(words) || names.any(|name| name.contains(words))
    }
}

impl DeviceHandle {
    /// Those who are known, by number, beginning after one; and whether there are more than `most`.
    pub(crate) async fn contacts(
        &self,
        words: Option<&str>,
        after: Option<&str>,
        most: usize,
    ) -> Result<(Vec<Known>, bool), WhatsAppError> {
        let account = self.status().account.and_then(|account| account.phone);
        let Some(account) = account else { return Ok((Vec::new(), false)) };
        let space = self.context.store.space(&self.context.name);
        let mut known: BTreeMap<String, Known> = BTreeMap::new();
        for (phone, listing) in Listing::all(&space).await? {
            let (jid, verified_name) = (listing.jid, listing.name);
            let one = Known { jid, lid: listing.lid, verified_name, ..Known::number(&phone) };
            known.insert(phone, one);
        }
        for (phone, row) in names(&space, account.as_str()).await? {
            let one = known.entry(phone.clone()).or_insert_with(|| Known::number(&phone));
            one.lid = one.lid.take().or(row.lid);
            one.name = Some(row.name);
        }
        for (phone, name) in push_names(&space, account.as_str()).await? {
            let one = known.entry(phone.clone()).or_insert_with(|| Known::number(&phone));
            one.push_name = Some(name);
        }
        let words = words.map(str::to_lowercase);
        let wanted = |one: &Known| words.as_deref().is_none_or(|words| one.has(words));
        let later = |one: &Known| after.is_none_or(|after| one.phone.as_str() > after);
        let mut found: Vec<Known> =
            known.into_values().filter(|one| later(one) && wanted(one)).take(most + 1).collect();
        let more = found.len() > most;
        found.truncate(most);
        Ok((found, more))
    }
}
