//! Messages that cannot be read: told, so that nobody waits in vain for what only the phone shows. When the sender's
//! phone sends one again and that can be read, `message.received` follows under the same WhatsApp id.

use serde_json::json;
use wa_rs::types::message::MessageInfo;
use wa_rs::wacore::message_processing::EncType;
use wa_rs::wacore_binary::{JidExt, NodeRef};
use wa_rs::{Jid, Server};

use crate::model::{DeviceName, Event, EventData, EventId, EventType, Person, UnixMillis};
use crate::whatsapp::directory::chat_kind;

/// Why a message cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// Its key is not the one that it was encrypted with; its sender was asked to send it again.
    DecryptionFailed,
    /// WhatsApp gave it to the phone only, which was asked for it.
    PhoneOnly,
    /// It is encrypted in a way that the engine does not know.
    UnknownEncryption,
    /// It holds nothing that could be decrypted.
    Malformed,
}

impl Why {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::DecryptionFailed => "decryption_failed",
            Self::PhoneOnly => "phone_only",
            Self::UnknownEncryption => "unknown_encryption",
            Self::Malformed => "malformed",
        }
    }
}

/// A message that cannot be read, by what its envelope says.
pub(crate) struct Unread {
    id: String,
    chat: Jid,
    sender: Jid,
    at: UnixMillis,
    from_me: bool,
    pub(crate) why: Why,
}

impl Unread {
    /// What the engine could not decrypt.
    pub(crate) fn of(info: &MessageInfo, why: Why) -> Self {
        let at = u64::try_from(info.timestamp.timestamp_millis()).unwrap_or_default();
        Self {
            id: info.id.clone(),
            chat: info.source.chat.clone(),
            sender: info.source.sender.clone(),
            at: UnixMillis::from_millis(at),
            from_me: info.source.is_from_me,
            why,
        }
    }

    /// The event, for the addresses that people know the sender and the chat by.
    pub(crate) fn event(self, device: &DeviceName, from: &Person, chat: &str) -> Event {
        let kind = EventType::MessageUndecryptable;
        // From the addresses in the stanza, like those of messages that can be read.
        let id = EventId::derive(&[
            device.as_str(),
            &self.chat.to_non_ad_string(),
            &self.sender.to_non_ad_string(),
            &self.id,
            kind.as_str(),
        ]);
        let data = json!({
            "id": self.id,
            "group": self.chat.is_group().then_some(chat),
            "chat": chat,
            "chat_kind": chat_kind(&self.chat),
            "from": from,
            "from_me": self.from_me,
            "why": self.why.as_str(),
        });
        let (device, data) = (device.clone(), EventData::Other(data));
        Event { id, kind, timestamp: self.at, device, data }
    }
}

/// A message of which the engine acknowledges the stanza and tells nothing: none of its parts can be decrypted, for
/// what they are. With it its sender and chat, as far as the stanza says.
pub(crate) fn unreadable(stanza: &NodeRef<'_>) -> Option<(Unread, Person, String)> {
    if stanza.tag.as_ref() != "message" || stanza.get_optional_child("unavailable").is_some() {
        return None;
    }
    let text = |key: &str| stanza.get_attr(key).map(|value| value.as_str().into_owned());
    let jid = |key: &str| text(key).and_then(|text| text.parse::<Jid>().ok());
    let from = jid("from").filter(|from| from.server != Server::Newsletter)?;
    let mut why = Why::Malformed;
    for part in stanza.get_children_by_tag("enc").chain(shared(stanza)) {
        let kind = part.get_attr("type").map(|value| value.as_str().into_owned());
        let known = kind.as_deref().map(|kind| EncType::from_wire(kind).is_some());
        match known {
            Some(true) if part.content_bytes().is_some_and(|bytes| !bytes.is_empty()) => {
                return None;
            }
            Some(false) => why = Why::UnknownEncryption,
            _ => {}
        }
    }
    let sender = jid("participant").unwrap_or_else(|| from.clone());
    let of_both = |server: Server, keys: [&str; 2]| {
        let other = keys.into_iter().find_map(jid);
        let own = Some(&sender).filter(|sender| sender.server == server).cloned();
        own.or(other).map(|jid| jid.user.to_string())
    };
    let person = Person {
        jid: sender.to_non_ad_string(),
        phone: of_both(Server::Pn, ["sender_pn", "participant_pn"]),
        lid: of_both(Server::Lid, ["sender_lid", "participant_lid"]),
        name: text("notify").filter(|name| !name.is_empty()),
    };
    let chat = match &person.phone {
        Some(phone) if from == sender || from.is_broadcast_list() => {
            format!("{phone}@s.whatsapp.net")
        }
        None if from.is_broadcast_list() => sender.to_non_ad_string(),
        _ => from.to_non_ad_string(),
    };
    let secs = text("t").and_then(|text| text.parse().ok());
    let at = secs.map_or_else(UnixMillis::now, UnixMillis::from_secs);
    let (chat_jid, id) = (from.to_non_ad(), text("id")?);
    let unread = Unread { id, chat: chat_jid, sender, at, from_me: false, why };
    Some((unread, person, chat))
}

/// The parts of a message that is addressed to several devices at once.
fn shared<'s>(stanza: &'s NodeRef<'s>) -> impl Iterator<Item = &'s NodeRef<'s>> {
    let participants = stanza.get_optional_child("participants");
    let devices = participants.and_then(|list| list.children()).unwrap_or_default();
    devices.iter().flat_map(|device| device.get_children_by_tag("enc"))
}
