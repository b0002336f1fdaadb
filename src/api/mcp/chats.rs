//! Conversations, put together from the newest events of a device and from what moonwa sent.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::time::{Instant, timeout_at};

use crate::api::call::Call;
use crate::api::http::problem::Problem;
use crate::api::v1::message::content::kind_of;
use crate::model::{
    ChatKind, Content, EventType, Jid, MediaData, Person, Reply, SentMessage, UnixMillis,
};
use crate::store::{Seq, StoredEvent};

/// How many of a device's newest events are looked at.
const SCANNED: u64 = 5120;
/// How many are read at once.
const PAGE: usize = 256;
/// How many of the messages that moonwa sent are looked at.
const SENT: usize = 100;

/// A message as the tools show it.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Message {
    id: String,
    chat: String,
    at: UnixMillis,
    /// Whether the linked account wrote it.
    from_me: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<Person>,
    kind: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    media: Option<MediaData>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reply_to: Option<Reply>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    deleted: bool,
    /// How far it got, of one that moonwa sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<&'static str>,
}

/// A conversation and its newest message.
#[derive(Debug, Serialize)]
pub(super) struct Chat {
    #[serde(rename = "chat")]
    address: String,
    name: Option<String>,
    newest: Message,
    /// Of those looked at.
    messages: usize,
}

/// An event as the log has it, as far as it matters here.
#[derive(Deserialize)]
struct Told {
    timestamp: UnixMillis,
    data: Value,
}

#[derive(Deserialize)]
struct Said {
    id: String,
    chat: String,
    chat_kind: Option<ChatKind>,
    from: Person,
    from_me: bool,
    kind: Value,
    text: Option<String>,
    media: Option<MediaData>,
    reply_to: Option<Reply>,
    #[serde(default)]
    details: Map<String, Value>,
}

/// The newest messages of a device, oldest first.
#[derive(Default)]
pub(super) struct Conversations {
    messages: Vec<Message>,
    /// The phone number's address of a person who is known by a LID as well.
    people: BTreeMap<String, String>,
    /// What those call themselves whose chats these are.
    names: BTreeMap<String, String>,
}

impl Conversations {
    /// Reads those of the device that the call is about.
    pub(super) async fn of(call: &Call) -> Result<Self, Problem> {
        let (device, _) = call.device()?;
        let log = call.state.api.store.log();
        let tail = *log.tail(&device).borrow();
        let mut after = Seq(tail.0.saturating_sub(SCANNED));
        let mut all = Self::default();
        while after < tail {
            let page = log.read_after(&device, after, PAGE).await?;
            let Some(last) = page.events.last() else { break };
            after = last.seq;
            for event in &page.events {
                all.take(call, event);
            }
        }
        for sent in call.state.api.store.queue().recent(&device, SENT).await? {
            all.take_sent(&sent);
        }
        for message in &mut all.messages {
            if let Some(known) = all.people.get(&message.chat) {
                message.chat.clone_from(known);
            }
        }
        all.messages.sort_by_key(|message| message.at);
        Ok(all)
    }

    fn take(&mut self, call: &Call, event: &StoredEvent) {
        let Some((at, said)) = read(call, event) else { return };
        let about = said.details.get("message").and_then(Value::as_str).map(str::to_owned);
        let mut earlier = |change: &dyn Fn(&mut Message)| {
            let found = self.messages.iter_mut().rev().find(|m| about.as_deref() == Some(&m.id));
            if let Some(message) = found {
                change(message);
            }
        };
        match event.kind {
            EventType::MessageEdited => earlier(&|message| message.text.clone_from(&said.text)),
            EventType::MessageRevoked => earlier(&|message| {
                message.deleted = true;
                message.text = None;
                message.media = None;
            }),
            EventType::MessageReceived | EventType::MessageSent => {
                if said.chat_kind == Some(ChatKind::Person) && !said.from_me {
                    let chat = chat_of(&said);
                    if let Some(name) = &said.from.name {
                        self.names.insert(chat.clone(), name.clone());
                    }
                    self.people.insert(said.chat.clone(), chat);
                }
                self.messages.push(message(at, said));
            }
            _ => {}
        }
    }

    fn take_sent(&mut self, sent: &SentMessage) {
        let (Content::Text { .. } | Content::LinkedText { .. } | Content::Media { .. }) =
            &sent.request.content
        else {
            return;
        };
        self.messages.push(Message {
            id: sent.id.to_string(),
            chat: sent.request.to.jid().to_string(),
            at: sent.created,
            from_me: true,
            from: None,
            kind: kind_of(&sent.request.content).into(),
            text: sent.request.content.words().map(str::to_owned),
            media: None,
            reply_to: None,
            deleted: false,
            status: Some(sent.status.as_str()),
        });
    }

    /// The address under which a conversation is kept here.
    fn known<'a>(&'a self, chat: &'a Jid) -> &'a str {
        self.people.get(chat.as_str()).map_or(chat.as_str(), String::as_str)
    }

    /// The conversations with the newest messages, newest first.
    pub(super) fn newest(&self, limit: usize) -> Vec<Chat> {
        let mut chats: Vec<Chat> = Vec::new();
        for message in self.messages.iter().rev() {
            match chats.iter_mut().find(|chat| chat.address == message.chat) {
                Some(chat) => chat.messages += 1,
                None => chats.push(Chat {
                    address: message.chat.clone(),
                    name: self.names.get(&message.chat).cloned(),
                    newest: message.clone(),
                    messages: 1,
                }),
            }
        }
        chats.truncate(limit);
        chats
    }

    /// The newest messages of a conversation, oldest first.
    pub(super) fn of_chat(&self, chat: &Jid, before: Option<&str>, limit: usize) -> Vec<Message> {
        let chat = self.known(chat);
        let all = self.messages.iter().filter(|message| message.chat == chat);
        let mut messages: Vec<_> =
            all.take_while(|message| before != Some(message.id.as_str())).cloned().collect();
        messages.split_off(messages.len().saturating_sub(limit))
    }

    /// Messages with all words of the query, newest first.
    pub(super) fn with_words(&self, query: &str, chat: Option<&Jid>, limit: usize) -> Vec<Message> {
        let words: Vec<String> = query.split_whitespace().map(str::to_lowercase).collect();
        let chat = chat.map(|chat| self.known(chat));
        let fits = |message: &&Message| {
            let text = message.text.as_deref().unwrap_or_default().to_lowercase();
            chat.is_none_or(|chat| message.chat == chat)
                && words.iter().all(|word| text.contains(word))
        };
        self.messages.iter().rev().filter(fits).take(limit).cloned().collect()
    }
}

/// The address of the conversation: a person's phone number where that is known, whoever's address the message came with.
fn chat_of(said: &Said) -> String {
    let phone = said.from.phone.as_ref().filter(|_| !said.from_me);
    match phone {
        Some(phone) if said.chat_kind == Some(ChatKind::Person) => {
            format!("{phone}@s.whatsapp.net")
        }
        _ => said.chat.clone(),
    }
}

/// What an event says, if it says it in a conversation.
fn read(call: &Call, event: &StoredEvent) -> Option<(UnixMillis, Said)> {
    let body = call.state.api.webhooks.media_urls().given_out(&event.body, UnixMillis::now());
    let told: Told = serde_json::from_slice(&body).ok()?;
    let said: Said = serde_json::from_value(told.data).ok()?;
    said.chat_kind.is_some_and(ChatKind::is_answerable).then_some((told.timestamp, said))
}

fn message(at: UnixMillis, said: Said) -> Message {
    let Said { id, chat, from, from_me, kind, text, media, reply_to, .. } = said;
    let from = Some(from).filter(|_| !from_me);
    Message {
        id,
        chat,
        at,
        from_me,
        from,
        kind,
        text,
        media,
        reply_to,
        deleted: false,
        status: None,
    }
}

/// Waits until somebody writes: what came, and the place in the log up to which that goes.
pub(super) async fn wait(
    call: &Call,
    chat: Option<&Jid>,
    after: Option<u64>,
    patience: Duration,
) -> Result<(Vec<Message>, Seq), Problem> {
    let (device, _) = call.device()?;
    let log = call.state.api.store.log();
    let known = match chat {
        Some(chat) => Some(Conversations::of(call).await?.known(chat).to_owned()),
        None => None,
    };
    let mut tail = log.tail(&device);
    let mut after = after.map_or(*tail.borrow_and_update(), Seq);
    let deadline = Instant::now() + patience;
    let stop = call.state.api.tasks.stop();
    loop {
        tail.borrow_and_update();
        let page = log.read_after(&device, after, PAGE).await?;
        after = page.events.last().map_or(after, |event| event.seq);
        let received = page.events.iter().filter(|event| event.kind == EventType::MessageReceived);
        let mut messages = Vec::new();
        for (at, said) in received.filter_map(|event| read(call, event)) {
            let of = chat_of(&said);
            let asked = [chat.map(Jid::as_str), known.as_deref()];
            if chat.is_none() || asked.contains(&Some(&of)) || asked.contains(&Some(&said.chat)) {
                messages.push(Message { chat: of, ..message(at, said) });
            }
        }
        if !messages.is_empty() {
            return Ok((messages, after));
        }
        if page.more {
            continue;
        }
        tokio::select! {
            changed = timeout_at(deadline, tail.changed()) => match changed {
                Ok(Ok(())) => {}
                Ok(Err(_)) | Err(_) => return Ok((Vec::new(), after)),
            },
            () = stop.cancelled() => return Ok((Vec::new(), after)),
        }
    }
}
