//! The names of people: those under which the account's owner has them in their address book, as WhatsApp tells the account's
//! devices, and those that they chose themselves, which come with their messages.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use wa_rs::Jid;
use wa_rs::client::Client;
use wa_rs::types::events::ContactUpdate;

use crate::model::{Cap, Person};
use crate::store::{Batch, Space, StoreError};

/// Where they are kept, in the device's space.
const NAMES: &str = "name/";
const PUSH_NAMES: &str = "push/";
/// How many of the names that are kept are known without a look.
const REMEMBERED: usize = 4096;

/// What is kept of a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NameRow {
    pub(crate) name: String,
    /// The digits of the LID, where WhatsApp says it.
    pub(crate) lid: Option<String>,
}

/// A person of an account, by whose number the name is kept: an account that the device is linked to later has other ones.
#[derive(Clone, Debug)]
pub(crate) struct Named {
    key: String,
    row: NameRow,
}

impl Named {
    /// What WhatsApp tells; `None` for somebody without a number, or without a name.
    pub(crate) fn of(client: &Client, update: &ContactUpdate) -> Option<Self> {
        let user = |text: &Option<String>| {
            let jid: Jid = text.as_deref()?.parse().ok()?;
            Some(jid.user.to_string())
        };
        let own = client.pn()?;
        let (action, jid) = (&update.action, &update.jid);
        let phone = if jid.is_pn() { jid.user.to_string() } else { user(&action.pn_jid)? };
        let lid = if jid.is_lid() { Some(jid.user.to_string()) } else { user(&action.lid_jid) };
        let names = [&action.full_name, &action.first_name];
        let name =
            names.into_iter().flatten().map(|name| name.trim()).find(|name| !name.is_empty());
        let row = NameRow { name: name?.to_owned(), lid };
        Some(Self { key: format!("{}/{phone}", own.user), row })
    }

    pub(crate) fn put(&self, batch: &mut Batch) {
        match serde_json::to_vec(&self.row) {
            Ok(json) => batch.put(format!("{NAMES}{}", self.key), json),
            Err(error) => tracing::error!(%error, "A name could not be serialised."),
        }
    }
}

/// All names of an account's address book, by number.
pub(crate) async fn names(
    space: &Space,
    account: &str,
) -> Result<Vec<(String, NameRow)>, StoreError> {
    let prefix = format!("{NAMES}{account}/");
    let mut names = Vec::new();
    for (key, value) in space.scan(prefix.as_str()).await? {
        let phone = key.strip_prefix(prefix.as_bytes()).map(String::from_utf8_lossy);
        let row = serde_json::from_slice(&value)
            .map_err(|error| StoreError::Damaged(format!("a name: {error}")))?;
        names.extend(phone.map(|phone| (phone.into_owned(), row)));
    }
    Ok(names)
}

/// The names that people chose, as far as they are known to be kept already.
#[derive(Default)]
pub(crate) struct PushNames(Mutex<BTreeMap<String, String>>);

impl PushNames {
    /// Puts the name that came with a message into a batch, unless it is kept; under what to `remember` it.
    pub(crate) fn put(
        &self,
        batch: &mut Batch,
        account: &str,
        person: &Person,
    ) -> Option<(String, String)> {
        let (phone, name) = (person.phone.as_deref()?, person.name.as_deref()?);
        let mut cap = Cap::new();
        let mut name = Some(name.to_owned());
        cap.maybe(&mut name);
        let (key, name) = (format!("{PUSH_NAMES}{account}/{phone}"), name?);
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.get(&key) == Some(&name) {
            return None;
        }
        batch.put(key.as_str(), name.as_bytes().to_vec());
        Some((key, name))
    }

    /// What was put is on the disk.
    pub(crate) fn remember(&self, kept: Vec<(String, String)>) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() + kept.len() > REMEMBERED {
            known.clear();
        }
        known.extend(kept);
    }
}

/// The name that a person chose.
pub(crate) async fn push_name(
    space: &Space,
    account: &str,
    phone: &str,
) -> Result<Option<String>, StoreError> {
    let row = space.get(format!("{PUSH_NAMES}{account}/{phone}").as_str()).await?;
    Ok(row.and_then(|name| String::from_utf8(name.to_vec()).ok()))
}

/// The names that people chose, by number.
pub(crate) async fn push_names(
    space: &Space,
    account: &str,
) -> Result<Vec<(String, String)>, StoreError> {
    let prefix = format!("{PUSH_NAMES}{account}/");
    let rows = space.scan(prefix.as_str()).await?;
    let of = |(key, name): (Vec<u8>, bytes::Bytes)| {
        let phone = String::from_utf8(key.strip_prefix(prefix.as_bytes())?.to_vec()).ok()?;
        Some((phone, String::from_utf8(name.to_vec()).ok()?))
    };
    Ok(rows.into_iter().filter_map(of).collect())
}
