//! Paced lists: one text to up to a thousand people who have written before, each with their own words, so many in an
//! hour. There is no way to write to strangers with it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::Duration;

use hyper::StatusCode;
use hyper::header::{CONTENT_DISPOSITION, HeaderValue};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::content::later::check as check_time;
use super::content::{self, Issues};
use super::later::given;
use super::queue::{check_state, idempotency_key};
use crate::api::call::{Answer, Call};
use crate::api::http::problem::{Code, Problem};
use crate::api::http::request::whole;
use crate::api::http::response;
use crate::model::{
    ChatKind, Content, DeviceName, KeyHash, ListId, MessageStatus, Recipient, SendRequest,
    SentMessage, UnixMillis,
};
use crate::store::{Fate, Listed, PacedList, Receiver, Report, SendQueue, StoreError};
use crate::whatsapp::Acquaintance;

const MOST: usize = 1_000;
/// The most bytes of a request.
const MAX_BYTES: usize = 4 << 20;
/// How many go in an hour when nothing is said, and how many may be asked for.
const PER_HOUR: u32 = 60;
const FASTEST: u32 = 600;
/// WhatsApp refuses longer texts.
const LONGEST: usize = 65_536;

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct ListBody {
    text: String,
    receivers: Vec<ReceiverBody>,
    #[serde(default = "per_hour", deserialize_with = "whole")]
    per_hour: u32,
    #[serde(default, deserialize_with = "given")]
    send_at: Option<String>,
}

fn per_hour() -> u32 {
    PER_HOUR
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct ReceiverBody {
    to: String,
    #[serde(default, deserialize_with = "given")]
    name: Option<String>,
    #[serde(default)]
    values: BTreeMap<String, String>,
}

impl ListBody {
    fn check(&self) -> Result<Option<UnixMillis>, Problem> {
        let mut issues = Issues::default();
        issues.text("text", &self.text);
        if !(1..=MOST).contains(&self.receivers.len()) {
            issues.add("receivers", format!("1 to {MOST}"));
        }
        if !(1..=FASTEST).contains(&self.per_hour) {
            issues.add("per_hour", format!("1 to {FASTEST}"));
        }
        for (n, receiver) in self.receivers.iter().enumerate() {
            for word in receiver.values.keys().filter(|word| !is_word(word)) {
                let what =
                    "a placeholder has small letters, digits and _, and begins with a letter";
                issues.add(&format!("receivers[{n}].values.{word}"), what);
            }
        }
        let at = content::send_at(self.send_at.as_deref(), &mut issues)?;
        if issues.0.is_empty() { Ok(at) } else { Err(Problem::invalid(issues.0)) }
    }
}

/// `POST …/lists`.
pub(crate) async fn make(call: &mut Call) -> Answer {
    let key = idempotency_key(call)?;
    call.handle()?;
    let body: ListBody = call.json(MAX_BYTES).await?;
    let at = body.check()?;
    let (name, _) = call.device()?;
    let seed = match &key {
        // The same key gives the same list, and so the same messages.
        Some(key) => format!("{name}\n{}", key.as_str()),
        None => data_encoding::HEXLOWER.encode(&rand::random::<[u8; 32]>()),
    };
    let id = ListId::of(seed.as_bytes());
    let request = KeyHash::of(&json!(body).to_string()).to_string();
    let queue = call.state.api.store.queue();
    if let Some((known, messages)) = queue.list(&name, &id).await? {
        if known.request != request {
            return Err(Code::IdempotencyConflict.into());
        }
        return Ok(response::json(StatusCode::ACCEPTED, &shown(&known, &messages)));
    }
    check_state(&call.handle()?.status().state)?;
    let now = UnixMillis::now();
    let begins = at.unwrap_or(now);
    check_time(begins, now)?;
    let (list, messages) = draw_up(call, (name.clone(), id.clone()), body, request, begins).await?;
    match queue.make_list(list, messages).await? {
        Listed::Made(list) | Listed::Known(list) => {
            let report = queue.list(&name, &list.id).await?;
            let (list, messages) = report.unwrap_or_else(|| (list, Vec::new()));
            Ok(response::json(StatusCode::ACCEPTED, &shown(&list, &messages)))
        }
        Listed::Conflict => Err(Code::IdempotencyConflict.into()),
        Listed::Full => Err(Problem::from(Code::QueueFull).retry_after(Duration::from_hours(1))),
    }
}

/// Says of each receiver whether they get a message, and which.
async fn draw_up(
    call: &Call,
    (device, id): (DeviceName, ListId),
    body: ListBody,
    request: String,
    begins: UnixMillis,
) -> Result<(PacedList, Vec<SentMessage>), Problem> {
    let (_, config) = call.device()?;
    let read = |to: &str| Recipient::parse(to, config.country_code.as_deref());
    let tos: Vec<Result<Recipient, String>> =
        body.receivers.iter().map(|one| read(&one.to).map_err(|e| e.to_string())).collect();
    let known: Vec<Recipient> = tos.iter().flatten().cloned().collect();
    let mut known = call.handle()?.acquaintances(&known).await?.into_iter();
    let mut list = PacedList {
        id,
        device,
        text: body.text,
        per_hour: body.per_hour,
        receivers: Vec::new(),
        created: UnixMillis::now(),
        stopped: None,
        request,
    };
    let (mut messages, mut seen) = (Vec::new(), BTreeSet::new());
    for (one, to) in body.receivers.into_iter().zip(tos) {
        let acquaintance = if to.is_ok() { known.next() } else { None };
        let name = one.name.clone().or_else(|| acquaintance.as_ref()?.name.clone());
        let judged = match (to, acquaintance) {
            (Ok(to), Some(known)) => judge(&to, &known, &mut seen)
                .and_then(|()| fill(&list.text, name.as_deref(), &one.values))
                .map(|text| (to, text)),
            (Err(why), _) => Err(refused("bad_number", why)),
            (Ok(_), None) => Err(refused("never_wrote", NEVER)),
        };
        let fate = match judged {
            Ok((to, text)) => {
                let gap = list.gap() * u32::try_from(messages.len()).unwrap_or(u32::MAX);
                let message = SentMessage {
                    id: list.id.message(&to.jid()),
                    list: Some(list.id.clone()),
                    by: call.who.author(),
                    ..SentMessage::new(
                        list.device.clone(),
                        SendRequest::plain(to, Content::Text { text }),
                    )
                };
                let message = message.at(begins.after(gap));
                let id = message.id.clone();
                messages.push(message);
                Fate::Message(id)
            }
            Err(refused) => refused,
        };
        list.receivers.push(Receiver { to: one.to, name, fate });
    }
    Ok((list, messages))
}

const NEVER: &str = "never wrote to this number, and a list is no way to write to strangers";

fn refused(code: &str, detail: impl Into<String>) -> Fate {
    Fate::Refused { code: code.to_owned(), detail: detail.into() }
}

fn judge(to: &Recipient, known: &Acquaintance, seen: &mut BTreeSet<String>) -> Result<(), Fate> {
    if to.jid().chat_kind() != ChatKind::Person {
        return Err(refused("no_person", "a list is for people, not for groups and channels"));
    }
    if !known.wrote {
        return Err(refused("never_wrote", NEVER));
    }
    let twice = known.addresses.iter().any(|address| seen.contains(address));
    seen.extend(known.addresses.iter().cloned());
    if twice { Err(refused("twice", "is on the list already")) } else { Ok(()) }
}

fn is_word(word: &str) -> bool {
    word.len() <= 32
        && word.starts_with(|c: char| c.is_ascii_lowercase())
        && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

/// A text with somebody's own words in it. Braces around anything else than a placeholder are text.
fn fill(text: &str, name: Option<&str>, values: &BTreeMap<String, String>) -> Result<String, Fate> {
    let (mut filled, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once('{') {
        filled.push_str(before);
        match after.split_once('}').filter(|(word, _)| is_word(word)) {
            Some((word, further)) => {
                let own = if word == "name" { name } else { None };
                let value = values.get(word).map(String::as_str).or(own);
                let missing = || refused("no_value", format!("has no value for {{{word}}}"));
                filled.push_str(value.ok_or_else(missing)?);
                rest = further;
            }
            None => {
                filled.push('{');
                rest = after;
            }
        }
    }
    filled.push_str(rest);
    if filled.chars().count() > LONGEST {
        return Err(refused("too_long", format!("a text has at most {LONGEST} characters")));
    }
    Ok(filled)
}

/// `GET …/lists`: those of the present account, without what became of each message.
pub(crate) async fn list(call: &Call) -> Answer {
    let (name, _) = call.device()?;
    let queue = call.state.api.store.queue();
    let mut shown = Vec::new();
    for list in queue.lists(&name).await? {
        if is_own(queue, &list).await? {
            shown.push(head(&list));
        }
    }
    Ok(response::ok(&json!({ "lists": shown })))
}

/// Whether a list writes from the account that its device is linked to now. All its messages are one account's; one
/// that writes to nobody is anybody's.
async fn is_own(queue: &SendQueue, list: &PacedList) -> Result<bool, StoreError> {
    for receiver in &list.receivers {
        let Fate::Message(message) = &receiver.fate else { continue };
        if queue.get(&list.device, message).await?.is_some() {
            return Ok(queue.own(&list.device, message).await?.is_some());
        }
    }
    Ok(true)
}

/// `GET …/lists/{list}`.
pub(crate) async fn show(call: &Call) -> Answer {
    let (list, messages) = report(call).await?;
    Ok(response::ok(&shown(&list, &messages)))
}

/// `POST …/lists/{list}/stop`.
pub(crate) async fn stop(call: &Call) -> Answer {
    let ((name, _), id) = (call.device()?, call.list()?);
    let stopped = call.state.api.store.queue().stop_list(&name, &id).await?;
    stopped.ok_or_else(|| Problem::from(Code::ListNotFound))?;
    show(call).await
}

/// `GET …/lists/{list}/report`: a table for people and their spreadsheets.
pub(crate) async fn table(call: &Call) -> Answer {
    let (list, messages) = report(call).await?;
    let mut csv = "receiver,name,message,status,code,detail,updated\r\n".to_owned();
    for (one, message) in list.receivers.iter().zip(&messages) {
        let told = told(one, message.as_ref());
        let updated = message.as_ref().map(|message| message.updated.to_string());
        let name = one.name.as_deref().unwrap_or_default();
        let Told { id, status, code, detail } = told;
        let row = [
            one.to.as_str(),
            name,
            id,
            status,
            code,
            detail,
            updated.as_deref().unwrap_or_default(),
        ];
        let row: Vec<String> = row.into_iter().map(cell).collect();
        // Writing to a text cannot fail.
        write!(csv, "{}\r\n", row.join(",")).ok();
    }
    let mut answer = response::bytes_of(StatusCode::OK, "text/csv; charset=utf-8", csv);
    let file = format!("attachment; filename=\"{}.csv\"", list.id.as_str());
    if let Ok(file) = HeaderValue::from_str(&file) {
        answer.headers_mut().insert(CONTENT_DISPOSITION, file);
    }
    Ok(answer)
}

/// A cell of a table. A spreadsheet takes what begins with some characters for a formula, which somebody's name must never
/// be.
fn cell(text: &str) -> String {
    let guard = if text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']) { "'" } else { "" };
    format!("\"{guard}{}\"", text.replace('"', "\"\""))
}

async fn report(call: &Call) -> Result<Report, Problem> {
    let ((name, _), id) = (call.device()?, call.list()?);
    let report = call.state.api.store.queue().list(&name, &id).await?;
    report.ok_or_else(|| Code::ListNotFound.into())
}

/// What became of somebody on a list.
struct Told<'l> {
    id: &'l str,
    status: &'l str,
    code: &'l str,
    detail: &'l str,
}

fn told<'l>(one: &'l Receiver, message: Option<&'l SentMessage>) -> Told<'l> {
    match (&one.fate, message) {
        (Fate::Refused { code, detail }, _) => Told { id: "", status: "refused", code, detail },
        (Fate::Message(id), Some(message)) => {
            let (code, detail) = match &message.status {
                MessageStatus::Failed { code, detail } => (code.as_str(), detail.as_str()),
                _ => ("", ""),
            };
            Told { id: id.as_str(), status: message.status.as_str(), code, detail }
        }
        (Fate::Message(id), None) => Told { id: id.as_str(), status: "lost", code: "", detail: "" },
    }
}

fn head(list: &PacedList) -> Value {
    let refused = |one: &&Receiver| matches!(one.fate, Fate::Refused { .. });
    json!({
        "id": list.id,
        "device": list.device,
        "text": list.text,
        "per_hour": list.per_hour,
        "created": list.created,
        "stopped": list.stopped,
        "total": list.receivers.len(),
        "refused": list.receivers.iter().filter(refused).count(),
    })
}

fn shown(list: &PacedList, messages: &[Option<SentMessage>]) -> Value {
    let mut shown = head(list);
    let (mut receivers, mut waiting) = (Vec::with_capacity(messages.len()), 0);
    for (one, message) in list.receivers.iter().zip(messages) {
        let Told { id, status, code, detail } = told(one, message.as_ref());
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        waiting += u64::from(message.as_ref().is_some_and(|message| !message.status.is_settled()));
        receivers.push(json!({
            "to": one.to,
            "name": one.name,
            "message": some(id),
            "status": status,
            "code": some(code),
            "detail": some(detail),
            "send_at": message.as_ref().and_then(|message| message.due),
        }));
    }
    if let Value::Object(fields) = &mut shown {
        fields.insert("waiting".to_owned(), waiting.into());
        fields.insert("receivers".to_owned(), receivers.into());
    }
    shown
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn filled(text: &str) -> String {
        let values =
            [("order", "17"), ("tricky", "{name}")].map(|(k, v)| (k.to_owned(), v.to_owned()));
        match fill(text, Some("Budi"), &BTreeMap::from(values)) {
            Ok(text) => text,
            Err(Fate::Refused { code, detail }) => format!("{code}: {detail}"),
            Err(Fate::Message(_)) => unreachable!(),
        }
    }

    #[test]
    fn everybody_gets_their_own_words() {
        for (text, expected) in [
            ("Halo {name}, pesanan {order} siap", "Halo Budi, pesanan 17 siap"),
            ("{name}{name}", "BudiBudi"),
            ("{tricky}", "{name}"),
            ("{ name } {} {Name} {{name}} } {", "{ name } {} {Name} {Budi} } {"),
            ("{price}", "no_value: has no value for {price}"),
        ] {
            assert_eq!(filled(text), expected, "{text}");
        }
    }

    #[test]
    fn a_spreadsheet_takes_nothing_for_a_formula() {
        assert_eq!(cell("=HYPERLINK(\"http://x\")"), "\"'=HYPERLINK(\"\"http://x\"\")\"");
        for first in ["+", "-", "@", "\t", "\r", "\n"] {
            assert!(cell(&format!("{first}1")).starts_with("\"'"), "{first:?}");
        }
        assert_eq!(cell("Budi, \"Jr\""), "\"Budi, \"\"Jr\"\"\"");
    }

    proptest! {
        #[test]
        fn text_without_placeholders_stays_as_it_is(text: String) {
            let (nobody, none) = (None, BTreeMap::new());
            if let Ok(filled) = fill(&text, nobody, &none) {
                prop_assert_eq!(filled, text);
            }
        }
    }
}
