//! The history: chats with their newest messages, the messages of a chat, and what is found in them.

use hyper::StatusCode;
use serde_json::{Map, Value, json};

use crate::api::call::{Answer, Call};
use crate::api::http::problem::{Code, Problem};
use crate::api::http::response;
use crate::model::{ChatKind, DeviceName, Jid, Person, UnixMillis};
use crate::store::{ChatRow, ChatView, Message, Place};
use crate::whatsapp::FOR_EVER;

/// How many are listed, unless the caller says so.
const LISTED: usize = 50;
const MOST_LISTED: usize = 200;
/// The longest that is looked for.
const LONGEST_QUERY: usize = 200;

/// What of a list is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    pub(crate) before: Option<Place>,
    pub(crate) limit: usize,
}

impl Wanted {
    fn of(call: &Call) -> Result<Self, Problem> {
        let limit = match call.query("limit")? {
            None => LISTED,
            Some(text) => {
                let number = text.parse().ok().filter(|limit| (1..=MOST_LISTED).contains(limit));
                let words = format!("a whole number from 1 to {MOST_LISTED}");
                number.ok_or_else(|| Problem::field("limit", words))?
            }
        };
        let before = match call.query("before")? {
            None => None,
            Some(text) => {
                let words = "the `next` of an earlier answer, as it was given";
                Some(Place::parse(&text).ok_or_else(|| Problem::field("before", words))?)
            }
        };
        Ok(Self { before, limit })
    }
}

fn off() -> Problem {
    Problem::new(
        Code::HistoryOff,
        "write [history] and below it keep = \"30d\" into moonwa.toml; it begins with what moonwa still has of the last days",
    )
}

/// `GET …/chats`.
pub(crate) async fn chats(call: &Call) -> Answer {
    let unread = match call.query("unread")?.as_deref() {
        None | Some("false") => false,
        Some("true") => true,
        Some(_) => return Err(Problem::field("unread", "true or false")),
    };
    let wanted = Wanted::of(call)?;
    Ok(response::ok(&list(call, wanted, unread).await?.ok_or_else(off)?))
}

/// The chats as callers see them; `None` when no history is kept.
pub(crate) async fn list(
    call: &Call,
    wanted: Wanted,
    unread: bool,
) -> Result<Option<Value>, Problem> {
    let (device, _) = call.device()?;
    let history = call.state.api.store.history();
    let Some(leaf) = history.chats(&device, wanted.before, wanted.limit, unread).await? else {
        return Ok(None);
    };
    let chats: Vec<Value> = leaf.items.iter().map(|chat| shown_chat(call, &device, chat)).collect();
    Ok(Some(json!({ "chats": chats, "next": leaf.next.map(Place::cursor) })))
}

/// `GET …/chats/{chat}/messages`.
pub(crate) async fn messages(call: &Call) -> Answer {
    let (wanted, chat) = (Wanted::of(call)?, call.chat()?.jid());
    Ok(response::ok(&of_chat(call, &chat, wanted).await?.ok_or_else(off)?))
}

/// The messages of a chat as callers see them, oldest first; `None` when no history is kept.
pub(crate) async fn of_chat(
    call: &Call,
    chat: &Jid,
    wanted: Wanted,
) -> Result<Option<Value>, Problem> {
    let (device, _) = call.device()?;
    let history = call.state.api.store.history();
    // A chat of which nothing is known has no messages.
    let row = history.chat(&device, chat.as_str()).await?.unwrap_or_default();
    let leaf = history.messages(&device, row.clone(), wanted.before, wanted.limit).await?;
    let Some(leaf) = leaf else { return Ok(None) };
    let messages =
        leaf.items.iter().rev().map(|message| message_shown(call, &device, &row, message));
    let messages: Vec<Value> = messages.collect();
    Ok(Some(json!({ "messages": messages, "next": leaf.next.map(Place::cursor) })))
}

/// `GET …/search`.
pub(crate) async fn search(call: &Call) -> Answer {
    let wanted = Wanted::of(call)?;
    let words = call.query("q")?.unwrap_or_default();
    if words.trim().is_empty() || words.chars().count() > LONGEST_QUERY {
        let words = format!("the words to look for, at most {LONGEST_QUERY} characters");
        return Err(Problem::field("q", words));
    }
    let chat = call.query("chat")?.map(|chat| call.chat_of("chat", &chat)).transpose()?;
    let chat = chat.map(|chat| chat.jid());
    Ok(response::ok(&found(call, words, chat.as_ref(), wanted).await?.ok_or_else(off)?))
}

/// The messages with all these words as callers see them, newest first; `None` when no history is kept.
pub(crate) async fn found(
    call: &Call,
    words: String,
    chat: Option<&Jid>,
    wanted: Wanted,
) -> Result<Option<Value>, Problem> {
    let (device, _) = call.device()?;
    let history = call.state.api.store.history();
    let within = match chat {
        Some(chat) => Some(history.chat(&device, chat.as_str()).await?.unwrap_or_default()),
        None => None,
    };
    let leaf = history.search(&device, words, within, wanted.before, wanted.limit).await?;
    let Some(leaf) = leaf else { return Ok(None) };
    let messages =
        leaf.items.iter().map(|(message, chat)| message_shown(call, &device, chat, message));
    let messages: Vec<Value> = messages.collect();
    Ok(Some(json!({ "messages": messages, "next": leaf.next.map(Place::cursor) })))
}

/// Where a message is, for a list that goes on before it.
pub(crate) async fn place_of(call: &Call, message: &str) -> Result<Option<Place>, Problem> {
    let (device, _) = call.device()?;
    let found = call.state.api.store.history().find(&device, message).await?;
    Ok(found.and_then(|found| found.first().map(|(message, _)| message.place)))
}

/// `POST …/chats/{chat}/older`.
pub(crate) async fn older(call: &Call) -> Answer {
    let chat = call.chat()?;
    if call.state.api.store.history().limits().is_none() {
        return Err(off());
    }
    Box::pin(call.handle()?.ask_older(&chat)).await?;
    Ok(response::empty(StatusCode::ACCEPTED))
}

fn shown_chat(call: &Call, device: &DeviceName, chat: &ChatView) -> Value {
    let ChatView { row, newest } = chat;
    let mut shown = json!({
        "chat": row.address(),
        "kind": row.kind,
        "unread": row.unread,
        "updated": newest.place.time,
        "newest": message_shown(call, device, row, newest),
    });
    let muted = row.muted_until.filter(|until| *until > UnixMillis::now());
    let muted = muted.map(|until| if until >= FOR_EVER { json!("always") } else { json!(until) });
    let person = row.kind == ChatKind::Person;
    let more = [
        ("phone", json!(row.phone().filter(|_| person))),
        ("lid", json!(row.lid().filter(|_| person))),
        ("name", json!(row.called())),
        ("archived", json!(row.archived)),
        ("pinned", json!(row.pinned)),
        ("muted_until", json!(muted)),
    ];
    add(&mut shown, more);
    shown
}

/// A message as callers see it. What is not known is left out.
fn message_shown(call: &Call, device: &DeviceName, chat: &ChatRow, message: &Message) -> Value {
    let Message { place, kept } = message;
    let mut shown = json!({
        "id": kept.id,
        "chat": chat.address(),
        "at": place.time,
        "from_me": kept.from_me,
        "kind": kept.kind,
        "reactions": kept.reactions.iter().filter(|reaction| !reaction.emoji.is_empty()).map(|reaction| {
            let mut shown = json!({ "emoji": reaction.emoji, "from_me": reaction.from_me });
            add(&mut shown, [("from", json!(reaction.from.as_ref().map(person)))]);
            shown
        }).collect::<Vec<_>>(),
        "edited": kept.edited,
        "deleted": kept.deleted,
        "source": kept.source,
    });
    let urls = call.state.api.webhooks.media_urls();
    let media = kept.file(device).map(|file| {
        let url = format!("{}{}", urls.public_url(), file.url);
        let signed = urls.signature(device.as_str(), &kept.id, UnixMillis::now());
        let mut media = json!({ "url": url, "signed_url": format!("{url}?{signed}") });
        let more = [
            ("mime", json!(file.mime)),
            ("size", json!(file.size)),
            ("sha256", json!(file.sha256)),
            ("filename", json!(file.filename)),
        ];
        add(&mut media, more);
        media
    });
    let reply = kept.reply_to.as_ref().map(|reply| {
        let mut shown = json!({ "id": reply.id });
        let more = [
            ("from", json!(reply.from)),
            ("text", json!(reply.text)),
            ("kind", json!(reply.kind)),
            ("filename", json!(reply.filename)),
        ];
        add(&mut shown, more);
        shown
    });
    let more = [
        ("from", json!(kept.from.as_ref().filter(|_| !kept.from_me).map(person))),
        ("text", json!(kept.text)),
        ("media", json!(media)),
        ("reply_to", json!(reply)),
        ("status", json!(kept.status)),
        ("code", json!(kept.failure.as_ref().map(|failure| &failure.code))),
        ("detail", json!(kept.failure.as_ref().map(|failure| &failure.detail))),
        ("by", json!(kept.by)),
    ];
    add(&mut shown, more);
    shown
}

fn person(person: &Person) -> Value {
    let mut shown = json!({});
    let known =
        [("phone", json!(person.phone)), ("lid", json!(person.lid)), ("name", json!(person.name))];
    add(&mut shown, known);
    shown
}

/// Adds what is known.
fn add<const N: usize>(to: &mut Value, fields: [(&str, Value); N]) {
    let known = fields.into_iter().filter(|(_, value)| !value.is_null());
    if let Value::Object(to) = to {
        to.extend(known.map(|(name, value)| (name.to_owned(), value)).collect::<Map<_, _>>());
    }
}
