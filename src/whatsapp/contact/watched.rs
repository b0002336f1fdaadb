//! What was heard of those about whom somebody asked. It is over in a moment, so what goes to the log is bounded: of each
//! person what is new, and not more often than every other second.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;
use serde_json::json;
use tokio::time::Instant;
use wa_rs::Jid;
use wa_rs::wacore_binary::JidExt as _;

use crate::model::{DeviceName, Event, EventData, EventId, EventType, Person, UnixMillis};

/// About how many people a device may be asked at once.
pub(crate) const MOST: usize = 100;
/// What happens within this time after an event is one event.
const BETWEEN: Duration = Duration::from_secs(2);

/// What somebody does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Doing {
    Available,
    Unavailable,
    /// They write.
    Composing,
    /// They speak a voice note.
    Recording,
    /// They no longer do.
    Paused,
}

/// What was heard of somebody last.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Heard {
    pub(crate) doing: Doing,
    /// The chat in which they write; none when it is about them alone.
    pub(crate) chat: Option<Jid>,
    /// Since when they are away, as far as they let it be known.
    pub(crate) last_seen: Option<UnixMillis>,
    pub(crate) at: UnixMillis,
}

/// Somebody about whom it is to be known.
#[derive(Clone, Debug)]
struct Subject {
    phone: Option<String>,
    lid: Option<String>,
    heard: Option<Heard>,
    /// What the log has of it, and since when.
    told: Option<(Doing, Option<Jid>, Instant)>,
    /// Whether something is to be told as soon as it may be.
    waits: bool,
}

/// Those about whom it is to be known, by the address that WhatsApp was asked under.
#[derive(Default)]
pub(crate) struct Watched(Mutex<BTreeMap<String, Subject>>);

/// What is known of somebody's presence.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Seen {
    pub(crate) jid: String,
    pub(crate) phone: Option<String>,
    pub(crate) lid: Option<String>,
    pub(crate) presence: Option<Doing>,
    pub(crate) chat: Option<String>,
    #[serde(rename = "last_seen")]
    pub(crate) online: Option<UnixMillis>,
    since: Option<UnixMillis>,
}

impl Watched {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Subject>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether there was room for them.
    pub(crate) fn add(&self, jid: &Jid, lid: Option<String>, phone: Option<String>) -> bool {
        let mut watched = self.lock();
        let key = jid.to_string();
        let room = watched.contains_key(&key) || watched.len() < MOST;
        if room {
            let new = Subject { phone, lid, heard: None, told: None, waits: false };
            watched.entry(key).or_insert(new);
        }
        room
    }

    /// Another account has other contacts.
    pub(crate) fn forget(&self) {
        self.lock().clear();
    }

    /// Whoever is asked about under a key of this.
    pub(crate) fn remove(&self, jid: &Jid, lid: Option<&str>, phone: Option<&str>) -> Vec<String> {
        let mut watched = self.lock();
        let same = |key: &str, subject: &Subject| {
            key == jid.to_string()
                || (lid.is_some() && subject.lid.as_deref() == lid)
                || (phone.is_some() && subject.phone.as_deref() == phone)
        };
        let keys: Vec<String> = watched
            .iter()
            .filter(|(key, subject)| same(key, subject))
            .map(|(key, _)| key.clone())
            .collect();
        watched.retain(|key, _| !keys.contains(key));
        keys
    }

    pub(crate) fn addresses(&self) -> Vec<Jid> {
        self.lock().keys().filter_map(|key| key.parse().ok()).collect()
    }

    pub(crate) fn list(&self) -> Vec<Seen> {
        let seen = |(key, subject): (&String, &Subject)| {
            let heard = subject.heard.as_ref();
            Seen {
                jid: key.clone(),
                phone: subject.phone.clone(),
                lid: subject.lid.clone(),
                presence: heard.map(|heard| heard.doing),
                chat: heard.and_then(|heard| heard.chat.as_ref()).map(Jid::to_non_ad_string),
                online: heard.and_then(|heard| heard.last_seen),
                since: heard.map(|heard| heard.at),
            }
        };
        self.lock().iter().map(seen).collect()
    }

    /// Takes in what was heard of somebody; whose it is, if somebody asked and it is new.
    pub(crate) fn hear(&self, who: &Jid, heard: Heard) -> Option<String> {
        let mut watched = self.lock();
        let is = |subject: &Subject| {
            let user = if who.is_lid() { &subject.lid } else { &subject.phone };
            user.as_deref() == Some(who.user.as_str())
        };
        let own = who.to_non_ad_string();
        let (key, subject) = watched.iter_mut().find(|(key, one)| **key == own || is(one))?;
        let same = |old: &Heard| {
            (old.doing, &old.chat, old.last_seen) == (heard.doing, &heard.chat, heard.last_seen)
        };
        if subject.heard.as_ref().is_some_and(same) {
            return None;
        }
        subject.heard = Some(heard);
        Some(key.clone())
    }

    /// The event of what was heard of somebody last, or how long to wait for it; nothing when it is told, or somebody
    /// waits already.
    pub(crate) fn due(
        &self,
        device: &DeviceName,
        key: &str,
        waited: bool,
    ) -> Option<Result<Event, Duration>> {
        let mut watched = self.lock();
        let subject = watched.get_mut(key)?;
        if subject.waits && !waited {
            return None;
        }
        let heard = subject.heard.as_ref()?;
        let since = subject.told.as_ref().map_or(BETWEEN, |(.., at)| at.elapsed());
        if since < BETWEEN {
            subject.waits = true;
            return Some(Err(BETWEEN.saturating_sub(since)));
        }
        subject.waits = false;
        let told = |(doing, chat, _): &(Doing, Option<Jid>, Instant)| {
            *doing == heard.doing && *chat == heard.chat
        };
        if subject.told.as_ref().is_some_and(told) {
            return None;
        }
        let event = event(device, key, subject, heard);
        subject.told = Some((heard.doing, heard.chat.clone(), Instant::now()));
        Some(Ok(event))
    }
}

fn event(device: &DeviceName, key: &str, subject: &Subject, heard: &Heard) -> Event {
    let by_phone = subject.phone.as_ref().map(|phone| format!("{phone}@s.whatsapp.net"));
    let chat = match &heard.chat {
        Some(chat) if chat.is_group() => chat.to_non_ad_string(),
        _ => by_phone.unwrap_or_else(|| key.to_owned()),
    };
    let from = Person {
        jid: key.to_owned(),
        phone: subject.phone.clone(),
        lid: subject.lid.clone(),
        name: None,
    };
    let kind = EventType::PresenceUpdated;
    let at = heard.at.millis().to_string();
    let data = json!({
        "chat": chat, "from": from, "presence": heard.doing, "last_seen": heard.last_seen,
    });
    Event {
        id: EventId::derive(&[device.as_str(), &chat, key, &at, kind.as_str()]),
        kind,
        timestamp: heard.at,
        device: device.clone(),
        data: EventData::Other(data),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(doing: Doing) -> Heard {
        Heard { doing, chat: None, last_seen: None, at: UnixMillis::now() }
    }

    #[tokio::test(start_paused = true)]
    async fn a_restless_person_is_one_event_in_two_seconds_and_the_last_word_counts() {
        let watched = Watched::default();
        let device = DeviceName::parse("toko").unwrap();
        let (jid, other) = (Jid::lid("77"), Jid::lid("78"));
        assert!(watched.add(&jid, Some("77".to_owned()), Some("628111".to_owned())));
        assert_eq!(watched.hear(&other, heard(Doing::Available)), None, "nobody asked");
        let key = watched.hear(&Jid::pn("628111"), heard(Doing::Available)).unwrap();
        assert_eq!(watched.hear(&jid, heard(Doing::Available)), None, "it is known");
        let first = watched.due(&device, &key, false).unwrap().unwrap();
        let json = serde_json::to_value(&first).unwrap();
        assert_eq!(json["data"]["chat"], "628111@s.whatsapp.net");
        assert_eq!(json["data"]["presence"], "available");

        watched.hear(&jid, heard(Doing::Composing)).unwrap();
        let wait = watched.due(&device, &key, false).unwrap().unwrap_err();
        watched.hear(&jid, heard(Doing::Paused)).unwrap();
        assert!(watched.due(&device, &key, false).is_none(), "one waits for both");
        tokio::time::sleep(wait).await;
        let last = watched.due(&device, &key, true).unwrap().unwrap();
        let EventData::Other(data) = last.data else { panic!("a presence") };
        assert_eq!(data["presence"], "paused");
    }

    #[test]
    fn there_is_a_limit_and_whoever_is_asked_about_twice_counts_once() {
        let watched = Watched::default();
        for n in 0..MOST {
            assert!(watched.add(&Jid::lid(n.to_string()), Some(n.to_string()), None));
        }
        assert!(
            watched.add(&Jid::lid("1"), None, None) && !watched.add(&Jid::lid("999"), None, None)
        );
        assert_eq!(watched.remove(&Jid::pn("1"), Some("1"), None), ["1@lid"]);
        assert!(watched.add(&Jid::lid("999"), None, None));
    }
}
