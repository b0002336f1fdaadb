//! Who is who: a person has a phone number, a LID, or both, and WhatsApp uses sometimes one and sometimes the other.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use wa_rs::Jid;
use wa_rs::client::Client;
use wa_rs::features::ContactError;
use wa_rs::types::message::MessageInfo;

use crate::model::{Person, PhoneNumber};

/// How many numbers are remembered.
const KNOWN_MAX: usize = 10_000;

/// Numbers that were found on WhatsApp, with their addresses, so that not every message asks again.
#[derive(Clone, Default)]
pub(crate) struct Known(Arc<Mutex<BTreeMap<PhoneNumber, Jid>>>);

impl Known {
    pub(crate) fn get(&self, phone: &PhoneNumber) -> Option<Jid> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(phone).cloned()
    }

    pub(crate) fn put(&self, phone: PhoneNumber, jid: Jid) {
        let mut map = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if map.len() >= KNOWN_MAX {
            map.clear();
        }
        map.insert(phone, jid);
    }
}

/// Asks WhatsApp about a number; `None` when it is not there.
pub(crate) async fn lookup(
    client: &Client,
    phone: &PhoneNumber,
) -> Result<Option<wa_rs::IsOnWhatsAppResult>, ContactError> {
    let answers = client.contacts().is_on_whatsapp(&[Jid::pn(phone.as_str())]).await?;
    Ok(answers.into_iter().find(|answer| answer.is_registered))
}

/// Who wrote a message, under every address known.
pub(crate) async fn person(client: &Client, info: &MessageInfo) -> Person {
    let sender = &info.source.sender;
    let (lid, phone) = both(client, sender, info.source.sender_alt.as_ref()).await;
    Person {
        jid: sender.to_non_ad_string(),
        phone,
        lid,
        name: Some(info.push_name.clone()).filter(|name| !name.is_empty()),
    }
}

/// The conversation. People are shown by their number where it is known, because that is what an answer is sent to.
pub(crate) async fn chat(client: &Client, info: &MessageInfo) -> String {
    let source = &info.source;
    if !source.chat.is_lid() {
        return source.chat.to_non_ad_string();
    }
    let alt = if source.is_from_me {
        source.recipient_alt.as_ref().or(info.peer_recipient_pn.as_ref())
    } else {
        source.sender_alt.as_ref()
    };
    match both(client, &source.chat, alt).await {
        (_, Some(phone)) => format!("{phone}@s.whatsapp.net"),
        _ => source.chat.to_non_ad_string(),
    }
}

/// The LID and the phone number of a person, as far as known.
async fn both(client: &Client, jid: &Jid, alt: Option<&Jid>) -> (Option<String>, Option<String>) {
    let known = [Some(jid), alt];
    let user = |wanted: fn(&Jid) -> bool| {
        known.into_iter().flatten().find(|jid| wanted(jid)).map(|jid| jid.user.to_string())
    };
    let (lid, phone) = (user(Jid::is_lid), user(Jid::is_pn));
    if (lid.is_some() && phone.is_some()) || (lid.is_none() && phone.is_none()) {
        return (lid, phone);
    }
    // The engine looks in its memory and our store; it never asks WhatsApp.
    match client.get_lid_pn_entry(jid).await {
        Ok(Some(entry)) => (Some(entry.lid.to_string()), Some(entry.phone_number.to_string())),
        _ => (lid, phone),
    }
}

/// A person's addresses, LID first.
pub(crate) async fn addresses(client: &Client, jid: &Jid, alt: Option<&Jid>) -> Vec<String> {
    let (lid, phone) = both(client, jid, alt).await;
    let lid = lid.map(|lid| format!("{lid}@lid"));
    lid.into_iter().chain(phone.map(|phone| format!("{phone}@s.whatsapp.net"))).collect()
}
