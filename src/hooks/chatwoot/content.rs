//! What an event of the log is in Chatwoot: a message in somebody's conversation, the end of one, or how far one got.

use serde_json::Value;

use crate::model::detail::Card;
use crate::model::{
    Body, ChatKind, Content, Event, EventData, EventType, Jid, MediaSource, MessageData, MessageId,
    Recipient, SentMessage, StatusData,
};

/// What stands before a message's id in Chatwoot: other bridges write it so, too, and their messages can be answered.
pub(super) const SOURCE: &str = "WAID:";

/// What is to be done in Chatwoot.
#[derive(Debug)]
pub(super) enum Task {
    Say(Box<Say>),
    /// A message was deleted for everyone.
    Remove {
        /// In whose conversation, unless moonwa deleted it.
        whom: Option<Whom>,
        id: String,
    },
    /// Something that moonwa sent got further.
    Status(StatusData),
}

/// A message for a conversation.
#[derive(Debug)]
pub(super) struct Say {
    /// Under what it is remembered that it was said.
    pub(super) key: String,
    /// Its id on WhatsApp.
    pub(super) id: String,
    pub(super) whom: Whom,
    /// Whether the contact wrote it.
    pub(super) incoming: bool,
    pub(super) text: String,
    /// The message that it answers, or is about.
    pub(super) about: Option<String>,
    pub(super) file: Option<FileOf>,
    /// Whether its id is that of something that can be answered and deleted.
    pub(super) whole: bool,
}

/// The file of a message.
#[derive(Debug)]
pub(super) struct FileOf {
    pub(super) message: MessageId,
    /// What it is, for who cannot see it.
    pub(super) kind: String,
    /// Where it can be fetched for a day.
    pub(super) link: Option<String>,
}

/// Whose conversation it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Whom {
    /// Every address that is known; the first is written to.
    pub(super) addresses: Vec<String>,
    pub(super) phone: Option<String>,
    /// What they call themselves.
    pub(super) name: Option<String>,
}

impl Whom {
    pub(super) fn of_address(jid: &Jid) -> Self {
        let phone = jid.phone().map(|phone| phone.as_str().to_owned());
        Self { addresses: vec![jid.as_str().to_owned()], phone, name: None }
    }

    fn of_message(message: &MessageData) -> Option<Self> {
        let chat = Jid::parse(&message.chat).ok()?;
        if !chat.chat_kind().is_answerable() {
            return None;
        }
        let mut whom = Self::of_address(&chat);
        if chat.chat_kind() == ChatKind::Person && !message.from_me {
            whom.name.clone_from(&message.from.name);
            whom.phone = whom.phone.or_else(|| message.from.phone.clone());
            let by_phone = whom.phone.iter().map(|phone| format!("{phone}@s.whatsapp.net"));
            let by_lid = message.from.lid.iter().map(|lid| match lid.split_once('@') {
                Some(_) => lid.clone(),
                None => format!("{lid}@lid"),
            });
            let mut all: Vec<String> = by_phone.chain(whom.addresses).chain(by_lid).collect();
            let mut seen = std::collections::BTreeSet::new();
            all.retain(|address| seen.insert(address.clone()));
            whom.addresses = all;
        }
        Some(whom)
    }

    /// The address that is written to.
    pub(super) fn address(&self) -> &str {
        self.addresses.first().map(String::as_str).unwrap_or_default()
    }

    pub(super) fn group(&self) -> Option<Jid> {
        Jid::parse(self.address()).ok().filter(Jid::is_group)
    }
}

/// What the event whose JSON is `source` is in Chatwoot; `None` when it is nothing there.
pub(super) fn task(source: &[u8]) -> Option<Task> {
    let value: Value = serde_json::from_slice(source).ok()?;
    let link = value.pointer("/data/media/signed_url").and_then(Value::as_str).map(str::to_owned);
    let event: Event = serde_json::from_value(value).ok()?;
    let key = event.id.as_str().to_owned();
    match event.data {
        EventData::Status(status) => Some(Task::Status(status)),
        EventData::Message(message) => said(event.kind, key, *message, link),
        EventData::Device(_) | EventData::Other(_) => None,
    }
}

fn said(kind: EventType, key: String, message: MessageData, link: Option<String>) -> Option<Task> {
    let whom = Whom::of_message(&message)?;
    let edited = message.circumstances.about.message.clone();
    let (text, about, whole) = match (kind, &message.body) {
        (EventType::MessageRevoked, Body::Revoked(target)) => {
            return Some(Task::Remove { whom: Some(whom), id: target.message.clone()? });
        }
        // These say nothing, and the files of an album come by themselves.
        (_, Body::Album(_) | Body::Pin(_) | Body::Keep(_)) => return None,
        (EventType::MessageReceived | EventType::MessageSent, _) => {
            let answered = message.reply_to.as_ref().map(|reply| reply.id.clone());
            (words(&message), answered, true)
        }
        (EventType::MessageReaction, Body::Reaction(reaction)) if !reaction.emoji.is_empty() => {
            (reaction.emoji.clone(), reaction.about.message.clone(), false)
        }
        (EventType::MessageEdited, _) => (format!("✏️ {}", message.text.clone()?), edited, false),
        (EventType::PollVote, Body::PollVote(vote)) => {
            (bullets("☑️", vote.options.as_ref()?), vote.poll.message.clone(), false)
        }
        _ => return None,
    };
    let file = message.media.as_ref().filter(|_| whole).and_then(|_| {
        let kind = message.kind().as_str().to_owned();
        Some(FileOf { message: MessageId::parse(&message.id)?, kind, link })
    });
    let text = match writer(&message).filter(|_| whom.group().is_some()) {
        Some(writer) if text.is_empty() => format!("**{writer}**"),
        Some(writer) => format!("**{writer}**\n\n{text}"),
        None => text,
    };
    let incoming = !message.from_me;
    let say = Say { key, id: message.id, whom, incoming, text, about, file, whole };
    Some(Task::Say(Box::new(say)))
}

/// Who wrote in a group; nobody needs to be told of ourselves.
fn writer(message: &MessageData) -> Option<String> {
    let from = &message.from;
    if message.from_me {
        return None;
    }
    let phone = from.phone.as_ref().map(|phone| format!("+{}", phone.trim_start_matches('+')));
    Some(match (&from.name, phone) {
        (Some(name), Some(phone)) => format!("{name} ({phone})"),
        (Some(name), None) => name.clone(),
        (None, Some(phone)) => phone,
        (None, None) => from.jid.clone(),
    })
}

/// What a message says in words.
fn words(message: &MessageData) -> String {
    let text = message.text.clone().unwrap_or_default();
    let place = |latitude: Option<f64>, longitude: Option<f64>| {
        let degrees = latitude.zip(longitude);
        degrees.map(|(north, east)| format!("https://maps.google.com/?q={north},{east}"))
    };
    let mut lines: Vec<String> = Vec::new();
    match &message.body {
        Body::Location(at) => {
            lines.push("📍".to_owned());
            lines.extend(at.name.clone());
            lines.extend(at.address.clone());
            lines.extend(place(at.latitude, at.longitude));
        }
        Body::LiveLocation(at) => {
            lines.push("📍".to_owned());
            lines.extend(place(at.latitude, at.longitude));
        }
        Body::Contact(cards) => lines.extend(cards.contacts.iter().map(card)),
        Body::Poll(poll) => return format!("📊 {text}\n{}", bullets("◻️", &poll.options)),
        // A file is shown, and a text says itself.
        _ if message.media.is_some() || !text.is_empty() => return text,
        _ => return format!("[{}]", message.kind().as_str()),
    }
    lines.extend(Some(text).filter(|text| !text.is_empty()));
    lines.join("\n")
}

fn card(card: &Card) -> String {
    let name = card.name.as_deref().unwrap_or_default();
    let numbers = card.phones.clone().unwrap_or_default();
    format!("👤 {name} {}", numbers.join(", ")).trim_end().to_owned()
}

fn bullets(mark: &str, options: &[String]) -> String {
    options.iter().map(|option| format!("{mark} {option}")).collect::<Vec<_>>().join("\n")
}

/// What a message that moonwa sent is in Chatwoot, unless Chatwoot asked for it; `None` when it is nothing there.
pub(super) fn sent(message: &SentMessage) -> Option<Task> {
    if !message.request.to.jid().chat_kind().is_answerable() {
        return None;
    }
    let whom = match &message.request.to {
        Recipient::Jid(jid) => Whom::of_address(jid),
        to @ Recipient::Phone(_) => Whom::of_address(&to.jid()),
    };
    let id = message.id.as_str().to_owned();
    let (mut about, mut whole) = (message.request.reply_to.clone(), true);
    let text = match &message.request.content {
        Content::Revoke { message, .. } => {
            return Some(Task::Remove { whom: None, id: message.as_str().to_owned() });
        }
        Content::Edit { message, text } => {
            (about, whole) = (Some(message.clone()), false);
            format!("✏️ {text}")
        }
        Content::Reaction { message, emoji, .. } if !emoji.is_empty() => {
            (about, whole) = (Some(message.clone()), false);
            emoji.clone()
        }
        Content::Media { media, source, caption, .. } => {
            let kind = serde_json::to_value(media).ok()?;
            let link = match source {
                MediaSource::Url(url) => url.as_str(),
                MediaSource::Inline(_) | MediaSource::Uploaded(_) => "",
            };
            let caption = caption.as_deref().unwrap_or_default();
            let kind = format!("[{}] {link}", kind.as_str()?);
            format!("{}\n{caption}", kind.trim_end()).trim_end().to_owned()
        }
        Content::Location { latitude, longitude, name, address } => {
            let lines = ["📍".to_owned()].into_iter().chain(name.clone()).chain(address.clone());
            let link = format!("https://maps.google.com/?q={latitude},{longitude}");
            lines.chain([link]).collect::<Vec<_>>().join("\n")
        }
        Content::Poll { question, options, .. } => {
            format!("📊 {question}\n{}", bullets("◻️", options))
        }
        Content::Forward { .. } => "↪️".to_owned(),
        Content::Text { text } | Content::LinkedText { text } => text.clone(),
        Content::Contact { name, .. } => format!("👤 {name}"),
        Content::Contacts { contacts } => {
            let names = contacts.iter().map(|contact| format!("👤 {}", contact.name));
            names.collect::<Vec<_>>().join("\n")
        }
        Content::Event { name, .. } => format!("🗓️ {name}"),
        Content::Reaction { .. }
        | Content::Album { .. }
        | Content::StatusText { .. }
        | Content::Pin { .. }
        | Content::Timer { .. }
        | Content::Read { .. } => return None,
    };
    let about = about.map(|id| id.as_str().to_owned());
    let key = format!("sent/{id}");
    let say = Say { key, id, whom, incoming: false, text, about, file: None, whole };
    Some(Task::Say(Box::new(say)))
}

/// What a file is called that has no name, so that Chatwoot shows what it is.
pub(super) fn file_name(given: Option<&str>, kind: &str, mime: Option<&str>) -> String {
    if let Some(name) = given.filter(|name| !name.is_empty()) {
        return name.to_owned();
    }
    let mime = mime.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    let ending = match mime {
        "image/jpeg" => "jpg",
        "image/png" => "png",
        "image/webp" => "webp",
        "video/mp4" => "mp4",
        "video/3gpp" => "3gp",
        "audio/ogg" => "ogg",
        "audio/mp4" => "m4a",
        "audio/mpeg" => "mp3",
        "audio/aac" => "aac",
        "application/pdf" => "pdf",
        _ => "bin",
    };
    format!("{kind}.{ending}")
}

/// The word for a kind that stands where there is nothing else to show.
pub(super) fn instead(kind: &str, why: &str, link: Option<&str>) -> String {
    let link = link.filter(|link| link.contains("://")).unwrap_or_default();
    format!("[{kind}: {why}] {link}").trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event(kind: &str, change: impl FnOnce(&mut Value)) -> Option<Task> {
        let mut data = json!({
            "id": "3EB0", "chat": "77@lid", "chat_kind": "person", "from_me": false, "group": null, "kind": "text",
            "from": {"jid": "77@lid", "phone": "628111", "lid": "77", "name": "Budi"},
            "text": "halo", "mentions": [], "reply_to": null, "media": null,
        });
        change(&mut data);
        let id = crate::model::EventId::derive(&[kind]);
        let event = json!({
            "id": id, "type": kind, "timestamp": "2026-11-23T08:00:00Z", "device": "toko", "data": data,
        });
        task(event.to_string().as_bytes())
    }

    fn say(kind: &str, change: impl FnOnce(&mut Value)) -> Say {
        match event(kind, change) {
            Some(Task::Say(say)) => *say,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_person_has_one_conversation_under_all_their_addresses() {
        let said = say("message.received", |_| ());
        assert_eq!(said.whom.addresses, ["628111@s.whatsapp.net", "77@lid"]);
        assert_eq!((said.whom.phone.as_deref(), said.incoming), (Some("628111"), true));
        // Of what we write only the chat is told.
        let own = say("message.sent", |data| data["from_me"] = json!(true));
        assert_eq!((own.whom.addresses, own.incoming), (vec!["77@lid".to_owned()], false));
    }

    #[test]
    fn in_a_group_it_is_said_who_wrote() {
        let group = |data: &mut Value| {
            data["chat"] = json!("1203@g.us");
            data["group"] = json!("1203@g.us");
        };
        let said = say("message.received", group);
        assert_eq!(said.text, "**Budi (+628111)**\n\nhalo");
        assert_eq!((said.whom.addresses, said.whom.phone), (vec!["1203@g.us".to_owned()], None));
    }

    #[test]
    fn what_has_no_words_says_what_it_is_and_what_is_nothing_is_passed_over() {
        let kind = |kind: &'static str| {
            move |data: &mut Value| {
                data["kind"] = json!(kind);
                data["text"] = Value::Null;
            }
        };
        assert_eq!(say("message.received", kind("sticker_pack")).text, "[sticker_pack]");
        let place = say("message.received", |data| {
            data["kind"] = json!("location");
            data["text"] = Value::Null;
            data["details"] =
                json!({"latitude": -6.2, "longitude": 106.8, "name": "Toko", "address": null});
        });
        assert_eq!(place.text, "📍\nToko\nhttps://maps.google.com/?q=-6.2,106.8");
        assert!(event("message.received", kind("album")).is_none());
        assert!(
            event("message.received", |data| data["chat"] = json!("status@broadcast")).is_none()
        );
        assert!(event("group.updated", |_| ()).is_none());
    }

    #[test]
    fn a_file_without_a_name_gets_one_that_shows_what_it_is() {
        assert_eq!(file_name(Some("nota.pdf"), "document", None), "nota.pdf");
        assert_eq!(file_name(None, "voice", Some("audio/ogg; codecs=opus")), "voice.ogg");
        assert_eq!(file_name(Some(""), "image", None), "image.bin");
        let link = Some("https://wa.example/v1/x");
        assert_eq!(
            instead("video", "too large", link),
            "[video: too large] https://wa.example/v1/x"
        );
        assert_eq!(instead("video", "too large", Some("/v1/x")), "[video: too large]");
    }
}
