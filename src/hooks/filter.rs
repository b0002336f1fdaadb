//! Which events of a wanted type an endpoint gets: those of the chats that it was asked to listen to.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::Value;

use crate::config::{ChatFilter, EndpointConfig};
use crate::model::{ChatKind, ChatPattern, EventType, Jid};

/// What the filter looks at. Which of it an event has depends on its type.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    data: About<'a>,
}

#[derive(Default, Deserialize)]
struct About<'a> {
    #[serde(borrow, default)]
    chat: Option<Cow<'a, str>>,
    #[serde(default)]
    chat_kind: Option<ChatKind>,
    /// The group of a `group.updated`; of a call, whether it was made in one.
    #[serde(default)]
    group: Value,
    /// Whom a message whose status is told went to.
    #[serde(borrow, default)]
    to: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    from: Option<From<'a>>,
    /// The number of somebody who calls.
    #[serde(borrow, default)]
    phone: Option<Cow<'a, str>>,
    #[serde(default)]
    from_me: bool,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum From<'a> {
    Address(#[serde(borrow)] Cow<'a, str>),
    Person {
        #[serde(borrow)]
        jid: Cow<'a, str>,
        #[serde(borrow, default)]
        phone: Option<Cow<'a, str>>,
        #[serde(borrow, default)]
        lid: Option<Cow<'a, str>>,
    },
}

/// Whether the endpoint, which wants events of this type, wants the one whose JSON is `source`.
pub(super) fn passes(endpoint: &EndpointConfig, kind: EventType, source: &[u8]) -> bool {
    let plain = matches!(kind, EventType::MessageReceived | EventType::MessageSent);
    if plain && endpoint.chats == ChatFilter::default() {
        return true;
    }
    // Its reader will see what is wrong with it.
    let Ok(Envelope { data }) = serde_json::from_slice(source) else { return true };
    data.is_wanted(endpoint)
}

impl About<'_> {
    fn is_wanted(&self, endpoint: &EndpointConfig) -> bool {
        let ChatFilter { kinds, only, ignore, from_me } = &endpoint.chats;
        let Some(chat) = self.chat() else { return true };
        let chat_kind = self.chat_kind.or_else(|| Some(Jid::parse(chat).ok()?.chat_kind()));
        let kind = match chat_kind.unwrap_or_default() {
            ChatKind::Status => endpoint.events.wants(EventType::StatusReceived),
            ChatKind::Channel => endpoint.events.wants(EventType::ChannelReceived),
            ChatKind::Person | ChatKind::Broadcast => kinds.contains(&ChatKind::Person),
            ChatKind::Group => kinds.contains(&ChatKind::Group),
        };
        let addresses = self.addresses(chat, chat_kind.unwrap_or_default());
        let named = |patterns: &[ChatPattern]| {
            patterns.iter().any(|pattern| addresses.iter().any(|address| pattern.fits(address)))
        };
        kind && (only.is_empty() || named(only)) && !named(ignore) && (*from_me || !self.from_me)
    }

    fn chat(&self) -> Option<&str> {
        let caller = match &self.from {
            Some(From::Address(address)) => Some(&**address),
            _ => None,
        };
        self.chat.as_deref().or(self.group.as_str()).or(self.to.as_deref()).or(caller)
    }

    /// Every address under which the chat is known. A person has a number and a LID; a status is its author's.
    fn addresses<'s>(&'s self, chat: &'s str, kind: ChatKind) -> Vec<&'s str> {
        let mut addresses = vec![chat];
        addresses.extend(self.phone.as_deref());
        if !self.from_me
            && !matches!(kind, ChatKind::Group | ChatKind::Channel)
            && let Some(From::Person { jid, phone, lid }) = &self.from
        {
            addresses.push(jid);
            addresses.extend([phone, lid].into_iter().flatten().map(|address| &**address));
        }
        addresses
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const BUDI: &str = r#"{"data":{"id":"1","chat":"628123456789@s.whatsapp.net","chat_kind":"person","group":null,
        "from":{"jid":"77@lid","phone":"628123456789","lid":"77","name":"Budi"},"from_me":false}}"#;
    const GROUP: &str = r#"{"data":{"id":"1","chat":"1203@g.us","chat_kind":"group","group":"1203@g.us",
        "from":{"jid":"77@lid","phone":"628123456789","lid":"77","name":"Budi"},"from_me":false}}"#;
    const MINE: &str = r#"{"data":{"id":"1","chat":"628123456789@s.whatsapp.net","chat_kind":"person","group":null,
        "from":{"jid":"99@lid","phone":"628999","lid":"99","name":null},"from_me":true}}"#;
    const STATUS: &str = r#"{"data":{"id":"1","chat":"status@broadcast","chat_kind":"status","group":null,
        "from":{"jid":"77@lid","phone":"628123456789","lid":"77","name":"Budi"},"from_me":false}}"#;
    const CHANGED: &str =
        r#"{"data":{"group":"1203@g.us","by":"77@lid","by_phone":null,"change":{}}}"#;
    const CALL: &str = r#"{"data":{"id":"c","from":"77@lid","phone":"628123456789","video":false,"group":false,"missed":false}}"#;
    const FAR: &str =
        r#"{"data":{"id":"1","to":"628123456789@s.whatsapp.net","status":"read","code":null}}"#;
    const STATE: &str = r#"{"data":{"status":"CONNECTED","state":"connected","reason":null}}"#;
    /// An event of a version before chats had a kind.
    const OLD: &str = r#"{"data":{"id":"1","chat":"1203@g.us","group":"1203@g.us","from":{"jid":"77@lid"},"from_me":false}}"#;

    fn wanted(change: impl Fn(&mut EndpointConfig)) -> String {
        let mut endpoint = EndpointConfig::new(1, "https://a.example".to_owned());
        endpoint.events.0.extend(EventType::ALL);
        endpoint.events.0.remove(&EventType::StatusReceived);
        change(&mut endpoint);
        let events = [
            ("budi", EventType::MessageReceived, BUDI),
            ("group", EventType::MessageReceived, GROUP),
            ("mine", EventType::MessageSent, MINE),
            ("status", EventType::MessageRevoked, STATUS),
            ("changed", EventType::GroupUpdated, CHANGED),
            ("call", EventType::CallOffer, CALL),
            ("far", EventType::MessageStatus, FAR),
            ("state", EventType::DeviceState, STATE),
            ("old", EventType::MessageEdited, OLD),
        ];
        let passing =
            events.into_iter().filter(|(_, kind, body)| passes(&endpoint, *kind, body.as_bytes()));
        passing.map(|(name, ..)| name).collect::<Vec<_>>().join(" ")
    }

    fn patterns(texts: &[&str]) -> Vec<ChatPattern> {
        texts.iter().map(|text| ChatPattern::parse(text).unwrap()).collect()
    }

    #[test]
    fn people_and_groups_unless_told_otherwise() {
        assert_eq!(wanted(|_| ()), "budi group mine changed call far state old");
        let statuses = wanted(|endpoint| {
            endpoint.events.0.insert(EventType::StatusReceived);
        });
        assert_eq!(statuses, "budi group mine status changed call far state old");
        let people = wanted(|endpoint| endpoint.chats.kinds = BTreeSet::from([ChatKind::Person]));
        assert_eq!(people, "budi mine call far state");
        let groups = wanted(|endpoint| endpoint.chats.kinds = BTreeSet::from([ChatKind::Group]));
        assert_eq!(groups, "group changed state old");
        assert_eq!(
            wanted(|endpoint| endpoint.chats.from_me = false),
            "budi group changed call far state old"
        );
    }

    #[test]
    fn chats_by_number_by_address_and_by_a_part() {
        for one in ["628123456789", "62812*", "+62 812-3456-789"] {
            let only = wanted(|endpoint| endpoint.chats.only = patterns(&[one]));
            assert_eq!(only, "budi mine call far state", "{one}");
            let ignore = wanted(|endpoint| endpoint.chats.ignore = patterns(&[one]));
            assert_eq!(ignore, "group changed state old", "{one}");
        }
        let group = wanted(|endpoint| endpoint.chats.only = patterns(&["1203@g.us"]));
        assert_eq!(group, "group changed state old");
        let both = wanted(|endpoint| {
            endpoint.chats.only = patterns(&["62812*", "*@g.us"]);
            endpoint.chats.ignore = patterns(&["1203@g.us"]);
        });
        assert_eq!(both, "budi mine call far state");
    }
}
